"""Many rows are grouped a slice at a time in Polars, where a slice can be read without the rest."""

from collections.abc import Callable
from pathlib import Path

import narwhals.stable.v2 as nw
import polars as pl
import pytest

from toolkit.analyses.counting import lazily
from toolkit.analyses.engines import number_of_rows
from toolkit.engines.cases import CASES, Case, difference

ROWS = pl.DataFrame({"course": ["a", None, "a", "B C"], "n": [1, 2, 3, 4]})


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_slices_count_what_the_whole_does(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case.call(*case.rows())
    monkeypatch.setattr("toolkit.analyses.counting.MOST_AT_ONCE", 700)
    monkeypatch.setattr("toolkit.analyses.counting.PACKED_FROM", 0)
    monkeypatch.setattr("toolkit.survival.event_table.ROWS_AT_ONCE", 300)
    for sliced, right in zip(case.call(*case.rows()), whole, strict=True):
        assert difference(sliced.frame, right.frame) is None
        assert difference(sliced.release().frame, right.release().frame) is None


def scanned(folder: Path) -> pl.LazyFrame:
    for place in range(2):
        ROWS.write_parquet(folder / f"SORT {place}.parquet")
    return pl.scan_parquet(folder / "*.parquet")


SLICED: dict[str, tuple[Callable[[pl.LazyFrame], pl.LazyFrame], int]] = {
    "files": (lambda rows: rows, 8),
    "columns computed row by row": (
        lambda rows: rows.with_columns((pl.col("n") * 2).alias("JOIN SORT")).select(
            pl.all().name.suffix("!"), pl.when(pl.col("n") > 1).then(pl.lit("AGGREGATE"))
        ),
        8,
    ),
    "some rows": (lambda rows: rows.filter(pl.col("n") > 1), 0),
    "joined rows": (lambda rows: rows.join(rows, on="n"), 0),
    "sorted rows": (lambda rows: rows.sort("n"), 0),
    "numbered rows": (lambda rows: rows.with_row_index(), 0),
    "columns computed of others' rows": (lambda rows: rows.select(pl.col("n").shift()), 0),
    "columns computed of a group": (
        lambda rows: rows.with_columns(all=pl.col("n").sum().over("course")),
        0,
    ),
    "counted rows": (lambda rows: rows.group_by("course").len(), 0),
    "two scans": (lambda rows: pl.concat([rows, rows.sort("n")]), 0),
    "a function of Python": (lambda rows: rows.map_batches(lambda frame: frame), 0),
}


@pytest.mark.parametrize(("plan", "n"), SLICED.values(), ids=SLICED)
def test_only_a_slice_that_is_read_without_the_rest_is_taken(
    plan: Callable[[pl.LazyFrame], pl.LazyFrame], n: int, tmp_path: Path
) -> None:
    assert number_of_rows(lazily(plan(scanned(tmp_path)))) == n


def test_rows_in_memory_are_sliced() -> None:
    computed = lazily(ROWS).with_columns(m=nw.col("n") + 1)
    assert number_of_rows(computed) == 4
