"""Read the records of any piece strictly, and locate every error at its exact byte.

This decides what is JSON: RFC 8259, in UTF-8 and whole characters, nothing more. It reads anything
and is slow; `columnar_json` is fast, and leaves doubtful pieces to this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # its stub lacks it
from typing import NamedTuple, NoReturn

import polars as pl

from toolkit.errors import WireFormatError
from toolkit.loading.framing import BOM, Framing, Piece
from toolkit.loading.json_structure import SPACE, too_deep
from toolkit.loading.records import (
    DEEPEST,
    NESTED,
    REPEATED,
    IncompleteError,
    Problem,
    RawBatch,
    require_fields,
)
from toolkit.schemas import Table


class _Number(str):
    """A number, as it was written."""

    __slots__ = ()


class _ConstantError(Exception):
    """NaN or an infinity, which JSON does not have."""


def _refuse_constant(_: str) -> NoReturn:
    raise _ConstantError


_Record = tuple[tuple[str, object], ...]

_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple,  # so that a repeated field is noticed
    parse_float=_Number,
    parse_int=_Number,
    parse_constant=_refuse_constant,
)
_COUNT = re.compile(r"[0-9]{1,15}")
_OF_PAGES = {"results", "next", "previous", "count", "num_pages", "current_page", "start"}
_SPACES = re.compile(r"[ \t\n\r]*+")
_TO_NESTED = re.compile(r'(?:[^"\[{}]++|"(?:[^"\\]|\\.)*+")*+(?=[\[{])', re.DOTALL)
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*+"|(?P<constant>-?Infinity|NaN)', re.DOTALL)
_LONE_SURROGATE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB]..)(?P<pair>\\u[dD][c-fC-F]..)?|u(?P<low>[dD][c-fC-F]..)|.)",
    re.DOTALL,
)


def read_strictly(piece: Piece, table: Table, *, before: int) -> RawBatch:
    """Return the records of a piece.

    Args:
        piece: What to read.
        table: The resource's fields.
        before: Number of records before the piece, for error messages.

    Raises:
        IncompleteError: The piece ends inside a record and is not the last one.
        WireFormatError: The piece does not match its framing, or is not JSON.
        SchemaError: A record before that lacks a required field.
    """
    reader = _Reader(piece, before)
    try:
        tail = reader.read_records()
    except WireFormatError:
        require_fields(_batch(reader, table).frame, table, before)  # whichever comes first
        raise
    batch = _batch(reader, table)
    batch.tail = piece.data[reader.offset(len(reader.text) - len(tail)) :] if tail else b""
    return batch


def read_records(records: list[bytes], table: Table) -> RawBatch:
    """Read well-formed records one by one."""
    return read_strictly(Piece(b",".join(records), Framing.COMMAS, last=True), table, before=0)


class Envelope(NamedTuple):
    """What surrounds the records of a page.

    Attributes:
        following: The address of the next page.
        announced: How many records all pages have together, as the platform says.
        unknown: The names of other fields that have a value.
    """

    following: str | None = None
    announced: int = 0
    unknown: tuple[str, ...] = ()


def envelope(end: Piece) -> Envelope:
    """Read what surrounds the records.

    Open edX writes `next` and `count` either beside the results or into an object `pagination`.

    Args:
        end: The end of the body, from the `]` after the records on; empty if there is none.

    Raises:
        WireFormatError: Something follows an array, the envelope is not JSON or has `results` or
            `next` twice, or its `next` is not an address.
    """
    if end.framing is not Framing.ENVELOPE:
        space = len(end.data[1:]) - len(end.data[1:].lstrip(SPACE))
        if 1 + space < len(end.data):
            raise end.error("something follows the end of the array", 1 + space)
        return Envelope()
    bom = len(end.head) - len(end.head.removeprefix(BOM))
    head = end.head[bom:]
    reader = _Reader(Piece(head + end.data, Framing.LINES, last=True), 0)

    def refused(reason: str, at: int) -> WireFormatError:
        if at < len(head):
            return Piece(end.head, end.framing).error(reason, bom + at)
        return end.error(reason, at - len(head))

    try:
        reader.read_records()
    except WireFormatError as error:
        raise refused("the envelope is not JSON", error.offset) from None
    if len(reader.records) > 1:
        raise refused("something follows the envelope", reader.offset(reader.starts[1]))
    fields = _of_page(reader, refused)
    address = fields.get("next")
    if isinstance(address, _Number) or not isinstance(address, str | None):
        raise refused("the envelope's `next` is not an address", len(head))
    number = _COUNT.fullmatch(str(fields.get("count")))
    unknown = (name for name, value in fields.items() if value and name not in _OF_PAGES)
    return Envelope(address or None, int(number[0]) if number else 0, tuple(unknown))


def _of_page(reader: _Reader, refused: Callable[[str, int], WireFormatError]) -> dict[str, object]:
    """Return the fields of an envelope, with those of its `pagination`."""
    fields: dict[str, object] = {}
    for field in reader.fields(0):
        if field.name in fields and field.name in {"results", "next"}:
            raise refused(f"the envelope has `{field.name}` twice", reader.offset(field.at))
        fields[field.name] = field.value
    within = fields.get("pagination")
    if isinstance(within, tuple):
        del fields["pagination"]
        fields |= {name: value for name, value in within if fields.get(name) is None}
    return fields


class _Field(NamedTuple):
    """A field of a record, and its place in the text."""

    name: str
    value: object
    at: int


class _Reader:
    """One pass over one piece."""

    def __init__(self, piece: Piece, before: int) -> None:
        self._piece = piece
        self._before = before
        self.records: list[_Record] = []
        self.starts: list[int] = []
        self.text, self._flaw = _decoded(piece.data)
        self._at = 0
        self._start = 0

    def offset(self, at: int) -> int:
        """Return the byte at which a character of the text begins."""
        return len(self.text[:at].encode())

    def fields(self, number: int) -> Iterator[_Field]:
        """Yield the fields of a record that was read."""
        at = self._space(self.starts[number] + 1)
        while self.text[at] != "}":
            begin = at = self._space(at + 1 if self.text[at] == "," else at)
            name, at = scanstring(self.text, at + 1)
            value, at = _DECODER.raw_decode(self.text, self._space(self._space(at) + 1))
            yield _Field(name, value, begin)
            at = self._space(at)

    def nested(self, number: int) -> Iterator[str]:
        """Yield the lists and objects among the values of a record that was read, as written."""
        at = self.starts[number] + 1
        while found := _TO_NESTED.match(self.text, at):
            at = _DECODER.raw_decode(self.text, found.end())[1]
            yield self.text[found.end() : at]

    def read_records(self) -> str:
        """Read to the end of the records; return what follows them, from the `]` on."""
        self._at = self._space(0)
        if self._piece.framing.bracketed and self._piece.first and self._next() == "]":
            return self.text[self._at :]
        separate = self._end_line if self._piece.framing is Framing.LINES else self._pass_comma
        more = True
        while more:
            if self._next() != "{":
                self._fail("a record must begin with {")
            self._read_record()
            self._start = self._at
            more = separate()
        return self.text[self._at :]

    def _end_line(self) -> bool:
        """Go to the next line; return whether there is a record."""
        before = self._at
        self._at = self._space(before)
        if self._ended() and self._piece.last:
            return False
        if "\n" not in self.text[before : self._at]:
            self._fail("a record must end its line")
        return not self._ended()

    def _pass_comma(self) -> bool:
        """Go past the comma; return whether there is another record in the piece."""
        bracketed = self._piece.framing.bracketed
        self._at = self._space(self._at)
        if (bracketed and self._next() == "]") or (
            not bracketed and self._piece.last and self._ended()
        ):
            return False
        if self._next() != ",":
            self._fail("a comma is missing between two records")
        self._at = self._space(self._at + 1)
        return self._piece.last or not self._ended()

    def _read_record(self) -> None:
        self._start = self._at
        try:
            record, self._at = _DECODER.raw_decode(self.text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            cut_off = error.pos >= len(self.text) or error.msg.startswith("Unterminated")
            self._fail(_reason(error.msg), cut_off=cut_off)
        except _ConstantError:
            tokens = _CONSTANT.finditer(self.text, self._start)
            self._at = next(token.start() for token in tokens if token["constant"])
            self._fail("JSON has neither NaN nor Infinity")
        self.records.append(record)
        self.starts.append(self._start)

    def _space(self, at: int) -> int:
        """Return the first position from here on that is not white space."""
        found = _SPACES.match(self.text, at)
        return found.end() if found else at

    def _next(self) -> str:
        return self.text[self._at : self._at + 1]

    def _ended(self) -> bool:
        return self._at >= len(self.text) and self._flaw is None

    def _fail(self, reason: str, *, cut_off: bool = False) -> NoReturn:
        cut_off = cut_off or self._at >= len(self.text)
        if cut_off and self._flaw is not None:
            reason, self._at = self._flaw, len(self.text)
        elif cut_off and not self._piece.last:
            raise IncompleteError
        elif cut_off:
            reason, self._at = "the body is cut off", len(self.text)
        at, start = self.offset(self._at), self.offset(self._start)
        raise self._piece.error(
            reason, at, record=self._before + len(self.records), start=start
        ) from None


def _reason(message: str) -> str:
    if message.startswith("Expecting ',' delimiter"):
        return "a comma is missing between two fields"
    return f"not JSON ({message[0].lower()}{message[1:].removesuffix(' at')})"


def _decoded(data: bytes) -> tuple[str, str | None]:
    """Decode up to the first place that cannot be read; return what is wrong there."""
    flaw = None
    deep = too_deep(data, DEEPEST)
    if deep is not None:
        data, flaw = data[:deep], f"brackets are nested more than {DEEPEST} deep"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text, flaw = data[: error.start].decode(), "these bytes are not UTF-8"
    if "\\u" in text:
        for escape in _LONE_SURROGATE.finditer(text):
            if escape["low"] or (escape["high"] and not escape["pair"]):
                return text[: escape.start()], "half of a surrogate pair is not a character"
    return text, flaw


def _batch(reader: _Reader, table: Table) -> RawBatch:
    batch = RawBatch(table.empty())
    columns: dict[str, list[str | None]] = {
        name: [None] * len(reader.records) for name in table.names
    }
    for number, record in enumerate(reader.records):
        fields = dict(record)
        doubtful = len(fields) < len(record)
        for name, value in fields.items():
            if name not in columns:
                batch.extra.setdefault(name, number)
                continue
            batch.present.add(name)
            columns[name][number] = _as_text(value)
            doubtful |= isinstance(value, tuple | list)
        if doubtful:
            batch.problems += _problems(reader, number, columns)
    batch.frame = pl.DataFrame(columns, schema=dict.fromkeys(table.names, pl.String))
    return batch


def _as_text(value: object) -> str | None:
    """Return a single value as written; None for null, a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _problems(reader: _Reader, number: int, known: Container[str]) -> Iterator[Problem]:
    """Yield a problem for each known field that is repeated or not a single value."""
    record, sources = reader.records[number], reader.nested(number)
    last = {name: index for index, (name, _) in enumerate(record)}
    for index, (name, value) in enumerate(record):
        nested = isinstance(value, tuple | list)
        raw = next(sources) if nested else _as_text(value)
        if name in known and (index < last[name] or nested):
            yield number, name, raw, REPEATED if index < last[name] else NESTED
