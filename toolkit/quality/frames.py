"""The frames that are checked: the resources with columns derived for the checks.

A column is derived only if the columns it needs exist, so that a frame that lacks one is still
checked for everything else. Frames stay where they are; for DataFrames the derivation is computed
once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from itertools import chain
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.copies import MOST_AT_ONCE, in_parts
from toolkit.analyses.counting import counted
from toolkit.analyses.engines import (
    MICROSECONDS_A_DAY,
    HasPersonCourse,
    as_stored,
    collected,
    is_in_memory,
    lazily,
    number_of_rows,
    planned_apart,
    with_microseconds,
)
from toolkit.analyses.person_course import person_course
from toolkit.errors import ArgumentError, SchemaError
from toolkit.quality.checks import checks
from toolkit.quality.gx.rows import Rows, types
from toolkit.schemas import PERSON_COURSE, RESOURCES
from toolkit.schemas.moments import EPOCH
from toolkit.schemas.passes import SPACES, passes

AnyFrame: TypeAlias = Any
"""A frame of any engine that `analyses.engines` lists."""

Lazy: TypeAlias = nw.LazyFrame[Any]
_LARGE = 1e300

# A course has a usual pass mark if at least 20 passes show it and the grade decides the pass for
# four of five learners; otherwise something else decides it.
FEWEST_PASSES, MOST_ON_THE_WRONG_SIDE = 20, 0.2

# Even a million learners a year arrive at two a minute: more at once were written by a script.
MOST_BY_CHANCE = 20
_SHARE = "share_at_same_moment"


@dataclass(frozen=True)
class Checked:
    """A frame that is checked."""

    name: str  # as in `checks.toml`
    data: AnyFrame
    key: tuple[str, ...]  # the columns that identify a row in the report
    n_records: int | None = None  # how many rows; None if counting takes a further pass
    wrong: Mapping[str, str] = field(default_factory=dict)  # why a column is not checked
    is_given: bool = True  # whether its rows are those the caller gave, in their order
    plain: AnyFrame | None = None  # the same rows before columns were joined to them

    @cached_property
    def rows(self) -> Rows:
        """Its rows, as they are counted."""
        return Rows.of(self.data, self.plain)


def taken(name: str, frame: AnyFrame) -> AnyFrame:
    """Return the frame to check; pandas and PyArrow frames become Polars.

    A pandas column without any value has no type; it gets the one it should have.
    """
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return frame
    if isinstance(frame, HasPersonCourse):
        raise ArgumentError(f"{name} must be a frame, not {type(frame).__name__}")
    try:
        native = as_stored(frame).to_native()
    except ArgumentError as error:
        raise ArgumentError(f"{name}: {error}") from error
    if not is_in_memory(frame):
        return native
    declared = RESOURCES[name].polars_schema if name in RESOURCES else {}
    read: pl.DataFrame = native.collect()
    is_untyped = {c for c, dtype in read.schema.items() if dtype == pl.Null or read.is_empty()}
    return read.cast({c: dtype for c, dtype in declared.items() if c in is_untyped})


def require_one_engine(given: Mapping[str, AnyFrame]) -> None:
    """Refuse frames of different engines, which cannot be joined."""
    engines = {name: as_stored(frame).implementation.value for name, frame in given.items()}
    if len(set(engines.values())) > 1:
        named = ", ".join(f"{name} of {engine}" for name, engine in engines.items())
        raise ArgumentError(
            f"the frames must be of one engine, since it joins them, not {named}. Write them to "
            "Parquet, and pass polars.scan_parquet(…) of each"
        )


def checked_frames(
    given: Mapping[str, AnyFrame],
    *,
    as_of: datetime | None,
    course_starts: Mapping[str, date] | None,
    whole: bool,
) -> list[Checked]:
    """Return the given resources and, if there are two or more, their join.

    The `whole` join has all columns, not only those that the toolkit's checks need.
    """
    found = [_resource(name, frame) for name, frame in given.items()]
    broken = [frame.name for frame in found if frame.wrong]
    if len(found) > 1 and broken:
        reason = f"columns of {', '.join(broken)} are wrong"
        wrong = dict.fromkeys(PERSON_COURSE.names, reason)
        found.append(
            Checked("person_course", PERSON_COURSE.empty(), PERSON_COURSE.key, wrong=wrong)
        )
    elif len(found) > 1:
        joined = _joined(given, as_of, course_starts)
        if not whole:
            needed = set().union(*(check.columns for check in checks("person_course")))
            there = joined.collect_schema().names()
            joined = joined.select(
                *(name for name in there if name in {*PERSON_COURSE.key, *needed})
            )
        data = joined.to_native()
        if all(isinstance(frame, pl.DataFrame) for frame in given.values()):
            data = data.collect()
        n_records = None if any(frame.n_records for frame in found) else 0
        wrong = {}
        if course_starts is not None and not _are_of_a_course(given, course_starts):
            wrong["course_start"] = "no record is of a course in course_starts"
        key = PERSON_COURSE.key
        found.append(Checked("person_course", data, key, n_records, wrong, is_given=False))
    return found


def _resource(name: str, frame: AnyFrame) -> Checked:
    table, rows = RESOURCES[name], as_stored(frame)
    schema = types(rows)
    wrong = {
        c.name: f"`{c.name}` is {schema[c.name]}" if c.name in schema else f"no column `{c.name}`"
        for c in table
        if schema.get(c.name) != c.dtype and (c.name in schema or c.name != "email")
    }
    has_letters = name == "grades" and "letter_grade" not in wrong
    plain = rows = with_passing_letter(rows) if has_letters else rows
    if has_letters and not wrong.keys() & {"course_id", "percent_grade"}:
        rows = with_pass_mark(rows)
    moment = {"grades": "passed_timestamp", "enrollments": "created"}.get(name)
    if moment and not wrong.keys() & {"course_id", moment}:
        rows = with_heaps(rows, plain, moment)
    for column in ("username", "course_id"):
        if column not in wrong:
            rows = with_spellings(rows, plain, column)
    given = Rows.of(frame)
    n_records = given.collect(given.lazy.select(nw.len())).item()
    found = Checked(name, planned_apart(rows).to_native(), table.key, n_records, wrong)
    if not isinstance(frame, pl.DataFrame):
        return replace(found, plain=plain.to_native())
    further = found.data.select(pl.exclude(frame.columns)).collect()
    return replace(found, data=frame.hstack(further))


def _joined(
    given: Mapping[str, AnyFrame], as_of: datetime | None, course_starts: Mapping[str, date] | None
) -> Lazy:
    """Return a person_course without the columns of resources that are not given."""
    natives = {name: _without_infinity(as_stored(frame)) for name, frame in given.items()}
    join = partial(
        person_course,
        natives.get("grades"),
        natives.get("enrollments"),
        natives.get("completion"),
        as_of=as_of or datetime.now(UTC),
    )
    try:
        joined = join()
    except SchemaError:  # a key is repeated; checking costs far less than taking the latest
        joined = join(duplicates="latest")
    rows = as_stored(joined).drop(*(f"in_{name}" for name in RESOURCES.keys() - given.keys()))
    if course_starts is None:
        return rows
    courses = nw.concat([as_stored(frame).select("course_id") for frame in given.values()]).unique()
    return _left_join(rows, courses.with_columns(course_start=_start(course_starts)), "course_id")


def _are_of_a_course(given: Mapping[str, AnyFrame], courses: Iterable[str]) -> bool:
    named = [*courses]
    if not named:
        return False
    of_these = nw.col("course_id").is_in(named)
    frames = map(Rows.of, given.values())
    return any(rows.collect(rows.lazy.select(rows.count([of_these]))).item() for rows in frames)


def _without_infinity(rows: Lazy) -> Any:
    """Make an infinite completion a large number, since `person_course` drops it in ClickHouse."""
    if rows.implementation.is_polars() or "completion" not in rows.collect_schema().names():
        return rows.to_native()
    seen = nw.col("completion")
    finite = nw.when(seen == math.inf).then(nw.lit(_LARGE)).otherwise(seen)
    return rows.with_columns(completion=finite).to_native()


def _start(course_starts: Mapping[str, date]) -> nw.Expr:
    of_day: dict[date, list[str]] = {}
    for course, day in course_starts.items():
        of_day.setdefault(day, []).append(course)
    days = [
        nw.when(nw.col("course_id").is_in(courses)).then(nw.lit(day))
        for day, courses in of_day.items()
    ]
    never = nw.when(nw.lit(False)).then(nw.lit(EPOCH.date()))  # noqa: FBT003
    return nw.coalesce(*days, never)


def _left_join(rows: Lazy, other: Lazy, *on: str) -> Lazy:
    """Join each row's match; in Polars, rows keep their order."""
    native = rows.to_native()
    if not isinstance(native, pl.LazyFrame):
        return rows.join(other, on=list(on), how="left")
    return nw.from_native(native.join(other.to_native(), on=on, how="left", maintain_order="left"))


