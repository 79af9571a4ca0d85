"""Design effects and robust tests of rates whose records form clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import betaincc

from toolkit.analyses.engines import collected
from toolkit.analyses.grouping import Counts, Groups, count_by
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.rounding import DIGITS, ROUNDING
from toolkit.schemas import Column, Role, Table
from toolkit.schemas.arguments import as_given

Floats = NDArray[np.float64]
CLUSTER = " cluster"  # differs from the name of every column
_ALL = " all"
_TOLERANCE = 1e-9  # sums of squares miss 0 by some 1e-16

MOST_CLUSTERED = 10_000_000
"""The most rows held in memory with their clusters."""


def refuse_too_many(n_rows: int, cluster: str) -> None:
    """Raise an ArgumentError if there are more rows than can be held with their clusters."""
    if n_rows > MOST_CLUSTERED:
        raise ArgumentError(
            f"cluster={cluster!r} holds all rows in memory, {MOST_CLUSTERED:,} at most, and there "
            f"are {n_rows:,}. Pass the rows of some clusters, such as learners drawn at random, or "
            "of some groups, or leave it out: intervals are then those of independent rows"
        )


def count_clusters(
    rows: nw.LazyFrame[Any], groups: Groups, counts: Counts, cluster: object
) -> pl.DataFrame:
    """Sum each of `counts` by group, as `count_by` does, and by cluster, numbered.

    Raises:
        ArgumentError: `cluster` is not a column's name, or is one of the groups, or there are too
            many rows.
        SchemaError: The column does not exist, or a row has no cluster.
    """
    if not isinstance(cluster, str):
        raise ArgumentError(f"cluster must be a column's name, not {as_given(cluster)}")
    if cluster in groups.names:
        raise ArgumentError(f"`{cluster}` is in both `by` and `cluster`; a group needs several")
    refuse_too_many(collected(rows.select(nw.len().alias("n")))["n"].item(), cluster)
    by_cluster = Groups((*groups.names, cluster))
    found, key = count_by(rows, by_cluster, counts).n, by_cluster.keys[-1]
    n_without = found.filter(pl.col(key).is_null()).select(pl.sum_horizontal(*counts).sum()).item()
    if n_without:
        raise SchemaError(f"some rows have no `{cluster}`; leave them out")
    numbers = found.select(key).unique().with_row_index(CLUSTER)
    return found.join(numbers, on=key).drop(key)


def with_effects(
    counts: pl.DataFrame,
    per_cluster: pl.DataFrame,
    keys: Sequence[str],
    rates: Mapping[str, tuple[str, str]],
) -> pl.DataFrame:
    """Append the design effect of each rate, `…_effect`, and its number of clusters.

    Args:
        counts: One row per group, with the columns of the rates.
        per_cluster: The sums from `count_clusters`.
        keys: The group columns of both.
        rates: The columns of numerator and denominator, by the name of the rate.

    Source: Taylor linearization, as in R's `survey::svymean`: Binder (1983), International
    Statistical Review 51:279. If clusters do not vary at all, their rows are taken to be identical,
    so that each cluster counts as one learner.
    """
    per_cluster = per_cluster.group_by([*keys, CLUSTER]).agg(
        pl.col(sorted({name for pair in rates.values() for name in pair})).sum()
    )
    one = pl.lit(0).alias(_ALL)
    designs = (
        per_cluster.with_columns(one)
        .group_by(_ALL, *keys)
        .agg(expression for name, (k, n) in rates.items() for expression in _design(name, k, n))
    )
    on = [_ALL, *keys]
    counts = counts.with_columns(one)
    return counts.join(designs, on=on, how="left", nulls_equal=True, maintain_order="left").drop(
        _ALL
    )


def _design(name: str, k: str, n: str) -> list[pl.Expr]:
    share = pl.col(k).sum() / pl.col(n).sum()
    squares = ((pl.col(k) - share * pl.col(n)) ** 2).sum()
    effect = squares / (pl.col(n).sum() * share * (1 - share))
    clusters = (pl.col(n) > 0).sum()
    varies = (share > 0) & (share < 1) & (effect > _TOLERANCE)
    return [
        pl.when(varies).then(effect).otherwise(pl.col(n).sum() / clusters).alias(f"{name}_effect"),
        clusters.cast(pl.Float64).alias(f"{name}_clusters"),
    ]


def of_clusters(table: Table, rates: Mapping[str, tuple[str, str]]) -> Table:
    """Return the table with the columns that `with_effects` appends, measured on the records."""
    effects = [
        Column(f"{name}_effect", pl.Float64, "Its design effect.", Role.MEASURE, rests_on=counts)
        for name, counts in rates.items()
    ]
    columns = [
        *effects,
        *(Column(f"{name}_clusters", pl.Float64, "Clusters.", Role.COUNT) for name in rates),
    ]
    return replace(table, columns=(*table.columns, *columns))


def clusters_vary(covariance: NDArray[np.floating], independent: NDArray[np.floating]) -> bool:
    """Whether all combinations of scores vary between clusters, given independent variances."""
    scale = np.sqrt(np.outer(independent, independent))
    return bool(np.linalg.eigvalsh(covariance / scale).min() > _TOLERANCE)


def hotellings_p(statistic: float, degrees: int, clusters: int) -> float:
    """Return p of a score statistic whose variance is a sum of squares over `clusters`."""
    ratio = min(statistic / clusters, 1.0)  # more than 1 by rounding alone
    return float(betaincc(degrees / 2, (clusters - degrees) / 2, ratio))


@dataclass(frozen=True)
class Moments:
    """Second moments of the groups' numerators and denominators over the clusters.

    Attributes:
        kk: For each two groups, the products of their numerators per cluster, summed.
        kn: The same of numerators and denominators.
        nn: The same of denominators.
        sums: The numerator of each group, and its denominator.
        k: The numerators to test: the same, or released ones.
        n: The denominators to test.
        membership: Which clusters have a row in which group.
        shared: The number of clusters that each two groups share.
        is_released: Whether results have two significant digits.
    """

    kk: Floats
    kn: Floats
    nn: Floats
    sums: tuple[Floats, Floats]
    k: Floats
    n: Floats
    membership: csr_matrix
    shared: Floats
    is_released: bool = False

    @classmethod
    def of(cls, per_cluster: pl.DataFrame, groups: pl.Series, key: str, k: str, n: str) -> Moments:
        """Return the moments of these groups, in their order."""
        numbers = pl.DataFrame({key: groups}).with_row_index("place")
        rows = per_cluster.join(numbers, on=key, nulls_equal=True)
        where = (rows[CLUSTER].to_numpy(), rows["place"].to_numpy())
        shape = (per_cluster[CLUSTER].n_unique(), len(groups))
        reached, all_of = (
            csr_matrix((rows[name].cast(pl.Float64).to_numpy(), where), shape=shape)
            for name in (k, n)
        )
        membership = (all_of > 0).astype(np.float64)
        sums = (np.asarray(reached.sum(axis=0)).ravel(), np.asarray(all_of.sum(axis=0)).ravel())
        return cls(
            (reached.T @ reached).toarray(),
            (reached.T @ all_of).toarray(),
            (all_of.T @ all_of).toarray(),
            sums,
            *sums,
            membership,
            (membership.T @ membership).toarray(),
        )

    def released(self, k: pl.Series, n: pl.Series) -> Moments:
        """Return the same for released counts, so that tests follow from the counts shown."""
        released = (counts.cast(pl.Float64).fill_null(np.nan).to_numpy() for counts in (k, n))
        return replace(self, k=next(released), n=next(released), is_released=True)

    def correlation(self, one: int, other: int) -> float:
        """Return the correlation of two rates; 0 if no learner is in both, or they are alike."""
        pair = [one, other]
        n, p = self.sums[1][pair], (self.sums[0] / self.sums[1])[pair]
        covariance = self._covariance(p, pair)
        measured = covariance.diagonal()
        if (measured <= _TOLERANCE * n * p * (1 - p)).any():
            return 0.0
        size = np.sqrt(np.prod(measured + self._rounding(p)))
        return self._rounded(float(covariance[0, 1] / size))

    def score_test(self, places: Sequence[int]) -> tuple[float | None, float | None]:
        """Test whether these groups have the same rate; return the χ², with k − 1 degrees, and p.

        None if there is nothing to test, or too few clusters to estimate their variance.

        Source: Boos (1992), On generalized score tests, The American Statistician 46:327, for a
        model with only the group: Pearson's statistic with the variance of the clusters. That
        variance is not centred, so with few clusters χ² rejects too seldom. The statistic S of G
        clusters gives Hotelling's T² = (G - 1) S / (G - S), whose p is exact for normal scores
        (Hotelling, 1931, Annals of Mathematical Statistics 2:360): S / G is a beta variable.
        """
        j = list(places)
        share = self.k[j].sum() / self.n[j].sum()
        clusters = self._clusters(j)
        if len(j) < 2 or not 0 < share < 1 or clusters <= len(j):
            return None, None
        score = self.k[j] - share * self.n[j]
        project = np.eye(len(j)) - np.outer(self.n[j] / self.n[j].sum(), np.ones(len(j)))
        exact_score = project @ (self.sums[0][j] - share * self.sums[1][j])
        spread = project @ self._covariance(np.full(len(j), share), j) @ project.T
        spread -= np.outer(exact_score, exact_score) / clusters
        kept = np.setdiff1d(np.arange(len(j)), [np.argmax(self.n[j])])
        if not clusters_vary(spread[np.ix_(kept, kept)], self.n[j][kept] * share * (1 - share)):
            return None, None
        # Center the variance about the score tested, which differs if counts are released.
        within = (spread + np.outer(score, score) / clusters)[np.ix_(kept, kept)]
        rounding = project @ np.diag(self._rounding(np.full(len(j), share))) @ project.T
        within = within + rounding[np.ix_(kept, kept)]
        statistic = float(score[kept] @ np.linalg.solve(within, score[kept]))
        return self._rounded(statistic), self._rounded(hotellings_p(statistic, len(kept), clusters))

    def _clusters(self, j: list[int]) -> int:
        """Count the clusters with a row in any of these groups."""
        if len(j) == 2:  # fast, since there may be many pairs
            return int(self.shared[j, j].sum() - self.shared[j[0], j[1]])
        return int((self.membership[:, j].sum(axis=1) > 0).sum())

    def _covariance(self, p: Floats, j: list[int]) -> Floats:
        """Return the covariance of the sums of k − p n of these groups."""
        kk, kn, nn = (moment[np.ix_(j, j)] for moment in (self.kk, self.kn, self.nn))
        return np.asarray(kk - kn * p - (kn * p).T + np.outer(p, p) * nn, np.float64)

    def _rounding(self, p: Floats) -> Floats:
        """Return the variance that rounding adds to k − p n of each group; 0 for exact counts."""
        return ROUNDING * (1 + p**2) * self.is_released

    def _rounded(self, value: float) -> float:
        return float(f"{value:.{DIGITS}g}") if self.is_released else value
