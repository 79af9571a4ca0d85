import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.schemas.outcome_results import DISTRIBUTION


def graded(*grades: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"percent_grade": grades, "completion": grades, "in_enrollments": True},
        schema_overrides={"percent_grade": pl.Float64, "completion": pl.Float64},
    )


def test_missing_zero_and_out_of_range_are_apart() -> None:
    table = tk.grade_distribution(graded(None, 0, 0, 0.1, 0.6, 1, 1.5, -0.2), bins=2).frame
    assert table.schema == DISTRIBUTION.polars_schema
    assert table.drop("measure").rows() == [
        # part, low, high, enrolled, valued, learners, up to, share, ecdf
        ("missing", None, None, 8, 5, 1, None, 1 / 8, None),
        ("zero", None, None, 8, 5, 2, None, 2 / 8, None),
        ("bin", 0.0, 0.5, 8, 5, 1, 3, 1 / 8, 3 / 5),
        ("bin", 0.5, 1.0, 8, 5, 2, 5, 2 / 8, 1.0),
        ("out of range", None, None, 8, 5, 2, None, 2 / 8, None),
    ]
    assert table["measure"].unique().to_list() == ["percent_grade"]


@pytest.mark.parametrize("bins", [3, 7, 10, 20, 100])
def test_a_value_on_an_edge_lies_in_the_bin_that_begins_there(bins: int) -> None:
    edges = [k / bins for k in range(1, bins)]
    table = tk.grade_distribution(graded(*edges), bins=bins).frame.filter(pl.col("part") == "bin")
    assert table["n_learners"].to_list() == [0, *[1] * (bins - 1)]


def test_a_hundredth_lies_in_its_own_bin_of_a_hundred() -> None:
    hundredths = [float(f"0.{k:02}") for k in range(1, 100)]
    table = tk.grade_distribution(graded(*hundredths), bins=100).frame.filter(
        pl.col("part") == "bin"
    )
    assert table["n_learners"].to_list() == [0, *[1] * 99]


@settings(max_examples=25)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1), st.integers(1, 40))
def test_bins_and_shares_agree_with_numpy(grades: list[float | None], bins: int) -> None:
    table = tk.completion_distribution(graded(*grades), bins=bins).frame
    inside = table.filter(pl.col("part") == "bin")
    positive = [grade for grade in grades if grade]
    edges = np.array([k / bins for k in range(bins + 1)])
    assert inside["n_learners"].to_list() == np.histogram(positive, bins=edges)[0].tolist()
    assert table["n_learners"].sum() == len(grades)
    values = np.array([grade for grade in grades if grade is not None])
    for high, ecdf in inside.select("bin_high", "ecdf").iter_rows():
        if values.size:
            expected = np.mean(values < high) if high < 1 else 1.0
            assert ecdf == pytest.approx(expected, abs=1e-12)


def test_every_group_has_every_bin() -> None:
    pc = graded(0.1, 0.9).with_columns(mode=pl.Series(["audit", None]))
    table = tk.grade_distribution(pc, by="mode", bins=4).frame
    assert table["mode"].to_list() == [None] * 7 + ["audit"] * 7
    assert table["n_learners"].to_list() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert table["n_enrolled"].to_list() == [1] * 14


def test_nobody_has_bins_without_shares() -> None:
    table = tk.grade_distribution(graded(), bins=2).frame
    assert table["n_learners"].to_list() == [0] * 5
    assert table["ecdf"].null_count() == 5


def test_an_impossible_number_of_bins_is_refused() -> None:
    for bins in (0, 1_001):
        with pytest.raises(tk.errors.ArgumentError, match="bins"):
            tk.grade_distribution(graded(0.5), bins=bins)


def test_the_edges_of_bins_are_the_decimals_they_are_meant_to_be() -> None:
    pc = pl.DataFrame({"in_enrollments": True, "percent_grade": [k / 100 for k in range(1, 100)]})
    table = tk.grade_distribution(pc, bins=100).frame.filter(part="bin")
    assert table["bin_low"].to_list() == [k / 100 for k in range(100)]
    assert table["bin_high"].to_list() == [k / 100 for k in range(1, 101)]
    # Each grade lies in the bin that begins at it, the floats below their decimal too.
    assert table["n_learners"].to_list() == [0, *[1] * 99]


@pytest.mark.parametrize("seed", range(5))
def test_a_released_cumulative_share_never_falls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "percent_grade": rng.random(300),
            "mode": rng.choice(["audit", "honor"], 300),
            "record_key": rng.integers(0, 2**32, 300),
        }
    )
    for by in (None, "mode"):
        bins = tk.grade_distribution(pc, by=by, bins=50).release().frame.filter(part="bin")
        for part in bins.partition_by(by) if by else [bins]:
            shares = part["ecdf"].drop_nulls()
            assert shares.is_sorted()
            assert shares[-1] == 1
            counts = part["n_up_to"].drop_nulls() / part["n_valued"][0]
            assert counts.to_list() == pytest.approx(shares.to_list())
