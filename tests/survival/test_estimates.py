"""Summaries, comparisons, competing ends and hazards: worked by hand, and beside the truth."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk


def rows(*durations: float, events: str, **columns: list[object]) -> pl.DataFrame:
    """Durations; one letter each: x passed, o censored."""
    return pl.DataFrame(
        {"duration": durations, "event": [letter == "x" for letter in events], **columns},
        schema_overrides={"duration": pl.Float64},
    )


def figure(frame: pl.DataFrame, statistic: str, **options: object) -> dict[str, object]:
    summary = tk.survival_summary(frame, **options).frame  # type: ignore[arg-type]
    return summary.filter(statistic=statistic).row(0, named=True)


def test_the_median_is_the_first_time_at_which_half_have_passed() -> None:
    assert figure(rows(1, 2, 3, 4, events="xxxx"), "median")["estimate"] == 2.0


def test_a_median_that_is_not_reached_is_null() -> None:
    assert figure(rows(1, 2, 3, 4, events="xooo"), "median")["estimate"] is None


def test_a_milestone_after_the_last_observation_is_null() -> None:
    summary = tk.survival_summary(rows(10, 40, events="xo"), milestones=[30, 60]).frame
    passed = summary.filter(statistic="passed by")
    assert passed.select("at", "estimate").rows() == [(30.0, 0.5), (60.0, None)]


def test_the_restricted_mean_is_the_area_below_the_curve() -> None:
    # 2·1 + 2·(2/3) + 1·(1/3) up to 5; A(2) = 5/3, A(4) = 1/3, and Σ A² d / (n (n - d)).
    found = figure(rows(2, 4, 6, events="xxo"), "restricted mean", horizon=5)
    assert found["estimate"] == pytest.approx(2 + 4 / 3 + 1 / 3)
    assert found["std_error"] == pytest.approx(np.sqrt((5 / 3) ** 2 / 6 + (1 / 3) ** 2 / 2))


def test_a_restricted_mean_beyond_what_is_known_is_null() -> None:
    assert figure(rows(2, 4, events="xo"), "restricted mean", horizon=5)["estimate"] is None
    assert figure(rows(2, 4, events="xx"), "restricted mean", horizon=5)["estimate"] == 3.0


def test_who_passes_is_not_at_risk_of_being_censored_at_that_time() -> None:
    # At 2 one of the two who are left is censored; that one alone is at risk of it.
    assert figure(rows(1, 2, 2, events="oxo"), "median follow-up")["estimate"] == 2.0


def test_groups_that_are_the_same_do_not_differ() -> None:
    both = rows(1, 2, 3, 1, 2, 3, events="xxoxxo", mode=list("aaabbb"))
    assert tk.logrank(both, by="mode").frame["p_value"].to_list() == pytest.approx([1.0, 1.0])
    difference = tk.survival.rmst_difference(both, by="mode").frame.row(0, named=True)
    assert (difference["difference"], difference["p_value"]) == (0.0, 1.0)


def test_nothing_is_tested_where_there_is_nothing_to_compare() -> None:
    alone = rows(1, 2, events="xo", mode=["a", "a"])
    assert tk.logrank(alone, by="mode").frame["p_value"].to_list() == [None]
    nobody = rows(1, 2, events="oo", mode=["a", "b"])
    assert tk.logrank(nobody, by="mode").frame["df"].to_list() == [0, 0]


def test_a_reference_that_does_not_exist_is_refused() -> None:
    both = rows(1, 2, events="xo", mode=["a", "b"])
    with pytest.raises(ValueError, match="no group 'c'"):
        tk.survival.rmst_difference(both, by="mode", reference="c")


def test_incidences_and_the_share_under_way_sum_to_1() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "duration": rng.integers(0, 12, 200).astype(float),
            "end": rng.choice(["passed", "unenrolled", "none"], 200),
        }
    ).with_columns(pl.col("end").replace("none", None))
    frame = frame.with_columns(event=pl.col("end").is_not_null())
    incidence = tk.survival.cumulative_incidence(frame).frame
    total = incidence.group_by("duration").agg(pl.col("cumulative_incidence").sum())
    both = tk.kaplan_meier(frame).frame.join(total, on="duration")
    np.testing.assert_allclose(both["survival"] + both["cumulative_incidence"], 1.0)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=25))
def test_one_end_alone_gives_the_curve_of_kaplan_and_meier(found: list[tuple[int, bool]]) -> None:
    frame = rows(*(time for time, _ in found), events="".join("ox"[event] for _, event in found))
    frame = frame.with_columns(end=pl.when("event").then(pl.lit("passed")))
    curve = tk.kaplan_meier(frame).frame
    incidence = tk.survival.cumulative_incidence(frame).frame
    below = curve["survival"] > 0
    same = (incidence["std_error"], curve["std_error"])
    np.testing.assert_allclose(*(error.filter(below) for error in same), atol=1e-12)
    for one, other in (
        ("cumulative_incidence", "survival"),
        ("ci_low", "ci_high"),
        ("ci_high", "ci_low"),
    ):
        np.testing.assert_allclose(incidence[one], 1 - curve[other], rtol=1e-9, atol=1e-9)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from(["passed", "left", None])),
        min_size=1,
        max_size=25,
    )
)
def test_intervals_of_incidence_hold_the_estimate_and_nest(found: list[tuple[int, str]]) -> None:
    frame = pl.DataFrame(found, schema={"duration": pl.Float64, "end": pl.String}, orient="row")
    frame = frame.with_columns(event=pl.col("end").is_not_null())
    ends = [tk.survival.cumulative_incidence(frame, level=x).frame for x in (0.5, 0.9, 0.99)]
    inner = ends[0]["cumulative_incidence"]
    bounds = [inner, *(table["ci_high"] for table in ends), pl.Series([1.0] * len(inner))]
    for low, high in pairwise(bounds):
        assert (low <= high + 1e-12).all()
    bounds = [inner, *(table["ci_low"] for table in ends), pl.Series([0.0] * len(inner))]
    for high, low in pairwise(bounds):
        assert (low <= high + 1e-12).all()


def test_without_censoring_restricted_means_have_students_and_welchs_intervals_and_tests() -> None:
    from scipy import stats

    a, b = [3.0, 8, 14, 20, 33, 60, 90], [1.0, 2, 5, 7, 9, 40]
    frame = rows(*a, *b, events="x" * 13, mode=["a"] * 7 + ["b"] * 6)
    summary = tk.survival_summary(frame, by="mode", horizon=50, milestones=[], level=0.9).frame
    means = summary.filter(statistic="restricted mean")
    for times, row in zip((a, b), means.iter_rows(named=True), strict=True):
        own = stats.ttest_1samp(np.minimum(times, 50), 0).confidence_interval(0.9)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(own))
    found = tk.survival.rmst_difference(frame, by="mode", horizon=50).frame.row(0, named=True)
    welch = stats.ttest_ind(np.minimum(b, 50), np.minimum(a, 50), equal_var=False)
    own = welch.confidence_interval(0.95)
    assert found["p_value"] == pytest.approx(welch.pvalue)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(own))


def test_a_mean_of_one_learner_has_no_interval_of_students() -> None:
    frame = rows(2, 3, 4, events="xxx", mode=list("aab"))
    means = tk.survival_summary(frame, by="mode", horizon=5).frame.filter(
        statistic="restricted mean"
    )
    assert means.filter(mode="b").select("estimate", "ci_low", "ci_high").row(0) == (4, None, None)
    found = tk.survival.rmst_difference(frame, by="mode", horizon=5).frame.row(0, named=True)
    assert (found["difference"], found["ci_low"], found["p_value"]) == (1.5, None, None)
    with pytest.raises(tk.errors.ArgumentError, match="distribution must be one of 't', 'normal'"):
        tk.survival_summary(frame, distribution="z")  # type: ignore[arg-type]


def test_grays_test_refuses_late_entry() -> None:
    frame = rows(1, 2, events="xo", mode=["a", "b"], entry=[0.0, 1.0], end=["passed", None])
    with pytest.raises(tk.errors.SchemaError, match="late entry"):
        tk.survival.gray_test(frame, by="mode")


def test_the_smoothed_hazard_finds_a_constant_rate_up_to_both_ends() -> None:
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"duration": rng.exponential(50, 200_000)}).with_columns(event=True)
    early = tk.survival.smoothed_hazard(frame, every=7).frame.filter(pl.col("duration") < 100)
    np.testing.assert_allclose(early["hazard"], 7 / 50, rtol=0.05)
    capped = frame.with_columns(pl.col("duration").clip(0, 70), event=pl.col("duration") < 70)
    np.testing.assert_allclose(
        tk.survival.smoothed_hazard(capped).frame["hazard"], 7 / 50, rtol=0.05
    )


def test_stretches_begin_at_0_and_count_what_lies_in_them() -> None:
    table = tk.survival.smoothed_hazard(rows(0, 3, 7, 13, 20, events="xxxxo"), every=7).frame
    assert table.select("duration", "n_at_risk", "n_events").rows() == [(3.5, 5, 2), (10.5, 3, 2)]


def cured(n: int, seed: int) -> pl.DataFrame:
    """Three in ten never pass; the others at a Weibull time; follow-up is uniform."""
    rng = np.random.default_rng(seed)
    passed = np.where(rng.random(n) < 0.3, np.inf, 100 * rng.weibull(1.5, n))
    censored = rng.uniform(0, 400, n)
    return pl.DataFrame({"duration": np.minimum(passed, censored), "event": passed <= censored})


TIMES = [20.0, 60.0, 100.0, 150.0, 250.0]


def truth() -> np.ndarray:
    return 0.3 + 0.7 * np.exp(-((np.array(TIMES) / 100) ** 1.5))


@pytest.mark.slow
def test_the_error_of_the_curve_shrinks_with_the_root_of_n() -> None:
    sizes = [10**3, 10**4, 10**5, 10**6]
    errors = []
    for n in sizes:
        runs = max(2, min(60, 10**6 // n))
        found = [
            np.abs(tk.kaplan_meier(cured(n, seed), times=TIMES).frame["survival"] - truth()).mean()
            for seed in range(runs)
        ]
        errors.append(np.mean(found))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.6 < slope < -0.4


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000, 3000])
def test_intervals_cover_as_often_as_they_say(n: int) -> None:
    covered = np.zeros(len(TIMES))
    runs = 1500
    frames = [cured(n, seed).with_columns(run=pl.lit(seed)) for seed in range(runs)]
    tables = tk.kaplan_meier(pl.concat(frames), by="run", times=TIMES).frame
    for _, table in tables.group_by("run"):
        low, high = table["ci_low"].to_numpy(), table["ci_high"].to_numpy()
        covered += (low <= truth()) & (truth() <= high)
    assert (covered / runs >= 0.93).all()
    assert (covered / runs <= 0.97).all()


def test_a_milestone_keeps_its_estimate_where_a_whole_group_has_passed() -> None:
    both = rows(1, 2, 3, 1, 5, 9, events="xxxxoo", mode=list("aaabbb"))
    found = tk.survival.milestone_difference(both, by="mode", at=4).frame.row(0, named=True)
    assert found["difference"] == pytest.approx(1 / 3 - 1)
    assert -1 <= found["ci_low"] < found["difference"] < found["ci_high"] <= 1
    assert found["p_value"] is None


def test_a_restricted_mean_without_a_pass_is_not_certain() -> None:
    found = figure(rows(*[9.0] * 15, events="o" * 15), "restricted mean", horizon=8)
    assert (found["estimate"], found["ci_high"]) == (8.0, 8.0)
    assert found["ci_low"] == pytest.approx(8 * 0.05 ** (1 / 15))


def test_a_restricted_mean_without_a_pass_rests_on_those_still_at_risk() -> None:
    frame = rows(*[10.0] * 19, 100.0, *[100.0] * 20, events="o" * 40, mode=["a"] * 20 + ["b"] * 20)
    for horizon in (50, 100):
        found = figure(frame.filter(mode="a"), "restricted mean", horizon=horizon)
        assert (found["estimate"], found["ci_high"]) == (horizon, horizon)
        assert found["ci_low"] == pytest.approx(10 * 0.05 ** (1 / 20) + (horizon - 10) * 0.05)
    both = tk.survival.rmst_difference(frame, by="mode", reference="a", horizon=100).frame
    low = [100 * 0.05 ** (1 / 20), 10 * 0.05 ** (1 / 20) + 90 * 0.05]
    assert both["ci_low"].item() == pytest.approx(low[0] - 100)
    assert both["ci_high"].item() == pytest.approx(100 - low[1])


@pytest.mark.parametrize("n_late", [1, 5, 25])
def test_a_restricted_mean_of_which_few_are_observed_for_long_has_no_interval(n_late: int) -> None:
    # With 5 of 50, the interval would hold the truth in 83% of 2,000 simulated samples, with 1 in
    # 14%, with 25 in 94%.
    times = [*range(1, 6), *[10.0] * (45 - n_late), *[100.0] * n_late]
    mostly = rows(*times, events="xxxxx" + "o" * 45, mode=["a"] * 50)
    all_of = rows(*range(1, 51), events="x" * 50, mode=["b"] * 50)
    found = figure(mostly, "restricted mean", horizon=90)
    assert found["estimate"] == pytest.approx(np.mean([*range(1, 6), *[90] * 45]))
    assert (found["ci_low"] is None) == (found["std_error"] is None) == (n_late < 10)
    both = tk.survival.rmst_difference(pl.concat([mostly, all_of]), by="mode", horizon=90)
    assert both.frame["difference"].item() is not None
    for name in ("ci_low", "ci_high", "p_value", "ratio_ci_low", "simultaneous_low"):
        assert (both.frame[name].item() is None) == (n_late < 10)
    assert ("unknown" in str(both.release(min_n=None).narrate())) == (n_late < 10)


def test_before_the_first_event_the_incidence_may_still_be_that_of_none_in_n() -> None:
    # Ten left before; at 5 five are still under way. None of the 15 has passed.
    frame = rows(*[1.0] * 10, *[9.0] * 5, events="o" * 15)
    frame = frame.with_columns(end=pl.Series(["left"] * 10 + ["passed"] * 5))
    frame = frame.with_columns(event=pl.col("end") == "passed")
    early = (
        tk.survival.cumulative_incidence(frame)
        .frame.filter(end="passed", duration=1)
        .row(0, named=True)
    )
    assert early["ci_low"] == 0
    assert early["ci_high"] == pytest.approx(1 - 0.05 ** (1 / 15))


def test_hazards_of_nobody_passing_have_an_upper_end() -> None:
    frame = rows(*[21.0] * 10, events="o" * 10)
    cumulative = tk.survival.nelson_aalen(frame).frame["ci_high"].to_list()
    assert cumulative == pytest.approx([-np.log(0.05) / 10] * 2)
    # Ten learners over all three weeks, 210 days: none of them passed.
    smoothed = (
        tk.survival.smoothed_hazard(frame, every=7, bandwidth=10.5).frame["ci_high"].to_list()
    )
    assert smoothed[1] == pytest.approx(-np.log(0.05) / 210 * 7)


def test_groups_may_be_called_like_what_is_counted() -> None:
    names = ["n", "entry at", "before", "_group", "survival ", "event", "passed"]
    frame = rows(1, 2, 3, 4, events="xoxo", mode=list("aabb"))
    expected = tk.logrank(frame, by="mode").frame["p_value"].to_list()
    for name in names:
        renamed = frame.with_columns(
            pl.col("mode").alias(name) if name != "event" else pl.col("event")
        )
        if name == "event":
            assert tk.kaplan_meier(renamed, by="event").frame["event"].unique().to_list() == [
                False,
                True,
            ]
        else:
            assert tk.logrank(renamed, by=name).frame["p_value"].to_list() == expected


def test_nan_is_in_the_group_of_the_nulls() -> None:
    frame = rows(1, 2, 3, 4, events="xoxo", score=[float("nan"), 1.0, float("nan"), None])
    table = tk.kaplan_meier(frame, by="score", times=[0]).frame
    assert table["n_at_risk"].to_list() == [3, 1]
    assert tk.logrank(frame, by="score").frame.height == 2


@pytest.mark.parametrize("end", ["passed", "left"])
def test_gray_has_no_test_where_nobody_comes_to_the_end(end: str) -> None:
    schema = {"duration": pl.Float64, "event": pl.Boolean, "end": pl.String, "mode": pl.String}
    empty = pl.DataFrame(schema=schema)
    excluded = empty.with_columns(excluded=pl.lit("no origin"))
    for frame in (empty, excluded):
        assert tk.survival.gray_test(frame, by="mode").frame.height == 0
    others = rows(1, 2, events="oo", mode=["a", "b"], end=["left", None])
    table = tk.survival.gray_test(others, by="mode", end=end).frame
    assert table["p_value"].null_count() == (2 if end == "passed" else 0)
    with pytest.raises(
        tk.errors.ArgumentError, match="no duration ends in 'nonsense'; there is left"
    ):
        tk.survival.gray_test(others, by="mode", end="nonsense")


@pytest.mark.parametrize("n", [15, 50])
def test_intervals_near_1_hold_the_truth(n: int) -> None:
    # S = 95 %: in nearly half of the runs with 15 learners nobody has passed by then.
    runs, at = 1_000, -np.log(0.95) * 60
    rng = np.random.default_rng(n)
    passes, seen = rng.exponential(60, (runs, n)), rng.uniform(0, 240, (runs, n))
    frame = pl.DataFrame(
        {
            "run": np.repeat(np.arange(runs), n),
            "duration": np.minimum(passes, seen).ravel(),
            "event": (passes <= seen).ravel(),
        }
    ).with_columns(end=pl.when("event").then(pl.lit("passed")))
    curve = tk.kaplan_meier(frame, by="run", times=[at]).frame.drop_nulls("survival")
    assert (
        pl.Series([0.95] * curve.height).is_between(curve["ci_low"], curve["ci_high"]).mean() > 0.93
    )
    ends = tk.survival.cumulative_incidence(frame, by="run").frame
    last = ends.filter(pl.col("duration") <= at).group_by("run").last()
    assert pl.Series([0.05] * runs).is_between(last["ci_low"], last["ci_high"]).mean() > 0.93


def test_a_tiny_group_does_not_take_the_restricted_mean_from_the_others() -> None:
    rng = np.random.default_rng(1)
    large = rows(*rng.exponential(80, 700), events="xxo" * 233 + "x", mode=["a", "b"] * 350)
    tiny = rows(*range(1, 11), 200, 300, events="xxxooooooooo", mode=["c"] * 12)
    both = pl.concat([large, tiny])
    alone = tk.survival_summary(large, by="mode", milestones=[]).release().frame
    beside = tk.survival_summary(both, by="mode", milestones=[]).release().frame
    figures = ("mode", "at", "estimate", "ci_low", "ci_high", "status")
    means = beside.filter(statistic="restricted mean")
    assert means.filter(mode="c")["status"].to_list() == ["withheld: fewer than 10 learners"]
    expected = alone.filter(statistic="restricted mean").select(figures)
    assert means.filter(pl.col("mode") != "c").select(figures).equals(expected)
    difference = tk.survival.rmst_difference(both, by="mode").release().frame
    assert difference.filter(mode="b")["difference"].is_not_null().all()
    assert difference.filter(mode="c")["difference"].is_null().all()


def test_a_group_seen_only_at_its_origin_does_not_take_the_horizon_to_0() -> None:
    frame = rows(2, 4, 6, 0, events="xxoo", mode=["a", "a", "a", "b"])
    found = tk.survival_summary(frame, by="mode", milestones=[]).frame
    means = found.filter(statistic="restricted mean").select("mode", "at", "estimate").rows()
    assert means == [("a", 6.0, pytest.approx(4.0)), ("b", 6.0, None)]


@pytest.mark.parametrize(
    "estimate",
    [tk.kaplan_meier, tk.survival.cumulative_incidence, tk.survival.nelson_aalen],
    ids=lambda estimate: estimate.__name__,
)
def test_a_thousand_times_as_many_learners_have_a_smaller_error_by_its_root(
    estimate: Callable[[pl.DataFrame], tk.Result],
) -> None:
    """Of three million, the third power does not fit into a whole number."""
    i = pl.int_range(3_000)
    end = pl.when(i % 3 == 0).then(pl.lit("passed")).when(i % 3 == 1).then(pl.lit("left"))
    few = pl.select(duration=(i % 10 + 1).cast(pl.Float64), end=end)
    few = few.with_columns(event=pl.col("end").is_not_null())
    of_few, of_many = (estimate(rows).frame["std_error"] for rows in (few, pl.concat([few] * 1000)))
    assert (of_many * 1000**0.5).to_list() == pytest.approx(of_few.to_list())


@pytest.mark.parametrize("of_one", [10, 7, 3])
def test_a_stretch_begins_at_the_decimal_that_it_is_meant_to(of_one: int) -> None:
    """3 × 0.1 is not 0.3 in floating point."""
    frame = pl.DataFrame({"duration": [k / of_one for k in range(1, 41)], "event": True})
    hazard = tk.survival.smoothed_hazard(frame, every=1 / of_one).frame
    assert hazard["n_events"].to_list() == [0, *[1] * 39]
    assert hazard["n_at_risk"].to_list() == [40, *range(40, 1, -1)]


def test_a_released_hazard_of_times_below_1_has_no_more_stretches_than_an_exact_one() -> None:
    frame = pl.DataFrame({"duration": [k * 1e-9 for k in range(1, 41)], "event": True})
    with pytest.raises(tk.errors.ArgumentError, match="cuts 1 into more than 100,000 stretches"):
        tk.survival.smoothed_hazard(frame, every=1e-9)


def test_a_smoothed_hazard_that_would_be_negative_is_not_told_as_certainly_0() -> None:
    # Near 0 the kernel has negative weights, which is all that a pass on day 14 adds to week 1.
    frame = pl.DataFrame(
        {"duration": [14.0] * 10 + [60.0] * 10, "event": [True] * 10 + [False] * 10}
    )
    week = tk.survival.smoothed_hazard(frame).frame.row(0, named=True)
    assert week["hazard"] == week["ci_low"] == 0
    assert week["ci_high"] > 1.95 * week["std_error"] > 0


@pytest.mark.parametrize("cluster", [None, "id"])
def test_between_two_times_the_interval_is_of_those_still_at_risk(cluster: str | None) -> None:
    frame = pl.DataFrame({"duration": [10.0] * 19 + [100.0], "event": False, "id": range(20)})
    frame = frame.with_columns(end=pl.lit(None, pl.String))
    times = [9, 10, 50, 100]
    curve = tk.kaplan_meier(frame, times=times, cluster=cluster).frame
    assert curve["n_at_risk"].to_list() == [20, 20, 1, 1]
    limits = [0.05 ** (1 / 20)] * 2 + [0.05] * 2
    assert curve["ci_low"].to_list() == pytest.approx(limits)
    passed = tk.survival_summary(frame, milestones=times, cluster=cluster).frame
    passed = passed.filter(statistic="passed by")
    assert (1 - passed["ci_high"]).to_list() == pytest.approx(limits)
    reached = tk.survival.cumulative_incidence(frame, times=times, cluster=cluster).frame
    assert (1 - reached["ci_high"]).to_list() == pytest.approx(limits)
