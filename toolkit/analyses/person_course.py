"""Join grades, enrollments and completion: one row per learner per course."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Literal, TypeVar

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import Frame, counted, lazily, require_person_course
from toolkit.analyses.engines import (
    MICROSECONDS_A_DAY,
    collected,
    is_in_memory,
    planned_apart,
    with_microseconds,
)
from toolkit.analyses.grouping import Groups, count_by
from toolkit.errors import ArgumentError, SchemaError
from toolkit.loading.ranges import ranges, read_in_parts
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.results.result import Result
from toolkit.schemas import (
    COMPLETION,
    ENROLLMENTS,
    GRADES,
    PERSON_COURSE,
    RESOURCES,
    TIMESTAMP,
    Table,
    require_columns,
)
from toolkit.schemas.arguments import one_of
from toolkit.schemas.moments import EPOCH, When, in_microseconds, moment_observed
from toolkit.schemas.outcome_results import MATCH_COUNTS
from toolkit.schemas.passes import PassRule, pass_rule_in_words, passes

F = TypeVar("F")
Rows = nw.LazyFrame[Any]

KEY = ["username", "course_id"]
COURSE_ID = r"^course-v1:[^+]+\+[^+]+\+[^+]+$"
# The patterns to remove from such an id, one after the other, to leave each of its parts.
PARTS = {
    "org": (r"^course-v1:", r"\+[^+]+\+[^+]+$"),
    "course_number": (r"^course-v1:[^+]+\+", r"\+[^+]+$"),
    "course_run": (r"^course-v1:[^+]+\+[^+]+\+",),
}
MOMENTS = {"_created": "created", "_passed": "passed_timestamp"}
OF_RIGHT = "_of_right"
MOST_JOINED = 1_500_000
"""The most records of all resources together that Polars joins at once when it reads files."""

# The latest of several records is the greatest in the first column, then in the next. Completion
# has no date; completed content stays completed, so the highest is the latest.
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

    The join keeps every record; `in_grades`, `in_enrollments` and `in_completion` say which
    resources had it (`match_counts` counts them). Rows come in the order of grades, then those that
    only enrollments had, then those that only completion had; in a LazyFrame that reads more than
    1.5 million records of all resources, in this order within each range of usernames. If a record
    lacks the name of its course, other learners' records supply it.

    `pass_rule` decides who passed, for every analysis. By default any letter grade except F, Fail,
    Failed, Not Passing and Not Passed is a pass. `passed_timestamp` and the columns computed from
    it are kept for passes only; `pass_time_unused` marks the other records that had one, and
    `match_counts` counts them. With a mark, the time of a pass is still the platform's.

    The frames are joined in their own engine, and the result is a frame of it; for pandas and
    PyArrow, a Polars DataFrame. A lazy engine reads the keys once beforehand, to refuse duplicates;
    with `duplicates="latest"` it reads nothing, except the courses if each has a mark. Engines
    other than Polars guarantee no row order and cannot compute `record_key`: their frames lack it,
    and the rounding at release is drawn per group.

    If files hold many rows, Polars joins one range of learners at a time, in memory that does not
    grow with the rows. It then reads learners and courses beforehand and looks up each range in the
    files, which is fast if they are sorted by username, as a snapshot's are.

    Args:
        grades: The frame of `load_grades`, or None; likewise the next two. Email is not needed.
        enrollments: The frame of `load_enrollments`, or None.
        completion: The frame of `load_completion`, or None. Columns that only a missing resource
            could fill are false or null: without grades nobody has passed.
        as_of: The moment the data describe, usually `provenance.as_of`: a date (its 00:00 UTC), a
            datetime, or either as text. A time without a zone is UTC.
        pass_rule: "letter"; several letters, `{"A", "B"}`; the lowest percent_grade that is a pass,
            `0.6`; or such a mark for each course_id. Case and spaces in letters make no difference,
            and an empty letter is never a pass.
        duplicates: What to do if a resource has a learner and course twice. None raises an error.
            "latest" takes the record with the latest `last_date` of grades (then the latest
            `passed_timestamp`, then the highest grade), the latest `created` of enrollments
            (then an active one), the highest `completion`; null is earliest and lowest.
        now: The current time, by default the computer's. An `as_of` more than a day later is
            refused: it would add follow-up that nobody has observed.

    Returns:
        The columns of `schemas.PERSON_COURSE`. `passed` is False if grades had no record;
        `pass_rule` says in every row what counted as a pass. `record_key` keys the rounding at
        release; see `release.pseudonyms.record_keys`.

    Raises:
        SchemaError: A column is missing, or a learner and course come twice.
        ArgumentError: `as_of` is not a moment or lies in the future, a course of grades has no
            mark, or the frames are not all of one kind and of a supported engine.

    Examples:
        >>> seen = pl.DataFrame({"username": ["u1"], "course_id": ["course-v1:Org+CS+R1"],
        ...     "completion": [0.25]})
        >>> pc = person_course(None, None, seen, as_of="2026-01-01")
        >>> pc.select("course_run", "in_grades", "in_completion", "completion").rows()
        [('R1', False, True, 0.25)]
    """
    moment, passed = moment_observed(as_of, now=now), passes(pass_rule)
    one_of(duplicates, (None, "latest"), name="duplicates")
    given: dict[str, Any] = {GRADES.name: grades, ENROLLMENTS.name: enrollments}
    given |= {COMPLETION.name: completion}
    given = {name: frame for name, frame in given.items() if frame is not None}
    if len({type(frame) for frame in given.values()}) != 1:
        kinds = dict.fromkeys(type(frame).__name__ for frame in given.values())
        raise ArgumentError(
            "person_course needs at least one frame, and all of one kind; got "
            + (", ".join(kinds) or "none")
        )
    wanted = {name: _wanted(frame, RESOURCES[name]) for name, frame in given.items()}
    in_memory = is_in_memory(next(iter(given.values())))
    parts = [wanted] if in_memory else list(_by_learners(wanted))
    if duplicates is None:
        for name in wanted:
            _refuse_duplicates([part[name] for part in parts], name)
    if GRADES.name in wanted and isinstance(pass_rule, Mapping):
        _require_marks(wanted[GRADES.name], pass_rule)
    resources = [
        {name: _resource(rows, name, passed, duplicates) for name, rows in part.items()}
        for part in parts
    ]
    courses = _courses(resources)
    rule, seen = nw.lit(pass_rule_in_words(pass_rule)), nw.lit(moment)
    joined = [_joined(part, courses, rule, seen, in_microseconds(moment)) for part in resources]
    native: Any = joined[0] if len(joined) == 1 else read_in_parts(joined)
    made: F = native.collect() if in_memory else native
    return made


