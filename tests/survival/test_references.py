"""The survival analyses beside R, lifelines, scikit-survival and what is printed in books.

`references/references.R` made the figures of R with the packages survival and cmprsk.
"""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
SETS = ["gehan", "pbc", "rossi", "ties"]
HORIZONS = {"gehan": 22.0, "pbc": 10.0, "rossi": 50.0, "ties": 20.0}


def reference(name: str, *, by_set: str | None = None) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / f"{name}.csv", infer_schema_length=None)
    return frame if by_set is None else frame.filter(set=by_set)


def data(name: str) -> pl.DataFrame:
    frame = reference(name).with_columns(
        pl.col("duration").cast(pl.Float64),
        pl.col("event").cast(pl.Boolean),
        pl.col("group").cast(pl.String),
    )
    if "end" in frame.columns:
        ends = pl.col("end").replace_strict({0: None, 1: "1", 2: "2"}, return_dtype=pl.String)
        frame = frame.with_columns(ends)
    return frame.drop("entry", strict=False)


def late_entries() -> pl.DataFrame:
    entries = reference("ties").select(pl.col("entry").cast(pl.Float64))
    return pl.concat([data("ties"), entries], how="horizontal").filter(pl.col("duration") > 0)


def agree(ours: pl.Series, theirs: pl.Series, *, rtol: float = 1e-10) -> None:
    np.testing.assert_allclose(
        ours.cast(pl.Float64).fill_null(np.nan).to_numpy(),
        theirs.cast(pl.Float64).fill_null(np.nan).to_numpy(),
        rtol=rtol,
        atol=1e-12,
    )


@pytest.mark.parametrize(("name", "kind"), [*((name, "right") for name in SETS), ("ties", "late")])
def test_r_gives_the_same_curves_errors_and_intervals(name: str, kind: str) -> None:
    theirs = reference("curves", by_set=name).filter(kind=kind)
    rows = late_entries() if kind == "late" else data(name)
    alive = pl.col("survival") > 0
    for ci in ("log-log", "log", "plain"):
        table = tk.kaplan_meier(rows, by="group", ci=ci).frame
        both = table.join(theirs, on=["group", "duration"], suffix="_r")
        assert both.height == theirs.height
        for column in ("n_at_risk", "n_events", "n_censored", "survival"):
            agree(both[column], both[f"{column}_r"])
        some = both.filter(alive)
        agree(some["std_error"], some["std_error_r"])
        prefix = ci.replace("-", "")
        agree(some["ci_low"], some[f"{prefix}_low"])
        agree(some["ci_high"], some[f"{prefix}_high"])


@pytest.mark.parametrize("name", SETS)
def test_r_gives_the_same_cumulative_hazard(name: str) -> None:
    table = tk.survival.nelson_aalen(data(name), by="group").frame
    theirs = (
        reference("curves", by_set=name)
        .filter(kind="right")
        .drop("cumulative_hazard_r", strict=False)
    )
    both = table.join(theirs, on=["group", "duration"], suffix="_r")
    assert both.height == theirs.height
    agree(both["cumulative_hazard"], both["cumulative_hazard_r"])
    agree(both["std_error"], both["chaz_error"])


@pytest.mark.parametrize("name", SETS)
def test_r_gives_the_same_medians_restricted_means_and_follow_up(name: str) -> None:
    theirs = reference("summaries", by_set=name)
    ours = tk.survival_summary(data(name), by="group", horizon=HORIZONS[name]).frame
    both = theirs.join(ours, on=["group", "statistic"], suffix="_ours", maintain_order="left")
    assert both.height == theirs.height
    agree(both["estimate_ours"], both["estimate"])
    agree(both["std_error_ours"], both["std_error"])
    quantiles = both.filter(pl.col("statistic") != "restricted mean")
    agree(quantiles["ci_low_ours"], quantiles["ci_low"])
    agree(quantiles["ci_high_ours"], quantiles["ci_high"])


