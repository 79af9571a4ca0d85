"""Ranges of a text column, so that a join in Polars needs memory for one range at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

_ROW_BY_ROW = {"SELECT", "WITH_COLUMNS:", "FROM", "DF", "Parquet", "PROJECT", "SLICE:", "ESTIMATED"}
_PARTS = "parts"
_SAMPLED = 64  # rows per range that are sampled to see how the values are distributed


def ranges(frames: Sequence[Any], column: str, *, most: int) -> list[pl.Expr]:
    """Return conditions on a text column; each row of the frames meets exactly one.

    There are none if the rows are few, or cannot be read in parts. The ranges are
    about equal, and the rows without a text are in the first.

    Args:
        frames: LazyFrames of Polars that have the column; for others there are no ranges.
        column: The text column.
        most: About how many rows, of all frames together, a range has.

    Examples:
        >>> names = pl.DataFrame({"name": ["a", "b", None, "c", "d"]}).lazy()
        >>> [names.filter(each).collect()["name"].to_list() for each in
        ...     ranges([names], "name", most=3)]
        [['a', 'b', None], ['c', 'd']]
    """
    if not all(is_read_by_row(frame) for frame in frames):
        return []
    if any(frame.collect_schema()[column] != pl.String for frame in frames):
        return []
    n_rows = sum(frame.select(pl.len()).collect().item() for frame in frames)
    n_ranges = -(-n_rows // most)
    if n_ranges < 2:
        return []
    step = max(1, n_rows // (n_ranges * _SAMPLED))
    text, place = pl.col(column), pl.col("place")
    copy = text.str.strip_prefix("")  # otherwise the few texts keep all others in memory
    seen = pl.concat(
        frame.select(column).with_row_index("place").filter(place % step == 0).select(copy)
        for frame in frames
    )
    sample = seen.drop_nulls().sort(column).collect()[column]
    if sample.is_empty():
        return []
    cuts = sample.gather([sample.len() * i // n_ranges for i in range(1, n_ranges)]).unique().sort()
    between = [(text >= low) & (text < high) for low, high in pairwise(cuts)]
    return [(text < cuts[0]) | text.is_null(), *between, text >= cuts[-1]]


def read_in_parts(parts: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """Return the rows of all parts, which are computed one after the other.

    Columns not asked for, and rows that a filter drops, are left out within each part.
    """

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for part in parts:
            rows = part if predicate is None else part.filter(predicate)
            rows = rows if columns is None else rows.select(columns)
            frame = (rows if left is None else rows.head(left)).collect()
            yield frame
            if left is not None:
                left -= frame.height
                if left <= 0:
                    return

    return register_io_source(read, schema=parts[0].collect_schema(), explain_name=_PARTS)


def in_batches(native: pl.LazyFrame, most: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of a frame, computed once, about `most` at a time."""
    held = [pl.DataFrame(schema=native.collect_schema())]
    for batch in native.collect_batches(maintain_order=False):
        held.append(batch)
        if sum(one.height for one in held) >= most:
            yield pl.concat(held)
            held.clear()
    if held:
        yield pl.concat(held)


def is_read_in_parts(native: Any) -> bool:
    """Whether the rows are, or are computed from, those of `read_in_parts`."""
    return isinstance(native, pl.LazyFrame) and f"PYTHON[{_PARTS}]" in native.explain()


def is_read_by_row(native: Any) -> bool:
    """Whether Polars can read some of these rows without the others.

    It can for files and frames in memory, with columns computed row by row: in these plans
    there are no other steps. A join would be computed again for each slice.
    """
    if not isinstance(native, pl.LazyFrame):
        return False
    plan = native.slice(1, 1).explain()
    steps = {line.strip().partition(" ")[0] for line in plan.splitlines()} - {""}
    return not any(step[0].isupper() and step not in _ROW_BY_ROW for step in steps)
