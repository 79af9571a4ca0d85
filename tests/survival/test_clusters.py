"""Learners in several courses beside the robust tests of R; see `references/clustered.R`."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy import stats

import toolkit as tk
from toolkit.analyses import clusters as rate_clusters
from toolkit.survival import clusters, ranges

FOLDER = Path(__file__).parents[1] / "references"
TESTS = pl.read_csv(FOLDER / "clustered_logrank.csv").rows(named=True)
AT, HORIZON = 40, 60  # as in clustered.R
CASES = sorted({(row["by"], row["time"], row["late"]) for row in TESTS})


def reference(name: str, case: tuple[str, str, int]) -> list[dict[str, Any]]:
    """The figures of R for these groups and times, with or without late entry."""
    by, time, late = case
    frame = pl.read_csv(FOLDER / f"clustered_{name}.csv").filter(by=by, time=time, late=late)
    assert frame.height
    return frame.rows(named=True)


def learners(time: str = "days", *, late: bool = False) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / "clustered.csv")
    entry = [pl.col("entry").cast(pl.Float64)] if late else []
    return frame.select(
        "id",
        "mode",
        "course",
        "stratum",
        *entry,
        duration=pl.col(time).cast(pl.Float64),
        event=pl.col("event") == 1,
    )


@pytest.mark.parametrize("row", TESTS)
def test_r_gives_the_same_robust_logrank_tests(row: dict[str, object]) -> None:
    rows = learners(str(row["time"]), late=bool(row["late"]))
    strata = "stratum" if row["strata"] else None
    by = str(row["by"])
    ours = tk.logrank(rows, by=by, strata=strata, cluster="id").frame.row(0, named=True)
    assert ours["df"] == row["df"]
    assert ours["statistic"] == pytest.approx(row["statistic"], rel=1e-8)
    assert ours["p_value"] == pytest.approx(row["p_value"], rel=1e-8)


@pytest.mark.parametrize(
    "row", pl.read_csv(FOLDER / "clustered_logrank_pairs.csv").rows(named=True)
)
def test_r_gives_the_same_robust_tests_of_pairs(row: dict[str, object]) -> None:
    rows = learners(str(row["time"]), late=bool(row["late"]))
    strata = "stratum" if row["strata"] else None
    pairs = tk.survival.logrank_pairs(rows, by="mode", strata=strata, cluster="id").frame
    [own] = pairs.filter(group=row["group"], other=row["other"]).rows(named=True)
    assert own["statistic"] == pytest.approx(row["statistic"], rel=1e-8)
    assert own["p_value"] == pytest.approx(row["p_value"], rel=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_robust_errors_of_curves(case: tuple[str, str, int]) -> None:
    by, time, late = case
    rows = learners(time, late=bool(late))
    ours = tk.kaplan_meier(rows, by=by, times=[5, 20, 40, 60], cluster="id").frame
    for row in reference("curves", case):
        [own] = ours.filter(pl.col(by) == row["group"], duration=row["duration"]).rows(named=True)
        for name in ("survival", "std_error", "ci_low", "ci_high"):
            assert own[name] == pytest.approx(row[name], rel=1e-8), (row, name)


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_robust_errors_of_restricted_means(case: tuple[str, str, int]) -> None:
    by, time, late = case
    rows = learners(time, late=bool(late))
    ours = tk.survival_summary(rows, by=by, horizon=HORIZON, cluster="id").frame
    ours = ours.filter(statistic="restricted mean")
    for row in reference("means", case):
        [own] = ours.filter(pl.col(by) == row["group"]).rows(named=True)
        for name in ("estimate", "std_error", "ci_low", "ci_high"):
            assert own[name] == pytest.approx(row[name], rel=1e-8), (row, name)


@pytest.mark.parametrize("case", CASES)
def test_r_gives_the_same_robust_differences(case: tuple[str, str, int]) -> None:
    by, time, late = case
    rows = learners(time, late=bool(late))
    means = tk.survival.rmst_difference(
        rows, by=by, horizon=HORIZON, cluster="id", distribution="normal"
    ).frame
    shares = tk.survival.milestone_difference(rows, by=by, at=AT, cluster="id").frame
    sizes = rows.group_by(by).agg(pl.col("id").n_unique()).sort(by)["id"].to_list()
    for place, row in enumerate(reference("differences", case), start=1):
        [own] = means.filter(pl.col(by) == row["group"]).rows(named=True)
        assert own["difference"] == pytest.approx(row["rmst"], rel=1e-8)
        half = 1.959963984540054 * row["normal_error"]
        assert own["ci_high"] == pytest.approx(row["rmst"] + half, rel=1e-8)
        assert own["p_value"] == pytest.approx(row["normal_p"], rel=1e-7)
        assert own["ratio_p_value"] == pytest.approx(row["ratio_normal_p"], rel=1e-7)
        [own] = shares.filter(pl.col(by) == row["group"]).rows(named=True)
        assert own["difference"] == pytest.approx(row["share"], rel=1e-8)
        # Where few learners are in both groups the factors of the two sizes differ a little.
        g = min(sizes[0], sizes[place])
        p = 2 * stats.t.sf(abs(row["share_z"]) * np.sqrt((g - 1) / g), g - 1)
        assert own["p_value"] == pytest.approx(p, abs=0.02)


LAW = st.lists(
    st.tuples(
        st.integers(1, 9), st.booleans(), st.integers(0, 6), st.sampled_from("ab"), st.booleans()
    ),
    min_size=2,
    max_size=30,
)


@settings(max_examples=30)
@given(LAW)
def test_the_error_is_that_of_moving_one_clusters_weight(rows: list[tuple[Any, ...]]) -> None:
    # An oracle that knows no formula: the derivative of the curve by the weight of each cluster.
    frame = pl.DataFrame(
        rows, schema=["duration", "event", "id", "mode", "late"], orient="row"
    ).with_columns(
        pl.col("duration").cast(pl.Float64), entry=pl.when("late").then(0.5).otherwise(0.0)
    )
    table = tk.kaplan_meier(frame, by="mode", cluster="id").frame
    for (mode,), part in frame.group_by("mode"):
        ids = part["id"].unique().to_list()
        for row in table.filter(mode=mode, duration=4).rows(named=True):
            if row["survival"] in (0, 1):
                continue
            step = 1e-5
            slopes = [
                (weighted(part, one, 1 + step) - weighted(part, one, 1 - step)) / (2 * step)
                for one in ids
            ]
            error = np.linalg.norm(slopes)
            if error > 1e-6:
                assert row["std_error"] == pytest.approx(error, rel=1e-4)


def weighted(part: pl.DataFrame, cluster: int, weight: float) -> float:
    """The curve at 4 where the rows of a cluster count for this much."""
    weights = np.where(part["id"].to_numpy() == cluster, weight, 1.0)
    time, entry, event = (part[name].to_numpy() for name in ("duration", "entry", "event"))
    survival = 1.0
    for t in np.unique(time[event & (time <= 4)]):
        at_risk = weights[(time >= t) & (entry < t)].sum()
        survival *= 1 - weights[(time == t) & event].sum() / at_risk
    return survival


@settings(max_examples=15)
@given(LAW)
def test_learners_in_one_course_each_have_greenwoods_error_times_nearly_1(
    rows: list[tuple[Any, ...]],
) -> None:
    frame = pl.DataFrame(rows, schema=["duration", "event", "id", "mode", "late"], orient="row")
    frame = frame.with_columns(
        pl.col("duration").cast(pl.Float64), event=True, id=pl.int_range(pl.len())
    )
    one, other = (tk.kaplan_meier(frame, **options).frame for options in ({}, {"cluster": "id"}))
    np.testing.assert_allclose(
        one["std_error"].fill_null(0), other["std_error"].fill_null(0), rtol=1e-9, atol=1e-12
    )
    assert (other["ci_low"] <= one["ci_low"] + 1e-12).all()
    assert (other["ci_high"] >= one["ci_high"] - 1e-12).all()


@pytest.mark.parametrize("course", ["the same", "another"])
def test_every_learner_twice_says_no_more_than_once(course: str) -> None:
    rows = learners("continuous").filter(pl.col("id").is_first_distinct())
    again = rows if course == "the same" else rows.with_columns(duration=pl.col("duration") + 1e-7)
    twice = pl.concat([rows, again])
    once, both = (
        tk.kaplan_meier(f, by="course", times=[40], cluster="id").frame for f in (rows, twice)
    )
    for name in ("std_error", "ci_low", "ci_high"):
        assert both[name].to_list() == pytest.approx(once[name].to_list(), rel=1e-5)
    means, of_both = (
        tk.survival_summary(f, horizon=HORIZON, cluster="id").frame for f in (rows, twice)
    )
    for one, other in zip(
        means["ci_low"].drop_nulls(), of_both["ci_low"].drop_nulls(), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-5)
    before, nothing = (tk.kaplan_meier(f, times=[0], cluster="id").frame for f in (rows, twice))
    assert nothing["ci_low"][0] == pytest.approx(before["ci_low"][0])


def test_the_same_learners_in_both_groups_are_compared_within_themselves() -> None:
    rows = learners("continuous").filter(pl.col("id").is_first_distinct())
    later = rows.with_columns(duration=pl.col("duration") * 1.01 + 0.1)
    both = pl.concat([rows.with_columns(half=pl.lit("a")), later.with_columns(half=pl.lit("b"))])
    options = {"by": "half", "horizon": HORIZON}
    plain = tk.survival.rmst_difference(both, **options).frame.row(0, named=True)
    within = tk.survival.rmst_difference(both, **options, cluster="id").frame.row(0, named=True)
    assert within["difference"] == plain["difference"]
    assert within["ci_high"] - within["ci_low"] < 0.2 * (plain["ci_high"] - plain["ci_low"])
    share = tk.survival.milestone_difference(both, by="half", at=AT, cluster="id").frame
    alone = tk.survival.milestone_difference(both, by="half", at=AT).frame
    assert (share["ci_high"] - share["ci_low"])[0] < 0.3 * (alone["ci_high"] - alone["ci_low"])[0]


def test_clusters_that_do_not_differ_leave_the_interval_its_width() -> None:
    rows = pl.DataFrame(
        {"id": [1, 1, 2, 2, 3, 3], "duration": [1.0, 5.0] * 3, "event": [True, False] * 3}
    )
    found = tk.kaplan_meier(rows, times=[2], cluster="id").frame.row(0, named=True)
    assert found["survival"] == 0.5
    assert found["std_error"] == pytest.approx(np.sqrt(0.25 / 3))
    assert found["ci_low"] < 0.3 < 0.7 < found["ci_high"]


@pytest.mark.parametrize("strata", [None, "course"])
@pytest.mark.parametrize("times", [[1.0, 5.0], [1.0, 2.0, 5.0], [1.0, 3.0, 4.0, 7.0, 9.0, 9.0]])
def test_clusters_that_do_not_differ_are_no_more_alike_in_two_groups(
    times: list[float], strata: str | None
) -> None:
    """Their influences are 0, but sums in floating point keep what looks like a correlation."""
    rows = [
        (f"u{learner}", half, f"c{learner % 2}", time + (half == "b") / 2, time < times[-1])
        for learner in range(30)
        for half in "ab"
        for time in times
    ]
    names = ["id", "half", "course", "duration", "event"]
    both = pl.DataFrame(rows, schema=names, orient="row")
    others = both.with_columns(id=pl.col("id") + pl.col("half"))
    for compare in (
        partial(tk.survival.rmst_difference, horizon=4),
        partial(tk.survival.milestone_difference, at=3.2),
    ):
        for shown in (lambda found: found.frame, lambda found: found.release().frame):
            same, independent = (
                shown(compare(frame, by="half", cluster="id", strata=strata)).row(0, named=True)
                for frame in (both, others)
            )
            for name in ("difference", "ci_low", "ci_high"):
                assert same[name] == pytest.approx(independent[name], abs=1e-9)


def test_one_cluster_alone_has_an_estimate_and_no_interval() -> None:
    rows = learners().filter(pl.col("id") == pl.col("id").mode().first()).with_columns(id=pl.lit(1))
    found = tk.survival_summary(rows, cluster="id", milestones=[], horizon=5).frame
    mean = found.filter(statistic="restricted mean").row(0, named=True)
    assert mean["estimate"] is not None
    table = tk.kaplan_meier(rows, cluster="id").frame
    assert (
        table.filter(pl.col("survival").is_between(0, 1, closed="none"))["ci_low"].is_null().all()
    )


def test_released_curves_of_clusters_are_wider_too() -> None:
    rows = learners()
    ends = [
        tk.kaplan_meier(rows, times=[40], **options).release().frame.row(0, named=True)
        for options in ({}, {"cluster": "id"})
    ]
    assert ends[0]["survival"] == ends[1]["survival"]
    assert ends[1]["ci_high"] - ends[1]["ci_low"] > 1.2 * (ends[0]["ci_high"] - ends[0]["ci_low"])
    for analysis in (
        lambda **options: tk.survival.rmst_difference(rows, by="mode", horizon=40, **options),
        lambda **options: tk.survival.milestone_difference(rows, by="mode", at=40, **options),
        lambda **options: tk.survival_summary(rows, horizon=40, **options),
    ):
        one, other = (analysis(**o).release().frame for o in ({}, {"cluster": "id"}))
        assert one["status"].to_list() == other["status"].to_list()
        assert not one.select("ci_low", "ci_high").equals(other.select("ci_low", "ci_high"))


@settings(max_examples=12)
@given(st.integers(0, 1000))
def test_the_order_of_rows_and_the_names_of_clusters_change_nothing(seed: int) -> None:
    rows = learners()
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    named = shuffled.with_columns(id=pl.format("learner {}", (pl.col("id") * 7919) % 1009))
    one, other = (
        tk.logrank(f, by="mode", cluster="id").frame["statistic"][0] for f in (rows, named)
    )
    assert one == pytest.approx(other, rel=1e-9)


def test_who_passes_at_once_was_at_risk() -> None:
    rows = learners().with_columns(
        duration=(pl.col("duration") - 3).clip(0.0), row=pl.int_range(pl.len())
    )
    assert rows.filter(pl.col("event"), duration=0).height > 10
    plain, robust = (tk.kaplan_meier(rows, by="mode", cluster=c).frame for c in (None, "row"))
    assert robust["std_error"].to_list() == pytest.approx(plain["std_error"].to_list())
    with_entry = rows.filter(pl.col("duration") > 0).with_columns(entry=pl.lit(0.0))
    for frame in (rows, with_entry):
        tests = [
            tk.logrank(frame.with_columns(pl.col("duration") + late), by="mode", cluster="id").frame
            for late in (0.0, 1.0)
        ]
        assert tests[0]["statistic"][0] == pytest.approx(tests[1]["statistic"][0], rel=1e-9)


def test_the_same_learners_twice_say_no_more_than_once() -> None:
    rows = learners("continuous").filter(pl.col("id").is_first_distinct())
    twice = pl.concat([rows, rows])
    once = tk.logrank(rows, by="course", cluster="id").frame["statistic"][0]
    assert tk.logrank(twice, by="course", cluster="id").frame["statistic"][0] == pytest.approx(once)
    assert tk.logrank(twice, by="course").frame["statistic"][0] > 1.5 * once


def test_too_few_clusters_give_no_test() -> None:
    rows = learners().filter(pl.col("id") <= 2).with_columns(id=pl.lit(1))
    found = tk.logrank(rows, by="course", cluster="id").frame.row(0, named=True)
    assert (found["df"], found["statistic"], found["p_value"]) == (1, None, None)


@pytest.mark.parametrize("strata", [None, "course"])
@pytest.mark.parametrize("seed", range(6))
def test_the_same_times_of_the_same_learners_give_no_test(seed: int, strata: str | None) -> None:
    """Two groups of three are alike in every cluster, up to the order in which they are summed."""
    rng = np.random.default_rng(seed)
    rows = learners(["days", "continuous"][seed % 2]).filter(pl.col("id").is_first_distinct())
    rows = rows.filter(pl.Series(rng.random(rows.height) < 0.6))
    other = rows.with_columns(pl.col("duration").shuffle(seed), half=pl.lit("c"), id=-pl.col("id"))
    alike = pl.concat([rows.with_columns(half=pl.lit(half)) for half in "ab"])
    for both in (alike, pl.concat([alike, other])):
        test = tk.logrank(both, by="half", strata=strata, cluster="id")
        pairs = tk.survival.logrank_pairs(both, by="half", strata=strata, cluster="id")
        for found in (test, pairs.head(1)):
            for shown in (found.frame, found.release().frame):
                assert (
                    shown.row(0, named=True).items() >= {"statistic": None, "p_value": None}.items()
                )
        assert "cannot be compared" in test.narrate()


def test_a_row_without_a_cluster_is_refused() -> None:
    rows = learners().with_columns(pl.when(pl.col("id") > 1).then("id").alias("id"))
    with pytest.raises(tk.errors.SchemaError, match="rows have no `id`"):
        tk.logrank(rows, by="mode", cluster="id")


CLUSTERED: dict[str, Callable[..., tk.Result]] = {
    "curves": lambda rows: tk.kaplan_meier(rows, by="mode", cluster="id"),
    "curves in strata": lambda rows: tk.kaplan_meier(
        rows, by="mode", strata="stratum", cluster="id"
    ),
    "summary": lambda rows: tk.survival_summary(rows, cluster="id"),
    "means": lambda rows: tk.survival.rmst_difference(rows, by="mode", cluster="id"),
    "shares": lambda rows: tk.survival.milestone_difference(rows, by="mode", at=9, cluster="id"),
    "incidence": lambda rows: tk.survival.cumulative_incidence(rows, cluster="id"),
    "log-rank": lambda rows: tk.logrank(rows, by="mode", cluster="id"),
    "log-rank of pairs": lambda rows: tk.survival.logrank_pairs(rows, by="mode", cluster="id"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", CLUSTERED)
def test_blocks_of_clusters_give_what_all_do(
    name: str, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = learners("continuous", late=late).with_columns(
        end=pl.when("event").then(pl.lit("passed")).when(pl.col("id") % 3 == 0).then(pl.lit("left"))
    )
    whole = CLUSTERED[name](rows).frame
    monkeypatch.setattr(import_module("toolkit.survival.logrank"), "PARTS_AT_ONCE", 40)
    monkeypatch.setattr(clusters, "ROWS_AT_ONCE", 50)
    assert_frame_equal(CLUSTERED[name](rows).frame, whole, rel_tol=1e-10, abs_tol=1e-12)


@pytest.mark.parametrize("name", CLUSTERED)
def test_more_rows_than_can_be_held_with_their_clusters_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = learners().with_columns(end=pl.when("event").then(pl.lit("passed")))
    monkeypatch.setattr(ranges, "MOST_TIMES", 100)
    with pytest.raises(tk.errors.ArgumentError, match=r"cluster='id'.*whole=True"):
        CLUSTERED[name](rows.with_columns(pl.col("duration") + pl.int_range(pl.len()) / 1e6))
    monkeypatch.setattr(rate_clusters, "MOST_CLUSTERED", rows.height - 1)
    with pytest.raises(tk.errors.ArgumentError, match=r"cluster='id'.*drawn at random"):
        CLUSTERED[name](rows)


@pytest.mark.slow
def test_the_robust_test_keeps_its_level_where_the_other_does_not() -> None:
    # 70 learners in three courses each, groups of learners, no difference between them.
    # Of 300 draws a level of 5% shows as 5 ± 1.3%; one of 12% passes for 7.5% once in 175 times.
    rng = np.random.default_rng(1)
    plain, robust, runs = 0, 0, 300
    for _ in range(runs):
        frailty = np.exp(rng.normal(0, 1.5, 70))
        rows = pl.DataFrame(
            {
                "id": np.repeat(np.arange(70), 3),
                "mode": np.repeat(np.where(rng.random(70) < 0.5, "a", "b"), 3),
                "duration": rng.exponential(1 / np.repeat(frailty, 3)),
                "event": rng.random(210) < 0.8,
            }
        )
        plain += tk.logrank(rows, by="mode").frame["p_value"][0] < 0.05
        robust += tk.logrank(rows, by="mode", cluster="id").frame["p_value"][0] < 0.05
    assert plain / runs > 0.12
    assert 0.03 < robust / runs < 0.075


@pytest.mark.parametrize("estimate", ["curve", "standardized", "incidence"])
def test_before_the_first_pass_only_the_clusters_at_risk_count(estimate: str) -> None:
    # After day 1 a single learner with 100 rows is left, and one of 100 with a row each.
    one_each = pl.DataFrame({"id": range(100), "duration": [1.0] * 100})
    giant = pl.DataFrame({"id": [100] * 100, "duration": [50.0] * 100})
    rows = pl.concat([one_each, giant]).with_columns(
        event=False, end=pl.lit(None, pl.String), g=pl.lit("a"), s=pl.int_range(pl.len()) % 2
    )
    if estimate == "incidence":
        found = tk.survival.cumulative_incidence(rows, cluster="id", times=[1, 50])
        survival = 1 - found.frame["ci_high"]
    else:
        strata = "s" if estimate == "standardized" else None
        found = tk.kaplan_meier(rows, by="g", strata=strata, cluster="id", times=[1, 50])
        survival = found.frame["ci_low"]
    assert survival.to_list() == pytest.approx([0.05 ** (1 / 101), 0.05])
