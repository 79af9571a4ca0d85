"""A piece whose records are all laid out alike → its columns, fast.

What stands around the values, names, colons, commas and braces, is taken from the first record.
Where the quote behind a name is followed by what follows it there, a name ends; so the places of
all values are known, and nothing is parsed. Then every byte of the piece is accounted for:

- around the values there stands exactly what stands around those of the first record;
- a value that begins with a quote ends with one, and no other quote is left in the piece;
- any other value is `null`, `true`, `false` or a number;
- control characters stand between values only, and everything is UTF-8.

Otherwise, or in any doubt, the answer is None and `strict_json` reads the piece. Both give the
same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import nanoarrow
import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.loading.framing import Framing, Piece
from toolkit.loading.strict_json import RawBatch
from toolkit.schemas import Table

_S = rb"[ \t\n\r]*"
_FIELD = re.compile(
    rb'(?P<before>\{?' + _S + rb'"(?P<name>[^"\\\x00-\x1f]*)"(?P<colon>' + _S + rb":" + _S + rb"))"
    rb'(?P<value>"(?:[^"\\]|\\.)*+"|[-a-z0-9.]++)'
    rb"(?P<after>" + _S + rb"[,}])",
    re.DOTALL,
)  # fmt: skip
_SEPARATOR = {
    True: re.compile(rb"[ \t\r]*\n" + _S + rb"(?=\{)"),
    False: re.compile(_S + rb"," + _S + rb"(?=\{)"),
}
_BLOCK = 1 << 18  # bytes; arrays of this size stay in the processor's cache
_BARE = r"^(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false)$"

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How each record is laid out.

    Attributes:
        names: Of the fields, in their order.
        colon: What stands between a name and its value.
        first: What stands before the first value of a record.
        behind: What stands behind each value, up to the next one; behind the last of a record,
            up to the next record.
    """

    names: tuple[str, ...]
    colon: bytes
    first: bytes
    behind: tuple[bytes, ...]

    @property
    def controls(self) -> int:
        """How many control characters a record has around its values."""
        return sum(byte < ord(" ") for byte in self.first + b"".join(self.behind))


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a piece, one row per record and one column per field.

    Attributes:
        starts: Where each begins, behind its quote if it has one.
        ends: Where each ends.
        null: Which are null.
        bare: Which are neither null nor in quotes.
    """

    starts: Positions
    ends: Positions
    null: Flags
    bare: Flags


def read_columns(piece: Piece, table: Table) -> RawBatch | None:
    """The records of a piece where all are laid out alike, else None.

    Args:
        piece: What to read.
        table: The resource's fields.
    """
    if piece.last:  # no separator ends its last record
        return None
    layout = _layout(piece.data, lines=piece.framing is Framing.LINES)
    values = _values(piece.data, layout) if layout else None
    if layout is None or values is None:
        return None
    try:
        texts = _texts(piece.data, layout.names, values)
    except ValueError:
        return None
    for text, bare in zip(texts, values.bare.T, strict=True):
        if bare.any() and not text.filter(pl.Series(bare)).str.contains(_BARE).all():
            return None
    missing = pl.Series([None], dtype=pl.String).new_from_index(0, texts.height)
    columns = {name: texts[name] if name in layout.names else missing for name in table.names}
    return RawBatch(
        pl.DataFrame(columns),
        set(layout.names) & set(table.names),
        {name: 0 for name in layout.names if name not in table.names},
    )


def _layout(data: bytes, *, lines: bool) -> _Layout | None:
    """The layout of the first record.

    None where it is not made of single values, is the only one, has a name twice, or its colons
    are not all alike.
    """
    found: list[re.Match[bytes]] = []
    at, ended = 0, False
    while not ended and (field := _FIELD.match(data, at)):
        found.append(field)
        at, ended = field.end(), field["after"].endswith(b"}")
    separator = _SEPARATOR[lines].match(data, at) if ended else None
    names = tuple(field["name"].decode(errors="replace") for field in found)
    colons = {field["colon"] for field in found}
    if not separator or len({*names}) < len(names) or len(colons) > 1:
        return None
    befores = [*(field["before"] for field in found[1:]), separator[0]]
    return _Layout(
        names,
        found[0]["colon"],
        found[0]["before"],
        tuple(field["after"] + before for field, before in zip(found, befores, strict=True)),
    )


def _values(data: bytes, layout: _Layout) -> _Values | None:
    """Where the values lie, if every byte is one of a value or of the layout, else None."""
    characters = np.frombuffer(data, np.uint8)
    quotes, name_ends = _quotes(characters, layout.colon[0])
    escaped = _escaped_quotes(characters) if b"\\" in data else np.empty(0, np.int64)
    if len(escaped):
        name_ends = name_ends[~np.isin(name_ends, escaped)]
    fields = len(layout.names)
    if len(name_ends) == 0 or len(name_ends) % fields:
        return None
    starts = name_ends.reshape(-1, fields) + (1 + len(layout.colon))
    between = (*layout.behind[:-1], layout.behind[-1] + layout.first)
    ends = np.empty_like(starts)  # a value ends where what stands before the next one begins
    ends.reshape(-1)[:-1] = starts.reshape(-1)[1:]
    ends -= np.array([len(text) for text in between])
    ends[-1, -1] = len(data) - len(layout.behind[-1])
    if starts[0, 0] != len(layout.first) or (ends <= starts).any():
        return None
    quoted = characters[starts] == ord('"')
    null = ~quoted & (ends - starts == len(b"null"))
    null[null] = _cuts(data, starts[null], len(b"null")).view("S4") == b"null"
    accounted = (  # see the top of this file
        data.endswith(layout.behind[-1])
        and all(map(lambda at, text: _stands(data, at, text), ends.T[:-1], between[:-1]))
        and _stands(data, ends[:-1, -1], between[-1])
        and (ends - starts > quoted).all()
        and (~quoted | (characters[ends - 1] == ord('"'))).all()
        and not (len(escaped) and np.isin(escaped, ends - 1).any())
        and quotes - len(escaped) == 2 * starts.size + 2 * np.count_nonzero(quoted)
        and _controls(characters) == layout.controls * len(starts)
    )
    return _Values(starts + quoted, ends - quoted, null, ~quoted & ~null) if accounted else None


def _controls(characters: Bytes) -> int:
    """How many control characters there are; most bodies have none, which is seen faster."""
    return int(np.count_nonzero(characters < ord(" "))) if characters.min() < ord(" ") else 0


def _quotes(characters: Bytes, colon: int) -> tuple[int, Positions]:
    """How many quotes there are, and those behind which a colon stands."""
    quotes, before_colon = 0, []
    for start in range(0, len(characters), _BLOCK):
        block = characters[start : start + _BLOCK + 1]
        quote = block[:_BLOCK] == ord('"')
        quotes += int(np.count_nonzero(quote))
        found = np.flatnonzero(quote[: len(block) - 1] & (block[1:] == colon))
        before_colon.append(found + start)
    return quotes, np.concatenate(before_colon)


def _escaped_quotes(characters: Bytes) -> Positions:
    """The quotes behind those backslashes that are not escaped themselves."""
    slashes = np.flatnonzero(characters[:-1] == ord("\\"))
    numbers = np.arange(len(slashes))
    begins = np.diff(slashes, prepend=-2) > 1
    in_run = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    behind: Positions = slashes[in_run % 2 == 0] + 1
    is_quote: Flags = characters[behind] == ord('"')
    return behind[is_quote]


def _cuts(data: bytes, at: Positions, length: int) -> npt.NDArray[np.void]:
    """So many bytes from each of the positions on."""
    return np.ndarray((len(data) - length + 1,), f"V{length}", buffer=data, strides=(1,))[at]


def _stands(data: bytes, at: Positions, text: bytes) -> bool:
    """Whether the text stands at each of the positions."""
    return _cuts(data, at, len(text)).tobytes() == text * len(at)


def _texts(data: bytes, names: tuple[str, ...], values: _Values) -> pl.DataFrame:
    """The values as text, without a copy: the columns point into the piece.

    Raises:
        ValueError: The piece is not UTF-8, or a text has an escape that is no character.
    """
    edges = np.stack((values.starts, values.ends), axis=-1).reshape(-1)
    if not data.isascii():
        data.decode()  # Arrow takes it on trust that texts are UTF-8
    texts = nanoarrow.c_array_from_buffers(  # values in turn with what stands between them
        nanoarrow.large_string(), len(edges) - 1, [None, edges, data], null_count=0
    )
    step = 2 * len(names)
    frame = pl.DataFrame(pl.Series(texts)).select(
        pl.nth(0).gather_every(step, 2 * number).alias(name) for number, name in enumerate(names)
    )
    frame = frame.with_columns(
        pl.when(pl.Series(~null)).then(pl.col(name))
        for name, null in zip(names, values.null.T, strict=True)
        if null.any()
    )
    return frame.with_columns(map(_unescaped, frame)) if b"\\" in data else frame


def _unescaped(text: pl.Series) -> pl.Series:
    escaped = text.filter(text.str.contains("\\", literal=True)).unique()
    plain = [json.loads(f'"{one}"') for one in escaped]
    return text.replace(escaped, pl.Series(plain, dtype=pl.String))
