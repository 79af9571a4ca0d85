"""Rows that are read many times, written once to temporary files where Polars or DuckDB can."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.engines import is_of_duckdb, with_part
from toolkit.errors import writing

Rows = nw.LazyFrame[Any]
PART = "_part"
MOST_AT_ONCE = 2_500_000
"""The most rows of a part that is joined or grouped by nearly as many keys: more take longer."""
_MOST_PARTS = 100  # so that writing them takes little memory


def copied(rows: Rows) -> Rows:
    """Return the same rows, in Polars and DuckDB from a file, so that they are computed once.

    The file is for this user alone, and deleted with the frame that is returned.
    """
    with ExitStack() as until_read:
        folder = Path(until_read.enter_context(TemporaryDirectory(prefix="so2-")))
        if not _wrote(rows, folder):
            return rows
        copy = _read(rows, folder)
        weakref.finalize(copy, until_read.pop_all().close)
        return copy


def in_parts(rows: Rows, name: str, n: int) -> Iterator[Rows]:
    """Yield the rows in `n` parts, 100 at most, those of one value of a column together.

    Polars and DuckDB write each part to files; other engines read all rows for each part.
    """
    n = min(n, _MOST_PARTS)
    if n < 2:
        yield rows
        return
    parts = with_part(rows, name, n, PART)
    with TemporaryDirectory(prefix="so2-") as place:
        is_written = _wrote(parts, folder := Path(place), PART)
        for part in range(n):
            if not is_written:
                yield parts.filter(nw.col(PART) == part)
            elif (of_part := folder / f"{PART}={part}").exists():
                yield _read(parts, of_part)


def _wrote(rows: Rows, folder: Path, *parts: str) -> bool:
    """Write the rows to Parquet files in a folder, if their engine writes files of this machine."""
    native: Any = rows.to_native()
    file = folder / "rows.parquet"
    with writing(folder, left="TMPDIR names another."):
        if is_of_duckdb(rows):
            return _duckdb_wrote(native, folder if parts else file, *parts)
        if isinstance(native, pl.LazyFrame):
            files = pl.PartitionBy(folder, key=parts, include_key=False) if parts else file
            native.sink_parquet(files, compression="lz4")
            return True
    return False


def _duckdb_wrote(relation: Any, target: Path, *parts: str) -> bool:
    import duckdb

    try:
        relation.write_parquet(str(target), compression="lz4", partition_by=[*parts] or None)
    except duckdb.PermissionException:  # of a session without access to files
        return False
    except duckdb.IOException as error:
        raise OSError(str(error)) from None
    return True


def _read(rows: Rows, folder: Path) -> Rows:
    """Return the rows of the files, in the engine of `rows`."""
    files = sorted(map(str, folder.glob("*.parquet")))
    if not is_of_duckdb(rows):
        copy: Any = pl.scan_parquet(files, glob=False, hive_partitioning=False)
    else:  # of the same session, whose limits and settings hold
        names = ", ".join("'{}'".format(file.replace("'", "''")) for file in files)
        sql = f"SELECT * FROM read_parquet([{names}], hive_partitioning=false)"  # noqa: S608
        copy = rows.to_native().query("_", sql)
    lazy: Rows = nw.from_native(copy).lazy()
    return lazy
