"""The frames that are checked: the resources with columns derived for the checks.

A column is derived only if the columns it needs exist, so that a frame that lacks one is still
checked for everything else. LazyFrames stay lazy; for DataFrames the derivation is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.person_course import person_course
from toolkit.schemas import PERSON_COURSE, RESOURCES
from toolkit.schemas.passes import passes

AnyFrame = pl.DataFrame | pl.LazyFrame

# A course has a usual pass mark if at least 20 passes show it and the grade decides the pass for
# four of five learners; otherwise something else decides it.
FEWEST_PASSES, MOST_ON_THE_WRONG_SIDE = 20, 0.2


@dataclass(frozen=True)
class Checked:
    """A frame that is checked.

    Attributes:
        name: As in `checks.toml`.
        data: The frame.
        key: The columns that identify a row in the report.
        n_records: How many rows it has; None if counting them would take a further pass.
        wrong: Why a column cannot be checked, such as "`created` is String".
        is_given: Whether its rows are those the caller gave, in their order.
    """

    name: str
    data: AnyFrame
    key: tuple[str, ...]
    n_records: int | None = None
    wrong: Mapping[str, str] = field(default_factory=dict)
    is_given: bool = True


def checked_frames(
    resources: Mapping[str, AnyFrame | None],
    *,
    as_of: datetime | None,
    course_starts: Mapping[str, date] | None,
) -> list[Checked]:
    """Return the given resources and, if there are two or more, their join."""
    given = {name: frame for name, frame in resources.items() if frame is not None}
    found = [_resource(name, frame) for name, frame in given.items()]
    broken = [frame.name for frame in found if frame.wrong]
    if len(found) > 1 and broken:
        reason = f"columns of {', '.join(broken)} are wrong"
        wrong = dict.fromkeys(PERSON_COURSE.names, reason)
        found.append(
            Checked("person_course", PERSON_COURSE.empty(), PERSON_COURSE.key, wrong=wrong)
        )
    elif len(found) > 1:
        found.append(_joined(given, as_of, course_starts))
    return found


def _resource(name: str, frame: AnyFrame) -> Checked:
    table, schema = RESOURCES[name], frame.lazy().collect_schema()
    wrong = {
        c.name: f"`{c.name}` is {schema[c.name]}" if c.name in schema else f"no column `{c.name}`"
        for c in table
        if schema.get(c.name) != c.dtype and (c.name in schema or c.name != "email")
    }
    rows = frame.lazy()
    if name == "grades" and "letter_grade" not in wrong:
        rows = with_passing_letter(rows)
        if not wrong.keys() & {"course_id", "percent_grade"}:
            rows = with_pass_mark(rows)
    moment = {"grades": "passed_timestamp", "enrollments": "created"}.get(name)
    if moment and not wrong.keys() & {"course_id", moment}:
        rows = with_heaps(rows, moment)
    n_records = frame.lazy().select(pl.len()).collect(engine="streaming").item()
    return Checked(name, _as_given(rows, frame), table.key, n_records, wrong)


def _joined(
    given: Mapping[str, AnyFrame], as_of: datetime | None, course_starts: Mapping[str, date] | None
) -> Checked:
    """person_course, without the columns of resources that are not given."""
    lazy = {name: frame.lazy() for name, frame in given.items()}
    rows = person_course(
        lazy.get("grades"),
        lazy.get("enrollments"),
        lazy.get("completion"),
        as_of=as_of or datetime.now(UTC),
        duplicates="latest",
    )
    for name in RESOURCES.keys() - given.keys():
        rows = rows.drop(f"in_{name}")
    if course_starts is not None:
        start = pl.col("course_id").replace_strict(
            pl.Series(list(course_starts)),
            pl.Series(list(course_starts.values()), dtype=pl.Date),
            default=None,
        )
        rows = rows.with_columns(course_start=start)
    data = _as_given(rows, *given.values())
    return Checked("person_course", data, PERSON_COURSE.key, is_given=False)


def _as_given(rows: pl.LazyFrame, *frames: AnyFrame) -> AnyFrame:
    return rows if any(isinstance(f, pl.LazyFrame) for f in frames) else rows.collect()


def with_passing_letter(grades: pl.LazyFrame) -> pl.LazyFrame:
    """Add `passing_letter`: the letter grade if it is a pass, see `schemas.passes`."""
    letter = nw.when(passes()).then(nw.col("letter_grade")).alias("passing_letter")
    with_letter: pl.LazyFrame = nw.from_native(grades).with_columns(letter).to_native()
    return with_letter


def with_pass_mark(grades: pl.LazyFrame) -> pl.LazyFrame:
    """Add `usual_pass_mark`: the grade that best separates a course's passes from the others.

    That is the lowest grade with the fewest learners on its wrong side: passes below it, or
    learners without a pass at or above it. Null if the course has none.
    """
    levels = (
        grades.filter(pl.col("percent_grade").is_not_null())
        .group_by("course_id", "percent_grade")
        .agg(n=pl.len().cast(pl.Int64), n_passed=pl.col("passing_letter").count().cast(pl.Int64))
        .sort("course_id", "percent_grade")
    )
    others = pl.col("n") - pl.col("n_passed")
    passed_below = pl.col("n_passed").cum_sum() - pl.col("n_passed")
    others_not_below = others.sum() - others.cum_sum() + others
    marks = (
        levels.with_columns(wrong=(passed_below + others_not_below).over("course_id"))
        .group_by("course_id")
        .agg(
            pl.col("percent_grade").sort_by("wrong", "percent_grade").first(),
            pl.col("wrong").min(),
            pl.col("n", "n_passed").sum(),
        )
        .filter(
            pl.col("n_passed") >= FEWEST_PASSES,
            pl.col("wrong") <= MOST_ON_THE_WRONG_SIDE * pl.col("n"),
        )
        .select("course_id", pl.col("percent_grade").alias("usual_pass_mark"))
    )
    return grades.join(marks, on="course_id", how="left", maintain_order="left")


def with_heaps(frame: pl.LazyFrame, moment: str) -> pl.LazyFrame:
    """Add how many of a course's records share the moment, as a number and as a share.

    Moments at midnight are left out, because there the platform gave only a day.
    """
    sizes = (
        frame.filter(pl.col(moment).dt.time() != pl.time(0, 0))
        .group_by("course_id", moment)
        .agg(n_at_same_moment=pl.len().cast(pl.Int64))
        .with_columns(
            share_at_same_moment=pl.col("n_at_same_moment")
            / pl.col("n_at_same_moment").sum().over("course_id")
        )
        .filter(pl.col("n_at_same_moment") > 1)
    )
    return frame.join(sizes, on=["course_id", moment], how="left", maintain_order="left")
