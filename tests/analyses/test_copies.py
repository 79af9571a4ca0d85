"""Rows that are written once, to be read many times."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.analyses.copies import copied, in_parts
from toolkit.analyses.engines import collected

ROWS = pl.DataFrame(
    {
        "username": [*(f"u{i % 23}" for i in range(200)), None, None],
        "n": range(202),
        "passed": [True, None] * 101,
    }
)


@pytest.fixture
def aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "it's aside"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["Polars", "DuckDB", "DuckDB without files"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[nw.LazyFrame[Any]]:
    if request.param == "Polars":
        yield nw.from_native(ROWS.lazy())
        return
    with duckdb.connect() as connection:
        ROWS.write_parquet(tmp_path / "rows.parquet")
        connection.read_parquet(str(tmp_path / "rows.parquet")).create("rows")
        if request.param == "DuckDB without files":
            connection.execute("SET enable_external_access = false")
        yield nw.from_native(connection.table("rows")).lazy()


def test_a_copy_holds_the_rows_and_is_deleted_with_its_frame(
    rows: nw.LazyFrame[Any], aside: Path
) -> None:
    copy = copied(rows)
    assert_frame_equal(collected(copy).sort("n"), ROWS)
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in aside.iterdir())
    del copy
    assert not [*aside.iterdir()]


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_parts_hold_each_row_once_and_equal_values_together(
    n: int, rows: nw.LazyFrame[Any], aside: Path
) -> None:
    parts = [collected(part.select(*ROWS.columns)) for part in in_parts(rows, "username", n)]
    assert_frame_equal(pl.concat(parts).sort("n"), ROWS)
    assert sum(part["username"].n_unique() for part in parts) == ROWS["username"].n_unique()
    assert len([part for part in parts if part.height]) >= min(n, 5)
    assert not [*aside.iterdir()]


def test_parts_are_deleted_if_reading_stops(rows: nw.LazyFrame[Any], aside: Path) -> None:
    parts = in_parts(rows, "username", 3)
    next(parts)
    parts.close()
    assert not [*aside.iterdir()]


@pytest.mark.parametrize(
    "rows", [ROWS.lazy(), duckdb.sql("SELECT 1 AS n")], ids=["Polars", "DuckDB"]
)
def test_a_folder_that_cannot_be_written_to_is_named(
    rows: Any, aside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (aside / "in the way").touch()
    monkeypatch.setattr("toolkit.analyses.copies.Path", lambda _: aside / "in the way" / "none")
    with pytest.raises(tk.errors.ArgumentError, match="TMPDIR names another"):
        copied(nw.from_native(rows).lazy())
    assert [path.name for path in aside.iterdir()] == ["in the way"]


def test_rows_that_take_long_to_compute_are_computed_a_few_times(
    monkeypatch: pytest.MonkeyPatch, aside: Path
) -> None:
    """However many ranges a curve is read in."""
    rows = pl.DataFrame({"duration": [i + 0.5 for i in range(2_000)], "event": [True] * 2_000})
    times = list[int]()

    def slowly(frame: pl.DataFrame) -> pl.DataFrame:
        times.append(frame.height)
        return frame

    monkeypatch.setattr("toolkit.survival.ranges.MOST_TIMES", 50)
    found = tk.survival_summary(rows.lazy().map_batches(slowly))
    assert len(times) < 8
    assert_frame_equal(found.frame, tk.survival_summary(rows).frame)
    assert not [*aside.iterdir()]


def test_frames_in_memory_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.survival.ranges.copied", None)
    monkeypatch.setattr("toolkit.survival.ranges.MOST_TIMES", 50)
    rows = pl.DataFrame({"duration": [i + 0.5 for i in range(200)], "event": [True] * 200})
    assert tk.kaplan_meier(rows).frame.height
