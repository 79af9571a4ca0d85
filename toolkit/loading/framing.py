"""Cut a body into pieces of whole records, and locate bytes in it.

Four framings are read: a JSON array, a paged envelope `{"results": […], "next": url}`,
newline-delimited objects, and objects separated by commas without brackets.

A piece is cut at the last shallowest place where a `}` and a `{` follow each other outside strings.
That can be inside a record only if the record is larger than the stretch examined. The parser of
the piece notices, and `json_structure.last_border` then says where it should have been cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from toolkit.errors import WireFormatError
from toolkit.loading.json_structure import SPACE, brackets, likely_border, quotes
from toolkit.schemas import RESOURCES

PIECE_SIZE = 1 << 20  # smaller pieces cost more calls, larger ones only more memory
_FIRST_SIZE = PIECE_SIZE >> 3  # then each is twice as large, so that the first few come early
LARGEST_RECORD = 16 << 20
BOM = b"\xef\xbb\xbf"

_SHOWN = 60  # characters before a wrong byte
_TOKEN = re.compile(
    rb'"(?P<name>(?:[^"\\]|\\.)*+)(?:"(?P<colon>\s*:)?)?|[^\s\[\]{},:"]++', re.DOTALL
)
_NAMES = {name.encode() for table in RESOURCES.values() for name in table.names}


class Framing(Enum):
    """How the records of a body are delimited."""

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
        head: What precedes the first record of the body.
        offset: Position of the first byte in the body.
        line: 0-based line of that byte.
        line_start: Position in the body at which that line begins.
        last: Whether the body ends with this piece.
    """

    data: bytes
    framing: Framing
    head: bytes = b""
    offset: int = 0
    line: int = 0
    line_start: int = 0
    last: bool = False

    @property
    def first(self) -> bool:
        """Whether the body's records begin with this piece."""
        return self.offset == len(self.head)

    def join(self, other: Piece) -> Piece:
        """Join this piece and the next."""
        return replace(self, data=self.data + other.data, last=other.last)

    def split(self, at: int) -> tuple[Piece, Piece]:
        """Split the piece at a position."""
        before, after = self.data[:at], self.data[at:]
        lines = int(np.count_nonzero(np.frombuffer(before, np.uint8) == ord("\n")))
        rest = replace(
            self,
            data=after,
            offset=self.offset + at,
            line=self.line + lines,
            line_start=self.offset + before.rfind(b"\n") + 1 if lines else self.line_start,
        )
        return replace(self, data=before, last=False), rest

    def error(
        self, reason: str, at: int, *, record: int | None = None, start: int = 0
    ) -> WireFormatError:
        """Return the error that says where the body is wrong.

        Args:
            reason: What is wrong there.
            at: Position in the piece of the first wrong byte.
            record: 0-based number in the body of the record that contains it.
            start: Position in the piece at which that record begins.
        """
        wrong = self.split(at)[1]
        line, column = wrong.line + 1, wrong.offset - wrong.line_start + 1
        inside = f", record {record}" if record is not None else ""
        return WireFormatError(
            f"{reason} at line {line}, column {column} (byte {wrong.offset}{inside})"
            f"{_excerpt(self.data, start, at)}",
            offset=wrong.offset,
            line=line,
            column=column,
            record=record,
        )


def _excerpt(data: bytes, start: int, at: int) -> str:
    """Quote the wrong byte and what precedes it in its record, without values."""
    before = _TOKEN.sub(_without_value, data[start:at]).decode(errors="replace")[-_SHOWN:]
    wrong = data[at : at + 1]
    shown = wrong.decode("latin-1") if wrong.isascii() else f"0x{wrong.hex()}"
    found = repr(shown) if wrong else "the end of the body"
    if not before.strip():
        return f": there is {found}"
    return f": after {' '.join(before.split())!r} there is {found}"


def _without_value(token: re.Match[bytes]) -> bytes:
    """Keep the name of a known field; replace all else, which may be about a learner, by "…"."""
    name, colon = token["name"], token["colon"] or b""
    return token[0] if colon and name in _NAMES else "…".encode() + colon


