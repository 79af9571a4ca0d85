"""Simulated rows of person_course in Parquet files, as many as wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

COURSES, MONTHS, LAST_DAY = 200, 36, 20_454
MODES = ["audit", "honor", "verified"]
PIECE = 1_000_000
_DAY = 86_400_000_000
_MOMENT = pl.Datetime("us", "UTC")


def write(folder: Path, n: int, **more: pl.Expr) -> None:
    """Write rows of 200 courses and 36 months, a million per file.

    About n / 2 learners enroll in two courses each. `more` are columns computed from the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = pl.Series([f"C{i:03}" for i in range(COURSES)])
    for place in range(0, n, PIECE):
        m = min(PIECE, n - place)
        rng = np.random.default_rng(place)
        enrolled = LAST_DAY - rng.integers(0, MONTHS * 30, m)
        observed = LAST_DAY - enrolled + rng.random(m)
        to_pass = rng.weibull(1.3, m) * 150
        passed = to_pass < observed
        created = LAST_DAY + 1 - observed
        course, mode = rng.integers(0, COURSES, m), rng.integers(0, len(MODES), m)
        seen = np.minimum(enrolled + rng.integers(0, 60, m), LAST_DAY)
        pl.DataFrame(
            {
                "username": rng.integers(0, max(n // 2, 1), m),
                "course_number": numbers.gather(course),
                "mode": pl.Series(MODES).gather(mode),
                "is_active": rng.random(m) < 0.9,
                "in_enrollments": rng.random(m) < 0.99,
                "completion": rng.integers(0, 101, m) / 100,
                "percent_grade": rng.integers(0, 101, m) / 100,
                "passed": passed,
                "created": pl.Series((created * _DAY).astype(np.int64)).cast(_MOMENT),
                "passed_timestamp": ((created + to_pass) * _DAY).astype(np.int64),
                "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
                "passed_day": (created + to_pass).astype(np.int32),
                "last_date": pl.Series(seen, dtype=pl.Int32).cast(pl.Date),
                "observed_days": observed,
                "days_to_pass": to_pass,
                "record_key": rng.integers(0, 2**32, m),
            }
        ).with_columns(
            pl.format("learner-{}", "username").alias("username"),
            pl.when("passed").then(pl.col("passed_day", "days_to_pass")),
            pl.when("passed").then(pl.col("passed_timestamp").cast(_MOMENT)),
            course_id=pl.format("course-v1:Org+{}+R1", "course_number"),
            org=pl.lit("Org"),
            course_run=pl.lit("R1"),
            in_grades=True,
            in_completion=True,
            pass_time_unused=False,
            as_of=pl.lit((LAST_DAY + 1) * _DAY).cast(_MOMENT),
        ).with_columns(**more).write_parquet(folder / f"{place:09}.parquet")
