"""Confidence intervals of proportions, as Polars expressions over counts.

All are 95% intervals unless `level` says otherwise, and null if a denominator is 0.
"""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

from toolkit.analyses.spread import students

LEVEL = 0.95


def wilson(k: pl.Expr, n: pl.Expr, *, level: float = LEVEL) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends of the score interval of k out of n.

    It keeps its coverage at small n and near 0 and 1, where the textbook interval fails.

    Source: Wilson (1927), JASA 22, 209–212.

    Examples:
        >>> low, high = wilson(pl.lit(8), pl.lit(10))
        >>> pl.select(low.round(4).alias("low"), high.round(4).alias("high")).row(0)
        (0.4902, 0.9433)
    """
    return _score_interval(k, n, NormalDist().inv_cdf((1 + level) / 2))


def wilson_of_clusters(
    k: pl.Expr, n: pl.Expr, effect: pl.Expr, clusters: pl.Expr, *, level: float = LEVEL
) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends of the score interval of k out of n rows that come in clusters.

    Wilson's interval for the effective sample size, n over the design effect, with Student's t. The
    design effect is the variance of the share over that of independent rows. With one cluster, the
    ends are null.

    Source: Dean and Pagano (2015), J. Surv. Stat. Methodol. 3, 484–503.

    Examples:
        >>> ends = wilson_of_clusters(pl.lit(8), pl.lit(10), pl.lit(2.0), pl.lit(5))
        >>> [round(pl.select(end).item(), 4) for end in ends]
        [0.2226, 0.9824]
    """
    return _score_interval(k / effect, n / effect, students(clusters, level))


def _score_interval(k: pl.Expr, n: pl.Expr, z: float | pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (k * ((n - k) / n) + z**2 / 4).sqrt()
    # The ends are exactly 0 at k = 0 and 1 at k = n; floating point alone would miss them.
    low = pl.when(k == 0).then(0.0).otherwise(centre - half)
    high = pl.when(k == n).then(1.0).otherwise(centre + half)
    known = (n > 0) & half.is_not_null()
    return pl.when(known).then(low), pl.when(known).then(high)


def rate(
    name: str, k: str, n: str, *, level: float = LEVEL, of_clusters: bool = False
) -> list[pl.Expr]:
    """Return the share k / n as `name`, with its interval `name_ci_low` and `name_ci_high`.

    For rows in clusters, their design effect is `name_effect` and their number `name_clusters`.
    """
    low, high = wilson(pl.col(k), pl.col(n), level=level)
    if of_clusters:
        effect, clusters = pl.col(f"{name}_effect"), pl.col(f"{name}_clusters")
        low, high = wilson_of_clusters(pl.col(k), pl.col(n), effect, clusters, level=level)
    share = pl.when(pl.col(n) > 0).then(pl.col(k) / pl.col(n))
    return [share.alias(name), low.alias(f"{name}_ci_low"), high.alias(f"{name}_ci_high")]


def katz(
    k_a: pl.Expr, n_a: pl.Expr, k_b: pl.Expr, n_b: pl.Expr, *, level: float = LEVEL
) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends of the log interval of the ratio of k_a / n_a to k_b / n_b.

    Null if a numerator is 0, as the logarithm then has no interval.

    Source: Katz, Baptista, Azen and Pike (1978), Biometrics 34, 469–474.

    Examples:
        >>> ends = katz(pl.lit(56), pl.lit(70), pl.lit(48), pl.lit(80))
        >>> [round(pl.select(end).item(), 4) for end in ends]
        [1.0766, 1.6512]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    error = (1 / k_a - 1 / n_a + 1 / k_b - 1 / n_b).sqrt()
    return ratio_of(k_a / n_a, k_b / n_b, z * error)


def ratio_of(a: pl.Expr, b: pl.Expr, half: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends of the interval of a ratio of shares, `half` to each side in logs."""
    ratio, factor = a / b, half.exp()
    defined = (a > 0) & (b > 0)
    return pl.when(defined).then(ratio / factor), pl.when(defined).then(ratio * factor)


def none_of(n: pl.Expr, *, level: float = LEVEL) -> pl.Expr:
    """Return the high end of the mid-p interval of 0 out of n, whose low end is 0.

    The exact interval of Clopper and Pearson counts the whole probability of the observed count
    where the mid-p interval counts half of it, so it covers more often than its level.

    Source: Lancaster (1961), JASA 56, 223–234; Berry and Armitage (1995), The Statistician 44,
    417–423.

    Examples:
        >>> round(pl.select(none_of(pl.lit(15))).item(), 4)
        0.181
    """
    return 1 - (1 - level) ** (1 / n)


def holm(p: pl.Series) -> pl.Series:
    """Adjust p-values for multiple tests; order and nulls are kept.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65–70.

    Examples:
        >>> holm(pl.Series([0.01, 0.04, None, 0.03])).to_list()
        [0.03, 0.06, None, 0.06]
    """
    tests = p.drop_nulls().len()
    ranked = pl.DataFrame({"p": p}).with_row_index("row").sort("p", nulls_last=True)
    left = tests - pl.int_range(pl.len())
    adjusted = (pl.col("p") * left).cum_max().clip(upper_bound=1.0)
    return ranked.with_columns(p=adjusted).sort("row")["p"].alias(p.name)
