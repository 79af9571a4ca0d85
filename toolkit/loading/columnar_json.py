"""Parse a piece into columns with Polars, and prove by counting that nothing was lost.

Polars reads JSON strictly and fast. But it takes the first of two fields of the same name, drops
fields that are not in the schema, rewrites numbers, and reads half of a surrogate pair as NUL. So
the names are counted here, by arithmetic on the places of colons, quotes and brackets: if as many
of them have a value as the frame has values, no value was dropped. The names of nulls and of bare
values are read, so that their cells can be checked; if anything disagrees, all names are.

What Polars refuses is left to `strict_json`, which says what is wrong, and where. If a known field
is repeated, or holds a list or an object, only the records concerned are read there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from json.decoder import scanstring  # type: ignore[attr-defined]  # its stub lacks it
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.errors import SchemaError, WireFormatError
from toolkit.loading.framing import Framing, Piece
from toolkit.loading.json_structure import SPACE, Bytes, Ints, brackets, escapes, places, quotes
from toolkit.loading.records import DEEPEST, IncompleteError, RawBatch
from toolkit.loading.strict_json import read_records
from toolkit.schemas import Table

Flags = npt.NDArray[np.bool_]

_WORD = 8  # bytes compared at a time
_ROOM = 24  # bytes before the records, so that as many can be read before any place
_MOST_STEPS = 20  # one byte each; after that, all places are found at once
_SPACE = partial(np.greater_equal, ord(" "))  # Polars refuses other white space outside strings
_NO_QUOTE = partial(np.not_equal, ord('"'))
_OF_NUMBER = np.isin(np.arange(256), list(b"+-.0123456789eE")).take


def read_columns(piece: Piece, table: Table) -> RawBatch | None:
    """Return the records of a piece; None if it is malformed, or in doubt.

    Args:
        piece: What to read.
        table: The resource's fields.

    Raises:
        IncompleteError: The piece ends inside a record and is not the last one.
    """
    for look in (_flat_records, _any_records):
        records = look(piece)
        if records is None:
            continue
        odd = _odd_records(records, table)
        text, regular = _blanked(records, odd) if len(odd) else (records.array, records)
        try:
            frame = pl.read_json(text, schema=dict.fromkeys(table.names, pl.String))
        except pl.exceptions.PolarsError:
            continue
        if frame.height == len(records.starts):
            try:
                return _proven(RawBatch(frame, tail=records.tail), regular, odd, table)
            except (WireFormatError, SchemaError):  # of a record read by itself: its place is wrong
                return None
    return None


class _Records(NamedTuple):
    """Records and their fields, in their order.

    Attributes:
        array: A JSON array exactly if the piece is whole records; preceded by blanks.
        starts: Where each record begins in it.
        closes: The last quote of each field's name.
        values: Where each field's value begins.
        kinds: The first byte of each value; 0 if it is not a field.
        tail: What follows the records in the piece.
    """

    array: bytes
    starts: Ints
    closes: Ints
    values: Ints
    kinds: Bytes
    tail: bytes = b""

    def take(self, rows: Ints) -> _Records:
        """Return the same records with some of their fields."""
        return self._replace(
            closes=self.closes[rows], values=self.values[rows], kinds=self.kinds[rows]
        )


def _odd_records(records: _Records, table: Table) -> Ints:
    """Return the numbers of the records in which a known field holds a list or an object."""
    nested = np.flatnonzero((records.kinds | 0x20) == ord("{"))
    if not len(nested) or records.closes[0] < records.starts[0]:  # before any record
        return nested[:0]
    cells = _cells(records.take(nested), table)
    return np.unique(cells.records[cells.columns < len(table.names)])


def _blanked(records: _Records, odd: Ints) -> tuple[bytes, _Records]:
    """Return the text with these records empty, and the fields of all others."""
    characters = bytearray(records.array)
    for start, stop in _extents(records, odd):
        characters[start + 1 : stop - 1] = b" " * (stop - start - 2)
    of_record = np.searchsorted(records.starts, records.closes) - 1
    return bytes(characters), records.take(np.flatnonzero(~np.isin(of_record, odd)))


def _extents(records: _Records, numbers: Ints) -> list[tuple[int, int]]:
    """Return where these records begin and end in the text."""
    borders = np.append(records.starts, len(records.array) - 1)
    pairs = zip(borders[numbers].tolist(), borders[numbers + 1].tolist(), strict=True)
    return [(start, records.array.rfind(b"}", start, stop) + 1 or stop) for start, stop in pairs]


def _flat_records(piece: Piece) -> _Records | None:
    """Find the records of a piece without finding where strings begin and end.

    None unless, in a well-formed piece, no value is a list or an object, and each string is a name
    before a colon or the value after it. Then, if there are as many `{` as Polars finds records,
    each begins one.
    """
    lines, data = piece.framing is Framing.LINES, piece.data.rstrip(SPACE)
    end = b"" if lines or piece.last else b","
    stop = len(data) - len(end)
    is_whole = (
        not piece.framing.bracketed if piece.last else not lines or b"\n" in piece.data[stop:]
    )
    if not is_whole or data[stop - 1 :] != b"}" + end:
        return None
    array = _array(memoryview(data)[:stop])
    characters = np.frombuffer(array, np.uint8)
    if np.count_nonzero(characters == ord("[")) > DEEPEST:
        return None  # Polars 2.0 would recurse as deep as they go, and crash
    starts, colons = places(characters, b"{"), places(characters, b":")
    if len(colons) > len(array) // _WORD:
        return None  # so many are inside strings that this would be slower
    closes = _skip(_SPACE, array, colons - 1, -1)
    values = _skip(_SPACE, array, colons + 1)
    kinds = characters[values] * (characters[closes] == ord('"'))
    escaped = escapes(characters) if b"\\" in array else starts[:0]
    n_quotes = np.count_nonzero(characters == ord('"'))
    n_escaped = np.count_nonzero(characters[escaped + 1] == ord('"'))
    n_strings = np.count_nonzero(kinds) + np.count_nonzero(kinds == ord('"'))
    if not n_strings or n_quotes - n_escaped != 2 * n_strings or np.any(kinds | 0x20 == ord("{")):
        return None
    if _has_half_a_pair(characters, escaped):
        return None
    if lines:
        if np.any(characters[starts[1:] - 1] != ord("\n")):
            return None
        characters = characters.copy()
        characters[starts[1:] - 1] = ord(",")
        array = characters.tobytes()
    return _Records(array, starts, closes, values, kinds)


def _array(records: bytes | memoryview) -> bytes:
    return b"".join((b"[".ljust(_ROOM), records, b"]"))


def _skip(skips: Callable[[Bytes], Flags], text: bytes, at: Ints, step: int = 1) -> Ints:
    """From each of these places, in one direction, find the first byte that is kept."""
    characters = np.frombuffer(text, np.uint8)
    for _ in range(_MOST_STEPS):
        more = skips(characters[at])
        if not more.any():
            return at
        at = at + step * more
    stops = np.flatnonzero(~skips(characters))
    side: Literal["left", "right"] = "left" if step > 0 else "right"
    found: Ints = stops[np.searchsorted(stops, at, side) - (step < 0)]
    return found


def _has_half_a_pair(characters: Bytes, escaped: Ints) -> bool:
    """Whether any escape is half of a surrogate pair."""
    at = escaped[characters[escaped + 1] == ord("u")]
    at = at[(characters[at + 2] | 0x20) == ord("d")]
    digit = characters[at + 3]
    low = (digit | 0x20) >= ord("c")
    high = ~low & (digit >= ord("8"))
    pairs = np.count_nonzero(high[:-1] & low[1:] & (np.diff(at) == len(r"\ud83d")))
    return bool(pairs < max(np.count_nonzero(high), np.count_nonzero(low)))


def _any_records(piece: Piece) -> _Records | None:
    text = _Text(piece)
    if text.is_cut and not piece.last:
        raise IncompleteError
    if not text.array or text.depth.max() > DEEPEST:
        return None
    characters = np.frombuffer(text.array, np.uint8)
    if _has_half_a_pair(characters, text.escapes + _ROOM):
        return None
    after = _skip(_SPACE, text.array, text.closes + (_ROOM + 1))
    named = np.flatnonzero(characters[after] == ord(":"))
    if len(text.at) > 2 * len(text.starts):  # some names lie deeper
        named = named[text.depth[np.searchsorted(text.at, text.closes[named]) - 1] == 1]
    closes = text.closes[named] + _ROOM
    values = _skip(_SPACE, text.array, after[named] + 1)
    tail = piece.data[text.end :]
    return _Records(text.array, text.starts + _ROOM, closes, values, characters[values], tail)


class _Text:
    """Where the strings and brackets of a piece lie.

    Attributes:
        characters: The piece.
        end: Where its records end: at the `]` after them, or with the piece.
        is_cut: Whether that is inside a record.
        escapes: The backslash that begins each escape.
        closes: Each string's last quote.
        at: Each bracket outside strings.
        depth: How many are open after it.
        starts: Where each record begins.
        array: A JSON array exactly if the piece is whole records, else empty. Places are shifted
            by `_ROOM`.
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
        self.closes = strings[1::2]
        self.at, self.depth = at[:last], depth[:last]
        self.starts = self.at[(self.depth == 1) & (self.characters[self.at] == ord("{"))]
        self.is_cut = len(strings) % 2 == 1 or (last > 0 and bool(self.depth[-1] > 0))
        self.array = self._whole(piece) if len(self.starts) and not self.is_cut else b""

    def _whole(self, piece: Piece) -> bytes:
        tail, lines = piece.data[self.end :], piece.framing is Framing.LINES
        over = piece.last or bool(tail)
        stop = int(self.at[-1]) + 1
        after = piece.data[stop : self.end]
        records = self.characters[:stop]
        if tail[:1] != (b"]" if over and piece.framing.bracketed else b""):
            return b""
        if after.strip(SPACE) != (b"" if over or lines else b","):
            return b""
        if lines:
            ends = self.at[self.depth == 0]
            if len(ends) != len(self.starts) or not (over or b"\n" in after):
                return b""  # there is something other than a record, or the last is cut
            newlines = np.append(-1, np.flatnonzero(self.characters == ord("\n")))
            between = newlines[np.searchsorted(newlines, self.starts[1:]) - 1]
            if np.any(between < ends[:-1]):
                return b""
            records = records.copy()
            records[between] = ord(",")
        return _array(records.data)


