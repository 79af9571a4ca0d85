"""The handful of figures that a report begins with."""

from __future__ import annotations

from typing import Any

import polars as pl

from toolkit.analyses.counting import Frame
from toolkit.analyses.intervals import LEVEL
from toolkit.analyses.outcomes import outcomes
from toolkit.release.tables import SHOWN
from toolkit.reports.language import Language, read_language
from toolkit.results.result import Released, Result
from toolkit.schemas.outcome_results import KEY_FIGURES, RATES
from toolkit.survival.durations import time_to_pass
from toolkit.survival.summary import survival_summary
from toolkit.text import words

_SHARES = {
    "Active": (
        RATES["active_rate_of_enrolled"],
        "of the enrolled have a completion or a grade above 0",
    ),
    "Completed": (
        RATES["completion_rate_of_enrolled"],
        "of the enrolled have done most of the content",
    ),
    "Passed": (RATES["pass_rate_of_enrolled"], "of the enrolled have a passing grade"),
    "Passed, of the active": (
        RATES["pass_rate_of_active"],
        "of those who began have a passing grade",
    ),
}
_QUARTER = "after enrollment, a quarter is estimated to have passed"


def key_figures(pc: Frame, *, level: float = LEVEL) -> Result:
    """Summarize all enrollments in a few figures, from their outcomes and their time to pass.

    One row per figure.

    Args:
        pc: A person_course frame of any engine, or a study.
        level: The coverage of the intervals, a fraction.

    Returns:
        The columns of `schemas.outcome_results.KEY_FIGURES`.

    Raises:
        SchemaError: A column is missing or has another type.
        ArgumentError: `level` is not a fraction between 0 and 1.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from toolkit.analyses.person_course import person_course
        >>> enrollments = pl.DataFrame({"username": [f"learner {i}" for i in range(40)],
        ...     "course_id": "course-v1:Org+C1+2026", "is_active": True, "mode": "audit",
        ...     "created": datetime(2026, 1, 1, tzinfo=UTC)})
        >>> pc = person_course(None, enrollments, None, as_of=datetime(2026, 2, 1, tzinfo=UTC))
        >>> key_figures(pc).release().frame.head(2).select("figure", "n_learners").rows()
        [('Enrollments', 40), ('Active', None)]
    """
    counted = outcomes(pc, level=level)
    timed = survival_summary(time_to_pass(pc, undated="leave_out"), level=level).filter(
        statistic="first quartile"
    )

    def protect(min_n: int) -> pl.DataFrame:
        return _figures(counted.release(min_n=min_n).frame, timed.release(min_n=min_n).frame)

    return Result(KEY_FIGURES, (), _figures(counted.frame, timed.frame), protect, level=level)


def _figures(counted: pl.DataFrame, timed: pl.DataFrame) -> pl.DataFrame:
    row = counted.row(0, named=True)
    quarter = next(timed.iter_rows(named=True), dict.fromkeys(timed.columns))  # nobody enrolled
    rows: list[dict[str, Any]] = [
        {
            "figure": "Enrollments",
            "meaning": "one for each learner in each course",
            "n_learners": row["n_enrolled"],
            "n_whole": row["n_enrolled"],
        }
    ]
    for figure, (rate, meaning) in _SHARES.items():
        shares = {f"rate{end}": row[f"{rate.name}{end}"] for end in ("", "_ci_low", "_ci_high")}
        counts = {"n_learners": row[rate.k], "n_whole": row[rate.n]}
        rows.append({"figure": figure, "meaning": meaning} | counts | shares)
    rows.append(
        {
            "figure": "Days to pass",
            "meaning": _QUARTER,
            "n_learners": quarter["n_events"],
            "n_whole": quarter["n_learners"],
            "days": quarter["estimate"],
            "days_ci_low": quarter["ci_low"],
            "days_ci_high": quarter["ci_high"],
        }
    )
    return pl.DataFrame(rows, schema=KEY_FIGURES.polars_schema)


def in_words(released: Released) -> str:
    """Say how many enrolled, and what share passed."""
    passed = released.frame.filter(pl.col("n_whole") > 0, figure="Passed").rows(named=True)
    if not passed:
        return words.too_few(released)
    [row] = passed
    of = words.plural(row["n_whole"], "enrollment")
    return f"Of {of}, {words.share(row, 'rate', released)} led to a pass."


def as_tiles(released: Released, say: Language | None = None) -> list[dict[str, str]]:
    """Return each figure as the report's first page shows it: `figure`, `value`, `meaning`."""
    say = say or read_language()
    enrolled = released.frame.filter(figure="Enrollments")["n_learners"].sum()
    return [
        _tile(row, released, say, "courses.undated" if enrolled else "figures.too_few")
        for row in released.frame.iter_rows(named=True)
    ]


def _tile(
    row: dict[str, Any], released: Released, say: Language, why_no_times: str
) -> dict[str, str]:
    name, interval = row["figure"].lower().replace(", ", "_").replace(" ", "_"), ""
    meaning = say(f"figures.{name}_meaning")
    if row["figure"] == "Enrollments":
        value = words.count(row["n_learners"], released.min_n)
    elif row["figure"] != "Days to pass":
        value, interval = words.share(row, "rate", released), words.interval(row, "rate", released)
    elif row["days"] is not None:
        value = say("figures.days", days=words.days(row["days"]))
        interval = words.written_interval(row["days_ci_low"], row["days_ci_high"], words.days)
    else:
        value, is_shown = words.ABSENT, row["status"] == SHOWN
        not_reached = "figures.not_yet" if row["n_whole"] else why_no_times
        meaning = say(not_reached if is_shown else "figures.too_few")
    return {
        "figure": say(f"figures.{name}"),
        "value": value,
        "meaning": words.with_interval(meaning, interval),
    }
