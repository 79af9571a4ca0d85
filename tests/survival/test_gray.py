"""Gray's test beside its formula, written plainly in decimals of 50 digits."""

import tracemalloc
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.analyses.grouping import Groups
from toolkit.survival import gray
from toolkit.survival.event_table import event_ranges
from toolkit.survival.gray import Compared, grays_score

NONE, ONE = Decimal(0), Decimal(1)


class Group(NamedTuple):
    """How many of one group are last seen at each of its times, at the end and at another."""

    number: int
    times: np.ndarray
    leaving: np.ndarray
    ends: np.ndarray
    others: np.ndarray


def one_group(
    y: Decimal, d2: Decimal, s: Decimal, s_after: Decimal, all_h: Decimal, d: Decimal
) -> tuple[Decimal, Decimal]:
    """The variances of a group's steps, divided by h; at ties that of draws without replacement."""
    if not y:
        return NONE, NONE
    pooled = all_h * s
    spared = pooled - d if pooled - d > pooled / 10**9 else NONE
    to_end = s * d / (all_h * y) * (spared / max(pooled - 1, ONE) if d > 1 else 1)
    to_other = s**2 * d2 / y**2 * ((y - d2) / (y - 1) if d2 > 1 else 1)
    return to_end, to_other if s_after else NONE


