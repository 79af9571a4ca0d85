"""The log-rank test of all groups, and of each pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import By, compared_groups
from toolkit.analyses.intervals import holm
from toolkit.release.rounding import DIGITS, Floats
from toolkit.release.tables import release_table
from toolkit.results.result import Result
from toolkit.schemas.comparison_results import AS_TEXT
from toolkit.schemas.survival_results import LOGRANK, LOGRANK_PAIRS
from toolkit.survival.event_table import (
    GROUP,
    clustered_rows,
    compared,
    layers,
    ranges_of,
    refuse_many,
    renumbered,
    stratum_keys,
)
from toolkit.survival.ranges import EventRanges
from toolkit.survival.score_test import (
    ClusterScores,
    Scores,
    ScoreTest,
    released_test,
    score_test,
    with_test,
)


def logrank(
    durations: IntoFrame, *, by: str | Sequence[str], strata: By = None, cluster: str | None = None
) -> Result:
    """Test whether the groups have the same survival curve (log-rank test).

    One row per group; the columns of the test are the same in all of them.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        strata: Stratify the test by these columns: groups are compared only within their values.
        cluster: The column of the clusters, such as "username" if learners are in several courses.
            Rows of a cluster are correlated, and a test that ignores this rejects too often. The
            test needs more clusters than groups, and is null otherwise.

    Returns:
        The group columns, then those of `schemas.survival_results.LOGRANK`. The test is null if
        nothing can be compared: no event, or one group.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: `by` or `strata` names no columns, or makes too many groups.

    Source: Mantel (1966), Cancer Chemother. Rep. 50:163, with the hypergeometric variance at ties;
    Kalbfleisch & Prentice (2002), 1.5. χ² with one degree of freedom fewer than groups, not
    counting a group that is never at risk beside another (`is_compared` is false). With clusters
    the score's variance is the sum of squares of the clusters' contributions, as in Lee, Wei &
    Amato (1992), Cox-type regression analysis for large numbers of small groups of correlated
    failure time observations, and in the robust score test of R's `coxph(cluster =)`; p is from F
    with one denominator degree of freedom fewer than clusters, since χ² rejects too often with few.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 3 + ["verified"] * 3, "event": [True] * 6,
        ...     "duration": [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]})
        >>> test = logrank(durations, by="mode").frame
        >>> test.select("mode", "n_events", pl.col("expected_events").round(2)).rows()
        [('audit', 3, 4.85), ('verified', 3, 1.15)]
    """
    groups, names = compared(by, strata, LOGRANK)
    ranges = ranges_of(durations, groups, names, cluster=cluster)
    counted = ranges.sizes(groups.keys)
    refuse_many(counted.n, groups)
    within = stratum_keys(groups, names)
    learners = None if cluster is None else clustered_rows(durations, groups, names, cluster)

    def scores_of(chosen: pl.DataFrame) -> Scores:
        return _scores_of([chosen], ranges, learners, groups.keys, within)[0]

    scores = scores_of(counted.n)
    exact = groups.named(with_test(counted.n, score_test(scores)))
    exact = exact.select(*groups.names, *LOGRANK.names)

    def protect(min_n: int) -> pl.DataFrame:
        safe = release_table(counted.n, counted.keys, LOGRANK, groups.keys, min_n=min_n)
        test = released_test(
            safe, lambda shown: scores if shown.all() else scores_of(counted.n.filter(shown))
        )
        return groups.named(test).select(exact.columns)

    return Result(LOGRANK, groups.names, exact, protect)


def logrank_pairs(
    durations: IntoFrame, *, by: str | Sequence[str], strata: By = None, cluster: str | None = None
) -> Result:
    """Run the log-rank test for each pair of groups, with Holm's correction.

    One row per pair of groups.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups; several are joined by " · ".
        strata: As for `logrank`.
        cluster: As for `logrank`; each pair is tested with its own clusters.

    Returns:
        The columns of `schemas.survival_results.LOGRANK_PAIRS`.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: `by` or `strata` names no columns, or makes too many groups.

    Source: `logrank` of the two groups alone; Holm (1979), Scand. J. Stat. 6:65.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 3 + ["verified"] * 3, "event": [True] * 6,
        ...     "duration": [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]})
        >>> pairs = logrank_pairs(durations, by="mode").frame
        >>> pairs.select("group", "other", pl.col("statistic").round(4)).rows()
        [('audit', 'verified', 5.0517)]
    """
    groups, names = compared(by, strata, None)
    keys, within = groups.keys, stratum_keys(groups, names)
    ranges = ranges_of(durations, groups, names, cluster=cluster)
    counted = ranges.sizes(keys)
    refuse_many(counted.n, groups)
    learners = None if cluster is None else clustered_rows(durations, groups, names, cluster)
    pairs = [list(places) for places in combinations(range(counted.n.height), 2)]
    scores = _scores_of([counted.n[pair] for pair in pairs], ranges, learners, keys, within)
    tests = [score_test(one) for one in scores]
    named = compared_groups(groups.named(counted.n.select(keys)))
    texts = named[AS_TEXT].to_list()
    exact = _table_of_pairs(counted.n, pairs, tests, texts)

    def protect(min_n: int) -> pl.DataFrame:
        safe = release_table(counted.n, counted.keys, LOGRANK, keys, min_n=min_n)
        events = [safe["n_events"][pair].to_list() for pair in pairs]
        found = [
            None if None in both else score_test(one, both)
            for one, both in zip(scores, events, strict=True)
        ]
        return _table_of_pairs(safe, pairs, found, texts).with_columns(
            pl.col("statistic", "p_value", "p_adjusted").round_sig_figs(DIGITS)
        )

    return Result(LOGRANK_PAIRS, (), exact, protect, compared=named)


def _table_of_pairs(
    counts: pl.DataFrame,
    pairs: list[list[int]],
    tests: Sequence[ScoreTest | None],
    labels: Sequence[str],
) -> pl.DataFrame:
    """Pair the counts of the groups, and append the test of each pair."""
    sizes_, excluded = counts["n_learners"], counts["n_excluded"]
    rows = [
        (
            *(labels[place] for place in pair),
            *sizes_[pair],
            *((None, None) if test is None else (test.chi_squared, test.p_value)),
            None,
            *excluded[pair],
        )
        for pair, test in zip(pairs, tests, strict=True)
    ]
    found = pl.DataFrame(rows, schema=LOGRANK_PAIRS.polars_schema, orient="row")
    return found.with_columns(p_adjusted=holm(found["p_value"]))


def _scores_of(
    chosen: Sequence[pl.DataFrame],
    ranges: EventRanges,
    learners: pl.DataFrame | None,
    keys: list[str],
    within: list[str],
) -> list[Scores]:
    """Return the scores of each choice of groups, as if there were no others."""
    sums = [
        (np.zeros(groups.height), np.zeros(groups.height), np.zeros((groups.height,) * 2))
        for groups in chosen
    ]
    for table in ranges.closed():
        for groups, own in zip(chosen, sums, strict=True):
            rows = renumbered(_only(table, groups.select(keys)), keys)
            for total, added in zip(own, _scores(rows, within, groups.height), strict=True):
                total += added
    if learners is None:
        return [Scores(*own) for own in sums]
    found = []
    for groups, own in zip(chosen, sums, strict=True):
        own_groups = groups.select(keys)
        table = renumbered(_only(ranges.only, own_groups), keys)
        found.append(Scores(*own, _of_clusters(_only(learners, own_groups), table, keys, within)))
    return found


def _only(rows: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    return rows.join(groups, on=groups.columns, nulls_equal=True, how="semi", maintain_order="left")


def _of_clusters(
    rows: pl.DataFrame, table: pl.DataFrame, by: list[str], strata: list[str]
) -> ClusterScores:
    """Return how the groups' scores vary between clusters.

    A learner contributes to the score of group j, on passing, 1 if in j, less the share of j among
    those at risk; less the same difference at each time at risk, weighted by d / n.
    """
    numbers = table.select(*by, GROUP).unique()
    k = numbers.height
    rows = rows.join(numbers, on=by, nulls_equal=True).with_columns(pl.col("cluster").rank("dense"))
    n, together = rows["cluster"].n_unique(), max(1, PARTS_AT_ONCE // max(k, 1))
    parted = layers(table, strata)
    sets = [(layer.select(strata).head(1), _RiskSets.of(layer)) for layer in parted]
    covariance = np.zeros((k, k))
    for first in range(1, n + 1, together):
        some = rows.filter(pl.col("cluster").is_between(first, first + together - 1))
        some = some.with_columns(pl.col("cluster") - first)
        found = np.zeros((min(together, n + 1 - first), k))
        for stratum, of_stratum in sets:
            own = some.join(stratum, on=strata, how="semi", nulls_equal=True) if strata else some
            _add_parts(found, own, of_stratum)
        covariance += found.T @ found
    return ClusterScores(n, covariance)


def _add_parts(found: Floats, rows: pl.DataFrame, sets: _RiskSets) -> None:
    """Add the contributions of a stratum to those of each cluster."""
    times, n, d = sets.times, sets.n, sets.d
    group, cluster = rows[GROUP].to_numpy(), rows["cluster"].to_numpy()
    leaves = np.searchsorted(times, rows["duration"].to_numpy(), side="right")
    enters = np.searchsorted(times, rows["entry"].to_numpy(), side="right")
    risen = np.append(0, np.cumsum(d / n))
    for j in range(found.shape[1]):
        share = sets.of_group(j) / n
        of_j = np.append(0, np.cumsum(share * d / n))
        at_pass = np.append(0, share)[leaves]
        mine = group == j
        part = rows["event"].to_numpy() * (mine - at_pass)
        part -= mine * (risen[leaves] - risen[enters]) - (of_j[leaves] - of_j[enters])
        found[:, j] += np.bincount(cluster, part * rows["n"].to_numpy(), minlength=len(found))


def _scores(table: pl.DataFrame, strata: list[str], k: int) -> tuple[Floats, Floats, Floats]:
    """Sum observed and expected events, and their covariances, over the strata.

    The variances, on the diagonal, are left to `score_test`.
    """
    observed, expected, covariance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for layer in layers(table, strata):
        sets = _RiskSets.of(layer)
        n, d = sets.n, sets.d
        observed += np.bincount(layer[GROUP], layer["n_events"], minlength=k)
        expected += sets.summed(d / n, k)
        weight = d * (n - d) / np.maximum(n - 1, 1) / n**2
        covariance -= sets.products(weight, k)
    return observed, expected, covariance


PARTS_AT_ONCE = 50_000_000
"""The most contributions, of clusters to groups' scores, held at once."""
_FEW_GROUPS = 20
_PAIRS_AT_ONCE = 300_000


