"""The variances of standardized curves, and their correlations if rows form clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import Groups
from toolkit.release.rounding import DIGITS
from toolkit.survival.clusters import (
    NO_ROWS,
    Clusters,
    Part,
    clusters_per_row,
    correlation,
    covariance,
    design_effect,
    with_effects,
)
from toolkit.survival.curve_statistics import Curve
from toolkit.survival.event_table import GROUP, clustered_rows, stratum_keys
from toolkit.survival.released import measured_at

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StandardizedCurve:
    """One group's curves in the strata used, with their weights and, of clusters, their rows.

    A cluster's influence on the standardized curve is the sum of its influences on the curves of
    the strata, each times its weight; the weights are taken as fixed.

    Attributes:
        weights: The weights of the strata.
        strata: Their numbers.
        curves: Their curves, if means are compared.
        parts: Their curves and rows, if rows form clusters.
    """

    weights: Sequence[float]
    strata: Sequence[int]
    curves: Sequence[Curve] = ()
    parts: Sequence[Part] = ()

    @property
    def n_clusters(self) -> float:
        """The number of the group's clusters in these strata."""
        return float(len(np.unique(np.concatenate([part.cluster for part in self.parts]))))

    @property
    def n_rows(self) -> float:
        """The number of the group's rows in these strata."""
        return sum(part.n_rows for part in self.parts)

    def _heights(self, at: Floats) -> list[Floats]:
        """Return each stratum's curve at these times, times its weight."""
        return [
            weight * part.heights(at) for part, weight in zip(self.parts, self.weights, strict=True)
        ]

    def influences_at(self, time: float, total: int) -> tuple[Floats, float]:
        """Return the influences of all `total` clusters on the standardized curve at a time.

        And its variance if rows are independent, as `correlation` needs it.
        """
        heights = [float(height[0]) for height in self._heights(np.array([time]))]
        weights = [(part.times <= time).astype(float) for part in self.parts]
        return self._influences(heights, weights, total)

    def influences_on_mean(self, horizon: float, total: int) -> tuple[Floats, float]:
        """Return the same of the restricted mean of the standardized curve."""
        areas = [part.areas(horizon) for part in self.parts]
        return self._influences(self.weights, areas, total)

    def _influences(
        self, sizes: Sequence[float], weights: Sequence[Floats], total: int
    ) -> tuple[Floats, float]:
        found, independent = np.zeros(total), 0.0
        for part, size, weight in zip(self.parts, sizes, weights, strict=True):
            found += size * part.influences(weight, total)
            independent += size**2 * float(weight**2 @ part.steps)
        return found, independent

    def error_of_mean(self, horizon: float, total: int) -> float:
        """Return the standard error of the restricted mean; `total` is 0 without clusters."""
        each = zip(self.curves, self.weights, strict=True)
        variance = sum(weight**2 * curve.variance_of_mean(horizon) for curve, weight in each)
        if total == 0:
            return float(np.sqrt(variance))
        of_clusters = np.array([np.sum(self.influences_on_mean(horizon, total)[0] ** 2)])
        effect = design_effect(of_clusters, np.array([variance]), self.n_clusters, self.n_rows)
        return float(np.sqrt(variance * effect[0]))

    def effects(self, at: Floats) -> Floats:
        """Return the design effect of the standardized curve at each of these times."""
        heights = self._heights(at)
        variance, independent = np.zeros(len(at)), np.zeros(len(at))
        for place, (part, height) in enumerate(zip(self.parts, heights, strict=True)):
            independent += height**2 * part.greenwood(at)
            variance += height**2 * covariance(part, part, at)
            for later in range(place + 1, len(self.parts)):
                both = covariance(part, self.parts[later], at)
                variance += 2 * height * heights[later] * both
        return design_effect(variance, independent, self.n_clusters, self.n_rows)

    def per_row(self, at: Floats) -> Floats:
        """Return the number of clusters per row at risk at each of these times."""
        cluster = np.concatenate([part.cluster for part in self.parts])
        entry, duration, rows = (
            np.concatenate([getattr(part, of) for part in self.parts])
            for of in ("entry", "duration", "rows")
        )
        return clusters_per_row(cluster, entry, duration, rows, at)


