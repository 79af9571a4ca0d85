"""Intervals and p-values of several comparisons never contradict each other."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from person_courses import enrolled
from statsmodels.stats.proportion import confint_proportions_2indep

import toolkit as tk
from toolkit.results.result import Result

CELLS = st.tuples(st.integers(0, 60), st.integers(0, 60)).filter(lambda cell: sum(cell) > 0)
INTERVALS = {"p_value": "difference_ci", "p_adjusted": "simultaneous"}


def person_course(cells: list[tuple[int, int]], strata: int = 1) -> pl.DataFrame:
    """Groups of so many who passed and so many who did not; learners are in every third row."""
    rows = [
        (f"g{number // strata}", f"s{number % strata}", place < passed)
        for number, (passed, missed) in enumerate(cells)
        for place in range(passed + missed)
    ]
    username = (pl.int_range(pl.len()) * 7 % (pl.len() // 3 + 1)).cast(pl.String)
    frame = pl.DataFrame(rows, schema=["mode", "course_id", "passed"], orient="row")
    return enrolled(frame.with_columns(username=username))


def assert_no_contradiction(frame: pl.DataFrame, alpha: float = 0.05) -> None:
    """An interval excludes 0 exactly where the p beside it is below alpha."""
    for p, name in INTERVALS.items():
        name = "ci" if name == "difference_ci" and "ci_low" in frame.columns else name
        seen = frame.drop_nulls([p, f"{name}_low", f"{name}_high"])
        excludes = (pl.col(f"{name}_low") > 0) | (pl.col(f"{name}_high") < 0)
        wrong = seen.filter(excludes != (pl.col(p) < alpha))
        assert wrong.is_empty(), wrong.to_dicts()
        estimate, low, high = "difference", f"{name}_low", f"{name}_high"
        assert seen.filter(~pl.col(estimate).is_between(pl.col(low), pl.col(high))).is_empty()


def assert_shown_without_contradiction(result: Result) -> None:
    assert_no_contradiction(result.frame)
    assert_no_contradiction(result.release().frame)


@given(st.lists(CELLS, min_size=2, max_size=6))
@settings(max_examples=40)
def test_intervals_and_tests_of_rates_agree(cells: list[tuple[int, int]]) -> None:
    assert_shown_without_contradiction(tk.compare_groups(person_course(cells), by="mode").pairs)


@given(st.lists(CELLS, min_size=2, max_size=4))
@example([(44, 14), (0, 58), (14, 14)])
@settings(max_examples=15)
def test_intervals_and_robust_tests_of_rates_agree(cells: list[tuple[int, int]]) -> None:
    found = tk.compare_groups(person_course(cells), by="mode", cluster="username").pairs
    assert_shown_without_contradiction(found)
    # Released counts may lie further apart than the clusters' own: still there is chance.
    both = zip(found.frame["p_value"], found.release().frame["p_value"], strict=True)
    assert all(told for exact, told in both if exact is not None and told is not None and exact > 0)


@pytest.mark.parametrize("cluster", [None, "username"])
@example(cells=[(27, 8), (36, 20), (57, 39), (4, 4)])
@given(cells=st.lists(CELLS, min_size=4, max_size=8))
@settings(max_examples=15)
def test_intervals_and_tests_within_strata_agree(
    cells: list[tuple[int, int]], cluster: str | None
) -> None:
    frame = person_course(cells, strata=2)
    found = tk.compare_groups(frame, by="mode", strata="course_id", cluster=cluster).within
    assert found is not None
    assert_shown_without_contradiction(found)


def test_simultaneous_intervals_are_newcombes_at_bonferronis_level() -> None:
    cells = [(40, 40), (55, 25), (20, 70), (66, 30)]
    pairs = tk.compare_groups(person_course(cells), by="mode").pairs.frame
    for row in pairs.iter_rows(named=True):
        (k_a, m_a), (k_b, m_b) = (cells[int(row[f"group_{x}"][1:])] for x in "ab")
        counts = (k_a, k_a + m_a, k_b, k_b + m_b)
        theirs = confint_proportions_2indep(*counts, method="newcomb", alpha=0.05 / 6)
        ours = (row["simultaneous_low"], row["simultaneous_high"])
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert row["p_adjusted"] == pytest.approx(min(1.0, 6 * row["p_value"]), rel=1e-12)


def test_one_pair_has_one_interval() -> None:
    [row] = tk.compare_groups(person_course([(9, 3), (14, 30)]), by="mode").pairs.frame.to_dicts()
    for end in ("low", "high"):
        assert row[f"simultaneous_{end}"] == row[f"difference_ci_{end}"]


def test_where_test_and_interval_disagree_the_interval_follows_the_test() -> None:
    # Fisher's p is 0.0507, and Newcombe's 95 % interval by itself would exclude 0.
    cells = [(0, 8), (4, 5)]
    [row] = tk.compare_groups(person_course(cells), by="mode").pairs.frame.to_dicts()
    newcombe = confint_proportions_2indep(0, 8, 4, 9, method="newcomb")
    assert row["p_value"] > 0.05
    assert newcombe[1] < 0 < row["difference_ci_high"] < 0.1


def test_within_strata_p_is_the_one_that_the_interval_implies() -> None:
    cells = [(30, 20), (15, 40), (22, 30), (9, 45)]
    found = tk.compare_groups(person_course(cells, strata=2), by="mode", strata="course_id").within
    assert found is not None
    [row] = found.frame.to_dicts()
    one = tk.compare_groups(person_course([(45, 60), (31, 75)]), by="mode", strata="course_id")
    assert one.within is not None
    [same] = one.within.frame.to_dicts()
    theirs = confint_proportions_2indep(45, 105, 31, 106, method="newcomb", alpha=same["p_value"])
    assert min(abs(end) for end in theirs) < 1e-9
    assert row["mantel_haenszel_p_value"] == pytest.approx(row["p_value"], rel=0.2)


TIMES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 12), st.booleans(), st.integers(0, 20)),
    min_size=4,
    max_size=120,
)


@pytest.mark.parametrize("cluster", [None, "username"])
@given(rows=TIMES, level=st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=12)
def test_intervals_and_tests_of_the_time_to_pass_agree(
    rows: list[tuple[int, int, bool, int]], level: float, cluster: str | None
) -> None:
    schema = {"mode": pl.Int64, "duration": pl.Float64, "event": pl.Boolean, "username": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    options = {"by": "mode", "level": level, "cluster": cluster}
    for found in (
        tk.survival.milestone_difference(frame, at=6, **options),
        tk.survival.rmst_difference(frame, **options),
    ):
        for shown in (found.frame, found.release().frame):
            assert_no_contradiction(shown, 1 - level)


@pytest.mark.slow
def test_simultaneous_intervals_hold_together() -> None:
    rng = np.random.default_rng(11)
    truth = np.array([0.2, 0.35, 0.5, 0.55, 0.8])
    n = np.array([40, 60, 80, 120, 200])
    runs, held, single = 600, 0, 0
    for _ in range(runs):
        passed = rng.binomial(n, truth)
        cells = [(int(k), int(m - k)) for k, m in zip(passed, n, strict=True)]
        pairs = tk.compare_groups(person_course(cells), by="mode").pairs.frame
        place = [pairs[f"group_{x}"].str.slice(1).cast(pl.Int64).to_numpy() for x in "ab"]
        true = pl.Series("true", truth[place[0]] - truth[place[1]])
        inside = [
            pairs.select(true.is_between(pairs[f"{name}_low"], pairs[f"{name}_high"]).all()).item()
            for name in ("simultaneous", "difference_ci")
        ]
        held, single = held + inside[0], single + inside[1]
    assert held / runs >= 0.95
    assert single / runs < 0.85


def test_no_pair_of_real_courses_contradicts_itself(oulad_dir: Path) -> None:
    with tk.sandbox(oulad=oulad_dir) as platform:
        pc = tk.load_study(platform).person_course
    found = tk.compare_groups(pc, by="course_id")
    assert found.pairs.frame.height == 231
    assert_shown_without_contradiction(found.pairs)
    durations = tk.time_to_pass(
        pc.filter(pl.col("passed_timestamp").is_not_null() | ~pl.col("passed"))
    )
    for at in (200, 240):
        compared = tk.survival.milestone_difference(durations, by="course_id", at=at)
        assert_shown_without_contradiction(compared)
