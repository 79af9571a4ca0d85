"""From person_course to durations: who is under observation from when to when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args, overload

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import grouped, lazily
from toolkit.analyses.engines import HasPersonCourse
from toolkit.analyses.grouping import KEY, By, groups_of
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import TIMESTAMP, require_columns
from toolkit.schemas.arguments import a_number, one_of
from toolkit.schemas.moments import When, moment, moment_observed
from toolkit.schemas.survival_results import EXCLUSIONS, UNDATED_SHARE
from toolkit.survival.event_table import BOUND, UNDATED, refuse_both_bounds

Unit = Literal["hours", "days", "weeks"]
Undated = Literal["refuse", "bounds", "leave_out"]

IN_UNDATED_COURSE = "in a course whose passes lack a time"

_MICROSECONDS: dict[Unit, float] = {"hours": 3.6e9, "days": 8.64e10, "weeks": 6.048e11}


@overload
def time_to_pass(
    pc: pl.LazyFrame,
    origin: str | Mapping[str, When] | None = ...,
    *,
    as_of: When | None = ...,
    unit: Unit = ...,
    entry: float | Literal["enrolled"] | None = ...,
    competing: Mapping[str, str] | None = ...,
    undated: Undated = ...,
) -> pl.LazyFrame: ...
@overload
def time_to_pass(
    pc: pl.DataFrame | HasPersonCourse,
    origin: str | Mapping[str, When] | None = ...,
    *,
    as_of: When | None = ...,
    unit: Unit = ...,
    entry: float | Literal["enrolled"] | None = ...,
    competing: Mapping[str, str] | None = ...,
    undated: Undated = ...,
) -> pl.DataFrame: ...
def time_to_pass(
    pc: pl.DataFrame | pl.LazyFrame | HasPersonCourse,
    origin: str | Mapping[str, When] | None = "enrolled",
    *,
    as_of: When | None = None,
    unit: Unit = "days",
    entry: float | Literal["enrolled"] | None = None,
    competing: Mapping[str, str] | None = None,
    undated: Undated = "refuse",
) -> pl.DataFrame | pl.LazyFrame:
    """Measure how long each learner was observed, and whether that ended in a pass.

    One row per learner per course. A learner who has not passed by `as_of` is neither a failure
    nor missing, but censored there. Who has no duration stays in the frame, with the reason in
    `excluded`, so that every result can count them. Whether a learner passed is what `passed`
    says, the pass rule of `person_course`; `passed_timestamp` only dates the pass.

    Args:
        pc: A person_course, a DataFrame or a LazyFrame.
        origin: What time is counted from: "enrolled" (the column `created`), the name of another
            column of dates, or a date for each course_id.
        as_of: The moment of the last look; by default the column `as_of`, and never later. A
            pass after it is not yet seen. Naive times are UTC.
        unit: The unit of `duration` and `entry`, exact to the microsecond.
        entry: A landmark: time runs from the origin, but only those still at risk at this time
            are looked at, and only after it. "enrolled": a learner is at risk only from the
            enrollment on, which is right where another origin lies before it, since nobody
            passes before enrolling.
        competing: Other ends and the columns that date them, `{"unenrolled": "unenrolled_at"}`.
            The first end counts, a pass before others at a tie; `end` then names it.
        undated: What to do with learners who passed without a date of the pass. "refuse" leaves
            them out, and refuses the curve of a group where they are more than 2 % of the
            passers: to leave out passers alone makes it too low. "bounds" gives every learner
            twice, told apart by the column `bound`, which must then be in `by`: once as if all
            of them had passed "at once", once "at the last moment". The truth lies between.
            "leave_out" leaves out all learners of a course where they are more than 2 %, passed
            or not: what remains is no lower for it, but speaks of the other courses alone.

    Returns:
        `username`, `course_id`, `duration`, `event` (passed), with `entry`, `end` and `bound`
        where asked for, `excluded`, and the other columns of `pc` to group by.

    Raises:
        SchemaError: `pc` lacks a column.
        ArgumentError: An argument cannot be: there is no origin, the unit is none of the three,
            the last look is later than the data.

    Examples:
        >>> from datetime import datetime
        >>> pc = pl.DataFrame({
        ...     "username": ["ada", "bo"], "course_id": ["c", "c"], "in_enrollments": [True, True],
        ...     "created": [datetime(2026, 1, 1)] * 2, "passed": [True, False],
        ...     "passed_timestamp": [datetime(2026, 1, 11), None]})
        >>> time_to_pass(pc, as_of="2026-01-31").select("duration", "event").rows()
        [(10.0, True), (30.0, False)]
    """
    if isinstance(pc, HasPersonCourse):
        pc = pc.person_course
    _refuse_arguments(pc, origin, unit, entry, competing, undated)
    ends: dict[str, str] = {"passed": "passed_timestamp", **(competing or {})}
    frame = pc.lazy()
    schema = frame.collect_schema()
    require_columns(
        schema.names(), _needed(origin, as_of, entry, [*ends.values()]), what="person_course"
    )

    def moment_of(name: str) -> pl.Expr:
        return _utc(name, schema[name])

    loaded = moment_of("as_of") if "as_of" in schema else pl.lit(None, TIMESTAMP)
    look = loaded if as_of is None else pl.lit(_last_look(as_of, frame, loaded), TIMESTAMP)
    start = (
        _by_course(origin)
        if isinstance(origin, Mapping)
        else moment_of("created" if origin == "enrolled" else str(origin))
    )
    passed = pl.col("passed").fill_null(value=False)
    frame = frame.with_columns(
        _look=look,
        _origin=start,
        _enrolled=moment_of("created") if "created" in schema else pl.lit(None, TIMESTAMP),
        _undated=passed & pl.col("passed_timestamp").is_null(),
    ).with_columns(
        pl.when(moment_of(column) <= pl.col("_look"), passed if end == "passed" else True)
        .then(moment_of(column))
        .alias(f"_{end}")
        for end, column in ends.items()
    )
    if undated == "bounds":
        frame = _both_bounds(frame, entry)
    durations = _durations(frame, list(ends), unit, entry)
    if undated == "leave_out":
        durations = _without_undated_courses(durations)
    kept = ["username", "course_id", "duration", "event"]
    kept += ["entry"] * (entry is not None) + ["end"] * (competing is not None)
    kept += [BOUND] * (undated == "bounds") + ["excluded"]
    rest = [name for name in schema.names() if name not in kept]
    result = durations.select(*kept, *rest)
    return result.collect() if isinstance(pc, pl.DataFrame) else result


def exclusions(durations: IntoFrame, *, by: By = None) -> Result:
    """Count the learners who have no duration, by reason.

    One row per reason, by group. No row where nobody is excluded.

    Args:
        durations: What `time_to_pass` returns.
        by: The columns whose values make the groups.

    Returns:
        The group columns, then those of `schemas.survival_results.EXCLUSIONS`.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, None], "excluded": [None, "no origin"]})
        >>> exclusions(durations).frame.rows()
        [('no origin', 1, 2)]
    """
    groups = groups_of(by, EXCLUSIONS)
    frame = lazily(durations)
    require_columns(frame.collect_schema().names(), ["excluded", *groups.names], what="durations")
    refuse_both_bounds(frame, groups.names)
    by_key = (nw.col(name).alias(key) for key, name in zip(groups.keys, groups.names, strict=True))
    keyed = [KEY] if KEY in frame.collect_schema().names() else []
    counted = grouped(
        frame.select(*by_key, *keyed, nw.col("excluded").alias("reason")),
        [*groups.keys, "reason"],
        [nw.len().alias("n_excluded"), *(nw.col(name).sum() for name in keyed)],
    )

    def reasons(table: pl.DataFrame) -> pl.DataFrame:
        records = pl.col("n_excluded").sum()
        rows = table.with_columns(n_records=records.over(groups.keys) if groups.keys else records)
        return groups.named(rows.drop(keyed).filter(pl.col("reason").is_not_null()))

    keys = reasons(counted.with_columns(n_excluded=KEY)) if keyed else None
    return Result.from_counts(EXCLUSIONS, groups.names, reasons(counted), lambda n: n, keys=keys)


def _refuse_arguments(
    pc: object, origin: object, unit: object, entry: object, competing: object, undated: object
) -> None:
    """Raise where an argument of `time_to_pass` is of another kind."""
    if not isinstance(pc, pl.DataFrame | pl.LazyFrame):
        raise ArgumentError(
            f"time_to_pass needs a Polars frame, as person_course gives, not {type(pc).__name__}"
        )
    if not isinstance(origin, str | Mapping):
        raise ArgumentError(
            'time_to_pass needs an origin: "enrolled", a column of dates, or a date for each '
            f"course; not {origin!r}"
        )
    one_of(unit, _MICROSECONDS, name="unit")
    one_of(undated, get_args(Undated), name="undated")
    if entry is not None and entry != "enrolled":
        a_number(entry, name="entry")
    if competing is not None and not (
        isinstance(competing, Mapping)
        and all(isinstance(name, str) for pair in competing.items() for name in pair)
        and "passed" not in competing
    ):
        raise ArgumentError(
            'competing must name other ends than "passed" and the columns that date them, such as '
            f'{{"unenrolled": "unenrolled_at"}}, not {competing!r}'
        )


def _last_look(as_of: When, frame: pl.LazyFrame, loaded: pl.Expr) -> datetime:
    """The moment asked for, unless the data were loaded before it."""
    look = moment_observed(as_of)
    last = frame.select(loaded.max()).collect().item()
    if last is not None and last < look:
        raise ArgumentError(
            f"as_of is {look:%Y-%m-%d %H:%M}, but the data speak of {last:%Y-%m-%d %H:%M}: nobody "
            "has seen who passed in between; load them again, or give an earlier moment"
        )
    return look


def _both_bounds(frame: pl.LazyFrame, entry: float | str | None) -> pl.LazyFrame:
    """Every learner twice: the undated passed as soon as they could, or just now."""
    undated, start = pl.col("_undated"), pl.col("_origin")
    if entry == "enrolled":  # who enters late is seen to pass just after it, never before
        start = pl.max_horizontal(start, pl.col("_enrolled") + pl.duration(microseconds=1))
    last = pl.max_horizontal("_origin", "_look")
    return pl.concat(
        frame.with_columns(
            pl.when(undated).then(moment).otherwise("_passed").alias("_passed"),
            pl.lit(bound).alias(BOUND),
            _undated=pl.lit(value=False),
        )
        for bound, moment in (("at once", start), ("at the last moment", last))
    )


def _without_undated_courses(durations: pl.LazyFrame) -> pl.LazyFrame:
    """Exclude all learners of the courses where too many passers are undated."""
    included, undated = pl.col("excluded").is_null(), pl.col("excluded").eq_missing(UNDATED)
    n_undated = undated.sum().over("course_id")
    n_passed = (undated | (included & pl.col("passed"))).sum().over("course_id")
    out = (included | undated) & (n_undated > UNDATED_SHARE * n_passed)
    excluded = pl.when(out).then(pl.lit(IN_UNDATED_COURSE)).otherwise("excluded")
    return durations.with_columns(excluded=excluded).with_columns(
        pl.when(pl.col("excluded").is_null()).then(pl.col("duration", "entry", "end", "event"))
    )


def _needed(
    origin: str | Mapping[str, When] | None, as_of: object, entry: object, ends: list[str]
) -> list[str]:
    needed = ["username", "course_id", "in_enrollments", "passed", *ends]
    needed += ["created"] * ("enrolled" in (origin, entry)) + ["as_of"] * (as_of is None)
    return [*needed, origin] if isinstance(origin, str) and origin != "enrolled" else needed


def _durations(
    frame: pl.LazyFrame, ends: list[str], unit: Unit, entry: float | str | None
) -> pl.LazyFrame:
    """Append `duration`, `event`, `end`, `entry` and `excluded`."""

    def since_origin(moment: str) -> pl.Expr:
        passed = pl.col(moment) - pl.col("_origin")
        return passed.dt.total_microseconds() / _MICROSECONDS[unit]

    first = pl.min_horizontal(f"_{end}" for end in ends)
    names_of_first = [pl.when(pl.col(f"_{end}") == first).then(pl.lit(end)) for end in ends]
    begins = since_origin("_enrolled").clip(0) if entry == "enrolled" else pl.lit(entry)
    reasons = [
        (~pl.col("in_enrollments").fill_null(value=False), "not enrolled"),
        (pl.col("_origin").is_null(), "no origin"),
        (pl.col("_undated"), UNDATED),
        *((pl.col(f"_{end}") < pl.col("_origin"), f"{end} before origin") for end in ends),
        (pl.col("_look") < pl.col("_origin"), "origin after as_of"),
        (
            (pl.col("entry") >= pl.col("duration")) & (pl.col("entry") > 0),
            "no longer at risk at entry",
        ),
    ]
    if entry == "enrolled":
        reasons.insert(1, (pl.col("_enrolled").is_null(), "no enrollment date"))
    reason = pl.coalesce(
        *(pl.when(applies).then(pl.lit(text)) for applies, text in reasons),
        pl.lit(None, pl.String),
    )
    included = pl.col("excluded").is_null()
    return (
        frame.with_columns(_end=first)
        .with_columns(
            duration=since_origin("_end").fill_null(since_origin("_look")),
            end=pl.coalesce(names_of_first),
            entry=begins.cast(pl.Float64),
        )
        .with_columns(excluded=reason)
        .with_columns(
            pl.when(included).then(pl.col("duration", "entry", "end")),
            event=pl.when(included).then(pl.col("end").eq_missing("passed")),
        )
    )


def _by_course(of: Mapping[str, When]) -> pl.Expr:
    starts = [moment(when, name=f"the origin of {course}") for course, when in of.items()]
    return pl.col("course_id").replace_strict(
        list(of), pl.Series(starts, dtype=TIMESTAMP), default=None, return_dtype=TIMESTAMP
    )


def _utc(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column of dates as moments in UTC."""
    when = pl.col(name)
    if dtype == pl.Null:
        return when.cast(TIMESTAMP)
    if dtype == pl.Date:
        when, dtype = when.cast(pl.Datetime("us")), pl.Datetime("us")
    if not isinstance(dtype, pl.Datetime):
        raise SchemaError(f"an origin or an end must be a column of dates; `{name}` is of {dtype}")
    if dtype.time_zone is None:
        when = when.dt.replace_time_zone("UTC")
    return when.dt.convert_time_zone("UTC").cast(TIMESTAMP)
