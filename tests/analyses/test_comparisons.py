from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from person_courses import passed_of
from polars.testing import assert_frame_equal
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

import toolkit as tk
from toolkit.analyses.intervals import holm
from toolkit.schemas.comparison_results import COMPARED_GROUPS, PAIRS


def test_where_all_groups_are_withheld_the_test_does_not_say_that_nobody_is_there() -> None:
    pc = pl.DataFrame(
        {
            "mode": ["a", "b"] * 4,
            "passed": [True, True, False, False] * 2,
            "in_enrollments": True,
            "completion": None,
            "percent_grade": None,
        }
    )
    test = tk.compare_groups(pc, by="mode").test
    assert test.frame.select("n_learners", "n_reached").row(0) == (8, 4)
    assert test.table(["n_learners", "n_reached"]).rows == [["<10", "<10"]]


def test_a_published_difference_has_its_published_interval() -> None:
    # Newcombe (1998), table II: 56/70 − 48/80, method 10: 0.0524 to 0.3339.
    [pair] = tk.compare_groups(passed_of(a=(56, 70), b=(48, 80)), by="mode").pairs.frame.to_dicts()
    assert pair["difference"] == pytest.approx(0.2)
    assert round(pair["difference_ci_low"], 4) == 0.0524
    assert round(pair["difference_ci_high"], 4) == 0.3339
    assert pair["ratio"] == pytest.approx(4 / 3)


