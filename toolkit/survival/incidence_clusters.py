"""Design effects of cumulative incidences whose rows form clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import Groups
from toolkit.release.rounding import DIGITS
from toolkit.survival.clusters import (
    Floats,
    blocks_of_clusters,
    clusters_per_row,
    design_effect,
    running,
)
from toolkit.survival.event_table import GROUP, clustered_rows, stratum_keys


def with_clusters(
    steps: pl.DataFrame,
    exact: pl.DataFrame,
    durations: IntoFrame,
    groups: Groups,
    cluster: str,
    *,
    is_released: bool = False,
) -> pl.DataFrame:
    """Append `design_effect`, `clusters_per_row` and `n_clusters` to incidences.

    Args:
        steps: One row per group, end and time.
        exact: The same of the records, with the variance of independent rows.
        durations: The rows behind them.
        groups: The groups.
        cluster: The column of the clusters.
        is_released: Round everything to two significant digits, for released figures.
    """
    keys, (end,) = groups.keys, stratum_keys(groups, ["end"])
    rows = clustered_rows(durations, groups, ["end"], cluster)
    rows = rows.with_columns(pl.col(end).cast(pl.String).alias(" end"))
    if keys:
        numbers = exact.select(*keys, GROUP).unique()
        rows = rows.join(numbers, on=keys, nulls_equal=True)
    else:
        rows = rows.with_columns(pl.lit(0, pl.UInt32).alias(GROUP))
    of_group = rows.partition_by(GROUP, as_dict=True)
    measured = exact.partition_by(GROUP, "end", as_dict=True)
    found, numbered = [], steps.with_row_index("_row")
    for key, part in numbered.partition_by(GROUP, "end", as_dict=True).items():
        at, effect, per_row = part["duration"].to_numpy(), *np.ones((2, part.height))
        n_clusters = 0.0
        if (key[0],) in of_group and key in measured:
            curve = _Incidence.of(measured[key], of_group[(key[0],)], str(key[1]))
            effect, per_row = curve.effects(at), curve.per_row(at)
            n_clusters = curve.sizes[0]
        found.append(
            part.with_columns(
                pl.Series("design_effect", effect),
                pl.Series("clusters_per_row", per_row),
                n_clusters=pl.lit(n_clusters),
            )
        )
    if not found:
        none = ("design_effect", "clusters_per_row", "n_clusters")
        return steps.with_columns(pl.lit(None, pl.Float64).alias(name) for name in none)
    table = pl.concat(found).sort("_row").drop("_row")
    names = pl.col("design_effect", "clusters_per_row", "n_clusters")
    return table.with_columns(names.round_sig_figs(DIGITS)) if is_released else table


@dataclass(frozen=True)
class _Incidence:
    """One group's incidence F of an end, and its rows.

    A cluster's influence on F(t) is P(t) - F(t) Q(t), with P the sum of S dM / Y + F dM' / (Y - d)
    and Q that of dM' / (Y - d) over the times so far: M are the martingales of its rows for the
    end, M' for any end, Y those at risk and d the ends. Between entering and leaving, all rows
    contribute the same to P and Q.

    Attributes:
        at_risk: What a row at risk subtracts from P and Q (two rows), cumulated over the times.
        own_end: What a row that reaches the end adds to P and Q, at each time.
        other_end: What a row that reaches another end adds.
    """

    times: Floats
    incidence: Floats
    independent: Floats
    at_risk: Floats
    own_end: Floats
    other_end: Floats
    cluster: NDArray[np.int64]
    entry: Floats
    duration: Floats
    is_end: NDArray[np.bool_]
    is_any: NDArray[np.bool_]
    n: Floats

    @classmethod
    def of(cls, curve: pl.DataFrame, rows: pl.DataFrame, end: str) -> _Incidence:
        columns = ("n_at_risk", "n_any", "n_events", "before", "cumulative_incidence", "variance")
        y, d, own, before, incidence, variance = (
            curve[name].cast(pl.Float64).fill_null(0.0).to_numpy() for name in columns
        )
        at_risk = np.where(y > 0, y, 1.0)
        # If all at risk reach an end, nothing is left that could vary.
        left = np.where((d > 0) & (y > d), y - d, np.inf)
        others = np.stack([incidence / left, 1 / left])
        ended = np.stack([before / at_risk, np.zeros(len(y))])
        return cls(
            curve["duration"].to_numpy(),
            incidence,
            variance,
            np.cumsum(ended * own / at_risk + others * d / at_risk, axis=1),
            ended + others,
            others,
            rows["cluster"].to_numpy().astype(np.int64),
            rows["entry"].to_numpy(),
            rows["duration"].to_numpy(),
            (rows[" end"] == end).fill_null(value=False).to_numpy(),
            rows[" end"].is_not_null().to_numpy(),
            rows["n"].cast(pl.Float64).to_numpy(),
        )

    @property
    def sizes(self) -> tuple[float, float]:
        """The numbers of clusters and of rows."""
        return float(len(np.unique(self.cluster))), float(self.n.sum())

    def effects(self, at: Floats) -> Floats:
        """Return the design effect at these times."""
        place = np.searchsorted(self.times, at, side="right") - 1
        clustered, independent = self._variance(at, place), self.independent[place]
        return design_effect(clustered, independent, *self.sizes)

    def per_row(self, at: Floats) -> Floats:
        """Return the number of clusters per row at risk at each of these times."""
        return clusters_per_row(self.cluster, self.entry, self.duration, self.n, at)

    def _variance(self, at: Floats, place: NDArray[np.intp]) -> Floats:
        """Return the sum of squares of the clusters' influences, updated row by row."""
        sums = np.zeros((6, len(at)))
        for some in blocks_of_clusters(len(self.cluster)):
            sums += self._squares(some(self.cluster), at)
        pp, pq, qq, pm, qm, mm = sums
        f, (of_p, of_q) = self.incidence[place], self.at_risk[:, place]
        both = of_p - f * of_q
        squared = pp - 2 * f * pq + f**2 * qq - 2 * both * (pm - f * qm) + both**2 * mm
        return np.asarray(np.maximum(squared, 0.0), np.float64)

    def _squares(self, chosen: NDArray[np.bool_], at: Floats) -> Floats:
        """Return the sums of PP, PQ, QQ, Pm, Qm and mm over the clusters of some rows, by time."""
        risen = np.concatenate([np.zeros((2, 1)), self.at_risk], axis=1)
        entry, duration, n = (of[chosen] for of in (self.entry, self.duration, self.n))
        is_end, is_any, own = (of[chosen] for of in (self.is_end, self.is_any, self.cluster))
        enters, leaves = (
            np.searchsorted(self.times, when, side="right") for when in (entry, duration)
        )
        last = np.maximum(leaves - 1, 0)
        ended = is_end * self.own_end[:, last]
        ended = ended + (is_any & ~is_end) * self.other_end[:, last]
        time = np.concatenate([entry, duration])
        cluster = np.concatenate([own, own])
        order = np.lexsort((time, cluster))
        first = np.diff(cluster[order], prepend=-1) != 0
        changes = [
            *np.concatenate([n * risen[:, enters], n * (ended - risen[:, leaves])], axis=1),
            np.concatenate([n, -n]),
        ]
        (p, p_before), (q, q_before), (m, m_before) = (
            running(change[order], first) for change in changes
        )
        squares = np.stack(
            [
                p * p - p_before * p_before,
                p * q - p_before * q_before,
                q * q - q_before * q_before,
                p * m - p_before * m_before,
                q * m - q_before * m_before,
                m * m - m_before * m_before,
            ]
        )
        in_time = np.argsort(time[order], kind="stable")
        sums = np.concatenate([np.zeros((6, 1)), np.cumsum(squares[:, in_time], axis=1)], axis=1)
        return np.asarray(sums[:, np.searchsorted(time[order][in_time], at, side="right")])
