"""The score test behind the log-rank test and Gray's: χ², or F with clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtrc, fdtrc

from toolkit.analyses.clusters import clusters_vary
from toolkit.release.rounding import DIGITS, ROUNDING, Floats


class ClusterScores(NamedTuple):
    """How the scores vary between clusters."""

    n: int
    covariance: Floats  # sums over clusters of the products of contributions to two scores


class Scores(NamedTuple):
    """The scores of some groups, observed minus expected events, and their covariance."""

    observed: Floats  # the events of each group
    expected: Floats  # the events expected if the groups were alike
    covariance: Floats  # the covariance of the scores; the diagonal is left to `score_test`
    of_clusters: ClusterScores | None = None  # how the scores vary between them


class ScoreTest(NamedTuple):
    """The result of a test; the statistic and p are None if nothing can be tested."""

    chi_squared: float | None
    degrees: int
    p_value: float | None  # the probability of at least this statistic if the groups were alike
    is_compared: list[bool]  # for each group, whether it was ever at risk beside another
    expected: list[float]  # the expected events of each group


def score_test(scores: Scores, released: Sequence[int] | None = None) -> ScoreTest:
    """Test that all scores, observed minus expected events, are 0.

    With `released` numbers of events, these replace the observed; the expected events and the
    covariance are scaled to them, and the variance of the rounding is added. So the test keeps its
    level, and reveals no more about the numbers of events than the released ones do.

    With clusters, their covariance replaces that of independent learners. Few clusters vary less
    about their own mean than about the true one: as in the intervals, the variance is multiplied
    by G / (G - 1), and p comes from F with G - 1 denominator degrees of freedom (Cameron & Miller
    2015, Journal of Human Resources 50:317, section VI).

    The scores of groups that are at risk beside one another sum to 0, so one of them is redundant:
    there is one degree of freedom fewer than groups. A group that is never at risk beside another
    leaves the test, as a group without expected events does in R's `survdiff`; if strata separate
    the groups into sets that never meet, each set loses one degree of freedom. Which groups meet
    is read from the covariances that are not 0, never from a numeric rank; the variances are minus
    the sums of these, because the difference of large numbers that defines them cancels in a large
    group beside small ones.
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
    # Too few clusters do not show how they vary, nor do clusters that are all alike.
    is_known = len(kept) > 0 and (
        of_clusters is None
        or (of_clusters.n > len(kept) and clusters_vary(full[np.ix_(kept, kept)], variances[kept]))
    )
    if released is not None:
        observed, expected, full = _as_released(scores, full, np.array(released, float), of_set)
    found = is_compared, expected.tolist()
    if not is_known:
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


def _as_released(
    scores: Scores, covariance: Floats, released: Floats, of_set: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Scale expected events and the covariance to released events, and add their rounding's."""
    expected, wide = np.zeros(len(released)), np.zeros(covariance.shape)
    for own in (of_set == i for i in np.unique(of_set)):
        n = scores.observed[own].sum()
        share = scores.expected[own] / n if n else np.zeros(own.sum())
        times = released[own].sum() / n if n else 1.0
        expected[own] = share * released[own].sum()
        away = np.eye(own.sum()) - np.outer(share, np.ones(own.sum()))
        wide[np.ix_(own, own)] = times * covariance[np.ix_(own, own)] + ROUNDING * away @ away.T
    return released, expected, wide


def released_test(counts: pl.DataFrame, scores_of: Callable[[pl.Series], Scores]) -> pl.DataFrame:
    """Append the test to released counts; it leaves out the groups whose events are withheld.

    `scores_of` returns the scores of the groups for which the series is true.
    """
    is_shown = counts["n_events"].is_not_null()
    test = score_test(scores_of(is_shown), counts["n_events"].drop_nulls().to_list())
    places = pl.Series(np.flatnonzero(is_shown.to_numpy()))
    return with_test(counts, test, places).with_columns(
        pl.col("expected_events", "statistic", "p_value").round_sig_figs(DIGITS)
    )


def with_test(
    counts: pl.DataFrame, test: ScoreTest, places: pl.Series | None = None
) -> pl.DataFrame:
    """Append the result of a test of all groups, or of those at some places."""
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
