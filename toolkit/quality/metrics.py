"""Great Expectations' metrics, computed by Polars.

`answer` takes all metrics that were asked of a frame and returns their values in order. It knows
nothing of GX but the names: `column_values.between.unexpected_count` is the count of the map
metric `column_values.between`, `….unexpected_values` some of the values it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.validator.metric_configuration import MetricConfiguration

from toolkit.quality.conditions import MapQuestion, count, map_question, row_condition, value

# GX's column metrics that are one number of a column's values.
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
NOT_OFFERED = ("unexpected_index_query",)  # GX asks for it, and takes None for "there is none"

_ROW = "__row__"
Hide = Callable[[str, Any], Any]
Engine = Literal["streaming", "auto"]


@dataclass(frozen=True, slots=True)
class Request:
    """One metric asked of a frame.

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
    def limit(self) -> int:
        """The largest number of examples GX would take."""
        if self.result_format.get("result_format") == "COMPLETE":
            return MAX_RESULT_RECORDS
        wanted: int = self.result_format.get("partial_unexpected_count", 20)
        return min(wanted, MAX_RESULT_RECORDS)


def answer(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    requests: Sequence[Request],
    *,
    streamed: bool,
    hide: Hide,
) -> list[Any]:
    """The values of the metrics, in order; an exception in place of one that has none.

    Args:
        frame: The frame they are asked of.
        schema: Its schema.
        requests: The metrics.
        streamed: Whether to compute in bounded memory rather than at once.
        hide: Replaces a value of a column by what may be shown of it.
    """
    answers: list[Any] = [_plan(request, schema) for request in requests]
    _fill(answers, frame, streamed=streamed)
    examples = []
    for place, request in enumerate(requests):
        found = answers[place]
        if request.part in LISTS and not isinstance(found, Exception):
            if found == 0:
                answers[place] = []
            else:
                examples.append(place)
    queries = [_examples(frame, schema, requests[place]) for place in examples]
    collected = pl.collect_all(queries, engine="streaming" if streamed else "auto")
    for place, rows in zip(examples, collected, strict=True):
        answers[place] = _shown(rows, requests[place], schema, hide)
    return answers


def _plan(request: Request, schema: pl.Schema) -> Any:
    """An expression, a count of duplicates, a value that is known, or an exception."""
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
        if part == "filtered_row_count":
            return question.n_rows
        return question if question.distinct else question.unexpected.sum()
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
    return COLUMN_METRICS[subject](column.filter(pl.all_horizontal(*rows, column.is_not_null())))


def _fill(answers: list[Any], frame: pl.LazyFrame, *, streamed: bool) -> None:
    """Replace expressions and counts of duplicates by their values."""
    scalars = {str(i): a for i, a in enumerate(answers) if isinstance(a, pl.Expr)}
    repeated = {str(i): a for i, a in enumerate(answers) if isinstance(a, MapQuestion)}
    queries = [_count_duplicates(frame, question, name) for name, question in repeated.items()]
    if scalars:
        queries.append(frame.select(**scalars))
    engine: Engine = "streaming" if streamed else "auto"
    try:
        collected = pl.collect_all(queries, engine=engine)
    except pl.exceptions.PolarsError:
        collected = []
    for row in collected:
        for name, found in row.row(0, named=True).items():
            answers[int(name)] = found
    if collected:
        return
    for name in (*scalars, *repeated):  # one of them cannot be computed: find out which
        query = (
            frame.select(**{name: scalars[name]})
            if name in scalars
            else _count_duplicates(frame, repeated[name], name)
        )
        try:
            answers[int(name)] = query.collect(engine=engine).item()
        except pl.exceptions.PolarsError as error:
            answers[int(name)] = error


def _count_duplicates(frame: pl.LazyFrame, question: MapQuestion, name: str) -> pl.LazyFrame:
    size = pl.len().alias("__size__")
    groups = frame.filter(*question.domain).group_by(question.columns).agg(size)
    return groups.filter(pl.col("__size__") > 1).select(pl.col("__size__").sum().alias(name))


def _index_columns(request: Request, schema: pl.Schema) -> list[str]:
    wanted = request.result_format.get("unexpected_index_column_names") or []
    return [name for name in wanted if name in schema]


def _examples(frame: pl.LazyFrame, schema: pl.Schema, request: Request) -> pl.LazyFrame:
    question = map_question(request.subject, request.kwargs, schema)
    names = dict.fromkeys([*_index_columns(request, schema), *question.columns])
    rows = frame.with_row_index(_ROW).filter(question.unexpected).select(_ROW, *names)
    return rows.head(request.limit)


def _shown(rows: pl.DataFrame, request: Request, schema: pl.Schema, hide: Hide) -> list[Any]:
    """Examples in the shapes of GX's pandas engine, without identities."""
    index = _index_columns(request, schema)
    columns = [name for name in rows.columns if name != _ROW]
    shown = [{name: hide(name, row[name]) for name in columns} for row in rows.to_dicts()]
    if request.part == "unexpected_index_list":
        return shown if index else rows.get_column(_ROW).to_list()
    if "column" in request.kwargs:
        return [row[request.kwargs["column"]] for row in shown]
    if "column_list" in request.kwargs:
        return [{name: row[name] for name in request.kwargs["column_list"]} for row in shown]
    pair = request.kwargs["column_A"], request.kwargs["column_B"]
    return [tuple(row[name] for name in pair) for row in shown]
