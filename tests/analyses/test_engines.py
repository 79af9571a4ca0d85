"""The engine contract: every analysis gives the figures of eager Polars, or refuses the engine."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES

AS_OF = datetime(2026, 1, 11, 3, tzinfo=UTC)  # still the day before in America
COURSES = [f"course-v1:Org+C{i % 3}+R{i // 3}" for i in range(6)]
N = 2_000


@cache
def clean() -> pl.DataFrame:
    """Two thousand enrollments of eight hundred learners in six runs of three courses."""
    rng = np.random.default_rng(5)
    place = np.unique(rng.integers(0, 800 * 6, N))
    key = {
        "username": [f"u{i // 6}" for i in place],
        "course_id": [COURSES[i % 6] for i in place],
    }
    n = len(place)
    ago, waited = rng.uniform(0, 900, n), rng.uniform(-2, 300, n)
    passed = (rng.random(n) < 0.4) & (waited < ago)
    created = [AS_OF - timedelta(days=float(days)) for days in ago]
    grades = {
        "percent_grade": rng.integers(0, 10_001, n) / 10_000,
        "letter_grade": [str(rng.choice(["Pass", "A"])) if p else "F" for p in passed],
        "passed_timestamp": [
            when + timedelta(days=float(days)) if p else None
            for when, days, p in zip(created, waited, passed, strict=True)
        ],
    }
    enrollments = {"mode": rng.choice(["audit", "verified"], n), "created": created}
    rows = (
        (GRADES, grades),
        (ENROLLMENTS, enrollments),
        (COMPLETION, {"completion": rng.integers(0, 101, n) / 100}),
    )
    parts = [
        pl.DataFrame(
            {**{name: [None] * n for name in table.names}, **key, **columns},
            schema=table.polars_schema,
        )
        for table, columns in rows
    ]
    return tk.person_course(*parts, as_of=AS_OF)


@cache
def nasty() -> pl.DataFrame:
    """The same with nulls in every column but the keys and `as_of`, NaN, and a course of nobody."""
    rng = np.random.default_rng(6)
    frame = clean()
    kept = {"username", "course_id", "as_of", "pass_rule", "record_key"}
    holes = [
        pl.when(pl.Series(rng.random(frame.height) < 0.1))
        .then(None)
        .otherwise(pl.col(name))
        .alias(name)
        for name in frame.columns
        if name not in kept
    ]
    not_numbers = [
        pl.when(pl.Series(rng.random(frame.height) < 0.05))
        .then(float("nan"))
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("completion", "percent_grade", "days_to_pass", "observed_days")
    ]
    nobody = pl.when(pl.col("course_id") == COURSES[5]).then(False).otherwise("in_enrollments")
    return frame.with_columns(holes).with_columns(*not_numbers, in_enrollments=nobody)


@cache
def durations() -> pl.DataFrame:
    """Durations in days, with ends that compete and learners who are excluded."""
    frame = tk.time_to_pass(clean()).select(
        "duration", "event", "excluded", "mode", "course_id", "record_key"
    )
    return frame.with_columns(
        end=pl.when("event")
        .then(pl.lit("passed"))
        .when(pl.col("duration") > 400)
        .then(pl.lit("left"))
    )


Move = Callable[[pl.DataFrame], Any]


def in_pandas(frame: pl.DataFrame) -> Any:
    return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


def in_arrow(frame: pl.DataFrame) -> Any:
    return pytest.importorskip("pyarrow", reason="PyArrow is not installed").table(frame)


def in_duckdb(connection: duckdb.DuckDBPyConnection, folder: Path) -> Move:
    def move(frame: pl.DataFrame) -> Any:
        path = folder / f"{len(list(folder.iterdir()))}.parquet"
        frame.write_parquet(path)
        return connection.read_parquet(str(path))

    return move


ZONES = ["UTC", "America/Los_Angeles", "Pacific/Auckland"]


@pytest.fixture(params=["lazy", "pandas", "pyarrow", *(f"duckdb {zone}" for zone in ZONES)])
def move(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Move]:
    """Puts a frame into another engine."""
    engine, _, zone = request.param.partition(" ")
    if engine == "duckdb":
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = '{zone}'")
            yield in_duckdb(connection, tmp_path)
    else:
        yield {"lazy": pl.DataFrame.lazy, "pandas": in_pandas, "pyarrow": in_arrow}[engine]


BY = ["course_id", "mode", "enrolled_month"]
OF_RECORDS: dict[str, Callable[[Any], Any]] = {
    "match_counts": tk.match_counts,
    "outcomes": lambda pc: tk.outcomes(pc, by=BY, totals=True),
    "outcomes of all": tk.outcomes,
    "completion_funnel": lambda pc: tk.completion_funnel(pc, by=["mode", "enrolled_week"]),
    "grade_distribution": lambda pc: tk.grade_distribution(pc, by="course_id", bins=7),
    "completion_distribution": lambda pc: tk.completion_distribution(pc, by="mode"),
    "cohort_progress": lambda pc: tk.cohort_progress(pc, by="mode", step="7w", cohort="1q"),
    "completion_progress": lambda pc: tk.completion_progress([pc], step="7w", by="mode"),
    "compare_groups": lambda pc: tk.compare_groups(pc, by="course_id").pairs,
    "repeats": lambda pc: tk.learner_paths(pc).repeats,
    "transitions": lambda pc: tk.learner_paths(pc).transitions,
}
OF_DURATIONS: dict[str, Callable[[Any], Any]] = {
    "exclusions": lambda d: tk.survival.exclusions(d, by="mode"),
    "kaplan_meier": lambda d: tk.kaplan_meier(d, by="mode"),
    "survival_summary": lambda d: tk.survival_summary(d, by="mode"),
    "logrank": lambda d: tk.logrank(d, by="course_id", strata="mode"),
    "cumulative_incidence": lambda d: tk.survival.cumulative_incidence(d, by="mode"),
    "gray_test": lambda d: tk.survival.gray_test(d, by="mode"),
    "nelson_aalen": lambda d: tk.survival.nelson_aalen(d, by="mode"),
    "milestone_difference": lambda d: tk.survival.milestone_difference(d, by="mode", at=90),
}


def assert_equal(there: Any, here: Any) -> None:
    """Equal figures, and equal when released: the keys were summed alike."""
    assert_frame_equal(there.frame, here.frame, rel_tol=1e-9, abs_tol=1e-9)
    assert_frame_equal(there.release().frame, here.release().frame, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("data", [clean, nasty])
@pytest.mark.parametrize("analysis", OF_RECORDS.values(), ids=OF_RECORDS)
def test_an_engine_gives_the_figures_of_eager_polars(
    analysis: Callable[[Any], Any], data: Callable[[], pl.DataFrame], move: Move
) -> None:
    assert_equal(analysis(move(data())), analysis(data()))


@pytest.mark.parametrize("analysis", OF_DURATIONS.values(), ids=OF_DURATIONS)
def test_an_engine_gives_the_curves_and_tests_of_eager_polars(
    analysis: Callable[[Any], Any], move: Move
) -> None:
    assert_equal(analysis(move(durations())), analysis(durations()))


def test_a_frame_of_another_engine_is_refused_by_name() -> None:
    with pytest.raises(
        tk.errors.ArgumentError, match=r"not decimal\.Decimal; .* polars\.scan_parquet"
    ):
        tk.outcomes(Decimal(1))
    for nothing in (7, "pc", None, {"a": [1]}, pl.Series([1])):
        with pytest.raises(tk.errors.ArgumentError, match="a frame of Polars"):
            tk.outcomes(nothing)


def test_pandas_missing_values_are_null_whatever_they_are_written_as() -> None:
    rows = pd.DataFrame(
        {
            "in_enrollments": pd.array([True, True, None, True], dtype="boolean"),
            "passed": [True, None, True, False],
            "completion": pd.array([0.9, None, 0.5, 0.1], dtype="Float64"),
            "percent_grade": [np.nan, 0.2, 0.3, 0.4],
            "mode": pd.Categorical(["audit", None, "audit", "audit"]),
        }
    )
    table = tk.outcomes(rows, by="mode").frame
    assert table.select("mode", "n_not_enrolled", "n_enrolled", "n_passed", "n_graded").rows() == [
        (None, 0, 1, 0, 1),
        ("audit", 1, 2, 1, 1),
    ]
