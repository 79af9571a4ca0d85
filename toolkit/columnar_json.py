"""A piece whose records are all laid out alike → its columns, fast.

Polars reads JSON fast, but lets pass what `strict_json` refuses or reports: a field that is
missing, comes twice or is unknown, half of a surrogate pair. So the piece must account for
every byte: laid out as the first record is, the values that were read give the place of every
record, every null and every bare value; and there they must be. Then

- each record has each field: its value was read, or its null is seen in the record itself;
- no record has anything else: that would take bytes, and its length is used up;
- each text is as long as its shortest spelling, so it was spelled so.

Otherwise, or in any doubt, the answer is None and `strict_json` reads the piece. Both give the
same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.schemas import Table
from toolkit.strict_json import RawBatch
from toolkit.wire import Framing, Piece

_S = rb"[ \t\n\r]*"
_FIELD = re.compile(
    rb'(?P<before>\{?' + _S + rb'"(?P<name>[^"\\]*)"' + _S + rb":" + _S + rb")"
    rb'(?P<value>"(?:[^"\\]|\\.)*+"|[-a-z0-9.]++)'
    rb"(?P<after>" + _S + rb"[,}])",
    re.DOTALL,
)  # fmt: skip
_SEPARATOR = {
    True: re.compile(rb"[ \t\r]*\n" + _S + rb"(?=\{)"),
    False: re.compile(_S + rb"," + _S + rb"(?=\{)"),
}
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Field:
    """A field as the first record has it: what stands before and after its value."""

    name: str
    before: bytes
    after: bytes
    quoted: bool  # unless it is null


def read_columns(piece: Piece, table: Table) -> RawBatch | None:
    """The records of a piece where all are laid out alike, else None.

    Args:
        piece: What to read.
        table: The resource's fields.
    """
    if piece.last:  # no separator ends its last record
        return None
    data = piece.data
    if b"\\" in data:
        data = _ESCAPE.sub(_plain, data)
    lines = piece.framing is Framing.LINES
    layout = _layout(data, lines=lines)
    text = {field.name: pl.String for field in layout}
    records = data[: data.rindex(b"}") + 1]
    try:
        frame = pl.read_json(
            b"[" + (records.replace(b"\n", b",") if lines else records) + b"]", schema=text
        )
    except pl.exceptions.PolarsError:
        return None
    if not layout or not _accounts_for(data, frame, layout):
        return None
    missing = pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
    columns = {name: frame[name] if name in text else missing for name in table.names}
    return RawBatch(
        pl.DataFrame(columns),
        set(text) & set(table.names),
        {name: 0 for name in text if name not in table.names},
    )


def _plain(escape: re.Match[bytes]) -> bytes:
    """The character of a Unicode escape that needs none; any other escape as it is."""
    code = int(escape[1], 16) if escape[1] else 0
    return chr(code).encode() if 0x80 <= code < 0xD800 or code >= 0xE000 else escape[0]


def _layout(data: bytes, *, lines: bool) -> tuple[_Field, ...]:
    """The fields of the first record, the separator behind it being part of the last.

    Empty where the record is not made of single values, or is the only one.
    """
    fields: list[_Field] = []
    at = 0
    while found := _FIELD.match(data, at):
        at = found.end()
        after = found["after"]
        last = after.endswith(b"}")
        if last:
            separator = _SEPARATOR[lines].match(data, at)
            after += separator[0] if separator else b""
        field = _Field(
            found["name"].decode(errors="replace"),
            found["before"],
            after,
            found["value"].startswith(b'"')
            or (found["value"] == b"null" and found["before"] + b'"' in data),
        )
        fields.append(field)
        if last:
            names = {field.name for field in fields}
            return tuple(fields) if separator and len(names) == len(fields) else ()
    return ()


def _accounts_for(data: bytes, frame: pl.DataFrame, layout: tuple[_Field, ...]) -> bool:
    """Whether the records of the frame, in this layout, are the data."""
    starts, ends = _places(frame, layout, escapes=b"\\" in data)
    record_starts = starts[0] - len(layout[0].before)
    braces = np.count_nonzero(np.frombuffer(data, np.uint8) == ord("{"))
    if ends[-1][-1] + len(layout[-1].after) != len(data) or braces != len(frame):
        return False
    if not _stands(data, record_starts, b"{"):
        return False
    for field, start, end, column in zip(layout, starts, ends, frame, strict=True):
        if column.null_count():
            at = start[column.is_null().to_numpy()] - len(field.before)
            if not _stands(data, at, field.before + b"null" + field.after[:1]):
                return False
        if not field.quoted:
            found = pl.select(
                pl.lit(pl.Series([data], dtype=pl.Binary))
                .first()
                .bin.slice(pl.lit(pl.Series(start)), pl.lit(pl.Series(end - start)))
            ).to_series()
            if not (found == column.fill_null("null").cast(pl.Binary)).all():
                return False
    return True


def _places(
    frame: pl.DataFrame, layout: tuple[_Field, ...], *, escapes: bool
) -> tuple[list[Positions], list[Positions]]:
    """Where the values of each field begin and end, spelled as short as can be."""
    sizes = frame.select(_sizes(layout, escapes=escapes))
    lengths = [column.to_numpy() for column in sizes]
    around = sum(len(field.before) + len(field.after) for field in layout)
    record = np.add.reduce(lengths) + around
    at = np.cumsum(record) - record
    starts, ends = [], []
    for field, length in zip(layout, lengths, strict=True):
        starts.append(at + len(field.before))
        ends.append(starts[-1] + length)
        at = ends[-1] + len(field.after)
    return starts, ends


@lru_cache
def _sizes(layout: tuple[_Field, ...], *, escapes: bool) -> list[pl.Expr]:
    """The bytes that each field's value takes."""
    sizes = []
    for field in layout:
        value = pl.col(field.name)
        size = value.str.len_bytes().cast(pl.Int64)
        if field.quoted:
            size = size + 2
            if escapes:
                size = size + value.str.count_matches(r'["\\\x00-\x1f]')
        sizes.append(size.fill_null(len("null")))
    return sizes


def _stands(data: bytes, at: Positions, text: bytes) -> bool:
    """Whether the text stands at each of the positions."""
    width = 8 if len(text) >= 8 else 1
    kind = np.dtype(f"u{width}")
    if at.min() < 0 or at.max() + len(text) > len(data):
        return False
    words = np.ndarray((len(data) - width + 1,), kind, buffer=data, strides=(1,))
    return all(
        bool((words[at + offset] == np.frombuffer(text, kind, 1, offset)[0]).all())
        for offset in {*range(0, len(text) - width, width), len(text) - width}
    )
