"""Whole times are counted by whole numbers, in two readings of the rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.analyses import counting
from toolkit.analyses.grouping import Groups
from toolkit.errors import SchemaError
from toolkit.survival import ranges
from toolkit.survival.event_table import event_ranges

rng = np.random.default_rng(5)
N = 2_000
ROWS = pl.DataFrame(
    {
        "course_id": rng.choice(["a", "b", "c"], N),
        "duration": np.floor(rng.weibull(1.2, N) * 20),
        "event": rng.random(N) < 0.6,
        "record_key": rng.integers(0, 2**40, N),
    }
)


Put = Callable[[pl.DataFrame], Any]


@pytest.fixture(params=["Polars", "DuckDB"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Put:
    """Write rows to a file, and scan it in an engine."""

    def written(rows: pl.DataFrame) -> Any:
        rows.write_parquet(path := tmp_path / "rows.parquet")
        in_polars = request.param == "Polars"
        return pl.scan_parquet(path) if in_polars else duckdb.read_parquet(str(path))

    return written


@pytest.mark.parametrize("most", [5_000_000, 500], ids=["few rows", "many rows"])
def test_a_curve_of_whole_times_reads_the_rows_twice(
    put: Put, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, collected = [], counting.collected
    monkeypatch.setattr(ranges, "MOST_TIMES", most)
    monkeypatch.setattr(counting, "collected", lambda rows: readings.append(1) or collected(rows))
    curve = tk.survival.kaplan_meier(put(ROWS), by="course_id").frame
    assert len(readings) == 2
    assert curve.height < 500 < N


@pytest.mark.parametrize("excluded", [-1.0, 0.25, 1e300, float("inf"), float("nan"), None])
def test_whatever_time_an_excluded_learner_has_does_not_matter(
    put: Put, excluded: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PACKED_FROM", 1)
    left_out = ROWS.head(40).with_columns(
        duration=pl.lit(excluded, pl.Float64), excluded=pl.lit("not enrolled")
    )
    rows = pl.concat([ROWS, left_out], how="diagonal")
    found = tk.survival.kaplan_meier(put(rows), by="course_id").frame
    assert found.group_by("course_id").agg(pl.col("n_excluded").first())["n_excluded"].sum() == 40
    right = tk.survival.kaplan_meier(ROWS, by="course_id").frame
    assert_frame_equal(found.drop("n_excluded"), right.drop("n_excluded"))


@pytest.mark.parametrize("column", ["duration", "entry"])
@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1.0])
def test_one_time_that_is_no_number_is_refused(column: str, time: float, put: Put) -> None:
    rows = ROWS.with_columns(entry=pl.lit(0.0), duration=pl.col("duration") + 1)
    is_third = pl.int_range(pl.len()) == 2
    wrong = rows.with_columns(pl.when(is_third).then(time).otherwise(column).alias(column))
    with pytest.raises(SchemaError, match=r"rows: 1 have an? .* not a number"):
        tk.survival.kaplan_meier(put(wrong))


@pytest.mark.parametrize("unit", [0.5, 2.0**60, 1e300], ids=["halves", "past 2^53", "huge"])
def test_times_that_no_whole_number_counts_are_counted_as_they_are(
    put: Put, unit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PACKED_FROM", 1)
    by = Groups(("course_id",))
    right = event_ranges(ROWS, by).only.with_columns(pl.col("duration") * unit)
    rows = put(ROWS.with_columns(pl.col("duration") * unit))
    assert_frame_equal(event_ranges(rows, by).only, right)


@pytest.mark.parametrize("n_parted", [0, 30, 600])
def test_parted_times_behind_whole_ones_are_found(
    n_parted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted = ROWS.head(n_parted).with_columns(pl.col("duration") + rng.random(n_parted))
    rows = pl.concat([ROWS, parted])
    by = Groups(("course_id",))
    right = event_ranges(rows, by).only
    monkeypatch.setattr(ranges, "MOST_TIMES", 400)
    tables = list(event_ranges(rows, by).closed())
    assert (len(tables) > 1) == (n_parted > 100)
    assert max(table.height for table in tables) <= 403
    whole = pl.concat(tables)
    at = ["_group", "duration"]
    assert_frame_equal(whole.join(right, on=at, how="semi").sort(at), right)
