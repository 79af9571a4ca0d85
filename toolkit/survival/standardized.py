"""Curves of groups that are standardized to the same mixture of strata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import Groups
from toolkit.errors import ArgumentError
from toolkit.release.rounding import DIGITS
from toolkit.survival.clusters import (
    NO_ROWS,
    Clusters,
    Part,
    design_effect,
    together,
    with_effects,
)
from toolkit.survival.event_table import GROUP, clustered_rows, stratum_keys

Floats = NDArray[np.float64]
FEWEST = 10  # learners of each group that make a stratum count: a curve of fewer soon ends
_EDGE = 1e-9


def standardized(curves: pl.DataFrame, by: list[str], strata: list[str]) -> pl.DataFrame:
    """One curve per group: the mean of its curves in the strata, weighed alike in all groups.

    Args:
        curves: The curves by group and stratum, with `survival` and `greenwood`.
        by: The group columns.
        strata: The columns of the strata.

    Returns:
        One curve per group, its counts added up over the strata; `greenwood` is the variance over
        the square of `survival`. It ends where that of a stratum does, and who is at risk after it
        is censored there. The learners of strata that do not count are among the excluded.

    Raises:
        ArgumentError: No stratum counts.

    Source: the weights are the strata's shares of the learners of all groups, and taken as fixed:
    Gail & Byar (1986), Variance calculations for direct adjusted survival curves, Biometrical
    Journal 28:587. A stratum in which all have passed adds nothing to the variance.
    """
    if curves.is_empty():
        return curves.drop(strata)
    parts = _weighed(curves, by, strata).partition_by("_number", as_dict=True)
    return pl.concat(_mixed(parts[key], by, strata) for key in sorted(parts)).with_columns(
        pl.col(GROUP).cast(curves.schema[GROUP])
    )


def _weighed(curves: pl.DataFrame, by: list[str], strata: list[str]) -> pl.DataFrame:
    """Append each stratum's weight, null where it does not count, and the number of the group."""
    learners = pl.col("n_events") + pl.col("n_censored")
    sizes = curves.group_by([*by, *strata]).agg(n=learners.sum())
    groups = sizes.select(by).unique().sort(by).with_row_index("_number")
    weights = (
        sizes.group_by(strata)
        .agg(pl.col("n").sum(), n_large=(pl.col("n") >= FEWEST).sum())
        .filter(n_large=groups.height)
        .select(*strata, weight=pl.col("n") / pl.col("n").sum())
    )
    if weights.is_empty():
        raise ArgumentError(
            f"no stratum has at least {FEWEST} learners of each group; compare fewer groups, or "
            "name fewer columns in strata"
        )
    weighed = curves.join(weights, on=strata, how="left", nulls_equal=True, maintain_order="left")
    return weighed.join(groups, on=by, nulls_equal=True, maintain_order="left")


def _mixed(curves: pl.DataFrame, by: list[str], strata: list[str]) -> pl.DataFrame:
    """Add up one group's curves over the strata that count."""
    counted = curves.filter(pl.col("weight").is_not_null())
    each = counted.partition_by(strata, maintain_order=True)
    until = min(_known_until(part) for part in each)
    times = counted["duration"].unique().sort().to_numpy()
    times = times[times <= until]
    survival, variance = np.zeros(len(times)), np.zeros(len(times))
    kinds = ["n", "key"] if "key_events" in curves.columns else ["n"]
    counts = {f"{what}_{of}": np.zeros(len(times), np.int64) for what in kinds for of in _OF}
    for part in each:
        own, weight = part["duration"].to_numpy(), part["weight"][0]
        last = np.searchsorted(own, times, side="right") - 1
        height = part["survival"].to_numpy()[last]
        survival += weight * height
        # Greenwood's sum is infinite where all have passed.
        sums = np.where(height > 0, part["greenwood"].to_numpy()[last], 0.0)
        variance += weight**2 * height**2 * sums
        ahead = np.searchsorted(own, times, side="left")
        is_own = np.append(own, np.nan)[ahead] == times
        for name, total in counts.items():
            values = np.append(part[name].to_numpy(), 0)[ahead]
            total += values if name.endswith("at_risk") else np.where(is_own, values, 0)
    survival[survival < _EDGE] = 0.0
    for what in kinds:
        left = counts[f"{what}_at_risk"][-1] - counts[f"{what}_events"][-1]
        counts[f"{what}_censored"][-1] = left
    excluded = _excluded(curves, strata, kinds)
    about = {**curves.select(*by).row(0, named=True), GROUP: curves["_number"][0]}
    return pl.DataFrame({"duration": times, **counts}).select(
        *(pl.lit(value, curves.schema.get(name)).alias(name) for name, value in about.items()),
        pl.all(),
        *(pl.lit(value, pl.Int64).alias(name) for name, value in excluded.items()),
        pl.Series("survival", survival),
        pl.Series("greenwood", variance / np.where(survival > 0, survival, np.inf) ** 2),
    )


