"""Curves standardized over strata, beside R's; see `standardized.R`."""

import runpy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

import toolkit as tk
from toolkit.analyses.spread import Distribution, Spread

FOLDER = Path(__file__).parents[1] / "references"
THEIRS = pl.read_csv(FOLDER / "standardized.csv")


def durations(name: str) -> pl.DataFrame:
    if name == "pbc":
        rows = pl.read_csv(FOLDER / "pbc.csv").with_columns(pl.col("event") == 1)
        return rows.with_columns(id=(pl.int_range(pl.len()) + 1) % 100)
    rows = pl.read_csv(FOLDER / "clustered.csv").with_columns(
        pl.col("event") == 1, group="course", duration=pl.col("days").cast(pl.Float64)
    )
    return rows if name == "late" else rows.drop("entry")


def assert_same(
    rows: pl.DataFrame, name: str, by: str, strata: str | list[str], cluster: str = "id"
) -> None:
    theirs = THEIRS.filter(set=name)
    times = theirs["time"].unique().to_list()
    for of, error in ((None, "std_error"), (cluster, "robust_error")):
        found = tk.kaplan_meier(rows, by=by, strata=strata, times=times, cluster=of)
        ours = found.frame.sort(by, "duration")
        assert ours["survival"].to_list() == pytest.approx(theirs["survival"].to_list(), rel=1e-8)
        assert ours["std_error"].to_list() == pytest.approx(theirs[error].to_list(), rel=1e-8)
    whole = tk.kaplan_meier(rows, by=by, strata=strata).frame
    learners = whole.group_by(by).agg(pl.col("n_events", "n_censored").sum()).sort(by)
    sizes = learners.select(pl.col("n_events") + pl.col("n_censored")).to_series()
    assert sizes.to_list() == theirs.unique("group", maintain_order=True)["n"].to_list()


@pytest.mark.parametrize("name", ["pbc", "clustered", "late"])
def test_r_gives_the_same_standardized_curves_and_errors(name: str) -> None:
    assert_same(durations(name), name, "group", "stratum")


@pytest.mark.slow
def test_r_gives_the_same_standardized_curves_of_real_learners(oulad_dir: Path) -> None:
    made = runpy.run_path(str(FOLDER / "oulad_durations.py"))
    rows = made["dated"](made["durations"](oulad_dir)).filter(pl.col("excluded").is_null())
    columns = {"by": "gender", "strata": "course_id", "cluster": "username"}
    assert_same(rows, "oulad", **columns)
    assert_same_means(rows, "oulad", **columns)
    assert_same_means(rows, "oulad", **columns | {"cluster": None})


def assert_same_means(
    rows: pl.DataFrame, name: str, by: str, strata: str, cluster: str | None
) -> None:
    theirs = THEIRS.filter(set=name).drop_nulls("mean")
    error = pl.col("robust_mean_error" if cluster else "mean_error")
    for (time,), both in theirs.group_by("time"):
        base, mean = both.sort("group")["mean"]
        base_error, own_error = both.sort("group").select(error).to_series()
        covariance = both.sort("group")["mean_covariance"][1] if cluster else 0.0
        found = tk.survival.rmst_difference(
            rows, by=by, horizon=time, strata=strata, cluster=cluster, distribution="normal"
        ).frame.row(0, named=True)
        assert found["restricted_mean"] == pytest.approx(mean, rel=1e-8)
        assert found["reference_mean"] == pytest.approx(base, rel=1e-8)
        half = 1.959963984540054 * np.sqrt(own_error**2 + base_error**2 - 2 * covariance)
        ends = [found["ci_low"], found["ci_high"]]
        assert ends == pytest.approx([mean - base - half, mean - base + half], rel=1e-8)
        of_logs = (own_error / mean) ** 2 + (base_error / base) ** 2
        log_half = 1.959963984540054 * np.sqrt(of_logs - 2 * covariance / mean / base)
        assert found["ratio_ci_high"] == pytest.approx(mean / base * np.exp(log_half), rel=1e-8)
        of_test = stats.norm.sf(abs(mean - base) / half * 1.959963984540054)
        assert found["p_value"] == pytest.approx(2 * of_test, rel=1e-7)


@pytest.mark.parametrize("name", ["pbc", "clustered", "late"])
@pytest.mark.parametrize("cluster", [None, "id"])
def test_r_gives_the_same_difference_of_standardized_means(name: str, cluster: str | None) -> None:
    assert_same_means(durations(name), name, "group", "stratum", cluster)


