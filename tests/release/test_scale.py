"""Releasing takes time in proportion to groups and rows: it was once quadratic."""

from datetime import UTC, datetime
from time import process_time

import numpy as np
import polars as pl
import pytest

import toolkit as tk
from toolkit.results.result import Result

pytestmark = pytest.mark.slow

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def learners(n_courses: int, n_cohorts: int, each: int) -> pl.DataFrame:
    n = n_courses * n_cohorts * each
    draws = np.random.default_rng(1)
    created = pl.Series(draws.integers(0, 30 * n_cohorts, n) * 86_400).cast(pl.Duration("ms"))
    passed_after = pl.duration(days=pl.Series(draws.exponential(150, n)).round())
    return pl.DataFrame(
        {
            "username": [f"learner {i}" for i in range(n)],
            "course_id": draws.integers(0, n_courses, n).astype(str),
            "percent_grade": draws.random(n),
            "completion": draws.random(n),
            "passed": draws.random(n) < 0.4,
            "in_enrollments": True,
            "active": True,
            "record_key": draws.integers(0, 2**32, n),
            "cohort": draws.integers(0, n_cohorts, n).astype(str),
            "as_of": AS_OF,
        }
    ).with_columns(
        created=pl.lit(datetime(2020, 1, 1, tzinfo=UTC)) + created,
    ).with_columns(
        passed_timestamp=pl.when("passed").then(pl.col("created") + passed_after),
    )  # fmt: skip


def seconds(result: Result) -> float:
    begun = process_time()
    result.release()
    return process_time() - begun


def test_tables_of_300_courses_and_40_cohorts_are_released_in_under_2_seconds() -> None:
    pc, by = learners(300, 40, 15), ["course_id", "cohort"]
    tables = [
        tk.outcomes(pc, by=by),
        tk.completion_funnel(pc, by=by),
        tk.grade_distribution(pc, by=by, bins=10),
    ]
    assert tables[0].frame.height == 12_000
    assert sum(map(seconds, tables)) < 2


def test_12_000_curves_and_one_of_600_000_rows_are_released_in_under_2_seconds() -> None:
    pc, by = learners(300, 40, 15), ["course_id", "cohort"]
    times = range(0, 541, 30)
    durations = tk.time_to_pass(pc, undated="leave_out")
    assert seconds(tk.kaplan_meier(durations, by=by)) < 2
    assert seconds(tk.kaplan_meier(durations, by=by, times=times)) < 2
    draws = np.random.default_rng(1)
    long = pl.DataFrame({"duration": draws.exponential(200, 600_000), "event": True})
    assert seconds(tk.kaplan_meier(long)) < 2
