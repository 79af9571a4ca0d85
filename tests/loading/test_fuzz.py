# ruff: noqa: E501
"""The reader against a plain reading with Python's json, over bodies made from a grammar.

`make fuzz SECONDS=3600` runs for an hour by hand.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json.decoder import scanstring
from typing import Any

import polars as pl
import pytest

from toolkit.errors import SchemaError, WireFormatError
from toolkit.loading.batches import BatchReader
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES, TIMESTAMP, Table

TABLES = (GRADES, ENROLLMENTS, COMPLETION)
SPACE = " \t\n\r"
KNOWN = {"results", "next", "previous", "count", "num_pages", "current_page", "start"}
UNKNOWN = "not a known field of a page; if it says that more records follow, they did not come"
BLANK = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


# --- what is expected ---------------------------------------------------------------------------


class Refused(Exception):  # noqa: N818
    """The body is not one to be read."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def no_constant(_: str) -> None:
    raise ValueError


PAIRS = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=Number, parse_float=Number, parse_constant=no_constant
)
Record = list[tuple[str, Any, str]]


@dataclass
class Expected:
    rows: list[tuple[object, ...]] = field(default_factory=list)
    problems: list[tuple[int | None, str, str | None, str]] = field(default_factory=list)


def expected(body: bytes, table: Table) -> Expected:
    """Frame and problems of a body, by the documented rules."""
    try:
        found = of_records(list(records_of(body.decode())), table)
        about = of_page(body.decode())
    except (ValueError, IndexError) as error:
        raise Refused from error
    is_count = re.fullmatch("[0-9]{1,15}", str(about.get("count")))
    announced = int(str(about["count"])) if is_count and not about.get("next") else 0
    found.problems += [(None, name, None, UNKNOWN) for name in about if name not in KNOWN]
    if announced > len(found.rows):
        said = f"the platform says there are {announced:,} records; {len(found.rows):,} came"
        found.problems.append((None, "count", str(announced), said))
    return found


def of_page(text: str) -> dict[str, Any]:
    """The fields of an envelope that have a value, with those of its `pagination`."""
    text = text.removeprefix("\ufeff")
    at = behind(text, 0)
    fields = pairs_at(text, at)[0] if text[at] == "{" else []
    if not any(name == "results" and text[start] == "[" for name, start in fields):
        return {}
    found = {name: PAIRS.raw_decode(text, start)[0] for name, start in fields}
    if isinstance(found.get("pagination"), tuple):
        inner = dict(found.pop("pagination"))
        found |= {name: value for name, value in inner.items() if found.get(name) is None}
    refuse_unless(type(found.get("next")) in {str, type(None)})
    return {name: value for name, value in found.items() if value}


def records_of(text: str) -> Iterator[Record]:
    text = text.removeprefix("\ufeff")
    at = behind(text, 0)
    if text[at] == "[":
        at = yield from records_in_list(text, at)
        refuse_unless(behind(text, at) == len(text))
        return
    refuse_unless(text[at] == "{")
    first, end = pairs_at(text, at)
    starts = [start for name, start in first if name == "results"]
    lists = [start for start in starts if text[start] == "["]
    if lists:
        refuse_unless(len(starts) == 1 and behind(text, end) == len(text))
        refuse_unless(sum(name == "next" for name, _ in first) < 2)
        json.dumps(PAIRS.decode(text), ensure_ascii=False).encode()  # no half of a surrogate pair
        yield from records_in_list(text, lists[0])
        return
    commas = text[behind(text, end) :].startswith(",")
    while True:
        record, end = record_at(text, at)
        yield record
        at = behind(text, end)
        if at == len(text):
            return
        if commas:
            refuse_unless(text[at] == ",")
            at = behind(text, at + 1)
        else:
            refuse_unless("\n" in text[end:at])


def records_in_list(text: str, at: int) -> Iterator[Record]:
    at = behind(text, at + 1)
    while text[at] != "]":
        record, at = record_at(text, at)
        yield record
        at = behind(text, at)
        if text[at] == ",":
            at = behind(text, at + 1)
            refuse_unless(text[at] == "{")
        else:
            refuse_unless(text[at] == "]")
    return at + 1


def record_at(text: str, at: int) -> tuple[Record, int]:
    pairs, end = pairs_at(text, at)
    record = []
    for name, start in pairs:
        value, stop = PAIRS.raw_decode(text, start)
        json.dumps([name, value], ensure_ascii=False).encode()  # no half of a surrogate pair
        record.append((name, value, text[start:stop]))
    return record, end


