"""A piece of any layout → its columns, by arithmetic on whole arrays.

JSON is strings and the gaps between them. Most gaps are written like the first few; the others
are taken apart, token by token. Then every byte is accounted for:

- each token may follow the one before it, inside an object, a list or between records;
- a token without quotes is `null`, `true`, `false` or a number;
- control characters stand in gaps only, each escape is a whole character, everything is UTF-8.

Otherwise the answer is None, and `strict_json` says what is wrong. A record with something rare
in it, such as a field that comes twice, is read there alone; the others stay here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.loading.framing import SPACE, Bytes, Framing, Ints, Piece, escapes, quotes
from toolkit.loading.records import DEEPEST, IncompleteError, RawBatch
from toolkit.loading.strict_json import read_records
from toolkit.schemas import Table

_T = TypeVar("_T", bound=np.generic)
Flags = npt.NDArray[np.bool_]

_NOTHING, _BARE, _COLON, _COMMA, _OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST, _NAME, _TEXT = range(10)
_KIND = np.full(256, _BARE, np.uint8)
_KIND[list(SPACE)] = _NOTHING
_KIND[list(b":,{}[]")] = _COLON, _COMMA, _OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST
_STEP = np.array([0, 0, 0, 0, 1, -1, 1, -1, 0, 0])

_RECORDS, _OBJECT, _LIST = range(3)  # what a token may stand in
_VALUES, _ENDS = (_TEXT, _BARE, _OPEN, _OPEN_LIST), (_TEXT, _BARE, _CLOSE, _CLOSE_LIST)
_FOLLOWS: dict[int, dict[int, tuple[int, ...]]] = {
    _OBJECT: {_OPEN: (_NAME, _CLOSE), _NAME: (_COLON,), _COLON: _VALUES, _COMMA: (_NAME,)}
    | dict.fromkeys(_ENDS, (_COMMA, _CLOSE)),
    _LIST: {_OPEN_LIST: (*_VALUES, _CLOSE_LIST), _COMMA: _VALUES}
    | dict.fromkeys(_ENDS, (_COMMA, _CLOSE_LIST)),
}
_ALLOWED = np.zeros((2, 3, 10, 10), np.bool_)  # on lines or not, within what, before, behind
for _within, _pairs in _FOLLOWS.items():
    for _before, _kinds in _pairs.items():
        _ALLOWED[:, _within, _before, list(_kinds)] = True
_ALLOWED[:, _RECORDS, _NOTHING, _OPEN] = True
_ALLOWED[0, _RECORDS, [_CLOSE, _COMMA], [_COMMA, _OPEN]] = True
_ALLOWED[1, _RECORDS, _CLOSE, _OPEN] = True

_ESCAPED = np.isin(np.arange(256), list(b'"\\/bfnrtu'))
_HEX = np.full(256, 16)
_HEX[list(b"0123456789abcdef")] = range(16)
_HEX[list(b"ABCDEF")] = range(10, 16)
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"
_FORMS = (b":", b",", b"},{", b"}{", b":null,", b":null},{", b":null}{")  # without their spaces
_PAD = bytes(32)  # so that as many bytes can be looked at anywhere
_LOOKED_AT = 64  # gaps that show how the piece writes them
_ABSENT, _NULL = -2, -1  # lengths of values that are none


def read_columns(piece: Piece, table: Table) -> RawBatch | None:
    """The records of a piece; None where it is not well-formed, or in doubt.

    Args:
        piece: What to read.
        table: The resource's fields.

    Raises:
        IncompleteError: The piece ends inside a record and is not the last one.
    """
    data, lines = piece.data, piece.framing is Framing.LINES
    if piece.last and piece.framing.bracketed:  # most bodies end so; else it is seen below
        data = data.rstrip(SPACE).removesuffix(b"]")
    text = _Text(data)
    bones = _bones(text, lines=lines)
    if bones is not None and piece.framing.bracketed and bones.depth.min() < 0:
        end = bones.at[np.argmax(bones.depth < 0)] - len(_PAD)
        if not data.startswith(b"]", end):
            return None
        data = data[:end]
        text = _Text(data)
        bones = _bones(text, lines=lines)
    inside = len(text.opens) > len(text.closes) or (bones is not None and bones.depth[-1] > 0)
    if inside and not piece.last:
        raise IncompleteError
    tail = piece.data[len(data) :]
    if bones is None or (piece.last and piece.framing.bracketed and not tail):
        return None
    if not _is_well_formed(text, bones, lines=lines, over=piece.last or bool(tail)):
        return None
    return _records(text, bones, table, tail)


class _Text:
    """The bytes of a piece, where its strings lie, and its escapes.

    Attributes:
        buffer: The piece with padding around it; all positions are in it.
        bytes: The same as an array.
        escapes: The backslash that begins each escape.
        opens: Each string's first quote.
        closes: Each string's last quote.
    """

    def __init__(self, data: bytes) -> None:
        self.buffer = b"".join((_PAD, data, _PAD))
        self.bytes = np.frombuffer(self.buffer, np.uint8)
        self.escapes = escapes(self.bytes) if b"\\" in data else np.empty(0, np.int64)
        found = quotes(self.bytes, self.escapes)
        self.opens, self.closes = found[0::2], found[1::2]

    def holds(self, at: Ints, text: bytes) -> Flags:
        """Where this text stands."""
        same = np.ones(len(at), np.bool_)
        start = 0
        while start < len(text):
            width = 1 << min(3, (len(text) - start).bit_length() - 1)
            shape = (len(self.bytes) - width + 1 - start,)
            words = np.ndarray(shape, f"<u{width}", self.buffer, offset=start, strides=(1,))
            same &= words[at] == int.from_bytes(text[start : start + width], "little")
            start += width
        return same

    def slices(self, starts: Ints, lengths: Ints) -> pl.Series:
        """These parts; null where the length is negative."""
        offsets = pl.Series(starts)
        null = lengths < 0
        if null.any():
            offsets, lengths = offsets.scatter(np.flatnonzero(null), None), np.maximum(lengths, 0)
        whole = pl.lit(pl.Series([self.buffer], dtype=pl.Binary))
        return pl.select(whole.bin.slice(offsets, pl.Series(lengths)).cast(pl.String)).to_series()


@dataclass(frozen=True, slots=True)
class _Bones:
    """What stands outside of strings; gap i lies before string i.

    Attributes:
        form: How each gap is written: the number of its form, -1 for any other way.
        forms: These forms, without their spaces.
        controls: How many control characters stand in gaps.
        at: Where each token in the other gaps begins.
        end: Where it ends.
        kind: What it is.
        gap: In which gap it lies.
        newlines: How many newlines stand before it in these gaps, and how many there are.
        first: The first token of each of these gaps.
        depth: How many brackets are open behind each token.
        names: Which strings are names: those before a colon.
    """

    form: npt.NDArray[np.int8]
    forms: list[bytes]
    controls: int
    at: Ints
    end: Ints
    kind: Bytes
    gap: Ints
    newlines: Ints
    first: Ints
    depth: Ints
    names: Flags

    def like(self, part: bytes) -> Flags:
        """Which gaps are of a form that has this in it."""
        flags = np.zeros(len(self.form), np.bool_)
        for number, form in enumerate(self.forms):
            if part in form:
                flags |= self.form == number
        return flags

    def along(self, values: npt.NDArray[_T]) -> npt.NDArray[_T]:
        """What each gap has behind it, from what each token has."""
        last = np.append(self.first[1:], len(self.at)) - 1
        ends = np.append(self.gap[self.first[1:]], len(self.form))
        return np.repeat(values[last], np.diff(ends, prepend=0))


def _bones(text: _Text, *, lines: bool, flat: bool = True) -> _Bones | None:
    """What stands outside of strings; None where there is no string, or nothing between two."""
    if len(text.opens) != len(text.closes) or not len(text.opens):
        return None
    begins = np.concatenate(([len(_PAD)], text.closes + 1))
    lengths = np.concatenate((text.opens, [len(text.buffer) - len(_PAD)])) - begins
    forms = _forms(text.buffer, begins, lengths, lines=lines, flat=flat)
    form = np.full(len(begins), -1, np.int8)
    controls = 0
    for number, written in enumerate(forms.values()):
        same = lengths == len(written)
        if np.count_nonzero(same) > len(same) >> 2:
            same &= text.holds(begins, written)
            np.putmask(form, same, number)
        else:
            rows = np.flatnonzero(same)
            form[rows[text.holds(begins[rows], written)]] = number
        blanks = sum(byte < ord(" ") for byte in written)
        controls += blanks * int(np.count_nonzero(form == number)) if blanks else 0
    form[[0, -1]] = -1
    rest = np.flatnonzero(form < 0)

    sizes = lengths[rest]
    stops = np.cumsum(sizes)
    at = np.arange(stops[-1]) + np.repeat(begins[rest] - (stops - sizes), sizes)
    seen = text.bytes[at]
    kind = _KIND[seen]
    shown = np.flatnonzero(kind)
    at, kind = at[shown], kind[shown]
    bare = kind == _BARE
    begin = np.flatnonzero(~(bare & np.roll(bare, 1)) | (np.diff(at, prepend=-1) > 1))
    end = at[np.append(begin[1:], len(at)) - 1] + 1 if len(begin) else at
    gap = np.repeat(rest, sizes)[shown[begin]]
    first = np.flatnonzero(np.diff(gap, prepend=-1))
    if len(first) < len(rest):
        return None
    kind = kind[begin]
    depth = np.cumsum(_STEP[kind])
    if flat and (depth.max() > 1 or np.any(kind == _OPEN_LIST)):
        return _bones(text, lines=lines, flat=False)
    bones = _Bones(
        form=form,
        forms=list(forms),
        controls=controls + int(np.count_nonzero(seen < ord(" "))),
        at=at[begin],
        end=end,
        kind=kind,
        gap=gap,
        newlines=np.cumsum(seen == ord("\n"))[np.append(shown[begin], -1)],
        first=first,
        depth=depth,
        names=np.empty(0, np.bool_),
    )
    names = bones.like(b":")[1:]
    names[gap[first[kind[first] == _COLON]] - 1] = True
    return replace(bones, names=names)


def _forms(
    buffer: bytes, begins: Ints, lengths: Ints, *, lines: bool, flat: bool
) -> dict[bytes, bytes]:
    """How the piece writes what most gaps are, as the first ones show.

    Args:
        buffer: The text.
        begins: Where each gap begins.
        lengths: How long it is.
        lines: Whether newlines separate the records.
        flat: Whether a brace can only begin or end a record.
    """
    found: dict[bytes, bytes] = {}
    shown = slice(1, _LOOKED_AT)
    for begin, length in zip(begins[shown].tolist(), lengths[shown].tolist(), strict=True):
        written = buffer[begin : begin + length] if length <= len(_PAD) else b""
        form = written.translate(None, SPACE)
        whole = (b"null" in form) == (b"null" in written)
        fits = b"}" not in form or (flat and (b"}{" in form) == lines)
        ends = not lines or b"\n" in written.partition(b"}")[2] or b"}" not in form
        if form in _FORMS and whole and fits and ends:
            found.setdefault(form, written)
    return found


def _is_well_formed(text: _Text, bones: _Bones, *, lines: bool, over: bool) -> bool:
    """Whether the piece is whole records, by the grammar, each character where it may stand."""
    kind, depth = bones.kind, bones.depth
    if depth.min() < 0 or depth.max() > DEEPEST or depth[-1] != 0:
        return False
    within = _what_is_open(kind, depth)
    return (
        bool(kind[-1] == (_CLOSE if over or lines else _COMMA))
        and _follow(bones, within, _ALLOWED[int(lines)])
        and (not lines or _end_lines(bones, over=over))
        and np.count_nonzero(text.bytes < ord(" ")) == bones.controls + 2 * len(_PAD)
        and _are_whole(text.bytes, text.escapes)
        and _is_unicode(text.buffer)
        and _are_scalars(text, bones)
    )


def _what_is_open(kind: Bytes, depth: Ints) -> Bytes:
    """What is open behind each token: an object, a list, or nothing."""
    if not np.any(kind == _OPEN_LIST):
        return (depth > 0).astype(np.uint8)
    brackets = np.flatnonzero(_STEP[kind])
    order = brackets[np.argsort(depth[brackets].astype(np.int16), kind="stable")]
    begins = _STEP[kind[order]] > 0  # of one depth, in turn: what closed to it, what opened
    opener = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    within = np.zeros(len(kind), np.uint8)
    within[order] = np.where(kind[opener] == _OPEN, _OBJECT, _LIST) * (depth[order] > 0)
    latest = np.zeros(len(kind), np.int64)
    latest[brackets] = brackets
    return within[np.maximum.accumulate(latest)]


def _follow(bones: _Bones, within: Bytes, allowed: Flags) -> bool:
    """Whether each token and each string may follow what stands before it."""
    kind, gap, first = bones.kind, bones.gap, bones.first
    string = np.where(bones.names, _NAME, _TEXT).astype(np.uint8)
    before = np.concatenate(([_NOTHING], kind[:-1]))
    before[first[1:]] = string[gap[first[1:]] - 1]
    around = np.concatenate(([_RECORDS], within[:-1]))
    if not allowed[around, before, kind].all():
        return False
    last = first[1:] - 1
    if not allowed[within[last], kind[last], string[gap[last]]].all():
        return False
    usual = bones.form[:-1] >= 0
    colon = bones.forms.index(b":") if b":" in bones.forms else len(bones.forms)
    text_follows = bones.form[:-1] == colon
    if np.any(within == _LIST):
        in_list = bones.along(within)[:-1] == _LIST
        if np.any(in_list & text_follows):
            return False
        text_follows |= in_list
    return not np.any(usual & (bones.names == text_follows))


def _end_lines(bones: _Bones, *, over: bool) -> bool:
    """Whether each record but the last of the body ends its line."""
    ends = np.flatnonzero((bones.kind == _CLOSE) & (bones.depth == 0))
    ended = bones.newlines[ends + 1] > bones.newlines[ends]
    return bool(ended[:-1].all()) and (over or bool(ended[-1]))


def _are_whole(characters: Bytes, begins: Ints) -> bool:
    """Whether each escape is one that JSON has, and no half of a surrogate pair."""
    letter = characters[begins + 1]
    at = begins[letter == ord("u")]
    digits = _HEX[characters[at[:, None] + np.arange(2, 6)]]
    if not _ESCAPED[letter].all() or (digits > 15).any():
        return False
    code = digits @ np.array([4096, 256, 16, 1])
    high, low = code & 0xFC00 == 0xD800, code & 0xFC00 == 0xDC00
    pairs = np.count_nonzero(high[:-1] & low[1:] & (np.diff(at) == 6))
    return bool(pairs == np.count_nonzero(high) == np.count_nonzero(low))


def _is_unicode(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _are_scalars(text: _Text, bones: _Bones) -> bool:
    """Whether what stands bare is null, true, false or a number."""
    bare = bones.kind == _BARE
    at, lengths = bones.at[bare], bones.end[bare] - bones.at[bare]
    for word in (b"null", b"true", b"false"):
        other = (lengths != len(word)) | ~text.holds(at, word)
        at, lengths = at[other], lengths[other]
    return len(at) == 0 or bool(text.slices(at, lengths).str.contains(_NUMBER).all())


def _records(text: _Text, bones: _Bones, table: Table, tail: bytes) -> RawBatch | None:
    """The columns of a well-formed piece; None where a record has no field."""
    begins = bones.gap[(bones.kind == _OPEN) & (bones.depth == 1) & (np.roll(bones.depth, 1) == 0)]
    marks = bones.like(b"}")
    marks[begins] = True
    if marks[-1] or np.any(np.diff(begins) == 0):
        return None
    record = np.cumsum(marks, dtype=np.int64) - 1
    names = bones.names
    if bones.depth.max() > 1:
        names = names & (bones.along(bones.depth)[:-1] == 1)
    keys = np.flatnonzero(names)
    of_key = record[keys]
    starts, lengths, nested = _values(text, bones, keys)
    codes = _codes(text, keys, table.names)

    height, width = int(record[-1]) + 1, len(table.names)
    place = codes * height + of_key
    known = place < width * height
    if not known.all():
        place, starts, lengths = place[known], starts[known], lengths[known]
    offsets, sizes = np.zeros(width * height, np.int64), np.full(width * height, _ABSENT)
    offsets[place], sizes[place] = starts, lengths
    odd = [of_key[known & nested]]
    if np.count_nonzero(sizes != _ABSENT) < len(place):  # a field comes twice
        odd.append(np.flatnonzero(np.bincount(place) > 1) % height)
    if len(text.escapes):
        strings = np.searchsorted(text.opens, text.escapes) - 1
        odd.append(record[strings[names[strings]]])
    rare = np.unique(np.concatenate(odd))
    batch = RawBatch(_columns(text, offsets, sizes, table), tail=tail)
    if len(text.escapes):
        batch.frame = _unescaped(batch.frame, text, offsets)
    present = (sizes.reshape(width, height) != _ABSENT).any(axis=1)
    batch.present = {name for name, some in zip(table.names, present, strict=True) if some}
    other = keys[~known]
    other = other[~np.isin(record[other], rare)]
    if len(other):
        batch.extra = _first_records(text, other, record[other])
    if len(rare):
        _patch(batch, rare, read_records(_sources(text, record, rare), table))
    return batch


def _values(text: _Text, bones: _Bones, keys: Ints) -> tuple[Ints, Ints, Flags]:
    """Where the value of each name begins, how long it is, and whether it is no single one."""
    behind = np.minimum(keys + 1, len(text.opens) - 1)
    starts = text.opens[behind] + 1
    lengths = text.closes[behind] - starts
    null = bones.like(b"null")[keys + 1]
    starts[null], lengths[null] = 0, _NULL
    nested = np.zeros(len(keys), np.bool_)
    many = np.diff(bones.first, append=len(bones.kind)) > 1
    tokens = bones.first[many & (bones.kind[bones.first] == _COLON)] + 1
    which = np.minimum(np.searchsorted(keys, bones.gap[tokens] - 1), len(keys) - 1)
    mine = keys[which] == bones.gap[tokens] - 1
    tokens, which = tokens[mine], which[mine]
    at, length = bones.at[tokens], bones.end[tokens] - bones.at[tokens]
    starts[which] = at
    lengths[which] = np.where((length == len(b"null")) & text.holds(at, b"null"), _NULL, length)
    nested[which] = bones.kind[tokens] != _BARE
    return starts, lengths, nested


def _codes(text: _Text, keys: Ints, names: list[str]) -> Ints:
    """The number of each name in the table; one more than there are for any other."""
    begins = text.opens[keys] + 1
    lengths = text.closes[keys] - begins
    codes = np.full(len(keys), len(names))
    for code, name in enumerate(map(str.encode, names)):
        rows = np.flatnonzero(lengths == len(name))
        codes[rows[text.holds(begins[rows], name)]] = code
    return codes


def _columns(text: _Text, offsets: Ints, sizes: Ints, table: Table) -> pl.DataFrame:
    """A column per field; those that stay text have memory of their own."""
    height = len(sizes) // len(table.names)
    columns: dict[str, pl.Series] = {}
    for stays in (True, False):
        names = [column.name for column in table if (column.dtype == pl.String) == stays]
        rows = np.isin(table.names, names)
        texts = text.slices(*(part.reshape(-1, height)[rows].ravel() for part in (offsets, sizes)))
        columns |= {name: texts.slice(i * height, height) for i, name in enumerate(names)}
    return pl.DataFrame(columns).select(table.names)


def _unescaped(frame: pl.DataFrame, text: _Text, offsets: Ints) -> pl.DataFrame:
    """The frame with its escapes read; `offsets` says where each value begins."""
    strings = np.searchsorted(text.opens, text.escapes) - 1
    begins = text.opens[strings[np.diff(strings, prepend=-1) > 0]] + 1
    columns = []
    for column, at in zip(frame, offsets.reshape(-1, frame.height), strict=True):
        which = np.minimum(np.searchsorted(begins, at), len(begins) - 1)
        rows = np.flatnonzero(begins[which] == at)
        if len(rows):
            texts = '","'.join(column.gather(rows).to_list())
            column = column.scatter(rows, pl.Series(json.loads(f'["{texts}"]'), dtype=pl.String))
        columns.append(column)
    return pl.DataFrame(columns)


def _first_records(text: _Text, strings: Ints, records: Ints) -> dict[str, int]:
    """Each of these names with the first record that has it."""
    begins = text.opens[strings] + 1
    names = text.slices(begins, text.closes[strings] - begins)
    found = pl.DataFrame({"name": names, "record": records})
    return dict(found.unique("name", keep="first", maintain_order=True).iter_rows())


def _sources(text: _Text, record: Ints, numbers: Ints) -> list[bytes]:
    """The bytes of these records."""
    count = len(text.opens)

    def brace(string: int) -> int:
        """The one before a record's first string."""
        if string == count:
            return len(text.buffer)
        before = int(text.closes[string - 1]) if string else 0
        return text.buffer.rfind(b"{", before, int(text.opens[string]))

    found = []
    for number in numbers.tolist():
        first, behind = np.searchsorted(record[:-1], (number, number + 1)).tolist()
        end = text.buffer.rfind(b"}", int(text.closes[behind - 1]), brace(behind))
        found.append(text.buffer[brace(first) : end + 1])
    return found


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
