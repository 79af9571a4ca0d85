"""Rates of learners in several courses beside R's `survey` and statsmodels; see `clustered.R`."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from person_courses import REFERENCES, clustered, enrolled
from scipy import stats
from zou_donner import difference_ends

import toolkit as tk
from toolkit.analyses import clusters


def test_survey_gives_the_same_errors_of_rates() -> None:
    for row in pl.read_csv(REFERENCES / "clustered_rates.csv").rows(named=True):
        ours = tk.outcomes(clustered(), by=row["by"], cluster="id").frame
        [own] = ours.filter(pl.col(row["by"]) == row["group"]).rows(named=True)
        compared = tk.compare_groups(clustered(), by=row["by"], cluster="id").groups.frame
        [same] = compared.filter(group=row["group"]).rows(named=True)
        assert (own["n_enrolled"], own["n_passed"]) == (row["n_learners"], row["n_reached"])
        for end in ("ci_low", "ci_high"):
            assert own[f"pass_rate_of_enrolled_{end}"] == pytest.approx(row[end], rel=1e-8)
            assert same[f"rate_{end}"] == pytest.approx(row[end], rel=1e-8)


def test_survey_gives_the_same_correlation_of_rates() -> None:
    rates = pl.read_csv(REFERENCES / "clustered_rates.csv")
    for row in pl.read_csv(REFERENCES / "clustered_pairs.csv").rows(named=True):
        pairs = tk.compare_groups(clustered(), by=row["by"], cluster="id").pairs.frame
        [own] = pairs.filter(group_a=row["group_a"], group_b=row["group_b"]).rows(named=True)
        a, b = (
            rates.filter(by=row["by"], group=row[f"group_{x}"]).row(0, named=True) for x in "ab"
        )
        share_a, share_b = (x["n_reached"] / x["n_learners"] for x in (a, b))
        of_a, of_b = ((x["ci_low"], x["ci_high"]) for x in (a, b))
        ends = difference_ends(share_a, of_a, share_b, of_b, row["correlation"])
        found = own["difference_ci_low"], own["difference_ci_high"]
        assert found == pytest.approx(ends, rel=1e-8)


@pytest.mark.parametrize("by", ["mode", "course"])
def test_statsmodels_gives_the_same_robust_score_tests(by: str) -> None:
    import statsmodels.api as sm

    frame = clustered().sort("id")
    ours = tk.compare_groups(frame, by=by, cluster="id")
    groups = ours.groups.frame["group"].to_list()

    def test_of(rows: pl.DataFrame, names: list[str]) -> dict[str, Any]:
        own = [(rows[by] == name).cast(pl.Float64).to_numpy() for name in names[1:]]
        outcome = rows["passed"].cast(pl.Float64).to_numpy()
        model, parts = [
            sm.GEE(
                outcome,
                np.column_stack(columns),
                groups=rows["id"].to_numpy(),
                family=sm.families.Binomial(),
            )
            for columns in ([np.ones(rows.height), *own], [np.ones(rows.height)])
        ]
        n, k = rows["id"].n_unique(), len(own)
        statistic = float(model.compare_score_test(parts.fit())["statistic"])
        # T² of the clusters' scores, by Hotelling's F; theirs is χ², as of clusters without end.
        t_squared = (n - 1) * statistic / (n - statistic)
        return {
            "statistic": statistic,
            "p-value": stats.f.sf(t_squared * (n - k) / (n - 1) / k, k, n - k),
        }

    theirs = test_of(frame, groups)
    row = ours.test.frame.row(0, named=True)
    assert row["test"] == "robust score"
    assert row["statistic"] == pytest.approx(float(theirs["statistic"]), rel=1e-6)
    assert row["p_value"] == pytest.approx(float(theirs["p-value"]), rel=1e-6)
    for pair in ours.pairs.frame.rows(named=True):
        names = [pair["group_a"], pair["group_b"]]
        theirs = test_of(frame.filter(pl.col(by).is_in(names)), names)
        assert pair["statistic"] == pytest.approx(float(theirs["statistic"]), rel=1e-6)
        assert pair["p_value"] == pytest.approx(float(theirs["p-value"]), rel=1e-6)


def test_two_courses_of_the_same_learners_are_compared_by_their_differences() -> None:
    """By hand: with one record a learner in each course, the test is a t-test without centring."""
    passed = [(1, 0), (1, 0), (1, 1), (0, 0), (1, 0), (0, 1), (1, 0), (0, 0), (1, 0), (1, 1)]
    rows = [(i, "ab"[j], bool(both[j])) for i, both in enumerate(passed) for j in (0, 1)]
    [pair] = tk.compare_groups(frame_of(rows), by="mode", cluster="id").pairs.frame.rows(named=True)
    differences = [a - b for a, b in passed]

    assert pair["statistic"] == pytest.approx(sum(differences) ** 2 / 6)  # McNemar's, 5 against 1
    assert pair["p_value"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


ROWS = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=40
)


def frame_of(rows: list[tuple[int, str, bool]]) -> pl.DataFrame:
    return enrolled(pl.DataFrame(rows, schema=["id", "mode", "passed"], orient="row"))


@settings(max_examples=30)
@given(ROWS)
def test_intervals_hold_the_rate_and_stay_between_0_and_1(
    rows: list[tuple[int, str, bool]],
) -> None:
    frame = frame_of(rows)
    table = tk.outcomes(frame, by="mode", cluster="id", totals=True).frame
    rate, low, high = (table[f"pass_rate_of_enrolled{end}"] for end in ("", "_ci_low", "_ci_high"))
    assert (low.fill_null(0) <= rate + 1e-12).all()
    assert (rate <= high.fill_null(1) + 1e-12).all()
    assert low.fill_null(0).is_between(0, 1).all()
    assert high.fill_null(1).is_between(0, 1).all()
    clusters = frame.group_by("mode").agg(pl.col("id").n_unique()).sort("mode")["id"]
    assert low[:-1].is_null().to_list() == (clusters == 1).to_list()


@settings(max_examples=20)
@given(ROWS, st.integers(0, 1000))
def test_order_and_names_of_clusters_change_nothing(
    rows: list[tuple[int, str, bool]], seed: int
) -> None:
    frame = frame_of(rows)
    renamed = frame.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        id=pl.format("learner {}", (pl.col("id") * 7919) % 1009)
    )
    one, other = (
        tk.compare_groups(f, by="mode", cluster="id").pairs.frame for f in (frame, renamed)
    )
    for name in ("difference_ci_low", "difference_ci_high", "statistic"):
        np.testing.assert_allclose(
            one[name].fill_null(-9), other[name].fill_null(-9), rtol=1e-7, atol=1e-9
        )


def test_every_record_twice_says_no_more_than_once() -> None:
    rows = clustered().filter(pl.col("id").is_first_distinct())
    once, twice = (
        tk.compare_groups(f, by="mode", cluster="id") for f in (rows, pl.concat([rows, rows]))
    )
    for name in ("rate_ci_low", "rate_ci_high"):
        assert twice.groups.frame[name].to_list() == pytest.approx(
            once.groups.frame[name].to_list()
        )
    for name in ("difference_ci_low", "ratio_ci_high", "p_value"):
        assert twice.pairs.frame[name].to_list() == pytest.approx(once.pairs.frame[name].to_list())
    assert twice.test.frame["p_value"][0] == pytest.approx(once.test.frame["p_value"][0])


def test_where_no_cluster_differs_each_counts_for_one_learner() -> None:
    frame = frame_of([(i, "ab"[i % 2], passed) for i in range(12) for passed in (True, False)])
    row = tk.outcomes(frame, cluster="id").frame.row(0, named=True)
    assert row["pass_rate_of_enrolled"] == 0.5
    assert row["pass_rate_of_enrolled_ci_low"] < 0.25
    nobody = frame_of([(i // 3, "a", False) for i in range(30)])
    high = tk.outcomes(nobody, cluster="id").frame["pass_rate_of_enrolled_ci_high"][0]
    assert high > tk.outcomes(nobody).frame["pass_rate_of_enrolled_ci_high"][0] * 2
    compared = tk.compare_groups(frame, by="mode", cluster="id")
    assert compared.test.frame["p_value"].to_list() == [None]


def test_learners_in_both_groups_are_compared_within_themselves() -> None:
    # Who passes one course passes the other, but for two of forty.
    rows = [(i, mode, i % 2 == 0 or (mode == "b" and i < 4)) for i in range(40) for mode in "ab"]
    plain, within = (
        tk.compare_groups(frame_of(rows), by="mode", **options).pairs.frame.row(0, named=True)
        for options in ({}, {"cluster": "id"})
    )
    assert plain["difference"] == within["difference"] == pytest.approx(-0.05)
    width, own = (row["difference_ci_high"] - row["difference_ci_low"] for row in (plain, within))
    assert own < 0.5 * width
    assert within["p_value"] < plain["p_value"]


@pytest.mark.parametrize("learners", [3, 7, 30, 100])
@pytest.mark.parametrize("passed", [(1, 2), (3, 3), (0, 7), (3, 4)])
def test_learners_who_are_all_alike_give_no_test_and_no_correlation(
    learners: int, passed: tuple[int, int]
) -> None:
    """Each passes as many of 7 courses in one year, and as many in the other."""
    rows = [
        (f"u{learner}", year, course < k)
        for learner in range(learners)
        for year, k in zip("ab", passed, strict=True)
        for course in range(7)
    ]
    both = pl.DataFrame(rows, schema=["username", "year", "passed"], orient="row")
    in_years = pl.col("username") + pl.col("year")
    same, others = (
        tk.compare_groups(
            enrolled(frame).with_columns(course=pl.lit("c")),
            by="year",
            cluster="username",
            strata="course",
        )
        for frame in (both, both.with_columns(username=in_years))
    )
    assert same.within is not None
    assert others.within is not None
    for tests in (same.pairs.frame["p_value"], same.test.frame["p_value"]):
        assert tests.to_list() == [None]
    for p in ("pooled_p_value", "mantel_haenszel_p_value"):
        assert same.within.frame[p].to_list() == [None]
    ends = ["difference_ci_low", "difference_ci_high"]
    independent = others.within.frame.select(ends).row(0)
    for found in (same.pairs, same.within):
        assert found.frame.select(ends).row(0) == pytest.approx(independent, abs=1e-12)
        shown = found.release().frame.select(ends).row(0)
        assert shown == (None, None) or shown[0] < shown[1]


@pytest.mark.parametrize("learners", [40, 70, 200, 1_000, 3_000])
def test_the_same_outcomes_of_the_same_learners_give_no_p_within_strata_either(
    learners: int,
) -> None:
    rows = [(i, mode, i % 2 == 0) for i in range(learners) for mode in "ab"]
    frame = frame_of(rows).with_columns(stratum=pl.lit("s"))
    found = tk.compare_groups(frame, by="mode", cluster="id", strata="stratum")
    assert found.within is not None
    for shown in (found.pairs.frame, found.within.frame, found.within.release().frame):
        figures = ("difference", "difference_ci_low", "difference_ci_high", "p_value", "p_adjusted")
        assert shown.select(figures).row(0) == (0.0, 0.0, 0.0, None, None)


def test_a_cluster_must_be_a_column_that_every_row_has() -> None:
    rows = clustered()
    with pytest.raises(tk.errors.SchemaError, match="some rows have no `id`"):
        tk.outcomes(
            rows.with_columns(pl.when(pl.col("id") > 1).then("id").alias("id")), cluster="id"
        )
    with pytest.raises(tk.errors.ArgumentError, match="in both `by` and `cluster`"):
        tk.outcomes(rows, by="mode", cluster="mode")


def test_more_records_than_can_be_held_with_their_clusters_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pc = clustered()
    monkeypatch.setattr(clusters, "MOST_CLUSTERED", pc.height - 1)
    for frame in (pc, pc.lazy()):
        with pytest.raises(tk.errors.ArgumentError, match=r"cluster='id'.*drawn at random"):
            tk.outcomes(frame, cluster="id")
        with pytest.raises(tk.errors.ArgumentError, match=r"cluster='id'.*drawn at random"):
            tk.compare_groups(frame, by="mode", strata="course", cluster="id")


def test_released_rates_of_clusters_are_wider_too() -> None:
    one, other = (
        tk.outcomes(clustered(), by="course", **options).release().frame
        for options in ({}, {"cluster": "id"})
    )
    rate = "pass_rate_of_enrolled"
    assert one[rate].equals(other[rate])
    assert (other[f"{rate}_ci_high"] > one[f"{rate}_ci_high"]).all()
    told = tk.compare_groups(clustered(), by="mode", cluster="id")
    assert told.pairs.release().frame["difference_ci_low"].is_not_null().all()
    assert "robust score test" in told.test.narrate()
    tiny = clustered().with_columns(
        mode=pl.when(pl.col("id") < 4).then(pl.lit("rare")).otherwise("mode")
    )
    withheld = tk.compare_groups(tiny, by="mode", cluster="id").pairs.release().frame
    rare = withheld.filter(pl.col("group_b") == "rare")
    assert rare["p_value"].is_null().all()
    assert rare["statistic"].is_null().all()


def test_fewer_than_ten_clusters_are_not_counted_by_a_released_interval() -> None:
    # With the share and its records released, the ends of an interval tell how many learners.
    passed = pl.Series([True, False, True] * 40)
    records = pl.DataFrame({"id": [*(i % 5 for i in range(30)), *range(5, 50), *range(5, 50)]})
    modes = pl.Series(["few"] * 30 + ["many"] * 90)
    pc = enrolled(records.with_columns(passed=passed, mode=modes))
    found = tk.outcomes(pc, by="mode", cluster="id")
    assert found.frame["pass_rate_of_enrolled_ci_low"].null_count() == 0
    shown = found.release().frame
    assert shown["pass_rate_of_enrolled"].null_count() == 0
    assert shown["pass_rate_of_enrolled_ci_low"].is_null().to_list() == [True, False]
    compared = tk.compare_groups(pc, by="mode", cluster="id")
    assert compared.groups.release().frame["rate_ci_low"].is_null().to_list() == [True, False]
    pair = compared.pairs.release().frame
    assert pair.select("difference", "difference_ci_low", "ratio_ci_low").row(0)[1:] == (None, None)
