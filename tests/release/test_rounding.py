"""Keyed random rounding: what it withholds, how it draws, and that the draw is unbiased."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.release.rounding import BASE, keys_of_groups, release_counts, uniform

counts = st.integers(0, 10_000)
keys = st.integers(0, 2**62)


@given(counts, keys, st.sampled_from([5, 10, 12, 20]))
def test_a_count_is_withheld_or_goes_to_a_neighbouring_multiple_of_5(
    count: int, key: int, min_n: int
) -> None:
    [shown] = release_counts(pl.Series([count]), pl.Series([key]), min_n=min_n)
    if count < min_n:
        assert shown is None
    elif shown != min_n:
        assert shown % BASE == 0
        assert abs(shown - count) < BASE


@given(st.lists(st.tuples(counts, keys), min_size=1))
def test_the_draw_of_a_count_depends_on_its_own_key_alone(cells: list[tuple[int, int]]) -> None:
    together = release_counts(*(pl.Series(column) for column in zip(*cells, strict=True)))
    alone = [release_counts(pl.Series([n]), pl.Series([key])).item() for n, key in cells]
    assert together.to_list() == alone


def test_rounding_is_unbiased_over_keys() -> None:
    draws = np.random.default_rng(1).integers(0, 2**40, 200_000)
    for n in range(20, 25):
        shown = release_counts(pl.repeat(n, len(draws), eager=True), pl.Series(draws))
        assert shown.mean() == pytest.approx(n, abs=0.03)


def test_the_uniform_numbers_of_neighbouring_keys_look_independent() -> None:
    drawn = uniform(np.arange(100_000))
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].std() < 200
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02


def test_a_null_stays_null() -> None:
    assert release_counts(pl.Series([None, 50]), pl.Series([1, 1])).to_list()[0] is None


def test_groups_without_record_keys_are_drawn_by_their_values() -> None:
    groups = pl.DataFrame({"mode": ["audit", None, "null"], "year": [2026, 2026, 2026]})
    once, again = keys_of_groups(groups, "n_passed"), keys_of_groups(groups, "n_passed")
    assert once.to_list() == again.to_list()
    assert once.n_unique() == 3
    assert keys_of_groups(groups, "n_enrolled").to_list() != once.to_list()
