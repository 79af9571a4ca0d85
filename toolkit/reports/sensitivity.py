"""Sensitivity of a study's headline to choices: the same figure under others, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import require_person_course
from toolkit.analyses.engines import HasPersonCourse
from toolkit.analyses.intervals import LEVEL
from toolkit.analyses.outcomes import outcomes
from toolkit.analyses.person_course import KEY
from toolkit.analyses.stages import COMPLETED
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import PERSON_COURSE
from toolkit.schemas.arguments import a_frame, a_level, a_share, as_given, one_of
from toolkit.schemas.moments import When, moment
from toolkit.schemas.outcome_results import RATES
from toolkit.schemas.paper_results import AS_REPORTED, SENSITIVITY
from toolkit.schemas.passes import PassRule, pass_rule_in_words, passes, percent_of
from toolkit.study import Study
from toolkit.survival.durations import exclusions, time_to_pass
from toolkit.survival.summary import survival_summary

Headline = Literal["pass rate", "completion rate", "median", "first quartile"]
Origin = str | Mapping[str, When]

# The headlines that are rates, and of whom besides the enrolled.
_AMONG = {"pass rate": ["active", "graded", "completed"], "completion rate": ["active"]}
_AMONG_BY_DEFAULT = {"pass rate": ("active", "graded"), "completion rate": ("active",)}
_RECENT, _EARLIER = 30, (30, 90)
_THRESHOLDS = (0.5, 0.9, 1.0)
_NEEDED = ["in_enrollments", "created", "passed", "passed_timestamp", "as_of"]


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One choice: the rows it takes, those it leaves out, and how the figure is computed."""

    choice: str
    value: str
    rows: pl.DataFrame
    left_out: pl.DataFrame
    among: str = "enrolled"
    completed_from: float = COMPLETED
    timed: Callable[[pl.DataFrame], pl.DataFrame] | None = None


def sensitivity(
    pc: pl.DataFrame | HasPersonCourse[pl.DataFrame],
    *,
    headline: Headline = "pass rate",
    among: Sequence[str] | None = None,
    pass_rules: Sequence[PassRule] = (),
    thresholds: Sequence[float] | None = None,
    origins: Sequence[Origin] = (),
    as_of: Sequence[When] | None = None,
    excluding: Mapping[str, pl.Expr] | None = None,
    level: float = LEVEL,
) -> Result:
    """Compute the headline under other choices, one at a time.

    A headline that moves little is robust; one that moves with a choice must name that choice.
    The alternatives are not a sample, and their range is not an interval.

    Args:
        pc: A person_course frame of Polars, or a study.
        headline: "pass rate" or "completion rate" of the enrolled; "median" or "first quartile",
            the days by which half or a quarter have passed.
        among: Other denominators of a rate: active, graded, completed; by default active, and
            graded for passes.
        pass_rules: Other rules for a pass, see `person_course`. Times stay the platform's; pass a
            study, since a frame has lost those of records that are no pass by its own rule.
        thresholds: Other thresholds of completion; by default 50%, 90% and 100%.
        origins: Other origins of a time, see `time_to_pass`.
        as_of: Earlier moments: who had enrolled, and passed, by then. By default 30 and 90 days
            earlier. Passes without a date are left out of a rate; completion has no dates.
        excluding: Learners to leave out, by a name: `{"honor": pl.col("mode") == "honor"}`. By
            default those who enrolled in the last 30 days.
        level: The coverage of the intervals, a fraction.

    Returns:
        The columns of `schemas.paper_results.SENSITIVITY`, as reported first.

    Raises:
        SchemaError: A column is missing, or a condition is not Boolean.
        ArgumentError: A choice is impossible, or has no meaning for the headline.

    Examples:
        >>> from datetime import UTC, datetime
        >>> enrollments = pl.DataFrame({"username": [f"learner {i}" for i in range(40)],
        ...     "course_id": "c", "is_active": True, "mode": ["audit", "honor"] * 20,
        ...     "created": datetime(2025, 1, 1, tzinfo=UTC)})
        >>> from toolkit.analyses.person_course import person_course
        >>> pc = person_course(None, enrollments, None, as_of=datetime(2026, 1, 1, tzinfo=UTC))
        >>> found = sensitivity(pc, as_of=[], among=[],
        ...     excluding={"honor": pl.col("mode") == "honor"})
        >>> found.frame.select("choice", "value", "n_learners", "n_left_out").rows()
        [('as reported', 'pass rate of the enrolled', 40, 0), ('excluding', 'honor', 20, 20)]
    """
    one_of(headline, get_args(Headline), name="headline")
    frame = a_frame(pc.person_course if isinstance(pc, HasPersonCourse) else pc, name="pc")
    require_person_course(nw.from_native(frame).schema, _NEEDED)
    nulls = [name for name in _NEEDED if frame.schema[name] == pl.Null]
    frame = frame.cast({name: PERSON_COURSE[name].dtype for name in nulls})
    of_completion = _THRESHOLDS if headline == "completion rate" else ()
    choices = {
        "among": _sequence(among, "among", _AMONG_BY_DEFAULT.get(headline, ())),
        "pass_rules": _sequence(pass_rules, "pass_rules", ()),
        "thresholds": _sequence(thresholds, "thresholds", of_completion),
        "origins": _sequence(origins, "origins", ()),
        "as_of": _sequence(as_of, "as_of", _earlier(frame, headline)),
    }
    _refuse_meaningless(headline, choices)
    alternatives = list(
        _alternatives(
            frame,
            headline,
            **choices,
            excluding=_conditions(excluding, frame),
            times=pc.grades.select(*KEY, "passed_timestamp") if isinstance(pc, Study) else None,
        )
    )
    results = [_results(one, headline, a_level(level)) for one in alternatives]

    def rows(of: Callable[[Result], pl.DataFrame]) -> pl.DataFrame:
        found = [
            _row(one, headline, of(figure), of(left_out))
            for one, (figure, left_out) in zip(alternatives, results, strict=True)
        ]
        table = pl.DataFrame(found, schema=SENSITIVITY.polars_schema)
        return table.with_columns(
            rate_change=pl.col("rate") - pl.col("rate").first(),
            days_change=pl.col("days") - pl.col("days").first(),
        )

    def protect(min_n: int) -> pl.DataFrame:
        return rows(lambda result: result.release(min_n=min_n).frame)

    return Result(SENSITIVITY, (), rows(lambda result: result.frame), protect, level=level)


