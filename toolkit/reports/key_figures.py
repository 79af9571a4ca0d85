"""The handful of figures that a report begins with."""

from __future__ import annotations

import polars as pl

from toolkit.analyses.outcomes import outcomes
from toolkit.survival.durations import time_to_pass
from toolkit.survival.summary import survival_summary

NOT_REACHED = "not reached"


def key_figures(pc: pl.DataFrame, *, min_n: int = 10) -> pl.DataFrame:
    """Sum up all enrollments in a few figures for the head of a report.

    One row per figure.

    Args:
        pc: A person_course frame.
        min_n: Figures that rest on fewer learners are withheld.

    Returns:
        The columns figure, value (as text, for reading) and meaning (what it is a share of).

    Examples:
        >>> from datetime import UTC, datetime
        >>> from toolkit.analyses.person_course import person_course
        >>> enrollments = pl.DataFrame({"username": [f"learner {i}" for i in range(40)],
        ...     "course_id": "course-v1:Org+C1+2026", "is_active": True, "mode": "audit",
        ...     "created": datetime(2026, 1, 1, tzinfo=UTC)})
        >>> pc = person_course(None, enrollments, None, as_of=datetime(2026, 2, 1, tzinfo=UTC))
        >>> key_figures(pc).head(2).select("figure", "value").rows()
        [('Enrollments', '40'), ('Active', 'withheld')]
    """
    row = outcomes(pc).release(min_n=min_n).frame.row(0, named=True)
    people = pc.filter("in_enrollments").select(
        pl.col("username").n_unique(), pl.col("course_id").n_unique()
    )
    n_learners, n_courses = people.row(0)
    counts = {
        "Enrollments": (
            row["n_enrolled"],
            f"of {n_learners:,} learners in {n_courses:,} course{'s' if n_courses != 1 else ''}",
        )
    }
    shares = {
        "Active": ("active_rate_of_enrolled", "of the enrolled have a completion or grade above 0"),
        "Completed": (
            "completion_rate_of_enrolled",
            f"of the enrolled have done {row['completed_from']:.0%} of the content or more",
        ),
        "Passed": ("pass_rate_of_enrolled", "of the enrolled have a passing grade"),
        "Passed, of the active": ("pass_rate_of_active", "of those who began have a passing grade"),
    }
    rests_on = {
        "Active": "n_active",
        "Completed": "n_completed",
        "Passed": "n_passed",
        "Passed, of the active": "n_passed_active",
    }
    rows = [
        (figure, f"{n:,}" if n_learners >= min_n else "withheld", meaning)
        for figure, (n, meaning) in counts.items()
    ]
    for figure, (name, meaning) in shares.items():
        told = row[name] is not None and row[rests_on[figure]] is not None
        value = _percent(row[name]) if told else "withheld"
        ends = (_percent(row[f"{name}_ci_{end}"]) for end in ("low", "high")) if told else ()
        interval = "–".join(end.removesuffix(" %") for end in ends)
        rows.append((figure, value, f"{meaning} ({interval})" if interval else meaning))
    rows.append(_first_quarter(pc, min_n))
    return pl.DataFrame(rows, schema=["figure", "value", "meaning"], orient="row")


def _first_quarter(pc: pl.DataFrame, min_n: int) -> tuple[str, str, str]:
    durations = time_to_pass(pc, undated="bounds")
    summary = survival_summary(durations, by="bound").filter(statistic="first quartile")
    rows = summary.release(min_n=min_n).frame
    meaning = "after enrollment a quarter is estimated to have passed"
    first, last = rows.row(0, named=True), rows.row(-1, named=True)
    if last["n_events"] is None:
        return "Time to pass", "withheld", meaning
    if first["estimate"] is None or last["estimate"] is None:
        return "Time to pass", NOT_REACHED, "fewer than a quarter have passed so far"
    if first["ci_low"] is not None and last["ci_high"] is not None:
        meaning += f" ({first['ci_low']:.0f}–{last['ci_high']:.0f})"
    days = [f"{row['estimate']:.0f}" for row in (first, last)]
    if days[0] == days[1]:
        return "Time to pass", f"{days[0]} days", meaning
    return "Time to pass", f"{'–'.join(days)} days", f"{meaning}; some passes have no date"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")
