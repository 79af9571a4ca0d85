"""From person_course to durations: who is under observation from when to when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal, TypeVar

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import grouped, lazily
from toolkit.errors import SchemaError
from toolkit.schemas import TIMESTAMP, require_columns
from toolkit.schemas.survival_results import EXCLUSIONS
from toolkit.survival.event_table import names

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
Unit = Literal["hours", "days", "weeks"]

_MICROSECONDS: dict[Unit, float] = {"hours": 3.6e9, "days": 8.64e10, "weeks": 6.048e11}


def time_to_pass(
    pc: Frame,
    origin: str | Mapping[str, date] | None = "enrolled",
    *,
    as_of: date | None = None,
    unit: Unit = "days",
    entry: float | Literal["enrolled"] | None = None,
    competing: Mapping[str, str] | None = None,
) -> Frame:
    """Measure how long each learner was observed, and whether that ended in a pass.

    One row per learner per course. A learner who has not passed by `as_of` is neither a failure
    nor missing, but censored there. Who has no duration stays in the frame, with the reason in
    `excluded`, so that every result can count them.

    Args:
        pc: A person_course, a DataFrame or a LazyFrame.
        origin: What time is counted from: "enrolled" (the column `created`), the name of another
            column of dates, or a date for each course_id.
        as_of: The moment of the last look; by default the column `as_of`. A pass after it is not
            yet seen. Naive times are UTC.
        unit: The unit of `duration` and `entry`, exact to the microsecond.
        entry: A landmark: time runs from the origin, but only those still at risk at this time
            are looked at, and only after it. "enrolled": a learner is at risk only from the
            enrollment on, which is right where another origin lies before it, since nobody
            passes before enrolling.
        competing: Other ends and the columns that date them, `{"unenrolled": "unenrolled_at"}`.
            The first end counts, a pass before others at a tie; `end` then names it.

    Returns:
        `username`, `course_id`, `duration`, `event` (passed), with `entry` and `end` where asked
        for, `excluded`, and the other columns of `pc` to group by.

    Raises:
        SchemaError: `pc` lacks a column.
        ValueError: There is no origin, or the unit is none of the three.

    Examples:
        >>> pc = pl.DataFrame({
        ...     "username": ["ada", "bo"], "course_id": ["c", "c"], "in_enrollments": [True, True],
        ...     "created": [datetime(2026, 1, 1)] * 2, "passed": [True, False],
        ...     "passed_timestamp": [datetime(2026, 1, 11), None]})
        >>> time_to_pass(pc, as_of=date(2026, 1, 31)).select("duration", "event").rows()
        [(10.0, True), (30.0, False)]
    """
    if origin is None:
        raise ValueError(
            'time_to_pass needs an origin: "enrolled", a column of dates, or a date for each course'
        )
    if unit not in _MICROSECONDS:
        raise ValueError(f"unit must be one of {', '.join(_MICROSECONDS)}, not {unit!r}")
    ends: dict[str, str] = {"passed": "passed_timestamp", **(competing or {})}
    frame = pc.lazy()
    schema = frame.collect_schema()
    require_columns(
        schema.names(), _needed(origin, as_of, entry, [*ends.values()]), what="person_course"
    )

    def moment(name: str) -> pl.Expr:
        return _utc(pl.col(name), schema[name])

    frame = frame.with_columns(
        _look=moment("as_of") if as_of is None else pl.lit(_as_utc(as_of), TIMESTAMP),
        _enrolled=moment("created") if "created" in schema else pl.lit(None, TIMESTAMP),
    ).with_columns(
        pl.when(moment(column) <= pl.col("_look")).then(moment(column)).alias(f"_{end}")
        for end, column in ends.items()
    )
    if isinstance(origin, Mapping):
        frame = frame.with_columns(_origin=_by_course(origin))
    else:
        frame = frame.with_columns(
            _origin=pl.col("_enrolled") if origin == "enrolled" else moment(origin)
        )
    durations = _durations(frame, list(ends), unit, entry)
    kept = ["username", "course_id", "duration", "event"]
    kept += ["entry"] * (entry is not None) + ["end"] * (competing is not None) + ["excluded"]
    rest = [name for name in schema.names() if name not in kept]
    result = durations.select(*kept, *rest)
    return result.collect() if isinstance(pc, pl.DataFrame) else result


def exclusions(durations: IntoFrame, *, by: str | Sequence[str] | None = None) -> pl.DataFrame:
    """Count the learners who have no duration, by reason.

    One row per reason, by group. No row where nobody is excluded.

    Args:
        durations: What `time_to_pass` returns.
        by: The columns whose values make the groups.

    Returns:
        The group columns, then those of `schemas.survival_results.EXCLUSIONS`.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, None], "excluded": [None, "no origin"]})
        >>> exclusions(durations).rows()
        [('no origin', 1, 2)]
    """
    columns = names(by)
    require_columns(lazily(durations).collect_schema().names(), ["excluded"], what="durations")
    records = pl.col("n_excluded").sum()
    records = records.over(columns) if columns else records
    return (
        grouped(durations, [*columns, "excluded"], [nw.len().alias("n_excluded")])
        .with_columns(n_records=records)
        .filter(pl.col("excluded").is_not_null())
        .rename({"excluded": "reason"})
        .select(*columns, *EXCLUSIONS.names)
    )


def _needed(
    origin: str | Mapping[str, date], as_of: date | None, entry: object, ends: list[str]
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
        (~pl.col("in_enrollments"), "not enrolled"),
        (pl.col("_origin").is_null(), "no origin"),
        (pl.col("passed") & pl.col("passed_timestamp").is_null(), "passed without a pass time"),
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


def _by_course(dates: Mapping[str, date]) -> pl.Expr:
    starts = pl.Series([_as_utc(day) for day in dates.values()], dtype=TIMESTAMP)
    return pl.col("course_id").replace_strict(
        list(dates), starts, default=None, return_dtype=TIMESTAMP
    )


def _as_utc(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(moment: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.Date:
        moment, dtype = moment.cast(pl.Datetime("us")), pl.Datetime("us")
    if not isinstance(dtype, pl.Datetime):
        raise SchemaError(f"an origin or an end must be a column of dates, not of {dtype}")
    if dtype.time_zone is None:
        moment = moment.dt.replace_time_zone("UTC")
    return moment.dt.convert_time_zone("UTC").cast(TIMESTAMP)