def _alternatives(
    pc: pl.DataFrame,
    headline: Headline,
    *,
    among: Sequence[Any],
    pass_rules: Sequence[Any],
    thresholds: Sequence[Any],
    origins: Sequence[Any],
    as_of: Sequence[Any],
    excluding: Mapping[str, pl.Expr],
    times: pl.DataFrame | None,
) -> Iterator[_Alternative]:
    """Yield the reported choices, then each alternative."""
    nobody = pc.clear()
    is_rate = headline in _AMONG
    reported = f"{headline} of the enrolled" if is_rate else f"{headline}, days from enrollment"
    yield _Alternative(AS_REPORTED, reported, pc, nobody)
    for whom in among:
        one_of(whom, _AMONG[headline], name="among")
        yield _Alternative("among", f"the {whom}", pc, nobody, among=whom)
    for rule in pass_rules:
        changed = _passed_by(pc, rule, times)
        yield _Alternative("pass rule", pass_rule_in_words(rule), changed, nobody)
    for threshold in thresholds:
        share = a_share(threshold, name="thresholds")
        yield _Alternative("completed from", percent_of(share), pc, nobody, completed_from=share)
    for origin in origins:
        name = origin if isinstance(origin, str) else "a date for each course"
        yield _Alternative("origin", name, pc, nobody, timed=_timed(origin))
    for when in as_of:
        yield _seen(pc, moment(when, name="as_of"), is_rate=is_rate)
    for name, condition in excluding.items():
        out = condition.fill_null(value=False)
        yield _Alternative("excluding", name, pc.filter(~out), pc.filter(out))


def _refuse_meaningless(headline: Headline, choices: Mapping[str, Sequence[Any]]) -> None:
    of = {
        "pass rate": {"among", "pass_rules", "as_of"},
        "completion rate": {"among", "thresholds"},
    }.get(headline, {"pass_rules", "origins", "as_of"})
    meaningless = [name for name, chosen in choices.items() if chosen and name not in of]
    if meaningless:
        raise ArgumentError(
            f"the {headline} does not depend on {meaningless[0]}; it can be computed under other "
            f"{', '.join(sorted(of))}, or excluding learners"
        )


def _sequence(value: Any, name: str, default: Sequence[Any]) -> Sequence[Any]:
    if value is None and (default or name in {"among", "thresholds", "as_of"}):
        return default
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ArgumentError(f"{name} must be a list of choices, not {as_given(value)}")
    return value


def _earlier(pc: pl.DataFrame, headline: Headline) -> list[datetime]:
    """Return the earlier moments taken by default; none without a clock, or for completion."""
    clock = pc["as_of"].max()
    if headline == "completion rate" or not isinstance(clock, datetime):
        return []
    return [clock - timedelta(days=days) for days in _EARLIER]


