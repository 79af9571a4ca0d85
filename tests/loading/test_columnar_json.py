"""The fast way gives what the strict way gives, or steps aside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from toolkit.errors import WireFormatError
from toolkit.loading.columnar_json import read_columns
from toolkit.loading.framing import Framing, Piece
from toolkit.loading.strict_json import IncompleteError, read_strictly
from toolkit.schemas import COMPLETION

RECORD = {"username": "ada", "email": None, "course_id": "c", "completion": "0.5"}


def piece(text: str | bytes, framing: Framing = Framing.ARRAY) -> Piece:
    data = text if isinstance(text, bytes) else text.encode()
    return Piece(data, framing, b"[", 1, 0, 0, last=False)


def joined(*records: dict[str, object], **dump: object) -> str:
    return "".join(json.dumps(record, **dump) + "," for record in records)


@pytest.mark.parametrize(
    "text",
    [
        joined(*[RECORD] * 3),
        joined(*[RECORD] * 3, separators=(",", ":")),
        joined(*[RECORD] * 3, indent=2),
        joined(RECORD, RECORD | {"email": 'é \\ " 😀'}, ensure_ascii=False),
        joined(RECORD, RECORD | {"email": "caf\u00e9"}),
        joined(*[RECORD | {"completion": value} for value in (0.25, 0.125, None)]),
        joined(*[RECORD | {"completion": value} for value in (True, False, None)]),
        joined(*[RECORD | {"more": "x"}] * 2),
        joined(*[{"username": "ada", "course_id": "c"}] * 2),
        joined(RECORD, RECORD | {"email": "null", "completion": None}),
    ],
)
def test_alike_records_are_read_fast_and_the_same(text: str) -> None:
    fast = read_columns(piece(text), COMPLETION)
    slow = read_strictly(piece(text), COMPLETION, before=0)

    assert fast is not None
    assert_frame_equal(fast.frame, slow.frame)
    assert (fast.present, fast.extra) == (slow.present, slow.extra)


SAME_LENGTH = '{"username":"ada","email":null,"course_id":"c","completion":null},'


@pytest.mark.parametrize(
    "odd",
    [
        '{"username":"ada","emall":null,"course_id":"c","completion":null},',
        '{"username":"ada","course_id":"c","completion":null,"email" :nul},',
        '{"username":"ada","email":"","email":null,"course_id":"c"},',
        '{"username":"ada","course_id":"c","course_id":"d","completion":"1"},',
        '{"email":null,"username":"ada","course_id":"c","completion":null},',
        '{"username":"ada","email":"\\ud800","course_id":"c","completion":"1"},',
        '{"username":"ada","email":"a\\/b","course_id":"c","completion":"1"},',
        '{"username":"ada","email":1e2,"course_id":"c","completion":null},',
        '{"username":"ada","email":{"a":1},"course_id":"c","completion":null},',
        '{"username":"ada","email":"{","course_id":"c","completion":null},',
        '{"username":"ada","email":NaN,"course_id":"c","completion":null},',
    ],
)
def test_anything_unusual_is_left_to_the_strict_way(odd: str) -> None:
    for text in (SAME_LENGTH + SAME_LENGTH + odd, odd + SAME_LENGTH + SAME_LENGTH):
        fast = read_columns(piece(text), COMPLETION)
        if fast is not None:  # only where the strict way says the same
            slow = read_strictly(piece(text), COMPLETION, before=0)
            assert_frame_equal(fast.frame, slow.frame)
            assert (fast.present, fast.extra, []) == (slow.present, slow.extra, slow.problems)


def test_a_field_missing_here_and_doubled_there_is_noticed() -> None:
    doubled = '{"username":"a","email":"x","course_id":"c","email":null},'
    missing = '{"username":"a","email":null,"course_id":"c"},'.replace(',"email":null', "")
    text = doubled.replace(',"email":null', "") + doubled + missing

    assert read_columns(piece(text), COMPLETION) is None


values = st.sampled_from(
    ['"x"', '"y"', "null", "true", "1", "10", "1e1", "0.5", "0.50", '""', '":"', '"a,b"',
     '"\\u00e9"', '"\\n"', '"\\""', '"null"', '"},{"', "-0", "[]", '"\\ud800"', '"\\":1"', '"\\\\"',
     '"\\\\\\""', "01", "-", "nul", '"\x01"', '""""', '"x" ']
)  # fmt: skip
names = st.sampled_from(["username", "email", "course_id", "completion", "other"])


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(st.tuples(names, values), min_size=1, max_size=4), min_size=2, max_size=4),
    st.booleans(),
)
def test_the_fast_way_never_says_other_than_the_strict_way(
    records: list[list[tuple[str, str]]], lines: bool
) -> None:
    width = len(records[0])
    alike = [record if len(record) == width else records[0] for record in records]
    text = "".join(
        "{" + ",".join(f'"{name}":{value}' for name, value in record) + ("}\n" if lines else "},")
        for record in alike
    )
    same_or_aside(piece(text, Framing.LINES if lines else Framing.ARRAY))


ALIKE = "".join(
    f'{{"username": "é{number}", "email": null, "course_id": "\\"\\\\", "completion": 0.{number}}},'
    for number in range(4)
).encode()


def test_the_records_to_be_broken_are_read_fast_while_they_are_whole() -> None:
    assert read_columns(piece(ALIKE), COMPLETION) is not None


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(ALIKE) - 1),
            st.sampled_from([bytes([byte]) for byte in b'"\\:,{}[] \n\t0e.-nul\xff\xc3a'] + [b""]),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_no_broken_byte_gets_past_the_fast_way(changes: list[tuple[int, bytes, int]]) -> None:
    data = ALIKE
    for at, put, length in changes:
        data = data[:at] + put + data[at + length :]

    same_or_aside(piece(data))


def same_or_aside(one: Piece) -> None:
    """The fast way says what the strict way says, or nothing."""
    fast = read_columns(one, COMPLETION)
    if fast is None:
        return
    try:
        slow = read_strictly(one, COMPLETION, before=0)
    except (WireFormatError, IncompleteError) as error:
        raise AssertionError(f"the strict way refuses {one.data!r}") from error
    assert_frame_equal(fast.frame, slow.frame)
    assert (fast.present, fast.extra) == (slow.present, slow.extra)
    assert slow.problems == []
