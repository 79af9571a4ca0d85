"""Changes between two snapshots: the history that the platform does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import polars as pl

from toolkit.errors import ArgumentError, SnapshotError
from toolkit.loading.ranges import ranges
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.results.result import Displayed, Result
from toolkit.schemas import GRADES, RESOURCES, Table
from toolkit.schemas.outcome_results import CHANGE_COUNTS
from toolkit.schemas.passes import with_passed
from toolkit.snapshots.comparable import courses_of_both, remarks
from toolkit.snapshots.files import coarse_times
from toolkit.snapshots.manifest import Times
from toolkit.snapshots.snapshot import Snapshot

KEY = ["username", "course_id"]
MOST_COMPARED = 1_000_000
"""About how many records of both snapshots are compared at once."""
_COMPARED = {
    name: [c for c in table.names if c not in {*KEY, "email"}] for name, table in RESOURCES.items()
}


@dataclass(frozen=True, repr=False)
class Changes(Displayed):
    """What changed from an earlier snapshot to a later one.

    Attributes:
        records: One row per resource, learner and course that was added, removed or changed:
            resource, change, username, course_id.
        values: One row per changed value: resource, username, course_id, column, before, after
            (as text, null if there was or is none, or none that could be read; `Snapshot.problems`
            names those).
        outcomes: One row per learner and course whose result changed: username, course_id, outcome
            (newly passed, pass withdrawn, grade raised, grade lowered), before and after (the
            grade, a fraction). A record may have two: newly passed and grade raised.
        counts: One row per course and kind of change (`CHANGE_COUNTS`).
        course_id: The courses that were compared, those requested for both snapshots; None if all
            were, for both.

    It is displayed as its released counts; the other frames have rows of single learners.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     now = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     changes = tk.compare_snapshots(now, now)
        >>> changes.records.height, changes.outcomes.height
        (0, 0)
    """

    records: pl.DataFrame
    values: pl.DataFrame
    outcomes: pl.DataFrame
    counts: Result
    course_id: list[str] | None = None


def compare_snapshots(earlier: Snapshot, later: Snapshot) -> Changes:
    """Compare two snapshots record by record; learners are matched by pseudonym.

    If one dates records to the day and the other exactly, both are compared by the day. If not the
    same courses were requested for them, only those of both are compared (`Changes.course_id`).
    The caption of `counts` says so, and whether they are of two platforms (by address).

    Args:
        earlier: The snapshot to start from.
        later: The snapshot to compare it with.

    Raises:
        ArgumentError: One is not a snapshot.
        SnapshotError: They use different pseudonym keys, or only one names learners, so that no
            learner can be matched; they have no course in common, or are in the wrong order; or a
            learner occurs twice in a course.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     now = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     compare_snapshots(now, now).counts.frame.height
        0
    """
    for given in (earlier, later):
        if not isinstance(given, Snapshot):
            raise ArgumentError(
                "compare_snapshots needs two snapshots (tk.open_snapshot), not "
                f"{type(given).__name__}"
            )
    courses = courses_of_both(earlier, later)
    records, values, outcomes = [], [], []
    for name, table in RESOURCES.items():
        for pair in _pairs(earlier, later, table, courses):
            records.append(_records(pair, name))
            values.append(_values(pair, name))
            if name == GRADES.name:
                outcomes.append(_outcomes(pair))
    changed, results = pl.concat(records), pl.concat(outcomes)
    counts = _counts(changed, results)
    if said := remarks(earlier, later):
        counts = counts.captioned(said)
    return Changes(changed, pl.concat(values), results, counts, courses)


def _counts(records: pl.DataFrame, outcomes: pl.DataFrame) -> Result:
    key = record_keys(release_secret())
    counted = (
        pl.concat(
            [
                records.select(*KEY, change=pl.format("{} {}", "resource", "change")),
                outcomes.select(*KEY, change="outcome"),
            ]
        )
        .with_columns(key)
        .group_by("course_id", "change")
        .agg(n_learners=pl.len().cast(pl.Int64), record_key=pl.col("record_key").sum())
        .sort("course_id", "change")
    )
    keys = counted.select(n_learners="record_key")
    counts = counted.drop("record_key")
    return Result.from_counts(CHANGE_COUNTS, [], counts, lambda table: table, keys=keys)


def _pairs(
    earlier: Snapshot, later: Snapshot, table: Table, courses: list[str] | None
) -> Iterator[pl.DataFrame]:
    """Yield one row per key of either, dated as the coarser one; later columns end in `_after`.

    If there are many records, each range of learners is a frame, in order.
    """
    times = max(earlier.manifest.times, later.manifest.times, key=get_args(Times).index)
    stored = [snapshot.scan(table.name).drop("email") for snapshot in (earlier, later)]
    if courses is not None:
        stored = [rows.filter(pl.col("course_id").is_in(courses)) for rows in stored]
    parts = ranges(stored, "username", most=MOST_COMPARED) or [pl.lit(value=True)]
    for snapshot, rows in zip((earlier, later), stored, strict=True):
        _require_keys_once(snapshot, [rows.filter(learners) for learners in parts], table)
    for learners in parts:
        before, after = (
            coarse_times(with_passed(rows.filter(learners)).collect(), times).with_columns(
                _here=pl.lit(value=True)
            )
            for rows in stored
        )
        yield before.join(after, on=KEY, how="full", coalesce=True, suffix="_after").sort(KEY)


def _require_keys_once(snapshot: Snapshot, parts: list[pl.LazyFrame], table: Table) -> None:
    more = pl.len() - pl.struct(KEY).n_unique()
    twice = sum(rows.select(more.cast(pl.Int64)).collect().item() for rows in parts)
    if twice:
        raise SnapshotError(
            f"{snapshot.folder}: {table.name} has {twice:,} repeated records of a learner in a "
            "course, so it is not clear which to compare. Take a new snapshot."
        )


def _records(pair: pl.DataFrame, resource: str) -> pl.DataFrame:
    changed = pl.any_horizontal(_differs(column) for column in _COMPARED[resource])
    return pair.select(
        resource=pl.lit(resource),
        change=pl.when(pl.col("_here").is_null())
        .then(pl.lit("added"))
        .when(pl.col("_here_after").is_null())
        .then(pl.lit("removed"))
        .when(changed)
        .then(pl.lit("changed")),
        username="username",
        course_id="course_id",
    ).filter(pl.col("change").is_not_null())


def _values(pair: pl.DataFrame, resource: str) -> pl.DataFrame:
    both = pair.filter(pl.col("_here") & pl.col("_here_after"))
    parts = [
        both.filter(_differs(column)).select(
            resource=pl.lit(resource),
            username="username",
            course_id="course_id",
            column=pl.lit(column),
            before=pl.col(column).cast(pl.String),
            after=pl.col(f"{column}_after").cast(pl.String),
        )
        for column in _COMPARED[resource]
    ]
    return pl.concat(parts).sort(*KEY, "column")


def _differs(column: str) -> pl.Expr:
    return pl.col(column).ne_missing(pl.col(f"{column}_after"))


def _outcomes(grades: pl.DataFrame) -> pl.DataFrame:
    """Return changed results of learners in both snapshots, and passes of those added."""
    before, after = pl.col("percent_grade"), pl.col("percent_grade_after")
    passed_before, passed_after = (
        pl.col(name).fill_null(value=False) for name in ("passed", "passed_after")
    )
    there = pl.col("_here_after").fill_null(value=False)
    kinds = {
        "newly passed": ~passed_before & passed_after,
        "pass withdrawn": passed_before & ~passed_after & there,
        "grade raised": after > before,
        "grade lowered": after < before,
    }
    parts = [
        grades.filter(condition).select(*KEY, outcome=pl.lit(name), before=before, after=after)
        for name, condition in kinds.items()
    ]
    return pl.concat(parts).sort(*KEY, "outcome")