def match_counts(pc: Frame) -> Result:
    """Count records by the resources that had them, passes without a time, and unused pass times.

    One row per combination of `in_grades`, `in_enrollments` and `in_completion` that occurs, the
    most frequent first, with the columns of `schemas.outcome_results.MATCH_COUNTS`. If all three
    are true in the only row, everything matched.

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
        "n_records": ~nw.col("in_grades").is_null(),
        "n_passes_undated": nw.col("passed") & undated,
        "n_pass_times_unused": nw.col("pass_time_unused"),
    }
    rows, groups = lazily(pc), Groups(tuple(by))
    need = [*by, "passed", "passed_timestamp", "pass_time_unused"]
    require_person_course(rows.collect_schema(), need)
    counted = count_by(rows, groups, counts).pipe(groups.named)
    result = Result.from_counts(MATCH_COUNTS, [], counted.n, lambda n: n, keys=counted.keys)
    return result.sort("n_records", *by, descending=[True, False, False, False], nulls_last=True)


def _wanted(frame: Any, table: Table) -> Rows:
    """Return the resource without email, which is not needed."""
    rows = lazily(frame)
    wanted = [name for name in table.names if name != "email"]
    require_columns(rows.collect_schema().names(), wanted, what=table.name)
    return rows.select(*wanted)


def _by_learners(wanted: dict[str, Rows]) -> Iterator[dict[str, Rows]]:
    """Yield the resources as they are or, if files hold many rows, in ranges of learners."""
    natives = {name: rows.to_native() for name, rows in wanted.items()}
    learners = ranges([*natives.values()], "username", most=MOST_JOINED)
    if len(learners) < 2:
        yield wanted
        return
    for those in learners:
        yield {name: nw.from_native(native.filter(those)) for name, native in natives.items()}


def _resource(rows: Rows, name: str, passed: nw.Expr, duplicates: Literal["latest"] | None) -> Rows:
    """Return the resource with one row per key, flagged as present and, in Polars, numbered."""
    rows = rows.with_columns(nw.lit(True).alias(f"in_{name}"))  # noqa: FBT003
    if rows.implementation.is_polars():
        place = pl.int_range(pl.len(), dtype=pl.UInt32).alias(f"place_in_{name}")
        rows = nw.from_native(rows.to_native().with_columns(place))
    if duplicates == "latest":
        rows = rows.unique(KEY, keep="last", order_by=LATEST[name])
    return rows.with_columns(passed=passed) if name == GRADES.name else rows


def _refuse_duplicates(parts: Sequence[Rows], name: str) -> None:
    """Raise if a key is repeated; the message names no learner."""
    found = pl.concat([_repeated(rows) for rows in parts])
    if found.height:
        raise SchemaError(
            f"{name} has {found['n'].sum():,} records where {found['keys'].sum():,} would do (the "
            f"same learner and course twice), in courses: {found['course_id'].n_unique():,}. Find "
            'out why, or take the latest of each: person_course(…, duplicates="latest")'
        )


def _repeated(rows: Rows) -> pl.DataFrame:
    """Return, for each course, the number of repeated keys and of their records."""
    native = rows.to_native()
    twice = (
        rows.group_by(KEY, drop_null_keys=False).agg(nw.len().alias("n")).filter(nw.col("n") > 1)
    )
    if isinstance(native, pl.LazyFrame):
        # Distinct hashes prove distinct keys, quickly; the keys are compared only if two are equal.
        hashed = native.select(pl.struct(KEY).hash().alias("key"))
        total, distinct = hashed.select(pl.len(), pl.col("key").n_unique()).collect().row(0)
        if total == distinct:
            twice = twice.head(0)
    return counted(twice, ["course_id"], [nw.len().alias("keys"), nw.col("n").sum()])


def _joined(
    resources: Mapping[str, Rows], courses: Rows, rule: nw.Expr, seen: nw.Expr, as_of: int
) -> Any:
    """Return the joined rows of the resources, as a frame of their engine."""
    joined = reduce(_full_join, resources.values())
    rows = joined.with_columns(*_absent(joined), as_of=seen, pass_rule=rule)
    rows = _derived(_in_order(rows.join(courses, on="course_id", how="left")), as_of)
    there = rows.collect_schema().names()
    rows = rows.select(name for name in PERSON_COURSE.names if name in there)
    return planned_apart(rows).to_native()


def _full_join(left: Rows, right: Rows) -> Rows:
    """Join both on learner and course, and keep the rows of each."""
    both = left.join(right, on=KEY, how="full", suffix=OF_RIGHT)
    keys = (nw.coalesce(name, f"{name}{OF_RIGHT}").alias(name) for name in KEY)
    return both.with_columns(*keys).drop(*(f"{name}{OF_RIGHT}" for name in KEY))


def _absent(joined: Rows) -> list[nw.Expr]:
    """Return the columns of the missing resources, as nulls of their types."""
    there = joined.collect_schema().names()
    of_type: dict[Any, Any] = {
        pl.String: "",
        pl.Float64: 0.0,
        pl.Boolean: False,
        pl.Date: EPOCH.date(),
        TIMESTAMP: EPOCH,
    }
    columns = [column for table in RESOURCES.values() for column in table if column.name != "email"]
    columns += [PERSON_COURSE["passed"], *(PERSON_COURSE[f"in_{name}"] for name in RESOURCES)]
    never = nw.lit(False)  # noqa: FBT003
    return [
        nw.when(never).then(nw.lit(of_type[column.dtype])).alias(column.name)
        for column in dict.fromkeys(columns)
        if column.name not in there
    ]


def _courses(parts: Sequence[Mapping[str, Rows]]) -> Rows:
    """Return each course once, with its name and the parts of its id."""
    found = [_names_of_courses(resources) for resources in parts]
    if len(found) > 1:
        read = pl.concat([collected(names) for names in found])
        found = [nw.from_native(read.lazy().group_by("course_id").agg(pl.col("course_name").min()))]
    is_whole, course = nw.col("course_id").str.contains(COURSE_ID), nw.col("course_id")
    parts_of_id = (
        nw.when(is_whole)
        .then(reduce(lambda text, gone: text.str.replace_all(gone, ""), taken, course))
        .alias(name)
        for name, taken in PARTS.items()
    )
    return found[0].with_columns(*parts_of_id)


def _names_of_courses(resources: Mapping[str, Rows]) -> Rows:
    unnamed = nw.when(nw.lit(False)).then(nw.lit("")).alias("course_name")  # noqa: FBT003
    records = [
        rows.select("course_id", nw.col("display_name").cast(nw.String).alias("course_name"))
        if name == GRADES.name
        else rows.select("course_id", unnamed)
        for name, rows in resources.items()
    ]
    return nw.concat(records).group_by("course_id").agg(nw.col("course_name").min())


def _require_marks(scores: Rows, marks: Mapping[str, float]) -> None:
    courses = counted(scores, ["course_id"], [nw.len().alias("n")])["course_id"].drop_nulls()
    missing = courses.filter(~courses.is_in(list(marks))).sort().to_list()
    if missing:
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        raise ArgumentError(
            f"pass_rule has no mark for {', '.join(map(str, missing[:3]))}{more}; give one for "
            "each course of grades, or leave these courses out"
        )


def _in_order(rows: Rows) -> Rows:
    """Sort Polars rows in the order of the resources, and append `record_key`."""
    native = rows.to_native()
    if not isinstance(native, pl.LazyFrame):
        return rows
    # Sorting by place is much cheaper than joins that keep the order.
    places = [f"place_in_{name}" for name in RESOURCES]
    there = native.collect_schema().names()
    ordered = native.sort([place for place in places if place in there], nulls_last=True)
    keyed = ordered.with_columns(record_keys(release_secret()))
    return nw.from_native(keyed)


def _derived(rows: Rows, as_of: int) -> Rows:
    """Fill in the flags and names, and append the columns that person_course computes."""
    known = ("in_grades", "in_enrollments", "in_completion", "passed")
    passed, passed_at = nw.col("passed"), nw.col("passed_timestamp")
    rows = rows.with_columns(
        *(nw.coalesce(nw.col(name), nw.lit(False)).alias(name) for name in known),  # noqa: FBT003
        nw.coalesce("display_name", "course_name", "course_id").alias("display_name"),
    )
    rows = rows.with_columns(
        nw.when(passed).then(passed_at).alias("passed_timestamp"),
        (~passed & ~passed_at.is_null()).alias("pass_time_unused"),
    )
    created, passed_us = (nw.col(name) for name in MOMENTS)
    return with_microseconds(rows, MOMENTS).with_columns(
        (created // MICROSECONDS_A_DAY).cast(nw.Int32).alias("enrolled_day"),
        (passed_us // MICROSECONDS_A_DAY).cast(nw.Int32).alias("passed_day"),
        ((passed_us - created).cast(nw.Float64) / MICROSECONDS_A_DAY).alias("days_to_pass"),
        ((as_of - created).cast(nw.Float64) / MICROSECONDS_A_DAY).alias("observed_days"),
    )
