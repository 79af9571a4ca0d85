"""Released log-rank tests: they give no count of events away, and keep their level."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from published import learners

import toolkit as tk
from toolkit.release.rounding import BASE, MIN_N
from toolkit.results.result import Result


def drawn(sizes: list[int], rates: list[float], seed: int) -> pl.DataFrame:
    """Learners of some groups, who pass at constant rates and are followed for 100 to 700 days."""
    draws = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    passed, last = (
        draws.exponential(1 / np.array(rates)[group]),
        draws.uniform(100, 700, len(group)),
    )
    return pl.DataFrame(
        {
            "group": group.astype(str),
            "duration": np.ceil(np.minimum(passed, last)),
            "event": passed <= last,
            "record_key": draws.integers(0, 2**32, len(group)),
        }
    )


def guessed(test: Result, told: pl.DataFrame) -> list[tuple[int, int, int]]:
    """For each group the events, as the printed χ² gives them, as printed, and as they are.

    Observed less expected events of two groups are as far from 0 as the root of χ² times the
    variance, which is about the product of what is expected over its sum.
    """
    found = []
    expected, statistic = told["expected_events"].to_list(), told["statistic"].drop_nulls()
    if None in expected or not sum(expected) or not len(statistic):
        return []
    far = math.sqrt(statistic[0] * expected[0] * expected[1] / sum(expected))
    for place, shown in enumerate(told["n_events"]):
        low, high = (0, MIN_N - 1) if shown is None else (shown - BASE + 1, shown + BASE - 1)
        ends = [round(expected[place] + sign * far) for sign in (-1, 1)]
        near = min(ends, key=lambda end: abs(end - (low + high) / 2))
        blind = (low + high) // 2 if shown is None else shown
        found.append((min(max(near, low), high), blind, test.exact["n_events"][place]))
    return found


@pytest.mark.slow
def test_a_released_test_does_not_give_the_number_of_events_away() -> None:
    """Two digits of the exact test gave 85 of 100 away: it is an equation with one unknown."""
    durations = tk.time_to_pass(learners("300"), undated="leave_out")
    courses = durations["course_id"].unique().sort().to_list()
    guesses: list[tuple[int, int, int]] = []
    n_exact = 0
    for two in combinations(courses, 2):
        test = tk.logrank(durations.filter(pl.col("course_id").is_in(two)), by="course_id")
        guesses += guessed(test, test.protect(MIN_N))
        rounded = test.exact.with_columns(test.protect(MIN_N)["n_events"])
        digits = pl.col("expected_events", "statistic").round_sig_figs(2)
        n_exact += sum(near == n for near, _, n in guessed(test, rounded.with_columns(digits)))
    right = np.mean([near == n for near, _, n in guesses])
    blind = np.mean([other == n for _, other, n in guesses])
    assert len(guesses) > 40
    assert right <= max(blind, 0.2)
    assert n_exact > 2 * len(guesses)


def test_whose_events_are_withheld_leaves_the_test() -> None:
    durations = drawn([200, 200, 15], [0.002, 0.001, 0.001], seed=1)
    told = tk.logrank(durations, by="group").protect(MIN_N)
    without = tk.logrank(durations.filter(pl.col("group") != "2"), by="group").protect(MIN_N)
    assert told["is_compared"].to_list() == [True, True, False]
    assert told["n_events"].to_list()[2] is None
    assert told["p_value"][0] == without["p_value"][0]
    alone = tk.logrank(durations.filter(pl.col("group") != "0"), by="group").release()
    assert alone.frame["p_value"].is_null().all()
    assert str(alone.narrate()).startswith("The curves cannot be compared: too few events")


def test_the_test_follows_from_the_released_events() -> None:
    """By hand: two groups that are at risk together, all of whom pass on one day or never."""
    durations = pl.DataFrame(
        {
            "group": ["a"] * 100 + ["b"] * 100,
            "duration": [10.0] * 200,
            "event": [True] * 43 + [False] * 57 + [True] * 28 + [False] * 72,
        }
    )
    told = tk.logrank(durations, by="group").protect(MIN_N)
    a, b = told["n_events"].to_list()
    assert told["expected_events"].to_list() == [pytest.approx((a + b) / 2, abs=0.5)] * 2
    hypergeometric = 71 * 129 / 199 / 4 * (a + b) / 71
    # (a - b) / 2 varies by a quarter of twice the variance of rounding, which is 4.
    statistic = ((a - b) / 2) ** 2 / (hypergeometric + 2)
    assert told["statistic"].to_list() == [pytest.approx(statistic, rel=0.05)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[60, 60], [30, 270], [75, 75, 75, 75]])
def test_released_tests_of_groups_that_are_alike_reject_as_often_as_they_should(
    sizes: list[int],
) -> None:
    tests = (
        tk.logrank(drawn(sizes, [0.0015] * len(sizes), seed), by="group") for seed in range(800)
    )
    shown = [told[0] for test in tests if len(told := test.protect(MIN_N)["p_value"].drop_nulls())]
    assert len(shown) > 600
    assert np.mean(np.array(shown) < 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(shown))
