"""Cut a body into pieces of whole records, and locate bytes in it.

Four framings are read: a JSON array, a paged envelope `{"results": […], "next": url}`,
newline-delimited objects, and objects separated by commas without brackets.

A piece is cut at the last shallowest place where a `}` and a `{` follow each other outside strings.
That can be inside a record only if the record is larger than the stretch examined. The parser of
the piece notices, and `last_border` then says where it should have been cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from toolkit.errors import WireFormatError
from toolkit.schemas import RESOURCES

PIECE_SIZE = 1 << 20  # smaller pieces cost more calls, larger ones only more memory
_FIRST_SIZE = PIECE_SIZE >> 3  # then each is twice as large, so that the first few come early
LARGEST_RECORD = 16 << 20
BOM = b"\xef\xbb\xbf"
SPACE = b" \t\n\r"

_SHOWN = 60  # characters before a wrong byte
_TOKEN = re.compile(
    rb'"(?P<name>(?:[^"\\]|\\.)*+)(?:"(?P<colon>\s*:)?)?|[^\s\[\]{},:"]++', re.DOTALL
)
_NAMES = {name.encode() for table in RESOURCES.values() for name in table.names}
_STRETCH = 64 << 10  # bytes at the end of a piece in which a border is sought first

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


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
        before, behind = self.data[:at], self.data[at:]
        lines = int(np.count_nonzero(np.frombuffer(before, np.uint8) == ord("\n")))
        rest = replace(
            self,
            data=behind,
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
        there = self.split(at)[1]
        line, column = there.line + 1, there.offset - there.line_start + 1
        inside = f", record {record}" if record is not None else ""
        return WireFormatError(
            f"{reason} at line {line}, column {column} (byte {there.offset}{inside})"
            f"{_excerpt(self.data, start, at)}",
            offset=there.offset,
            line=line,
            column=column,
            record=record,
        )


def _excerpt(data: bytes, start: int, at: int) -> str:
    """Quote the wrong byte and what precedes it in its record, without values."""
    before = _TOKEN.sub(_without_value, data[start:at]).decode(errors="replace")[-_SHOWN:]
    wrong = data[at : at + 1]
    shown = wrong.decode("latin-1") if wrong.isascii() else f"0x{wrong.hex()}"
    there = repr(shown) if wrong else "the end of the body"
    if not before.strip():
        return f": there is {there}"
    return f": after {' '.join(before.split())!r} there is {there}"


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
            WireFormatError: The body begins as no framing does.
        """
        self._arrived.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        buffer = b"".join(self._arrived)
        if self._next is None:
            buffer = self._begin(buffer, ended=len(buffer) > LARGEST_RECORD)
        cut = _likely_border(buffer) if self._next is not None else 0
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


def places(characters: Bytes, wanted: bytes) -> Ints:
    """Find any of these bytes."""
    here = characters == wanted[0]
    for byte in wanted[1:]:
        here |= characters == byte
    return np.flatnonzero(here)


def escapes(characters: Bytes) -> Ints:
    """Find where escapes begin: at backslashes that are not themselves escaped."""
    slashes = places(characters, b"\\")
    numbers = np.arange(len(slashes))
    begins = np.diff(slashes, prepend=-2) > 1
    in_run = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    found: Ints = slashes[in_run % 2 == 0]
    return found


def quotes(characters: Bytes, escaped: Ints | None = None) -> Ints:
    """Find where strings begin and end.

    Args:
        characters: A text that begins outside a string, or inside one but not in an escape.
        escaped: Where its escapes begin, if known.
    """
    escaped = escapes(characters) if escaped is None else escaped
    found = places(characters, b'"')
    if len(escaped):
        behind = escaped[escaped < len(characters) - 1] + 1
        found = np.delete(found, np.searchsorted(found, behind[characters[behind] == ord('"')]))
    return found


def last_border(data: bytes) -> int:
    """Find where the last record begins if a whole one precedes it, else return 0.

    Args:
        data: Begins at a record.
    """
    characters = np.frombuffer(data, np.uint8)
    at, depth, is_border = brackets(characters, quotes(characters))
    ended = np.append(depth < 0, True).argmax()  # at the `]` after the records
    found = np.flatnonzero(is_border[:ended] & (depth[:ended] == 0))
    return int(at[found[-1] + 1]) if len(found) else 0


def too_deep(data: bytes, most: int) -> int | None:
    """Find the first bracket nested in more than this many others, if there is one."""
    characters = np.frombuffer(data, np.uint8)
    at, depth, _ = brackets(characters, quotes(characters))
    deep = np.flatnonzero(depth > most)
    return int(at[deep[0]]) if len(deep) else None


def _likely_border(buffer: bytes) -> int:
    """Find the last shallowest place where a record may begin, else return 0."""
    characters = np.frombuffer(buffer, np.uint8)
    stretch = _STRETCH
    while True:
        start = max(0, len(buffer) - stretch)
        if start and buffer[start - 1] == ord("\\"):
            start = len(buffer[:start].rstrip(b"\\"))
        inside = _ends_inside(characters[:start])
        at, depth, is_border = brackets(
            characters[start:], quotes(characters[start:]), inside=inside
        )
        found = np.flatnonzero(is_border)
        if len(found):
            shallow = found[depth[found] == depth[found].min()]
            return start + int(at[shallow[-1] + 1])
        if start == 0:
            return 0
        stretch *= 8


def _ends_inside(characters: Bytes) -> bool:
    """Whether a text that begins outside strings ends inside one."""
    count = int(np.count_nonzero(characters == ord('"')))
    escaped = escapes(characters)
    if len(escaped):
        behind = characters[escaped[escaped < len(characters) - 1] + 1]
        count -= int(np.count_nonzero(behind == ord('"')))
    return count % 2 == 1


def brackets(
    characters: Bytes, strings: Ints, *, inside: bool = False
) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Find the brackets outside strings.

    Args:
        characters: A text.
        strings: Where its strings begin and end.
        inside: Whether the text begins inside one.

    Returns:
        Where they are, how many are open after each, and which are a `}` before a `{`.
    """
    at = places(characters, b"{}[]")
    if len(at):
        at = at[(np.searchsorted(strings, at) + inside) % 2 == 0]
    kind = characters[at]
    depth = np.cumsum(np.where(kind | 0x20 == ord("{"), 1, -1))
    is_border = np.zeros(len(at), np.bool_)
    is_border[:-1] = (kind[:-1] == ord("}")) & (kind[1:] == ord("{"))
    return at, depth, is_border


def _framing(body: bytes, *, ended: bool) -> tuple[Framing | None, int]:
    """Return the framing and where the records begin; None until the bytes decide it.

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
            name = _string(body[last[0] : last[1] + 1])
            if name == "results":
                return Framing.ENVELOPE, place + 1
    if closed == len(at):
        return (Framing.LINES if ended else None), start
    behind = body[start + at[closed] + 1 :].lstrip(SPACE)[:1]
    if not behind and not ended:
        return None, start
    return (Framing.COMMAS if behind == b"," else Framing.LINES), start


def _string(quoted: bytes) -> str | None:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return None
