import math
from datetime import date
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from person_courses import passed_of

import toolkit as tk
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


def test_dates_are_written_as_their_column_means_them() -> None:
    first = date(2024, 11, 1)
    columns = ("enrolled_month", "enrolled_quarter", "enrolled_year", "created")
    told = [words.day(first, column) for column in columns]
    assert told == ["Nov 2024", "Q4 2024", "2024", "1 Nov 2024"]


@pytest.mark.parametrize(
    ("p", "told"),
    [(0.0004, "p < 0.001"), (0.0312, "p = 0.031"), (0.5, "p = 0.50"), (None, "p unknown")],
)
def test_p_has_two_digits(p: float | None, told: str) -> None:
    assert words.p_value(p, 0.05) == told


@given(p=st.floats(0, 1), alpha=st.sampled_from([0.1, 0.05, 0.01, 0.001, 0.0001]))
@example(p=0.0496, alpha=0.05)
@example(p=0.0504, alpha=0.05)
@example(p=0.097, alpha=0.1)
@example(p=0.0005, alpha=0.0001)
def test_p_is_told_on_its_side_of_alpha(p: float, alpha: float) -> None:
    told = words.p_value(p, alpha)
    number = float(told.split()[-1])
    assert (number < alpha or (number <= alpha and "<" in told)) == (p < alpha)
    assert number == pytest.approx(p, rel=0.06) or p < 0.001


@pytest.mark.parametrize(
    ("difference", "told"),
    [(0.01, "+1 point"), (-0.123, "−12 points"), (0.0, "0 points"), (-0.001, "0 points")],
)
def test_a_difference_of_shares_is_told_in_points(difference: float, told: str) -> None:
    assert words.points(difference) == told


def test_a_difference_from_nobody_is_told_as_the_share_itself() -> None:
    for share, decimal in ((0.125, False), (0.325, False), (0.0125, True), (0.1625, True)):
        told = words.points(share, decimal=decimal, is_end=True)
        assert told == f"+{words.percent(share, decimal=decimal).removesuffix('%')}"


def test_an_interval_names_its_unit_once() -> None:
    assert words.between("60%", "86%") == "60–86%"
    assert words.between("−3", "+5") == "−3 to +5"


def test_an_interval_whose_ends_are_written_alike_is_not_written() -> None:
    write = partial(words.percent, plain=True)
    assert words.written_interval(0.9996, 1.0, write) == ""
    assert words.written_interval(0.994, 1.0, write) == "99–100%"
    everybody = tk.outcomes(passed_of(audit=(9_000, 9_000)), by="mode")
    assert everybody.table(["n_passed", "pass_rate_of_enrolled"]).rows == [["9,000", "100.0%"]]


@given(value=st.floats(1e-6, 400), decimal=st.booleans(), below=st.booleans())
@example(value=0.0004, decimal=False, below=True)
@example(value=0.04, decimal=True, below=False)
def test_the_end_of_an_interval_is_told_on_its_side_of_0(
    value: float, decimal: bool, below: bool
) -> None:
    end = -value if below else value
    for told in (
        words.points(end / 100, decimal=decimal, is_end=True),
        words.signed_days(end, is_end=True),
    ):
        number = float(told.replace("−", "-").replace(",", ""))
        assert (number < 0) == below
        assert number != 0
        assert number == pytest.approx(end, abs=0.5 if abs(end) > 1 else abs(end))


def test_rounding_errors_are_0_and_estimates_are_rounded() -> None:
    assert words.points(1e-17, is_end=True) == words.points(0.0, is_end=True) == "0"
    assert words.signed_days(-1e-12, is_end=True) == "0.0"
    assert (words.points(0.004), words.signed_days(0.04)) == ("0 points", "0.0")