@pytest.mark.parametrize("cluster", [None, "id"])
def test_one_stratum_gives_the_plain_difference_of_means(cluster: str | None) -> None:
    rows = durations("clustered").with_columns(one=pl.lit("x"))
    for horizon in (None, 1.0, 40.0, 1e6):
        options = {"by": "group", "horizon": horizon, "cluster": cluster}
        plain = tk.survival.rmst_difference(rows, **options)
        same = tk.survival.rmst_difference(rows, strata="one", **options)
        assert_frame_equal(same.frame.drop("within"), plain.frame, rel_tol=1e-8, abs_tol=1e-12)
        counts = ["n_learners", "n_reference", "horizon", "difference", "status"]
        shown, told = (result.release().frame for result in (plain, same))
        assert_frame_equal(told.select(counts), shown.select(counts))


@pytest.mark.parametrize("last", [True, False])
def test_one_stratum_gives_the_plain_difference_of_shares(last: bool) -> None:
    # Where all of a group have passed, nothing is left that could be correlated.
    rows = durations("clustered").with_columns(one=pl.lit("x"))
    is_last = (pl.col("group") == pl.col("group").min()) & (pl.col("duration") >= 40)
    rows = rows.with_columns(event=pl.col("event") | (is_last & last))
    compare = partial(tk.survival.milestone_difference, rows, by="group", cluster="id")
    for at in (1.0, 20.0, float(rows["duration"].to_numpy().max())):
        plain, same = compare(at=at), compare(at=at, strata="one")
        assert_frame_equal(same.frame.drop("within"), plain.frame, rel_tol=1e-8, abs_tol=1e-12)


@pytest.mark.parametrize("seed", range(4))  # sums of another order differ in their last digit
@pytest.mark.parametrize("strata", [None, "stratum"])
def test_groups_of_the_same_learners_differ_by_nothing(strata: str | None, seed: int) -> None:
    rows = durations("clustered").with_columns(group=pl.lit("a"))
    both = pl.concat([rows, rows.with_columns(group=pl.lit("b"))])
    both = both.sample(fraction=1, shuffle=True, seed=seed)
    options = {"by": "group", "strata": strata, "cluster": "id"}
    of_means = tk.survival.rmst_difference(both, horizon=40, **options)
    of_shares = tk.survival.milestone_difference(both, at=40, **options)
    for found, width in ((of_means, 1e-6), (of_shares, 0.01)):  # log-log ends are not symmetric
        ends = found.frame.select("difference", "ci_low", "ci_high").row(0)
        assert ends == pytest.approx((0, 0, 0), abs=width)
        assert found.frame["p_value"].to_list() == [None]


@pytest.mark.parametrize("ulps", [-4, -1, 0, 1, 4])
@pytest.mark.parametrize("of_correlation", [-4, -1, 0])
@pytest.mark.parametrize("distribution", ["t", "normal"])
def test_rounding_is_no_spread(ulps: int, of_correlation: int, distribution: Distribution) -> None:
    error, ulp = 0.037, np.finfo(float).eps
    errors, correlation = [error, error * (1 + ulps * ulp)], 1 + of_correlation * ulp
    assert Spread.of(errors, [50, 50], distribution, correlation=correlation).error == 0


def compared(rows: pl.DataFrame, error: str, covariance: pl.Expr) -> pl.DataFrame:
    """Of two groups at each time, first minus second on the scale of log(-log)."""
    first, other = (rows.filter(group=group) for group in rows["group"].unique().sort())
    both = first.join(other, on="time", suffix="_b").with_columns(covariance.alias("both"))
    s, t = pl.col("survival"), pl.col("survival_b")
    a, b = 1 / (s * s.log()), 1 / (t * t.log())
    spread = (a * pl.col(error)) ** 2 + (b * pl.col(f"{error}_b")) ** 2 - 2 * a * b * pl.col("both")
    z = ((-t.log()).log() - (-s.log()).log()) / spread.sqrt()
    return both.select("time", z=z, difference=s - t)


@pytest.mark.parametrize("name", ["pbc", "clustered", "late"])
@pytest.mark.parametrize("cluster", [None, "id"])
def test_r_gives_the_same_difference_of_standardized_shares(name: str, cluster: str | None) -> None:
    rows = durations(name).with_columns(pl.col("group").cast(pl.String))
    theirs = THEIRS.filter(set=name).with_columns(pl.col("group").cast(pl.String))
    error = "robust_error" if cluster else "std_error"
    known = compared(theirs, error, pl.col("covariance_b") if cluster else pl.lit(0.0))
    for time, z, difference in known.drop_nulls().iter_rows():
        found = tk.survival.milestone_difference(
            rows, by="group", at=time, strata="stratum", cluster=cluster
        ).frame.row(0, named=True)
        assert found["difference"] == pytest.approx(difference, rel=1e-8)
        if cluster is None:
            assert found["p_value"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-7)
        else:  # with the factor G / (G - 1) and Student's t
            n = rows.group_by("group").agg(pl.col("id").n_unique())["id"].min()
            p = 2 * stats.t.sf(abs(z) * np.sqrt((n - 1) / n), n - 1)
            assert found["p_value"] == pytest.approx(p, abs=0.02)
        assert (found["ci_low"] > 0 or found["ci_high"] < 0) == (found["p_value"] < 0.05)


