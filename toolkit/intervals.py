"""Confidence intervals of proportions, as Polars expressions over counts.

All are 95 % unless `level` says otherwise, and null where a denominator is 0.
"""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

LEVEL = 0.95


def wilson(k: pl.Expr, n: pl.Expr, *, level: float = LEVEL) -> tuple[pl.Expr, pl.Expr]:
    """Low and high end of the score interval of k out of n.

    It keeps its coverage at small n and near 0 and 1, where the textbook interval fails.

    Args:
        k: How many of the n.
        n: The denominator.
        level: The confidence, a fraction.

    Source:
        Wilson (1927), Probable inference, the law of succession, and statistical inference,
        JASA 22, 209–212.

    Examples:
        >>> low, high = wilson(pl.lit(8), pl.lit(10))
        >>> pl.select(low.round(4).alias("low"), high.round(4).alias("high")).row(0)
        (0.4902, 0.9433)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (k * (n - k) / n + z**2 / 4).sqrt()
    # The ends are exactly 0 at k = 0 and 1 at k = n; floating point alone would miss them.
    low = pl.when(k == 0).then(0.0).otherwise(centre - half)
    high = pl.when(k == n).then(1.0).otherwise(centre + half)
    return pl.when(n > 0).then(low), pl.when(n > 0).then(high)


def rate(name: str, k: str, n: str) -> list[pl.Expr]:
    """The share of column k in column n as `name`, with `name_ci_low` and `name_ci_high`."""
    low, high = wilson(pl.col(k), pl.col(n))
    share = pl.when(pl.col(n) > 0).then(pl.col(k) / pl.col(n))
    return [share.alias(name), low.alias(f"{name}_ci_low"), high.alias(f"{name}_ci_high")]
