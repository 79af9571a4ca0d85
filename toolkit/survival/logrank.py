"""Do groups pass at different speed? The log-rank test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import By
from toolkit.analyses.intervals import holm
from toolkit.release.rounding import DIGITS
from toolkit.release.tables import release_table, with_status
from toolkit.results.result import Result
from toolkit.schemas.survival_results import LOGRANK, LOGRANK_PAIRS
from toolkit.survival.event_table import (
    GROUP,
    clustered_rows,
    compared,
    event_table,
    layers,
    refuse_many,
    renumbered,
    sizes,
    stratum_keys,
)
from toolkit.survival.score_test import Scores, ScoreTest, released_test, score_test, with_test

Floats = NDArray[np.float64]

_BLOCK = 65_536  # times looked at together: bounds the memory of groups × times


def logrank(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
    strata: By = None,
    cluster: str | None = None,
) -> Result:
    """Test whether the groups have the same curve.

    One row per group; the columns of the test are the same in all of them.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        strata: Compare only within the values of these columns, and add the comparisons up.
        cluster: The column that says which rows belong together, such as "username" where
            learners are in several courses. Their rows are alike, and the test without it finds
            differences too often. It needs more clusters than groups, and is null otherwise.

    Returns:
        The group columns, then those of `schemas.survival_results.LOGRANK`. The test is null where
        nothing can be compared: no event, or one group.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: `by` or `strata` names no columns, or makes too many groups.

    Source: Mantel (1966), Cancer Chemother. Rep. 50:163, with the hypergeometric variance at ties;
    Kalbfleisch & Prentice (2002), 1.5. χ² with one degree fewer than there are groups, not
    counting a group that is never at risk beside another (`is_compared` is false). With clusters
    the score's variance is the sum of squares of the clusters' parts in it, as in Lee, Wei & Amato
    (1992), Cox-type regression analysis for large numbers of small groups of correlated failure
    time observations, and the robust score test of R's `coxph(cluster =)`; the p-value is that of F
    with one degree fewer than clusters, since χ² rejects too often with few.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 3 + ["verified"] * 3, "event": [True] * 6,
        ...     "duration": [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]})
        >>> test = logrank(durations, by="mode").frame
        >>> test.select("mode", "n_events", "expected_events").rows()
        [('audit', 3, 4.85), ('verified', 3, 1.15)]
    """
    groups, names = compared(by, strata, LOGRANK)
    table = event_table(durations, groups, names)
    counted = sizes(table, groups.keys)
    refuse_many(counted.n, groups)
    within = stratum_keys(groups, names)
    learners = None if cluster is None else clustered_rows(durations, groups, names, cluster)

    def scores_of(chosen: pl.Series) -> Scores:
        return _scores_of(counted.n.filter(chosen), table, learners, groups.keys, within)

    everybody = pl.repeat(value=True, n=counted.n.height, dtype=pl.Boolean, eager=True)
    exact = groups.named(with_test(counted.n, score_test(scores_of(everybody))))
    exact = exact.select(*groups.names, *LOGRANK.names)

    def protect(min_n: int) -> pl.DataFrame:
        safe = release_table(counted.n, counted.keys, LOGRANK, groups.keys, min_n=min_n)
        told = groups.named(released_test(safe, scores_of)).select(exact.columns)
        return with_status(told, exact, LOGRANK, min_n)

    return Result(LOGRANK, groups.names, exact, protect)


def logrank_pairs(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
    strata: By = None,
    cluster: str | None = None,
) -> Result:
    """Test each pair of groups on its own, and correct for testing many.

    One row per pair of groups.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups; several are joined by " · ".
        strata: As for `logrank`.
        cluster: As for `logrank`; each pair is tested with the clusters that it has.

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
    table = event_table(durations, groups, names)
    counted = sizes(table, keys)
    refuse_many(counted.n, groups)
    learners = None if cluster is None else clustered_rows(durations, groups, names, cluster)
    pairs = [list(places) for places in combinations(range(counted.n.height), 2)]
    scores = [_scores_of(counted.n[pair], table, learners, keys, within) for pair in pairs]
    tests = [score_test(one) for one in scores]
    exact = _table_of_pairs(counted.n, pairs, tests, keys)

    def protect(min_n: int) -> pl.DataFrame:
        safe = release_table(counted.n, counted.keys, LOGRANK, keys, min_n=min_n)
        told = [safe["n_events"][pair].to_list() for pair in pairs]
        found = [
            None if None in both else score_test(one, both)
            for one, both in zip(scores, told, strict=True)
        ]
        released = _table_of_pairs(safe, pairs, found, keys).with_columns(
            pl.col("statistic", "p_value", "p_adjusted").round_sig_figs(DIGITS)
        )
        return with_status(released, exact, LOGRANK_PAIRS, min_n)

    return Result(LOGRANK_PAIRS, (), exact, protect)


