"""Design effects of Kaplan–Meier curves whose rows form clusters, such as a learner's courses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import Groups
from toolkit.release.rounding import DIGITS
from toolkit.survival.event_table import GROUP, clustered_rows, each_group

Floats = NDArray[np.float64]
Changes = tuple[Floats, NDArray[np.int64], Floats, Floats]
ROWS_AT_ONCE = 1_000_000
"""About how many rows, of whole clusters, are computed at once."""
_TOLERANCE = 1e-9  # a sum of squares misses 0 by some 1e-16
NO_ROWS = pl.DataFrame(
    schema={"cluster": pl.Int64, "event": pl.Boolean, "n": pl.Int64}
    | dict.fromkeys(("entry", "duration"), pl.Float64)
)


@dataclass(frozen=True)
class Clusters:
    """The rows of each group by cluster; no group if rows are independent.

    A row's *influence* is its contribution to the error of an estimate. The influences of a
    cluster's rows are added up before they are squared. The *design effect* is the sum of these
    squares over the variance of independent rows.

    Source: the infinitesimal jackknife as in R's `survfit(cluster = )`; Williams (1995), Biometrics
    51:1483, and Ying & Wei (1994), J. Multivar. Anal. 50:17.

    Attributes:
        groups: The rows of each group, by its number.
        total: The number of clusters.
        is_released: Round everything to two significant digits, for released figures.
    """

    groups: dict[int, Part]
    total: int = 0
    is_released: bool = False

    @classmethod
    def of(
        cls,
        durations: IntoFrame,
        groups: Groups,
        curve: pl.DataFrame,
        cluster: str | None,
        *,
        is_reverse: bool = False,
    ) -> Clusters:
        """Find the clusters of the rows from which this curve was estimated.

        In a reverse curve censoring is the event, and a pass at the same time comes first.

        Raises:
            ArgumentError: `cluster` is not a column name.
            SchemaError: A row has no cluster.
        """
        if cluster is None:
            return cls({})
        rows = clustered_rows(durations, groups, (), cluster)
        if is_reverse:
            before = pl.col("duration").map_batches(lambda t: np.nextafter(t.to_numpy(), -np.inf))
            duration = pl.when("event").then(before).otherwise("duration")
            rows = rows.with_columns(~pl.col("event"), duration=duration)
        numbers = curve.select(*groups.keys, GROUP).unique()
        if groups.keys:
            rows = rows.join(numbers, on=groups.keys, nulls_equal=True)
        else:
            rows = rows.with_columns(pl.lit(0, pl.UInt32).alias(GROUP))
        of_group = rows.partition_by(GROUP, as_dict=True)
        parts = {
            number: Part.of(part, of_group[(number,)])
            for (number,), part in curve.partition_by(GROUP, as_dict=True).items()
            if (number,) in of_group
        }
        return cls(parts, rows["cluster"].n_unique())

    @property
    def is_clustered(self) -> bool:
        """Whether rows form clusters."""
        return self.total > 0

    def released(self) -> Clusters:
        """Return the same for released figures."""
        return replace(self, is_released=True)

    def appended(self, curve: pl.DataFrame) -> pl.DataFrame:
        """Append `design_effect` and `clusters_per_row`, and `n_clusters` of each row's group.

        If rows are independent, the curve stays as it is.
        """
        if not self.is_clustered:
            return curve
        return with_effects(curve, self.groups, is_released=self.is_released)

    def size(self, group: int, learners: int | None) -> int | None:
        """Return a group's number of clusters, or of learners if rows are independent."""
        if group not in self.groups:
            return learners
        return int(self._rounded(self.groups[group].n_clusters))

    def about_mean(self, group: int, horizon: float) -> dict[str, float]:
        """Return `effect` for `Curve.restricted_mean`; nothing if rows are independent."""
        if group not in self.groups:
            return {}
        part = self.groups[group]
        weight = part.areas(horizon)
        of_clusters = float(np.sum(part.influences(weight, self.total) ** 2))
        independent = part.variance_of_mean(horizon)
        effect = part.effect(np.array([of_clusters]), np.array([independent]))
        return {"effect": self._rounded(float(effect[0]))}

    def correlation_of_means(self, group: int, other: int, horizon: float) -> float:
        """Return the correlation of two groups' restricted means; 0 if no learner is in both."""
        return self._correlation(group, other, lambda part: part.areas(horizon))

    def correlation_at(self, group: int, other: int, time: float) -> float:
        """Return the correlation of two groups' curves at a time; 0 if no learner is in both.

        And if a curve is 0 there, since nothing is left that could vary.
        """
        return self._correlation(
            group, other, lambda part: part.heights(np.array([time])) * (part.times <= time)
        )

    def _correlation(self, group: int, other: int, weight: Callable[[Part], Floats]) -> float:
        if group not in self.groups or other not in self.groups:
            return 0.0
        sides = []
        for part in (self.groups[group], self.groups[other]):
            own = weight(part)
            sides.append((part.influences(own, self.total), float(own**2 @ part.steps)))
        return self._rounded(correlation(*sides))

    def _rounded(self, value: float) -> float:
        return float(f"{value:.{DIGITS}g}") if self.is_released else value