@pytest.mark.parametrize(
    ("compare", "sign", "near"),
    [
        (partial(tk.survival.milestone_difference, at=65), 1, {"difference": 0.03, "ci_low": 0.05}),
        (partial(tk.survival.rmst_difference, horizon=65), -1, {"difference": 1, "ci_high": 1}),
    ],
    ids=["shares", "means"],
)
def test_a_standardized_difference_says_of_which_mixture(
    compare: Any, sign: int, near: dict[str, float]
) -> None:
    rows = reversed_by_courses()
    result = compare(rows, by="mode", strata="course_id")
    plain = compare(rows, by="mode")
    assert sign * result.frame["difference"][0] > 0 > sign * plain.frame["difference"][0]
    told = result.release().frame
    for name, most in near.items():
        assert told[name][0] == pytest.approx(result.frame[name][0], abs=most)
    assert "standardized by course" in result.narrate()
    assert "Standardized by course" in str(result.chart().to_dict()["title"])


@pytest.mark.parametrize("cluster", [None, "id"])
def test_one_stratum_gives_the_plain_curve(cluster: str | None) -> None:
    rows = durations("clustered").with_columns(one=pl.lit("x"))
    for times in (None, [5.0, 30.0, 1e6]):
        plain = tk.kaplan_meier(rows, by="group", times=times, cluster=cluster)
        same = tk.kaplan_meier(rows, by="group", strata="one", times=times, cluster=cluster)
        assert_frame_equal(same.frame.drop("within"), plain.frame, rel_tol=1e-10, abs_tol=1e-12)
        shown, told = (result.release().frame for result in (plain, same))
        counts = ["duration", "n_at_risk", "n_events", "survival", "status"]
        assert_frame_equal(told.select(counts), shown.select(counts))


def test_the_robust_error_is_that_of_moving_one_clusters_weight() -> None:
    # An oracle that knows no formula; the strata's weights stay as they are.
    rows = durations("late").with_columns(start=pl.col("entry").replace({0: -1}))
    sizes = rows.group_by("stratum").len()
    weights = dict(zip(sizes["stratum"], sizes["len"] / sizes["len"].sum(), strict=True))
    found = tk.kaplan_meier(rows, by="group", strata="stratum", cluster="id").frame
    for (group,), part in rows.group_by("group"):
        parts = [
            (weights[name], own.select("id", "start", "duration", "event").to_numpy())
            for (name,), own in part.group_by("stratum")
        ]
        for at in (7.0, 33.0):
            slopes = [
                (mixture(parts, one, 1 + 1e-5, at) - mixture(parts, one, 1 - 1e-5, at)) / 2e-5
                for one in part["id"].unique()
            ]
            row = found.filter(pl.col("duration") <= at, group=group).row(-1, named=True)
            assert row["std_error"] == pytest.approx(np.linalg.norm(slopes), rel=1e-6)


def mixture(parts: list[tuple[float, np.ndarray]], cluster: int, weight: float, at: float) -> float:
    return sum(share * weighted(rows, cluster, weight, at) for share, rows in parts)


def weighted(rows: np.ndarray, cluster: int, weight: float, at: float) -> float:
    """The curve at a time where the rows of one cluster count for this much."""
    own, start, time, event = rows.T
    weights = np.where(own == cluster, weight, 1.0)
    survival = 1.0
    for t in np.unique(time[(event == 1) & (time <= at)]):
        at_risk = weights[(time >= t) & (start < t)].sum()
        survival *= 1 - weights[(time == t) & (event == 1)].sum() / at_risk
    return survival


def test_every_learner_twice_says_no_more_than_once() -> None:
    rows = durations("clustered").unique("id", maintain_order=True)
    other = pl.when(pl.col("stratum") == "p").then(pl.lit("q")).otherwise(pl.lit("p"))
    twice = pl.concat([rows, rows.with_columns(stratum=other)])
    found = tk.kaplan_meier(twice, by="group", strata="stratum", cluster="id", times=[20, 40])
    once = tk.kaplan_meier(rows, by="group", times=[20, 40], cluster="id").frame
    for name in ("survival", "std_error", "ci_low", "ci_high"):
        assert found.frame[name].to_list() == pytest.approx(once[name].to_list(), rel=1e-8)
    told = found.release().frame
    assert told["ci_low"].to_list() == pytest.approx(once["ci_low"].to_list(), abs=0.05)


