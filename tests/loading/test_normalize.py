"""How text becomes typed values, and that nothing is lost without a word."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from toolkit.loading.normalize import normalize
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES, PROBLEMS, Table


def read(table: Table, name: str, values: list[str | None]) -> tuple[list[object], pl.DataFrame]:
    columns = {field: [None] * len(values) for field in table.names} | {name: values}
    raw = pl.DataFrame(columns, schema=dict.fromkeys(table.names, pl.String))
    frame, problems = normalize(raw, table)
    assert frame.schema == table.polars_schema
    assert problems.schema == PROBLEMS.polars_schema
    return frame[name].to_list(), problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.80", 0.8),
        ("0.5", 0.5),
        ("80%", 0.8),
        ("80 %", 0.8),
        (" 0.80 ", 0.8),
        ("0,80", 0.8),
        ("7%", 0.07),
        ("1e-1", 0.1),
        ("0", 0.0),
        ("", None),
        (None, None),
    ],
)
def test_a_percentage_is_read_as_a_fraction(text: str | None, value: float | None) -> None:
    values, problems = read(GRADES, "percent_grade", [text])

    assert values == [value]
    assert problems.is_empty()


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity", "1e400", "1,000.5", "%", "x", " "])
def test_what_is_no_number_is_null_and_reported(text: str) -> None:
    values, problems = read(GRADES, "percent_grade", ["0.5", text])

    assert values == [0.5, None]
    assert problems.rows() == [
        ("grades", 1, "percent_grade", text, "not a number or a percentage; taken as null")
    ]


@pytest.mark.parametrize(("text", "value"), [("80", 80.0), ("-0.1", -0.1), ("101 %", 1.01)])
def test_a_value_outside_its_range_is_kept_and_reported(text: str, value: float) -> None:
    values, problems = read(COMPLETION, "completion", [text, "0.5"])

    assert values == [value, 0.5]
    assert problems.select("record", "raw", "reason").rows() == [
        (0, text, "outside 0–1; kept as it is")
    ]


def test_every_form_of_a_point_in_time_is_read_exactly_in_one_column() -> None:
    values, problems = read(
        GRADES,
        "passed_timestamp",
        [
            "2020-03-28 23:21:24.354019",
            "2020-03-28 23:21:24",
            "2020-03-28 23:21",
            "2020-03-28T23:21:24.5",
            "2020-03-28T23:21:24Z",
            "2020-03-28T23:21:24+02:00",
            "2020-03-28 23:21-0330",
            "2020-03-28",
            None,
            "",
        ],
    )

    assert values == [
        datetime(2020, 3, 28, 23, 21, 24, 354019, UTC),
        datetime(2020, 3, 28, 23, 21, 24, tzinfo=UTC),
        datetime(2020, 3, 28, 23, 21, tzinfo=UTC),
        datetime(2020, 3, 28, 23, 21, 24, 500_000, UTC),
        datetime(2020, 3, 28, 23, 21, 24, tzinfo=UTC),
        datetime(2020, 3, 28, 21, 21, 24, tzinfo=UTC),
        datetime(2020, 3, 29, 2, 51, tzinfo=UTC),
        datetime(2020, 3, 28, tzinfo=UTC),
        None,
        None,
    ]
    assert problems.is_empty()


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-30 00:00:00",
        "28/03/2020",
        "2020-03-28 25:00",
        "2020-03-28 23:59:60.000000",
        "2020-03-28 23:59:60",
        "20-03-28 23:21:24.354019",
        "12020-3-28 23:21:24.354019",
        "20-03-28",
        "2020-3-28",
        "2020-03-28 23:21+0٠",
        "soon",
    ],
)
def test_an_impossible_time_is_null_and_reported_with_its_text(text: str) -> None:
    values, problems = read(ENROLLMENTS, "created", [text])
    dates, _ = read(GRADES, "last_date", [text, "2020-03-28"])

    assert values == [None]
    assert problems["raw"].to_list() == [text]
    assert dates == [None, date(2020, 3, 28)]


def test_what_is_finer_than_a_microsecond_is_cut_and_reported() -> None:
    values, problems = read(GRADES, "passed_timestamp", ["2020-03-28 23:21:24.1234567"])

    assert values == [datetime(2020, 3, 28, 23, 21, 24, 123456, UTC)]
    assert problems["reason"].to_list() == ["finer than a microsecond; the rest was cut off"]


def test_a_date_is_read_also_from_a_point_in_time() -> None:
    values, problems = read(GRADES, "last_date", ["2020-11-26", "2020-11-26 10:00", "2020-13-01"])

    assert values == [date(2020, 11, 26), date(2020, 11, 26), None]
    assert problems["record"].to_list() == [2]


def test_a_boolean_is_read_in_any_case() -> None:
    values, problems = read(ENROLLMENTS, "is_active", ["true", "False", "1", "yes", None])

    assert values == [True, False, True, None, None]
    assert problems.select("record", "reason").rows() == [
        (3, "neither true nor false; taken as null")
    ]


def test_an_empty_letter_grade_is_none_and_other_texts_stay_as_they_are() -> None:
    assert read(GRADES, "letter_grade", ["Pass", "", " "])[0] == ["Pass", None, " "]
    assert read(GRADES, "display_name", [""])[0] == [""]


@pytest.mark.parametrize("name", ["username", "course_id"])
def test_an_empty_key_is_kept_and_reported(name: str) -> None:
    values, problems = read(COMPLETION, name, ["ada", "", " "])

    assert values == ["ada", "", " "]
    assert problems.rows() == [("completion", 1, name, "", "empty; kept as it is")]


texts = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.from_regex(r"\A-?[0-9]{1,2}[.,]?[0-9]{0,3} ?%?\Z"),
    st.from_regex(r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-6][0-9])?Z?\Z"),
    st.sampled_from(["nan", "inf", "true", "0.5", "2020-01-01 00:00:00.123456"]),
)
MEASURES = [
    (GRADES, "percent_grade"),
    (GRADES, "passed_timestamp"),
    (GRADES, "last_date"),
    (ENROLLMENTS, "is_active"),
    (ENROLLMENTS, "created"),
    (COMPLETION, "completion"),
]


@settings(max_examples=60)
@given(st.sampled_from(MEASURES), st.lists(texts, min_size=1, max_size=5))
@example((GRADES, "percent_grade"), ["0.5", "", None])
def test_every_value_that_is_lost_or_out_of_range_is_reported(
    measure: tuple[Table, str], raw: list[str | None]
) -> None:
    table, name = measure
    values, problems = read(table, name, raw)
    reported = dict(problems.select("record", "raw").iter_rows())

    for record, (text, value) in enumerate(zip(raw, values, strict=True)):
        lost = text not in {None, ""} and value is None
        outside = isinstance(value, float) and not 0 <= value <= 1
        assert not isinstance(value, float) or math.isfinite(value)
        assert (record in reported) == (lost or outside)
        if record in reported:
            assert reported[record] == text


@settings(max_examples=30)
@given(st.sampled_from(MEASURES), st.lists(texts, min_size=2, max_size=6), st.integers(1, 5))
def test_a_value_is_read_the_same_whatever_stands_beside_it(
    measure: tuple[Table, str], raw: list[str | None], cut: int
) -> None:
    table, name = measure
    columns = {field: [None] * len(raw) for field in table.names} | {name: raw}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(table.names, pl.String))

    whole, problems = normalize(frame, table)
    first, problems_1 = normalize(frame[:cut], table)
    second, problems_2 = normalize(frame[cut:], table)
    problems_2 = problems_2.with_columns(pl.col("record") + cut)

    assert_frame_equal(pl.concat([first, second]), whole)
    assert_frame_equal(pl.concat([problems_1, problems_2]), problems)
