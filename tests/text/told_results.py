"""Learners of three groups, and every result that can be made of them."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

import toolkit as tk
from toolkit.results.result import Result
from toolkit.survival.competing_risks import cumulative_incidence, gray_test
from toolkit.survival.differences import milestone_difference, rmst_difference
from toolkit.survival.durations import exclusions
from toolkit.survival.hazards import nelson_aalen, smoothed_hazard
from toolkit.survival.logrank import logrank_pairs


def learners(n: int = 600, groups: int = 3) -> pl.DataFrame:
    """Records of a person_course frame; the later group passes less often."""
    rng = np.random.default_rng(11)
    group = rng.integers(0, groups, n)
    enrolled = rng.integers(20_000, 20_300, n)
    to_pass = rng.weibull(1.3, n) * 60 * (1 + group)
    seen = 20_454.5 - enrolled
    passed = (rng.random(n) < 0.7) & (to_pass < seen)
    return pl.DataFrame(
        {
            "username": [f"learner {i}" for i in range(n)],
            "course_id": [f"course-v1:Org+C{g}+2026" for g in group],
            "org": pl.Series(["Org"] * n, dtype=pl.String),
            "course_number": [f"C{g}" for g in group],
            "in_enrollments": pl.Series([True] * n, dtype=pl.Boolean),
            "in_grades": pl.Series([True] * n, dtype=pl.Boolean),
            "in_completion": pl.Series([True] * n, dtype=pl.Boolean),
            "completion": rng.integers(0, 101, n) / 100,
            "percent_grade": rng.integers(0, 101, n) / 100,
            "passed": passed,
            "passed_timestamp": pl.Series(passed).replace_strict(
                {True: datetime(2025, 6, 1, tzinfo=UTC), False: None},
                return_dtype=pl.Datetime("us", "UTC"),
            ),
            "pass_time_unused": pl.Series([False] * n, dtype=pl.Boolean),
            "created": pl.Series(enrolled).cast(pl.Date).cast(pl.Datetime("us", "UTC")),
            "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
            "passed_day": pl.Series(enrolled + to_pass.astype(int), dtype=pl.Int32).set(
                pl.Series(~passed, dtype=pl.Boolean), None
            ),
            "days_to_pass": pl.Series(to_pass).set(pl.Series(~passed, dtype=pl.Boolean), None),
            "observed_days": seen,
            "as_of": pl.Series(
                [datetime(2026, 1, 1, 12, tzinfo=UTC)] * n, dtype=pl.Datetime("us", "UTC")
            ),
            "record_key": rng.integers(0, 2**32, n),
        }
    )


def durations(pc: pl.DataFrame) -> pl.DataFrame:
    """The times of the learners."""
    return pc.select(
        "course_id",
        "record_key",
        duration=pl.col("days_to_pass").fill_null(pl.col("observed_days")),
        event="passed",
        end=pl.when("passed").then(pl.lit("passed")),
        excluded=pl.lit(None, pl.String),
    )


BY = "course_id"


def within_strata(pc: pl.DataFrame) -> Result:
    """Courses compared within those who completed a half, and the others."""
    half = pl.col("completion") > 0.5
    found = tk.compare_groups(pc.with_columns(half=half), by=BY, strata="half").within
    assert found is not None
    return found


RESULTS: dict[str, Callable[[pl.DataFrame], Result]] = {
    "outcomes": lambda pc: tk.outcomes(pc, by=BY),
    "completion_funnel": lambda pc: tk.completion_funnel(pc, by=BY),
    "distribution": tk.grade_distribution,
    "cohort_progress": tk.cohort_progress,
    "compared_groups": lambda pc: tk.compare_groups(pc, by=BY).groups,
    "pairs": lambda pc: tk.compare_groups(pc, by=BY).pairs,
    "within_strata": within_strata,
    "comparison_test": lambda pc: tk.compare_groups(pc, by=BY).test,
    "repeats": lambda pc: tk.learner_paths(pc).repeats,
    "transitions": lambda pc: tk.learner_paths(pc).transitions,
    "match_counts": tk.match_counts,
    "sensitivity": tk.reports.sensitivity,
    "table_one": lambda pc: tk.reports.table_one(pc, by=BY),
    "exclusions": lambda pc: exclusions(durations(pc)),
    "kaplan_meier": lambda pc: tk.kaplan_meier(durations(pc), by=BY),
    "survival_summary": lambda pc: tk.survival_summary(durations(pc), by=BY),
    "logrank": lambda pc: tk.logrank(durations(pc), by=BY),
    "logrank_pairs": lambda pc: logrank_pairs(durations(pc), by=BY),
    "rmst_difference": lambda pc: rmst_difference(durations(pc), by=BY),
    "milestone_difference": lambda pc: milestone_difference(durations(pc), by=BY, at=90),
    "cumulative_incidence": lambda pc: cumulative_incidence(durations(pc), by=BY),
    "gray_test": lambda pc: gray_test(durations(pc), by=BY),
    "nelson_aalen": lambda pc: nelson_aalen(durations(pc), by=BY),
    "smoothed_hazard": lambda pc: smoothed_hazard(durations(pc), by=BY),
}
