"""Small whole times are counted in one reading of the rows, others by whole numbers in three."""

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


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Append the number of rows that each reading returns."""
    found, collected = list[int](), counting.collected

    def counted(rows: Any) -> pl.DataFrame:
        frame = collected(rows)
        found.append(frame.height)
        return frame

    monkeypatch.setattr(counting, "collected", counted)
    return found


@pytest.mark.parametrize("most", [5_000_000, 500], ids=["few rows", "many rows"])
def test_a_curve_of_small_whole_times_reads_the_rows_once(
    put: Put, most: int, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "MOST_TIMES", most)
    curve = tk.survival.kaplan_meier(put(ROWS), by="course_id").frame
    assert len(readings) == 1
    assert curve.height < 500 < N


@pytest.mark.parametrize("column", ["duration", "entry"])
def test_the_first_reading_of_exact_times_returns_few_rows(
    column: str, put: Put, readings: list[int]
) -> None:
    rows = ROWS.with_columns(pl.lit(0.0).alias("entry"), pl.col("duration") + 1)
    exact = rows.with_columns((pl.col(column) + 0.5).alias(column))
    tk.survival.kaplan_meier(put(exact), by="course_id")
    assert readings[0] == 3


@pytest.mark.parametrize("slice_of", [10_000, 300], ids=["at once", "in slices"])
def test_a_reading_of_too_many_times_stops(
    put: Put, slice_of: int, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    by = Groups(("course_id",))
    right = event_ranges(ROWS, by).only
    assert right.height > 100
    readings.clear()
    monkeypatch.setattr(counting, "MOST_AT_ONCE", slice_of)
    monkeypatch.setattr(ranges, "MOST_TIMES", 100)
    tables = list(event_ranges(put(ROWS), by).closed())
    assert max(readings) == 101
    assert_frame_equal(
        pl.concat(tables)
        .filter(pl.col("n_events") + pl.col("n_censored") > 0)
        .sort("_group", "duration"),
        right.filter(pl.col("n_events") + pl.col("n_censored") > 0),
    )


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


SHAPES: dict[str, dict[str, pl.Expr]] = {
    "from 0": {},
    "late entry": {"entry": pl.col("duration").floordiv(3), "duration": pl.col("duration") + 1},
    "some excluded": {
        "excluded": pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("not enrolled"))
    },
}


@pytest.mark.parametrize("ends", [(), ("passed", "left")], ids=["one end", "two ends"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "unit", [0.5, 2.0**20, 2.0**60, 1e300], ids=["halves", "large", "past 2^53", "huge"]
)
def test_other_times_are_counted_as_small_whole_ones_are(
    put: Put, unit: float, shape: str, ends: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PACKED_FROM", 1)
    by = Groups(("course_id",))
    end = pl.when("event").then(pl.lit("passed")).otherwise(pl.lit("left"))
    small = ROWS.with_columns(end=end).with_columns(**SHAPES[shape])
    right = event_ranges(put(small), by, ends=ends)
    steps, about, longest = right.only, right.about, right.longest  # before the file is rewritten
    times = pl.col("^(duration|entry)$") * unit
    found = event_ranges(put(small.with_columns(times)), by, ends=ends)
    assert_frame_equal(found.only, steps.with_columns(pl.col("duration") * unit))
    counted = pl.exclude("n_times", "n_whole")
    assert_frame_equal(found.about.select(counted), about.select(counted))
    assert_frame_equal(found.longest, longest.with_columns(pl.col("longest") * unit))


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