def with_passing_letter(grades: Lazy) -> Lazy:
    """Add `passing_letter`: the letter grade if it is a pass, see `schemas.passes`."""
    letter = nw.when(passes()).then(nw.col("letter_grade")).alias("passing_letter")
    return grades.with_columns(letter)


def with_pass_mark(grades: Lazy) -> Lazy:
    """Add `usual_pass_mark`: the grade that best separates a course's passes from the others.

    That is the lowest grade with the fewest learners on its wrong side: passes below it, or
    learners without a pass at or above it. Null if the course has none.
    """
    grade, n, n_passed = nw.col("percent_grade"), nw.col("n"), nw.col("n_passed")
    at = ["course_id", "percent_grade"]
    sums = [nw.len().alias("n"), nw.col("passing_letter").count().alias("n_passed")]
    if grades.implementation.is_polars():
        levels = lazily(counted(grades, at, sums))
    else:
        levels = grades.group_by(at).agg(*sums)
    levels = levels.filter(grade * 0 == 0)  # neither null nor NaN, see `gx.rows`
    levels = levels.with_columns(nw.col("n", "n_passed").cast(nw.Int64))
    # On the wrong side of a mark: passes below it, and others at or above it.
    excess = nw.col("excess")
    wrong = (
        levels.with_columns(excess=n_passed + n_passed - n)
        .with_columns(
            below=excess.cum_sum().over("course_id", order_by="percent_grade") - excess,
            n=n.sum().over("course_id"),
            n_passed=n_passed.sum().over("course_id"),
        )
        .with_columns(wrong=(nw.col("below") + n - n_passed).cast(nw.Float64))
        .filter(
            n_passed >= FEWEST_PASSES,
            nw.col("wrong") <= MOST_ON_THE_WRONG_SIDE * n.cast(nw.Float64),
        )
    )
    marks = (
        wrong.with_columns(fewest=nw.col("wrong").min().over("course_id"))
        .filter(nw.col("wrong") == nw.col("fewest"))
        .group_by("course_id")
        .agg(usual_pass_mark=grade.min())
    )
    return _left_join(grades, _once(marks), "course_id")


