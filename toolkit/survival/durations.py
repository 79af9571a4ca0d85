"""Durations to a pass or to censoring, computed from person_course, and who has none."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import reduce
from typing import Any, Literal, TypeVar, get_args, overload

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import (
    flag,
    grouped,
    lazily,
    refuse_other_kinds,
    require_person_course,
)
from toolkit.analyses.engines import HasPersonCourse, collected, is_in_memory, with_microseconds
from toolkit.analyses.grouping import KEY, By, group_value, groups_of, refuse_ungroupable
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import PERSON_COURSE, require_columns
from toolkit.schemas.arguments import a_number, as_given, one_of
from toolkit.schemas.moments import EPOCH, When, in_microseconds, moment, moment_observed
from toolkit.schemas.survival_results import EXCLUSIONS, TIME_UNIT
from toolkit.survival.included import BOUND, KINDS, UNDATED, null_for_excluded, refuse_both_bounds
from toolkit.survival.undated import both_bounds, without_undated_groups

F = TypeVar("F")
P = TypeVar("P", bound=pl.DataFrame | pl.LazyFrame)
Rows = nw.LazyFrame[Any]
Unit = Literal["hours", "days", "weeks"]
Undated = Literal["refuse", "bounds", "leave_out"]

_COMPUTED = re.compile(
    rf"duration|event|entry|end|{BOUND}|excluded|{TIME_UNIT}"
    r"|_(look|origin|enrolled|undated|passed|end|other_end_\d+)"
)

_NEVER = nw.lit(None, nw.Int64)
_MICROSECONDS: dict[Unit, int] = {
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
    "weeks": 604_800_000_000,
}


@overload
def time_to_pass(
    pc: HasPersonCourse[P],
    origin: str | Mapping[str, When] | None = ...,
    *,
    as_of: When | None = ...,
    unit: Unit = ...,
    entry: float | Literal["enrolled"] | None = ...,
    competing: Mapping[str, str] | None = ...,
    undated: Undated = ...,
    undated_by: By = ...,
    whole: bool = ...,
) -> P: ...
@overload
def time_to_pass(
    pc: F,
    origin: str | Mapping[str, When] | None = ...,
    *,
    as_of: When | None = ...,
    unit: Unit = ...,
    entry: float | Literal["enrolled"] | None = ...,
    competing: Mapping[str, str] | None = ...,
    undated: Undated = ...,
    undated_by: By = ...,
    whole: bool = ...,
) -> F: ...
def time_to_pass(
    pc: Any,
    origin: str | Mapping[str, When] | None = "enrolled",
    *,
    as_of: When | None = None,
    unit: Unit = "days",
    entry: float | Literal["enrolled"] | None = None,
    competing: Mapping[str, str] | None = None,
    undated: Undated = "refuse",
    undated_by: By = "course_id",
    whole: bool = False,
) -> Any:
    """Measure how long each learner was observed, and whether that ended in a pass.

    One row per learner per course. A learner who has not passed by `as_of` is neither a failure
    nor missing, but censored then. Learners without a duration stay in the frame, with the reason
    in `excluded`, so that every result can count them. `passed`, set by the pass rule of
    `person_course`, says who passed; `passed_timestamp` only dates the pass.

    Args:
        pc: A person_course frame of any engine. The durations are computed there, and are a frame
            of that engine; for pandas and PyArrow, a Polars DataFrame.
        origin: When time starts: "enrolled" (the column `created`), the name of another column of
            dates, or a date for each course_id.
        as_of: The end of observation; by default the column `as_of`, and never later. A pass
            after it is not yet observed. Naive times are UTC.
        unit: The unit of `duration` and `entry`, exact to the microsecond.
        entry: A landmark: time runs from the origin, but only learners still at risk at this time
            are followed, from then on. "enrolled" (late entry): learners are at risk only from
            their enrollment on, as they should be with an earlier origin, since nobody passes
            before enrolling.
        competing: Other ends and the columns that date them, `{"unenrolled": "unenrolled_at"}`.
            The first end counts, and a pass wins a tie; `end` then names it.
        undated: What to do with learners who passed without a pass date. "refuse" leaves them
            out, and raises an error for the curve of a group if they are more than 2 % of its
            passers, since leaving out only passers makes the share passed too low. "bounds"
            returns every learner twice, with the column `bound`, which must then be in `by`: once
            as if all of them had passed "at once" (with `entry`, just after it), once "at the last
            moment". The truth lies between, up to the shortest time that a learner is observed.
            "leave_out" leaves out all learners of a group, passed or not, if these are more than
            2 % of its passers: that causes no such bias, but results are then about the other
            groups only. The groups are counted at once, also of rows that are lazy.
        undated_by: The groups that "leave_out" decides by, each by its own passers. Name all
            columns of a later `by`: no curve is then refused, by all of them or by some.
        whole: Round durations up to whole units, so that day 1 is the first 24 hours; an
            enrollment as `entry` is rounded down. A curve then has one row per day rather than
            nearly one per learner: use it for millions of learners. As many have passed by each
            whole day as with exact times.

    Returns:
        `username`, `course_id`, `duration`, `event` (passed), with `entry`, `end` and `bound` if
        requested, `excluded`, `duration_unit` if the unit is not days, and the other columns of
        `pc` to group by.

    Raises:
        SchemaError: `pc` lacks a column, or has one that is named as one of the durations.
        ArgumentError: An argument is invalid: there is no origin, the unit is unknown, `as_of` is
            later than the data.

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
    _refuse_arguments(origin, unit, entry, competing, undated)
    one_of(whole, (False, True), name="whole")
    groups = groups_of(undated_by, None, argument="undated_by").names
    frame = lazily(pc)
    schema = frame.collect_schema()
    names = schema.names()
    ends: dict[str, str] = {"passed": "passed_timestamp", **(competing or {})}
    require_columns(names, [*PERSON_COURSE.key, *groups], what="person_course")
    require_person_course(schema, _needed(origin, as_of, entry, [*ends.values()]))
    refuse_ungroupable(schema, groups)
    _refuse_own_columns(names)
    # Numbered, since an end may have any name.
    at = {end: f"_other_end_{place}" if place else "_passed" for place, end in enumerate(ends)}
    frame = _moments(frame, origin, as_of, {at[end]: column for end, column in ends.items()})
    if undated == "bounds":
        frame = both_bounds(
            frame,
            entry if entry is None or isinstance(entry, str) else int(entry * _MICROSECONDS[unit]),
        )
    durations = _durations(frame, at, unit, entry, whole=whole)
    if undated == "leave_out":
        durations = without_undated_groups(durations, groups)
    kept = ["username", "course_id", "duration", "event"]
    kept += ["entry"] * (entry is not None) + ["end"] * (competing is not None)
    kept += [BOUND] * (undated == "bounds") + ["excluded"]
    if unit != "days":
        durations, kept = durations.with_columns(nw.lit(unit).alias(TIME_UNIT)), [*kept, TIME_UNIT]
    rest = [name for name in names if name not in kept]
    found = durations.select(*kept, *rest).to_native()
    return found.collect() if is_in_memory(pc) else found


