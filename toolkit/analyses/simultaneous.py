"""Simultaneous intervals of differences, which hold for all rows together and agree with tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri, stdtrit

from toolkit.analyses.spread import error_of_difference
from toolkit.release.rounding import Floats

Ends = Callable[[Floats], tuple[Floats, Floats]]
"""Returns the ends of intervals for each z, the quantile for a normal estimate."""
_FURTHEST = 37.0  # beyond it a probability underflows
_LARGEST = 1e6  # of a t with few degrees of freedom, so that its square is finite
_HALVINGS = 60


def bonferroni(p: pl.Series) -> pl.Series:
    """Adjust p-values for all rows together, including rows without a test.

    Source: Dunn (1961), JASA 56, 52–64. Holm's adjustment rejects more, but no simultaneous
    intervals agree with it.

    Examples:
        >>> bonferroni(pl.Series([0.01, 0.04, None])).round(2).to_list()
        [0.03, 0.12, None]
    """
    return (p * len(p)).clip(upper_bound=1.0)


def quantile(alpha: float | Floats) -> Floats:
    """Return the two-sided quantile of the standard normal distribution."""
    return np.asarray(-ndtri(np.asarray(alpha) / 2), np.float64)


def agreeing(ends: Ends, p: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return intervals of differences of shares at 1 − alpha that exclude 0 exactly if p < alpha.

    An interval and a test that are different approximations may disagree if p is close to alpha.
    The limits are then those that the test implies. A p of NaN means there is no test.

    Source: Miettinen (1976), American Journal of Epidemiology 103, 226–235.
    """
    z = np.full(len(p), float(quantile(alpha)))
    low, high = ends(z)
    differ = p < alpha
    wrong = ~np.isnan(p + low + high) & (((low > 0) | (high < 0)) != differ)
    if not wrong.any():
        return low, high
    difference, _ = ends(np.zeros(len(p)))
    # At p = alpha the limit is 0, which floating point could miss on either side.
    reach = z / np.maximum(quantile(p), 1e-9) * np.where(differ, 1 - 1e-9, 1 + 1e-9)
    limits = [difference - reach * np.abs(difference), difference + reach * np.abs(difference)]
    return (
        np.where(wrong, np.maximum(limits[0], -1.0), low),
        np.where(wrong, np.minimum(limits[1], 1.0), high),
    )


def reaching(ends: Ends, value: Floats) -> Floats:
    """Find by bisection the z of the intervals with an end at these values."""
    estimate, _ = ends(np.zeros(len(value)))
    near, far = np.zeros(len(value)), np.full(len(value), _FURTHEST)
    for _ in range(_HALVINGS):
        z = (near + far) / 2
        low, high = ends(z)
        inside = np.where(estimate > value, low > value, high < value)
        near, far = np.where(inside, z, near), np.where(inside, far, z)
    return near


def own_p_value(ends: Ends, value: Floats) -> Floats:
    """Return the two-sided p that intervals imply: 1 − the level at which they reach a value.

    NaN where they have no width, as if two groups have the same learners with the same outcomes.
    """
    low, high = ends(np.ones(len(value)))
    known = low < high
    return np.where(known, 2 * ndtr(-reaching(ends, value)), np.nan)


def equivalence(ends: Ends, margin: float, n: int) -> Floats:
    """Return p of the two one-sided tests (TOST) of each of n differences against the margin.

    It is below alpha if the interval at the level 1 − 2 alpha lies within the margins.

    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680.
    """
    difference, _ = ends(np.zeros(n))
    known = ~np.isnan(ends(np.ones(n))[0])
    one_sided = []
    for bound, side in ((margin, 1), (-margin, -1)):
        z = reaching(ends, np.full(n, bound))
        inside = side * (bound - difference) > 0
        one_sided.append(ndtr(np.where(inside, -z, z)))
    return np.where(known, np.maximum(*one_sided), np.nan)


def judged(pairs: pl.DataFrame, margin: float, alpha: float) -> pl.DataFrame:
    """Append the margin, the adjusted p of equivalence, and the verdict of each pair."""
    adjusted = bonferroni(pairs["equivalence_p_value"])
    known = pl.col("difference").is_not_null() & pl.col("equivalence_p_value").is_not_null()
    verdict = (
        pl.when(adjusted < alpha)
        .then(pl.lit("equivalent"))
        .when(pl.col("p_adjusted") < alpha)
        .then(pl.lit("different"))
        .otherwise(pl.lit("undecided"))
    )
    return pairs.with_columns(
        margin=pl.lit(margin), equivalence_p_adjusted=adjusted, verdict=pl.when(known).then(verdict)
    )


@dataclass(frozen=True)
class Rates:
    """Pairs of rates with their effective sample sizes."""

    a: Floats  # one rate of each pair
    b: Floats  # the other
    n_a: Floats  # the effective sample size of `a`: learners who would be as precise
    n_b: Floats  # the same for `b`
    clusters: tuple[Floats, Floats] | None = None  # how many each rests on, if any
    correlation: float | Floats = 0.0  # the correlation of the two rates

    def ends(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the ends of the intervals of a − b; with clusters, Student's t replaces z.

        Source: Newcombe (1998), Statistics in Medicine 17, 873–890, method 10; Zou and Donner
        (2008), Statistics in Medicine 27, 1693–1702, if learners are in both groups.
        """
        of_a, of_b = self.clusters or (None, None)
        ends_a = _wilson(self.a, self.n_a, students_of(z, of_a))
        ends_b = _wilson(self.b, self.n_b, students_of(z, of_b))
        return hybrid(self.a, ends_a, self.b, ends_b, self.correlation)


def hybrid(
    a: Floats,
    ends_a: tuple[Floats, Floats],
    b: Floats,
    ends_b: tuple[Floats, Floats],
    correlation: float | Floats = 0.0,
) -> tuple[Floats, Floats]:
    """Combine the intervals of a and of b into those of a − b, and return their ends.

    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693–1702.
    """
    (low_a, high_a), (low_b, high_b) = ends_a, ends_b
    below, above = (
        error_of_difference(one, other, correlation)
        for one, other in ((a - low_a, high_b - b), (high_a - a, b - low_b))
    )
    return a - b - below, a - b + above


def students_of(z: Floats, clusters: Floats | None) -> Floats:
    """Return the t quantile that replaces z for n clusters, times the root of n / (n − 1)."""
    if clusters is None:
        return z
    degrees = np.where(clusters > 1, clusters - 1, np.nan)
    t = np.minimum(np.abs(stdtrit(degrees, ndtr(-z))), _LARGEST)
    return np.asarray(t * np.sqrt(clusters / degrees), np.float64)


def _wilson(rate: Floats, n: Floats, z: Floats) -> tuple[Floats, Floats]:
    centre = (rate * n + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(np.maximum(n * rate * (1 - rate), 0.0) + z**2 / 4)
    # The ends are exactly 0 and 1 there; floating point alone would miss them.
    low = np.where((rate == 0) & ~np.isnan(half), 0.0, centre - half)
    high = np.where((rate == 1) & ~np.isnan(half), 1.0, centre + half)
    return low, high