@pytest.mark.parametrize("kind", ["logrank", "gray"])
def test_r_and_cmprsk_give_the_same_tests(kind: str) -> None:
    theirs = reference("tests").filter(pl.col("test").str.ends_with(kind))
    assert theirs.height == {"logrank": 7, "gray": 8}[kind]
    for row in theirs.iter_rows(named=True):
        strata = "stratum" if row["test"].startswith("stratified") else None
        test = (
            tk.logrank if kind == "logrank" else partial(tk.survival.gray_test, end=str(row["end"]))
        )
        ours = test(data(row["set"]), by="group", strata=strata).frame.row(0, named=True)
        assert ours["statistic"] == pytest.approx(row["statistic"], rel=1e-10)
        assert ours["df"] == row["df"]
        assert ours["p_value"] == pytest.approx(row["p_value"], rel=1e-9)


@pytest.mark.parametrize("name", ["pbc", "ties"])
def test_cmprsk_gives_the_same_cumulative_incidence(name: str) -> None:
    theirs = reference("incidences", by_set=name).with_columns(
        pl.col("group", "end").cast(pl.String)
    )
    ours = tk.survival.cumulative_incidence(data(name), by="group").frame
    both = theirs.join(ours, on=["group", "end", "duration"], suffix="_ours")
    assert both.height == theirs.height
    agree(both["cumulative_incidence_ours"], both["cumulative_incidence"])
    # cmprsk's variance divides by n - 1 where ours divides by n: alike while many are at risk.
    many = both.filter(pl.col("n_at_risk") > 30, pl.col("std_error") > 0)
    agree(many["std_error_ours"], many["std_error"], rtol=0.05)


def test_scikit_survival_gives_the_same_incidence_and_variance_at_ties() -> None:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    for group in "012":
        rows = data("ties").filter(group=group)
        # Where all leave at the last time scikit-survival's variance divides by 0.
        last = pl.col("duration") == pl.col("duration").max()
        rows = rows.with_columns(pl.when(~last).then(pl.col("end", "event"))).with_columns(
            pl.col("event").fill_null(value=False)
        )
        codes = rows["end"].fill_null("0").cast(pl.Int64).to_numpy()
        times, incidences, intervals = cumulative_incidence_competing_risks(
            codes, rows["duration"].to_numpy(), conf_type="log-log", var_type="Dinse_Approx"
        )
        ours = tk.survival.cumulative_incidence(rows).frame
        for i, end in enumerate("12", start=1):
            own = ours.filter(pl.col("end") == end, pl.col("duration").is_in(times.tolist()))
            np.testing.assert_allclose(own["cumulative_incidence"], incidences[i], rtol=1e-10)
            # Its interval is symmetric in log(-log F), so it tells the error.
            f = own["cumulative_incidence"].to_numpy()
            between = f > 0
            scale = np.log(-np.log(intervals[i][:, between]))
            error = (
                np.ptp(scale, axis=0) / (2 * 1.959963984540054) * -f[between] * np.log(f[between])
            )
            np.testing.assert_allclose(own["std_error"].to_numpy()[between], error, rtol=1e-8)


def test_the_leukemia_remission_curve_is_the_published_one() -> None:
    # Freireich et al. (1963), 6-MP arm, as printed in Kalbfleisch & Prentice (2002), 1.1.
    table = tk.kaplan_meier(data("gehan").filter(group="6-MP")).frame.filter(pl.col("n_events") > 0)
    assert table["duration"].to_list() == [6, 7, 10, 13, 16, 22, 23]
    assert table["n_at_risk"].to_list() == [21, 17, 15, 12, 11, 7, 6]
    survival = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    errors = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    assert table["survival"].round(3).to_list() == survival
    assert table["std_error"].round(4).to_list() == errors
    medians = tk.survival_summary(data("gehan"), by="group").frame.filter(statistic="median")
    assert medians["estimate"].to_list() == [23, 8]
    assert round(tk.logrank(data("gehan"), by="group").frame["statistic"][0], 2) == 16.79


def test_survrm2_published_the_same_restricted_means() -> None:
    # The vignette of survRM2, section 3: 312 patients of the PBC trial, horizon 10 years.
    rows = data("pbc")
    means = tk.survival_summary(rows, by="group", horizon=10, distribution="normal").frame.filter(
        statistic="restricted mean"
    )
    columns = ("estimate", "std_error", "ci_low", "ci_high")
    figures = [[round(row[name], 3) for name in columns] for row in means.rows(named=True)]
    assert figures == [[7.283, 0.295, 6.704, 7.863], [7.146, 0.283, 6.592, 7.701]]
    found = tk.survival.rmst_difference(
        rows, by="group", reference="0", horizon=10, distribution="normal"
    ).frame.row(0, named=True)
    names = ("difference", "ci_low", "ci_high", "p_value")
    assert [round(found[name], 3) for name in names] == [-0.137, -0.939, 0.665, 0.738]
    names = ("ratio", "ratio_ci_low", "ratio_ci_high", "ratio_p_value")
    assert [round(found[name], 3) for name in names] == [0.981, 0.878, 1.096, 0.738]


