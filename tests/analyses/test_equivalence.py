"""Equivalence of groups within the smallest difference that matters."""

import re

import numpy as np
import polars as pl
import pytest
from person_courses import passed_of
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

import toolkit as tk
from toolkit.analyses.simultaneous import Rates, equivalence

GROUPS = {"a": (500, 1000), "b": (505, 1000), "c": (700, 1000), "d": (33, 60), "e": (540, 1000)}
MARGIN = 0.08


def person_course(**groups: tuple[int, int]) -> pl.DataFrame:
    learners = pl.int_range(pl.len()).cast(pl.String)
    return passed_of(**groups).with_columns(course_id=pl.lit("c"), username=learners)


def test_statsmodels_intervals_reach_the_margin_at_the_p_of_equivalence() -> None:
    pairs = tk.compare_groups(person_course(**GROUPS), by="mode", margin=MARGIN).pairs.frame
    for row in pairs.iter_rows(named=True):
        counts = (*GROUPS[row["group_a"]], *GROUPS[row["group_b"]])
        p = row["equivalence_p_value"]
        assert row["equivalence_p_adjusted"] == pytest.approx(min(1.0, 10 * p), rel=1e-12)
        assert (p < 0.5) == (abs(row["difference"]) < MARGIN)
        inside = min(p, 1 - p)
        ends = confint_proportions_2indep(*counts, method="newcomb", alpha=2 * inside)
        assert min(abs(abs(end) - MARGIN) for end in ends) < 1e-8
        low, high = confint_proportions_2indep(*counts, method="newcomb", alpha=0.1 / 10)
        assert (row["verdict"] == "equivalent") == (low > -MARGIN and high < MARGIN)


def test_each_pair_has_one_of_three_verdicts() -> None:
    found = tk.compare_groups(person_course(**GROUPS), by="mode", margin=MARGIN).pairs.frame
    verdicts = {(a, b): v for a, b, v in found.select("group_a", "group_b", "verdict").rows()}
    assert verdicts["a", "b"] == "equivalent"
    assert verdicts["a", "c"] == "different"
    assert verdicts["a", "d"] == "undecided"


def test_a_difference_that_is_clear_and_too_small_to_matter_is_equivalent() -> None:
    pc = person_course(a=(5000, 10_000), b=(5300, 10_000))
    [row] = tk.compare_groups(pc, by="mode", margin=0.05).pairs.frame.to_dicts()
    assert row["p_adjusted"] < 0.001
    assert row["verdict"] == "equivalent"


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({"a": (500, 1000), "b": (505, 1000)}, "Equivalent within ±8 percentage points: a and b"),
        ({"a": (500, 1000), "b": (700, 1000)}, "Different: a and b"),
        ({"a": (30, 60), "b": (33, 60)}, "Undecided: a and b"),
    ],
)
def test_the_narrative_gives_the_verdict_and_no_other(
    groups: dict[str, tuple[int, int]], told: str
) -> None:
    found = tk.compare_groups(person_course(**groups), by="mode", margin=MARGIN)
    text = found.narrate()
    assert told in text
    assert len(re.findall("(?i)equivalent within|different:|undecided:", text)) == 1
    assert "chance" not in text
    within = tk.compare_groups(
        person_course(**groups), by="mode", margin=MARGIN, strata="course_id"
    ).within
    assert within is not None
    assert told.lower() in within.narrate().lower()
    assert "Within the same course: " in within.narrate()


def test_the_verdict_within_strata_is_that_of_one_stratum() -> None:
    options = {"by": "mode", "margin": MARGIN, "strata": "course_id"}
    for cluster in (None, "username"):
        found = tk.compare_groups(person_course(**GROUPS), cluster=cluster, **options)  # type: ignore[arg-type]
        assert found.within is not None
        for name in ("equivalence_p_value", "verdict"):
            pooled, within = found.pairs.frame[name], found.within.frame[name]
            if name == "verdict":
                assert within.to_list() == pooled.to_list()
            else:
                np.testing.assert_allclose(within, pooled, rtol=1e-7)


@pytest.mark.parametrize("n", [50, 100, 200])
def test_groups_that_differ_by_the_margin_are_seldom_called_equivalent(n: int) -> None:
    k = np.arange(n + 1.0)
    a, b = (grid.ravel() for grid in np.meshgrid(k / n, k / n, indexing="ij"))
    size = np.full(a.size, float(n))
    p = equivalence(Rates(a, b, size, size).ends, 0.2, a.size).reshape(n + 1, n + 1)
    for share in (0.3, 0.5, 0.7):
        chance = np.outer(stats.binom.pmf(k, n, share), stats.binom.pmf(k, n, share - 0.2))
        assert chance[p < 0.05].sum() < 0.065