def exclusions(durations: IntoFrame, *, by: By = None) -> Result:
    """Count the learners without a duration, by reason.

    One row per reason, by group; none if nobody is excluded.

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
    schema = frame.collect_schema()
    require_columns(schema.names(), ["excluded", *groups.names], what="durations")
    refuse_other_kinds(schema, KINDS, what="durations")
    refuse_ungroupable(schema, groups.names)
    refuse_both_bounds(frame, groups.names)
    by_key = (
        group_value(schema, name).alias(key)
        for key, name in zip(groups.keys, groups.names, strict=True)
    )
    keyed = [KEY] if KEY in schema else []
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
    origin: object, unit: object, entry: object, competing: object, undated: object
) -> None:
    """Raise if an argument of `time_to_pass` is invalid."""
    if not isinstance(origin, str | Mapping) or not all(isinstance(name, str) for name in origin):
        raise ArgumentError(
            'time_to_pass needs an origin: "enrolled", a column of dates, or a date for each '
            f"course; not {as_given(origin)}"
        )
    one_of(unit, _MICROSECONDS, name="unit")
    one_of(undated, get_args(Undated), name="undated")
    if entry is not None and not (isinstance(entry, str) and entry == "enrolled"):
        a_number(entry, name="entry")
    if competing is not None and not (
        isinstance(competing, Mapping)
        and all(isinstance(name, str) for pair in competing.items() for name in pair)
        and "passed" not in competing
    ):
        raise ArgumentError(
            'competing must name other ends than "passed" and the columns that date them, such as '
            f'{{"unenrolled": "unenrolled_at"}}, not {as_given(competing)}'
        )


def _refuse_own_columns(names: Collection[str]) -> None:
    """Raise if a column of the user would be replaced by one of the durations."""
    for name in names:
        if _COMPUTED.fullmatch(name):
            raise SchemaError(
                f"person_course has a column `{name}`, which time_to_pass computes; rename or drop "
                "yours first"
            )


def _moments(
    frame: Rows,
    origin: str | Mapping[str, When] | None,
    as_of: When | None,
    ends: Mapping[str, str],
) -> Rows:
    """Append the moments that durations are computed from, in microseconds since 1970.

    They are `_look`, the end of observation, `_origin`, `_enrolled`, and one for each observed end,
    named as in `ends`; null if unknown. `_undated` marks those who passed at an unknown moment.
    """
    names = frame.collect_schema().names()
    columns = dict(ends)
    columns |= {"_look": "as_of"} if "as_of" in names else {}
    columns |= {"_enrolled": "created"} if "created" in names else {}
    if not isinstance(origin, Mapping):
        columns["_origin"] = "created" if origin == "enrolled" else str(origin)
    frame = with_microseconds(frame, columns)
    if as_of is not None:
        last = collected(frame.select(nw.col("_look").max())).item() if "_look" in columns else None
        frame = frame.with_columns(_look=nw.lit(_last_look(as_of, last)))
    if isinstance(origin, Mapping):
        frame = frame.with_columns(_origin=_by_course(origin))
    if "_enrolled" not in columns:
        frame = frame.with_columns(_enrolled=_NEVER)
    passed, seen = nw.col("passed").fill_null(value=False), nw.col("_look")
    is_seen = {at: nw.col(at) <= seen for at in ends}
    is_seen["_passed"] &= passed
    return frame.with_columns(
        *(nw.when(known).then(at).alias(at) for at, known in is_seen.items()),
        _undated=passed & nw.col("passed_timestamp").is_null(),
    )


def _last_look(as_of: When, last: int | None) -> int:
    """Return the requested end of observation; raise if the data were loaded before it."""
    look = moment_observed(as_of)
    if last is not None and last < in_microseconds(look):
        loaded = EPOCH + timedelta(microseconds=last)
        raise ArgumentError(
            f"as_of is {look:%Y-%m-%d %H:%M}, but the data end at {loaded:%Y-%m-%d %H:%M}: "
            "who passed in between is unknown; load them again, or give an earlier moment"
        )
    return in_microseconds(look)


def _needed(
    origin: str | Mapping[str, When] | None, as_of: object, entry: object, ends: list[str]
) -> list[str]:
    needed = ["in_enrollments", "passed", *ends]
    needed += ["created"] * ("enrolled" in (origin, entry)) + ["as_of"] * (as_of is None)
    return [*needed, origin] if isinstance(origin, str) and origin != "enrolled" else needed


def _durations(
    frame: Rows, ends: Mapping[str, str], unit: Unit, entry: float | str | None, *, whole: bool
) -> Rows:
    """Append `duration`, `event`, `end`, `entry` and `excluded`; `ends` has the column of each."""
    one = _MICROSECONDS[unit]

    def since_origin(moment: nw.Expr, round_up: int) -> nw.Expr:
        span = moment - nw.col("_origin")
        return ((span + round_up) // one).cast(nw.Float64) if whole else span.cast(nw.Float64) / one

    at, origin = {end: nw.col(name) for end, name in ends.items()}, nw.col("_origin")
    if entry is None:
        begins = nw.lit(None, nw.Float64)
    elif entry != "enrolled":  # not a bare number, which PostgreSQL takes for a decimal
        begins = origin.cast(nw.Float64) * 0 + float(entry)
    else:
        begins = since_origin(nw.max_horizontal("_enrolled", "_origin"), 0)
        begins = nw.when(~nw.col("_enrolled").is_null()).then(begins)
    names_of_first = [nw.when(at[end] == nw.col("_end")).then(nw.lit(end)) for end in ends]
    reasons = [
        (~nw.col("in_enrollments").fill_null(value=False), "not enrolled"),
        (origin.is_null(), "no origin"),
        (nw.col("_undated"), UNDATED),
        *((at[end] < origin, f"{end} before origin") for end in ends),
        (nw.col("_look") < origin, "origin after as_of"),
        (
            (nw.col("entry") >= nw.col("duration")) & (nw.col("entry") > 0),
            "no longer at risk at entry",
        ),
    ]
    if entry == "enrolled":
        reasons.insert(1, (nw.col("_enrolled").is_null(), "no enrollment date"))
    frame = (
        frame.with_columns(_end=reduce(nw.min_horizontal, at.values()))
        .with_columns(
            duration=since_origin(nw.coalesce("_end", "_look"), one - 1),
            end=nw.coalesce(*names_of_first),
            entry=begins,
        )
        .with_columns(
            excluded=nw.coalesce(
                *(nw.when(applies).then(nw.lit(text)) for applies, text in reasons)
            )
        )
    )
    is_pass = flag(nw.col("end") == "passed") == 1
    return null_for_excluded(frame.with_columns(event=is_pass))


def _by_course(of: Mapping[str, When]) -> nw.Expr:
    courses: dict[int, list[str]] = {}
    for course, when in of.items():
        start = in_microseconds(moment(when, name=f"the origin of {course}"))
        courses.setdefault(start, []).append(course)
    begins = (
        nw.when(nw.col("course_id").is_in(those)).then(nw.lit(start))
        for start, those in courses.items()
    )
    return nw.coalesce(_NEVER, *begins)
