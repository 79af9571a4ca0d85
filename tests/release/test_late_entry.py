"""Released curves of learners who enter late are as uncertain as the exact ones."""

import polars as pl
import pytest
from late_entries import late_entries

import toolkit as tk

LATE = late_entries(0)


def test_errors_are_those_of_the_exact_curve() -> None:
    curve = tk.kaplan_meier(LATE, times=[20, 30, 45, 60])
    exact, safe = curve.frame, curve.release().frame
    assert safe["survival"].to_list() == pytest.approx(exact["survival"].to_list(), abs=0.02)
    assert safe["std_error"].to_list() == pytest.approx(exact["std_error"].to_list(), rel=0.08)


@pytest.mark.parametrize("n", [250, 300, 400])
@pytest.mark.parametrize("cluster", [None, "learner"])
def test_means_are_as_uncertain_as_the_exact_ones(n: int, cluster: str | None) -> None:
    rows = late_entries(0, n).with_columns(learner=pl.int_range(pl.len()) // 2)
    found = tk.survival.rmst_difference(rows, by="g", horizon=45, cluster=cluster)
    exact, safe = (
        frame["ci_high"][0] - frame["ci_low"][0] for frame in (found.frame, found.release().frame)
    )
    assert safe == pytest.approx(exact, rel=0.08)
    means = tk.survival_summary(rows, horizon=45, cluster=cluster).filter(
        statistic="restricted mean"
    )
    exact, safe = (frame["std_error"][0] for frame in (means.frame, means.release().frame))
    assert safe == pytest.approx(exact, rel=0.08)


@pytest.mark.parametrize("n", [400, 1500])
@pytest.mark.parametrize("cluster", [None, "learner"])
def test_incidences_are_as_uncertain_as_the_exact_ones(n: int, cluster: str | None) -> None:
    ends = pl.when("event").then(pl.lit("passed")).when(pl.int_range(pl.len()) % 3 == 0)
    rows = late_entries(0, n).with_columns(
        end=ends.then(pl.lit("left")), learner=pl.int_range(pl.len()) // 2
    )
    found = tk.survival.cumulative_incidence(rows, times=[30, 45, 60], cluster=cluster)
    exact, safe = found.frame["std_error"], found.release().frame["std_error"]
    assert safe.to_list() == pytest.approx(exact.to_list(), rel=0.15)
    assert (safe > 0.95 * exact).all()


def test_without_late_entry_nothing_is_measured_on_the_records() -> None:
    rows = LATE.drop("entry")
    whole = LATE.with_columns(entry=0.0)
    safe, same = (tk.kaplan_meier(frame, by="g").release().frame for frame in (rows, whole))
    assert safe.equals(same)


@pytest.mark.parametrize("earliest", [0, 20])
def test_a_hazard_is_withheld_where_few_are_at_risk(earliest: int) -> None:
    found = tk.survival.smoothed_hazard(late_entries(earliest), by="g")
    exact, safe = found.frame, found.release().frame
    both = safe.join(exact, on=["g", "duration"], suffix="_exact")
    assert both.height == safe.height > 10
    few = both["n_at_risk_exact"] < 10
    assert few.any()
    hidden = ["n_at_risk", "hazard", "std_error", "ci_low", "ci_high"]
    assert both.filter(few).select(pl.all_horizontal(pl.col(hidden).is_null()).all()).item()
    assert set(both.filter(few)["status"]) == {"withheld: fewer than 10 learners"}
    away = both.filter(~few)["n_at_risk"] - both.filter(~few)["n_at_risk_exact"]
    assert away.abs().max() < 5
