"""Bytes of a body → pieces that hold whole records; where in the body a byte lies.

Four framings are read: a JSON array, a paged envelope `{"results": […], "next": url}`,
newline-delimited objects, and objects separated by commas without brackets.

A piece ends where a record seems to end: a `}`, a separator and a `{`, outside of strings when
the quotes before it are counted. An object inside a record can look the same, so the cut is a
guess. Whoever parses the piece knows: a piece that is no sequence of whole records is joined
with the next one. So the cuts never show in what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from toolkit.errors import WireFormatError

PIECE_SIZE = 4 << 20  # smaller ones cost more calls, larger ones only memory
_FIRST_SIZE = PIECE_SIZE >> 4  # then each twice as large, so that the first few come soon
LARGEST_RECORD = 64 << 20
BOM = b"\xef\xbb\xbf"

_SPACE = b" \t\n\r"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]"]|[^"{}\[\]]++', re.DOTALL)
_RESULTS = re.compile(rb"\s*:\s*\[")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMA_BEFORE = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\Z")
_NEWLINE_BEFORE = re.compile(rb"\}[ \t\r]*\n[ \t\n\r]*\Z")
_SEPARATOR_LENGTH = 256  # of whitespace searched before a `{`; a longer one is simply no cut


class Framing(Enum):
    """How the records of a body are held together."""

    ARRAY = "a JSON array"
    ENVELOPE = "a paged envelope"
    LINES = "one object a line"
    COMMAS = "objects separated by commas"

    @property
    def bracketed(self) -> bool:
        """Whether a `]` ends the records."""
        return self in {Framing.ARRAY, Framing.ENVELOPE}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive bytes of the body's records.

    Attributes:
        data: Begins at a record; ends before a record, or at the body's end.
        framing: The body's framing.
        head: What stands before the first record of the body.
        offset: Position of the first byte in the body.
        line: 0-based line of that byte.
        line_start: Position in the body at which that line begins.
        last: Whether the body ends with it.
    """

    data: bytes
    framing: Framing
    head: bytes
    offset: int
    line: int
    line_start: int
    last: bool

    @property
    def first(self) -> bool:
        """Whether the body's records begin with it."""
        return self.offset == len(self.head)

    def join(self, *others: Piece) -> Piece:
        """This piece and those behind it as one."""
        data = b"".join([self.data, *(other.data for other in others)])
        return replace(self, data=data, last=others[-1].last)

    def error(self, reason: str, at: int, *, record: int | None, start: int = 0) -> WireFormatError:
        """The error that says where the body is wrong.

        Args:
            reason: What is wrong there.
            at: Position in the piece of the first wrong byte.
            record: 0-based number in the body of the record it lies in.
            start: Position in the piece at which that record begins.
        """
        lines = self.data.count(b"\n", 0, at)
        line_start = self.data.rfind(b"\n", 0, at) + 1 + self.offset if lines else self.line_start
        offset = self.offset + at
        line, column = self.line + lines + 1, offset - line_start + 1
        inside = f", record {record}" if record is not None else ""
        return WireFormatError(
            f"{reason} at line {line}, column {column} (byte {offset}{inside})"
            f"{_excerpt(self.data, start, at)}",
            offset=offset,
            line=line,
            column=column,
            record=record,
        )


def _excerpt(data: bytes, start: int, at: int) -> str:
    """What stands before the wrong byte in its own record, and that byte."""
    before = data[max(start, at - 60) : at].decode(errors="replace")
    wrong = data[at : at + 1]
    shown = wrong.decode("latin-1") if wrong.isascii() else f"0x{wrong.hex()}"
    there = repr(shown) if wrong else "the end of the body"
    if not before.strip():
        return f": there is {there}"
    return f": after {' '.join(before.split())!r} there is {there}"