_OF = ("at_risk", "events", "censored")


def _known_until(curve: pl.DataFrame) -> float:
    return float("inf") if curve["survival"][-1] == 0 else float(curve["duration"][-1])


def _excluded(curves: pl.DataFrame, strata: list[str], kinds: list[str]) -> dict[str, int]:
    """How many have no duration, or are in a stratum that does not count."""
    once = curves.unique(strata)
    lost = curves.filter(pl.col("weight").is_null())
    found = {}
    for what in kinds:
        left_out = lost.select(pl.col(f"{what}_events", f"{what}_censored").sum()).row(0)
        found[f"{what}_excluded"] = int(once[f"{what}_excluded"].sum()) + sum(left_out)
        found[f"{what}_undated"] = int(once[f"{what}_undated"].sum())
    return found


@dataclass(frozen=True)
class Mixture:
    """One group's curves in the strata that count, with their weights and the rows of clusters.

    A cluster's influence on the standardized curve is the sum of its influences on the curves of
    the strata, each times its weight; the weights are taken as fixed.
    """

    parts: Sequence[Part]
    weights: Sequence[float]

    @property
    def n_clusters(self) -> float:
        """How many clusters the group has in these strata."""
        return float(len(np.unique(np.concatenate([part.cluster for part in self.parts]))))

    @property
    def n_rows(self) -> float:
        """How many rows they have."""
        return sum(part.n_rows for part in self.parts)

    def _heights(self, at: Floats) -> list[Floats]:
        """How high each stratum's curve is at these times, times its weight."""
        return [
            weight * part.survival[np.searchsorted(part.times, at, side="right") - 1]
            for part, weight in zip(self.parts, self.weights, strict=True)
        ]

    def influences_at(self, time: float, total: int) -> Floats:
        """Each cluster's part in the standardized curve at a time, of all `total` clusters."""
        heights = [float(height[0]) for height in self._heights(np.array([time]))]
        weights = [(part.times <= time).astype(float) for part in self.parts]
        return self._influences(heights, weights, total)

    def influences_on_mean(self, horizon: float, total: int) -> Floats:
        """Each cluster's part in the mean below the standardized curve."""
        areas = [part.areas(horizon) for part in self.parts]
        return self._influences(self.weights, areas, total)

    def _influences(self, sizes: Sequence[float], weights: Sequence[Floats], total: int) -> Floats:
        found = np.zeros(total)
        for part, size, weight in zip(self.parts, sizes, weights, strict=True):
            found += size * part.influences(weight, total)
        return found

    def error_of_mean(self, horizon: float, total: int) -> float:
        """The standard error of the mean below the standardized curve; `total` as above or 0."""
        each = zip(self.parts, self.weights, strict=True)
        variance = sum(weight**2 * part.variance_of_mean(horizon) for part, weight in each)
        if total == 0:
            return float(np.sqrt(variance))
        of_clusters = np.array([np.sum(self.influences_on_mean(horizon, total) ** 2)])
        effect = design_effect(of_clusters, np.array([variance]), self.n_clusters, self.n_rows)
        return float(np.sqrt(variance * effect[0]))

    def effects(self, at: Floats) -> Floats:
        """The design effect of the standardized curve at each of these times."""
        heights = self._heights(at)
        variance, independent = np.zeros(len(at)), np.zeros(len(at))
        for place, (part, height) in enumerate(zip(self.parts, heights, strict=True)):
            independent += height**2 * part.risen(at)
            variance += height**2 * together(part, part, at)
            for later in range(place + 1, len(self.parts)):
                both = together(part, self.parts[later], at)
                variance += 2 * height * heights[later] * both
        return design_effect(variance, independent, self.n_clusters, self.n_rows)


