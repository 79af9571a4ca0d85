"""What framings are read, where errors lie, and that cuts never show."""

from __future__ import annotations

import json
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from toolkit.errors import ToolkitError, WireFormatError
from toolkit.loading.batches import BatchReader
from toolkit.schemas import COMPLETION, GRADES

RECORDS = [
    {"username": "ada", "email": None, "course_id": "c1", "completion": "0.80"},
    {"username": "bob", "email": 'quote " },{ \\', "course_id": "c2", "completion": 0.5},
    {"username": "é😀", "email": "x", "course_id": "c1", "completion": ""},
]
OBJECTS = [json.dumps(record) for record in RECORDS]
FRAMINGS = {
    "array": "[" + ",".join(OBJECTS) + "]",
    "pretty array": json.dumps(RECORDS, indent=4, ensure_ascii=False),
    "envelope": json.dumps({"count": 3, "results": RECORDS, "next": None, "start": [{}, ["]"]]}),
    "lines": "\n".join(OBJECTS) + "\n",
    "commas": ",\n".join(OBJECTS),
    "with byte order mark": "\ufeff[" + ",".join(OBJECTS) + "]",
}


def read(body: bytes, cuts: list[int] | None = None, piece_size: int = 1 << 20):
    """Frame and problems, or the error's text."""
    reader = BatchReader(COMPLETION, piece_size=piece_size)
    borders = [0, *sorted(cuts or []), len(body)]
    chunks = [body[start:end] for start, end in pairwise(borders)]
    try:
        batches = [*reader.read(chunks), reader.ending()]
    except ToolkitError as error:
        return f"{type(error).__name__}: {error}"
    frame = pl.concat([batch.frame for batch in batches])
    return frame, pl.concat([batch.problems for batch in batches])


def refused(body: bytes | str) -> WireFormatError:
    data = body if isinstance(body, bytes) else body.encode()
    with pytest.raises(WireFormatError) as caught:
        list(BatchReader(COMPLETION).read([data]))
    return caught.value


@pytest.mark.parametrize("name", FRAMINGS)
def test_every_framing_gives_the_same_records(name: str) -> None:
    frame, problems = read(FRAMINGS[name].encode())

    assert frame.rows() == [
        ("ada", None, "c1", 0.8),
        ("bob", 'quote " },{ \\', "c2", 0.5),
        ("é😀", "x", "c1", None),
    ]
    assert problems.is_empty()


SAMPLE = (
    '{"username": "johndoe", "email": "john@example.com", '
    '"course_id": "course-v1:MOOCit-demo-1", '
    '"display_name": "MOOCit demonstration Course #1", "percent_grade": "0.80", '
    '"letter_grade": "Pass", "passed_timestamp": "2020-03-28 23:21:24.354019"{comma}\n'
    '"last_date": "2020-11-26"},\n'
    '{"username": "JaneDoe", "email": "jane@example.com", '
    '"course_id": "course-v1:MOOCit-demo-1", '
    '"display_name": "MOOCit demonstration Course #1", "percent_grade": "0.20", '
    '"letter_grade": "", "passed_timestamp": null, "last_date": "2020-11-26"}'
)


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("", ",\n", ""),
        ("", "\n", "\n"),
        ("[", ", ", "]"),
        ('{"results": [', ", ", '], "next": null}'),
    ],
    ids=["commas", "lines", "array", "envelope"],
)
def test_the_documented_sample_loads_in_each_framing_once_its_comma_is_mended(
    before: str, between: str, after: str
) -> None:
    records = SAMPLE.replace("{comma}\n", ", ").split(",\n")
    batches = BatchReader(GRADES).read([(before + between.join(records) + after).encode()])

    assert pl.concat(batch.frame for batch in batches).select(
        "username",
        "percent_grade",
        "letter_grade",
        pl.col("passed_timestamp").dt.to_string("%F %T%.6f %Z"),
        pl.col("last_date").cast(pl.String),
    ).rows() == [
        ("johndoe", 0.8, "Pass", "2020-03-28 23:21:24.354019 UTC", "2020-11-26"),
        ("JaneDoe", 0.2, None, None, "2020-11-26"),
    ]


def test_the_documented_sample_as_printed_is_refused_where_its_comma_is_missing() -> None:
    body = SAMPLE.replace("{comma}", "").encode()

    with pytest.raises(WireFormatError, match="a comma is missing between two fields") as caught:
        list(BatchReader(GRADES).read([body]))

    error = caught.value
    assert (error.line, error.column, error.record) == (2, 1, 0)
    assert body[error.offset :].startswith(b'"last_date"')


RECORD = '{"username": "u", "course_id": "c"}'


def test_pages_of_open_edx_name_the_next_one_in_an_object_of_their_own() -> None:
    reader = BatchReader(COMPLETION)
    for following in ("/?page=2", None):
        page = {"results": RECORDS[:1], "pagination": {"count": 3, "next": following}}
        list(reader.read([json.dumps(page).encode()]))
        assert reader.next_page == following

    assert reader.ending().problems["reason"].to_list() == [
        "the platform says there are 3 records; 2 came"
    ]


def test_fields_of_pages_that_are_not_known_are_reported_where_they_hold_something() -> None:
    about = {"num_pages": 2, "next_cursor": "x", "errors": [], "pagination": {"has_next": True}}
    _, problems = read(json.dumps({**about, "results": RECORDS}).encode())

    assert problems.select("record", "column", "raw").rows() == [
        (None, "next_cursor", None),
        (None, "has_next", None),
    ]