def plainly(groups: list[Group], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The score and its covariance in one stratum, term by term: k³ products at each time."""
    each = range(k)
    score = [NONE] * k
    s, f, f0 = [ONE] * k, [NONE] * k, NONE
    steps = []
    for time in sorted({t for group in groups for t in group.times[group.ends + group.others > 0]}):
        y, d1, d2 = [NONE] * k, [NONE] * k, [NONE] * k
        for one in groups:
            y[one.number] = Decimal(int(one.leaving[one.times >= time].sum()))
            d1[one.number] = Decimal(int(one.ends[one.times == time].sum()))
            d2[one.number] = Decimal(int(one.others[one.times == time].sum()))
        h = [y[j] / s[j] if y[j] else NONE for j in each]
        all_h, d = sum(h), sum(d1)
        r = [h[j] * (1 - f[j]) for j in each]
        score = [score[j] + d1[j] - d * r[j] / sum(r) for j in each]
        after = [s[j] * (1 - (d1[j] + d2[j]) / y[j]) if y[j] else s[j] for j in each]
        variances = [one_group(y[j], d2[j], s[j], after[j], all_h, d) for j in each]
        f = [f[j] + s[j] * d1[j] / y[j] if y[j] else f[j] for j in each]
        n_present = sum(y[j] > 0 for j in each)  # the weights a of one group are 0
        rate, f0 = (d / all_h / (1 - f0) if d and n_present > 1 else NONE), f0 + d / all_h
        g = [(1 - f0) / after[j] if after[j] else NONE for j in each]
        a = [[h[i] * ((i == j) - h[j] / all_h) for j in each] for i in each]
        steps.append((a, rate, g, variances))
        s = after
    later = [[NONE] * k for _ in each]
    covariance = [[NONE] * k for _ in each]
    for a, rate, g, variances in reversed(steps):
        for j in each:
            ends = [a[i][j] + (1 - g[j]) * later[i][j] for i in each]
            others = [-g[j] * later[i][j] for i in each]
            to_end, to_other = variances[j]
            for i in each:
                for m in each:
                    covariance[i][m] += (
                        to_end * ends[i] * ends[m] + to_other * others[i] * others[m]
                    )
        later = [[later[i][j] + rate * a[i][j] for j in each] for i in each]
    return np.array(score, float), np.array(covariance, float)


def learners(seed: int, k: int, n: int, days: int) -> pl.DataFrame:
    """Groups of very different sizes, with ties where there are few days."""
    rng = np.random.default_rng(seed)
    group = np.append(np.arange(k), rng.choice(k, n - k, p=rng.dirichlet(np.full(k, 0.5))))
    end = rng.choice(["passed", "left", "moved", None], n, p=rng.dirichlet([2, 1, 1, 2]))
    return pl.DataFrame(
        {
            "group": group,
            "stratum": rng.integers(0, 2, n),
            "duration": rng.integers(1, days, n, endpoint=True).astype(float),
            "end": pl.Series(end.tolist(), dtype=pl.String),
            "event": end == "passed",
        }
    )


def groups_of(rows: pl.DataFrame) -> list[Group]:
    """The counts of each group."""
    ends, others = pl.col("end") == "passed", pl.col("end").is_in(["left", "moved"])
    sums = {"ends": ends.sum(), "others": others.sum()}
    counted = rows.group_by("group", "duration").agg(pl.len(), **sums).sort("duration")
    return [
        Group(number, *part.select(pl.exclude("group").cast(float)).to_numpy().T)
        for (number,), part in counted.partition_by("group", as_dict=True).items()
    ]


def statistic(rows: pl.DataFrame, k: int, strata: str | None) -> float | None:
    """That of the formula; None where not all groups are compared."""
    score, covariance = np.zeros(k), np.zeros((k, k))
    with localcontext(prec=50):
        for part in rows.partition_by(strata) if strata else [rows]:
            own = plainly(groups_of(part), k)
            score, covariance = score + own[0], covariance + own[1]
    if not covariance.any(axis=1).all():
        return None
    kept = np.delete(np.arange(k), covariance.diagonal().argmax())
    return float(score[kept] @ np.linalg.solve(covariance[np.ix_(kept, kept)], score[kept]))


@pytest.mark.parametrize("strata", [None, "stratum"])
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(2, 4),
    n=st.integers(20, 80),
    days=st.sampled_from([4, 30, 10_000]),
    together=st.sampled_from([1, 3, 16, 128]),
)
def test_the_statistic_is_that_of_the_formula(
    strata: str | None, seed: int, k: int, n: int, days: int, together: int
) -> None:
    rows = learners(seed, k, n, days)
    right = statistic(rows, k, strata)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gray, "TIMES_AT_ONCE", together)
        found = tk.survival.gray_test(rows, by="group", strata=strata).frame["statistic"][0]
    if right is not None:
        assert found == pytest.approx(right, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("seed", [2, 3, 19])
def test_a_pooled_incidence_of_1_costs_no_digits(seed: int) -> None:
    """If all pass, it reaches 1 while some of the slower group are still under way."""
    rng = np.random.default_rng(seed)
    days = np.ceil(rng.exponential(np.repeat([10.0, 7.0], 60)))
    rows = pl.DataFrame({"group": np.repeat([0, 1], 60), "duration": days})
    rows = rows.with_columns(end=pl.lit("passed"), event=pl.lit(value=True))
    expected = statistic(rows, 2, None)
    assert expected is not None
    found = tk.survival.gray_test(rows, by="group").frame["statistic"].to_list()
    assert found == pytest.approx([expected] * 2, rel=1e-8)


def score_of(rows: pl.DataFrame, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The score and its covariance, of groups in one stratum."""
    table = event_ranges(rows, Groups(("group",)), (), ["passed"])
    score, covariance, _ = grays_score(table, Compared(np.arange(k), np.zeros(k, int), k))
    return score, covariance


def test_a_small_group_beside_one_of_a_million_costs_no_digits() -> None:
    small = Group(0, np.array([1.0, 2, 5]), *np.array([[1.0, 1, 1], [1, 0, 0], [0, 1, 0]]))
    leaving = np.array([5e5, 2.5e5, 1.25e5, 1.25e5])
    ends, others = leaving * [0.5, 0.25, 0.5, 0], leaving * [0.25, 0.25, 0, 0.5]
    large = Group(1, np.array([1.0, 2, 3, 4]), leaving, ends, others)
    score, covariance = score_of(pl.concat(map(rows_of, [small, large])), 2)
    with localcontext(prec=50):
        right = plainly([small, large], 2)
    np.testing.assert_allclose(score[0], right[0][0], rtol=1e-12)
    np.testing.assert_allclose(covariance, right[1], rtol=1e-12)


def rows_of(group: Group) -> pl.DataFrame:
    """A row for each learner of a group."""
    kinds = {"passed": group.ends, "left": group.others}
    kinds[""] = group.leaving - group.ends - group.others
    times = [np.repeat(group.times, n.astype(int)) for n in kinds.values()]
    end = np.repeat([*kinds], [*map(len, times)])
    return pl.DataFrame({"duration": np.concatenate(times), "end": end}).select(
        "duration",
        pl.col("end").replace({"": None}),
        group=pl.lit(group.number),
        event=pl.col("end") == "passed",
    )


def test_memory_holds_no_matrix_of_groups_and_times() -> None:
    k, n = 100, 30_000
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {"group": np.arange(n) % k, "duration": rng.random(n), "end": "passed", "event": True}
    )
    tracemalloc.start()
    score_of(rows, k)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < k * n * 8 / 2


@pytest.mark.parametrize("size", [1, 100])
def test_a_group_that_leaves_before_the_first_pass_leaves_the_test(size: int) -> None:
    rows = [("a", 1.0, "passed"), ("a", 2.0, None), ("a", 3.0, "left"), ("b", 1.0, None)]
    rows += [("b", 2.0, "passed"), ("b", 2.0, "left"), ("b", 4.0, "passed")]
    gone = [("gone", 0.0, None)] * size
    found, expected = (
        tk.survival.gray_test(
            pl.DataFrame(some, schema=["group", "duration", "end"], orient="row").with_columns(
                event=pl.col("end").is_not_null()
            ),
            by="group",
        ).frame
        for some in (rows + gone, rows)
    )
    assert found["is_compared"].to_list() == [True, True, False]
    told = ["df", "statistic", "p_value"]
    assert found.select(told).row(0) == expected.select(told).row(0)