class Effects(Protocol):
    """The design effect of a group's curve, and its clusters."""

    @property
    def n_clusters(self) -> float:
        """The number of the group's clusters."""
        ...

    def effects(self, at: Floats) -> Floats:
        """Return the design effect of the curve at each of these times."""
        ...

    def per_row(self, at: Floats) -> Floats:
        """Return the number of clusters per row at risk at each of these times."""
        ...


def with_effects(
    curve: pl.DataFrame, groups: Mapping[int, Effects], *, is_released: bool
) -> pl.DataFrame:
    """Append `design_effect` and `clusters_per_row`, and `n_clusters` of each row's group."""
    found = []
    for _, rows in each_group(curve, []):
        part = groups.get(rows[GROUP][0])
        at, effect, per_row = rows["duration"].to_numpy(), *np.ones((2, rows.height))
        if part:
            effect, per_row = part.effects(at), part.per_row(at)
        found.append(
            rows.with_columns(
                pl.Series("design_effect", effect),
                pl.Series("clusters_per_row", per_row),
                n_clusters=pl.lit(part.n_clusters if part else 0.0),
            )
        )
    table = pl.concat(found)
    design = pl.col("design_effect", "clusters_per_row", "n_clusters")
    return table.with_columns(design.round_sig_figs(DIGITS)) if is_released else table


