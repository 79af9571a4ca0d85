"""Arriving bytes → typed batches in record order, parsed on threads while the rest arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from toolkit.errors import SchemaError, WireFormatError
from toolkit.loading.columnar_json import read_columns
from toolkit.loading.framing import LARGEST_RECORD, PIECE_SIZE, Cutter, Piece
from toolkit.loading.normalize import Problem, normalize, problem_rows
from toolkit.loading.strict_json import (
    IncompleteError,
    RawBatch,
    next_page,
    read_strictly,
    require_fields,
)
from toolkit.schemas import Table

_THREADS = 2
_MOST_WAITING = 4  # pieces being parsed or waiting for it; more would only take memory


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive records, typed, and their problems."""

    frame: pl.DataFrame
    problems: pl.DataFrame


class BatchReader:
    """Reads bodies of one resource, one after the other, as one sequence of records.

    Attributes:
        records: How many records were read.
        next_page: The address the last body names as its next page.
    """

    def __init__(self, table: Table, *, piece_size: int = PIECE_SIZE) -> None:
        self._table = table
        self._piece_size = piece_size
        self._present: set[str] = set()
        self._extra: set[str] = set()
        self.records = 0
        self.next_page: str | None = None

    def read(self, body: Iterable[bytes]) -> Iterator[Batch]:
        """The batches of one body.

        Raises:
            WireFormatError: The body is not well-formed, or cut off.
            SchemaError: A record has no username or course.
        """
        self.next_page = None
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="toolkit-parse")
        try:
            with closing(self._parsed(self._pieces(body), pool)) as parsed:
                for piece, raw, frame, problems in parsed:
                    yield self._batch(raw, frame, problems)
                    if piece.last:
                        self.next_page = next_page(piece, raw.tail)
        finally:
            pool.shutdown(cancel_futures=True)

    def ending(self) -> Batch:
        """What can be said only after the last record: fields that no record had."""
        absent = [name for name in self._table.names if self.records and name not in self._present]
        rows: list[Problem] = [
            (None, name, None, "no record has this field; taken as null") for name in absent
        ]
        return Batch(self._table.empty(), problem_rows(self._table.name, rows))

    def _pieces(self, body: Iterable[bytes]) -> Iterator[Piece]:
        cutter = Cutter(self._piece_size)
        for chunk in body:
            yield from cutter.feed(chunk)
        yield from cutter.finish()

    def _parsed(
        self, pieces: Iterator[Piece], pool: ThreadPoolExecutor
    ) -> Generator[_Parsed, None, None]:
        """The pieces parsed; one that was cut inside a record is joined with those behind it."""
        parts: list[Piece] = []  # of one piece that is still incomplete
        wanted = 0
        for piece, future in self._submitted(pieces, pool):
            parts.append(piece)
            size = sum(len(part.data) for part in parts)
            if size < wanted and not piece.last:
                continue
            whole = piece if len(parts) == 1 else parts[0].join(*parts[1:])
            try:
                parsed = future.result() if whole is piece else _parse(whole, self._table, 0)
            except IncompleteError:
                if size > LARGEST_RECORD:
                    raise whole.error(
                        f"a record is larger than {LARGEST_RECORD >> 20} MB",
                        0,
                        record=self.records,
                    ) from None
                wanted = 2 * size
                continue
            except (WireFormatError, SchemaError):
                parsed = _parse(whole, self._table, self.records)  # again, with its true number
            parts, wanted = [], 0
            yield parsed

    def _submitted(
        self, pieces: Iterator[Piece], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Piece, Future[_Parsed]]]:
        waiting: deque[tuple[Piece, Future[_Parsed]]] = deque()
        for piece in pieces:
            waiting.append((piece, pool.submit(_parse, piece, self._table, 0)))
            if len(waiting) >= _MOST_WAITING:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def _batch(self, raw: RawBatch, frame: pl.DataFrame, problems: pl.DataFrame) -> Batch:
        rows: list[Problem] = []
        for name, record in raw.extra.items():
            if name not in self._extra:
                rows.append((record, name, None, "not a field of this resource; left out"))
        rows += raw.problems
        if rows:
            problems = problems.vstack(problem_rows(self._table.name, rows))
        if not problems.is_empty():
            problems = problems.sort("record", maintain_order=True).with_columns(
                pl.col("record") + self.records
            )
        self._extra.update(raw.extra)
        self._present |= raw.present
        self.records += len(frame)
        return Batch(frame, problems)


_Parsed = tuple[Piece, RawBatch, pl.DataFrame, pl.DataFrame]


def _parse(piece: Piece, table: Table, before: int) -> _Parsed:
    raw = read_columns(piece, table) or read_strictly(piece, table, before=before)
    require_fields(raw.frame, table, before)
    frame, problems = normalize(raw.frame, table, before=before)
    return piece, raw, frame, problems
