"""Standard errors with the distribution they go with: Student's t or the normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from toolkit.release.rounding import Floats

Distribution = Literal["t", "normal"]
_TOLERANCE = 1e-9  # a difference of squares misses 0 by some 1e-16


class Spread(NamedTuple):
    """The standard error of an estimate, and the distribution of estimate over error."""

    error: float  # the standard error to use with the distribution; NaN if there is none
    degrees: float  # the degrees of freedom; infinite for the normal distribution

    @classmethod
    def of(
        cls,
        errors: Sequence[float],
        learners: Sequence[int | None],
        distribution: Distribution,
        *,
        correlation: float = 0.0,
    ) -> Spread:
        """Return the spread of an estimate, or of the difference of two.

        Args:
            errors: The standard error of the estimate, or of each of the two.
            learners: How many learners, or clusters, each rests on; None if that is withheld.
            correlation: The correlation of the two, if learners are in both.
            distribution: "normal" suits large samples. With "t" each variance is
                multiplied by n / (n - 1), and the degrees are Welch's.

        Source: Welch (1947), Biometrika 34:28. If nobody is censored, interval and test are his,
        applied to the times truncated at the horizon.
        """
        if distribution == "normal":
            return cls(_combined(errors, correlation), math.inf)
        known = [n for n in learners if n is not None and n > 1]
        if len(known) < len(learners):
            return cls(math.nan, math.nan)
        larger = [e * math.sqrt(n / (n - 1)) for e, n in zip(errors, known, strict=True)]
        error, fewest = _combined(larger, correlation), min(known) - 1
        if correlation:  # at the extreme, every learner is in both groups
            return cls(error, fewest)
        weight = sum(e**4 / (n - 1) for e, n in zip(larger, known, strict=True))
        return cls(error, error**4 / weight if weight else fewest)

    def half_width(self, level: float) -> float:
        """Return half the width of the interval of this level."""
        share = 0.5 + level / 2
        quantile = ndtri(share) if math.isinf(self.degrees) else stdtrit(self.degrees, share)
        return float(quantile) * self.error

    def p_value(self, estimate: float) -> float:
        """Return the probability of an estimate at least this far from 0 if the truth were 0."""
        z = -abs(estimate) / self.error
        return 2 * float(ndtr(z) if math.isinf(self.degrees) else stdtr(self.degrees, z))


def students(clusters: pl.Expr, level: float) -> pl.Expr:
    """Return the quantile of Student's t for n clusters, times the root of n / (n − 1).

    Null for one cluster, which does not show how clusters vary.
    """

    def of(sizes: pl.Series) -> pl.Series:
        size = sizes.cast(pl.Float64).fill_null(0.0).to_numpy()
        degrees = np.where(size > 1, size - 1, np.nan)
        return pl.Series(stdtrit(degrees, 0.5 + level / 2) * np.sqrt(size / degrees)).fill_nan(None)

    return clusters.map_batches(of, return_dtype=pl.Float64)


def error_of_difference(
    one: float | Floats, other: float | Floats, correlation: float | Floats
) -> Floats:
    """Return the standard error of the difference of two estimates; NaN stays NaN.

    It is 0 for two estimates of the same rows, however their sums were rounded.
    """
    independent = np.square(one) + np.square(other)
    variance = independent - 2 * correlation * one * other
    return np.asarray(np.sqrt(np.where(variance < _TOLERANCE * independent, 0.0, variance)))


def _combined(errors: Sequence[float], correlation: float) -> float:
    """Return the standard error of an estimate, or of the difference of two."""
    if len(errors) == 1:
        return errors[0]
    return float(error_of_difference(errors[0], errors[1], correlation))
