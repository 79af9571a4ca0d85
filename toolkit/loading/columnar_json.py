"""A piece of any layout → its columns: Polars parses it, and counts prove that nothing was lost.

Polars reads JSON strictly and fast. But it takes the first of two fields of one name, drops fields
it was not asked for, writes numbers anew, and takes half of a surrogate pair for NUL. So the names
are counted here, by arithmetic on the places of quotes and brackets: where as many of them have a
value as the frame has values, no value was dropped. The names of nulls and of bare values are read,
so that their cells can be looked at; all names are, where something does not agree.

What Polars refuses is left to `strict_json`, which says what is wrong. A record in which a field
comes twice is read there alone; the others stay here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.loading.framing import SPACE, Bytes, Framing, Ints, Piece, brackets, escapes, quotes
from toolkit.loading.records import DEEPEST, IncompleteError, RawBatch
from toolkit.loading.strict_json import read_records
from toolkit.schemas import Table

Flags = npt.NDArray[np.bool_]

_ROOM = 8  # bytes before the records, so that as many can be looked at before any place


def read_columns(piece: Piece, table: Table) -> RawBatch | None:
    """The records of a piece; None where it is not well-formed, or in doubt.

    Args:
        piece: What to read.
        table: The resource's fields.

    Raises:
        IncompleteError: The piece ends inside a record and is not the last one.
    """
    text = _Text(piece)
    if text.is_cut and not piece.last:
        raise IncompleteError
    if not text.array or text.depth.max() > DEEPEST or text.has_half_a_pair():
        return None
    try:
        frame = pl.read_json(text.array, schema=dict.fromkeys(table.names, pl.String))
    except pl.exceptions.PolarsError:
        return None
    if frame.height != len(text.starts):
        return None
    batch = RawBatch(frame, tail=piece.data[text.end :])
    fields = _fields(text)
    values = frame.height * frame.width - sum(frame.null_count().row(0))
    if np.count_nonzero(fields.kinds != ord("n")) == values:
        bare = fields.take(np.flatnonzero(fields.kinds != ord('"')))
        cells = _cells(bare, text, table)
        if _agree(bare, cells, frame):
            return _completed(batch, bare, cells, text, table)
    return _completed(batch, fields, _cells(fields, text, table), text, table)


class _Text:
    """Where the strings and brackets of a piece lie.

    Attributes:
        characters: The piece.
        end: Where its records end: at the `]` behind them, or with the piece.
        is_cut: Whether that is inside a record.
        escapes: The backslash that begins each escape.
        opens: Each string's first quote.
        closes: Each string's last quote.
        at: Each bracket outside of strings.
        depth: How many are open behind it.
        starts: Where each record begins.
        array: What is a JSON array if the piece is whole records, and only then. Empty if it is
            not. Each place is `_ROOM` further on there.
    """

    def __init__(self, piece: Piece) -> None:
        self.characters = np.frombuffer(piece.data, np.uint8)
        found = escapes(self.characters)
        strings = quotes(self.characters, found)
        at, depth, _ = brackets(self.characters, strings)
        last = int(np.append(depth < 0, True).argmax())
        self.end = int(at[last]) if last < len(at) else len(piece.data)
        self.escapes = found[: np.searchsorted(found, self.end)]
        strings = strings[: np.searchsorted(strings, self.end)]
        self.opens, self.closes = strings[0::2], strings[1::2]
        self.at, self.depth = at[:last], depth[:last]
        self.starts = self.at[(self.depth == 1) & (self.characters[self.at] == ord("{"))]
        self.is_cut = len(strings) % 2 == 1 or (last > 0 and bool(self.depth[-1] > 0))
        self.array = self._array(piece) if len(self.starts) and not self.is_cut else b""

    def _array(self, piece: Piece) -> bytes:
        tail, lines = piece.data[self.end :], piece.framing is Framing.LINES
        over = piece.last or bool(tail)
        stop = int(self.at[-1]) + 1
        behind = piece.data[stop : self.end]
        records = self.characters[:stop]
        if tail[:1] != (b"]" if over and piece.framing.bracketed else b""):
            return b""
        if behind.strip(SPACE) != (b"" if over or lines else b","):
            return b""
        if lines:
            ends = self.at[self.depth == 0]
            if len(ends) != len(self.starts) or not (over or b"\n" in behind):
                return b""  # something but a record stands there, or the last is not whole
            newlines = np.append(-1, np.flatnonzero(self.characters == ord("\n")))
            between = newlines[np.searchsorted(newlines, self.starts[1:]) - 1]
            if np.any(between < ends[:-1]):
                return b""
            records = records.copy()
            records[between] = ord(",")
        return b"".join((b"[".ljust(_ROOM), records.data, b"]"))

    def has_half_a_pair(self) -> bool:
        """Whether an escape is half of a surrogate pair."""
        at = self.escapes[self.characters[self.escapes + 1] == ord("u")]
        at = at[(self.characters[at + 2] | 0x20) == ord("d")]
        digit = self.characters[at + 3]
        low = (digit | 0x20) >= ord("c")
        high = ~low & (digit >= ord("8"))
        pairs = np.count_nonzero(high[:-1] & low[1:] & (np.diff(at) == len(r"\ud83d")))
        return bool(pairs < max(np.count_nonzero(high), np.count_nonzero(low)))


class _Run:
    """Bytes of some kind, one behind the other."""

    def __init__(self, kind: bytes) -> None:
        self._is_kind = np.isin(np.arange(256), list(kind))
        self._pattern = re.compile(b"[%s]*+" % re.escape(kind))

    def ends(self, text: bytes, at: Ints) -> Ints:
        """The first place from each of these on where another byte stands."""
        characters = np.frombuffer(text, np.uint8)
        for _ in range(8):
            more = self._is_kind[characters[at]]
            if not more.any():
                return at
            at = at + more
        for row in np.flatnonzero(more).tolist():  # one by one, so that all takes linear time
            at[row] = self._pattern.match(text, int(at[row])).end()  # type: ignore[union-attr]
        return at


_SPACES, _NUMBER = _Run(SPACE), _Run(b"+-.0123456789eE")


class _Fields(NamedTuple):
    """Fields of records, in their order.

    Attributes:
        names: Which strings are their names.
        values: Where in the array their values begin.
        kinds: The first byte of each value.
    """

    names: Ints
    values: Ints
    kinds: Bytes

    def take(self, rows: Ints) -> _Fields:
        """These of them."""
        return _Fields(self.names[rows], self.values[rows], self.kinds[rows])


def _fields(text: _Text) -> _Fields:
    characters = np.frombuffer(text.array, np.uint8)
    behind = _SPACES.ends(text.array, text.closes + (_ROOM + 1))
    named = characters[behind] == ord(":")
    if len(text.at) > 2 * len(text.starts):  # some names lie deeper
        named &= text.depth[np.searchsorted(text.at, text.closes) - 1] == 1
    names = np.flatnonzero(named)
    values = _SPACES.ends(text.array, behind[names] + 1)
    return _Fields(names, values, characters[values])


class _Cells(NamedTuple):
    """Where in the frame fields belong.

    Attributes:
        columns: The number of each one's name in the table; the next number for any other name.
        records: The number of its record.
        twice: Whether another known field of the record has its name.
    """

    columns: Ints
    records: Ints
    twice: Flags


def _cells(fields: _Fields, text: _Text, table: Table) -> _Cells:
    begins = text.opens[fields.names] + 1
    lengths = text.closes[fields.names] - begins
    words = np.ndarray((len(text.array) - _ROOM + 1,), "<u8", text.array, strides=(1,))
    height, width = len(text.starts), len(table.names)
    columns = np.full(len(begins), width)
    for code, name in enumerate(map(str.encode, table.names)):
        rows = np.flatnonzero(lengths == len(name))
        for start in range(0, len(name), _ROOM):
            part = name[start : start + _ROOM]
            word = np.uint64(int.from_bytes(part, "little"))
            before = words[begins[rows] + (start + len(part))]  # the bytes that end there
            rows = rows[before >> np.uint64(8 * (_ROOM - len(part))) == word]
        columns[rows] = code
    records = np.searchsorted(text.starts, begins) - 1
    places = columns * height + records
    twice = (columns < width) & (np.bincount(places)[places] > 1)
    return _Cells(columns, records, twice)


def _agree(fields: _Fields, cells: _Cells, frame: pl.DataFrame) -> bool:
    """Whether each field is known, comes once, and is null where the frame is."""
    if np.any(cells.columns == frame.width) or cells.twice.any():
        return False
    null = fields.kinds == ord("n")
    for code, column in enumerate(frame):
        records = cells.records[null & (cells.columns == code)]
        if len(records) and column[pl.Series(records)].null_count() < len(records):
            return False
    return True


def _completed(
    batch: RawBatch, fields: _Fields, cells: _Cells, text: _Text, table: Table
) -> RawBatch:
    """The batch with numbers as they were written, other fields, and records read one by one."""
    known = cells.columns < len(table.names)
    seen = np.bincount(cells.columns, minlength=len(table.names) + 1)
    batch.present = {
        column.name
        for column, count in zip(batch.frame, seen, strict=False)
        if count or column.null_count() < len(column)
    }
    number = known & (fields.kinds >= ord("-")) & (fields.kinds <= ord("9"))
    for code in np.unique(cells.columns[number]).tolist():
        rows = np.flatnonzero(number & (cells.columns == code))
        starts = fields.values[rows]
        texts = _slices(text.array, starts, _NUMBER.ends(text.array, starts))
        column = batch.frame.to_series(code).scatter(cells.records[rows], texts)
        batch.frame = batch.frame.with_columns(column)
    odd = cells.twice
    if len(text.escapes) and not known.all():
        escaped = np.searchsorted(text.opens, text.escapes) - 1
        odd = odd | (~known & np.isin(fields.names, escaped))
    rare = np.unique(cells.records[odd])
    other = np.flatnonzero(~known & ~np.isin(cells.records, rare))
    if len(other):
        strings = fields.names[other]
        names = _slices(text.array, text.opens[strings] + _ROOM + 1, text.closes[strings] + _ROOM)
        found = pl.DataFrame({"name": names, "record": cells.records[other]})
        batch.extra = dict(found.unique("name", keep="first", maintain_order=True).iter_rows())
    if len(rare):
        borders = np.append(text.starts, text.at[-1] + 1) + _ROOM
        pairs = zip(borders[rare].tolist(), borders[rare + 1].tolist(), strict=True)
        sources = [text.array[start:stop].rstrip(SPACE + b",") for start, stop in pairs]
        _patch(batch, rare, read_records(sources, table))
    return batch


def _slices(text: bytes, starts: Ints, stops: Ints) -> pl.Series:
    whole = pl.lit(pl.Series([text], dtype=pl.Binary))
    lengths = pl.Series(stops - starts)
    return pl.select(whole.bin.slice(pl.Series(starts), lengths).cast(pl.String)).to_series()


def _patch(batch: RawBatch, rows: Ints, read: RawBatch) -> None:
    """Put these records, read one by one, in the places of the same."""
    number = rows.tolist()
    batch.frame = batch.frame.with_columns(
        column.clone().scatter(rows, read.frame[column.name]) for column in batch.frame
    )
    batch.present |= read.present
    for name, record in read.extra.items():
        batch.extra[name] = min(number[record], batch.extra.get(name, number[record]))
    batch.extra = dict(sorted(batch.extra.items(), key=lambda item: item[1]))
    batch.problems = [(number[record or 0], *rest) for record, *rest in read.problems]
