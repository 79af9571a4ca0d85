"""Grouped counts where the data live: the first step of every analysis.

The frame may be a Polars DataFrame or LazyFrame, a DuckDB relation, or anything else that
Narwhals knows. Only the small count table comes back, as a Polars DataFrame, so the rows about
single learners never leave their engine, and the same call gives the same table on each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_
from typing import Any, TypeAlias

import narwhals as nw
import polars as pl

from toolkit.schemas import require_columns

Frame: TypeAlias = Any
"""A person-course frame, a durations frame, …: whatever Narwhals can count."""


def lazily(frame: Frame) -> nw.LazyFrame[Any]:
    """The frame for Narwhals, uncollected.

    Raises:
        TypeError: Narwhals does not know the frame.
    """
    rows: nw.LazyFrame[Any] = nw.from_native(frame).lazy()
    return rows


def flag(*conditions: nw.Expr) -> nw.Expr:
    """1 where all conditions hold, 0 where one does not or is unknown; so its sum is a count."""
    return nw.when(reduce(and_, conditions)).then(nw.lit(1)).otherwise(nw.lit(0))


def grouped(frame: Frame, by: Sequence[str], aggregations: Iterable[nw.Expr]) -> pl.DataFrame:
    """Aggregate per group in the frame's own engine, and collect.

    One row per group, ordered by group, nulls first; one row in all where `by` is empty. Whole
    numbers arrive as Int64, whichever type an engine sums into.

    Args:
        frame: Any frame with the columns of `by` and of the aggregations.
        by: The columns to group by; null is a group like any other.
        aggregations: Narwhals expressions that reduce a group to one value each, and name it.

    Raises:
        SchemaError: A column of `by` does not exist.

    Examples:
        >>> people = pl.DataFrame({"course": ["a", "a", "b"], "passed": [True, None, False]})
        >>> passed = flag(nw.col("passed")).sum().alias("n_passed")
        >>> grouped(people, ["course"], [nw.len().alias("n"), passed]).rows()
        [('a', 2, 1), ('b', 1, 0)]
    """
    found = counted(frame, by, aggregations)
    return found.sort(by) if by else found


def counted(frame: Frame, by: Sequence[str], aggregations: Iterable[nw.Expr]) -> pl.DataFrame:
    """What `grouped` gives, in no order: to sort many groups takes longer than to count them."""
    rows = lazily(frame)
    require_columns(rows.collect_schema().names(), by, what="the frame")
    computed = list(aggregations)
    if not by:
        return _collect(rows.select(*computed))
    return _collect(rows.group_by(list(by), drop_null_keys=False).agg(*computed))


def _collect(rows: nw.LazyFrame[Any]) -> pl.DataFrame:
    native = nw.to_native(rows)
    if isinstance(native, pl.LazyFrame):
        frame = native.collect()
    elif hasattr(native, "__arrow_c_stream__"):  # DuckDB: no copy, and no pyarrow needed
        frame = pl.DataFrame(native)
    else:
        frame = nw.to_native(rows.collect("polars"))
    # Engines sum integers into Int32, Int128 or Decimal(38, 0).
    whole = [name for name, dtype in frame.schema.items() if _is_whole(dtype)]
    return frame.with_columns(pl.col(whole).cast(pl.Int64))


def _is_whole(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)