class Cutter:
    """Takes the body as it arrives and yields its pieces."""

    def __init__(self, piece_size: int = PIECE_SIZE) -> None:
        self._piece_size = piece_size
        self._wanted = min(_FIRST_SIZE, piece_size)
        self._arrived: list[bytes] = []
        self._size = 0
        self._next: Piece | None = None  # without its data; known once the framing is known

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Yield the pieces that these further bytes complete.

        Raises:
            WireFormatError: No framing begins like this.
        """
        self._arrived.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        buffer = b"".join(self._arrived)
        if self._next is None:
            buffer = self._begin(buffer, ended=len(buffer) > LARGEST_RECORD)
        cut = likely_border(buffer) if self._next is not None else 0
        if not cut and len(buffer) > LARGEST_RECORD:
            cut = len(buffer)  # no record is that large: the parser says so
        if cut:
            yield self._take(buffer, cut)
            self._wanted = min(2 * self._wanted, self._piece_size)
        else:
            self._arrived, self._size = [buffer], len(buffer)
            self._wanted = max(self._wanted, 2 * len(buffer))

    def finish(self) -> Iterator[Piece]:
        """Yield the last piece.

        Raises:
            WireFormatError: The body is empty or ends before its first record.
        """
        buffer = b"".join(self._arrived)
        if self._next is None:
            buffer = self._begin(buffer, ended=True)
        yield replace(self._take(buffer, len(buffer)), last=True)

    def _take(self, buffer: bytes, cut: int) -> Piece:
        assert self._next is not None  # noqa: S101
        piece, rest = replace(self._next, data=buffer).split(cut)
        self._arrived, self._size = [rest.data], len(rest.data)
        self._next = replace(rest, data=b"")
        return piece

    def _begin(self, body: bytes, *, ended: bool) -> bytes:
        """Return what follows the head, once the framing is known."""
        framing, start = _framing(body, ended=ended)
        if framing is None:
            return body
        head, rest = Piece(body, framing).split(start)
        self._next = replace(rest, data=b"", head=head.data)
        return rest.data


def _framing(body: bytes, *, ended: bool) -> tuple[Framing | None, int]:
    """Return the framing and where the records begin; None if the bytes do not yet decide it.

    Raises:
        WireFormatError: No framing begins like this, or the body ends before its records.
    """
    start = len(BOM) if body.startswith(BOM) else 0
    start = len(body) - len(body[start:].lstrip(SPACE))
    first = body[start : start + 1]
    if first == b"[":
        return Framing.ARRAY, start + 1
    if first == b"{":
        return _framing_of_object(body, start, ended=ended)
    whole = Piece(body, Framing.ARRAY, last=True)
    if not first and ended:
        reason = "the body is cut off" if body.strip() else "the body is empty"
        raise whole.error(reason, len(body))
    if first and (ended or len(body) >= len(BOM)):
        raise whole.error("the body is not a JSON array or object", start)
    return None, 0


def _framing_of_object(body: bytes, start: int, *, ended: bool) -> tuple[Framing | None, int]:
    characters = np.frombuffer(body, np.uint8)[start:]
    strings = quotes(characters)
    at, depth, _ = brackets(characters, strings)
    closed = np.append(depth == 0, True).argmax()
    lists = at[:closed][(depth[:closed] == 2) & (characters[at[:closed]] == ord("["))]
    for place in (lists + start).tolist():
        last = (strings[: np.searchsorted(strings, place - start)][-2:] + start).tolist()
        if len(last) == 2 and body[last[1] + 1 : place].strip(SPACE) == b":":
            with suppress(ValueError):
                if json.loads(body[last[0] : last[1] + 1]) == "results":
                    return Framing.ENVELOPE, place + 1
    if closed == len(at):
        return (Framing.LINES if ended else None), start
    after = body[start + at[closed] + 1 :].lstrip(SPACE)[:1]
    if not after and not ended:
        return None, start
    return (Framing.COMMAS if after == b"," else Framing.LINES), start