def _table_of_pairs(
    counts: pl.DataFrame,
    pairs: list[list[int]],
    tests: Sequence[ScoreTest | None],
    keys: list[str],
) -> pl.DataFrame:
    """Pair the counts of the groups, and append the test of each pair."""
    labels = [" · ".join(str(value) for value in group) for group in counts.select(keys).rows()]
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
    chosen: pl.DataFrame,
    table: pl.DataFrame,
    learners: pl.DataFrame | None,
    keys: list[str],
    within: list[str],
) -> Scores:
    """The scores of some groups alone, whose learners `table` and `learners` hold among others."""
    groups, k = chosen.select(keys), chosen.height
    own = table.join(groups, on=keys, nulls_equal=True, how="semi", maintain_order="left")
    parts = None
    if learners is not None:
        rows = learners.join(groups, on=keys, nulls_equal=True, how="semi", maintain_order="left")
        rows = rows.with_columns(cluster=pl.col("cluster").rank("dense") - 1)
        parts = _parts(rows, renumbered(own, keys), keys, within, k)
    return Scores(*_scores(own, keys, within, k), parts)


def _parts(
    rows: pl.DataFrame, table: pl.DataFrame, by: list[str], strata: list[str], k: int
) -> Floats:
    """Each cluster's part in each group's score: a row a cluster.

    A learner's part in the score of group j is 1 if in j, less the share of j among those at risk,
    where the learner passes; less the same difference at each time at risk, weighed by d / n.
    """
    numbers = table.select(*by, GROUP).unique()
    rows = rows.join(numbers, on=by, nulls_equal=True, maintain_order="left")
    found = np.zeros((rows["cluster"].n_unique(), k))
    for layer in layers(table, strata):
        own = rows
        if strata:
            own = rows.join(layer.select(strata).head(1), on=strata, how="semi", nulls_equal=True)
        times = layer.filter(pl.col("n_events") > 0)["duration"].unique().sort().to_numpy()
        for block, (at_risk, events) in enumerate(_blocks(layer, k)):
            _add_parts(found, own, times[block * _BLOCK :][:_BLOCK], at_risk, events)
    return found


def _add_parts(
    found: Floats, rows: pl.DataFrame, times: Floats, at_risk: Floats, events: Floats
) -> None:
    """Add what happens at these times to the parts."""
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    group, cluster = rows[GROUP].to_numpy(), rows["cluster"].to_numpy()
    leaves = np.searchsorted(times, rows["duration"].to_numpy(), side="right")
    enters = np.searchsorted(times, rows["entry"].to_numpy(), side="right")
    passes = np.zeros(len(rows), dtype=bool)
    passes[leaves > 0] = times[leaves[leaves > 0] - 1] == rows["duration"].to_numpy()[leaves > 0]
    passes &= rows["event"].to_numpy()
    risen = np.append(0, np.cumsum(d / n))
    for j in range(found.shape[1]):
        share = at_risk[j] / n
        of_j = np.append(0, np.cumsum(share * d / n))
        at_pass = np.append(0, share)[leaves]
        mine = group == j
        part = passes * (mine - at_pass)
        part -= mine * (risen[leaves] - risen[enters]) - (of_j[leaves] - of_j[enters])
        found[:, j] += np.bincount(cluster, part * rows["n"].to_numpy(), minlength=len(found))


def _scores(
    table: pl.DataFrame, by: list[str], strata: list[str], k: int
) -> tuple[Floats, Floats, Floats]:
    """Add up observed and expected events over the strata, and their covariances.

    The variances, on the diagonal, are left to `score_test`.
    """
    observed, expected, covariance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for layer in layers(renumbered(table, by), strata):
        for at_risk, events in _blocks(layer, k):
            n, d = at_risk.sum(axis=0), events.sum(axis=0)
            observed += events.sum(axis=1)
            expected += at_risk @ (d / n)
            weight = d * (n - d) / np.maximum(n - 1, 1) / n
            covariance -= (at_risk * (weight / n)) @ at_risk.T
    return observed, expected, covariance


def _blocks(layer: pl.DataFrame, k: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield groups × times matrices of learners at risk and of events, a block of times each."""
    happened = layer.filter(pl.col("n_events") > 0)
    times = happened["duration"].unique().sort().to_numpy()
    parts = layer.partition_by(GROUP, as_dict=True)
    for start in range(0, len(times), _BLOCK):
        block = times[start : start + _BLOCK]
        at_risk, events = np.zeros((k, len(block))), np.zeros((k, len(block)))
        for (group,), part in parts.items():
            own = part["duration"].to_numpy()
            place = np.searchsorted(own, block, side="left")
            at_risk[group] = np.append(part["n_at_risk"].to_numpy(), 0)[place]
            exact = np.append(own, np.nan)[place] == block
            events[group] = np.where(exact, np.append(part["n_events"].to_numpy(), 0)[place], 0)
        yield at_risk, events
