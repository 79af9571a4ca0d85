"""The platform's records as typed frames: the one place where transport, wire and types meet."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urljoin

import polars as pl

from toolkit.errors import TransportError
from toolkit.normalize import Problem, normalize, problem_rows
from toolkit.schemas import PROBLEMS, RESOURCES, Table
from toolkit.strict_json import IncompleteError, RawBatch, next_page, read_strictly
from toolkit.transport import Body, Platform
from toolkit.wire import Cutter, Framing, Piece


@dataclass(frozen=True)
class Provenance:
    """Where records come from and when.

    Attributes:
        resource: grades, enrollments or completion.
        url: Address without the query, which may name learners.
        source: How captions call it: the platform's host, or which sandbox or snapshot.
        retrieved_from: When the first request was sent (UTC).
        retrieved_to: When the last byte had come (UTC).
        as_of: The platform's clock then (UTC): the moment the records speak of.
        bytes: Size of the decoded bodies.
        records: How many records.
        sha256: Of the decoded body; of several, of their digests in a row.
        toolkit_version: Of the toolkit that read them.
    """

    resource: str
    url: str
    source: str
    retrieved_from: datetime
    retrieved_to: datetime
    as_of: datetime
    bytes: int
    records: int
    sha256: str
    toolkit_version: str = field(default_factory=lambda: version("so2-toolkit"))


@dataclass(frozen=True)
class Load:
    """Records with everything that is to be known of them.

    Attributes:
        frame: The typed records, one row per learner per course.
        problems: One row per value that could not be taken as it came.
        provenance: Where they come from and when.
    """

    frame: pl.DataFrame
    problems: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Batch:
    """Some consecutive records of a stream, and their problems."""

    frame: pl.DataFrame
    problems: pl.DataFrame


class SavedSource(Protocol):
    """Records that were saved, such as a snapshot."""

    @property
    def source(self) -> str:
        """How captions call it."""
        ...

    def saved(self, resource: str) -> Load:
        """All records of a resource, as they were saved."""
        ...


Source = Platform | SavedSource
Many = str | Iterable[str] | None


class _Reader:
    """Chunks of one body → batches. Counts the records over all bodies of a load."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.records = 0
        self.present: set[str] = set()
        self.extra: dict[str, int] = {}

    def read(self, chunks: Iterable[bytes]) -> Iterator[Batch | str]:
        """Batches, and at the end the address of the next page where there is one."""
        cutter, kept = Cutter(), None
        for piece in _pieces(cutter, chunks):
            kept = piece if kept is None else kept.join(piece)
            try:
                raw = read_strictly(kept, self.table, before=self.records)
            except IncompleteError:
                continue
            if kept.last and kept.framing is Framing.ENVELOPE:
                address = next_page(kept, raw.tail)
                if address:
                    yield address
            kept = None
            yield self._batch(raw)

    def _batch(self, raw: RawBatch) -> Batch:
        frame, problems = normalize(raw.frame, self.table, before=self.records)
        rows: list[Problem] = [
            (self.records + record, column, text, reason)
            for record, column, text, reason in raw.problems
        ]
        for name, record in raw.extra.items():
            self.extra.setdefault(name, self.records + record)
        self.present |= raw.present
        self.records += frame.height
        return Batch(frame, pl.concat([problems, problem_rows(self.table.name, rows)]))

    def closing_problems(self) -> pl.DataFrame:
        """Fields that no record has, and fields that the toolkit does not know."""
        rows: list[Problem] = [
            (record, name, None, "a field the toolkit does not know; kept out")
            for name, record in self.extra.items()
        ]
        if self.records:
            rows += [
                (None, name, None, "no record has this field")
                for name in self.table.names
                if name not in self.present
            ]
        return problem_rows(self.table.name, rows)


class Stream:
    """Records as they arrive: iterate for batches. A context manager.

    Attributes:
        reader: Counts the records.
    """

    def __init__(
        self, platform: Platform, table: Table, query: Mapping[str, str], reader: _Reader
    ) -> None:
        self._platform = platform
        self._table = table
        self._query = query
        self._reader = reader
        self._bodies: list[Body] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Batch]:
        url: str | None = self._platform.url(self._table.name, self._query)
        seen: set[str] = set()
        while url is not None:
            if url in seen:
                raise TransportError(f"{self._bodies[0].place}: its pages lead back to themselves")
            seen.add(url)
            body = self._platform.body(url)
            self._bodies.append(body)
            url = None
            for item in self._reader.read(body):
                if isinstance(item, str):
                    url = urljoin(body.url, item)
                else:
                    yield item
        yield Batch(self._table.empty(), self._reader.closing_problems())

    @property
    def provenance(self) -> Provenance:
        """Where the records came from; whole once the stream is at its end."""
        first, last = self._bodies[0], self._bodies[-1]
        digests = [body.sha256 for body in self._bodies]
        return Provenance(
            resource=self._table.name,
            url=first.place,
            source=self._platform.source,
            retrieved_from=first.started,
            retrieved_to=datetime.now(UTC),
            as_of=last.date,
            bytes=sum(body.size for body in self._bodies),
            records=self._reader.records,
            sha256=digests[0] if len(digests) == 1 else _digest(digests),
        )


