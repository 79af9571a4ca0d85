"""Records as the platform would store them, and the bytes it sends.

A `Source` yields *record frames*: lazy frames with one row per learner per course that carry
the fields of all three resources at once, values already in the platform's own notation
(percents as text, no letter grade as ""), dates and timestamps still typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Protocol

import polars as pl

from toolkit.sandbox.learners.truth import Truth
from toolkit.schemas import RESOURCES

_OLDEST = datetime(1970, 1, 1)  # record frames are naive and mean UTC


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a request; None means everything."""

    course_id: str | None = None  # exactly this course
    username: str | None = None  # exactly this learner
    created_since: datetime | None = None  # enrollments created then (UTC, naive) or later

    def predicate(self) -> pl.Expr:
        """Return the filters as an expression on a record frame."""
        wanted = pl.lit(value=True)
        if self.course_id is not None:
            wanted &= pl.col("course_id") == self.course_id
        if self.username is not None:
            wanted &= pl.col("username") == self.username
        if self.created_since is not None:
            wanted &= pl.col("created") >= self.created_since
        return wanted


class Source(Protocol):
    """Where the sandbox's records come from."""

    label: str  # the name of the data in outputs, such as "5,000 simulated learners (seed 7)"
    clock: datetime  # the platform's present moment, naive UTC: nothing in the data is later
    truth: Truth | None  # the model the records were drawn from; None for real learners
    remark: str | None  # how data that do not fit the platform's format were converted, with counts

    def chunks(self, filters: Filters) -> Iterator[pl.LazyFrame]:
        """Yield record frames with at least the records selected, in a fixed order."""
        ...

    def earlier(self, clock: datetime) -> Source:
        """Return the same learners at an earlier moment, naive UTC."""
        ...


def created_since(clock: datetime, days: int | None) -> datetime | None:
    """Return the moment `days` before the clock; a number beyond the calendar selects everything.

    Examples:
        >>> created_since(datetime(2026, 1, 1), 31)
        datetime.datetime(2025, 12, 1, 0, 0)
    """
    if days is None:
        return None
    return max(clock - timedelta(days=min(days, (clock - _OLDEST).days)), _OLDEST)


def rows(source: Source, resource: str, filters: Filters) -> Iterator[pl.DataFrame]:
    """Yield the response to a request: frames of the resource's fields as they are sent."""
    columns = [_on_the_wire(name) for name in RESOURCES[resource].names]
    for chunk in source.chunks(filters):
        frame = chunk.filter(filters.predicate()).select(columns).collect()
        if frame.height:
            yield frame


def lines(frame: pl.DataFrame) -> bytes:
    """Write one JSON object per line, without a newline after the last."""
    buffer = BytesIO()
    frame.write_ndjson(buffer)
    return buffer.getvalue().removesuffix(b"\n")


def _on_the_wire(name: str) -> pl.Expr:
    """Write a field in the platform's notation: moments as Python's `str()` writes them."""
    column = pl.col(name)
    if name in {"passed_timestamp", "last_date"}:
        return column.cast(pl.String)
    if name == "created":
        return column.dt.strftime("%Y-%m-%d %H:%M")
    return column