def _proven(batch: RawBatch, records: _Records, odd: Ints, table: Table) -> RawBatch:
    """Return the batch once each field is known to be in the frame or reported.

    The odd records are read one by one.
    """
    kinds, frame = records.kinds, batch.frame
    named = np.count_nonzero(kinds) - np.count_nonzero(kinds == ord("n"))
    if named == frame.height * frame.width - sum(frame.null_count().row(0)):
        bare = records.take(np.flatnonzero((kinds != 0) & (kinds != ord('"'))))
        cells = _cells(bare, table)
        if _agree(bare, cells, frame):
            return _completed(batch, bare, cells, odd, table)
    fields = records.take(np.flatnonzero(kinds))
    return _completed(batch, fields, _cells(fields, table), odd, table)


class _Cells(NamedTuple):
    """Where fields belong in the frame.

    Attributes:
        columns: For each, the position of its name in the table; one past the last if unknown.
        records: The number of its record.
        twice: Whether its record has another field of the same known name.
    """

    columns: Ints
    records: Ints
    twice: Flags


def _cells(fields: _Records, table: Table) -> _Cells:
    height, width = len(fields.starts), len(table.names)
    columns = np.full(len(fields.closes), width)
    words = np.ndarray((len(fields.array) - _WORD + 1,), "<u8", fields.array, strides=(1,))
    closes, characters = fields.closes, np.frombuffer(fields.array, np.uint8)
    every, last = np.arange(len(closes)), words[closes - _WORD]
    for code, name in enumerate(table.names):
        quoted = f'"{name}'.encode()
        rows, ends = every, last
        for stop in range(len(quoted), 0, -_WORD):
            part = quoted[max(0, stop - _WORD) : stop]
            unused = 8 * (_WORD - len(part))
            if stop < len(quoted):
                ends = words[closes[rows] - (len(quoted) - stop + _WORD)]
            found = ends >> np.uint64(unused) if unused else ends
            rows = rows[np.flatnonzero(found == int.from_bytes(part, "little"))]
        before = characters[closes[rows] - len(quoted) - 1]
        columns[rows[before != ord("\\")]] = code  # otherwise it is inside a name
    counts = np.diff(np.searchsorted(closes, fields.starts), append=len(closes))
    records = np.repeat(np.arange(height), counts)
    places = columns * height + records
    twice = (columns < width) & (np.bincount(places)[places] > 1)
    return _Cells(columns, records, twice)


