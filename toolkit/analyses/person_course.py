"""One row per learner per course, from the three resources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeVar

import narwhals as nw
import polars as pl

from toolkit.analyses.counting import Frame, grouped
from toolkit.errors import SchemaError
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.schemas import (
    COMPLETION,
    ENROLLMENTS,
    GRADES,
    PERSON_COURSE,
    TIMESTAMP,
    Table,
    require_columns,
)

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)

KEY = ["username", "course_id"]
COURSE_ID = r"^course-v1:([^+]+)\+([^+]+)\+([^+]+)$"
MICROSECONDS_A_DAY = 86_400_000_000

# The record that counts as the latest of several: the greatest in the first column, then in the
# next. Completion has no date; content once completed stays so, hence the highest is the latest.
LATEST = {
    GRADES.name: ["last_date", "passed_timestamp", "percent_grade", "letter_grade", "display_name"],
    ENROLLMENTS.name: ["created", "is_active", "mode"],
    COMPLETION.name: ["completion"],
}


def person_course(
    grades: F | None,
    enrollments: F | None,
    completion: F | None,
    *,
    as_of: datetime,
    duplicates: Literal["latest"] | None = None,
) -> F:
    """Join the three resources into one row per learner per course.

    The join keeps every record of each; `in_grades`, `in_enrollments` and `in_completion` say
    which had it (`match_counts` counts them). Rows come in the order of grades, then of what only
    enrollments had, then of what only completion had. A course's name is filled in where only
    other learners' records carry it.

    Given LazyFrames it returns one, and reads their keys once beforehand, to refuse duplicates;
    with `duplicates="latest"` nothing is read beforehand.

    Args:
        grades: The frame of `load_grades`, or None; likewise the next two. Email is not needed.
        enrollments: The frame of `load_enrollments`, or None.
        completion: The frame of `load_completion`, or None. What only a missing resource could
            tell is false or null: without grades nobody has passed.
        as_of: The moment the data speak of, usually `provenance.as_of`; naive means UTC.
        duplicates: What to do where a resource has a learner and course twice. None refuses.
            "latest" takes the record with the latest `last_date` of grades (then the latest
            `passed_timestamp`, then the highest grade), the latest `created` of enrollments
            (then an active one), the highest `completion`; null is earliest and lowest.

    Returns:
        The columns of `schemas.PERSON_COURSE`. `passed` is the platform's verdict: there is a
        letter grade; so it is False where grades had no record. `record_key` keys the rounding of
        what is released; see `release.pseudonyms.record_keys`.

    Raises:
        SchemaError: A column is missing, keys are duplicate, `as_of` is no moment, DataFrames
            and LazyFrames are mixed, or no frame was given.

    Examples:
        >>> from datetime import datetime
        >>> seen = pl.DataFrame({"username": ["u1"], "course_id": ["course-v1:Org+CS+R1"],
        ...     "completion": [0.25]})
        >>> pc = person_course(None, None, seen, as_of=datetime(2026, 1, 1))
        >>> pc.select("course_run", "in_grades", "in_completion", "completion").rows()
        [('R1', False, True, 0.25)]
    """
    moment = _moment(as_of)
    given = [frame for frame in (grades, enrollments, completion) if frame is not None]
    if len({isinstance(frame, pl.LazyFrame) for frame in given}) != 1:
        raise SchemaError("person_course needs DataFrames or LazyFrames, one kind, one at least")
    scores, enrolled, seen = (
        _resource(frame, table, duplicates)
        for frame, table in ((grades, GRADES), (enrollments, ENROLLMENTS), (completion, COMPLETION))
    )
    joined = _full_join(_full_join(scores, enrolled), seen)
    courses = _courses([scores, enrolled, seen])
    named = joined.join(courses, on="course_id", how="left")
    # Sorting by place is much cheaper than joins that keep the order.
    places = [f"place_in_{table.name}" for table in (GRADES, ENROLLMENTS, COMPLETION)]
    ordered = named.sort(places, nulls_last=True)
    rows = ordered.with_columns(*_derived(moment)).select(PERSON_COURSE.names)
    return rows if isinstance(given[0], pl.LazyFrame) else rows.collect()


def match_counts(pc: Frame) -> pl.DataFrame:
    """Count how many records which resources had.

    One row per combination of `in_grades`, `in_enrollments` and `in_completion` that occurs, the
    most frequent first, with `n_records`. A first row with three times true, alone, means that
    everything matched.

    Args:
        pc: A person_course frame of any engine.

    Examples:
        >>> pc = pl.DataFrame({"in_grades": [True, True], "in_enrollments": [True, False],
        ...     "in_completion": [True, True]})
        >>> match_counts(pc).rows()
        [(True, False, True, 1), (True, True, True, 1)]
    """
    by = ["in_grades", "in_enrollments", "in_completion"]
    counted = grouped(pc, by, [nw.len().alias("n_records")])
    return counted.sort("n_records", *by, descending=[True, False, False, False])


def _moment(as_of: datetime) -> datetime:
    if not isinstance(as_of, datetime):
        raise SchemaError(
            f"as_of must be the moment the data speak of, a datetime; got {type(as_of).__name__}"
        )
    return as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)


def _resource(
    frame: pl.DataFrame | pl.LazyFrame | None,
    table: Table,
    duplicates: Literal["latest"] | None,
) -> pl.LazyFrame:
    """The resource lazily: without email, one row a key, flagged as present."""
    rows = table.empty().lazy() if frame is None else frame.lazy()
    wanted = [name for name in table.names if name != "email"]
    require_columns(rows.collect_schema().names(), wanted, what=table.name)
    rows = rows.select(wanted)
    if duplicates == "latest":
        rows = rows.sort(LATEST[table.name], descending=True, nulls_last=True).unique(
            KEY, keep="first", maintain_order=True
        )
    elif duplicates is None:
        _refuse_duplicates(rows, table)
    else:
        raise SchemaError(f'duplicates must be None or "latest", not {duplicates!r}')
    place = pl.int_range(pl.len(), dtype=pl.UInt32).alias(f"place_in_{table.name}")
    return rows.with_columns(place, pl.lit(value=True).alias(f"in_{table.name}"))


def _refuse_duplicates(rows: pl.LazyFrame, table: Table) -> None:
    """Raise where a key comes twice; names no learner."""
    hashed = rows.select(pl.struct(KEY).hash().alias("key"))
    # Distinct hashes prove distinct keys; only where two are alike are the keys themselves counted.
    total, distinct = hashed.select(pl.len(), pl.col("key").n_unique()).collect().row(0)
    if total == distinct:
        return
    twice = rows.group_by(KEY).agg(n=pl.len()).filter(pl.col("n") > 1)
    n_keys, n_records, n_courses = (
        twice.select(keys=pl.len(), records=pl.col("n").sum(), courses=pl.n_unique("course_id"))
        .collect()
        .row(0)
    )
    if n_keys:
        raise SchemaError(
            f"{table.name} has {n_records:,} records where {n_keys:,} would do (the same learner "
            f"and course twice), in courses: {n_courses:,}. Find out why, or take the latest of "
            'each: person_course(…, duplicates="latest")'
        )


def _full_join(left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
    return left.join(right, on=KEY, how="full", coalesce=True)


def _courses(resources: list[pl.LazyFrame]) -> pl.LazyFrame:
    """Each course once, with what its id and any of its records say of it."""
    records = [frame.select(pl.col("^course_id|display_name$")) for frame in resources]
    course, parts = pl.col("course_id"), ("org", "course_number", "course_run")
    return (
        pl.concat(records, how="diagonal")
        .group_by("course_id")
        .agg(pl.col("display_name").min().alias("course_name"))
        .with_columns(
            course.str.extract(COURSE_ID, part).alias(name) for part, name in enumerate(parts, 1)
        )
    )


def _derived(moment: datetime) -> list[pl.Expr]:
    """The columns that person_course adds, from those of the resources."""
    created, passed_at = pl.col("created"), pl.col("passed_timestamp")
    as_of = pl.lit(moment, dtype=TIMESTAMP)
    return [
        pl.coalesce("display_name", "course_name").alias("display_name"),
        pl.col("in_grades", "in_enrollments", "in_completion").fill_null(value=False),
        pl.col("letter_grade").is_not_null().alias("passed"),
        created.dt.date().cast(pl.Int32).alias("enrolled_day"),
        passed_at.dt.date().cast(pl.Int32).alias("passed_day"),
        _days(passed_at - created).alias("days_to_pass"),
        _days(as_of - created).alias("observed_days"),
        as_of.alias("as_of"),
        record_keys("username", "course_id", release_secret()),
    ]


def _days(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / MICROSECONDS_A_DAY