@pytest.mark.parametrize(
    ("marked", "reason"),  # R is a record, § stands before the first wrong byte
    [
        (b"\xa7", "empty"),
        (b" \n\xa7", "empty"),
        (b"\xa7nonsense", "not a JSON array or object"),
        (b"[\xa71, 2]", "must begin with {"),
        (b"[\xa7", "cut off"),
        (b"[R\xa7", "cut off"),
        (b"[R,\xa7", "cut off"),
        (b'[{"a": "x\xa7', "cut off"),
        (b"[R,\xa7]", "must begin with {"),
        (b"[R] \xa7x", "something follows"),
        (b"[R]\xa7[", "something follows"),
        (b"R,\xa7", "cut off"),
        (b'R\n{"a": \xa7', "cut off"),
        (b"R \xa7R", "must end its line"),
        (b'[{"a": \xa7NaN}]', "NaN"),
        (b'[{"a": "Infinity", "b": \xa7-Infinity}]', "NaN"),
        (b'[{"a": 0\xa71}]', "comma is missing"),
        (b'[{"a": "\xa7\t"}]', "control character"),
        (b'[{"a": "\xa7\xff"}]', "not UTF-8"),
        (b'[{"a": "\xa7\xed\xa0\x80"}]', "not UTF-8"),
        (b'[{"a": "\xa7\\ud800"}]', "surrogate"),
        (b'[{"a": "\xa7\\udc00\\ud800"}]', "surrogate"),
        (b'[{"a": "\xa7\\x"}]', "escape"),
        (b'[{"a":' + b"[" * 499 + b"\xa7" + b"[" * 2000, "nested"),
        (b'{"results": [R], "next": \xa7x}', "envelope"),
        (b'{"results": [R], "next": \xa7', "envelope"),
    ],
)
def test_what_is_no_json_is_refused_where_it_goes_wrong(marked: bytes, reason: str) -> None:
    before, after = marked.replace(b"R", RECORD.encode()).split(b"\xa7", 1)

    error = refused(before + after)

    assert reason in str(error)
    assert error.offset == len(before)


@pytest.mark.parametrize("between", ["", " ", ",,", " 1 "])
@pytest.mark.parametrize(
    ("framing", "separator"),
    [("[{}]", ","), ("{}", ","), ("{}", "\n"), ('{{"results":[{}]}}', ",")],
)
def test_what_is_wrong_between_two_records_is_told_wherever_the_body_is_cut(
    framing: str, separator: str, between: str
) -> None:
    records = between.join([separator.join([RECORD] * 3)] * 2)
    body = framing.format(records).encode()
    whole = read(body)

    assert isinstance(whole, str)
    for size in (1, 33, 36, 70, 110):
        for chunk in (1, 33, 50):
            assert read(body, list(range(chunk, len(body), chunk)), size) == whole


def test_an_excerpt_shows_the_fields_of_one_record_and_no_value() -> None:
    body = ",".join(OBJECTS[:2]) + ',{"username": "eve" "email": 1}'

    message = str(refused(body))

    assert """after '{"username": …' there is""" in message
    assert message.count("username") == 1
    assert not any(name in message for name in ("ada", "bob", "eve"))


def test_a_number_keeps_the_digits_it_was_written_with() -> None:
    body = b'[{"username": 12345678901234567890123, "course_id": 1e400, "completion": 0.50}]'

    frame, _ = read(body)

    assert frame.row(0) == ("12345678901234567890123", None, "1e400", 0.5)


def test_a_field_that_comes_twice_is_reported_and_the_last_counts() -> None:
    _, problems = read(b'[{"username":"a","course_id":"c","completion":"1","completion":"0.5"}]')

    assert problems.filter(pl.col("record").is_not_null()).select("column", "raw").rows() == [
        ("completion", "1")
    ]


def test_other_fields_are_reported_once_and_absent_ones_too() -> None:
    body = "[" + ",".join(['{"username":"a","course_id":"c","email":"e","x":{"y":[1]}}'] * 3) + "]"

    frame, problems = read(body.encode())

    assert frame["completion"].to_list() == [None] * 3
    assert problems.select("record", "column").rows() == [(0, "x"), (None, "completion")]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["},{", '}, {"', "\\", '"', "]", "0.80", "80 %", "null"]),
)
fields = st.sampled_from([*COMPLETION.names, "other", "é"])
extras = st.one_of(values, st.lists(st.dictionaries(st.text(max_size=2), values, max_size=2)))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    records = draw(
        st.lists(
            st.builds(
                lambda known, more: {"username": "u", "course_id": "c"} | known | more,
                st.dictionaries(st.sampled_from(COMPLETION.names), values),
                st.dictionaries(fields, extras, max_size=2),
            ),
            min_size=1,
            max_size=6,
        )
    )
    indent = draw(st.sampled_from([None, 1]))
    ascii_only = draw(st.booleans())
    objects = [json.dumps(r, indent=indent, ensure_ascii=ascii_only) for r in records]
    body = draw(
        st.sampled_from(
            [
                "[" + ",".join(objects) + "]",
                '{"n": [{}], "results": [' + " ,\n ".join(objects) + '], "next": null}',
                ",".join(objects),
                "\n".join(objects),
            ]
        )
    ).encode()
    damage = draw(st.one_of(st.none(), st.integers(0, len(body))))
    if damage is None:
        return body
    return body[:damage] + draw(st.binary(max_size=2)) + body[damage + draw(st.integers(0, 3)) :]


@settings(max_examples=100)
@given(bodies(), st.data())
def test_cuts_never_show(body: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    piece_size = data.draw(st.integers(1, 80))

    whole, cut = read(body), read(body, cuts, piece_size)

    if isinstance(whole, str) or isinstance(cut, str):
        assert cut == whole
    else:
        for one, other in zip(cut, whole, strict=True):
            assert_frame_equal(one, other, check_row_order="reason" not in one.columns)
