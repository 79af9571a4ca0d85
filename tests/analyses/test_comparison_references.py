"""Comparisons of shares on groups of 97/3 and of 70/26/4 % beside R's; see `skewed.R`."""

from pathlib import Path

import polars as pl
import pytest

import toolkit as tk
from toolkit.analyses.comparisons import Comparison

FOLDER = Path(__file__).parents[1] / "references"


def comparison(by: str) -> Comparison:
    learners = pl.read_csv(FOLDER / "skewed.csv", infer_schema_length=None)
    pc = learners.select(
        by,
        passed=pl.col("reached") == 1,
        in_enrollments=True,
        completion=pl.lit(None, pl.Float64),
        percent_grade=pl.lit(None, pl.Float64),
    )
    return tk.compare_groups(pc, outcome="passed", by=by)


@pytest.mark.parametrize("by", ["two", "three"])
def test_r_gives_the_same_test_over_all_groups(by: str) -> None:
    theirs = pl.read_csv(FOLDER / "skewed_shares.csv").filter(by=by)
    ours = comparison(by)
    assert ours.groups.frame["n_learners"].to_list() == theirs["n_learners"].to_list()
    assert ours.groups.frame["n_reached"].to_list() == theirs["n_reached"].to_list()
    assert ours.test.frame["df"].item() == theirs["df"][0] == theirs.height - 1
    assert ours.test.frame["statistic"].item() == pytest.approx(theirs["statistic"][0], rel=1e-9)
    assert ours.test.frame["p_value"].item() == pytest.approx(theirs["p_value"][0], rel=1e-9)
    assert ours.test.frame["cramers_v"].item() == pytest.approx(theirs["cramers_v"][0], rel=1e-9)


@pytest.mark.parametrize("by", ["two", "three"])
def test_r_gives_the_same_pairs(by: str) -> None:
    theirs = pl.read_csv(FOLDER / "skewed_pairs.csv").filter(by=by)
    ours = comparison(by).pairs.frame
    columns = {
        "difference": "difference",
        "difference_ci_low": "low",
        "difference_ci_high": "high",
        "simultaneous_low": "all_low",
        "simultaneous_high": "all_high",
        "ratio": "ratio",
        "ratio_ci_low": "ratio_ci_low",
        "ratio_ci_high": "ratio_ci_high",
        "statistic": "statistic",
        "p_value": "p_value",
        "p_adjusted": "p_adjusted",
    }
    for own, other in columns.items():
        assert ours[own].to_list() == pytest.approx(theirs[other].to_list(), rel=1e-9), own


@pytest.mark.parametrize("by", ["two", "three"])
def test_r_gives_the_same_wilson_intervals(by: str) -> None:
    from toolkit.analyses.intervals import wilson

    theirs = pl.read_csv(FOLDER / "skewed_shares.csv").filter(by=by)
    low, high = wilson(pl.col("n_reached"), pl.col("n_learners"))
    ours = theirs.select(low=low, high=high)
    assert ours["low"].to_list() == pytest.approx(theirs["ci_low"].to_list(), rel=1e-9)
    assert ours["high"].to_list() == pytest.approx(theirs["ci_high"].to_list(), rel=1e-9)
