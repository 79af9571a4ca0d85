"""Who takes a course again, and which course comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import polars as pl

from toolkit.counting import Frame, flag, grouped, lazily
from toolkit.errors import SchemaError
from toolkit.intervals import rate
from toolkit.schemas import require_columns
from toolkit.schemas.outcome_results import REPEATS, TRANSITIONS
from toolkit.stages import ENROLLED

NEEDED = [
    "username",
    "course_id",
    "org",
    "course_number",
    "in_enrollments",
    "enrolled_day",
    "passed_day",
    "passed",
    "percent_grade",
    "as_of",
]
ANY_COURSE = "(any other course)"
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class LearnerPaths:
    """What `learner_paths` found.

    Attributes:
        repeats: One row per course, over all its runs (`schemas.outcome_results.REPEATS`).
        transitions: One row per pair of courses (`schemas.outcome_results.TRANSITIONS`).
    """

    repeats: pl.DataFrame
    transitions: pl.DataFrame


def learner_paths(pc: Frame, *, within_days: int = 180) -> LearnerPaths:
    """Count who repeats a course, and who goes on from one course to another.

    A course is the organisation and number of the course id, over all runs; an id of another form
    is a course of its own. The first run is the one enrolled in first; of several on that day,
    the best result counts; without any date, no run is the first.

    A transition is a learner who passed one course and enrolled in another on the day of the pass
    or at most `within_days` later. Only passes that had been observed for so long count, so that
    a missing transition is one that did not happen. A learner may go on to several courses.

    Args:
        pc: A person_course frame of any engine. No username leaves it.
        within_days: The longest time from a pass to the next enrollment.

    Raises:
        SchemaError: A column is missing, or `within_days` is negative.

    Source:
        Wilson (1927), JASA 22, 209–212, for the intervals of transitions.
    """
    if within_days < 0:
        raise SchemaError(f"within_days must not be negative, not {within_days}")
    rows = lazily(pc)
    require_columns(rows.collect_schema().names(), NEEDED, what="person_course")
    named = nw.concat_str(nw.col("org"), nw.lit("+"), nw.col("course_number"))
    enrolled = rows.filter(ENROLLED).with_columns(
        course=nw.when(nw.col("org").is_null()).then(nw.col("course_id")).otherwise(named)
    )
    return LearnerPaths(_repeats(enrolled), _transitions(enrolled, within_days))


def _repeats(enrolled: nw.LazyFrame[Any]) -> pl.DataFrame:
    key = ["username", "course"]
    learners = enrolled.group_by(key).agg(
        n_runs=nw.len(),
        first_day=nw.col("enrolled_day").min(),
    )
    everybody = grouped(learners, ["course"], [nw.len().alias("n_learners")])
    # Only repeaters need their single runs again; they are few.
    again = learners.filter(nw.col("n_runs") > 1)
    runs = enrolled.join(again, on=key, how="inner").with_columns(
        is_first=flag(nw.col("enrolled_day") == nw.col("first_day")),
        passes=flag(nw.col("passed")),
        first_grade=nw.when(nw.col("enrolled_day") == nw.col("first_day")).then("percent_grade"),
    )
    results = (
        runs.with_columns(first_passes=nw.col("is_first") * nw.col("passes"))
        .group_by(key)
        .agg(nw.col("is_first", "first_passes", "passes", "first_grade", "percent_grade").max())
        .rename({"percent_grade": "best_grade"})
    )
    kinds = ["course", "is_first", "first_passes", "passes", "first_grade", "best_grade"]
    n, dated = pl.col("n"), pl.col("is_first") == 1
    both = dated & pl.col("first_grade").is_not_null()
    counted = grouped(results, kinds, [nw.len().alias("n")])
    repeaters = counted.group_by("course").agg(
        n_repeaters=n.sum(),
        n_undated=n.filter(~dated).sum(),
        n_passed_first=n.filter(dated, pl.col("first_passes") == 1).sum(),
        n_passed_later=n.filter(dated, pl.col("first_passes") < pl.col("passes")).sum(),
        n_never_passed=n.filter(dated, pl.col("passes") == 0).sum(),
        n_graded_first=n.filter(both).sum(),
        grade_mean_first=_mean("first_grade", both),
        grade_mean_best=_mean("best_grade", both),
    )
    return (
        everybody.join(repeaters, on="course", how="left")
        .with_columns(pl.col("^n_.*$").fill_null(0))
        .sort("course")
        .select(REPEATS.names)
    )


def _mean(grade: str, rows: pl.Expr) -> pl.Expr:
    n = pl.col("n").filter(rows)
    return ((pl.col(grade).filter(rows) * n).sum() / n.sum()).fill_nan(None)


def _transitions(enrolled: nw.LazyFrame[Any], within_days: int) -> pl.DataFrame:
    [as_of] = grouped(enrolled, [], [nw.col("as_of").max()])["as_of"]
    if as_of is None:
        return TRANSITIONS.empty()
    last = (as_of.date() - EPOCH).days - within_days
    passes = (
        enrolled.filter(~nw.col("passed_day").is_null())
        .group_by("username", "course")
        .agg(nw.col("passed_day").min())
        .filter(nw.col("passed_day") <= last)
        .rename({"course": "from_course"})
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
        .select("username", "from_course", "to_course")
        .unique()
    )
    size = nw.len().alias("n_moved")
    to_each = grouped(moves, ["from_course", "to_course"], [size])
    somewhere = grouped(moves.select("username", "from_course").unique(), ["from_course"], [size])
    to_any = somewhere.with_columns(to_course=pl.lit(ANY_COURSE)).select(to_each.columns)
    bases = grouped(passes, ["from_course"], [nw.len().alias("n_passed")])
    return (
        pl.concat([to_each, to_any])
        .join(bases, on="from_course", how="left")
        .with_columns(rate("move_rate", "n_moved", "n_passed"))
        .sort("from_course", "n_moved", "to_course", descending=[False, True, False])
        .select(TRANSITIONS.names)
    )
