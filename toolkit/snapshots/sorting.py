"""Sort more rows than fit in memory: sorted runs on disk, read again range by range."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl

_RUN = 500_000  # rows sorted at once
_MARKS = 64  # values of a run that show how its rows are distributed
_ROW_GROUP = 16_384  # rows that a range reads or skips at once


class SortedRows:
    """Rows in one order, whatever order they are added in.

    All rows with the same value in the first column come in one frame. The caller removes the
    folder in which the runs are until they are read.
    """

    def __init__(self, folder: Path, by: list[str]) -> None:
        self._folder = folder
        self._by = by
        self._waiting: list[pl.DataFrame] = []
        self._marks: list[str] = []
        self._runs = 0
        folder.mkdir()

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        self._waiting.append(frame)
        if sum(waiting.height for waiting in self._waiting) >= _RUN:
            self._write_run()

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield all rows added so far, in order, in frames of about the size of a run."""
        self._write_run()
        if not self._runs:
            return
        marks = sorted(self._marks)
        cuts = sorted({*marks[:: -(-len(marks) // self._runs)][1:]})
        first = pl.col(self._by[0])
        rows = pl.scan_parquet(sorted(self._folder.iterdir()), glob=False)
        for low, high in pairwise([None, *cuts, None]):
            inside = [] if low is None else [first >= low]
            inside += [] if high is None else [first < high]
            yield rows.filter(*inside).sort(self._by).collect()

    def _write_run(self) -> None:
        if not any(frame.height for frame in self._waiting):
            return
        run = pl.concat(self._waiting).sort(self._by)
        self._waiting = []
        path = self._folder / f"{self._runs:06}.parquet"
        run.write_parquet(path, compression="lz4", row_group_size=_ROW_GROUP)
        self._runs += 1
        # As Python strings, because a slice of a column keeps the whole column in memory.
        self._marks += run[self._by[0]].gather_every(-(-run.height // _MARKS)).to_list()
