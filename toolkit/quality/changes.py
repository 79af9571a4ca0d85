"""Changes between two snapshots of grades, by course, for the suite `course_changes`.

Grades of a running course change, as they should. So pass share and distribution are compared
among the *settled*: learners with a record and the same last date in both snapshots, whose grade
had no reason to change.
"""

from __future__ import annotations

from typing import Protocol

import polars as pl
from scipy.stats import chi2

from toolkit.errors import ArgumentError
from toolkit.quality.checking import run
from toolkit.quality.frames import AnyFrame, Checked
from toolkit.quality.report import QualityReport
from toolkit.schemas import GRADES, require_columns
from toolkit.schemas.arguments import as_given
from toolkit.schemas.passes import with_passed
from toolkit.snapshots.comparable import courses_of_both
from toolkit.snapshots.snapshot import Snapshot

KEY = list(GRADES.key)
BINS = 10
# With fewer graded learners than this, a distribution means little.
FEWEST_GRADED = 20
# A major shift of the index (Siddiqi, Credit Risk Scorecards, 2006), and the point that chance
# alone exceeds once in a thousand times (Yurdakul & Naranjo, J. Risk Model Validation 14(4), 2020).
MAJOR_SHIFT, BY_CHANCE = 0.25, float(chi2.ppf(0.999, BINS - 1))
# A shift of the pass share that matters, and three standard errors of a difference of two shares.
SHARE_SHIFT, STANDARD_ERRORS = 0.15, 3.0

_BEFORE, _AFTER = pl.col("n_before"), pl.col("n_after")


class SavedGrades(Protocol):
    """Anything that has grades, such as a snapshot."""

    def grades(self) -> pl.LazyFrame:
        """Grades, one row per learner per course."""
        ...


def check_snapshots(before: SavedGrades, after: SavedGrades) -> QualityReport:
    """Check a snapshot's grades against an earlier one's for sudden shifts, course by course.

    If not the same courses were requested for them, only those of both are checked.

    Args:
        before: The earlier snapshot.
        after: The later one.

    Returns:
        A report on one frame, `course_changes`, whose failing keys are courses.

    Raises:
        ArgumentError: One is not a snapshot.
        SchemaError: A column of grades is missing.
        SnapshotError: They use different pseudonym keys, so that no learner can be matched; they
            have no course in common, or are in the wrong order.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     now = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     tk.quality.check_snapshots(now, now).ok
        True
    """
    for given in (before, after):
        if not callable(getattr(given, "grades", None)):
            raise ArgumentError(
                f"check_snapshots needs two snapshots (tk.open_snapshot), not {as_given(given)}"
            )
    grades = [before.grades(), after.grades()]
    if isinstance(before, Snapshot) and isinstance(after, Snapshot):
        courses = courses_of_both(before, after)
        if courses is not None:
            grades = [rows.filter(pl.col("course_id").is_in(courses)) for rows in grades]
    changes = course_changes(*grades)
    return run([Checked("course_changes", changes, ("course_id",), changes.height)], {})


def course_changes(before: AnyFrame, after: AnyFrame) -> pl.DataFrame:
    """Measure how each course's grades changed; one row per course of the earlier snapshot.

    Returns:
        n_before, n_after, share_kept, growth; n_passed_before, share_passes_lost;
        pass_share_shift and psi among the settled (null without any, psi also with fewer than 20
        that have a grade), with the limits pass_share_limit and psi_limit.
    """
    both = _paired(before.lazy(), after.lazy())
    there, then = pl.col("passed").is_not_null(), pl.col("passed_before").is_not_null()
    passed_then = pl.col("passed_before").fill_null(value=False)
    counts = both.group_by("course_id").agg(
        n_before=then.sum(),
        n_after=there.sum(),
        n_kept=(then & there).sum(),
        n_passed_before=(passed_then & there).sum(),
        n_passes_lost=(passed_then & ~pl.col("passed")).sum(),
        n_settled=pl.col("settled").sum(),
        settled_before=pl.col("passed_before").filter(pl.col("settled")).mean(),
        settled_after=pl.col("passed").filter(pl.col("settled")).mean(),
    )
    pooled = (pl.col("settled_before") + pl.col("settled_after")) / 2
    by_chance = STANDARD_ERRORS * (pooled * (1 - pooled) * 2 / pl.col("n_settled")).sqrt()
    shares = counts.filter(_BEFORE > 0).with_columns(
        share_kept=pl.col("n_kept") / _BEFORE,
        growth=_AFTER / _BEFORE,
        share_passes_lost=pl.col("n_passes_lost") / pl.col("n_passed_before"),
        pass_share_shift=(pl.col("settled_after") - pl.col("settled_before")).abs(),
        pass_share_limit=pl.max_horizontal(pl.lit(SHARE_SHIFT), by_chance),
    )
    joined = shares.join(_stability(both), on="course_id", how="left")
    return joined.sort("course_id").collect(engine="streaming")


def _paired(before: pl.LazyFrame, after: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per learner per course of either snapshot, with both records' values."""
    sides = []
    for frame in (before, after):
        needed = [*KEY, "letter_grade", "percent_grade", "last_date"]
        require_columns(frame.collect_schema().names(), needed, what="grades")
        graded = with_passed(frame.select(needed))
        sides.append(graded.select(*KEY, "passed", "percent_grade", "last_date").unique(KEY))
    paired = sides[1].join(sides[0], on=KEY, how="full", coalesce=True, suffix="_before")
    same_day = pl.col("last_date").eq_missing(pl.col("last_date_before"))
    in_both = pl.col("passed").is_not_null() & pl.col("passed_before").is_not_null()
    return paired.with_columns(settled=in_both & same_day)


def _stability(paired: pl.LazyFrame) -> pl.LazyFrame:
    """Return the population stability index of the settled learners' grades, by course.

    Half a learner is added to each bin, so that an empty bin has a logarithm.
    """
    graded = ("percent_grade", "percent_grade_before")
    settled = paired.filter(pl.col("settled"), *(pl.col(name).is_not_null() for name in graded))
    bins = [
        settled.group_by(
            "course_id", (pl.col(name) * BINS).floor().clip(0, BINS - 1).alias("bin")
        ).agg(pl.len().alias(name))
        for name in graded
    ]
    every = (
        settled.select("course_id")
        .unique()
        .join(pl.LazyFrame({"bin": [float(place) for place in range(BINS)]}), how="cross")
    )
    for one in bins:
        every = every.join(one, on=["course_id", "bin"], how="left")
    counts = every.with_columns(pl.col(*graded).fill_null(0))
    n = pl.col("percent_grade").sum().over("course_id")
    now, then = ((pl.col(name) + 0.5) / (n + BINS / 2) for name in graded)
    return (
        counts.with_columns(part=(now - then) * (now / then).log(), n=n)
        .group_by("course_id")
        .agg(psi=pl.col("part").sum(), n=pl.col("n").first())
        .filter(pl.col("n") >= FEWEST_GRADED)
        .select(
            "course_id",
            "psi",
            psi_limit=pl.max_horizontal(pl.lit(MAJOR_SHIFT), BY_CHANCE * 2 / pl.col("n")),
        )
    )