def _conditions(excluding: object, pc: pl.DataFrame) -> dict[str, pl.Expr]:
    if excluding is None:
        recent = pl.col("as_of") - pl.col("created") < timedelta(days=_RECENT)
        return {f"enrolled in the last {_RECENT} days": recent}
    if not isinstance(excluding, Mapping) or not all(
        isinstance(name, str) and isinstance(condition, pl.Expr)
        for name, condition in excluding.items()
    ):
        raise ArgumentError(
            'excluding must name conditions, such as {"honor": pl.col("mode") == "honor"}, not '
            f"{as_given(excluding)}"
        )
    for name, condition in excluding.items():
        try:
            dtype = pc.lazy().select(condition).collect_schema().dtypes()
        except pl.exceptions.PolarsError as error:
            raise SchemaError(f"excluding {name!r}: {error}") from error
        if dtype != [pl.Boolean]:
            raise SchemaError(f"excluding {name!r} must be one Boolean expression, not {dtype}")
    return dict(excluding)


def _passed_by(pc: pl.DataFrame, rule: PassRule, times: pl.DataFrame | None) -> pl.DataFrame:
    """Apply another rule, with the platform's times of all grades, if they are known."""
    require_person_course(nw.from_native(pc).schema, ["letter_grade", "percent_grade"])
    if times is not None:
        untimed = pc.drop("passed_timestamp")
        pc = untimed.join(times, on=KEY, how="left", maintain_order="left").select(pc.columns)
    passed = nw.from_native(pc).with_columns(passed=passes(rule)).to_native()
    in_grades = pl.col("in_grades") if "in_grades" in pc.columns else pl.lit(value=True)
    return passed.with_columns(pl.col("passed") & in_grades)


def _seen(pc: pl.DataFrame, look: datetime, *, is_rate: bool) -> _Alternative:
    """Return what was known at an earlier moment."""
    last = pc["as_of"].max()
    if isinstance(last, datetime) and look > last:
        raise ArgumentError(f"as_of is {look:%Y-%m-%d}, later than the data ({last:%Y-%m-%d})")
    day = f"{look:%Y-%m-%d}"
    if not is_rate:
        return _Alternative("as of", day, pc, pc.clear(), timed=_timed("enrolled", look))
    passed, dated = pl.col("passed").fill_null(value=False), pl.col("passed_timestamp")
    known = (pl.col("created") <= look).fill_null(value=False) & ~(passed & dated.is_null())
    rows = pc.filter(known).with_columns(passed=passed & (dated <= look).fill_null(value=False))
    return _Alternative("as of", day, rows, pc.filter(~known))


def _timed(origin: Origin, look: datetime | None = None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: time_to_pass(rows, origin, as_of=look, undated="leave_out")


def _results(one: _Alternative, headline: Headline, level: float) -> tuple[Result, Result]:
    """Return the headline's result, and one that counts who is left out."""
    if headline in _AMONG:
        counted = outcomes(one.rows, completed_from=one.completed_from, level=level)
        return counted, outcomes(one.left_out)
    timed = one.timed or _timed("enrolled")
    durations = pl.concat(
        [
            timed(one.rows),
            timed(one.left_out).with_columns(
                pl.lit(None, pl.Float64).alias("duration"),
                pl.lit(None, pl.Boolean).alias("event"),
                excluded=pl.lit("by choice"),
            ),
        ]
    )
    of_headline = survival_summary(durations, level=level).filter(statistic=headline)
    return of_headline, exclusions(durations)


def _row(
    one: _Alternative, headline: Headline, figure: pl.DataFrame, left_out: pl.DataFrame
) -> dict[str, Any]:
    about = {"choice": one.choice, "value": one.value, "headline": headline}
    if figure.is_empty():  # nobody is observed
        return about
    row = figure.row(0, named=True)
    if headline not in _AMONG:
        return {
            **about,
            "n_learners": row["n_learners"],
            "n_reached": row["n_events"],
            "n_left_out": row["n_excluded"],
            "days": row["estimate"],
            "days_ci_low": row["ci_low"],
            "days_ci_high": row["ci_high"],
        }
    rate = RATES[f"{headline.replace(' ', '_')}_of_{one.among}"]
    return {
        **about,
        "n_learners": row[rate.n],
        "n_reached": row[rate.k],
        "n_left_out": left_out["n_enrolled"][0],
        "rate": row[rate.name],
        "rate_ci_low": row[f"{rate.name}_ci_low"],
        "rate_ci_high": row[f"{rate.name}_ci_high"],
    }