class Cutter:
    """Takes the body as it arrives and hands out its pieces."""

    def __init__(self, piece_size: int = PIECE_SIZE) -> None:
        self._piece_size = piece_size
        self._next_size = min(_FIRST_SIZE, piece_size)
        self._wanted = 1  # bytes to have arrived before another look is worth while
        self._arrived: list[bytes] = []
        self._size = 0
        self._framing: Framing | None = None
        self._head = b""
        self._offset = 0
        self._line = 0
        self._line_start = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that these further bytes complete.

        Raises:
            WireFormatError: The body begins with what no framing begins with, or a record is
                larger than any real one.
        """
        self._keep(data)
        if self._size < self._wanted:
            return
        if self._framing is None:
            self._find_framing(ended=False)
        if self._framing is not None and self._size >= self._wanted:
            yield from self._bordered(self._framing)

    def finish(self) -> Iterator[Piece]:
        """The last pieces: all records that seem whole but one, and the rest.

        Raises:
            WireFormatError: The body is empty or ends before its first record.
        """
        if self._framing is None:
            self._find_framing(ended=True)
        if self._framing is not None:
            yield from self._bordered(self._framing)
        yield self._piece(self._buffer(), last=True)

    def _keep(self, data: bytes) -> None:
        self._arrived.append(data)
        self._size += len(data)

    def _buffer(self) -> bytes:
        """All that arrived and was not handed out."""
        if len(self._arrived) != 1:
            self._arrived = [b"".join(self._arrived)]
        return self._arrived[0]

    def _bordered(self, framing: Framing) -> Iterator[Piece]:
        """What has arrived up to the last border, if there is one."""
        cut = _last_border(self._buffer(), framing)
        if cut:
            yield self._take(cut)
            self._next_size = min(2 * self._next_size, self._piece_size)
            self._wanted = self._next_size
        else:
            self._grow()

    def _grow(self) -> None:
        if self._size > LARGEST_RECORD:
            raise self._piece(b"", last=False).error(
                f"a record is larger than {LARGEST_RECORD >> 20} MB", 0, record=None
            )
        self._wanted = 2 * self._size

    def _piece(self, data: bytes, *, last: bool) -> Piece:
        return Piece(
            data,
            self._framing or Framing.ARRAY,
            self._head,
            self._offset,
            self._line,
            self._line_start,
            last,
        )

    def _take(self, size: int) -> Piece:
        buffer = self._buffer()
        piece = self._piece(buffer[:size], last=False)
        self._arrived, self._size = [buffer[size:]], self._size - size
        if b"\n" in piece.data:
            self._line += _count(piece.data, "\n")
            self._line_start = self._offset + piece.data.rfind(b"\n") + 1
        self._offset += size
        return piece

    def _find_framing(self, *, ended: bool) -> None:
        body = self._buffer()
        found = _framing(body, ended=ended)
        if found is None:
            if ended:
                reason = "the body ends too early" if body.strip() else "the body is empty"
                raise self._piece(body, last=True).error(reason, len(body), record=None)
            self._grow()
            return
        framing, start = found
        if start < 0:
            raise self._piece(body, last=False).error(
                "the body is no JSON array or object", -start - 1, record=None
            )
        self._head = self._take(start).data
        self._framing = framing
        self._wanted = self._next_size


def _framing(body: bytes, *, ended: bool) -> tuple[Framing, int] | None:
    """The framing and where the records begin; None while the bytes do not tell.

    Where the body begins with neither `[` nor `{`, the position p of its first byte comes
    as -p - 1.
    """
    if not ended and len(body) < len(BOM):
        return None
    start = len(BOM) if body.startswith(BOM) else 0
    start += len(body) - start - len(body[start:].lstrip(_SPACE))
    first = body[start : start + 1]
    if not first:
        return None
    if first == b"[":
        return Framing.ARRAY, start + 1
    if first != b"{":
        return Framing.ARRAY, -start - 1
    return _framing_of_object(body, start, ended=ended)


def _framing_of_object(body: bytes, start: int, *, ended: bool) -> tuple[Framing, int] | None:
    depth = 0
    for token in _TOKEN.finditer(body, start):
        text = token[0]
        if text == b'"':  # a string that has not ended yet
            break
        if text in {b"{", b"["}:
            depth += 1
        elif text in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return _framing_between(body[token.end() :], start, ended=ended)
        elif depth == 1 and text == b'"results"':
            array = _RESULTS.match(body, token.end())
            if array:
                return Framing.ENVELOPE, array.end()
    return (Framing.LINES, start) if ended else None


def _framing_between(rest: bytes, start: int, *, ended: bool) -> tuple[Framing, int] | None:
    behind = rest.lstrip(_SPACE)[:1]
    if not behind and not ended:
        return None
    return (Framing.COMMAS if behind == b"," else Framing.LINES), start


def _last_border(buffer: bytes, framing: Framing) -> int:
    """Where the last record begins, if a whole one stands before it; else 0."""
    separator = _NEWLINE_BEFORE if framing is Framing.LINES else _COMMA_BEFORE
    at = buffer.rfind(b"{")
    while at > 0:
        before = separator.search(buffer, max(0, at - _SEPARATOR_LENGTH), at)
        if before and not _quotes(buffer, at) % 2:
            return at
        at = buffer.rfind(b"{", 0, at)
    return 0


def _quotes(buffer: bytes, end: int) -> int:
    """How many quotes before this position begin or end a string."""
    quotes = _count(buffer, '"', end)
    if buffer.find(b"\\", 0, end) >= 0:
        quotes -= sum(escaped == b'"' for escaped in _ESCAPED.findall(buffer, 0, end))
    return quotes


def _count(buffer: bytes, character: str, end: int = -1) -> int:
    """How often an ASCII character stands before this position; `bytes.count` is slower."""
    return int(np.count_nonzero(np.frombuffer(buffer, np.uint8, end) == ord(character)))