def test_pairs_agree_with_statsmodels_and_scipy() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(30, 300, 8)
    groups = {f"g{i}": (int(rng.integers(n // 4, 3 * n // 4)), int(n)) for i, n in enumerate(sizes)}
    found = tk.compare_groups(passed_of(**groups), by="mode")
    assert found.pairs.frame.height == 28
    for pair in found.pairs.frame.iter_rows(named=True):
        (k_a, n_a), (k_b, n_b) = groups[pair["group_a"]], groups[pair["group_b"]]
        difference = confint_proportions_2indep(k_a, n_a, k_b, n_b, method="newcomb")
        ratio = confint_proportions_2indep(k_a, n_a, k_b, n_b, method="log", compare="ratio")
        chi = stats.chi2_contingency([[k_a, n_a - k_a], [k_b, n_b - k_b]], correction=False)
        assert pair["test"] == "χ²"
        expected = [*difference, *ratio, chi.statistic, chi.pvalue]
        names = ["difference_ci_low", "difference_ci_high", "ratio_ci_low", "ratio_ci_high"]
        actual = [pair[name] for name in [*names, "statistic", "p_value"]]
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    adjusted = multipletests(found.pairs.frame["p_value"].to_numpy(), method="bonferroni")[1]
    np.testing.assert_allclose(found.pairs.frame["p_adjusted"], adjusted, atol=1e-12)


def test_all_groups_together_agree_with_scipy() -> None:
    groups = {"a": (20, 50), "b": (35, 60), "c": (10, 40)}
    found = tk.compare_groups(passed_of(**groups), by="mode")
    table = [[k, n - k] for k, n in groups.values()]
    chi = stats.chi2_contingency(table, correction=False)
    assert found.test.frame["statistic"].item() == pytest.approx(chi.statistic, abs=1e-9)
    assert found.test.frame["p_value"].item() == pytest.approx(chi.pvalue, abs=1e-12)
    assert found.test.frame["df"].item() == 2
    assert found.test.frame["cramers_v"].item() == pytest.approx(
        stats.contingency.association(table), abs=1e-12
    )


def test_small_expected_counts_are_tested_exactly() -> None:
    found = tk.compare_groups(passed_of(a=(1, 9), b=(11, 14)), by="mode")
    [pair] = found.pairs.frame.to_dicts()
    exact = stats.fisher_exact([[1, 8], [11, 3]]).pvalue
    assert pair["test"] == "Fisher's exact"
    assert pair["p_value"] == pytest.approx(exact, abs=1e-12)
    assert found.test.frame["p_value"].item() == pytest.approx(exact, abs=1e-12)


def test_one_pair_is_tested_as_all_groups_are() -> None:
    # 5 are expected of each, of which 14 * (1 - 18 / 28) falls short in floating point.
    for a, b in (((8, 14), (10, 14)), ((12, 17), (12, 17)), ((7, 9), (22, 30)), ((1, 9), (9, 9))):
        found = tk.compare_groups(passed_of(a=a, b=b), by="mode")
        same = ["test", "statistic", "p_value"]
        pair, together = (one.frame.select(same) for one in (found.pairs, found.test))
        assert_frame_equal(pair, together, check_exact=False)
        smallest = stats.contingency.expected_freq([[a[0], b[0]], [a[1] - a[0], b[1] - b[0]]]).min()
        assert pair["test"].item() == ("Fisher's exact" if smallest < 5 else "χ²")


def test_where_nobody_or_everybody_has_it_there_is_nothing_to_test() -> None:
    for passed in (0, 30):
        found = tk.compare_groups(passed_of(a=(passed, 30), b=(passed, 30)), by="mode")
        [pair] = found.pairs.frame.to_dicts()
        assert found.test.frame["p_value"].item() is None
        assert pair["p_value"] is None
        assert pair["p_adjusted"] is None
        assert pair["difference"] == 0
        assert found.test.frame["statistic"].item() is None


def test_a_ratio_with_nobody_has_no_interval() -> None:
    [pair] = tk.compare_groups(passed_of(a=(20, 40), b=(0, 40)), by="mode").pairs.frame.to_dicts()
    assert (pair["ratio"], pair["ratio_ci_low"], pair["ratio_ci_high"]) == (None, None, None)
    assert pair["difference"] == 0.5


def test_a_reference_is_compared_with_each_other_group() -> None:
    pc = passed_of(a=(20, 40), b=(10, 40), c=(30, 40))
    pairs = tk.compare_groups(pc, reference="b", by="mode").pairs.frame
    assert pairs.select("group_a", "group_b").rows() == [("a", "b"), ("c", "b")]
    assert pairs["difference"].to_list() == [0.25, 0.5]
    with pytest.raises(tk.errors.ArgumentError, match="no group 'x'; there are a, b, c"):
        tk.compare_groups(pc, reference="x", by="mode")


def test_holm_keeps_the_order_and_never_exceeds_one() -> None:
    assert holm(pl.Series([0.5, 0.01, 0.6, 0.02])).to_list() == [1.0, 0.04, 1.0, 0.06]
    assert holm(pl.Series([], dtype=pl.Float64)).to_list() == []


def test_any_boolean_can_be_the_outcome_and_any_stage_the_denominator() -> None:
    pc = passed_of(a=(20, 40), b=(10, 40)).with_columns(
        is_active=pl.col("passed"), completion=pl.when(pl.col("passed")).then(0.5)
    )
    active = tk.compare_groups(pc, outcome="is_active", among="enrolled", by="mode")
    assert active.groups.frame["rate"].to_list() == [0.5, 0.25]
    among = tk.compare_groups(pc, outcome="passed", among="active", by="mode")
    assert among.groups.frame["n_learners"].to_list() == [20, 10]
    with pytest.raises(tk.errors.SchemaError, match="not 'mode'"):
        tk.compare_groups(pc, outcome="mode", by="mode")
    with pytest.raises(tk.errors.ArgumentError, match="among must be one of"):
        tk.compare_groups(pc, among="everybody", by="mode")


def test_tables_have_the_columns_of_their_schemas() -> None:
    found = tk.compare_groups(passed_of(a=(20, 40), b=(10, 40), c=(0, 40)), by="mode")
    assert found.pairs.frame.schema == PAIRS.polars_schema
    assert found.groups.frame.schema == COMPARED_GROUPS.polars_schema
    nobody = tk.compare_groups(passed_of(), by="mode")
    assert nobody.pairs.frame.schema == PAIRS.polars_schema
    assert nobody.pairs.frame.is_empty()


def test_the_narrative_tells_released_figures_alone() -> None:
    found = tk.compare_groups(passed_of(a=(3, 70), b=(48, 80), c=(60, 80)), by="mode")
    told = found.narrate()
    assert "4.3" not in told
    assert "differ" in told


def test_what_is_shown_of_a_comparison_follows_from_the_released_groups() -> None:
    found = tk.compare_groups(passed_of(a=(23, 71), b=(48, 83), c=(61, 97)), by="mode")
    groups = {row["group"]: row for row in found.groups.release().frame.to_dicts()}
    for pair in found.pairs.release().frame.to_dicts():
        a, b = groups[pair["group_a"]], groups[pair["group_b"]]
        assert pair["n_reached_a"] == a["n_reached"]
        assert pair["difference"] == pytest.approx(a["rate"] - b["rate"])


def test_every_engine_gives_the_same_comparison(tmp_path: Path) -> None:
    pc = passed_of(a=(56, 70), b=(48, 80), c=(2, 9))
    pc.write_parquet(tmp_path / "pc.parquet")
    here = tk.compare_groups(pc, by="mode")
    assert_frame_equal(
        tk.compare_groups(pc.lazy(), by="mode").pairs.frame, here.pairs.frame, check_exact=True
    )
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(tmp_path / "pc.parquet"))
        assert_frame_equal(
            tk.compare_groups(relation, by="mode").pairs.frame, here.pairs.frame, check_exact=True
        )


def test_a_group_called_none_is_another_than_that_of_the_nulls() -> None:
    pc = pl.DataFrame(
        {
            "mode": [None, "(none)", "audit"] * 20,
            "passed": [True, False, True] * 20,
            "in_enrollments": True,
            "completion": None,
            "percent_grade": None,
        }
    )
    groups = tk.compare_groups(pc, by="mode").groups.frame
    assert groups.select("group", "n_reached").rows() == [
        ("(none)", 20),
        ("((none))", 0),
        ("audit", 20),
    ]


def test_a_reference_is_found_by_its_value_too() -> None:
    pc = pl.DataFrame(
        {
            "year": [1, 2] * 20,
            "passed": [True, False, False, False] * 10,
            "in_enrollments": True,
            "completion": None,
            "percent_grade": None,
        }
    )
    for reference in (1, "1"):
        pairs = tk.compare_groups(pc, by="year", reference=reference).pairs.frame
        assert pairs["group_b"].to_list() == ["1"]


def test_more_groups_than_pairs_can_be_read_of_are_refused() -> None:
    pc = pl.DataFrame(
        {
            "username": [f"u{i}" for i in range(301)],
            "passed": True,
            "in_enrollments": True,
            "completion": None,
            "percent_grade": None,
        }
    )
    with pytest.raises(tk.errors.ArgumentError, match="`username` makes 301 groups"):
        tk.compare_groups(pc, by="username")
