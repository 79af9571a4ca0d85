"""Parse a body into typed batches, in record order, on threads while the rest is downloaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from toolkit.errors import SchemaError, WireFormatError
from toolkit.loading.columnar_json import read_columns
from toolkit.loading.framing import LARGEST_RECORD, PIECE_SIZE, Cutter, Piece
from toolkit.loading.json_structure import last_border
from toolkit.loading.normalize import normalize
from toolkit.loading.records import IncompleteError, Problem, RawBatch, problem_rows, require_fields
from toolkit.loading.strict_json import envelope, read_strictly
from toolkit.schemas import Table

_THREADS = 2
_MOST_WAITING = 4  # pieces being parsed or waiting to be; more would only take memory
_OF_PAGE = "not a known field of a page; if it says that more records follow, they did not come"
_MOST_EXTRA = 1000  # unknown fields that are reported by name
# Once a block of this size has been freed, glibc keeps smaller ones for the next piece. Otherwise
# it returns each to the system, which takes a fifth of the time. The block is never written to.
_KEPT = 4 * PIECE_SIZE


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive records, typed, and their problems."""

    frame: pl.DataFrame
    problems: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A parsed piece: its records as text, and typed."""

    raw: RawBatch
    frame: pl.DataFrame
    problems: pl.DataFrame


class BatchReader:
    """Reads bodies of one resource, one after the other, as one sequence of records.

    Attributes:
        records: How many records were read.
        next_page: The address of the next page in the last body.
        shows_its_end: Whether a cut between two records of the last body would have been noticed.
    """

    def __init__(self, table: Table, *, piece_size: int = PIECE_SIZE) -> None:
        self._table = table
        self._piece_size = piece_size
        self._present: set[str] = set()
        self._extra: set[str] = set()
        self._announced = 0
        self._of_pages: dict[str, None] = {}
        self.records = 0
        self.shows_its_end = False
        self.next_page: str | None = None

    def read(self, body: Iterable[bytes]) -> Iterator[Batch]:
        """Yield the batches of one body.

        Raises:
            WireFormatError: The body is not well-formed, or cut off.
            SchemaError: A record has no username or course.
        """
        self.next_page = None
        np.empty(_KEPT, np.uint8)
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="toolkit-parse")
        try:
            yield from self._batches(self._pieces(body), pool)
        finally:
            pool.shutdown(cancel_futures=True)

    def ending(self) -> Batch:
        """Return the problems known only after the last record.

        These are fields that no record has, fields of pages that are unknown, and fewer records
        than the pages said there are, as when the platform deletes one while the pages are read.
        """
        absent = [name for name in self._table.names if self.records and name not in self._present]
        rows: list[Problem] = [
            *((None, name, None, "no record has this field; taken as null") for name in absent),
            *((None, name, None, _OF_PAGE) for name in self._of_pages),
        ]
        if self.next_page is None and self._announced > self.records:
            said = f"the platform says there are {self._announced:,} records; {self.records:,} came"
            rows.append((None, "count", str(self._announced), said))
        return Batch(self._table.empty(), problem_rows(self._table.name, rows))

    def _pieces(self, body: Iterable[bytes]) -> Iterator[Piece]:
        cutter = Cutter(self._piece_size)
        for chunk in body:
            yield from cutter.feed(chunk)
        yield from cutter.finish()

    def _batches(self, pieces: Iterator[Piece], pool: ThreadPoolExecutor) -> Iterator[Batch]:
        submitted = self._submitted(pieces, pool)
        for piece, parsed in self._whole(submitted, pool):
            yield self._batch(parsed)
            self.shows_its_end = piece.framing.bracketed
            if parsed.raw.tail:
                end = piece.split(len(piece.data) - len(parsed.raw.tail))[1]
                for more, _ in submitted:
                    end = end.join(more)
                    _refuse_if_too_large(end, "what follows the records")
                page = envelope(end)
                self.next_page = page.following
                self._announced = max(self._announced, page.announced)
                self._of_pages |= dict.fromkeys(page.unknown)
                return

    def _whole(
        self, submitted: Iterator[tuple[Piece, Future[_Parsed]]], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Piece, _Parsed]]:
        """Yield parsed pieces; join and recut those that were cut inside a record."""
        left: Piece | None = None  # begins at a record; the pieces after a wrong cut do not
        wanted = 0
        for piece, future in submitted:
            if left is None:
                parsed = self._result(piece, future, pool)
                if parsed is not None:
                    yield piece, parsed
                    continue
            left = piece if left is None else left.join(piece)
            if len(left.data) < wanted and not left.last:
                continue
            border = len(left.data) if left.last else last_border(left.data)
            whole, rest = (left, None) if left.last else left.split(border)
            parsed = self._result(whole, self._submit(whole, pool), pool) if border else None
            if parsed is None:  # no record ends here, or two are not separated
                _refuse_if_too_large(left, "a record", record=self.records)
                wanted = 2 * len(left.data)
                continue
            yield whole, parsed
            left, wanted = rest if rest and rest.data else None, 0

    def _submit(self, piece: Piece, pool: ThreadPoolExecutor) -> Future[_Parsed]:
        return pool.submit(_parse, piece, self._table, self.records)

    def _result(
        self, piece: Piece, future: Future[_Parsed], pool: ThreadPoolExecutor
    ) -> _Parsed | None:
        """Return the parsed piece; None if it ends inside a record."""
        try:
            return future.result()
        except IncompleteError:
            return None
        except (WireFormatError, SchemaError):
            return self._submit(piece, pool).result()  # now the record's number is known

    def _submitted(
        self, pieces: Iterator[Piece], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Piece, Future[_Parsed]]]:
        waiting: deque[tuple[Piece, Future[_Parsed]]] = deque()
        for piece in pieces:
            waiting.append((piece, self._submit(piece, pool)))
            if len(waiting) >= _MOST_WAITING:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def _batch(self, parsed: _Parsed) -> Batch:
        raw, problems = parsed.raw, parsed.problems
        rows = [*self._extra_problems(raw.extra), *raw.problems]
        if rows:
            problems = problems.vstack(problem_rows(self._table.name, rows))
        if not problems.is_empty():
            problems = problems.sort("record", maintain_order=True).with_columns(
                pl.col("record") + self.records
            )
        self._present |= raw.present
        self.records += len(parsed.frame)
        return Batch(parsed.frame, problems)

    def _extra_problems(self, extra: dict[str, int]) -> Iterator[Problem]:
        for name, record in extra.items():
            if name in self._extra or len(self._extra) > _MOST_EXTRA:
                continue
            self._extra.add(name)
            if len(self._extra) > _MOST_EXTRA:
                yield record, name, None, "the 1,001st unknown field; further ones are not reported"
            else:
                yield record, name, None, "not a field of this resource; left out"


def _parse(piece: Piece, table: Table, before: int) -> _Parsed:
    raw = read_columns(piece, table) or read_strictly(piece, table, before=before)
    require_fields(raw.frame, table, before)
    frame, problems = normalize(raw.frame, table)
    return _Parsed(replace(raw, frame=raw.frame.clear()), frame, problems)


def _refuse_if_too_large(piece: Piece, what: str, *, record: int | None = None) -> None:
    if len(piece.data) > LARGEST_RECORD:
        raise piece.error(f"{what} is larger than {LARGEST_RECORD >> 20} MB", 0, record=record)
