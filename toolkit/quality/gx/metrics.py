"""Great Expectations' metrics, computed where the rows are.

`answer` takes all metrics that were asked of a frame and returns their values in order. It knows
nothing of GX but the names: `column_values.between.unexpected_count` is the count of the map
metric `column_values.between`, `….unexpected_values` some of the values it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from toolkit.analyses.counting import flag
from toolkit.quality.gx.conditions import MAP_METRICS, MapQuestion, map_question, row_condition
from toolkit.quality.gx.library import MAX_RESULT_RECORDS, MetricConfiguration
from toolkit.quality.gx.rows import PLACE, Rows, every

# GX's column metrics that are a single number computed from a column.
COLUMN_METRICS: dict[str, Callable[[nw.Expr], nw.Expr]] = {
    "column.max": nw.Expr.max,
    "column.min": nw.Expr.min,
    "column.mean": nw.Expr.mean,
    "column.median": nw.Expr.median,
    "column.sum": nw.Expr.sum,
    "column.standard_deviation": nw.Expr.std,
    "column.distinct_values.count": nw.Expr.n_unique,
}
TABLE_METRICS = ("table.columns", "table.column_count", "table.column_types", "table.row_count")
COUNTS = ("unexpected_count", "filtered_row_count")
LISTS = ("unexpected_values", "unexpected_index_list")
NOT_OFFERED = ("unexpected_index_query",)  # GX asks for it, and accepts None for "none"

_PORTION = 1 << 16  # rows
Hide = Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One metric of a frame."""

    subject: str  # the metric's name; for a map metric, without its last part
    part: str  # the last part of a map metric's name, such as "unexpected_count"; else ""
    kwargs: Mapping[str, Any]  # domain and value kwargs together
    result_format: Mapping[str, Any]  # how many examples are wanted, and which columns name a row

    @classmethod
    def of(cls, metric: MetricConfiguration) -> Request:
        """Read a GX metric configuration."""
        subject, _, part = metric.metric_name.rpartition(".")
        if part not in (*COUNTS, *LISTS, *NOT_OFFERED):
            subject, part = metric.metric_name, ""
        values = dict(metric.metric_value_kwargs)
        result_format = values.pop("result_format", None) or {}
        return cls(subject, part, {**metric.metric_domain_kwargs, **values}, result_format)

    @property
    def number(self) -> Hashable:
        """Identifies the number to count; requests for the same number are counted once."""
        part = "unexpected_count" if self.part in LISTS else self.part
        return self.subject, part, repr(self.kwargs)

    @property
    def limit(self) -> int:
        """The most examples GX accepts."""
        if self.result_format.get("result_format") == "COMPLETE":
            return MAX_RESULT_RECORDS
        wanted: int = self.result_format.get("partial_unexpected_count", 20)
        return min(wanted, MAX_RESULT_RECORDS)

    @property
    def index_columns(self) -> list[str]:
        """The columns that identify a row."""
        return list(self.result_format.get("unexpected_index_column_names") or [])


def answer(rows: Rows, requests: Sequence[Request], *, hide: Hide) -> list[Any]:
    """Return the values of the metrics, in order; an exception in place of one that failed.

    `hide` replaces a value of a column by what may be shown of it.
    """
    planned = {request.number: _plan(request, rows) for request in requests}
    counted = _values(rows, planned)
    distinct = {
        number: plan
        for number, plan in planned.items()
        if isinstance(plan, MapQuestion) and plan.unexpected is None
    }
    counted |= {number: _n_alike(rows, question) for number, question in distinct.items()}
    # In Polars these are only counts of hashes so far.
    repeated = {
        number: question.failing(rows.reading(question.reads)).lazy.select(nw.len())
        for number, question in distinct.items()
        if rows.are_of_polars and _is_positive(counted[number])
    }
    wanted = {
        request.number: request
        for request in requests
        if request.part in LISTS and _is_positive(counted[request.number])
    }
    examples = [_examples(rows, planned[number], asked) for number, asked in wanted.items()]
    collected = rows.collect_all([*repeated.values(), *examples])
    for number, found in zip(repeated, collected, strict=False):
        counted[number] = found.item()
    shown = dict(zip(wanted, collected[len(repeated) :], strict=True))
    return [
        _shown(shown.get(request.number), request, hide)
        if request.part in LISTS and isinstance(counted[request.number], int)
        else counted[request.number]
        for request in requests
    ]


def countable(metric: str, kwargs: Mapping[str, Any], rows: Rows) -> None:
    """Refuse a metric that the engine of the rows cannot count, or would count differently."""
    if metric in MAP_METRICS:
        map_question(metric, kwargs, rows)
    elif metric in COLUMN_METRICS:
        _column_metric(metric, kwargs, rows)
    elif metric not in TABLE_METRICS:
        raise TypeError(f"it needs {metric}, which is more than a count")


def _plan(request: Request, rows: Rows) -> Any:
    """Return a question, an expression, a known value, or the reason why there is none."""
    try:
        return _planned(request, rows)
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        return error


