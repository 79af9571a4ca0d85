"""Pairs of groups: the difference, the ratio and a test of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from toolkit.analyses.clusters import Moments
from toolkit.analyses.intervals import LEVEL, katz, ratio_of
from toolkit.analyses.simultaneous import Rates, agreeing, bonferroni, equivalence, judged
from toolkit.analyses.spread import students
from toolkit.schemas.arguments import alpha_of

SMALL_EXPECTED = 5
CHI_SQUARED, FISHER, ROBUST = "χ²", "Fisher's exact", "robust score"
DESIGN = ["rate_effect", "rate_clusters"]


def compared_pairs(
    groups: pl.DataFrame,
    moments: Moments | None,
    *,
    reference: str | None,
    margin: float | None = None,
    level: float = LEVEL,
) -> pl.DataFrame:
    """Compare every two groups, or each with the reference.

    The groups have `DESIGN` if rows come in clusters; `moments` are then theirs.
    """
    numbered = groups.with_row_index("place")
    a = numbered.rename(lambda name: f"{name}_a")
    b = numbered.rename(lambda name: f"{name}_b")
    if reference is None:
        wanted = pl.col("place_a") < pl.col("place_b")
    else:
        wanted = (pl.col("group_b") == reference) & (pl.col("group_a") != reference)
    pairs = a.join(b, how="cross").filter(wanted)
    k_a, n_a, k_b, n_b = (pl.col(f"n_{of}_{x}") for x in "ab" for of in ("reached", "learners"))
    of_ratio = katz(k_a, n_a, k_b, n_b, level=level)
    if moments is not None:
        correlations = [moments.correlation(*pair) for pair in _places(pairs)]
        pairs = pairs.with_columns(pl.Series("correlation", correlations, pl.Float64))
        of_ratio = _ratio_of_clusters(level)
    reached, learners = k_a + k_b, n_a + n_b
    share = reached / learners
    fewest = pl.min_horizontal(n_a, n_b) * pl.min_horizontal(reached, learners - reached)
    # If all have the outcome, or none, there is nothing to test.
    differ = share.is_between(0, 1, closed="none")
    pearson = (k_a / n_a - k_b / n_b) ** 2 / (share * (1 - share) * (1 / n_a + 1 / n_b))
    pairs = pairs.with_columns(
        difference=k_a / n_a - k_b / n_b,
        ratio=pl.when(k_b > 0).then((k_a / n_a) / (k_b / n_b)),
        ratio_ci_low=of_ratio[0],
        ratio_ci_high=of_ratio[1],
        smallest_expected=fewest / learners,
        statistic=pl.when(differ).then(pearson),
    )
    tested = _independent(pairs) if moments is None else _robust(pairs, moments)
    tested = tested.with_columns(p_adjusted=bonferroni(tested["p_value"]))
    rates, alpha = _rates(tested), alpha_of(level)
    tested = tested.with_columns(_intervals(tested, rates, alpha))
    if margin is None:
        return tested
    p = pl.Series("equivalence_p_value", equivalence(rates.ends, margin, tested.height))
    return judged(tested.with_columns(p.fill_nan(None)), margin, alpha)


def _intervals(pairs: pl.DataFrame, rates: Rates, alpha: float) -> list[pl.Series]:
    """Return the ends of each difference's own interval, and of its simultaneous one."""
    found = []
    for name, p, tests in (
        ("difference_ci", "p_value", 1),
        ("simultaneous", "p_adjusted", max(pairs.height, 1)),
    ):
        ends = agreeing(rates.ends, pairs[p].to_numpy() / tests, alpha / tests)
        for end, values in zip(("low", "high"), ends, strict=True):
            found.append(pl.Series(f"{name}_{end}", values).fill_nan(None))
    return found


def _rates(pairs: pl.DataFrame) -> Rates:
    """Return the rates of pairs and their effective sizes; NaN if a count is withheld."""

    def numbers(name: str) -> Any:
        return pairs[name].cast(pl.Float64).fill_null(np.nan).to_numpy()

    n = [numbers(f"n_learners_{x}") for x in "ab"]
    a, b = (numbers(f"n_reached_{x}") / size for x, size in zip("ab", n, strict=True))
    if DESIGN[0] + "_a" not in pairs.columns:
        return Rates(a, b, n[0], n[1])
    n_a, n_b = (size / numbers(f"{DESIGN[0]}_{x}") for x, size in zip("ab", n, strict=True))
    clusters = (numbers(f"{DESIGN[1]}_a"), numbers(f"{DESIGN[1]}_b"))
    return Rates(a, b, n_a, n_b, clusters, numbers("correlation"))


def _places(pairs: pl.DataFrame) -> list[tuple[int, int]]:
    return pairs.select("place_a", "place_b").rows()


def _independent(pairs: pl.DataFrame) -> pl.DataFrame:
    """Test pairs of independent rows: Pearson's χ², or Fisher's exact if few are expected."""
    few = pl.col("smallest_expected") < SMALL_EXPECTED
    pairs = pairs.with_columns(
        test=pl.when(few).then(pl.lit(FISHER)).otherwise(pl.lit(CHI_SQUARED))
    )
    p_values = [_p_of(row) for row in pairs.iter_rows(named=True)]
    return pairs.with_columns(pl.Series("p_value", p_values, pl.Float64))


def _p_of(pair: dict[str, Any]) -> float | None:
    """Return p of a 2 × 2 table, by the test named in `test`."""
    if pair["statistic"] is None:
        return None
    if pair["test"] == CHI_SQUARED:
        return float(stats.chi2.sf(pair["statistic"], 1))
    reached = [pair["n_reached_a"], pair["n_reached_b"]]
    missed = [pair["n_learners_a"] - reached[0], pair["n_learners_b"] - reached[1]]
    return float(stats.fisher_exact([reached, missed]).pvalue)


def _robust(pairs: pl.DataFrame, moments: Moments) -> pl.DataFrame:
    """Test pairs of clustered rows; null if a count is withheld."""
    tests = [moments.score_test(pair) for pair in _places(pairs)]
    schema = {"statistic": pl.Float64, "p_value": pl.Float64}
    found = pl.DataFrame(tests, schema=schema, orient="row")
    known = pl.col("difference").is_not_null()
    return (
        pairs.drop("statistic")
        .hstack(found)
        .with_columns(pl.when(known).then(pl.col(*schema)), test=pl.lit(ROBUST))
    )


def _ratio_of_clusters(level: float) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends of the ratio's interval, from each group's `DESIGN` and their correlation."""
    shares, logs = [], []
    for x in "ab":
        k, n = pl.col(f"n_reached_{x}"), pl.col(f"n_learners_{x}")
        shares.append(k / n)
        logs.append((pl.col(f"{DESIGN[0]}_{x}") * (1 / k - 1 / n)).sqrt())
    a, b = (pl.col(f"{DESIGN[1]}_{x}") for x in "ab")
    fewest = pl.when(a.is_not_null() & b.is_not_null()).then(pl.min_horizontal(a, b))
    one, other = logs
    variance = one**2 + other**2 - 2 * pl.col("correlation") * one * other
    half = students(fewest, level) * variance.clip(0.0).sqrt()
    return ratio_of(shares[0], shares[1], half)
