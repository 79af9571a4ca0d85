"""Learners' paths: repeated courses, and transitions between courses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.copies import MOST_AT_ONCE, in_parts
from toolkit.analyses.counting import Frame, flag, grouped, latest_moment, records
from toolkit.analyses.grouping import KEY
from toolkit.analyses.intervals import LEVEL, rate
from toolkit.analyses.stages import ENROLLED
from toolkit.release.rounding import keys_of_groups
from toolkit.release.tables import UNLIKE
from toolkit.results.result import Displayed, Result
from toolkit.schemas.arguments import a_level, a_whole_number
from toolkit.schemas.moments import EPOCH
from toolkit.schemas.outcome_results import ANY_COURSE, REPEATS, TRANSITIONS

_OF_BOTH = ["username", "enrolled_day", "passed_day", "passed", "percent_grade"]
NEEDED = [*_OF_BOTH, "course_id", "org", "course_number", "in_enrollments", "as_of"]
JOINED = [*_OF_BOTH, "course", "in_time", "key", "key_in_time"]
KINDS = ["course", "is_dated", "first_passes", "passes", "first_grade", "best_grade"]


@dataclass(frozen=True, slots=True, repr=False)
class LearnerPaths(Displayed):
    """What `learner_paths` found.

    Attributes:
        repeats: One row per course, over all its runs (`schemas.outcome_results.REPEATS`).
        transitions: One row per pair of courses (`schemas.outcome_results.TRANSITIONS`).
    """

    repeats: Result
    transitions: Result


def learner_paths(pc: Frame, *, within_days: int = 180, level: float = LEVEL) -> LearnerPaths:
    """Count who repeats a course, and who goes on from one course to another.

    A course is the organisation and number of the course id, over all runs; an id of another form
    is a course by itself. The first run is the one enrolled in first; of several on that day, the
    best result counts; without any date, no run is the first.

    A transition is a learner who passed one course and enrolled in another on the day of the pass
    or at most `within_days` later. Only passes count of which all these days were over at `as_of`,
    so a missing transition did not happen. A learner may go on to several courses.

    Args:
        pc: A person_course frame of any engine. No username leaves it.
        within_days: The longest time from a pass to the next enrollment.
        level: The coverage of the intervals, a fraction.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: `within_days` is not a whole number of days.

    Source:
        Wilson (1927), JASA 22, 209–212, for the intervals of transitions.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=200) as platform:
        ...     paths = learner_paths(tk.load_study(platform))
        >>> paths.repeats.frame.columns[:3]
        ['course', 'n_learners', 'n_repeaters']
    """
    a_whole_number(within_days, name="within_days")
    level = a_level(level)
    rows = records(pc, NEEDED)
    as_of = latest_moment(rows)
    if as_of is None:
        return _paths(level, REPEATS.empty(), TRANSITIONS.empty())
    # The day of `as_of` is not over, so the day before it is the last that was observed whole.
    last_pass = (as_of - EPOCH).days - 1 - within_days
    named = nw.concat_str(nw.col("org"), nw.lit("+"), nw.col("course_number"))
    has_keys = KEY in rows.collect_schema().names()
    key = nw.col(KEY) if has_keys else nw.lit(0)
    enrolled = rows.filter(ENROLLED).with_columns(
        course=nw.when(nw.col("org").is_null()).then(nw.col("course_id")).otherwise(named),
        in_time=flag(nw.col("passed"), nw.col("passed_day") <= last_pass),
        key=key.cast(nw.Int64),
    )
    enrolled = enrolled.with_columns(key_in_time=nw.col("in_time") * nw.col("key"))
    summed = nw.col("in_time", "key", "key_in_time").sum()
    courses = grouped(enrolled, ["course"], [nw.len().alias("records"), summed])
    n_parts = -(-int(courses["records"].sum()) // MOST_AT_ONCE)
    parts = in_parts(enrolled.select(*JOINED), "username", n_parts)
    # `map` frees a part before the next is read.
    found = [*map(partial(_joined, within_days=within_days), parts)]
    repeaters = _summed([one for one, _ in found], KINDS)
    moves = _summed([one for _, one in found], ["from_course", "to_course"])
    learners = _learners(courses, repeaters)
    repeats, transitions = _repeats(learners, repeaters), _transitions(learners, moves)
    if not has_keys:
        return _paths(level, repeats, transitions)
    # The same with sums of keys, so that the same learners get the same draw as elsewhere.
    repeaters, moves = _of_keys(repeaters), _of_keys(moves)
    learners = _learners(_of_keys(courses), repeaters)
    return _paths(
        level, repeats, transitions, _repeats(learners, repeaters), _transitions(learners, moves)
    )


def _joined(part: nw.LazyFrame[Any], within_days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    return _repeaters(part), _moves(part, within_days)


def _summed(counts: Sequence[pl.DataFrame], by: list[str]) -> pl.DataFrame:
    if len(counts) == 1:
        return counts[0]
    return pl.concat(counts).group_by(by).agg(pl.all().sum()).sort(by)


def _of_keys(counts: pl.DataFrame) -> pl.DataFrame:
    """Replace the counts of a count table by their sums of keys."""
    sums = {
        "records": "key",
        "in_time": "key_in_time",
        "n": "key_n",
        "further_records": "key_further",
        "further_in_time": "key_further_in_time",
        "n_moved": "key_moved",
        "n_first": "key_first",
    }
    return counts.with_columns(
        pl.col(key).alias(count) for count, key in sums.items() if key in counts.columns
    )


def _learners(courses: pl.DataFrame, repeaters: pl.DataFrame) -> pl.DataFrame:
    """Count learners: records minus the further records of repeaters."""
    further = repeaters.group_by("course").agg(pl.col("further_records", "further_in_time").sum())
    return courses.join(further, on="course", how="left").select(
        "course",
        n_learners=pl.col("records") - pl.col("further_records").fill_null(0),
        n_passed=pl.col("in_time") - pl.col("further_in_time").fill_null(0),
    )


def _paths(
    level: float,
    repeats: pl.DataFrame,
    transitions: pl.DataFrame,
    repeats_keys: pl.DataFrame | None = None,
    transitions_keys: pl.DataFrame | None = None,
) -> LearnerPaths:
    if transitions_keys is None:  # keyed by the groups instead
        from_course, pair = transitions.select("from_course"), ["from_course", "to_course"]
        transitions_keys = pl.DataFrame(
            [
                keys_of_groups(from_course, "n_passed"),
                keys_of_groups(transitions.select(pair), "n_moved"),
            ]
        )
    derive = partial(_move_rates, level=level)
    moves = Result.from_counts(
        TRANSITIONS, [], transitions, derive, keys=transitions_keys, level=level
    )
    return LearnerPaths(
        repeats=Result.from_counts(REPEATS, [], repeats, lambda table: table, keys=repeats_keys),
        transitions=moves.sort(
            "from_course", "n_moved", "to_course", descending=[False, True, False], nulls_last=True
        ),
    )


def _move_rates(table: pl.DataFrame, *, level: float) -> pl.DataFrame:
    return table.with_columns(rate("move_rate", "n_moved", "n_passed", level=level))


def _repeaters(enrolled: nw.LazyFrame[Any]) -> pl.DataFrame:
    """Count the learners with several runs of a course, by their results."""
    key = ["username", "course"]
    repeaters = (
        enrolled.group_by(key)
        .agg(n_runs=nw.len(), first_day=nw.col("enrolled_day").min())
        .filter(nw.col("n_runs") > 1)
    )
    first = nw.col("enrolled_day") == nw.col("first_day")
    # Only repeaters are joined with their runs again, since they are few.
    learners = (
        enrolled.join(repeaters, on=key, how="inner")
        .with_columns(
            is_dated=flag(first),
            first_passes=flag(first, nw.col("passed")),
            passes=flag(nw.col("passed")),
            first_grade=nw.when(first).then("percent_grade"),
            one_in_time=nw.when(nw.col("in_time") == 1).then("key"),
        )
        .group_by(key)
        .agg(
            nw.col("n_runs", "is_dated", "first_passes", "passes", "first_grade").max(),
            nw.col("percent_grade").max().alias("best_grade"),
            nw.col("in_time", "key", "key_in_time").sum(),
            # A learner of several records has the smallest of their keys.
            nw.col("key").min().alias("key_n"),
            nw.col("one_in_time").min(),
        )
        .with_columns(
            further=nw.col("n_runs") - 1,
            further_in_time=nw.when(nw.col("in_time") > 1).then(nw.col("in_time") - 1).otherwise(0),
            key_further=nw.col("key") - nw.col("key_n"),
            key_further_in_time=nw.when(nw.col("in_time") > 1)
            .then(nw.col("key_in_time") - nw.col("one_in_time"))
            .otherwise(0),
        )
    )
    return grouped(
        learners,
        KINDS,
        [
            nw.len().alias("n"),
            nw.col("further").sum().alias("further_records"),
            nw.col("further_in_time", "key_n", "key_further", "key_further_in_time").sum(),
        ],
    )


def _repeats(courses: pl.DataFrame, repeaters: pl.DataFrame) -> pl.DataFrame:
    n, dated = pl.col("n"), pl.col("is_dated") == 1
    graded = dated & pl.col("first_grade").is_not_null()
    unlike = [_unlike(repeaters.filter(graded), grade) for grade in ("first_grade", "best_grade")]
    repeaters = repeaters.group_by("course").agg(
        n_repeaters=n.sum(),
        n_undated=n.filter(~dated).sum(),
        n_passed_first=n.filter(dated, pl.col("first_passes") == 1).sum(),
        n_passed_later=n.filter(dated, pl.col("first_passes") < pl.col("passes")).sum(),
        n_never_passed=n.filter(dated, pl.col("passes") == 0).sum(),
        n_graded_first=n.filter(graded).sum(),
        grade_mean_first=_mean("first_grade", graded),
        grade_mean_best=_mean("best_grade", graded),
    )
    return (
        courses.join(repeaters, on="course", how="left")
        .with_columns(pl.col("^n_.*$").fill_null(0))
        .join(pl.concat(unlike).group_by("course").min(), on="course", how="left")
        .sort("course")
        .select(*REPEATS.names, f"{UNLIKE}n_graded_first")
    )


def _unlike(graded: pl.DataFrame, grade: str) -> pl.DataFrame:
    """Return how many of each course have another grade than the most common one."""
    n, alike = pl.col("n"), graded.group_by("course", grade).agg(pl.col("n").sum())
    found = (n.sum() - n.max()).alias(f"{UNLIKE}n_graded_first")
    return alike.group_by("course").agg(found)


def _mean(grade: str, rows: pl.Expr) -> pl.Expr:
    n = pl.col("n").filter(rows)
    return ((pl.col(grade).filter(rows) * n).sum() / n.sum()).fill_nan(None)


def _moves(enrolled: nw.LazyFrame[Any], within_days: int) -> pl.DataFrame:
    """Count moves from one course to another and, per course left, each learner once."""
    passes = enrolled.filter(nw.col("in_time") == 1).select(
        "username", nw.col("course").alias("from_course"), "passed_day", "key"
    )
    arrivals = enrolled.filter(~nw.col("enrolled_day").is_null()).select(
        "username", nw.col("course").alias("to_course"), nw.col("enrolled_day").alias("came")
    )
    passed, came = nw.col("passed_day"), nw.col("came")
    moves = (
        passes.join(arrivals, on="username", how="inner")
        .filter(
            nw.col("from_course") != nw.col("to_course"),
            came >= passed,
            came <= passed + within_days,
        )
        .group_by("username", "from_course", "to_course")
        .agg(key_moved=nw.col("key").min())
        .with_columns(one=nw.col("to_course").min().over("username", "from_course"))
        .with_columns(n_first=flag(nw.col("to_course") == nw.col("one")))
        .with_columns(key_first=nw.col("n_first") * nw.col("key_moved"))
    )
    summed = nw.col("n_first", "key_moved", "key_first").sum()
    return grouped(moves, ["from_course", "to_course"], [nw.len().alias("n_moved"), summed])


def _transitions(courses: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    anywhere = moves.group_by("from_course").agg(
        to_course=pl.lit(ANY_COURSE), n_moved=pl.col("n_first").sum()
    )
    return (
        pl.concat([moves.select(*anywhere.columns), anywhere])
        .join(courses, left_on="from_course", right_on="course", how="left")
        .drop("n_learners")
        .sort("from_course", "to_course")
    )