def with_heaps(rows: Lazy, plain: Lazy, moment: str) -> Lazy:
    """Add the share of a course's records that have the moment; 0 if those are few.

    A moment at midnight has none either, because the platform gave only a day. Records are counted
    in `plain`: the same rows before any join.
    """
    dated = with_microseconds(plain.select("course_id", moment), {"at": moment})
    dated = dated.filter(nw.col("at") % MICROSECONDS_A_DAY != 0).select("course_id", moment)
    of_courses = dated.group_by("course_id").agg(of_course=nw.len())
    heaps = _heaps(dated, moment, number_of_rows(plain)).join(of_courses, on="course_id")
    number, share = nw.col("n", "of_course").cast(nw.Float64), nw.col(_SHARE)
    heaps = heaps.with_columns(number)
    shared = heaps.select("course_id", moment, (nw.col("n") / nw.col("of_course")).alias(_SHARE))
    joined = _left_join(rows, _once(shared), "course_id", moment)
    is_few = share.is_null() & ~nw.col(moment).is_null()
    return joined.with_columns(nw.when(is_few).then(nw.lit(0.0)).otherwise(share).alias(_SHARE))


def _heaps(dated: Lazy, moment: str, n_rows: int) -> Lazy:
    """Count the records of a course at one moment, where they are more than chance brings.

    There may be as many moments as records, so Polars counts a part of the moments at a time.
    """

    def of_part(part: Lazy) -> Lazy:
        sizes = part.group_by("course_id", moment).agg(n=nw.len())
        return sizes.filter(nw.col("n") > MOST_BY_CHANCE)

    n_parts = -(-n_rows // MOST_AT_ONCE)
    if n_parts < 2:
        return of_part(dated)
    parts = chain([dated.head(0)], in_parts(dated, moment, n_parts))  # no part if all are at 00:00
    return lazily(pl.concat(collected(of_part(part)) for part in parts))


def with_spellings(rows: Lazy, plain: Lazy, name: str) -> Lazy:
    """Add how many names in the column are the record's own but for case and white space.

    White space counts where it surrounds a name or is more than one space. Of two such names one is
    not in the plain form, so only few are compared, where most names are in it.
    """
    spelled, form, number = nw.col(name), nw.col("form"), nw.col(f"{name}_spellings")
    one_space = spelled.str.replace_all(f"[{SPACES}]+", " ").str.replace_all("^ | $", "")
    is_spaced = spelled.str.contains(f"[{SPACES}]")  # replacing takes longer, and few names are
    plain_form = nw.when(is_spaced).then(one_space).otherwise(spelled).str.to_lowercase()
    names = plain.select(name)
    if not names.implementation.is_polars():  # it would hold all of them in memory
        names = names.unique()
    names = names.with_columns(form=plain_form)
    odd = names.filter(spelled != form).select("form").unique()
    alike = names.join(odd, on="form", how="inner").unique()
    sizes = alike.group_by("form").agg(nw.len().cast(nw.Int64).alias(f"{name}_spellings"))
    several = alike.join(sizes.filter(number > 1), on="form", how="inner").drop("form")
    joined = _left_join(rows, _once(several), name)
    return joined.with_columns(
        nw.when(~spelled.is_null()).then(nw.coalesce(number, nw.lit(1))).alias(f"{name}_spellings")
    )


def _once(rows: Lazy) -> Lazy:
    """Return a small table, in Polars computed once rather than in each pass over the records."""
    return lazily(collected(rows)) if rows.implementation.is_polars() else rows
