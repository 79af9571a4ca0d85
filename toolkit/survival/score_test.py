"""The χ² test that the groups of a log-rank or of Gray's test are alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtrc, fdtrc

Floats = NDArray[np.floating]


class ScoreTest(NamedTuple):
    """What the test found; None where no group was at risk beside another.

    Attributes:
        chi_squared: The statistic.
        degrees: Its degrees of freedom.
        p_value: The probability of at least this statistic were the groups alike.
        is_compared: Of each group, whether it was ever at risk beside another.
    """

    chi_squared: float | None
    degrees: int
    p_value: float | None
    is_compared: list[bool]


def score_test(score: Floats, covariance: Floats, by_cluster: Floats | None = None) -> ScoreTest:
    """Test that all scores are 0, from their covariance.

    Where learners come in clusters, `by_cluster` holds each cluster's part in each score, a row a
    cluster, and the covariance of the clusters takes the place of that of independent learners. A
    few clusters vary less about their own mean than they do in truth: as in the intervals, the
    variance is taken G / (G - 1) times, and p from F with G - 1 degrees (Cameron & Miller 2015,
    Journal of Human Resources 50:317, section VI).

    The scores of groups that are at risk beside one another sum to 0, so one of the groups says
    nothing that the others do not: the degrees are one less than there are groups. A group that
    is never at risk beside another leaves the test, as in R's `survdiff` a group without expected
    events does; and were there two sets of groups of which none meets one of the other set (in
    strata), each would lose one degree. Which groups meet is read from the covariances that are
    not 0, never from a numeric rank; the variances are taken as minus their sums, because the
    difference of large numbers that defines them cancels in a large group beside small ones.
    """
    between = covariance.copy()
    np.fill_diagonal(between, 0.0)
    n_sets, of_set = connected_components(between != 0, directed=False)
    variances = -between.sum(axis=1)
    largest = [max(np.flatnonzero(of_set == i), key=variances.__getitem__) for i in range(n_sets)]
    kept = np.setdiff1d(np.arange(len(score)), largest)
    is_compared = (between != 0).any(axis=1).tolist()
    if not len(kept):
        return ScoreTest(None, 0, None, is_compared)
    if by_cluster is not None:
        if len(by_cluster) <= len(kept):  # too few clusters to tell how they vary
            return ScoreTest(None, len(kept), None, is_compared)
        between, variances = by_cluster.T @ by_cluster, np.zeros(len(score))
    within = (between + np.diag(variances))[np.ix_(kept, kept)]
    chi_squared = float(score[kept] @ np.linalg.solve(within, score[kept]))
    if by_cluster is None:
        p_value = chdtrc(len(kept), chi_squared)
    else:
        others = len(by_cluster) - 1
        ratio = chi_squared / len(kept) * others / len(by_cluster)
        p_value = fdtrc(len(kept), others, ratio)
    return ScoreTest(chi_squared, len(kept), float(p_value), is_compared)
