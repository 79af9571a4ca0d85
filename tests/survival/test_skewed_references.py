"""Every survival statistic on groups of 97/3 and of 70/26/4 % beside R's.

`references/skewed.R` simulates the learners and makes the figures.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
CASES = [
    (by, time, late)
    for by in ("two", "three")
    for time in ("continuous", "days")
    for late in (0, 1)
]
HORIZON, MILESTONE = 80.0, 40.0


def reference(name: str, by: str, time: str, late: int) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / f"skewed_{name}.csv", infer_schema_length=None)
    floats = pl.col("^duration$").cast(pl.Float64)
    return frame.filter(by=by, time=time, late=late).with_columns(floats)


def learners(by: str, time: str, late: int) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / "skewed.csv", infer_schema_length=None)
    end = pl.col("end").replace_strict({0: None, 1: "1", 2: "2"}, return_dtype=pl.String)
    return frame.select(
        "stratum",
        group=by,
        duration=pl.col(time).cast(pl.Float64),
        event=pl.col("end") == 1,
        end=end,
        **({"entry": pl.col("entry").cast(pl.Float64)} if late else {}),
    )


def agree(ours: pl.DataFrame, theirs: pl.DataFrame, on: list[str], columns: dict[str, str]) -> None:
    """Hold our columns against theirs; every row of theirs has one of ours."""
    both = theirs.join(ours, on=on, suffix="_ours", how="left", maintain_order="left")
    assert both.height == theirs.height > 0
    for own, other in columns.items():
        name = f"{own}_ours" if own in theirs.columns else own
        np.testing.assert_allclose(
            both[name].cast(pl.Float64).fill_null(np.nan),
            both[other].cast(pl.Float64).fill_null(np.nan),
            rtol=1e-9,
            atol=1e-12,
            err_msg=own,
        )


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_curves_and_cumulative_hazards(case: tuple[str, str, int]) -> None:
    theirs = reference("curves", *case)
    times = theirs["duration"].unique().to_list()
    rows = learners(*case)
    on = ["group", "duration"]
    for ci in ("log-log", "log", "plain"):
        ours = tk.kaplan_meier(rows, by="group", times=times, ci=ci).frame
        r = ci.replace("-", "")
        agree(ours, theirs, on, {"survival": "survival", "std_error": "std_error"})
        passed = theirs.filter(pl.col("survival") < 1)
        agree(ours, passed, on, {"ci_low": f"{r}_low", "ci_high": f"{r}_high"})
    hazard = tk.survival.nelson_aalen(rows, by="group").frame
    wanted = theirs.select("group", at="duration").sort("at")
    last = wanted.join_asof(
        hazard.sort("duration"), left_on="at", right_on="duration", by="group"
    ).select("group", "cumulative_hazard", "std_error", duration="at")
    agree(last, theirs, on, {"cumulative_hazard": "cumulative_hazard", "std_error": "hazard_error"})


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_quantiles_and_restricted_means(case: tuple[str, str, int]) -> None:
    ours = tk.survival_summary(
        learners(*case), by="group", horizon=HORIZON, distribution="normal"
    ).frame
    same = {name: name for name in ("estimate", "std_error", "ci_low", "ci_high")}
    agree(ours, reference("summaries", *case), ["group", "statistic"], same)


@pytest.mark.parametrize("strata", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_logrank_tests(case: tuple[str, str, int], strata: int) -> None:
    theirs = reference("logrank", *case).filter(strata=strata)
    rows = learners(*case)
    within = "stratum" if strata else None
    ours = tk.logrank(rows, by="group", strata=within).frame.head(1)
    ours = ours.with_columns(group=pl.lit("all"), other=pl.lit("all"))
    test = {name: name for name in ("statistic", "df", "p_value")}
    agree(ours, theirs.filter(group="all"), ["group", "other"], test)
    pairs = tk.survival.logrank_pairs(rows, by="group", strata=within).frame
    test = {name: name for name in ("statistic", "p_value", "p_adjusted")}
    agree(pairs, theirs.filter(pl.col("group") != "all"), ["group", "other"], test)


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_differences(case: tuple[str, str, int]) -> None:
    rows, theirs = learners(*case), reference("differences", *case)
    means = tk.survival.rmst_difference(
        rows, by="group", horizon=HORIZON, distribution="normal"
    ).frame
    agree(means, theirs, ["group"], {
        "difference": "rmst", "ci_low": "rmst_low", "ci_high": "rmst_high", "p_value": "rmst_p",
        "ratio": "ratio", "ratio_ci_low": "ratio_ci_low", "ratio_ci_high": "ratio_ci_high",
        "ratio_p_value": "ratio_p",
    })  # fmt: skip
    shares = tk.survival.milestone_difference(rows, by="group", at=MILESTONE).frame
    agree(shares, theirs, ["group"], {
        "difference": "share", "ci_low": "share_low", "ci_high": "share_high", "p_value": "share_p",
    })  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_cumulative_incidence(case: tuple[str, str, int]) -> None:
    theirs = reference("incidences", *case).with_columns(pl.col("end").cast(pl.String))
    incidence = tk.survival.cumulative_incidence(learners(*case), by="group").frame.sort("duration")
    wanted = theirs.select("group", "end", at="duration").sort("at")
    last = wanted.join_asof(incidence, left_on="at", right_on="duration", by=["group", "end"])
    same = {name: name for name in ("cumulative_incidence", "std_error", "ci_low", "ci_high")}
    last = last.select("group", "end", *same, duration="at")
    on = ["group", "end", "duration"]
    agree(last, theirs, on, {"cumulative_incidence": "cumulative_incidence"})
    if not case[2]:  # R's errors are those of the infinitesimal jackknife; they agree but there
        agree(last, theirs.filter(pl.col("cumulative_incidence") > 0), on, same)


@pytest.mark.parametrize("strata", [0, 1])
@pytest.mark.parametrize("case", [case for case in CASES if not case[2]])
def test_cmprsk_gives_the_same_gray_tests(case: tuple[str, str, int], strata: int) -> None:
    within = "stratum" if strata else None
    for row in reference("gray", *case).filter(strata=strata).iter_rows(named=True):
        found = tk.survival.gray_test(
            learners(*case), by="group", end=str(row["end"]), strata=within
        ).frame
        ours = found.row(0, named=True)
        assert ours["df"] == row["df"]
        assert ours["statistic"] == pytest.approx(row["statistic"], rel=1e-9)
        assert ours["p_value"] == pytest.approx(row["p_value"], rel=1e-9)
