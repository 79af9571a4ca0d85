"""What must never change a p-value, whatever the learners."""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk

Test = Callable[..., pl.DataFrame]

STRATA = [None, "stratum"]
TESTS = [
    tk.logrank,
    pytest.param(tk.survival.gray_test, id="gray_test", marks=pytest.mark.slow),
]


@st.composite
def learners(draw: st.DrawFn) -> pl.DataFrame:
    """Up to four groups, of which the first is by far the largest."""
    seed = draw(st.integers(0, 2**32 - 1))
    k = draw(st.integers(2, 4))
    n = draw(st.integers(3 * k, 250))
    days = draw(st.sampled_from([4, 30, 10_000]))
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 0.9, 0, rng.integers(0, k, n))
    passes, leaves, seen = (rng.integers(1, days, n) for _ in range(3))
    duration = np.minimum(np.minimum(passes, leaves), seen)
    end = np.where(duration == passes, "passed", np.where(duration == leaves, "left", ""))
    return pl.DataFrame(
        {
            "duration": duration.astype(float),
            "event": end == "passed",
            "end": end,
            "group": [f"g{i}" for i in group],
            "stratum": [f"s{i}" for i in rng.integers(0, 3, n)],
        }
    ).with_columns(pl.col("end").replace("", None))


def found(test: Test, rows: pl.DataFrame, by: str | list[str], strata: str | None) -> list[float]:
    """Statistic, degrees and p."""
    row = test(rows, by=by, strata=strata).frame.row(0, named=True)
    values = (row["statistic"], row["df"], row["p_value"])
    return [np.nan if value is None else float(value) for value in values]


def same(one: list[float], other: list[float]) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("strata", STRATA)
@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=20)
@given(rows=learners(), order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_new_names_and_another_order_of_groups_and_rows_change_no_p(
    test: Test, strata: str | None, rows: pl.DataFrame, order: list[int], seed: int
) -> None:
    names = {f"g{i}": f"{place} new" for i, place in enumerate(order)}
    renamed = rows.with_columns(pl.col("group").replace(names)).sample(
        fraction=1, shuffle=True, seed=seed
    )
    same(found(test, rows, "group", strata), found(test, renamed, "group", strata))


@pytest.mark.parametrize("strata", STRATA)
@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=15)
@given(rows=learners())
def test_names_split_over_two_columns_change_no_p(
    test: Test, strata: str | None, rows: pl.DataFrame
) -> None:
    number = pl.col("group").str.slice(1).cast(pl.Int64)
    split = rows.with_columns(tens=number // 2, units=number % 2)
    same(found(test, rows, "group", strata), found(test, split, ["units", "tens"], strata))


@pytest.mark.parametrize("strata", STRATA)
@settings(max_examples=20)
@given(rows=learners(), share=st.floats(0.1, 0.9))
def test_follow_up_split_in_two_episodes_changes_no_p(
    strata: str | None, rows: pl.DataFrame, share: float
) -> None:
    cut = (pl.col("duration") * share).floor()
    splits = cut > 0
    first = rows.filter(splits).with_columns(
        duration=cut, event=pl.lit(value=False), entry=pl.lit(0.0)
    )
    second = rows.with_columns(entry=cut)
    episodes = pl.concat([first, second])
    same(found(tk.logrank, rows, "group", strata), found(tk.logrank, episodes, "group", strata))


@pytest.mark.parametrize("strata", STRATA)
@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=20)
@given(rows=learners())
def test_a_group_that_meets_no_other_leaves_the_test(
    test: Test, strata: str | None, rows: pl.DataFrame
) -> None:
    gone = {"duration": 0.0, "event": False, "end": None, "group": "a first", "stratum": "s0"}
    more = pl.concat([rows, pl.DataFrame([gone] * 3, schema=rows.schema)])
    same(found(test, rows, "group", strata), found(test, more, "group", strata))
    assert not test(more, by="group", strata=strata).frame["is_compared"][0]


@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=40)
@given(rows=learners())
def test_the_degrees_are_one_less_than_there_are_groups_compared(
    test: Test, rows: pl.DataFrame
) -> None:
    result = test(rows, by="group").frame
    compared = result["is_compared"].sum()
    assume(compared > 0)
    assert result["df"].to_list() == [compared - 1] * result.height
    assert 0 <= result["p_value"][0] <= 1


@pytest.mark.parametrize("test", TESTS)
def test_a_small_group_beside_a_large_one_costs_one_degree(test: Test) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        rows = pl.DataFrame(
            {
                "duration": rng.exponential(50, 1000),
                "event": rng.random(1000) < 0.5,
                "group": np.where(rng.random(1000) < 0.97, "large", "small"),
            }
        ).with_columns(end=pl.when("event").then(pl.lit("passed")))
        assert test(rows, by="group").frame["df"].to_list() == [1, 1]


def test_groups_that_meet_only_within_strata_lose_a_degree_for_each_set() -> None:
    # In one stratum a meets b, in the other c meets d: two tests of one degree each, added up.
    rows = pl.DataFrame(
        {
            "duration": [1.0, 2.0, 3.0, 4.0] * 2,
            "event": True,
            "group": ["a", "b", "a", "b", "c", "d", "d", "c"],
            "stratum": ["s"] * 4 + ["t"] * 4,
        }
    )
    both = tk.logrank(rows, by="group", strata="stratum").frame.row(0, named=True)
    parts = [tk.logrank(rows.filter(stratum=s), by="group").frame.row(0, named=True) for s in "st"]
    assert both["df"] == sum(part["df"] for part in parts) == 2
    assert both["statistic"] == pytest.approx(sum(part["statistic"] for part in parts))


@pytest.mark.parametrize("seed", range(5))
def test_many_groups_meet_where_each_pair_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    n, k = 4_000, 30
    rows = pl.DataFrame(
        {
            "group": rng.integers(0, k, n),
            "duration": np.where(
                rng.random(n) < 0.5, rng.integers(1, 9, n), rng.exponential(5, n) + 0.1
            ),
            "event": rng.random(n) < 0.6,
        }
    ).with_columns(
        duration=pl.when(pl.col("group") == 3).then(0.0).otherwise("duration"),
        event=pl.col("event") & (pl.col("group") != 3),
    )
    in_blocks = tk.logrank(rows, by="group").frame
    module = import_module("toolkit.survival.logrank")  # the name is the function's as well
    monkeypatch.setattr(module, "_FEW_GROUPS", k + 1)
    assert not in_blocks["is_compared"][3]
    assert_frame_equal(tk.logrank(rows, by="group").frame, in_blocks, rel_tol=1e-9)