def _planned(request: Request, rows: Rows) -> Any:
    subject, part, kwargs = request.subject, request.part, request.kwargs
    if part in NOT_OFFERED:
        return None
    if part:
        question = map_question(subject, kwargs, rows)
        return rows.count(question.domain) if part == "filtered_row_count" else question
    if subject == "table.columns":
        return list(rows.schema)
    if subject == "table.column_count":
        return len(rows.schema)
    if subject == "table.column_types":
        return [{"name": name, "type": dtype} for name, dtype in rows.schema.items()]
    if subject == "table.row_count":
        return rows.count(row_condition(kwargs.get("row_condition"), rows))
    return _column_metric(subject, kwargs, rows)


def _column_metric(metric: str, kwargs: Mapping[str, Any], rows: Rows) -> nw.Expr:
    name = kwargs["column"]
    column = rows.value(name)
    if metric in {"column.max", "column.min"}:
        rows.orderly(name)
    elif metric != "column.distinct_values.count":
        rows.require_number(name)
    if metric == "column.median" and rows.may_estimate:
        raise TypeError(f"a median is an estimate in some databases of {rows.engine}")
    asked = [*row_condition(kwargs.get("row_condition"), rows), ~column.is_null()]
    value = nw.when(every(asked)).then(column)
    if metric == "column.distinct_values.count":
        return value.n_unique() - flag(value.is_null()).max().fill_null(0)
    return COLUMN_METRICS[metric](value)


def _is_positive(found: Any) -> bool:
    return isinstance(found, int) and found > 0


def _values(rows: Rows, planned: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
    """Compute the plans in one pass; return an exception for one that Polars cannot compute.

    Whether rows agree with one another cannot be seen in single rows, so it is left out here.
    """
    values = dict(planned)
    numbers = {
        number: rows.count([marked])
        for number, plan in planned.items()
        if isinstance(plan, MapQuestion) and (marked := plan.unexpected) is not None
    }
    numbers |= {number: plan for number, plan in planned.items() if isinstance(plan, nw.Expr)}
    try:
        values |= _select(rows, numbers)
    except pl.exceptions.PolarsError:  # find out which
        for number, expression in numbers.items():
            try:
                values |= _select(rows, {number: expression})
            except pl.exceptions.PolarsError as error:
                values[number] = error
    return values


def _select(rows: Rows, numbers: Mapping[Hashable, nw.Expr]) -> dict[Hashable, Any]:
    named = [expression.alias(str(i)) for i, expression in enumerate(numbers.values())]
    found = rows.collect(rows.lazy.select(*named)).row(0) if named else ()
    return dict(zip(numbers, found, strict=True))


def _n_alike(rows: Rows, question: MapQuestion) -> int | pl.exceptions.PolarsError:
    """Count the rows that agree with another; in Polars, those whose hashes do: maybe more."""
    rows = rows.reading(question.reads)
    try:
        if rows.are_of_polars:
            return _n_alike_hashes(rows, question.columns)
        return int(rows.collect(question.n_alike(rows)).item() or 0)
    except pl.exceptions.PolarsError as error:
        return error


def _n_alike_hashes(rows: Rows, columns: Sequence[str]) -> int:
    """Count the rows of Polars that share a hash with another: 0 only if no two rows agree.

    Hashes take most of the memory of a check, so they are sorted in place, and for a frame in
    memory they are computed in portions.
    """
    frame, hashed = rows.lazy.to_native(), rows.hash_of(columns)
    if rows.streamed:
        hashes = np.array(frame.select(hashed).collect(engine="streaming").to_series())
    else:
        n_rows = frame.select(pl.len()).collect().item()
        hashes = np.empty(n_rows, np.uint64)
        for start in range(0, n_rows, _PORTION):
            part = frame.slice(start, _PORTION).select(hashed).collect().to_series()
            hashes[start : start + _PORTION] = part.to_numpy()
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


def _examples(rows: Rows, question: MapQuestion, request: Request) -> nw.LazyFrame[Any]:
    index = [name for name in request.index_columns if name in rows.schema]
    names = list(dict.fromkeys([*index, *question.columns]))
    there = rows.reading({*names, *question.reads}).with_places()
    return question.failing(there).first(request.limit, names)


def _shown(rows: pl.DataFrame | None, request: Request, hide: Hide) -> list[Any]:
    """Return examples in the format of GX's pandas engine, without identities."""
    if rows is None:
        return []
    columns = [name for name in rows.columns if name != PLACE]
    temporal = pl.selectors.temporal()
    said = rows.with_columns(temporal.cast(pl.String)).to_dicts()
    shown = [{name: hide(name, row[name]) for name in columns} for row in said]
    if request.part == "unexpected_index_list":
        by_key = request.index_columns or PLACE not in rows.columns
        return shown if by_key else rows.get_column(PLACE).to_list()
    if "column" in request.kwargs:
        return [row[request.kwargs["column"]] for row in shown]
    if "column_list" in request.kwargs:
        return [{name: row[name] for name in request.kwargs["column_list"]} for row in shown]
    pair = request.kwargs["column_A"], request.kwargs["column_B"]
    return [tuple(row[name] for name in pair) for row in shown]
