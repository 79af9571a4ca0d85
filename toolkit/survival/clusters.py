"""Learners in several courses are one person: how much their likeness widens the intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import Groups
from toolkit.release.rounding import DIGITS
from toolkit.survival.event_table import GROUP, clustered_rows, each_group

Floats = NDArray[np.float64]
_TOLERANCE = 1e-9  # a sum of squares misses 0 by some 1e-16


@dataclass(frozen=True)
class Clusters:
    """The rows of each group by the clusters they belong to; no group where rows are independent.

    An estimate's *influences* are the parts that single rows have in its error; the parts of the
    rows of a cluster are added up before they are squared. The *design effect* is the sum of these
    squares over the variance of independent rows.

    Source: the infinitesimal jackknife as in R's `survfit(cluster = )`; Williams (1995), Biometrics
    51:1483, and Ying & Wei (1994), J. Multivar. Anal. 50:17.

    Attributes:
        groups: The rows of each group, by its number.
        total: How many clusters there are.
        is_released: Give all in two significant digits, for figures that are released.
    """

    groups: dict[int, _Part]
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

        In a reverse curve being censored is the event, and a pass at the time came before it.

        Raises:
            ArgumentError: `cluster` is no column's name.
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
            number: _Part.of(part, of_group[(number,)])
            for (number,), part in curve.partition_by(GROUP, as_dict=True).items()
            if (number,) in of_group
        }
        return cls(parts, rows["cluster"].n_unique())

    @property
    def are_there(self) -> bool:
        """Whether rows belong to clusters at all."""
        return self.total > 0

    def released(self) -> Clusters:
        """The same for figures that are released."""
        return replace(self, is_released=True)

    def appended(self, curve: pl.DataFrame) -> pl.DataFrame:
        """Append each row's `design_effect`, and `n_clusters` and `n_rows` of its group.

        The curve is left as it is where rows are independent.
        """
        if not self.are_there:
            return curve
        found = []
        for _, rows in each_group(curve, []):
            part = self.groups.get(rows[GROUP][0])
            effect = part.effects(rows["duration"].to_numpy()) if part else np.ones(rows.height)
            sizes = (part.n_clusters, part.n_rows) if part else (0.0, 0.0)
            found.append(
                rows.with_columns(
                    pl.Series("design_effect", effect),
                    n_clusters=pl.lit(sizes[0]),
                    n_rows=pl.lit(sizes[1]),
                )
            )
        table = pl.concat(found)
        design = pl.col("design_effect", "n_clusters", "n_rows")
        return table.with_columns(design.round_sig_figs(DIGITS)) if self.is_released else table

    def size(self, group: int, learners: int | None) -> int | None:
        """How many clusters a group has; its learners where rows are independent."""
        if group not in self.groups:
            return learners
        return int(self._told(self.groups[group].n_clusters))

    def effect_on_mean(self, group: int, horizon: float) -> float:
        """The design effect of a group's restricted mean."""
        if group not in self.groups:
            return 1.0
        part = self.groups[group]
        weight = part.areas(horizon)
        independent = float(np.sum(weight**2 * part.steps))
        together = float(np.sum(part.influences(weight, self.total) ** 2))
        effect = part.effect(np.array([together]), np.array([independent]))
        return self._told(float(effect[0]))

    def correlation_of_means(self, group: int, other: int, horizon: float) -> float:
        """How the restricted means of two groups go together; 0 where no learner is in both."""
        return self._correlation(group, other, lambda part: part.areas(horizon))

    def correlation_at(self, group: int, other: int, time: float) -> float:
        """How the curves of two groups go together at a time; 0 where no learner is in both."""
        return self._correlation(group, other, lambda part: (part.times <= time).astype(float))

    def _correlation(self, group: int, other: int, weight: Callable[[_Part], Floats]) -> float:
        if group not in self.groups or other not in self.groups:
            return 0.0
        parts = [self.groups[group], self.groups[other]]
        one, two = (part.influences(weight(part), self.total) for part in parts)
        size = float(np.sqrt((one @ one) * (two @ two)))
        return self._told(float(one @ two) / size) if size > 0 else 0.0

    def _told(self, value: float) -> float:
        return float(f"{value:.{DIGITS}g}") if self.is_released else value


