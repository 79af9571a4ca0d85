"""Groups compared within strata: beside R, and where a difference reverses."""

import numpy as np
import polars as pl
import pytest
from person_courses import REFERENCES, clustered, enrolled
from zou_donner import difference_ends

import toolkit as tk
from toolkit.analyses.intervals import wilson
from toolkit.schemas import Role


def counted(*cells: tuple[str, str, int, int]) -> pl.DataFrame:
    """Records of mode, course, passed and enrolled."""
    rows = [(mode, course, i < k) for mode, course, k, n in cells for i in range(n)]
    frame = pl.DataFrame(rows, schema=["mode", "course_id", "passed"], orient="row")
    return enrolled(frame.with_columns(username=pl.int_range(pl.len()).cast(pl.String)))


# Verified learners pass more often in each course, but most of them are in the hard one.
SIMPSON = counted(
    ("audit", "easy", 800, 1000), ("audit", "hard", 20, 100),
    ("verified", "easy", 90, 100), ("verified", "hard", 300, 1000),
)  # fmt: skip


@pytest.mark.parametrize("row", pl.read_csv(REFERENCES / "within.csv").rows(named=True))
def test_r_gives_the_same_standardized_differences_and_tests(row: dict[str, object]) -> None:
    pairs = tk.compare_groups(clustered(), by=str(row["by"]), strata=str(row["strata"])).within
    assert pairs is not None
    [own] = pairs.frame.filter(group_a=row["group_a"], group_b=row["group_b"]).rows(named=True)
    a, b, error_a, error_b = (float(row[x]) for x in ("rate_a", "rate_b", "error_a", "error_b"))  # type: ignore[arg-type]
    assert own["difference"] == pytest.approx(a - b, rel=1e-8)
    assert own["mantel_haenszel_p_value"] == pytest.approx(row["p_value"], rel=1e-8)
    worth = [pl.lit(p * (1 - p) / e**2) for p, e in ((a, error_a), (b, error_b))]
    of_a, of_b = (
        tuple(pl.select(end).item() for end in wilson(n * rate, n))
        for n, rate in zip(worth, (a, b), strict=True)
    )
    found = (own["difference_ci_low"], own["difference_ci_high"])
    assert found == pytest.approx(difference_ends(a, of_a, b, of_b), rel=1e-8)


def test_a_difference_that_turns_round_within_courses_is_told() -> None:
    found = tk.compare_groups(SIMPSON, by="mode", reference="audit", strata="course_id")
    assert found.within is not None
    row = found.within.frame.row(0, named=True)
    assert row["pooled_difference"] == pytest.approx(390 / 1100 - 820 / 1100)
    assert row["difference"] == pytest.approx(0.1)
    assert row["difference_ci_low"] > 0
    assert "reverses" in found.narrate()
    alone = tk.compare_groups(SIMPSON, by="mode", reference="audit")
    assert alone.within is None
    assert "reverses" not in alone.narrate()


def test_a_difference_that_vanishes_within_courses_is_told() -> None:
    frame = counted(
        ("audit", "easy", 800, 1000), ("audit", "hard", 20, 100),
        ("verified", "easy", 80, 100), ("verified", "hard", 200, 1000),
    )  # fmt: skip
    found = tk.compare_groups(frame, by="mode", strata="course_id")
    assert found.within is not None
    assert found.within.frame["difference"][0] == pytest.approx(0.0)
    assert "could still be hidden. It may come from how the groups" in found.narrate()


def test_one_stratum_gives_the_pooled_comparison() -> None:
    frame = clustered().with_columns(one=pl.lit("the same"))
    found = tk.compare_groups(frame, by="mode", strata="one")
    assert found.within is not None
    for name in ("difference", "difference_ci_low", "difference_ci_high"):
        pooled = found.pairs.frame[name].to_list()
        assert found.within.frame[name].to_list() == pytest.approx(pooled, rel=1e-9)
    robust = tk.compare_groups(frame, by="mode", strata="one", cluster="id")
    assert robust.within is not None
    for name in ("difference_ci_low", "difference_ci_high"):
        pooled = robust.pairs.frame[name].to_list()
        assert robust.within.frame[name].to_list() == pytest.approx(pooled, rel=1e-9)
    for name in ("mantel_haenszel_p_value", "pooled_p_value"):
        pooled = robust.pairs.frame["p_value"].to_list()
        assert robust.within.frame[name].to_list() == pytest.approx(pooled, rel=1e-9)