@dataclass(frozen=True)
class StandardizedClusters:
    """The strata behind standardized curves; `total` clusters, or 0 if rows are independent."""

    groups: Mapping[int, StandardizedCurve]
    total: int = 0
    is_released: bool = False

    @classmethod
    def of_curves(
        cls, weights: Mapping[int, Mapping[int, float]], curves: pl.DataFrame | None = None
    ) -> StandardizedClusters:
        """Return the strata behind standardized curves of independent rows.

        Args:
            weights: Each group's weights of its strata, as in `Standardization`.
            curves: The curves of the strata, with the parts of their means if these are compared.
        """
        own = {} if curves is None or "_area" not in curves.columns else _by_number(curves)
        known = {number: Curve.of(curve) for number, curve in own.items()}
        return cls(
            {
                group: StandardizedCurve(
                    [*of.values()], [*of], [known[i] for i in of if i in known]
                )
                for group, of in weights.items()
            }
        )

    def with_clusters(
        self,
        durations: IntoFrame,
        groups: Groups,
        strata: Sequence[str],
        curves: pl.DataFrame,
        cluster: str,
    ) -> StandardizedClusters:
        """Return the same with the clusters of the rows from which these curves were estimated."""
        rows = clustered_rows(durations, groups, strata, cluster)
        keys = [*groups.keys, *stratum_keys(groups, strata)]
        numbers = curves.select(*keys, GROUP).unique()
        of_stratum = _by_number(rows.join(numbers, on=keys, nulls_equal=True))
        curve_of = _by_number(curves)
        found = {}
        for group, of in self.groups.items():
            parts = [Part.of(curve_of[i], of_stratum.get(i, NO_ROWS)) for i in of.strata]
            found[group] = replace(of, parts=parts)
        return replace(self, groups=found, total=rows["cluster"].n_unique())

    @property
    def is_clustered(self) -> bool:
        """Whether rows form clusters."""
        return self.total > 0

    def size(self, group: int, learners: int | None) -> int | None:
        """Return a group's number of clusters, or of learners if rows are independent."""
        return int(self._rounded(self.groups[group].n_clusters)) if self.is_clustered else learners

    def about_mean(self, group: int, horizon: float) -> dict[str, float]:
        """Return `std_error` for `Curve.restricted_mean`."""
        return {"std_error": self._rounded(self.groups[group].error_of_mean(horizon, self.total))}

    def correlation_of_means(self, group: int, other: int, horizon: float) -> float:
        """Return the correlation of two restricted means; 0 if no learner is in both."""
        return self._correlation(
            group, other, lambda of: of.influences_on_mean(horizon, self.total)
        )

    def correlation_at(self, group: int, other: int, time: float) -> float:
        """Return the correlation of two curves at a time; 0 if no learner is in both."""
        return self._correlation(group, other, lambda of: of.influences_at(time, self.total))

    def _correlation(
        self,
        group: int,
        other: int,
        influences: Callable[[StandardizedCurve], tuple[Floats, float]],
    ) -> float:
        if not self.is_clustered:
            return 0.0
        return self._rounded(
            correlation(influences(self.groups[group]), influences(self.groups[other]))
        )

    def _rounded(self, value: float) -> float:
        return float(f"{value:.{DIGITS}g}") if self.is_released else value

    def released(self) -> StandardizedClusters:
        """Return the same for released figures."""
        return replace(self, is_released=True)

    def appended(self, curve: pl.DataFrame) -> pl.DataFrame:
        """Append the design effects to a standardized curve, as `Clusters.appended` does."""
        if not self.is_clustered:
            return curve
        return with_effects(curve, self.groups, is_released=self.is_released)


AnyClusters = Clusters | StandardizedClusters


def _by_number(table: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Return the rows of each group or stratum, by its number."""
    parts = table.partition_by(GROUP, as_dict=True)
    return {number: part for (number,), part in parts.items()}


def with_measured_variance(released: pl.DataFrame, curve: pl.DataFrame) -> pl.DataFrame:
    """Give a released curve, from its first step on, the exact one's variance in two digits."""
    digits = measured_at(released, curve, "greenwood").round_sig_figs(DIGITS)
    known = pl.when(pl.col("survival") < 1).then(digits).otherwise("greenwood")
    return released.with_columns(greenwood=known)