def _agree(fields: _Records, cells: _Cells, frame: pl.DataFrame) -> bool:
    """Whether each field is known, occurs once, and is null where the frame is."""
    if np.any(cells.columns == frame.width) or cells.twice.any():
        return False
    null = fields.kinds == ord("n")
    for code, column in enumerate(frame):
        records = cells.records[null & (cells.columns == code)]
        if len(records) and column[pl.Series(records)].null_count() < len(records):
            return False
    return True


def _completed(
    batch: RawBatch, fields: _Records, cells: _Cells, odd: Ints, table: Table
) -> RawBatch:
    """Complete the batch: numbers as written, unknown fields, and records read one by one."""
    known = cells.columns < len(table.names)
    seen = np.bincount(cells.columns, minlength=len(table.names) + 1)
    batch.present = {
        column.name
        for column, count in zip(batch.frame, seen, strict=False)
        if count or column.null_count() < len(column)
    }
    number = known & (fields.kinds >= ord("-")) & (fields.kinds <= ord("9"))
    for code in np.flatnonzero(np.bincount(cells.columns[number])).tolist():
        rows = np.flatnonzero(number & (cells.columns == code))
        starts = fields.values[rows]
        texts = _slices(fields.array, starts, _skip(_OF_NUMBER, fields.array, starts))
        column = batch.frame.to_series(code).scatter(cells.records[rows], texts)
        batch.frame = batch.frame.with_columns(column)
    rare, other = np.append(odd, cells.records[cells.twice]), np.flatnonzero(~known)
    if len(other):
        closes = fields.closes[other]
        opens = _skip(_NO_QUOTE, fields.array, closes - 1, -1)
        names = _slices(fields.array, opens + 1, closes)
        is_cut = np.frombuffer(fields.array, np.uint8)[opens - 1] == ord("\\")  # at a quote in it
        names, is_known = _unescaped(names, is_cut, table)
        rare = np.append(rare, cells.records[other[is_cut | is_known]])
        found = pl.DataFrame({"name": names, "record": cells.records[other]})
        found = found.filter(~found["record"].is_in(rare))
        batch.extra = dict(found.unique("name", keep="first", maintain_order=True).iter_rows())
    rare = np.unique(rare)
    if len(rare):
        sources = [fields.array[start:stop] for start, stop in _extents(fields, rare)]
        _patch(batch, rare, read_records(sources, table))
    return batch


