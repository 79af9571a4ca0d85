"""The fast way gives what the strict way gives, for any layout; only what is wrong is left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from toolkit.errors import WireFormatError
from toolkit.loading import columnar_json
from toolkit.loading.batches import BatchReader
from toolkit.loading.columnar_json import read_columns
from toolkit.loading.framing import Framing, Piece
from toolkit.loading.records import IncompleteError, RawBatch
from toolkit.loading.strict_json import read_strictly
from toolkit.schemas import COMPLETION

RECORD = {"username": "ada", "email": None, "course_id": "c", "completion": "0.5"}


def piece(text: str | bytes, framing: Framing = Framing.ARRAY) -> Piece:
    data = text if isinstance(text, bytes) else text.encode()
    return Piece(data, framing, b"[", 1)


def joined(*records: dict[str, object], **dump: object) -> str:
    return "".join(json.dumps(record, **dump) + "," for record in records)


def assert_same(fast: RawBatch, slow: RawBatch) -> None:
    assert_frame_equal(fast.frame, slow.frame)
    assert (fast.present, fast.extra) == (slow.present, slow.extra)
    assert (fast.problems, fast.tail) == (slow.problems, slow.tail)


def read_or_aside(one: Piece) -> RawBatch | None:
    try:
        return read_columns(one, COMPLETION)
    except IncompleteError:
        return None


@pytest.mark.parametrize(
    "text",
    [
        joined(*[RECORD] * 3),
        joined(*[RECORD] * 3, separators=(",", ":")),
        joined(*[RECORD] * 3, indent=2),
        joined(*[RECORD] * 3, indent=40),
        joined(*[RECORD] * 3).replace(":", " : ").replace(",", "\t,\r\n"),
        joined(RECORD, RECORD | {"email": 'é \\ " 😀'}, ensure_ascii=False),
        joined(RECORD, RECORD | {"email": "caf\u00e9 😀", "x": "\u00e9"}),
        joined(*[RECORD | {"completion": value} for value in (0.25, 0.125, None, 1e22)]),
        joined(*[RECORD | {"completion": value} for value in (True, False, None)]),
        joined(RECORD, RECORD | {"more": "x"}, RECORD | {"more": None, "other": 1}),
        joined(*[{"username": "ada", "course_id": "c"}] * 2),
        joined(RECORD, RECORD | {"email": "null", "completion": None}),
        joined(RECORD, dict(reversed(RECORD.items()))),
        joined(RECORD, {"username": "ada", "course_id": "c"}),
        joined(*[RECORD | {"more": {"username": [1, {"a": []}], "b": {}}}] * 3),
        joined(*[RECORD | {"more": [[], ["],["], [{}, {}]]}] * 3),
        joined(*[RECORD | {"email": ":1"}] * 3),
        joined(*[RECORD | {"email": "{[", "completion": None}] * 3),
        joined(RECORD | {"username": ":1", "x": ["a"]}, RECORD),
        joined(RECORD | {"username": ":", "x": {"a": 1}}, RECORD),
        joined(RECORD, {"username": "a", 'x"email': None, "course_id": "c"}),
        joined(RECORD, {"username": '"email":null', "course_id": "c", "email": '"'}),
        joined(RECORD, {"username": '\\"', "course_id": 'c\\"email', ":": 1, '\\"email': None}),
        joined(RECORD, RECORD | {"a very long name of a field": 1, "\\": "", 'b"': [":"]}),
        joined(*[RECORD] * 3).replace('"email": ', '"email"' + " " * 30 + ":" + " " * 30),
        joined(RECORD) + '{"username":"a","email":"x","course_id":"c","email":null},',
        joined(RECORD) + '{"username":"a","\\u0065mail":"x","course_id":"\\u0063","other":1},',
    ],
)
def test_any_layout_is_read_fast_and_the_same(text: str) -> None:
    fast = read_columns(piece(text), COMPLETION)

    assert fast is not None
    assert_same(fast, read_strictly(piece(text), COMPLETION, before=0))


@pytest.mark.parametrize(
    "text",
    [
        '{"username":"{","course_id":"c"},1,',
        '"{",{"username":":1","course_id":"c"},',
        '"{",{"username":"u","course_id":":n"},',
        'null,{"username":"{","course_id":"c"},',
    ],
)
def test_what_is_no_record_is_not_hidden_by_a_bracket_in_a_string(text: str) -> None:
    assert read_columns(piece(text), COMPLETION) is None
    with pytest.raises(WireFormatError, match="a record must begin with"):
        read_strictly(piece(text), COMPLETION, before=0)


VALUES = {  # RFC 8259, one value each
    True: ['""', '"a"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\x7f"',
           '"\u2028"', "0", "-0", "-0.0", "1e5", "1E+5", "0e-1", "123456789012345678901234567890",
           "1e400", "null", "true", "false", "[]", "{}", "[[]]", '[1,"a",null]', '{"a":{"a":[{}]}}',
           ' [ ] ', '[{"a":1},{"a":2}]', '{"":0}', '{"a":1,"a":2}'],
    False: ["", "01", "-", "-01", "1.", ".5", "+1", "0x1", "1e", "1e+", "NaN", "-Infinity", "nul",
            "nulll", "True", "'a'", '"', '"\\x"', '"\\u12"', '"\\u12G4"', '"\\ud800"', '"\\udc00"',
            '"\\udc00\\ud800"', '"\\ud800\\u0041"', '"\t"', '"\n"', '"\x00"', "[", "]", "[1,]",
            "[,1]", "[1,,2]", "[1 2]", '["a" "b"]', "[}", "[{]}", '{"a"}', '{"a":}', '{"a":1,}',
            "{,}", '{"a" 1}', '{"a"::1}', "{1:1}", '{a:1}', '"a" "b"', "1 2", "1 null", "\x0c1",
            "\u00a01", "/**/1", '["a":1]', '{"a","b"}', "[:]", '"a":1', "1:2", "\ufeff1", "\x00"],
}  # fmt: skip


@pytest.mark.parametrize("framing", [Framing.ARRAY, Framing.LINES])
@pytest.mark.parametrize(
    ("value", "valid"), [(value, valid) for valid, some in VALUES.items() for value in some]
)
def test_a_value_among_many_records_is_json_or_not(
    value: str, valid: bool, framing: Framing
) -> None:
    record = '{"username":"ada","email":"x","course_id":"c","completion":"0.5"}'
    end = "\n" if framing is Framing.LINES else ","
    for name in ("other", "email", "completion"):
        odd = f'{{"username":"ada","{name}":{value},"course_id":"c"}}'
        text = "".join(one + end for one in [*[record] * 50, odd, *[record] * 50])
        fast = read_or_aside(piece(text, framing))
        if not valid:
            assert fast is None
            with pytest.raises((WireFormatError, IncompleteError)):
                read_strictly(piece(text, framing), COMPLETION, before=0)
        elif fast is not None:
            assert_same(fast, read_strictly(piece(text, framing), COMPLETION, before=0))
        else:  # what is no single value of a known field, and what no float holds
            assert value == "1e400" or (name != "other" and value.strip()[0] in "[{")


RECORD_TEXT = '{"username":"u","course_id":"c"}'


@pytest.mark.parametrize(
    ("body", "records"),  # R is a record; None is a refusal
    [
        ("[R]", 1),
        (" [ R , R ]\n", 2),
        ("[]", 0),
        ("[ ]", 0),
        ("\ufeff[R]", 1),
        ("\ufeffR\nR", 2),
        ('{"results":[]}', 0),
        ('{"results":[R],"next":null}', 1),
        ('{"a":"]","results" : [R,R] , "b":[[{}]]}', 2),
        ("R\n\nR\r\n", 2),
        ("R,R", 2),
        ("[\ufeffR]", None),
        ("[R\ufeff]", None),
        ("\ufeff\ufeff[R]", None),
        ("", None),
        ("[", None),
        ("]", None),
        ("[R", None),
        ("[R,", None),
        ("[R,]", None),
        ("[,R]", None),
        ("[R,,R]", None),
        ("[R R]", None),
        ("[R\nR]", None),
        ("[R]]", None),
        ("[R],", None),
        ("[R]x", None),
        ("[R][R]", None),
        ("[R}", None),
        ("[[R]]", None),
        ("[R,1]", None),
        ("[1,R]", None),
        ('["R"]', None),
        ("[null,R]", None),
        ("[R,[R]]", None),
        ("[R:R]", None),
        ("[R//\n]", None),
        ("[R\x0c]", None),
        ("[R\u00a0]", None),
        ("[R\x00]", None),
        ("R,", None),
        ("R,,R", None),
        ("R\nR,R", None),
        ("R,R\nR", None),
        ("RR", None),
        ("R R", None),
        ("R]", None),
        ("R\n1", None),
        ("R\n]", None),
        ("1", None),
        ("null", None),
        ('"R"', None),
        ("{R}", None),
        ('{"results":[R,]}', None),
        ('{"results":[R]', None),
        ('{"results":[R]]', None),
        ('{"results":[R],}', None),
        ('{"results":[R]}x', None),
    ],
)
@pytest.mark.parametrize("before", [0, 200])
def test_a_body_is_records_or_not(body: str, records: int | None, before: int) -> None:
    text = body.replace("R", RECORD_TEXT)
    if before and RECORD_TEXT in text:  # so that the first piece is another one
        between = "\n" if "\n{" in text or "}\n" in text else ","
        text = text.replace(RECORD_TEXT, between.join([RECORD_TEXT] * before), 1)
        records = records and records + before - 1
    reader = BatchReader(COMPLETION, piece_size=1000)
    chunks = [text.encode()[at : at + 100] for at in range(0, len(text.encode()), 100)]
    if records is None:
        with pytest.raises(WireFormatError):
            list(reader.read(chunks))
    else:
        assert sum(batch.frame.height for batch in reader.read(chunks)) == records


@pytest.mark.parametrize(
    "odd", [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
)
@pytest.mark.parametrize("where", [b'"%s"', b"%s", b'"x"%s', b'"x","%s":1'])
def test_what_is_no_utf_8_is_refused(odd: bytes, where: bytes) -> None:
    record = b'{"username":"u","course_id":"c","email":%s}'
    body = b"[" + b",".join([record % b'"x"', record % where % odd, record % b'"x"']) + b"]"

    assert read_or_aside(piece(body[1:])) is None
    with pytest.raises(WireFormatError):
        list(BatchReader(COMPLETION).read([body]))


ALIKE = "".join(
    f'{{"username": "é{number}", "email": null, "course_id": "\\"\\\\", "completion": 0.{number}}},'
    for number in range(4)
).encode()
NESTED = "".join(
    f'{{"username":"u","x":[{{"a":[{number}]}},{{}}],"course_id":"\\u00e9\\ud83d\\ude00"}},'
    for number in range(4)
).encode()

ODD = b"".join(
    b'{"username":"u%d","email":%s,"course_id":"c","x":{"email":[1]}},' % (number, email)
    for number, email in enumerate([b"null", b'[{"a":"}"},[]]', b'"a"', b'{"email":1, "b":[]}'])
)


@settings(max_examples=2000)
@given(
    st.sampled_from([ALIKE, NESTED, ODD]),
    st.sampled_from([Framing.ARRAY, Framing.LINES]),
    st.booleans(),
    st.lists(
        st.tuples(
            st.integers(0, min(map(len, (ALIKE, NESTED, ODD))) - 1),
            st.sampled_from(
                [bytes([byte]) for byte in b'"\\:,{}[] \n\t0e.-nulu8\xff\xc3a']
                + [b"", b'"results":[', b"},{", b"}\n{"]
            ),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=3,
    ),
)
@example(ALIKE, Framing.LINES, True, [(ALIKE.index(b"},{") + 2, b"[", 1)])
@example(ODD, Framing.ARRAY, False, [])
@example(ODD, Framing.ARRAY, False, [(ODD.index(b"},[]"), b"]", 1)])
def test_no_broken_byte_gets_past_the_fast_way(
    data: bytes, framing: Framing, last: bool, changes: list[tuple[int, bytes, int]]
) -> None:
    if framing is Framing.LINES:
        data = data.replace(b"},{", b"}\n{").removesuffix(b",") + b"\n"
    for at, put, length in changes:
        data = data[:at] + put + data[at + length :]
    one = replace(piece(data, framing), last=last)
    fast = read_or_aside(one)
    if fast is not None:
        assert_same(fast, read_strictly(one, COMPLETION, before=0))


def test_only_records_with_a_list_or_an_object_in_a_known_field_are_read_one_by_one() -> None:
    fast = read_or_aside(piece(ODD + ALIKE))
    assert fast is not None
    assert_same(fast, read_strictly(piece(ODD + ALIKE), COMPLETION, before=0))
    assert [row[:2] for row in fast.problems] == [(1, "email"), (3, "email")]


HUGE = 1 << 20
HEAD = b'[{"username":"u","course_id":"c","email":"","x":'


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b"},{" * (HUGE // 3) + b'"}]',
        b'"' + b'\\"},{' * (HUGE // 5) + b'"}]',
        b'"' + b"\\\\" * (HUGE // 2) + b'"}]',
        b'"' + b"{" * HUGE + b'"}]',
        b'"' + b":" * HUGE + b'"}]',
        b" " * HUGE + b"1}]",
        b"[" + b"{}," * (HUGE // 3) + b"{}]}]",
        b"0" + b"".join(b',"f%d":1' % number for number in range(60_000)) + b"}]",
        b"0" + b"".join(b',"f%d":1' % number for number in range(20_000)) + b',"email":1}]',
        b"[" * HUGE,
        b'{"a":' * (HUGE // 5),
        b"1}," + b"[" * (HUGE // 2) + b"]" * (HUGE // 2),
        b'"' + b"}," * HUGE,
        b'{"a":' * 490 + b"{" + b"}" * 491 + b"}]",
    ],
    ids=["borders", "escaped", "backslashes", "braces", "colons", "spaces", "objects", "fields",
         "repeated", "deep", "deep objects", "deep lists", "cut off", "nested"],
)  # fmt: skip
def test_a_body_is_read_or_refused_in_linear_time(body: bytes) -> None:
    """Quadratic reading of these would take minutes."""
    data = HEAD + body
    chunks = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
    reader = BatchReader(COMPLETION, piece_size=1 << 16)
    if data.endswith(b"}]"):
        assert sum(batch.frame.height for batch in reader.read(chunks)) == 1
    else:
        with pytest.raises(WireFormatError):
            list(reader.read(chunks))


def test_unknown_fields_written_with_escapes_cost_no_second_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = joined(*[RECORD | {"n\u00famero 😀\\": 1, "a\tb": None}] * 3)
    slow = read_strictly(piece(text), COMPLETION, before=0)
    monkeypatch.delattr(columnar_json, "read_records")

    fast = read_columns(piece(text), COMPLETION)

    assert fast is not None
    assert_same(fast, slow)
    assert slow.extra == {"n\u00famero 😀\\": 0, "a\tb": 0}


@pytest.mark.parametrize("depth", [470, 499])
def test_a_deep_value_of_a_known_field_is_told_as_it_was_written(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    text = joined(RECORD) + f'{{"username":"a","course_id":"c","email":{nested}}},'

    found = read_strictly(piece(text), COMPLETION, before=0)

    assert_same(read_or_aside(piece(text)), found)
    assert found.problems == [(1, "email", nested, "not a single value; taken as null")]
