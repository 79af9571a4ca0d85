"""The files of a snapshot: each resource in the order of its learners, and its problems."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from toolkit.loading.problems import repeated_keys
from toolkit.schemas import PROBLEMS, Table
from toolkit.snapshots.manifest import File, Times
from toolkit.snapshots.sorting import SortedRows

_PLACE = "_place"
_UNITS = {"day": "1d", "month": "1mo"}


def coarse_times(frame: pl.DataFrame, times: Times) -> pl.DataFrame:
    """Return the frame with its timestamps truncated to the day or the month (UTC)."""
    if times == "exact":
        return frame
    return frame.with_columns(pl.col(pl.Datetime("us", "UTC")).dt.truncate(_UNITS[times]))


class Files:
    """Writes files into a folder that has no readers yet.

    It gets its final name later. Frames are written as `hide` leaves them.
    """

    def __init__(
        self, folder: Path, name: str, hide: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> None:
        self._folder = folder
        self._name = name
        self._hide = hide

    def resource(
        self, table: Table, parts: Iterable[tuple[pl.DataFrame, pl.DataFrame]], schema: pl.Schema
    ) -> tuple[File, pl.DataFrame]:
        """Write the records of a resource, sorted by learner and course, in bounded memory.

        The parts are records and their problems, in the platform's order. The file has another, so
        a position in it identifies no record there. Returns the file, and its problems with the
        position of each record in it.
        """
        runs = self._folder / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        rows, problems, n_rows = SortedRows(runs, [*table.key, _PLACE]), [PROBLEMS.empty()], 0
        for frame, found in parts:
            problems.append(found)
            if frame.height:
                places = pl.int_range(n_rows, n_rows + frame.height, dtype=pl.Int64, eager=True)
                rows.add(self._hide(frame).with_columns(places.alias(_PLACE)))
                n_rows += frame.height
        tracker = _ProblemTracker(table, pl.concat(problems))
        path = self._folder / f"{table.name}.parquet"
        _sink(register_io_source(lambda *_: tracker.watch(rows.frames()), schema=schema), path)
        shutil.rmtree(runs)
        return self._file(path, n_rows), tracker.problems()

    def problems(self, problems: pl.DataFrame) -> File:
        """Write the problems of all resources."""
        path = self._folder / "problems.parquet"
        _sink(self._hide(problems).lazy(), path)
        return self._file(path, problems.height)

    def _file(self, path: Path, rows: int) -> File:
        return File.of(path, self._folder, name=self._name, rows=rows)


class _ProblemTracker:
    """Tracks the new positions of records with problems as sorted frames pass."""

    def __init__(self, table: Table, problems: pl.DataFrame) -> None:
        self._table = table
        self._problems = problems
        self._wanted = problems["record"].drop_nulls().unique().implode()
        self._placed = [pl.DataFrame(schema={"record": pl.Int64, "stored": pl.Int64})]
        self._repeated = [PROBLEMS.empty()]

    def watch(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the frames without the records' old positions."""
        before = 0
        for frame in frames:
            numbered = frame.with_row_index("stored", before).cast({"stored": pl.Int64})
            wanted = numbered.filter(pl.col(_PLACE).is_in(self._wanted))
            self._placed.append(wanted.select(pl.col(_PLACE).alias("record"), "stored"))
            keys = numbered.select(*self._table.key, record="stored")
            self._repeated.append(repeated_keys(self._table, keys))
            before += frame.height
            yield frame.drop(_PLACE)

    def problems(self) -> pl.DataFrame:
        """Return the problems with the new positions of their records, in that order."""
        moved = self._problems.join(pl.concat(self._placed), on="record", how="left")
        placed = moved.with_columns(record="stored").select(PROBLEMS.names)
        return pl.concat([placed, *self._repeated]).sort("record", "column", nulls_last=True)


def _sink(rows: pl.LazyFrame, path: Path) -> None:
    """Write a file that only this user can read."""
    path.touch(mode=0o600)
    rows.sink_parquet(path, compression="zstd", sync_on_close="all")