def pairs_at(text: str, at: int) -> tuple[list[tuple[str, int]], int]:
    """The names of an object with where their values begin, and where it ends."""
    refuse_unless(text[at] == "{")
    _, end = PAIRS.raw_decode(text, at)
    pairs, at = [], behind(text, at + 1)
    while text[at] != "}":
        name, at = scanstring(text, at + 1)
        at = behind(text, behind(text, at) + 1)
        pairs.append((name, at))
        at = behind(text, PAIRS.raw_decode(text, at)[1])
        at = behind(text, at + (text[at] == ","))
    return pairs, end


def behind(text: str, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def refuse_unless(condition: bool) -> None:
    if not condition:
        raise ValueError


def of_records(records: list[Record], table: Table) -> Expected:
    found = Expected()
    extra: set[str] = set()
    present: set[str] = set()
    for number, record in enumerate(records):
        last = {name: index for index, (name, _, _) in enumerate(record)}
        values: dict[str, str | None] = {}
        later: list[tuple[int | None, str, str | None, str]] = []
        for index, (name, value, source) in enumerate(record):
            if name not in table.names:
                if name not in extra:
                    reason = "not a field of this resource; left out"
                    found.problems.append((number, name, None, reason))
                extra.add(name)
                continue
            present.add(name)
            raw = value if isinstance(value, str) else None if value is None else source
            if index < last[name]:
                reason = "the field comes twice in the record; the last was taken"
                later.append((number, name, raw, reason))
            elif isinstance(value, list | tuple):
                later.append((number, name, raw, "not a single value; taken as null"))
                values[name] = None
            else:
                values[name] = None if raw is None else str(raw)
        if values.get("username") is None or values.get("course_id") is None:
            raise ValueError
        row = []
        for column in table:
            value, reason = read(values.get(column.name), column.dtype, column.name)
            row.append(value)
            if reason:
                found.problems.append((number, column.name, values[column.name], reason))
        found.problems += later
        found.rows.append(tuple(row))
    absent = [name for name in table.names if records and name not in present]
    found.problems += [
        (None, name, None, "no record has this field; taken as null") for name in absent
    ]
    return found


def read(text: str | None, dtype: Any, name: str) -> tuple[object, str | None]:
    if dtype == pl.String:
        is_empty_key = name in {"username", "course_id"} and text == ""
        value = None if name == "letter_grade" and text == "" else text
        return value, "empty; kept as it is" if is_empty_key else None
    if not text:
        return None, None
    if dtype == pl.Float64:
        value = number(text)
        if value is None:
            return None, "not a number or a percentage; taken as null"
        return value, None if 0 <= value <= 1 else "outside 0–1; kept as it is"
    if dtype == pl.Boolean:
        known = {"true": True, "1": True, "false": False, "0": False}
        value = known.get(text.strip(BLANK).lower())
        return value, "neither true nor false; taken as null" if value is None else None
    value = moment(text)
    if dtype == TIMESTAMP:
        if value is None:
            return None, "not a point in time; taken as null"
        fine = re.search(r"\.[0-9]{6}[0-9]*[1-9]", text)
        return value, "finer than a microsecond; the rest was cut off" if fine else None
    return (None, "not a date; taken as null") if value is None else (value.date(), None)


def number(text: str) -> float | None:
    plain = text.strip(BLANK)
    percent = plain.endswith("%")
    plain = plain.removesuffix("%").rstrip(BLANK) if percent else plain
    if not re.fullmatch(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?", plain):
        return None
    if percent and "e" in plain.lower():
        return None
    value = float(plain.replace(",", ".") + ("e-2" if percent else ""))
    return value if abs(value) != float("inf") else None


def moment(text: str) -> datetime | None:
    found = re.fullmatch(
        r"(?a)(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::([0-5]\d)(?:\.(\d+))?)?"
        r"[\s\x85\xa0]?([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?",
        text.strip(BLANK),
    )
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction, zone = int((found[7] or "").ljust(6, "0")[:6]), found[8] or "Z"
    try:
        local = datetime(year, month, day, hour, minute, second, fraction, UTC)
        if zone in "Zz":
            return local
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return local - offset if zone[0] == "+" else local + offset
    except (ValueError, OverflowError):
        return None


# --- bodies -------------------------------------------------------------------------------------

TEXTS = ["", "a", "Pass", "é", "😀", "},{", '}, {"username":', '"', "\\", "\\\\", "]", "[", "{", "x\ty",
         "null", "\x7f", " ", "line\nbreak", "\u2028", ":", ",", "course-v1:Org+CS1+2020"]  # fmt: skip
NUMBERS = ["0.80", "0.5", "80%", "80 %", " 0.80 ", "0,80", "83%", "7%", "1e-1", "0", "1.2", "0.", "\t0.",
           ".5", "NaN", "inf", "1e400", "x", "-0", "100", "33.3%", "1e1%", "57 %\n"]  # fmt: skip
MOMENTS = ["2020-03-28 23:21:24.354019", "2020-03-28 23:21:24", "2020-03-28 23:21", "2020-03-28",
           "2020-03-28T23:21:24.5Z", "2020-03-28T23:21:24+02:00", "2020-02-30", "0000-01-01",
           "0001-01-01 00:00+01:00", "9999-12-31 23:59:59-01:00", "2020-11-26 ", "soon",
           "2020-03-28 23:21:24.1234567", "2020-03-28 24:00", "20-3-28", "0001-01-01"]  # fmt: skip
BARE = ["null", "null", "true", "false", "0", "1", "0.80", "-0.0", "1e2", "12345678901234567890123",
        "0.1234567890123456789", "1E-2", "100"]  # fmt: skip
WRONG = ["01", "-", "1.", ".5", "+1", "NaN", "Infinity", "nul", "True", "'a'", '"\\x"', '"\\u12"', '"\\ud800"',
         '"\\udc00\\ud800"', '"\t"', '"', "", "[1,]", '{"a"}', '{"a":1,}', "[1 2]", "[}", '{"a" 1}',
         "1 2", '"a" "b"', "tru", "\x00", '"\x1f"', "[[]", "{]", '{"a":}', "{,}", "[,]"]  # fmt: skip


@dataclass
class Writer:
    """How one body is written; each choice is made once for a body, or anew each time."""

    rng: random.Random
    ascii: bool = field(init=False)
    gap: str = field(init=False)
    wild: bool = field(init=False)

    def __post_init__(self) -> None:
        self.ascii = self.rng.random() < 0.5
        self.gap = self.rng.choice(["", "", " ", "\n  ", "\t"])
        self.wild = self.rng.random() < 0.2

    def space(self) -> str:
        if self.wild:
            return "".join(self.rng.choices(SPACE, k=self.rng.choice([0, 0, 1, 2, 5, 40])))
        return self.gap

    def string(self, text: str) -> str:
        quoted = json.dumps(text, ensure_ascii=self.ascii)
        if self.rng.random() < 0.05:
            quoted = (
                '"' + "".join(f"\\u{ord(c):04X}" if ord(c) < 0x10000 else c for c in text) + '"'
            )
        return quoted.replace("/", "\\/") if self.rng.random() < 0.1 else quoted

    def value(self, pool: list[str], depth: int = 0) -> str:
        draw = self.rng.random()
        if draw < 0.70:
            return self.string(self.rng.choice(pool))
        if draw < 0.94 or depth > 3:
            return self.rng.choice(BARE)
        if draw < 0.97:
            return self.join(
                [self.value(TEXTS, depth + 1) for _ in range(self.rng.randrange(4))], "[]"
            )
        names = self.rng.choices(
            ["a", "username", "email", "results", "é"], k=self.rng.randrange(4)
        )
        return self.object([(name, self.value(TEXTS, depth + 1)) for name in names])

    def object(self, pairs: list[tuple[str, str]]) -> str:
        parts = [f"{self.string(name)}{self.space() if self.wild else ''}:{self.space()}{value}"
                 for name, value in pairs]  # fmt: skip
        return self.join(parts, "{}")

    def join(self, parts: list[str], brackets: str) -> str:
        inner = f"{self.space() if self.wild else ''},{self.space()}".join(parts)
        return f"{brackets[0]}{self.space()}{inner}{self.space()}{brackets[1]}"

    def record(self, table: Table, odd: float) -> str:
        pairs = [("username", self.string("u")), ("course_id", self.string(self.rng.choice(TEXTS)))]
        for column in table.columns:
            pool = {pl.Float64: NUMBERS, pl.Boolean: ["true", "False", "1", "yes"]}.get(
                column.dtype
            )
            pool = pool or (TEXTS if column.dtype == pl.String else MOMENTS)
            if column.name not in {"username", "course_id"} and self.rng.random() < 0.9:
                pairs.append((column.name, self.value(pool)))
        if self.rng.random() < odd:
            name = self.rng.choice(
                ["extra", "x y", "é", "results", "next", "EMAIL", "emai", *table.names]
            )
            pairs.insert(self.rng.randrange(len(pairs) + 1), (name, self.value(TEXTS)))
        if self.rng.random() < odd:
            self.rng.shuffle(pairs)
        if self.rng.random() < odd / 20:
            place = self.rng.randrange(len(pairs))
            pairs[place] = (pairs[place][0], self.rng.choice(WRONG))
        return self.object(pairs)


def body_of(rng: random.Random) -> tuple[Table, bytes]:
    table, writer = rng.choice(TABLES), Writer(rng)
    odd = rng.choice([0, 0.05, 0.5])
    records = [writer.record(table, odd) for _ in range(rng.choice([0, 1, 2, 3, 10, 40]))]
    text = framed(rng, writer, records)
    body = ("\ufeff" * (rng.random() < 0.1) + text).encode()
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        body = damaged(rng, body)
    return table, body


def framed(rng: random.Random, writer: Writer, records: list[str]) -> str:
    framing = rng.randrange(4)
    if framing == 0:
        return writer.join(records, "[]") + writer.space()
    if framing == 1:
        return f"{writer.space()},{writer.space()}".join(records)
    if framing == 2:
        return rng.choice(["\n", "\r\n", "\n\n", " \n\t"]).join(records) + rng.choice(["", "\n"])
    around = [("count", "3"), ("next", rng.choice(["null", '"/x?page=2"', '""', "7"])),
              ("meta", '{"results":[{}],"a":[[]]}'), ("errors", '["\\"}]", {"a": "]"}]'),
              ("pagination", rng.choice(['{"count":4,"next":""}', '{"next":"?p=2"}', '{"next":7}', '"x"']))]  # fmt: skip
    fields = [*rng.sample(around, rng.randrange(6)), ("results", writer.join(records, "[]"))]
    if rng.random() < 0.05:
        fields.append(("results", writer.join(records[:1], "[]")))
    rng.shuffle(fields)
    return writer.object(fields)


def damaged(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    until = min(len(body), at + rng.choice([0, 0, 1, 1, 2, 9]))
    put = rng.choice([b"", b"", *(bytes([one]) for one in b'{}[]:,"\\ \n\t0e-.nu\x00\xff\xc3'),
                      b"\\ud800", b"},{", b'"results":[', body[at : at + 30], b"\xed\xa0\x80"])  # fmt: skip
    return body[:at] + put + body[until:] if rng.random() < 0.9 else body[:at]


# --- the comparison -----------------------------------------------------------------------------


def loaded(body: bytes, table: Table, rng: random.Random | None = None) -> Expected | str:
    """What the reader makes of a body, whole or cut at random; a refusal as text."""
    reader = BatchReader(table, piece_size=rng.choice([1, 30, 200, 1000]) if rng else 1 << 20)
    size = rng.choice([1, 7, 50, 400]) if rng else len(body) or 1
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    try:
        batches = [*reader.read(chunks), reader.ending()]
    except (WireFormatError, SchemaError) as error:
        return f"{type(error).__name__}: {error}"
    problems = pl.concat([batch.problems for batch in batches])
    found = problems.select("record", "column", "raw", "reason").rows()
    return Expected(pl.concat([batch.frame for batch in batches]).rows(), found)


def difference(rng: random.Random) -> tuple[bytes, str] | None:
    """A body that is not read as expected, and how; None where it is."""
    table, body = body_of(rng)
    try:
        want: Expected | None = expected(body, table)
    except Refused:
        want = None
    whole = loaded(body, table)
    if isinstance(whole, str) != (want is None):
        return body, f"{table.name}: expected {want}, got {whole}"
    if isinstance(whole, Expected) and want is not None:
        if bits(whole) != bits(want):
            return body, f"{table.name}: expected {want.rows}, got {whole.rows}"
        if told(whole) != told(want):
            return body, f"{table.name}: expected {told(want)}, got {told(whole)}"
    cut = loaded(body, table, rng)
    if cut != whole:
        return body, f"{table.name}: whole {whole}, cut {cut}"
    return None


def bits(found: Expected) -> list[list[str]]:
    """Every value to the last bit; a time zone's class is nothing to us."""
    return [
        [one.isoformat() if isinstance(one, datetime) else repr(one) for one in row]
        for row in found.rows
    ]


def told(found: Expected) -> list[tuple[Any, ...]]:
    return sorted(found.problems, key=repr)


@pytest.mark.parametrize("seed", range(3))
def test_bodies_of_a_grammar_are_read_as_by_plain_json(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(40):
        assert difference(rng) is None


@pytest.mark.slow
def test_many_more_bodies_are_read_as_by_plain_json() -> None:
    end, seed = time.monotonic() + 15, 1_000
    while time.monotonic() < end:
        assert difference(random.Random(seed)) is None, seed  # noqa: S311
        seed += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    end, bodies = time.monotonic() + arguments.seconds, 0
    while time.monotonic() < end:
        seed = arguments.seed + bodies
        try:
            found = difference(random.Random(seed))  # noqa: S311
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        bodies += 1
        if found is not None:
            sys.exit(f"seed {seed}: {found[0]!r}\n{found[1]}")
    print(f"{bodies:,} bodies from seed {arguments.seed}: no difference")  # noqa: T201


if __name__ == "__main__":
    main()
