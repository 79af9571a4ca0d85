"""The χ² test that the groups of a log-rank or of Gray's test are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtrc, fdtrc

from toolkit.release.rounding import DIGITS, ROUNDING

Floats = NDArray[np.floating]


class OfClusters(NamedTuple):
    """How the scores vary from cluster to cluster.

    Attributes:
        n: How many clusters there are.
        covariance: The products of each cluster's parts in two scores, added up over the clusters.
    """

    n: int
    covariance: Floats


class Scores(NamedTuple):
    """What a test of some groups is made of.

    Attributes:
        observed: The events of each group.
        expected: Those expected were the groups alike.
        covariance: Of observed less expected; the diagonal is left to `score_test`.
        of_clusters: Where learners come in clusters.
    """

    observed: Floats
    expected: Floats
    covariance: Floats
    of_clusters: OfClusters | None = None


class ScoreTest(NamedTuple):
    """What the test found; None where no group was at risk beside another.

    Attributes:
        chi_squared: The statistic.
        degrees: Its degrees of freedom.
        p_value: The probability of at least this statistic were the groups alike.
        is_compared: Of each group, whether it was ever at risk beside another.
        expected: Of each group, the events expected.
    """

    chi_squared: float | None
    degrees: int
    p_value: float | None
    is_compared: list[bool]
    expected: list[float]


def score_test(scores: Scores, told: Sequence[int] | None = None) -> ScoreTest:
    """Test that all scores, observed less expected events, are 0, from their covariance.

    `told` are the released numbers of events, and the test then follows from these: they take the
    place of the observed, and the expected events and the covariance are those of as many, with
    the variance of the rounding. So the test rejects no more often than it should, and its figures
    say no more of the numbers of events than the released do.

    Where learners come in clusters, the covariance of these takes the place of that of independent
    learners. A few clusters vary less about their own mean than they do in truth: as in the
    intervals, the variance is taken G / (G - 1) times, and p from F with G - 1 degrees (Cameron &
    Miller 2015, Journal of Human Resources 50:317, section VI).

    The scores of groups that are at risk beside one another sum to 0, so one of the groups says
    nothing that the others do not: the degrees are one less than there are groups. A group that
    is never at risk beside another leaves the test, as in R's `survdiff` a group without expected
    events does; and were there two sets of groups of which none meets one of the other set (in
    strata), each would lose one degree. Which groups meet is read from the covariances that are
    not 0, never from a numeric rank; the variances are taken as minus their sums, because the
    difference of large numbers that defines them cancels in a large group beside small ones.
    """
    observed, expected, covariance, of_clusters = scores
    between = covariance.copy()
    np.fill_diagonal(between, 0.0)
    n_sets, of_set = connected_components(between != 0, directed=False)
    variances = -between.sum(axis=1)
    largest = [max(np.flatnonzero(of_set == i), key=variances.__getitem__) for i in range(n_sets)]
    kept = np.setdiff1d(np.arange(len(observed)), largest)
    is_compared = (between != 0).any(axis=1).tolist()
    full = between + np.diag(variances) if of_clusters is None else of_clusters.covariance
    if told is not None:
        observed, expected, full = _as_told(scores, full, np.array(told, float), of_set)
    found = is_compared, expected.tolist()
    # Too few clusters do not tell how they vary.
    if not len(kept) or (of_clusters is not None and of_clusters.n <= len(kept)):
        return ScoreTest(None, len(kept), None, *found)
    score, within = (observed - expected)[kept], full[np.ix_(kept, kept)]
    chi_squared = float(score @ np.linalg.solve(within, score))
    if of_clusters is None:
        p_value = chdtrc(len(kept), chi_squared)
    else:
        others = of_clusters.n - 1
        ratio = chi_squared / len(kept) * others / of_clusters.n
        p_value = fdtrc(len(kept), others, ratio)
    return ScoreTest(chi_squared, len(kept), float(p_value), *found)


def _as_told(
    scores: Scores, covariance: Floats, told: Floats, of_set: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Observed and expected events and the covariance, as released numbers of events have them."""
    expected, wide = np.zeros(len(told)), np.zeros(covariance.shape)
    for own in (of_set == i for i in np.unique(of_set)):
        n = scores.observed[own].sum()
        share = scores.expected[own] / n if n else np.zeros(own.sum())
        times = told[own].sum() / n if n else 1.0
        expected[own] = share * told[own].sum()
        away = np.eye(own.sum()) - np.outer(share, np.ones(own.sum()))
        wide[np.ix_(own, own)] = times * covariance[np.ix_(own, own)] + ROUNDING * away @ away.T
    return told, expected, wide


def released_test(counts: pl.DataFrame, scores_of: Callable[[pl.Series], Scores]) -> pl.DataFrame:
    """Append the test to released counts; it leaves out the groups whose events are withheld.

    Args:
        counts: One row per group, with `n_events` as released.
        scores_of: Gives the scores of the groups that are chosen, which are true.
    """
    is_told = counts["n_events"].is_not_null()
    test = score_test(scores_of(is_told), counts["n_events"].drop_nulls().to_list())
    places = pl.Series(np.flatnonzero(is_told.to_numpy()))
    return with_test(counts, test, places).with_columns(
        pl.col("expected_events", "statistic", "p_value").round_sig_figs(DIGITS)
    )


def with_test(
    counts: pl.DataFrame, test: ScoreTest, places: pl.Series | None = None
) -> pl.DataFrame:
    """Append what a test of all groups, or of those at some places, has found."""
    n = counts.height
    at = pl.Series(range(n), dtype=pl.Int64) if places is None else places
    nothing = pl.repeat(None, n, dtype=pl.Float64, eager=True)
    nobody = pl.repeat(value=False, n=n, dtype=pl.Boolean, eager=True)
    return counts.with_columns(
        expected_events=nothing.scatter(at, pl.Series(test.expected, dtype=pl.Float64)),
        statistic=pl.lit(test.chi_squared, pl.Float64),
        df=pl.lit(test.degrees, pl.Int64),
        p_value=pl.lit(test.p_value, pl.Float64),
        is_compared=nobody.scatter(at, pl.Series(test.is_compared, dtype=pl.Boolean)),
    )
