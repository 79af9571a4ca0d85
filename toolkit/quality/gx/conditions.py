"""Great Expectations' map expectations as Polars expressions.

A map metric has a domain (the rows it checks) and marks the unexpected ones among them. Both
are expressions here, so that any number of metrics is one `select` over the frame. The meaning
of missing, of `row_condition` and of `ignore_row_if` is that of GX's pandas engine; a NaN is a
missing value, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import polars as pl

from toolkit.quality.gx.library import (
    AndCondition,
    ComparisonCondition,
    NullityCondition,
    OrCondition,
    deserialize_row_condition,
)

Kwargs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MapQuestion:
    """A map metric of a frame.

    Whether two rows agree cannot be decided from one row, and is costly to decide. So hashes are
    compared first, as rows that agree have the same hash. If no two rows share a hash, nothing
    else is computed; otherwise only rows with a shared hash are compared.

    Attributes:
        domain: What must be true of a row for it to be checked (`row_condition`, `ignore_row_if`).
        unexpected: Whether a row is checked and breaks the expectation.
        columns: The columns it is about.
        hashed: The hash of the columns, if the question is whether rows agree.
        present: What must be true besides, for the row not to count as one with a missing value.
    """

    domain: tuple[pl.Expr, ...]
    unexpected: pl.Expr
    columns: list[str]
    hashed: pl.Expr | None = None
    present: tuple[pl.Expr, ...] = ()

    @property
    def n_rows(self) -> pl.Expr:
        """The number of rows checked."""
        return count(self.domain)

    def checked(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows that are checked and have a value."""
        return frame.filter(*self.domain, *self.present)

    def failing(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the unexpected rows."""
        if self.hashed is None:
            return frame.filter(self.unexpected)
        suspects = frame.filter(*self.domain).filter(self.hashed.is_duplicated())
        return suspects.filter(self.unexpected)


def count(conditions: tuple[pl.Expr, ...]) -> pl.Expr:
    """Count the rows for which all conditions are true."""
    return pl.all_horizontal(conditions).sum() if conditions else pl.len()


def value(name: str, schema: pl.Schema) -> pl.Expr:
    """Return the column with NaN as null.

    Raises:
        KeyError: The frame has no such column.
    """
    if name not in schema:
        raise KeyError(f"no column `{name}`; the frame has {', '.join(schema)}")
    column = pl.col(name)
    return column.fill_nan(None) if schema[name].is_float() else column


def like(given: Any, dtype: pl.DataType) -> Any:
    """Convert a bound from a suite (JSON has no dates) to the column's type."""
    if isinstance(given, str) and dtype.is_temporal():
        given = datetime.fromisoformat(given)
    if isinstance(given, datetime) and dtype == pl.Date:
        return given.date()
    if isinstance(given, date) and isinstance(dtype, pl.Datetime):
        moment = given if isinstance(given, datetime) else datetime(*given.timetuple()[:3])
        if dtype.time_zone is None:
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return given


def row_condition(condition: Any, schema: pl.Schema) -> tuple[pl.Expr, ...]:
    """Return a GX row condition as expressions that must all be true; never null.

    Raises:
        TypeError: The condition is a query string of another engine.
    """
    condition = deserialize_row_condition(condition)
    match condition:
        case None | "":
            return ()
        case NullityCondition():
            column = value(condition.column.name, schema)
            return (column.is_null() if condition.is_null else column.is_not_null(),)
        case ComparisonCondition():
            return (_comparison(condition, schema),)
        case AndCondition():
            parts = [row_condition(part, schema) for part in condition.conditions]
            return tuple(chain.from_iterable(parts))
        case OrCondition():
            parts = [row_condition(part, schema) for part in condition.conditions]
            return (pl.any_horizontal([pl.all_horizontal(part) for part in parts]),)
    raise TypeError(
        f"row_condition {condition!r} is a query in another engine's language; build it from "
        "great_expectations.expectations.row_conditions.Column"
    )


def _comparison(condition: ComparisonCondition, schema: pl.Schema) -> pl.Expr:
    column, dtype = value(condition.column.name, schema), schema[condition.column.name]
    operator, bound = str(condition.operator), condition.parameter
    if operator in {"IN", "NOT_IN"}:
        among = column.is_in([like(item, dtype) for item in bound], nulls_equal=False)
        return (among if operator == "IN" else ~among).fill_null(operator != "IN")
    compare = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}[operator]
    missing = operator == "!="  # in pandas, NaN differs from all and is never above or below
    result: pl.Expr = compare(column, like(bound, dtype)).fill_null(missing)
    return result


Condition = Callable[[pl.Expr, pl.DataType, Kwargs], pl.Expr]


