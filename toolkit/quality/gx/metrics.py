"""Great Expectations' metrics, computed by Polars.

`answer` takes all metrics that were asked of a frame and returns their values in order. It knows
nothing of GX but the names: `column_values.between.unexpected_count` is the count of the map
metric `column_values.between`, `….unexpected_values` some of the values it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from toolkit.quality.gx.conditions import MapQuestion, count, map_question, row_condition, value
from toolkit.quality.gx.library import (
    MAX_RESULT_RECORDS,
    MetricConfiguration,
)

# GX's column metrics that are a single number computed from a column.
COLUMN_METRICS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "column.max": pl.Expr.max,
    "column.min": pl.Expr.min,
    "column.mean": pl.Expr.mean,
    "column.median": pl.Expr.median,
    "column.sum": pl.Expr.sum,
    "column.standard_deviation": pl.Expr.std,
    "column.distinct_values.count": pl.Expr.n_unique,
}
TABLE_METRICS = ("table.columns", "table.column_count", "table.column_types", "table.row_count")
COUNTS = ("unexpected_count", "filtered_row_count")
LISTS = ("unexpected_values", "unexpected_index_list")
NOT_OFFERED = ("unexpected_index_query",)  # GX asks for it, and accepts None for "none"

_ROW = "__row__"
_PORTION = 1 << 16  # rows
Hide = Callable[[str, Any], Any]
Engine = Literal["streaming", "auto"]


@dataclass(frozen=True, slots=True)
class Request:
    """One metric of a frame.

    Attributes:
        subject: The metric's name; of a map metric, without its last part.
        part: The last part of a map metric's name, "unexpected_count" or another, else "".
        kwargs: Domain and value kwargs together.
        result_format: How many examples are wanted, and which columns name a row.
    """

    subject: str
    part: str
    kwargs: Mapping[str, Any]
    result_format: Mapping[str, Any]

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
        """What must be counted for it; equal requests are counted once."""
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


def answer(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    requests: Sequence[Request],
    *,
    streamed: bool,
    hide: Hide,
) -> list[Any]:
    """Return the values of the metrics, in order; an exception in place of one that failed.

    Args:
        frame: The frame they are asked of.
        schema: Its schema.
        requests: The metrics.
        streamed: Whether to compute in bounded memory rather than at once.
        hide: Replaces a value of a column by what may be shown of it.
    """
    engine: Engine = "streaming" if streamed else "auto"
    planned = {request.number: _plan(request, schema) for request in requests}
    counted = _values(frame, planned, engine)
    counted |= {
        number: _n_alike(frame, question.hashed, streamed=streamed)
        for number, question in planned.items()
        if isinstance(question, MapQuestion) and question.hashed is not None
    }
    repeated = {
        number: question.failing(frame).select(pl.len())
        for number, question in planned.items()
        if isinstance(question, MapQuestion)
        and question.hashed is not None
        and isinstance(counted[number], int)
        and counted[number] > 0
    }
    wanted = {
        place: _examples(frame, schema, request)
        for place, request in enumerate(requests)
        if request.part in LISTS
        and isinstance(counted[request.number], int)
        and counted[request.number] > 0
    }
    collected = pl.collect_all([*repeated.values(), *wanted.values()], engine=engine)
    for number, found in zip(repeated, collected[: len(repeated)], strict=True):
        counted[number] = found.item()
    answers = [
        [] if request.part in LISTS and counted[request.number] == 0 else counted[request.number]
        for request in requests
    ]
    for place, rows in zip(wanted, collected[len(repeated) :], strict=True):
        answers[place] = _shown(rows, requests[place], hide)
    return answers


def _plan(request: Request, schema: pl.Schema) -> Any:
    """Return a question, an expression, a known value, or the reason why there is none."""
    try:
        return _planned(request, schema)
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        return error


def _planned(request: Request, schema: pl.Schema) -> Any:
    subject, part, kwargs = request.subject, request.part, request.kwargs
    if part in NOT_OFFERED:
        return None
    if part:
        question = map_question(subject, kwargs, schema)
        return question.n_rows if part == "filtered_row_count" else question
    if subject == "table.columns":
        return schema.names()
    if subject == "table.column_count":
        return len(schema)
    if subject == "table.column_types":
        return [{"name": name, "type": dtype} for name, dtype in schema.items()]
    rows = row_condition(kwargs.get("row_condition"), schema)
    if subject == "table.row_count":
        return count(rows)
    column = value(kwargs["column"], schema)
    return COLUMN_METRICS[subject](column.filter(*rows, column.is_not_null()))


def _values(
    frame: pl.LazyFrame, planned: Mapping[Hashable, Any], engine: Engine
) -> dict[Hashable, Any]:
    """Compute the plans in one pass; return an exception for one that cannot be computed.

    Whether rows agree with one another needs more than single rows, so it is left out here.
    """
    values = dict(planned)
    numbers = {
        number: plan.unexpected.sum() if isinstance(plan, MapQuestion) else plan
        for number, plan in planned.items()
        if isinstance(plan, pl.Expr) or (isinstance(plan, MapQuestion) and plan.hashed is None)
    }
    try:
        values |= _select(frame, numbers, engine)
    except pl.exceptions.PolarsError:  # find out which
        for number, expression in numbers.items():
            try:
                values |= _select(frame, {number: expression}, engine)
            except pl.exceptions.PolarsError as error:
                values[number] = error
    return values


def _select(
    frame: pl.LazyFrame, numbers: Mapping[Hashable, pl.Expr], engine: Engine
) -> dict[Hashable, Any]:
    named = [expression.alias(str(i)) for i, expression in enumerate(numbers.values())]
    row = frame.select(named).collect(engine=engine).row(0) if named else ()
    return dict(zip(numbers, row, strict=True))


def _n_alike(
    frame: pl.LazyFrame, hashed: pl.Expr, *, streamed: bool
) -> int | pl.exceptions.PolarsError:
    """Count the rows that share a hash with another: 0 only if no two rows agree.

    Hashes take most of the memory of a check, so they are sorted in place, and for a frame in
    memory they are computed in portions.
    """
    try:
        if streamed:
            hashes = np.array(frame.select(hashed).collect(engine="streaming").to_series())
        else:
            n_rows = frame.select(pl.len()).collect().item()
            hashes = np.empty(n_rows, np.uint64)
            for start in range(0, n_rows, _PORTION):
                part = frame.slice(start, _PORTION).select(hashed).collect().to_series()
                hashes[start : start + _PORTION] = part.to_numpy()
    except pl.exceptions.PolarsError as error:
        return error
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


def _examples(frame: pl.LazyFrame, schema: pl.Schema, request: Request) -> pl.LazyFrame:
    question = map_question(request.subject, request.kwargs, schema)
    index = [name for name in request.index_columns if name in schema]
    names = dict.fromkeys([*index, *question.columns])
    rows = question.failing(frame.with_row_index(_ROW)).select(_ROW, *names)
    return rows.head(request.limit)


def _shown(rows: pl.DataFrame, request: Request, hide: Hide) -> list[Any]:
    """Return examples in the format of GX's pandas engine, without identities."""
    columns = [name for name in rows.columns if name != _ROW]
    temporal = pl.selectors.temporal()
    said = rows.with_columns(temporal.cast(pl.String)).to_dicts()
    shown = [{name: hide(name, row[name]) for name in columns} for row in said]
    if request.part == "unexpected_index_list":
        return shown if request.index_columns else rows.get_column(_ROW).to_list()
    if "column" in request.kwargs:
        return [row[request.kwargs["column"]] for row in shown]
    if "column_list" in request.kwargs:
        return [{name: row[name] for name in request.kwargs["column_list"]} for row in shown]
    pair = request.kwargs["column_A"], request.kwargs["column_B"]
    return [tuple(row[name] for name in pair) for row in shown]