def _unescaped(names: pl.Series, is_cut: Flags, table: Table) -> tuple[pl.Series, Flags]:
    """Return names without their escapes, and which of them are of the table."""
    escaped = names.filter(pl.Series(~is_cut) & names.str.contains("\\", literal=True)).unique()
    plain = {name: scanstring(f'{name}"', 0)[0] for name in escaped}
    names = names.replace(plain) if plain else names
    return names, names.is_in(table.names).to_numpy()


def _slices(text: bytes, starts: Ints, stops: Ints) -> pl.Series:
    whole = pl.lit(pl.Series([text], dtype=pl.Binary))
    lengths = pl.Series(stops - starts)
    return pl.select(whole.bin.slice(pl.Series(starts), lengths).cast(pl.String)).to_series()


def _patch(batch: RawBatch, rows: Ints, read: RawBatch) -> None:
    """Replace these rows by the same records, read one by one."""
    number = rows.tolist()
    batch.frame = batch.frame.with_columns(
        column.clone().scatter(rows, read.frame[column.name]) for column in batch.frame
    )
    batch.present |= read.present
    for name, record in read.extra.items():
        batch.extra[name] = min(number[record], batch.extra.get(name, number[record]))
    batch.extra = dict(sorted(batch.extra.items(), key=lambda item: item[1]))
    batch.problems = [(number[record or 0], *rest) for record, *rest in read.problems]
