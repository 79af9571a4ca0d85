"""Great Expectations' map expectations as Narwhals expressions.

A map metric has a domain (the rows it checks) and marks the unexpected ones among them. Both
are expressions here, so that any number of metrics is one `select` over the frame, in any engine.
Missing values, `row_condition` and `ignore_row_if` mean what they mean in GX's pandas engine; as
there, NaN is a missing value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import eq, ge, gt, le, lt, ne, or_
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.engines import MICROSECONDS_A_DAY
from toolkit.quality.gx.library import (
    AndCondition,
    ComparisonCondition,
    NullityCondition,
    OrCondition,
    deserialize_row_condition,
)
from toolkit.quality.gx.rows import Rows, every

Kwargs = Mapping[str, Any]
_SHARED = "__rows_alike__"


@dataclass(frozen=True, slots=True)
class MapQuestion:
    """A map metric of a frame.

    Whether two rows agree cannot be decided from one row, and is costly to decide. So Polars
    compares hashes first, since rows that agree have the same hash. If no two rows share a hash,
    nothing else is computed; otherwise only rows with a shared hash are compared.
    """

    domain: tuple[nw.Expr, ...]  # which rows are checked (`row_condition`, `ignore_row_if`)
    unexpected: nw.Expr | None  # what breaks the expectation; None if it is that rows agree
    columns: list[str]  # the columns it is about
    reads: frozenset[str]  # these, and those of the row condition
    present: tuple[nw.Expr, ...] = ()  # what a row must be, too, not to have a missing value

    def checked(self, rows: Rows) -> Rows:
        """Return the rows that are checked and have a value."""
        return rows.filter(*self.domain, *self.present)

    def failing(self, rows: Rows) -> Rows:
        """Return the unexpected rows."""
        if self.unexpected is not None:
            return rows.filter(self.unexpected)
        checked = rows.filter(*self.domain)
        if rows.are_of_polars:
            checked = checked.with_shared_hash(self.columns)
        keys, values = self._keys(rows)
        alike = nw.len().over(keys).alias(_SHARED)
        return checked.with_columns(*values).with_columns(alike).filter(nw.col(_SHARED) > 1)

    def n_alike(self, rows: Rows) -> nw.LazyFrame[Any]:
        """Count the unexpected rows, if the question is whether rows agree."""
        keys, values = self._keys(rows)
        checked = rows.filter(*self.domain).lazy.select(*values)
        sizes = checked.group_by(keys, drop_null_keys=False).agg(nw.len().alias(_SHARED))
        return sizes.filter(nw.col(_SHARED) > 1).select(nw.col(_SHARED).sum())

    def _keys(self, rows: Rows) -> tuple[list[str], list[nw.Expr]]:
        keys = [f"__{name}__" for name in self.columns]
        named = zip(self.columns, keys, strict=True)
        return keys, [rows.value(name).alias(key) for name, key in named]


def columns_of(condition: Any) -> frozenset[str]:
    """Return the columns that a GX row condition reads."""
    condition = deserialize_row_condition(condition)
    match condition:
        case NullityCondition() | ComparisonCondition():
            return frozenset({condition.column.name})
        case AndCondition() | OrCondition():
            return frozenset().union(*map(columns_of, condition.conditions))
    return frozenset()


def row_condition(condition: Any, rows: Rows) -> tuple[nw.Expr, ...]:
    """Return a GX row condition as expressions that must all be true; never null."""
    condition = deserialize_row_condition(condition)
    match condition:
        case None | "":
            return ()
        case NullityCondition():
            column = rows.value(condition.column.name)
            return (column.is_null() if condition.is_null else ~column.is_null(),)
        case ComparisonCondition():
            return (_comparison(condition, rows),)
        case AndCondition():
            parts = [row_condition(part, rows) for part in condition.conditions]
            return tuple(chain.from_iterable(parts))
        case OrCondition():
            parts = [row_condition(part, rows) for part in condition.conditions]
            return (reduce(or_, [every(part) for part in parts]),)
    raise TypeError(
        f"row_condition {condition!r} is a query in another engine's language; build it from "
        "great_expectations.expectations.row_conditions.Column"
    )


def _comparison(condition: ComparisonCondition, rows: Rows) -> nw.Expr:
    name, operator = condition.column.name, str(condition.operator)
    if operator in {"IN", "NOT_IN"}:
        among = _among(rows, name, condition.parameter)
        return (among if operator == "IN" else ~among).fill_null(operator != "IN")
    compare = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}[operator]
    column = rows.operand(name) if operator in {"==", "!="} else rows.orderly(name)
    missing = operator == "!="  # in pandas, NaN differs from all and is never above or below
    result: nw.Expr = compare(column, rows.bound(name, condition.parameter)).fill_null(missing)
    return result


Condition = Callable[[Rows, str, Kwargs], nw.Expr]


def _between(rows: Rows, name: str, kwargs: Kwargs) -> nw.Expr:
    low, high = (
        None if kwargs.get(side) is None else rows.bound(name, kwargs[side])
        for side in ("min_value", "max_value")
    )
    return _within(rows.orderly(name), low, high, kwargs)


def _within(column: nw.Expr, low: Any, high: Any, kwargs: Kwargs) -> nw.Expr:
    sides = []
    if low is not None:
        sides.append(column > low if kwargs.get("strict_min") else column >= low)
    if high is not None:
        sides.append(column < high if kwargs.get("strict_max") else column <= high)
    return every(sides)


def _among(rows: Rows, name: str, values: Sequence[Any]) -> nw.Expr:
    return rows.operand(name).is_in(rows.members(name, values))


def _in_set(rows: Rows, name: str, kwargs: Kwargs) -> nw.Expr:
    if kwargs.get("value_set") is None:
        return nw.lit(True)  # noqa: FBT003
    return _among(rows, name, kwargs["value_set"])


def _matches(rows: Rows, name: str, kwargs: Kwargs) -> nw.Expr:
    return rows.text(name).str.contains(rows.pattern(kwargs["regex"]))


def _length_between(rows: Rows, name: str, kwargs: Kwargs) -> nw.Expr:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    return _within(rows.text(name).str.len_chars(), low, high, kwargs)


# GX's name of the metric → what is expected of a value that is not missing.
COLUMN_CONDITIONS: dict[str, Condition] = {
    "column_values.nonnull": lambda rows, name, _: ~rows.value(name).is_null(),
    "column_values.null": lambda rows, name, _: rows.value(name).is_null(),
    "column_values.between": _between,
    "column_values.in_set": _in_set,
    "column_values.not_in_set": lambda *asked: ~_in_set(*asked),
    "column_values.match_regex": _matches,
    "column_values.not_match_regex": lambda *asked: ~_matches(*asked),
    "column_values.value_length.between": _length_between,
    "column_values.value_length.equals": lambda rows, name, kwargs: (
        rows.text(name).str.len_chars() == kwargs["value"]
    ),
}
NULLS_COUNT = {"column_values.nonnull", "column_values.null"}
PAIR_METRICS = {"column_pair_values.a_greater_than_b", "column_pair_values.equal"}
DISTINCT_METRICS = {"column_values.unique", "compound_columns.unique"}
MAP_METRICS = [*COLUMN_CONDITIONS, *PAIR_METRICS, *DISTINCT_METRICS]


def map_question(metric: str, kwargs: Kwargs, rows: Rows) -> MapQuestion:
    """Return what the metric checks, given an expectation's kwargs and the rows it is asked of."""
    asked = row_condition(kwargs.get("row_condition"), rows)
    read = columns_of(kwargs.get("row_condition"))
    if metric in PAIR_METRICS:
        return _pair(metric, kwargs, rows, asked, read)
    if metric in DISTINCT_METRICS:
        return _distinct(kwargs, rows, asked, read)
    name = kwargs["column"]
    expected = COLUMN_CONDITIONS[metric](rows, name, kwargs)
    present = () if metric in NULLS_COUNT else (~rows.value(name).is_null(),)
    unexpected = every([*asked, *present, ~expected])
    return MapQuestion(asked, unexpected, [name], read | {name}, present)