def _between(column: pl.Expr, dtype: pl.DataType, kwargs: Kwargs) -> pl.Expr:
    low, high = like(kwargs.get("min_value"), dtype), like(kwargs.get("max_value"), dtype)
    sides = []
    if low is not None:
        sides.append(column > low if kwargs.get("strict_min") else column >= low)
    if high is not None:
        sides.append(column < high if kwargs.get("strict_max") else column <= high)
    return pl.all_horizontal(sides)


def _in_set(column: pl.Expr, dtype: pl.DataType, kwargs: Kwargs) -> pl.Expr:
    if kwargs.get("value_set") is None:
        return pl.lit(value=True)
    return column.is_in([like(item, dtype) for item in kwargs["value_set"]])


# GX's name of the metric → what is expected of a value that is not missing.
COLUMN_CONDITIONS: dict[str, Condition] = {
    "column_values.nonnull": lambda column, _, __: column.is_not_null(),
    "column_values.null": lambda column, _, __: column.is_null(),
    "column_values.between": _between,
    "column_values.in_set": _in_set,
    "column_values.not_in_set": lambda column, dtype, kwargs: ~_in_set(column, dtype, kwargs),
    "column_values.match_regex": lambda column, _, kwargs: column.cast(pl.String).str.contains(
        kwargs["regex"]
    ),
    "column_values.not_match_regex": lambda column, _, kwargs: (
        ~column.cast(pl.String).str.contains(kwargs["regex"])
    ),
    "column_values.value_length.between": lambda column, _, kwargs: _between(
        column.str.len_chars(), pl.UInt32(), kwargs
    ),
    "column_values.value_length.equals": lambda column, _, kwargs: (
        column.str.len_chars() == kwargs["value"]
    ),
}
NULLS_COUNT = {"column_values.nonnull", "column_values.null"}
PAIR_METRICS = {"column_pair_values.a_greater_than_b", "column_pair_values.equal"}
DISTINCT_METRICS = {"column_values.unique", "compound_columns.unique"}
MAP_METRICS = [*COLUMN_CONDITIONS, *PAIR_METRICS, *DISTINCT_METRICS]


def map_question(metric: str, kwargs: Kwargs, schema: pl.Schema) -> MapQuestion:
    """Return what the metric checks, given an expectation's kwargs and the frame's schema.

    Raises:
        KeyError: A column is missing, or the metric is not known here.
        TypeError: The row condition is written for another engine.
    """
    rows = row_condition(kwargs.get("row_condition"), schema)
    if metric in PAIR_METRICS:
        return _pair(metric, kwargs, schema, rows)
    if metric in DISTINCT_METRICS:
        return _distinct(kwargs, schema, rows)
    name = kwargs["column"]
    column = value(name, schema)
    expected = COLUMN_CONDITIONS[metric](column, schema[name], kwargs)
    present = () if metric in NULLS_COUNT else (column.is_not_null(),)
    unexpected = pl.all_horizontal(*rows, *present, ~expected)
    return MapQuestion(rows, unexpected, [name], present=present)


def _pair(metric: str, kwargs: Kwargs, schema: pl.Schema, rows: tuple[pl.Expr, ...]) -> MapQuestion:
    names = [kwargs["column_A"], kwargs["column_B"]]
    first, second = (value(name, schema) for name in names)
    domain = (*rows, *_kept([first, second], kwargs.get("ignore_row_if")))
    if schema[names[0]] != schema[names[1]] and pl.Date in (schema[names[0]], schema[names[1]]):
        first, second = first.cast(pl.Date), second.cast(pl.Date)
    if metric == "column_pair_values.equal":
        expected = first == second
    else:
        expected = first >= second if kwargs.get("or_equal") else first > second
    unexpected = pl.all_horizontal(*domain, ~expected.fill_null(value=False))
    return MapQuestion(domain, unexpected, names)


def _distinct(kwargs: Kwargs, schema: pl.Schema, rows: tuple[pl.Expr, ...]) -> MapQuestion:
    names = kwargs["column_list"] if "column_list" in kwargs else [kwargs["column"]]
    columns = [value(name, schema) for name in names]
    domain = (*rows, *_kept(columns, kwargs.get("ignore_row_if") or "all_values_are_missing"))
    shared = count(domain).over(columns) > 1
    hashed = pl.sum_horizontal(column.hash(seed) for seed, column in enumerate(columns))
    return MapQuestion(domain, pl.all_horizontal(*domain, shared), list(names), hashed)


def _kept(columns: list[pl.Expr], ignore_row_if: str | None) -> tuple[pl.Expr, ...]:
    there = [column.is_not_null() for column in columns]
    if ignore_row_if in {"both_values_are_missing", "all_values_are_missing"}:
        return (pl.any_horizontal(there),)
    if ignore_row_if in {"either_value_is_missing", "any_value_is_missing"}:
        return tuple(there)
    return ()
