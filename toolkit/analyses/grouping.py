"""The groups an analysis may be asked for, calendar cohorts among them.

No engine truncates dates alike. So the engine counts per `enrolled_day`, a plain number, and the
day is mapped to its week, month, quarter or year afterwards, on the small count table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw
import polars as pl

from toolkit.analyses.counting import Frame, grouped, lazily
from toolkit.errors import SchemaError
from toolkit.schemas import require_columns

COHORTS = {
    "enrolled_week": "1w",
    "enrolled_month": "1mo",
    "enrolled_quarter": "1q",
    "enrolled_year": "1y",
}


def names_of(by: str | Sequence[str]) -> list[str]:
    """The group columns as a list.

    Raises:
        SchemaError: One is named twice.
    """
    names = [by] if isinstance(by, str) else list(by)
    if len(set(names)) < len(names):
        raise SchemaError(f"by names a column twice: {', '.join(names)}")
    return names


def start_of(day: pl.Expr, span: str) -> pl.Expr:
    """The first day of the span a day lies in; weeks begin on Monday."""
    return day.cast(pl.Date).dt.truncate(span)


def count_by(
    frame: Frame,
    by: Sequence[str],
    counts: Mapping[str, nw.Expr],
    *,
    within: Sequence[str] = (),
    need: Sequence[str] = (),
) -> pl.DataFrame:
    """Sum each of `counts` per group, calendar cohorts included.

    One row per group and combination of `within`, ordered by them, nulls first. A cohort column
    holds the first day of its week, month, quarter or year.

    Args:
        frame: A person_course frame of any engine.
        by: Columns, or names in `COHORTS`.
        counts: Expressions that are summed, by the name of the sum.
        within: Columns to tell apart inside a group.
        need: Columns the caller's expressions use.

    Raises:
        SchemaError: A column does not exist.
    """
    rows = lazily(frame)
    have = rows.collect_schema().names()
    cohorts = [name for name in by if name in COHORTS and name not in have]
    plain = [name for name in by if name not in cohorts]
    days = ["enrolled_day"] if cohorts else []
    require_columns(have, [*need, *days, *plain], what="person_course")
    keys = list(dict.fromkeys([*days, *plain, *within]))
    counted = grouped(rows, keys, [value.sum().alias(name) for name, value in counts.items()])
    if cohorts:
        spans = [start_of(pl.col("enrolled_day"), COHORTS[name]).alias(name) for name in cohorts]
        counted = per_group(
            counted.with_columns(spans), [*by, *within], [pl.col(list(counts)).sum()]
        )
    order = [*by, *within]
    return counted.select(*order, *counts).sort(order) if order else counted.select(*counts)


def per_group(
    table: pl.DataFrame, by: Sequence[str], aggregations: Sequence[pl.Expr]
) -> pl.DataFrame:
    """Aggregate a count table per group in order of appearance; one row where `by` is empty."""
    if not by:
        return table.select(aggregations)
    return table.group_by(by, maintain_order=True).agg(aggregations)
