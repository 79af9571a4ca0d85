"""Pack several columns into one integer, by which Polars groups and sorts in half the time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

PACKED = " packed"
"""The column of the numbers; its space keeps it apart from the columns of all tables."""
MOST_TEXTS = 1_000_000
"""The most distinct texts a column may have."""


class _Column(NamedTuple):
    """A column whose values are numbered from 1, in their order; 0 is null."""

    name: str
    dtype: pl.DataType
    first: int  # one less than the value numbered 1, if values are whole numbers
    texts: pl.Series | None  # the values, in order, if they are texts
    n: int  # how many numbers there are, including 0

    @classmethod
    def of_texts(cls, name: str, texts: pl.Series) -> _Column:
        texts = texts.drop_nulls().sort()
        return cls(name, pl.String(), 0, texts, len(texts) + 1)

    @classmethod
    def of_whole(
        cls, name: str, dtype: pl.DataType, least: int | None, most: int | None
    ) -> _Column:
        if least is None or most is None:
            return cls(name, dtype, 0, None, 1)
        return cls(name, dtype, least - 1, None, most - least + 2)

    def numbers(self) -> pl.Expr:
        """Return the numbers of the values."""
        value = pl.col(self.name)
        if self.texts is not None:
            place = value.cast(pl.Enum(self.texts)).to_physical().cast(pl.Int64) + 1
        else:
            place = value.cast(pl.Int64) - self.first
        return place.fill_null(0)

    def values(self, numbers: pl.Expr) -> pl.Expr:
        """Return the values with these numbers, whole numbers as Int64."""
        if self.texts is not None:
            each = pl.concat([pl.Series([None], dtype=pl.String), self.texts])
            return pl.lit(each).gather(numbers).alias(self.name)
        whole = numbers + self.first
        known = whole if self.dtype.is_integer() else whole.cast(self.dtype)
        return pl.when(numbers > 0).then(known).alias(self.name)


class Packing(NamedTuple):
    """How columns make up one number, whose order is that of the rows sorted by them."""

    columns: list[_Column]

    @classmethod
    def of(
        cls, rows: pl.LazyFrame, by: Sequence[str], n_values: Mapping[str, int] | None = None
    ) -> Packing | None:
        """Scan the rows for the values of these columns.

        None if the numbers would be too large, or a column holds neither texts nor whole numbers
        nor dates. `n_values` says how many values a column of whole numbers from 0 up has.
        """
        schema = rows.select(by).collect_schema()
        if not all(_is_packable(dtype) for dtype in schema.values()):
            return None
        known = {name: (0, n - 1) for name, n in (n_values or {}).items()}
        asked = [
            name for name, dtype in schema.items() if not (dtype == pl.String or name in known)
        ]
        ends = {f"{name} least": pl.col(name).cast(pl.Int64).min() for name in asked}
        ends |= {f"{name} most": pl.col(name).cast(pl.Int64).max() for name in asked}
        found = rows.select(**ends).collect()
        known |= {
            name: (found[f"{name} least"].item(), found[f"{name} most"].item()) for name in asked
        }
        columns = []
        for name, dtype in schema.items():
            if dtype != pl.String:
                columns.append(_Column.of_whole(name, dtype, *known[name]))
                continue
            # `unique` within a selection keeps all rows in memory; on a single column, none.
            texts = rows.select(name).unique().head(MOST_TEXTS + 1).collect()[name]
            if len(texts) > MOST_TEXTS:
                return None
            columns.append(_Column.of_texts(name, texts))
        return cls(columns) if math.prod(column.n for column in columns) < 2**62 else None

    def packed(self) -> pl.Expr:
        """Return the number of a row."""
        number = pl.lit(0, dtype=pl.Int64)
        for column in self.columns:
            number = number * column.n + column.numbers()
        return number.alias(PACKED)

    def unpacked(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace the number by the columns; whole numbers as Int64."""
        found, rest = [], pl.col(PACKED)
        for column in reversed(self.columns):
            found.append(column.values(rest % column.n))
            rest = rest // column.n
        return frame.select(*reversed(found), pl.exclude(PACKED))


def sorted_by(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Sort a frame by these columns, nulls first."""
    packing = Packing.of(frame.lazy(), by)
    if packing is None:
        return frame.sort(by)
    return frame.with_columns(packing.packed()).sort(PACKED).drop(PACKED)


def _is_packable(dtype: pl.DataType) -> bool:
    whole = dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128, pl.UInt128)
    return whole or dtype in (pl.String, pl.Boolean, pl.Date)