def open_stream(
    platform: Platform, resource: str, query: Mapping[str, str] | None = None
) -> Stream:
    """The records of a resource as they arrive.

    Args:
        platform: Who is asked.
        resource: grades, enrollments or completion.
        query: Parameters of the request.
    """
    table = RESOURCES[resource]
    return Stream(platform, table, query or {}, _Reader(table))


def fetch_grades(source: Source, *, course_id: Many = None, username: Many = None) -> Load:
    """Load grades with their problems and provenance; arguments as for `load_grades`."""
    return _fetch(source, "grades", _queries(course_id, username))


def fetch_enrollments(
    source: Source, *, course_id: Many = None, username: Many = None, days: int | None = None
) -> Load:
    """Load enrollments with their problems and provenance; see `load_enrollments`."""
    return _fetch(source, "enrollments", _queries(course_id, username, days))


def fetch_completion(source: Source, *, course_id: Many = None, username: Many = None) -> Load:
    """Load completion with its problems and provenance; arguments as for `load_grades`."""
    return _fetch(source, "completion", _queries(course_id, username))


def load_grades(source: Source, *, course_id: Many = None, username: Many = None) -> pl.DataFrame:
    """Load grades: one row per learner per course, the columns of `schemas.GRADES`.

    Args:
        source: A platform, or a snapshot.
        course_id: Only this course, or these.
        username: Only this learner, or these.
    """
    return _frame(fetch_grades(source, course_id=course_id, username=username))


def load_enrollments(
    source: Source, *, course_id: Many = None, username: Many = None, days: int | None = None
) -> pl.DataFrame:
    """Load enrollments: one row per learner per course, the columns of `schemas.ENROLLMENTS`.

    Args:
        source: A platform, or a snapshot.
        course_id: Only this course, or these.
        username: Only this learner, or these.
        days: Only those created within the last so many days, by the platform's clock.
    """
    return _frame(fetch_enrollments(source, course_id=course_id, username=username, days=days))


def load_completion(
    source: Source, *, course_id: Many = None, username: Many = None
) -> pl.DataFrame:
    """Load completion: one row per learner per course, the columns of `schemas.COMPLETION`.

    Args:
        source: A platform, or a snapshot.
        course_id: Only this course, or these.
        username: Only this learner, or these.
    """
    return _frame(fetch_completion(source, course_id=course_id, username=username))


def read_grades(body: str | Path | bytes) -> pl.DataFrame:
    """Read grades from a saved body: a path, or the bytes."""
    return _read("grades", body)


def read_enrollments(body: str | Path | bytes) -> pl.DataFrame:
    """Read enrollments from a saved body: a path, or the bytes."""
    return _read("enrollments", body)


def read_completion(body: str | Path | bytes) -> pl.DataFrame:
    """Read completion from a saved body: a path, or the bytes."""
    return _read("completion", body)


def _pieces(cutter: Cutter, chunks: Iterable[bytes]) -> Iterator[Piece]:
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.finish()


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _queries(course_id: Many, username: Many, days: int | None = None) -> list[dict[str, str]]:
    fixed = {} if days is None else {"days": str(days)}
    courses = [course_id] if isinstance(course_id, str) or course_id is None else course_id
    learners = [username] if isinstance(username, str) or username is None else username
    return [
        {k: v for k, v in (("course_id", c), ("username", u)) if v is not None} | fixed
        for c in dict.fromkeys(courses)
        for u in dict.fromkeys(learners)
    ]


def _fetch(source: Source, resource: str, queries: list[dict[str, str]]) -> Load:
    if not isinstance(source, Platform):
        return source.saved(resource)
    table = RESOURCES[resource]
    reader = _Reader(table)
    batches = []
    for query in queries:
        stream = Stream(source, table, query, reader)
        batches += list(stream)
    frame = pl.concat([table.empty(), *(batch.frame for batch in batches)])
    problems = pl.concat([PROBLEMS.empty(), *(batch.problems for batch in batches)])
    return Load(frame, problems, stream.provenance)


def _read(resource: str, body: str | Path | bytes) -> pl.DataFrame:
    reader = _Reader(RESOURCES[resource])
    data = body if isinstance(body, bytes) else Path(body).read_bytes()
    batches = [item for item in reader.read([data]) if isinstance(item, Batch)]
    return pl.concat([RESOURCES[resource].empty(), *(batch.frame for batch in batches)])


def _frame(load: Load) -> pl.DataFrame:
    if load.problems.height:
        warnings.warn(
            f"{load.provenance.resource}: {load.problems.height:,} values could not be taken as "
            f"they came; see tk.fetch_{load.provenance.resource}(…).problems",
            stacklevel=3,
        )
    return load.frame