# Verified learners pass sooner in each course, but most of them are in the slow one.
CELLS = [("audit", "fast", 900, 10), ("audit", "slow", 100, 100),
         ("verified", "fast", 100, 9), ("verified", "slow", 900, 90)]  # fmt: skip


def reversed_by_courses() -> pl.DataFrame:
    rows = [
        (mode, course, float(days * (1 + place % 7)), True)
        for mode, course, n, days in CELLS
        for place in range(n)
    ]
    columns = ["mode", "course_id", "duration", "event"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_groups_are_compared_at_the_same_mixture_of_courses() -> None:
    rows = reversed_by_courses()
    plain = tk.kaplan_meier(rows, by="mode", times=[65]).frame["survival"].to_list()
    result = tk.kaplan_meier(rows, by="mode", strata="course_id", times=[65])
    fair = result.frame["survival"].to_list()
    assert plain[0] < plain[1]
    assert fair[0] > fair[1]
    assert result.frame["within"].to_list() == ["course_id"] * 2
    told = result.release().frame
    assert told["survival"].to_list() == pytest.approx(fair, abs=0.02)
    assert told["ci_low"].to_list() == pytest.approx(result.frame["ci_low"].to_list(), abs=0.03)
    assert "standardized by course" in result.narrate()
    assert "Standardized by course" in str(result.chart().to_dict()["title"])


def test_a_stratum_with_few_of_a_group_is_left_out_and_counted() -> None:
    rows = reversed_by_courses()
    few = pl.DataFrame({"mode": "audit", "course_id": "rare", "duration": 5.0, "event": True})
    both = pl.concat([rows, few.select(rows.columns)])
    found = tk.kaplan_meier(both, by="mode", strata="course_id").frame
    without = tk.kaplan_meier(rows, by="mode", strata="course_id").frame
    assert_frame_equal(found.drop("n_excluded"), without.drop("n_excluded"))
    assert found.filter(mode="audit")["n_excluded"].unique().to_list() == [1]
    bare = tk.kaplan_meier(both, by="mode", strata="course_id").release(min_n=None)
    told = "1 without a known time, or in a course with few learners of a group"
    assert f"Left out: {told}." in str(bare.narrate())
    assert told in " ".join(bare.chart().to_dict()["title"]["subtitle"])
    with pytest.raises(tk.errors.ArgumentError, match="no stratum has at least 10 learners"):
        tk.kaplan_meier(rows.gather_every(150), by="mode", strata="course_id")


def test_a_standardized_curve_ends_where_that_of_a_stratum_does() -> None:
    rows = reversed_by_courses().with_columns(
        event=pl.col("event") & ~((pl.col("course_id") == "fast") & (pl.col("duration") > 30))
    )
    found = tk.kaplan_meier(rows, by="mode", strata="course_id").frame
    ends = found.group_by("mode").agg(pl.col("duration").max()).sort("mode")["duration"].to_list()
    assert ends == [70, 63]
    whole = found.group_by("mode").agg(n=(pl.col("n_events") + pl.col("n_censored")).sum())
    assert whole["n"].to_list() == [1000, 1000]


def test_curves_are_standardized_only_in_groups() -> None:
    rows = durations("clustered")
    with pytest.raises(tk.errors.ArgumentError, match="by must name the column"):
        tk.kaplan_meier(rows, strata="stratum")
    nothing = tk.kaplan_meier(rows.clear(), by="group", strata="stratum")
    assert nothing.frame.is_empty()


@pytest.mark.parametrize("cluster", [None, "id"])
@pytest.mark.parametrize("n_strata", range(2, 12))
def test_before_the_first_pass_the_interval_is_that_of_all_learners(
    n_strata: int, cluster: str | None
) -> None:
    """However the weights of the strata add up."""
    strata = [stratum for stratum in range(n_strata) for _ in range(21 + 2 * stratum)]
    learners = pl.DataFrame({"stratum": strata * 2}).with_columns(
        id=pl.int_range(pl.len()),
        mode=pl.when(pl.int_range(pl.len()) < len(strata)).then(pl.lit("a")).otherwise(pl.lit("b")),
        duration=pl.int_range(pl.len()) % 7 + 3.0,
        event=pl.int_range(pl.len()) % 3 > 0,
    )
    plain, standardized = (
        tk.kaplan_meier(learners, by="mode", cluster=cluster, strata=names)
        for names in (None, "stratum")
    )
    columns = ["mode", "n_at_risk", "survival", "std_error", "ci_low", "ci_high"]
    both = plain, standardized
    for one, other in ([r.frame for r in both], [r.release().frame for r in both]):
        assert_frame_equal(
            *(f.filter(duration=0).select(columns) for f in (one, other)), abs_tol=0.0
        )
