"""Rows of files in ranges, and parts that are computed one by one."""

from pathlib import Path

import polars as pl

from toolkit.loading.ranges import ranges, read_in_parts


def test_no_more_parts_are_computed_than_rows_are_asked_for() -> None:
    computed = []

    def told(frame: pl.DataFrame) -> pl.DataFrame:
        computed.append(frame.height)
        return frame

    part = pl.LazyFrame({"n": [1, 2, 3]}).map_batches(told)
    assert read_in_parts([part, part, part]).head(2).collect().height == 2
    assert len(computed) == 1


def test_rows_that_cannot_be_read_in_parts_are_in_none(tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": [f"{number:02}" for number in range(40)]})
    frame.write_parquet(tmp_path / "names.parquet")
    rows = pl.scan_parquet(tmp_path / "names.parquet")
    assert len(ranges([rows, frame.lazy()], "name", most=20)) == 4
    assert ranges([rows], "name", most=40) == []
    assert ranges([rows, rows.sort("name")], "name", most=20) == []
    assert ranges([rows.with_columns(pl.lit(None, pl.String).alias("name"))], "name", most=9) == []
    assert ranges([rows.cast(pl.Categorical)], "name", most=9) == []
    assert ranges([frame], "name", most=9) == []
