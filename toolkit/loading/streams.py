"""Stream the records of one query in batches, and note where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import polars as pl

from toolkit.errors import ToolkitError
from toolkit.loading.batches import Batch, BatchReader
from toolkit.loading.body import Body
from toolkit.loading.pages import Pages
from toolkit.loading.platform import Platform
from toolkit.loading.progress import Progress
from toolkit.loading.records import Problem, problem_rows
from toolkit.schemas import RESOURCES, Table

_OLDEST = datetime.min.replace(tzinfo=UTC)
_ENDLESS = "the response states neither length nor end; a cut between two records could not be seen"
_UNASKED = "this filter does not match {:,} of the records that came; left out"


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

    Records that were not asked for are left out, as of a server that ignores filters. The last
    batch has no records, only the problems of the body as a whole.
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
        self._filters = parameters
        self._unasked = dict.fromkeys(parameters, 0)
        self._is_endless = False
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
                for batch in self._batches(BatchReader(self._table), progress):
                    texts = self._platform.redact.column(pl.col("column", "raw"))
                    yield replace(batch, problems=batch.problems.with_columns(texts))
        except ToolkitError as error:
            what = " of ".join([self._table.name, *self._asked])
            error.args = (self._platform.redact(f"{what}: {error}"),)
            raise

    def _batches(self, reader: BatchReader, progress: Progress) -> Iterator[Batch]:
        patience = self._platform.patience(self._check_cancelled)
        pages = Pages()
        url: str | None = self._url
        kept = 0
        while url is not None:
            body = self._platform.body(url, patience)
            self._bodies.append(body)
            before, first = reader.records, None
            for batch in reader.read(progress.counted(body)):
                progress.show_records(reader.records)
                first = batch.frame if first is None and batch.frame.height else first
                came = reader.records - batch.frame.height
                asked = self._asked_for(batch, came, kept) if self._filters else batch
                kept += asked.frame.height
                yield asked
            self._is_endless |= not (body.shows_its_end or reader.shows_its_end)
            following = body.next_page(reader.next_page)
            if following is not None:
                pages.turn(url, following, reader.records - before, first, body.place)
            url = following
        ending = reader.ending()
        yield replace(ending, problems=ending.problems.vstack(self._problems()))
        self._records = kept

    def _problems(self) -> pl.DataFrame:
        """Return the problems of filters and responses, known after the last page."""
        rows: list[Problem] = [
            (None, name, self._filters[name], _UNASKED.format(n))
            for name, n in self._unasked.items()
            if n
        ]
        rows += [(None, "Content-Length", None, _ENDLESS)] if self._is_endless else []
        return problem_rows(self._table.name, rows)

    def _asked_for(self, batch: Batch, came: int, kept: int) -> Batch:
        """Return the records of a batch that were asked for, and their problems.

        Args:
            batch: Its problems are numbered by the records that came.
            came: How many came before.
            kept: How many of those were asked for.
        """
        frame = batch.frame
        matches = frame.select(self._matches(name).alias(name) for name in self._filters)
        asked = matches.select(pl.all_horizontal(pl.all())).to_series()
        if came == kept and asked.all():
            return batch
        for column in matches:
            self._unasked[column.name] += int((~column).sum())
        numbers = pl.DataFrame({"record": range(came, came + frame.height)}).filter(asked)
        problems = batch.problems.join(
            numbers.with_row_index("kept", kept), on="record", how="left", maintain_order="left"
        )
        told = pl.col("kept").is_not_null() | pl.col("raw").is_null()  # the latter: unknown fields
        renumbered = problems.filter(told).with_columns(record=pl.col("kept").cast(pl.Int64))
        return Batch(frame.filter(asked), renumbered.drop("kept"))

    def _matches(self, name: str) -> pl.Expr:
        """Return whether a record matches a filter; platforms may count days from midnight."""
        if name == "days":
            since = days_before(self.as_of, int(self._filters[name]) + 1)
            return pl.col("created").is_null() | (pl.col("created") >= since)
        return pl.col(name) == self._filters[name]

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


def days_before(moment: datetime, days: int) -> datetime:
    """Return the moment so many days earlier, or the first of the calendar."""
    return moment - timedelta(days=min(days, (moment - _OLDEST).days))


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