def _pair(
    metric: str, kwargs: Kwargs, rows: Rows, asked: tuple[nw.Expr, ...], read: frozenset[str]
) -> MapQuestion:
    names = [kwargs["column_A"], kwargs["column_B"]]
    kept = _kept([rows.value(name) for name in names], kwargs.get("ignore_row_if"))
    domain = (*asked, *kept)
    rows.require_alike(*names)
    side = rows.operand if metric == "column_pair_values.equal" else rows.orderly
    first, second = (side(name) for name in names)
    if [rows.dtype(name) == pl.Date for name in names].count(True) == 1:
        first, second = first // MICROSECONDS_A_DAY, second // MICROSECONDS_A_DAY
    if metric == "column_pair_values.equal":
        expected = first == second
    else:
        expected = first >= second if kwargs.get("or_equal") else first > second
    unexpected = every([*domain, ~expected.fill_null(value=False)])
    return MapQuestion(domain, unexpected, names, read.union(names))


def _distinct(
    kwargs: Kwargs, rows: Rows, asked: tuple[nw.Expr, ...], read: frozenset[str]
) -> MapQuestion:
    names = kwargs["column_list"] if "column_list" in kwargs else [kwargs["column"]]
    ignored = kwargs.get("ignore_row_if") or "all_values_are_missing"
    domain = (*asked, *_kept([rows.value(name) for name in names], ignored))
    return MapQuestion(domain, None, list(names), read.union(names))


def _kept(columns: list[nw.Expr], ignore_row_if: str | None) -> tuple[nw.Expr, ...]:
    there = [~column.is_null() for column in columns]
    if ignore_row_if in {"both_values_are_missing", "all_values_are_missing"}:
        return (reduce(or_, there),)
    if ignore_row_if in {"either_value_is_missing", "any_value_is_missing"}:
        return tuple(there)
    return ()