@dataclass(frozen=True)
class MixedClusters:
    """The strata behind standardized curves, and their clusters: 0 where rows are independent."""

    groups: Mapping[int, Mixture]
    total: int = 0
    is_released: bool = False

    @classmethod
    def of(
        cls,
        durations: IntoFrame,
        groups: Groups,
        strata: Sequence[str],
        curves: pl.DataFrame,
        cluster: str | None,
    ) -> MixedClusters:
        """Find the clusters of the rows from which these curves by stratum were estimated."""
        if curves.is_empty():
            return cls({})
        keys = stratum_keys(groups, strata)
        weighed = _weighed(curves, groups.keys, keys).filter(pl.col("weight").is_not_null())
        numbers = weighed.select(*groups.keys, *keys, GROUP).unique()
        of_stratum, total = {}, 0
        if cluster is not None:
            rows = clustered_rows(durations, groups, strata, cluster)
            numbered = rows.join(numbers, on=[*groups.keys, *keys], nulls_equal=True)
            of_stratum, total = (
                numbered.partition_by(GROUP, as_dict=True),
                rows["cluster"].n_unique(),
            )
        found = {}
        for (number,), curves_of in weighed.partition_by("_number", as_dict=True).items():
            parts = curves_of.partition_by(GROUP, as_dict=True)
            found[number] = Mixture(
                [Part.of(curve, of_stratum.get(key, NO_ROWS)) for key, curve in parts.items()],
                [curve["weight"][0] for curve in parts.values()],
            )
        return cls(found, total)

    @property
    def are_there(self) -> bool:
        """Whether rows belong to clusters at all."""
        return self.total > 0

    def size(self, group: int, learners: int | None) -> int | None:
        """How many clusters a group has; its learners where rows are independent."""
        return int(self._told(self.groups[group].n_clusters)) if self.are_there else learners

    def about_mean(self, group: int, horizon: float) -> dict[str, float]:
        """The standard error of a group's restricted mean."""
        return {"std_error": self._told(self.groups[group].error_of_mean(horizon, self.total))}

    def correlation_of_means(self, group: int, other: int, horizon: float) -> float:
        """How two restricted means go together; 0 where no learner is in both."""
        return self._correlation(
            group, other, lambda of: of.influences_on_mean(horizon, self.total)
        )

    def correlation_at(self, group: int, other: int, time: float) -> float:
        """How two standardized curves go together at a time; 0 where no learner is in both."""
        return self._correlation(group, other, lambda of: of.influences_at(time, self.total))

    def _correlation(
        self, group: int, other: int, influences: Callable[[Mixture], Floats]
    ) -> float:
        if not self.are_there:
            return 0.0
        one, two = influences(self.groups[group]), influences(self.groups[other])
        size = float(np.sqrt((one @ one) * (two @ two)))
        return self._told(float(one @ two) / size) if size > 0 else 0.0

    def _told(self, value: float) -> float:
        return float(f"{value:.{DIGITS}g}") if self.is_released else value

    def released(self) -> MixedClusters:
        """The same for figures that are released."""
        return replace(self, is_released=True)

    def appended(self, curve: pl.DataFrame) -> pl.DataFrame:
        """Append the design effects to a standardized curve, as `Clusters.appended` does."""
        if not self.are_there:
            return curve
        return with_effects(curve, self.groups, is_released=self.is_released)


AnyClusters = Clusters | MixedClusters


def with_measured_variance(told: pl.DataFrame, curve: pl.DataFrame) -> pl.DataFrame:
    """Put the variance measured on the records, in two digits, to a curve that is released."""
    measured = curve.select(
        GROUP, (pl.col("duration") - _EDGE).alias("_at"), _measured="greenwood"
    ).sort("_at")
    joined = (
        told.with_row_index("_row")
        .sort("duration")
        .join_asof(measured, left_on="duration", right_on="_at", by=GROUP, check_sortedness=False)
    )
    digits = pl.col("_measured").round_sig_figs(DIGITS)
    return joined.sort("_row").with_columns(greenwood=digits).drop("_row", "_at", "_measured")
