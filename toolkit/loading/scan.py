"""The platform as lazy frames, whose filters on courses and learners the server applies."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import polars as pl
from polars.io.plugins import register_io_source

from toolkit.loading.load import ResourceName, Source, as_saved, table_of
from toolkit.loading.platform import Platform
from toolkit.loading.problems import warn_of_problems
from toolkit.loading.streams import Stream, open_stream
from toolkit.schemas import ENROLLMENTS, PROBLEMS, Table

_MOST_REQUESTS = 50  # beyond that, everything in one request is faster
_FILTERED = ("course_id", "username")
_NO_BOUND = datetime(1000, 1, 1, tzinfo=UTC)  # days before it may be before the calendar
_LOWER_BOUNDS = {"Gt", "GtEq"}
_MIRRORED = {"Lt": "Gt", "LtEq": "GtEq", "Eq": "Eq"}


def scan(source: Source, resource: ResourceName) -> pl.LazyFrame:
    """Return records as a lazy frame that queries the platform when it is collected.

    One row per learner per course. Filters on `course_id` and `username` (`==`, `is_in`) become
    requests for just these, one after the other in the order given, and so does a lower bound on
    the `created` of enrollments; `select` drops columns as they arrive; `head` ends the download.
    Memory does not grow with the number of records unless the query itself needs it, as in
    `scan(platform, "grades").sink_parquet(path)`. Repeated keys are not checked.

    Args:
        source: A platform, or a snapshot.
        resource: "grades", "enrollments" or "completion".

    Raises:
        ArgumentError: There is no such resource, or the source is neither.
        AuthenticationError: On collecting, this and whatever else `fetch` raises.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     tk.scan(platform, "grades").select(pl.len()).collect().item() >= 50
        True
    """
    table = table_of(resource)
    if not isinstance(source, Platform):
        return as_saved(source).scan(table.name)

    def records(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for frame in _frames(source, table, wanted(predicate)):
            rows = frame if predicate is None else frame.filter(predicate)
            rows = rows if left is None else rows.head(left)
            yield rows if columns is None else rows.select(columns)
            if left is not None:
                left -= rows.height
                if left <= 0:
                    return

    return register_io_source(records, schema=table.polars_schema, explain_name=table.name)


@dataclass(frozen=True)
class Wanted:
    """What a predicate certainly implies; no other rows can pass it.

    Attributes:
        values: For course_id and username, the only values that can pass.
        since: The earliest `created` that can pass.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    since: datetime | None = None

    def queries(self) -> list[dict[str, str]]:
        """Return the queries that together bring every row that can pass."""
        names = list(self.values)
        if math.prod(len(values) for values in self.values.values()) > _MOST_REQUESTS:
            return [{}]
        return [dict(zip(names, one, strict=True)) for one in product(*self.values.values())]


def wanted(predicate: pl.Expr | None) -> Wanted:
    """Return what a predicate implies about course, learner and time, as far as that is certain.

    Only parts joined by `and` are examined, since each of them must hold for a row to pass.
    """
    found = Wanted()
    if predicate is None:
        return found
    for part in _conjuncts(json.loads(predicate.meta.serialize(format="json"))):
        found = _narrowed(found, part)
    return found


def _frames(platform: Platform, table: Table, want: Wanted) -> Iterator[pl.DataFrame]:
    problems = [PROBLEMS.empty()]
    for query in want.queries():
        for frame, found in _batches(platform, table, query, want.since):
            problems.append(found)
            if not frame.is_empty():
                yield frame
    warn_of_problems(pl.concat(problems), f'tk.fetch(…, "{table.name}").problems lists them')


def _batches(
    platform: Platform, table: Table, query: dict[str, str], since: datetime | None
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    days = None
    if since is not None and since > _NO_BOUND and table is ENROLLMENTS:
        days = max(1, (datetime.now(UTC) - since) // timedelta(days=1) + 2)
    stream = open_stream(
        platform,
        table.name,
        course_id=query.get("course_id"),
        username=query.get("username"),
        days=days,
    )
    for number, batch in enumerate(stream):
        if number == 0 and _starts_too_late(stream, days, since):
            yield from _batches(platform, table, query, None)
            return
        yield batch.frame, batch.problems


def _starts_too_late(stream: Stream, days: int | None, since: datetime | None) -> bool:
    """Whether the server's clock is so far ahead of ours that it left out rows that can pass."""
    return days is not None and since is not None and stream.as_of - timedelta(days=days) > since


def _conjuncts(node: object) -> Iterator[dict[str, object]]:
    match node:
        case {"BinaryExpr": {"op": "And" | "LogicalAnd", "left": left, "right": right}}:
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case dict():
            yield node


def _narrowed(found: Wanted, part: dict[str, object]) -> Wanted:
    match part:
        case {"BinaryExpr": {"op": op, "left": {"Column": column}, "right": {"Literal": _} as one}}:
            values = _literal(one)
        case {"BinaryExpr": {"op": op, "left": {"Literal": _} as one, "right": {"Column": column}}}:
            op, values = _MIRRORED.get(str(op)), _literal(one)
        case {
            "Function": {
                "input": [{"Column": column}, {"Literal": _} as one],
                "function": {"Boolean": {"IsIn": _}},
            }
        }:
            op, values = "Eq", _literal(one)
        case _:
            return found
    texts = [one for one in dict.fromkeys(values) if isinstance(one, str) and one]
    if op == "Eq" and column in _FILTERED and len(texts) == len(set(values)):
        common = [one for one in found.values.get(column, texts) if one in texts]
        return replace(found, values=found.values | {column: common})
    if op in _LOWER_BOUNDS and column == "created" and isinstance(values[0], datetime):
        since = values[0].astimezone(UTC) if values[0].tzinfo else values[0].replace(tzinfo=UTC)
        return replace(found, since=max(found.since or since, since))
    return found


def _literal(node: dict[str, object]) -> list[object]:
    """Return the values of a literal, or the items of a list."""
    literal = pl.Expr.deserialize(io.BytesIO(json.dumps(node).encode()), format="json")
    values = pl.select(literal).to_series()
    return (values.explode() if values.dtype == pl.List else values).to_list()