def test_only_strata_in_which_both_groups_are_count() -> None:
    frame = counted(("a", "x", 5, 10), ("b", "x", 2, 10), ("a", "y", 9, 9), ("b", "z", 0, 7))
    found = tk.compare_groups(frame, by="mode", strata="course_id").within
    assert found is not None
    row = found.frame.row(0, named=True)
    assert (row["n_strata"], row["n_learners_a"], row["n_learners_b"]) == (1, 10, 10)
    assert row["difference"] == pytest.approx(0.3)
    apart = counted(("a", "x", 5, 10), ("b", "y", 2, 10))
    nothing = tk.compare_groups(apart, by="mode", strata="course_id").within
    assert nothing is not None
    shown = nothing.frame.select("n_strata", "pooled_difference", "difference", "p_value")
    assert shown.row(0) == (0, None, None, None)
    assert nothing.narrate() == "No course has learners of two groups."


def test_a_mixture_that_nobody_differs_in_leaves_an_interval_its_width() -> None:
    frame = counted(("a", "x", 10, 10), ("b", "x", 0, 12), ("a", "y", 20, 20), ("b", "y", 0, 18))
    row = tk.compare_groups(frame, by="mode", strata="course_id").within.frame.row(0, named=True)  # type: ignore[union-attr]
    assert row["difference"] == pytest.approx(1.0)
    assert 0 < row["difference_ci_low"] < 0.95


def test_what_is_adjusted_is_released_in_two_digits_and_only_of_enough_clustered() -> None:
    found = tk.compare_groups(SIMPSON, by="mode", strata="course_id").within
    assert found is not None
    told = found.release().frame.row(0, named=True)
    assert told["difference"] == pytest.approx(-0.1)
    assert told["n_learners_a"] % 5 == 0
    few = counted(("a", "x", 300, 400), ("b", "x", 4, 50), ("a", "y", 20, 40), ("b", "y", 3, 60))
    withheld = tk.compare_groups(few, by="mode", strata="course_id").within
    assert withheld is not None
    assert withheld.release().frame["difference"].to_list() == [None]


@pytest.mark.parametrize("cluster", [None, "username"])
@pytest.mark.parametrize("k", [67, 61])
def test_one_stratum_released_says_no_more_than_the_released_counts(
    cluster: str | None, k: int
) -> None:
    # In two digits, difference, interval and p of the exact counts told that 1 of 68 was missed.
    options = {"by": "mode", "strata": "course_id", "cluster": cluster, "margin": 0.1}
    records = counted(("audit", "c", k, 68), ("verified", "c", 49, 62))
    found = tk.compare_groups(records, **options)
    assert found.within is not None
    safe = found.within.release().frame
    n = safe.select("n_reached_a", "n_learners_a", "n_reached_b", "n_learners_b").row(0)
    same = counted(("audit", "c", *n[:2]), ("verified", "c", *n[2:]))
    alike = tk.compare_groups(same, **options).within
    assert alike is not None
    for name in alike.schema.of_role(Role.MEASURE, Role.STATISTIC):
        digits = 1e-9 if name == "pooled_difference" else 0.05
        if cluster is None or name in {"difference", "pooled_difference"}:
            assert safe[name].item() == pytest.approx(alike.frame[name].item(), rel=digits), name
    if cluster is None:
        p = found.pairs.release().frame["p_value"].item()
        assert safe["pooled_p_value"].item() == pytest.approx(p, rel=0.05)


def test_too_many_pairs_to_read_are_refused() -> None:
    frame = counted(*((f"group {i}", "x", 1, 3) for i in range(60)))
    with pytest.raises(tk.errors.ArgumentError, match="1,770 pairs of groups"):
        tk.compare_groups(frame, by="mode", strata="course_id")


@pytest.mark.parametrize("strata", ["mode", [], 7])
def test_strata_must_be_other_columns(strata: object) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="strata"):
        tk.compare_groups(SIMPSON, by="mode", strata=strata)  # type: ignore[arg-type]


@pytest.mark.slow
def test_standardized_differences_of_learners_in_three_courses_cover() -> None:
    rng = np.random.default_rng(3)
    held = np.zeros(2)
    runs, n = 200, 70
    for _ in range(runs):
        own, mode = rng.normal(0, 1.5, n), rng.random(n) < 0.5
        course = np.tile([-1.0, 0.0, 1.0], n)
        chance = 1 / (1 + np.exp(-(np.repeat(own, 3) + course)))
        rows = pl.DataFrame(
            {
                "username": np.repeat(np.arange(n), 3),
                "mode": np.repeat(np.where(mode, "a", "b"), 3),
                "course_id": course,
                "passed": rng.random(3 * n) < chance,
            }
        )
        for place, cluster in enumerate((None, "username")):
            found = tk.compare_groups(
                enrolled(rows), by="mode", strata="course_id", cluster=cluster
            ).within
            assert found is not None
            row = found.frame.row(0, named=True)
            held[place] += row["difference_ci_low"] <= 0 <= row["difference_ci_high"]
    plain, robust = held / runs
    assert plain < 0.9
    assert 0.93 <= robust <= 0.98