@dataclass(frozen=True)
class _Part:
    """One group: its curve's times with d / (n (n - d)) and 1 / (n - d), and its rows."""

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
    def of(cls, curve: pl.DataFrame, rows: pl.DataFrame) -> _Part:
        n, d = (curve[name].cast(pl.Float64).to_numpy() for name in ("n_at_risk", "n_events"))
        # Where all at risk pass nothing is left that could vary.
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
        return float(len(np.unique(self.cluster)))

    @property
    def n_rows(self) -> float:
        return float(self.rows.sum())

    def areas(self, horizon: float) -> Floats:
        """The area below the curve from each of its times to the horizon."""
        widths = np.diff(np.append(np.minimum(self.times, horizon), horizon))
        areas = np.nan_to_num(self.survival) * widths
        return np.asarray(np.cumsum(areas[::-1])[::-1], np.float64)

    def influences(self, weight: Floats, total: int) -> Floats:
        """Each cluster's part in Σ weight dM / (n - d), of all `total` clusters."""
        risen = np.append(0, np.cumsum(weight * self.steps))
        passed = np.append(0, weight * self.passes)[self._reached(self.duration)]
        at_risk = risen[self._reached(self.duration)] - risen[self._reached(self.entry)]
        parts = self.events * passed - self.rows * at_risk
        return np.bincount(self.cluster, parts, minlength=total).astype(np.float64)

    def effects(self, at: Floats) -> Floats:
        """The design effect of the curve at each of these times; 1 where nothing varies.

        A cluster's influence at a time is a - m H: m of its rows are at risk then, H is the sum of
        the steps so far, and a changes only when a row enters or leaves. So the squares add up to
        Σa² - 2H Σam + H² Σm², which is kept up to date row by row.
        """
        risen = np.append(0, np.cumsum(self.steps))
        leaving = self._reached(self.duration)
        passed = np.append(0, self.passes)[leaving]
        time = np.concatenate([self.entry, self.duration])
        cluster = np.concatenate([self.cluster, self.cluster])
        change_a = np.concatenate(
            [
                self.rows * risen[self._reached(self.entry)],
                self.events * passed - self.rows * risen[leaving],
            ]
        )
        change_m = np.concatenate([self.rows, -self.rows])
        order = np.lexsort((time, cluster))
        first = np.diff(cluster[order], prepend=-1) != 0
        a, a_before = running(change_a[order], first)
        m, m_before = running(change_m[order], first)
        changes = np.stack([a**2 - a_before**2, a * m - a_before * m_before, m**2 - m_before**2])
        in_time = np.argsort(time[order], kind="stable")
        sums = np.cumsum(changes[:, in_time], axis=1)
        sums = np.concatenate([np.zeros((3, 1)), sums], axis=1)
        aa, am, mm = sums[:, np.searchsorted(time[order][in_time], at, side="right")]
        so_far = risen[self._reached(at)]
        return self.effect(aa - 2 * so_far * am + so_far**2 * mm, so_far)

    def effect(self, together: Floats, independent: Floats) -> Floats:
        """The design effect of this group's rows."""
        return design_effect(together, independent, self.n_clusters, self.n_rows)

    def _reached(self, times: Floats) -> NDArray[np.intp]:
        """How many of the curve's times each of these has reached."""
        return np.searchsorted(self.times, times, side="right")


def design_effect(together: Floats, independent: Floats, clusters: float, rows: float) -> Floats:
    """The design effect: the variance of clusters over that of independent rows.

    Where clusters do not differ at all, nothing tells how they vary: their rows are taken to be
    wholly alike, and each cluster for one learner.
    """
    effect = together / np.where(independent > 0, independent, 1.0)
    effect = np.where(effect > _TOLERANCE, effect, rows / clusters)
    return np.where(independent > 0, effect, 1.0)


def running(changes: Floats, first: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Sum the changes within each cluster: after each change, and before it."""
    after = np.cumsum(changes)
    start = np.maximum.accumulate(np.where(first, np.arange(len(changes)), 0))
    base = (after - changes)[start]
    return after - base, after - changes - base
