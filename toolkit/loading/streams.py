"""Stream the records of one query in batches, and note where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version

import polars as pl

from toolkit.errors import ToolkitError
from toolkit.loading.batches import Batch, BatchReader
from toolkit.loading.body import Body
from toolkit.loading.pages import Pages
from toolkit.loading.platform import Platform
from toolkit.loading.progress import Progress
from toolkit.schemas import RESOURCES, Table


@dataclass(frozen=True)
class Provenance:
    """Where records came from, and when.

    Attributes:
        resource: grades, enrollments or completion.
        url: Address without the query, which may name learners.
        source: What captions call it: the platform's host, or which sandbox or snapshot.
        retrieved_from: When the first request was sent (UTC).
        retrieved_to: When the last byte arrived (UTC).
        as_of: The platform's clock then (UTC): the moment the records describe.
        bytes: Size of the decoded bodies.
        records: How many records.
        sha256: The digest of the decoded body; of several, that of their digests concatenated.
        toolkit_version: The version of the toolkit that read them.
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


class Stream:
    """The records of one query, page after page: iterate to get them in batches.

    The last batch has no records, only the problems of the body as a whole.
    """

    def __init__(
        self,
        platform: Platform,
        table: Table,
        parameters: dict[str, str],
        check_cancelled: Callable[[], None],
    ) -> None:
        self._platform = platform
        self._table = table
        self._url = platform.url(table.name, parameters)
        self._asked = [
            *(["a learner"] if "username" in parameters else []),
            *([parameters["course_id"]] if "course_id" in parameters else []),
        ]
        self._check_cancelled = check_cancelled
        self._bodies: list[Body] = []
        self._records: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        try:
            with Progress(self._table.name) as progress:
                yield from self._batches(BatchReader(self._table), progress)
        except ToolkitError as error:
            what = " of ".join([self._table.name, *self._asked])
            error.args = (self._platform.redact(f"{what}: {error}"),)
            raise

    def _batches(self, reader: BatchReader, progress: Progress) -> Iterator[Batch]:
        patience = self._platform.patience(self._check_cancelled)
        pages = Pages()
        url: str | None = self._url
        while url is not None:
            body = self._platform.body(url, patience)
            self._bodies.append(body)
            before, first = reader.records, None
            for batch in reader.read(progress.counted(body)):
                progress.show_records(reader.records)
                first = batch.frame if first is None and batch.frame.height else first
                yield batch
            following = body.next_page(reader.next_page) if reader.next_page else None
            if following is not None:
                pages.turn(url, following, reader.records - before, first, body.place)
            url = following
        yield reader.ending()
        self._records = reader.records

    @property
    def as_of(self) -> datetime:
        """The platform's clock, from the responses so far."""
        return max(body.date for body in self._bodies)

    @property
    def provenance(self) -> Provenance:
        """Where the records came from; complete once the stream is exhausted."""
        if self._records is None:
            raise RuntimeError("the stream is not exhausted yet; iterate over it first")
        first, last = self._bodies[0], self._bodies[-1]
        return Provenance(
            resource=self._table.name,
            url=first.place,
            source=self._platform.source,
            retrieved_from=first.started,
            retrieved_to=last.ended,
            as_of=self.as_of,
            bytes=sum(body.size for body in self._bodies),
            records=self._records,
            sha256=digest_of([body.sha256 for body in self._bodies]),
        )


def open_stream(
    platform: Platform,
    resource: str,
    *,
    course_id: str | None = None,
    username: str | None = None,
    days: int | None = None,
    check_cancelled: Callable[[], None] | None = None,
) -> Stream:
    """Return the records of one query as a stream; nothing is requested until it is iterated.

    Args:
        platform: The platform.
        resource: grades, enrollments or completion.
        course_id: Only this course.
        username: Only this learner.
        days: Only enrollments created in the last `days` days.
        check_cancelled: Called a few times a second; raises to cancel the download. By default it
            checks for Ctrl+C, on any thread.
    """
    given = {"course_id": course_id, "username": username, "days": days}
    parameters = {name: str(value) for name, value in given.items() if value is not None}
    return Stream(platform, RESOURCES[resource], parameters, check_cancelled or _raise_on_ctrl_c)


def _raise_on_ctrl_c() -> None:
    """Raise KeyboardInterrupt if the user pressed Ctrl+C.

    A lazy query reads records on a thread of Polars and waits for them on the user's, so Python
    interrupts neither; but Polars notes the signal, and its next operation raises.
    """
    pl.select(pl.lit(0))


def digest_of(digests: list[str]) -> str:
    """Return the digest of one body as it is; of several, that of their digests concatenated."""
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )
