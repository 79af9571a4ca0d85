"""Each cohort analysis on 10 million person_course rows, compared with a bare group-by.

The bare group-by is plain Polars: the same keys, the same sums, nothing else. The analysis may take
three times as long. `learner_paths` is compared with a group-by of learners and courses plus a join
of passes with enrollments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

import toolkit as tk
from benchmarks import Bar
from toolkit.schemas import TIMESTAMP

ROWS = 10_000_000
RUNS = 3
LIMIT = 3.0


def drawn(n: int) -> pl.DataFrame:
    """Draw person_course rows of 60 runs of 20 courses, with the columns that the analyses read."""
    rng = np.random.default_rng(1)
    course = rng.integers(0, 60, n)
    ids = pl.Series([f"course-v1:Org+C{i % 20:02}+R{i // 20}" for i in range(60)])
    numbers = pl.Series([f"C{i % 20:02}" for i in range(60)])
    enrolled = rng.integers(19_700, 20_430, n)
    observed = 20_454 - enrolled + rng.random(n)
    to_pass = rng.weibull(1.3, n) * 90
    passed = (rng.random(n) < 0.5) & (to_pass < observed)
    grade = np.where(rng.random(n) < 0.25, 0, rng.integers(0, 101, n)) / 100
    return pl.DataFrame(
        {
            "username": pl.Series(rng.integers(0, n // 2, n)).cast(pl.String),
            "course_id": ids.gather(course),
            "course_number": numbers.gather(course),
            "org": pl.repeat("Org", n, eager=True),
            "in_enrollments": pl.Series(rng.random(n) < 0.99),
            "completion": rng.integers(0, 101, n) / 100,
            "percent_grade": pl.Series(grade).set(pl.Series(rng.random(n) < 0.05), None),
            "passed": passed,
            "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
            "passed_day": pl.Series(enrolled + to_pass.astype(int), dtype=pl.Int32).set(
                pl.Series(~passed), None
            ),
            "days_to_pass": pl.Series(to_pass).set(pl.Series(~passed), None),
            "observed_days": observed,
            "as_of": pl.repeat(datetime(2026, 1, 1, tzinfo=UTC), n, dtype=TIMESTAMP, eager=True),
        }
    )


def bare(pc: pl.DataFrame, keys: list[str | pl.Expr], *sums: pl.Expr) -> Callable[[], object]:
    """Return the group-by alone."""
    return lambda: pc.lazy().group_by(keys).agg(sums).collect()


def self_join(pc: pl.DataFrame) -> pl.DataFrame:
    """Count the moves from each course passed to each enrolled in within 180 days."""
    course, day = pl.col("course_number"), pl.col("passed_day")
    passes = pc.lazy().filter(day <= 20_454 - 180).select("username", course.alias("a"), day)
    arrivals = pc.lazy().select("username", course.alias("b"), "enrolled_day")
    waited = pl.col("enrolled_day") - day
    return (
        passes.join(arrivals, on="username")
        .filter(pl.col("a") != pl.col("b"), waited.is_between(0, 180))
        .select("username", "a", "b")
        .unique()
        .group_by("a", "b")
        .len()
        .collect()
    )


def cases(pc: pl.DataFrame) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return, by name, each analysis and the bare work it is compared with."""
    enrolled, passed = pl.col("in_enrollments"), pl.col("passed")
    active = enrolled & ((pl.col("completion") > 0) | (pl.col("percent_grade") > 0))
    done = enrolled & (pl.col("completion") >= 0.8)
    half = enrolled & (pl.col("completion") >= 0.5)
    graded = enrolled & pl.col("percent_grade").is_not_null()
    takes_part = enrolled & passed
    outcome_sums = [
        part.sum().alias(f"n{i}")
        for i, part in enumerate(
            [
                ~enrolled,
                enrolled,
                active,
                done,
                takes_part,
                graded,
                graded & active,
                takes_part & active,
                takes_part & graded,
                takes_part & done,
            ]
        )
    ]
    funnel_sums = [
        part.sum().alias(f"n{i}")
        for i, part in enumerate([enrolled, active, half, done, passed & done, takes_part])
    ]
    n = enrolled.sum().alias("n")
    learner = ["username", "org", "course_number"]
    learner_group_by = bare(pc, learner, pl.len(), pl.col("enrolled_day").min())
    periods = [
        "enrolled_day",
        (pl.col("observed_days") / 30).floor().clip(upper_bound=12).alias("seen"),
        (pl.col("days_to_pass") / 30).ceil().clip(upper_bound=13).alias("reached"),
        ((pl.col("days_to_pass") < 0) | (passed & pl.col("days_to_pass").is_null())).alias("out"),
    ]
    return {
        "outcomes by course": (
            lambda: tk.outcomes(pc, by="course_id", totals=True).frame,
            bare(pc, ["course_id", "percent_grade"], *outcome_sums),
        ),
        "outcomes by month": (
            lambda: tk.outcomes(pc, by="enrolled_month").frame,
            bare(pc, ["enrolled_day", "percent_grade"], *outcome_sums),
        ),
        "completion_funnel by course": (
            lambda: tk.completion_funnel(pc, by="course_id").frame,
            bare(pc, ["course_id"], *funnel_sums),
        ),
        "grade_distribution by course": (
            lambda: tk.grade_distribution(pc, by="course_id").frame,
            bare(pc, ["course_id", "percent_grade"], n),
        ),
        "completion_distribution by course": (
            lambda: tk.completion_distribution(pc, by="course_id").frame,
            bare(pc, ["course_id", "completion"], n),
        ),
        "cohort_progress": (lambda: tk.cohort_progress(pc).frame, bare(pc, periods, n)),
        "compare_groups by course": (
            lambda: tk.compare_groups(pc, outcome="passed", by="course_id"),
            bare(pc, ["course_id"], n, takes_part.sum().alias("k")),
        ),
        "learner_paths": (
            lambda: tk.learner_paths(pc),
            lambda: (learner_group_by(), self_join(pc)),
        ),
    }


def seconds(*works: Callable[[], object]) -> list[float]:
    """Return the best time of each; they take turns, so that other load slows all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(RUNS):
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
    return [min(spent) for spent in times]


def main() -> list[Bar]:
    """Print the times, and compare each analysis with its group-by."""
    pc = drawn(ROWS)
    print(f"Cohort analyses, {ROWS:,} person_course rows, best of {RUNS} runs")
    print(f"{'analysis':36}{'bare group-by':>14}{'analysis':>10}")
    bars = []
    for name, (analysis, group_by) in cases(pc).items():
        base, ours = seconds(group_by, analysis)
        print(f"{name:36}{base:>12.2f} s{ours:>8.2f} s", flush=True)
        bars.append(Bar(f"{name} beside its group-by", ours / base, "≤", LIMIT))
    return bars


if __name__ == "__main__":
    main()
