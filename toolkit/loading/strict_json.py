"""Any piece → its records, read strictly; every error at its exact byte.

This is the verdict on what is JSON: RFC 8259, with UTF-8 and whole characters, nothing more.
It reads anything and is slow; `columnar_json` reads what is laid out regularly and is fast.
Both give the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NoReturn

import polars as pl

from toolkit.errors import SchemaError, WireFormatError
from toolkit.loading.framing import Framing, Piece
from toolkit.schemas import Table

DEEPEST = 500  # brackets within brackets


@dataclass
class RawBatch:
    """The records of a piece, every value as text.

    Attributes:
        frame: One String column per field of the table.
        present: The fields of the table that some record has.
        extra: Other fields, each with the first record that has it.
        problems: Record, column, raw text and reason, of values that are no single text.
        tail: What follows the records where the body ends, from the `]` on.
    """

    frame: pl.DataFrame
    present: set[str]
    extra: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[int, str, str | None, str]] = field(default_factory=list)
    tail: bytes = b""


class IncompleteError(Exception):
    """The piece ends inside a record: it was not cut where it should be."""


class _Number(str):
    """A number, as it was written."""

    __slots__ = ()


class _ConstantError(Exception):
    """NaN or an infinity, which JSON does not have."""


def _refuse_constant(_: str) -> NoReturn:
    raise _ConstantError


_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple,  # so that a field that comes twice is seen
    parse_float=_Number,
    parse_int=_Number,
    parse_constant=_refuse_constant,
)
_SPACES = re.compile(r"[ \t\n\r]*")
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*+"|(?P<constant>-?Infinity|NaN)', re.DOTALL)
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)
_LONE_SURROGATE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB]..)(?P<pair>\\u[dD][c-fC-F]..)?|u(?P<low>[dD][c-fC-F]..)|.)",
    re.DOTALL,
)


def read_strictly(piece: Piece, table: Table, *, before: int) -> RawBatch:
    """The records of a piece.

    Args:
        piece: What to read.
        table: The resource's fields.
        before: Number of records before the piece, for error messages.

    Raises:
        IncompleteError: The piece ends inside a record and is not the last one.
        WireFormatError: The piece is not what its framing says, or no JSON.
        SchemaError: A record before that lacks a required field.
    """
    reader = _Reader(piece, before)
    try:
        reader.read_records()
    except WireFormatError:
        require_fields(_batch(reader.records, table).frame, table, before)  # what comes first
        raise
    batch = _batch(reader.records, table)
    batch.tail = reader.rest()
    return batch


def require_fields(raw: pl.DataFrame, table: Table, before: int) -> None:
    """Raise `SchemaError` at the first record that lacks a required field.

    Args:
        raw: One column per field of the table, one row per record.
        table: The resource.
        before: Number of records that came before these.

    Raises:
        SchemaError: Names the field and the record.
    """
    lacking = [
        (before + (raw[column.name].is_null().arg_max() or 0), column.name)
        for column in table
        if column.required and raw[column.name].null_count()
    ]
    if lacking:
        record, name = min(lacking)
        raise SchemaError(f"record {record} has no `{name}`, or it is null")


class _Reader:
    """One pass over one piece."""

    def __init__(self, piece: Piece, before: int) -> None:
        self._piece = piece
        self._before = before
        self.records: list[tuple[tuple[str, object], ...]] = []
        self._text, self._flaw = _decoded(piece.data)
        self._at = 0
        self._start = 0

    def rest(self) -> bytes:
        """What follows the records."""
        return self._text[self._at :].encode()

    def read_records(self) -> None:
        """Read to the end of the records, up to the `]` if one ends them."""
        self._skip_space()
        if self._piece.framing.bracketed and self._piece.first and self._next() == "]":
            self._end_array()
            return
        separate = self._end_line if self._piece.framing is Framing.LINES else self._pass_comma
        more = True
        while more:
            if self._next() != "{":
                self._fail("a record must begin with {")
            self._read_record()
            self._start = self._at
            more = separate()
        if self._next() == "]":
            self._end_array()

    def _end_line(self) -> bool:
        """Go to the next record of newline-delimited ones; whether there is one."""
        newline = "\n" in self._skip_space()
        if self._ended():
            return False
        if not newline:
            self._fail("a record must end its line")
        return True

    def _pass_comma(self) -> bool:
        """Go past the comma to the next record; whether there is one in the piece."""
        bracketed = self._piece.framing.bracketed
        self._skip_space()
        if (bracketed and self._next() == "]") or (
            not bracketed and self._piece.last and self._ended()
        ):
            return False
        if self._next() != ",":
            self._fail("a comma is missing between two records")
        self._at += 1
        self._skip_space()
        return self._piece.last or not self._ended()

    def _read_record(self) -> None:
        self._start = self._at
        try:
            record, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            cut_off = error.pos >= len(self._text) or error.msg.startswith("Unterminated")
            self._fail(_reason(error.msg), cut_off=cut_off)
        except _ConstantError:
            self._at = self._find_constant()
            self._fail("JSON has neither NaN nor Infinity")
        except RecursionError:
            self._at = self._find_depth()
            self._fail(f"brackets are nested more than {DEEPEST} deep")
        self.records.append(record)

    def _end_array(self) -> None:
        if self._piece.framing is Framing.ENVELOPE:
            if not self._piece.last:
                raise IncompleteError  # what follows may look like records
            return
        tail = self._at
        self._at += 1
        self._skip_space()
        if not self._ended():
            self._start = self._at
            self._fail("something follows the end of the array")
        self._at = tail

    def _skip_space(self) -> str:
        found = _SPACES.match(self._text, self._at)
        space = found[0] if found else ""
        self._at += len(space)
        return space

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _ended(self) -> bool:
        return self._at >= len(self._text) and self._flaw is None

    def _fail(self, reason: str, *, cut_off: bool = False) -> NoReturn:
        cut_off = cut_off or self._at >= len(self._text)
        if cut_off and self._flaw is not None:
            reason, self._at = self._flaw, len(self._text)
        elif cut_off and not self._piece.last:
            raise IncompleteError
        elif cut_off:
            reason, self._at = "the body is cut off", len(self._text)
        at, start = (len(self._text[:chars].encode()) for chars in (self._at, self._start))
        raise self._piece.error(
            reason, at, record=self._before + len(self.records), start=start
        ) from None

    def _find_constant(self) -> int:
        for token in _CONSTANT.finditer(self._text, self._start):
            if token["constant"]:
                return token.start()
        raise AssertionError("the decoder saw a constant")

    def _find_depth(self) -> int:
        depth = 0
        for token in _BRACKET.finditer(self._text, self._start):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if depth > DEEPEST:
                return token.start()
        return self._start


def _reason(message: str) -> str:
    if message.startswith("Expecting ',' delimiter"):
        return "a comma is missing between two fields"
    return f"not JSON ({message[0].lower()}{message[1:].removesuffix(' at')})"


def _decoded(data: bytes) -> tuple[str, str | None]:
    """The text up to the first byte that is no Unicode text, and what is wrong there."""
    flaw = None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text, flaw = data[: error.start].decode(), "these bytes are not UTF-8"
    if "\\u" in text:
        for escape in _LONE_SURROGATE.finditer(text):
            if escape["low"] or (escape["high"] and not escape["pair"]):
                return text[: escape.start()], "half of a surrogate pair is no character"
    return text, flaw


def _batch(records: list[tuple[tuple[str, object], ...]], table: Table) -> RawBatch:
    batch = RawBatch(table.empty(), set())
    columns: dict[str, list[str | None]] = {name: [None] * len(records) for name in table.names}
    for number, record in enumerate(records):
        fields = dict(record)
        if len(fields) < len(record):
            batch.problems += _repeated(number, record)
        for name, value in fields.items():
            if name not in columns:
                batch.extra.setdefault(name, number)
                continue
            batch.present.add(name)
            if isinstance(value, str):
                columns[name][number] = value
            elif isinstance(value, bool):
                columns[name][number] = str(value).lower()
            elif value is not None:
                raw = json.dumps(_plain(value), ensure_ascii=False)
                batch.problems.append((number, name, raw, "not a single value; taken as null"))
    batch.frame = pl.DataFrame(columns, schema=dict.fromkeys(table.names, pl.String))
    return batch


def _repeated(
    number: int, record: tuple[tuple[str, object], ...]
) -> list[tuple[int, str, str | None, str]]:
    return [
        (number, name, _text(value), "the field comes twice in the record; the last was taken")
        for index, (name, value) in enumerate(record)
        if name in (later for later, _ in record[index + 1 :])
    ]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """The value with its numbers and objects as Python has them."""
    if isinstance(value, _Number):
        return float(value)
    if isinstance(value, tuple):
        return {name: _plain(inner) for name, inner in value}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def next_page(piece: Piece, tail: bytes) -> str | None:
    """The address of the next page, from what stands around the records of an envelope.

    Args:
        piece: The last piece of a body.
        tail: Its end, from the `]` on.

    Raises:
        WireFormatError: The envelope is no JSON, or its `next` is no address.
    """
    if piece.framing is not Framing.ENVELOPE:
        return None
    around = Piece(piece.head + tail, Framing.LINES, b"", 0, 0, 0, last=True)
    reader = _Reader(around, 0)
    try:
        reader.read_records()
    except WireFormatError as error:
        at = len(piece.data) - len(tail) + max(0, error.offset - len(piece.head))
        raise piece.error("the envelope is not JSON", at, record=None, start=at) from None
    address = dict(reader.records[0]).get("next")
    if len(reader.records) > 1 or not isinstance(address, str | None):
        at = len(piece.data) - len(tail)
        raise piece.error("the envelope is not one object", at, record=None, start=at)
    return address or None