class _RiskSets(NamedTuple):
    """The risk sets of a stratum at its event times.

    A row of the event table holds the number at risk from the time after the previous row's to its
    own. Matrices of groups × times would take more memory, and multiplying them longer.
    """

    times: Floats  # the event times
    n: Floats  # the number at risk at each
    d: Floats  # the number of passes at each
    group: NDArray[np.int64]  # the group of each row
    at_risk: Floats  # the number at risk in each row
    start: NDArray[np.int64]  # the index of each row's first event time
    stop: NDArray[np.int64]  # the index after its last

    @classmethod
    def of(cls, layer: pl.DataFrame) -> _RiskSets:
        """Read the risk sets from the event table of a stratum."""
        layer = layer.sort(GROUP, "duration")
        passes = layer.filter(pl.col("n_events") > 0)
        times = passes["duration"].unique().sort().to_numpy()
        stop = np.searchsorted(times, layer["duration"].to_numpy(), side="right")
        group = layer[GROUP].to_numpy().astype(np.int64)
        start = np.where(np.diff(group, prepend=-1) != 0, 0, np.roll(stop, 1))
        at_risk = layer["n_at_risk"].to_numpy().astype(float)
        come, gone = (np.bincount(at, at_risk, len(times) + 1) for at in (start, stop))
        place = np.searchsorted(times, passes["duration"].to_numpy())
        d = np.bincount(place, passes["n_events"].to_numpy(), len(times)).astype(np.float64)
        return cls(times, np.cumsum(come - gone)[:-1], d, group, at_risk, start, stop)

    def of_group(self, group: int) -> Floats:
        """Return the number at risk in a group at each event time."""
        rows = slice(*np.searchsorted(self.group, [group, group + 1]))
        there = np.repeat(self.at_risk[rows], self.stop[rows] - self.start[rows])
        return np.append(there, np.zeros(len(self.times) - len(there)))

    def summed(self, weight: Floats, k: int) -> Floats:
        """Sum weight × number at risk over the event times, by group."""
        so_far = np.append(0, np.cumsum(weight))
        parts = self.at_risk * (so_far[self.stop] - so_far[self.start])
        return np.bincount(self.group, parts, k).astype(np.float64)

    def products(self, weight: Floats, k: int) -> Floats:
        """Sum weight × number at risk in one group × in another, by pair of groups.

        If two groups are never at risk at the same time, it must be exactly 0. With late entry,
        terms of blocks would only nearly cancel, so it is summed group by group. So it is with few
        groups, which is faster.
        """
        follows = np.append(np.diff(self.group) == 0, [False])
        drops = self.at_risk - np.where(follows, np.roll(self.at_risk, -1), 0)
        if k < _FEW_GROUPS or (drops < 0).any():
            return np.array([self.summed(weight * self.of_group(j), k) for j in range(k)])
        return self._in_blocks(drops, weight, k)

    def _in_blocks(self, drops: Floats, weight: Floats, k: int) -> Floats:
        """Do the same in blocks of rows, in the order in which their learners leave.

        Within a block, those at risk in a group are those who stay beyond it and those of its rows
        who have yet to leave. So the products are those of the former, of both, and of pairs of
        rows, which are both at risk until the first of them leaves.
        """
        size = k // 3
        padding = -len(self.stop) % size
        order = np.argsort(self.stop, kind="stable")
        so_far = np.append(0, np.cumsum(weight))

        def blocks(values: NDArray[Any], last: float) -> NDArray[Any]:
            return np.pad(values[order], (0, padding), constant_values=last).reshape(-1, size)

        group, leave = blocks(self.group, 0), blocks(drops, 0)
        until = blocks(so_far[self.stop], so_far[-1])
        begin = np.append(0, until[1:, 0])
        whole = np.diff(begin, append=so_far[-1])
        until -= begin[:, None]
        there = np.bincount(self.group, drops, k)
        found = np.zeros((k, k))
        step = max(1, _PAIRS_AT_ONCE // size**2)
        for first in range(0, len(group), step):
            some = slice(first, first + step)
            g, d, w = group[some], leave[some], until[some]
            n = len(g)
            place = (g + k * np.arange(n)[:, None]).ravel()
            gone = np.bincount(place, d.ravel(), n * k).reshape(n, k)
            after = there - np.cumsum(gone, axis=0)
            there = after[-1]
            part = np.bincount(place, (d * w).ravel(), n * k).reshape(n, k)
            # Not by @, whose threads wait for each other on a busy machine.
            half = np.einsum("bi,bj->ij", after, after * whole[some, None] / 2 + part)
            pairs = np.minimum(w[:, :, None], w[:, None]) * d[:, :, None] * d[:, None]
            of_pair = g[:, :, None] * k + g[:, None]
            found += half + half.T
            found += np.bincount(of_pair.ravel(), pairs.ravel(), k * k).reshape(k, k)
        return found
