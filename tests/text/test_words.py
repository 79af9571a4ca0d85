import math
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.text import words


def test_shares_round_halves_up_and_keep_what_is_rare() -> None:
    told = [words.percent(share) for share in (0, 0.001, 0.125, 0.325, 0.9999, 1)]
    assert told == ["0%", "under 1%", "13%", "33%", "over 99%", "100%"]


@pytest.mark.parametrize(("n", "min_n", "decimal"), [(4_999, 10, False), (5_000, 10, True)])
def test_a_share_has_a_decimal_where_its_learners_support_it(
    n: int,
    min_n: int,
    decimal: bool,
) -> None:
    assert words.has_decimal(n, min_n) is decimal
    assert words.has_decimal(n, None)


@given(n=st.integers(10, 100_000), k=st.integers(0, 9), drawn=st.integers(-4, 4))
def test_a_withheld_share_lies_under_what_is_said_of_it(n: int, k: int, drawn: int) -> None:
    """Whatever multiple of 5 the number of learners was rounded to."""
    shown = max(10, 5 * math.floor((n + drawn) / 5))
    if abs(shown - n) < 5:
        assert k / n * 100 < float(words.under(shown, 10).strip("<%"))


def test_the_unknown_group_is_no_group_that_is_called_so() -> None:
    frame = pl.DataFrame({"g": [None, "unknown", "(none)", "", "“unknown”", "unknown g"]})
    assert len(set(words.labels(frame, ["g"]))) == frame.height


@given(st.lists(st.text(max_size=80), min_size=1, max_size=12, unique=True))
def test_no_two_groups_are_named_alike(values: list[str]) -> None:
    told = words.labels(pl.DataFrame({"g": values}), ["g"])
    assert len(set(told)) == len(values)
    assert all(words.width(name) <= words.LONGEST + 5 for name in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("W" * 60, "W" * 13 + "…" + "W" * 13),
        ("統計" * 40, "統計" * 5 + "統…計" + "統計" * 5),
        ("👩🏽‍🔬" * 30, None),  # a scientist: four code points
        ("🇩🇪" * 30, None),  # a flag: two
        ("é" * 60, None),
    ],
)
def test_a_wide_name_is_cut_between_letters(text: str, told: str | None) -> None:
    short = words.shortened(text)
    assert told in (None, short)
    head, _, tail = short.partition("…")
    one = text[: len(text) // (60 if text[0] == "e" else 30)]
    for part in (head, tail):
        assert told is not None or part == one * (len(part) // len(one))
    assert words.width(short) <= words.LONGEST


def test_a_name_that_looks_numbered_is_told_from_one_that_is() -> None:
    names = ["Algebra", "Algebra", "Algebra (2)", "Algebra", "Algebra (2)"]
    assert len(set(words.distinct(names))) == len(names)


def test_marks_do_not_tower_and_a_name_in_arabic_ends_before_its_figure() -> None:
    assert words.clean("Z" + "͑" * 20 + "a") == "Z͑͑a"
    assert words.name("Tiếng Việt") == "Tiếng Việt"
    assert words.name("مقدمة") == "مقدمة‎"


@given(st.text(max_size=60))
def test_a_name_is_one_line_of_visible_text(text: str) -> None:
    told = words.clean(text)
    assert not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in told)
    assert not set(told) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069")


def test_dates_are_written_as_their_column_means_them() -> None:
    first = date(2024, 11, 1)
    columns = ("enrolled_month", "enrolled_quarter", "enrolled_year", "created")
    told = [words.day(first, column) for column in columns]
    assert told == ["Nov 2024", "Q4 2024", "2024", "1 Nov 2024"]


def test_cohorts_of_weeks_are_named_by_their_day() -> None:
    weeks = [date(2024, 11, 4), date(2024, 12, 2)]
    assert list(words.cohorts(weeks).values()) == ["4 Nov 2024", "2 Dec 2024"]


@pytest.mark.parametrize(
    ("p", "told"),
    [(0.0004, "p < 0.001"), (0.0312, "p = 0.031"), (0.5, "p = 0.50"), (None, "p unknown")],
)
def test_p_has_two_digits(p: float | None, told: str) -> None:
    assert words.p_value(p) == told


@pytest.mark.parametrize(
    ("difference", "told"),
    [(0.01, "+1 point"), (-0.123, "−12 points"), (0.0, "0 points"), (-0.001, "0 points")],
)
def test_a_difference_of_shares_is_told_in_points(difference: float, told: str) -> None:
    assert words.points(difference) == told


def test_an_interval_names_its_unit_once() -> None:
    assert words.between("60%", "86%") == "60–86%"
    assert words.between("−3", "+5") == "−3 to +5"