@dataclass(frozen=True)
class Part:
    """One group: its curve, with `steps` d / (n (n - d)) and `passes` 1 / (n - d), and its rows."""

    times: Floats
    survival: Floats
    steps: Floats
    passes: Floats
    cluster: NDArray[np.int64]
    entry: Floats
    duration: Floats
    events: Floats
    rows: Floats

    @classmethod
    def of(cls, curve: pl.DataFrame, rows: pl.DataFrame) -> Part:
        """Combine a curve with the `clustered_rows` from which it was estimated."""
        n, d = (curve[name].cast(pl.Float64).to_numpy() for name in ("n_at_risk", "n_events"))
        # If all at risk pass, nothing is left that could vary.
        left = np.where((d > 0) & (n > d), n - d, np.inf)
        return cls(
            curve["duration"].to_numpy(),
            curve["survival"].fill_null(np.nan).to_numpy(),
            d / np.where(n > 0, n, 1) / left,
            1 / left,
            rows["cluster"].to_numpy().astype(np.int64),
            rows["entry"].to_numpy(),
            rows["duration"].to_numpy(),
            (rows["event"].cast(pl.Float64) * rows["n"]).to_numpy(),
            rows["n"].cast(pl.Float64).to_numpy(),
        )

    @property
    def n_clusters(self) -> float:
        """The number of the group's clusters."""
        return float(len(np.unique(self.cluster)))

    @property
    def n_rows(self) -> float:
        """The number of the group's rows."""
        return float(self.rows.sum())

    def only(self, chosen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Part:
        """Return the same curve with the rows of some clusters."""
        kept = chosen(self.cluster)
        if kept.all():
            return self
        names = ("cluster", "entry", "duration", "events", "rows")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def heights(self, at: Floats) -> Floats:
        """Return the curve at these times."""
        return self.survival[self._reached(at) - 1]

    def areas(self, horizon: float) -> Floats:
        """Return the area below the curve from each of its times to the horizon."""
        widths = np.diff(np.append(np.minimum(self.times, horizon), horizon))
        areas = np.nan_to_num(self.survival) * widths
        return np.asarray(np.cumsum(areas[::-1])[::-1], np.float64)

    def variance_of_mean(self, horizon: float) -> float:
        """Return the variance of the restricted mean if rows are independent."""
        return float(np.sum(self.areas(horizon) ** 2 * self.steps))

    def influences(self, weight: Floats, total: int) -> Floats:
        """Return the contribution to Σ weight dM / (n - d) of each of all `total` clusters."""
        risen = np.append(0, np.cumsum(weight * self.steps))
        passed = np.append(0, weight * self.passes)[self._reached(self.duration)]
        at_risk = risen[self._reached(self.duration)] - risen[self._reached(self.entry)]
        parts = self.events * passed - self.rows * at_risk
        return np.bincount(self.cluster, parts, minlength=total).astype(np.float64)

    def effects(self, at: Floats) -> Floats:
        """Return the design effect of the curve at each of these times; 1 where nothing varies."""
        return self.effect(covariance(self, self, at), self.greenwood(at))

    def per_row(self, at: Floats) -> Floats:
        """Return the number of clusters per row at risk at each of these times."""
        return clusters_per_row(self.cluster, self.entry, self.duration, self.rows, at)

    def greenwood(self, at: Floats) -> Floats:
        """Return Greenwood's sum up to each of these times."""
        so_far: Floats = np.append(0, np.cumsum(self.steps))[self._reached(at)]
        return so_far

    def changes(self) -> Changes:
        """Return the changes of the clusters' a and m, see `covariance`: time, cluster, amounts."""
        passed = np.append(0, self.passes)[self._reached(self.duration)]
        left = self.events * passed - self.rows * self.greenwood(self.duration)
        return (
            np.concatenate([self.entry, self.duration]),
            np.concatenate([self.cluster, self.cluster]),
            np.concatenate([self.rows * self.greenwood(self.entry), left]),
            np.concatenate([self.rows, -self.rows]),
        )

    def effect(self, clustered: Floats, independent: Floats) -> Floats:
        """Return the design effect of this group's rows."""
        return design_effect(clustered, independent, self.n_clusters, self.n_rows)

    def _reached(self, times: Floats) -> NDArray[np.intp]:
        """Count the curve's times up to each of these."""
        return np.searchsorted(self.times, times, side="right")


def covariance(one: Part, other: Part, at: Floats) -> Floats:
    """Sum the products of each cluster's influences on two curves, or the same, at these times.

    A cluster's influence at a time is a - m H: m of its rows are at risk then, H is the sum of the
    steps so far, and a changes only when a row enters or leaves. So the products add up to
    Σaa' - H' Σam' - H Σa'm + HH' Σmm', which is updated row by row.
    """
    sums = np.zeros((4, len(at)))
    for some in blocks_of_clusters(max(len(one.cluster), len(other.cluster))):
        own = one.only(some)
        sums += _products(own, own if other is one else other.only(some), at)
    ab, ak, mb, mk = sums
    own_sum, their_sum = one.greenwood(at), other.greenwood(at)
    found: Floats = ab - their_sum * ak - own_sum * mb + own_sum * their_sum * mk
    return found


def blocks_of_clusters(n_rows: int) -> Iterator[Callable[[NDArray[np.int64]], NDArray[np.bool_]]]:
    """Return conditions that each select some of the clusters, so that a block has few rows."""
    n = -(-n_rows // ROWS_AT_ONCE) or 1
    return (partial(_is_in_block, block, n) for block in range(n))


def _is_in_block(block: int, n: int, cluster: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(cluster % n == block)


def _products(one: Part, other: Part, at: Floats) -> Floats:
    """Return Σaa', Σam', Σa'm and Σmm' at these times, see `covariance`."""
    time, cluster, *changes = one.changes()
    if other is not one:
        time, cluster, changes = _beside(one.changes(), other.changes())
    order = np.lexsort((time, cluster))
    first = np.diff(cluster[order], prepend=-1) != 0
    states = [running(change[order], first) for change in changes]
    (a, a_old), (m, m_old), (b, b_old), (k, k_old) = states if other is not one else states * 2
    products = np.stack(
        [a * b - a_old * b_old, a * k - a_old * k_old, m * b - m_old * b_old, m * k - m_old * k_old]
    )
    in_time = np.argsort(time[order], kind="stable")
    sums = np.concatenate([np.zeros((4, 1)), np.cumsum(products[:, in_time], axis=1)], axis=1)
    return np.asarray(sums[:, np.searchsorted(time[order][in_time], at, side="right")])


def _beside(one: Changes, other: Changes) -> tuple[Floats, NDArray[np.int64], list[Floats]]:
    """Return the changes of two parts in the clusters they share, one part below the other."""
    both = np.intersect1d(one[1], other[1])
    kept = [np.isin(part[1], both) for part in (one, other)]
    time, cluster = (
        np.concatenate([part[place][keep] for part, keep in zip((one, other), kept, strict=True)])
        for place in (0, 1)
    )
    none = [np.zeros(int(keep.sum())) for keep in kept]
    changes = [np.concatenate([one[place][kept[0]], none[1]]) for place in (2, 3)]
    changes += [np.concatenate([none[0], other[place][kept[1]]]) for place in (2, 3)]
    return time, cluster, changes


def design_effect(clustered: Floats, independent: Floats, clusters: float, rows: float) -> Floats:
    """Return the design effect: the variance of clusters over that of independent rows.

    If clusters do not vary at all, their rows are taken to be identical, so that each cluster
    counts as one learner.
    """
    effect = clustered / np.where(independent > 0, independent, 1.0)
    effect = np.where(effect > _TOLERANCE, effect, rows / clusters)
    return np.where(independent > 0, effect, 1.0)


def clusters_per_row(
    cluster: NDArray[np.int64], entry: Floats, duration: Floats, n: Floats, at: Floats
) -> Floats:
    """Return the number of clusters per row at risk at each of these times; 1 if there is none."""
    time, own = np.concatenate([entry, duration]), np.concatenate([cluster, cluster])
    order = np.lexsort((time, own))
    change = np.concatenate([n, -n])[order]
    after, before = running(change, np.diff(own[order], prepend=-1) != 0)
    changes = np.stack([(after > 0) - 1.0 * (before > 0), change])
    in_time = np.argsort(time[order], kind="stable")
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum(changes[:, in_time], axis=1)], axis=1)
    clusters, rows = sums[:, np.searchsorted(time[order][in_time], at, side="left")]
    return np.asarray(np.where(rows > 0, clusters / np.where(rows > 0, rows, 1.0), 1.0))


def correlation(one: tuple[Floats, float], other: tuple[Floats, float]) -> float:
    """Return the correlation of two estimates over the clusters.

    If clusters do not vary at all, what is left of their influences is rounding, and it is 0.

    Args:
        one: The clusters' influences on an estimate, and its variance if rows are independent.
        other: The same of the other estimate.
    """
    (a, of_a), (b, of_b) = one, other
    if min(a @ a - _TOLERANCE * of_a, b @ b - _TOLERANCE * of_b) <= 0:
        return 0.0
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def running(changes: Floats, first: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the running sums of the changes in each cluster, after each change and before it."""
    after = np.cumsum(changes)
    start = np.maximum.accumulate(np.where(first, np.arange(len(changes)), 0))
    base = (after - changes)[start]
    return after - base, after - changes - base
