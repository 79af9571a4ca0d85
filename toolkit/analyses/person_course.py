"""One row per learner per course, from the three resources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import Frame, flag, lazily
from toolkit.analyses.grouping import Groups, count_by
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.results.result import Result
from toolkit.schemas import (
    COMPLETION,
    ENROLLMENTS,
    GRADES,
    PERSON_COURSE,
    TIMESTAMP,
    Table,
    require_columns,
)
from toolkit.schemas.arguments import one_of
from toolkit.schemas.moments import When, moment_observed
from toolkit.schemas.outcome_results import MATCH_COUNTS
from toolkit.schemas.passes import PassRule, pass_rule_in_words, passes

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
    as_of: When,
    pass_rule: PassRule = "letter",  # noqa: S107
    duplicates: Literal["latest"] | None = None,
    now: datetime | None = None,
) -> F:
    """Join the three resources into one row per learner per course.

    The join keeps every record of each; `in_grades`, `in_enrollments` and `in_completion` say
    which had it (`match_counts` counts them). Rows come in the order of grades, then of what only
    enrollments had, then of what only completion had. A course's name is filled in where only
    other learners' records carry it.

    Who passed is decided here, by `pass_rule`, for every analysis. By default a pass is any letter
    grade but F, Fail, Failed, Not Passing and Not Passed. `passed_timestamp` and what follows from
    it are kept of passes only; `pass_time_unused` marks the other records that had one, and
    `match_counts` counts them. With a mark the time of a pass remains the platform's.

    Given LazyFrames it returns one, and reads their keys once beforehand, to refuse duplicates;
    with `duplicates="latest"` nothing is read beforehand, but for the courses if each has a mark.

    Args:
        grades: The frame of `load_grades`, or None; likewise the next two. Email is not needed.
        enrollments: The frame of `load_enrollments`, or None.
        completion: The frame of `load_completion`, or None. What only a missing resource could
            tell is false or null: without grades nobody has passed.
        as_of: The moment the data speak of, usually `provenance.as_of`: a date (its 00:00 UTC), a
            datetime, or either as text. A time without a zone is UTC.
        pass_rule: "letter"; several letters, `{"A", "B"}`; a mark from which a percent_grade is a
            pass, `0.6`; or a mark for each course_id. In letters case and spaces make no
            difference, and an empty one is none.
        duplicates: What to do where a resource has a learner and course twice. None refuses.
            "latest" takes the record with the latest `last_date` of grades (then the latest
            `passed_timestamp`, then the highest grade), the latest `created` of enrollments
            (then an active one), the highest `completion`; null is earliest and lowest.
        now: The time it is, by default the computer's. An `as_of` more than a day ahead of it is
            refused: it would add follow-up that nobody has seen.

    Returns:
        The columns of `schemas.PERSON_COURSE`. `passed` is False where grades had no record;
        `pass_rule` says in every row what counted as a pass. `record_key` keys the
        rounding of what is released; see `release.pseudonyms.record_keys`.

    Raises:
        SchemaError: A column is missing, or keys are duplicate.
        ArgumentError: `as_of` is no moment or still to come, a course of grades has no mark, or
            what was given is neither all DataFrames nor all LazyFrames.

    Examples:
        >>> seen = pl.DataFrame({"username": ["u1"], "course_id": ["course-v1:Org+CS+R1"],
        ...     "completion": [0.25]})
        >>> pc = person_course(None, None, seen, as_of="2026-01-01")
        >>> pc.select("course_run", "in_grades", "in_completion", "completion").rows()
        [('R1', False, True, 0.25)]
    """
    moment, passed = moment_observed(as_of, now=now), passes(pass_rule)
    given = [frame for frame in (grades, enrollments, completion) if frame is not None]
    if {type(frame) for frame in given} not in ({pl.DataFrame}, {pl.LazyFrame}):
        raise ArgumentError(
            "person_course needs Polars DataFrames or LazyFrames, one kind, one at least; got "
            + (", ".join(dict.fromkeys(type(frame).__name__ for frame in given)) or "none")
        )
    one_of(duplicates, (None, "latest"), name="duplicates")
    scores, enrolled, seen = (
        _resource(frame, table, duplicates)
        for frame, table in ((grades, GRADES), (enrollments, ENROLLMENTS), (completion, COMPLETION))
    )
    if isinstance(pass_rule, Mapping):
        _require_marks(scores, pass_rule)
    scores = nw.from_native(scores).with_columns(passed=passed).to_native()
    joined = _full_join(_full_join(scores, enrolled), seen)
    courses = _courses([scores, enrolled, seen])
    named = joined.join(courses, on="course_id", how="left")
    # Sorting by place is much cheaper than joins that keep the order.
    places = [f"place_in_{table.name}" for table in (GRADES, ENROLLMENTS, COMPLETION)]
    ordered = named.sort(places, nulls_last=True)
    for columns in _derived(moment, pass_rule_in_words(pass_rule)):
        ordered = ordered.with_columns(columns)
    rows = ordered.select(PERSON_COURSE.names)
    return rows if isinstance(given[0], pl.LazyFrame) else rows.collect()


def match_counts(pc: Frame) -> Result:
    """Count how many records which resources had, and passes and pass times without the other.

    One row per combination of `in_grades`, `in_enrollments` and `in_completion` that occurs, the
    most frequent first, with the columns of `schemas.outcome_results.MATCH_COUNTS`. A first row
    with three times true, alone, means that everything matched.

    Args:
        pc: A person_course frame of any engine.

    Raises:
        SchemaError: A column is missing.

    Examples:
        >>> seen = pl.DataFrame({"username": ["u1"], "course_id": ["c"], "completion": [0.25]})
        >>> match_counts(person_course(None, None, seen, as_of="2026-01-01")).frame.rows()
        [(False, False, True, 1, 0, 0)]
    """
    by = ["in_grades", "in_enrollments", "in_completion"]
    undated = nw.col("passed_timestamp").is_null()
    counts = {
        "n_records": flag(~nw.col("in_grades").is_null()),
        "n_passes_undated": flag(nw.col("passed"), undated),
        "n_pass_times_unused": flag(nw.col("pass_time_unused")),
    }
    rows, groups = lazily(pc), Groups(tuple(by))
    need = [*by, "passed", "passed_timestamp", "pass_time_unused"]
    require_columns(rows.collect_schema().names(), need, what="person_course")
    counted = count_by(rows, groups, counts).pipe(groups.named)
    result = Result.from_counts(MATCH_COUNTS, [], counted.n, lambda n: n, keys=counted.keys)
    return result.sort("n_records", *by, descending=[True, False, False, False], nulls_last=True)


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
    else:
        _refuse_duplicates(rows, table)
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


def _require_marks(scores: pl.LazyFrame, marks: Mapping[str, float]) -> None:
    """Raise where a course of grades has no mark."""
    course = pl.col("course_id")
    without = scores.select(course.unique()).filter(~course.is_in(list(marks))).collect()
    missing = without["course_id"].sort().to_list()
    if missing:
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        raise ArgumentError(
            f"pass_rule has no mark for {', '.join(map(str, missing[:3]))}{more}; give one for "
            "each course of grades, or leave these courses out"
        )


def _derived(moment: datetime, rule: str) -> list[list[pl.Expr]]:
    """The columns that person_course adds, from those of the resources, step by step."""
    created, passed, passed_at = pl.col("created"), pl.col("passed"), pl.col("passed_timestamp")
    as_of = pl.lit(moment, dtype=TIMESTAMP)
    return [
        [
            pl.coalesce("display_name", "course_name").alias("display_name"),
            pl.col("in_grades", "in_enrollments", "in_completion", "passed").fill_null(value=False),
            created.dt.date().cast(pl.Int32).alias("enrolled_day"),
            _days(as_of - created).alias("observed_days"),
            as_of.alias("as_of"),
            pl.lit(rule).alias("pass_rule"),
            record_keys("username", "course_id", release_secret()),
        ],
        [
            pl.when(passed).then(passed_at),
            (~passed & passed_at.is_not_null()).alias("pass_time_unused"),
        ],
        [
            passed_at.dt.date().cast(pl.Int32).alias("passed_day"),
            _days(passed_at - created).alias("days_to_pass"),
        ],
    ]


def _days(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / MICROSECONDS_A_DAY
