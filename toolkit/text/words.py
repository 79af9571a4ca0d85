"""How charts name groups and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import polars as pl

from toolkit.schemas import Table

NONE = "(none)"


def group_columns(table: pl.DataFrame, known: Table) -> list[str]:
    """The columns a user grouped by: those the schema does not name."""
    return [name for name in table.columns if name not in {*known.names, "status", "is_total"}]


def with_labels(table: pl.DataFrame, groups: Sequence[str]) -> pl.DataFrame:
    """The table with one column `group`, the group's values in words."""
    labels = [" · ".join(_word(value) for value in row) for row in table.select(groups).rows()]
    return table.with_columns(group=pl.Series(labels, dtype=pl.String) if groups else pl.lit("all"))


def _word(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def percent(share: float) -> str:
    """A share in words: 0.123 is "12%"; one that is neither 0 nor 1 is not called 0% or 100%."""
    rounded = math.floor(share * 100 + 0.5)  # halves up, as the axes do
    near_end = rounded in {0, 100} and share not in {0, 1}
    return f"{share * 100:.1f}%" if near_end else f"{rounded}%"


def basis(n: int, source: str | None, *more: str, unit: str = "enrollments") -> str:
    """A chart's subtitle: how many, of what, from where."""
    parts = [f"n = {n:,} {unit}", *more, *([source] if source else [])]
    return " · ".join(parts)


def shown(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows in which the column is there to be seen."""
    return table.filter(pl.col(column).is_not_null())


def withheld_note(table: pl.DataFrame, column: str, of: str) -> list[str]:
    """What a subtitle says where the column is withheld; nothing where it is not."""
    hidden = table.filter(pl.col(column).is_null(), pl.col("status").str.starts_with("withheld"))
    return [f"small numbers withheld in {hidden.height:,} of {table.height:,} {of}"] * bool(
        hidden.height
    )