@pytest.mark.filterwarnings("ignore:The maximum number of subdivisions")
def test_lifelines_variance_of_the_restricted_mean_is_not_the_published_one() -> None:
    # Its issue 1682: what it calls the variance of the mean is that of a learner's time, 12.01.
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    rows = data("pbc").filter(group="0")
    fit = KaplanMeierFitter().fit(rows["duration"], rows["event"])
    mean, variance = restricted_mean_survival_time(fit, t=10, return_variance=True)
    ours = tk.survival_summary(rows, horizon=10).frame.filter(statistic="restricted mean")
    assert ours["estimate"][0] == pytest.approx(mean, rel=1e-10)
    assert ours["std_error"][0] ** 2 == pytest.approx(0.295478092235593**2, rel=1e-10)
    assert variance > 100 * ours["std_error"][0] ** 2


@pytest.mark.parametrize("name", ["waltons", "larynx", "lung", "gbsg2"])
def test_lifelines_gives_the_same_curve_on_its_own_data(name: str) -> None:
    import lifelines
    from lifelines import datasets

    columns = {
        "waltons": ("T", "E"),
        "larynx": ("time", "death"),
        "lung": ("time", "status"),
        "gbsg2": ("time", "cens"),
    }
    frame = getattr(datasets, f"load_{name}")()
    time, event = (frame[column].to_numpy() for column in columns[name])
    rows = pl.DataFrame({"duration": time.astype(float), "event": event.astype(bool)})
    fit = lifelines.KaplanMeierFitter().fit(time, event)
    table = tk.kaplan_meier(rows).frame
    theirs = fit.survival_function_["KM_estimate"].loc[table["duration"]].to_numpy()
    np.testing.assert_allclose(table["survival"], theirs, rtol=1e-10, atol=1e-15)
    median = tk.survival_summary(rows).frame.filter(statistic="median")["estimate"][0]
    assert (np.inf if median is None else median) == fit.median_survival_time_


def test_a_milestone_is_compared_on_the_complementary_log_log_scale() -> None:
    # By hand from R's curves: φ = log(-log S), its error = Greenwood's / (S log S).
    at = 10.0
    rows = reference("curves", by_set="gehan").filter(pl.col("duration") <= at)
    steps = {g: rows.filter(group=g).row(-1, named=True) for g in ("6-MP", "placebo")}
    score, variance = {}, 0.0
    for group, row in steps.items():
        s = row["survival"]
        score[group] = np.log(-np.log(s))
        variance += (row["std_error"] / (s * np.log(s))) ** 2
    z = (score["placebo"] - score["6-MP"]) / np.sqrt(variance)
    from scipy.stats import norm

    found = tk.survival.milestone_difference(
        data("gehan"), by="group", at=at, reference="6-MP"
    ).frame
    row = found.row(0, named=True)
    assert row["p_value"] == pytest.approx(2 * norm.sf(abs(z)), rel=1e-10)
    s1, s0 = steps["placebo"], steps["6-MP"]
    assert row["difference"] == pytest.approx(s0["survival"] - s1["survival"])
    width = np.hypot(s1["loglog_high"] - s1["survival"], s0["survival"] - s0["loglog_low"])
    assert row["ci_low"] == pytest.approx(row["difference"] - width)


def test_pairs_are_the_tests_of_two_groups_corrected_by_holm() -> None:
    from statsmodels.stats.multitest import multipletests

    rows = data("ties")
    pairs = tk.survival.logrank_pairs(rows, by="group").frame
    assert pairs.select("group", "other").rows() == [("0", "1"), ("0", "2"), ("1", "2")]
    for row in pairs.iter_rows(named=True):
        alone = rows.filter(pl.col("group").is_in([row["group"], row["other"]]))
        assert row["p_value"] == pytest.approx(tk.logrank(alone, by="group").frame["p_value"][0])
    corrected = multipletests(pairs["p_value"].to_numpy(), method="holm")[1]
    np.testing.assert_allclose(pairs["p_adjusted"], corrected)
