"""Curves of groups, standardized to the same distribution of strata."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from toolkit.errors import ArgumentError
from toolkit.release.rounding import Floats
from toolkit.survival.long_curves import Estimate, Resumable
from toolkit.survival.ranges import EventRanges
from toolkit.survival.risk_sets import GROUP

FEWEST = 10  # learners of each group for a stratum to be used: curves of fewer end early
_EDGE = 1e-9
_NEAR_1 = 1e-12  # weights that add up to 1 miss it by some 1e-16
_ESTIMATES = {"_survival": "survival", "_greenwood": "greenwood"}


class Standardization:
    """One curve per group: the mean of its curves in the strata, with the same weights everywhere.

    The counts are added up over the strata. A curve ends where that of any stratum does, and
    learners at risk after it are censored there. The learners of strata that are not used are
    among the excluded.

    Attributes:
        about: Each group's number, columns and exclusions.
        weights: Each group's weights of the strata used, by their numbers in `ranges`.

    Source: the weights are the strata's shares of the learners of all groups, and taken as fixed:
    Gail & Byar (1986), Variance calculations for direct adjusted survival curves, Biometrical
    Journal 28:587. A stratum in which all have passed adds nothing to the variance.
    """

    def __init__(
        self, ranges: EventRanges, by: list[str], strata: list[str], products: Estimate
    ) -> None:
        self._ranges, self._products = ranges, Resumable(products)
        both = _weighted(ranges.about, by, strata)
        self.about = _of_groups(both, by)
        counted = both.drop_nulls("weight").join(ranges.longest, on=GROUP, maintain_order="left")
        self.weights = {
            number: dict(part.select(GROUP, "weight").rows())
            for (number,), part in counted.partition_by("_number", as_dict=True).items()
        }
        self._ends = counted["longest"]
        self._strata = counted.select(GROUP, "_number", "weight", "longest")
        self._until = np.full(self.about.height, np.inf)
        # What each stratum contributes to its group's curve, and to the variance, so far.
        self._height, self._variance = np.zeros((2, both.height))
        self._height[counted[GROUP].to_numpy()] = counted["weight"].to_numpy()

    @property
    def is_long(self) -> bool:
        """Whether the curves have too many times to keep all of them."""
        return self._ranges.is_long

    @property
    def last(self) -> float:
        """The last time."""
        return self._ranges.last

    @property
    def ends_of_means(self) -> list[float]:
        """Where the curves of the strata end, and so those of the groups."""
        return self._ends.unique().to_list()

    def of_groups(self, rows: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
        """Return the next range as an event table of the groups, with estimates for `named`.

        `rest` has the numbers at risk in each stratum after the rows, `n_start`.
        """
        counts = [name for name in rows.columns if name.endswith(("_events", "_censored"))]
        counts += [name for name in rows.columns if name.endswith("_at_risk")]
        names = [GROUP, "duration", *counts, *_ESTIMATES]
        found = [pl.DataFrame(schema={name: rows.schema.get(name, pl.Float64) for name in names})]
        own = rows.join(self._strata, on=GROUP, maintain_order="left")
        for (number,), part in own.partition_by("_number", as_dict=True).items():
            found.append(self._of_group(number, part, rest).select(names))
        return pl.concat(found)

    def _of_group(self, number: int, rows: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of one group, from those of its strata, each in order."""
        known = self._products(rows)
        stratum, time = rows[GROUP].to_numpy(), rows["duration"].to_numpy()
        survival, greenwood = known["survival"].to_numpy(), known["greenwood"].to_numpy()
        height = rows["weight"].to_numpy() * survival
        # Greenwood's sum is infinite where all have passed.
        variance = height**2 * np.where(survival > 0, greenwood, 0.0)
        is_end = (survival > 0) & (time == rows["longest"].to_numpy())
        until = self._until[number] = min(self._until[number], time[is_end].min(initial=np.inf))
        order = np.argsort(time, kind="stable")
        times, first = np.unique(time[order], return_index=True)
        last = np.append(first[1:], len(time)) - 1
        curve, spread = (
            self._added_up(number, so_far, stratum, values, order)[last]
            for so_far, values in ((self._height, height), (self._variance, variance))
        )
        curve[curve < _EDGE] = 0.0
        curve[curve > 1 - _NEAR_1] = 1.0
        counts = {
            name: np.add.reduceat(rows[name].to_numpy()[order], first)
            for name in rows.columns
            if name.endswith(("_events", "_censored"))
        }
        for what in ("n", "key") if "key_events" in rows.columns else ("n",):
            at_risk, left = rows[f"{what}_at_risk"].to_numpy(), rest[f"{what}_start"].to_numpy()
            still = np.where(_is_last(stratum), left[stratum], np.roll(at_risk, -1))
            gone = np.cumsum((at_risk - still)[order])
            there = left[[*self.weights[number]]].sum() + gone[-1] - np.append(0, gone)[first]
            counts[f"{what}_at_risk"] = there
            censored, ended = counts[f"{what}_censored"], there - counts[f"{what}_events"]
            counts[f"{what}_censored"] = np.where(times == until, ended, censored)
        table = pl.DataFrame({"duration": times, **counts}).with_columns(
            pl.lit(number, pl.UInt32).alias(GROUP),
            _survival=curve,
            _greenwood=spread / np.where(curve > 0, curve, np.inf) ** 2,
        )
        return table.filter(pl.col("duration") <= until)

    def _added_up(
        self,
        number: int,
        so_far: Floats,
        stratum: NDArray[np.uint32],
        values: Floats,
        order: NDArray[np.intp],
    ) -> Floats:
        """Return the sum over the strata after each row, in this order, and update `so_far`."""
        is_last = _is_last(stratum)
        before = np.where(np.roll(is_last, 1), so_far[stratum], np.roll(values, 1))
        sums = so_far[[*self.weights[number]]].sum() + np.cumsum((values - before)[order])
        so_far[stratum[is_last]] = values[is_last]
        return np.asarray(sums, np.float64)


def named(rows: pl.DataFrame) -> pl.DataFrame:
    """Name the estimates of `Standardization.of_groups`."""
    return rows.rename(_ESTIMATES)


def _is_last(stratum: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether a row is the last of its stratum."""
    return np.append(stratum[1:] != stratum[:-1], [True])


def _weighted(about: pl.DataFrame, by: list[str], strata: list[str]) -> pl.DataFrame:
    """Append each stratum's weight, null if it is not used, and the number of the group."""
    n = pl.col("n_learners")
    groups = about.select(by).unique().sort(by).with_row_index("_number")
    weights = (
        about.group_by(strata)
        .agg(n.sum(), n_large=(n >= FEWEST).sum())
        .filter(n_large=groups.height)
        .select(*strata, weight=n / n.sum())
    )
    if weights.is_empty() and not about.is_empty():
        raise ArgumentError(
            f"no stratum has at least {FEWEST} learners of each group; compare fewer groups, or "
            "name fewer columns in strata"
        )
    weighted = about.join(weights, on=strata, how="left", nulls_equal=True, maintain_order="left")
    return weighted.join(groups, on=by, nulls_equal=True, maintain_order="left")


def _of_groups(weighted: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return each group's columns and exclusions, including the learners of unused strata."""
    sums = [pl.col("^(n|key)_undated$").sum()]
    for what in ("n", "key") if "key_learners" in weighted.columns else ("n",):
        lost = pl.when(pl.col("weight").is_null()).then(f"{what}_learners").otherwise(0)
        sums.append((pl.col(f"{what}_excluded") + lost).sum())
    groups = weighted.group_by("_number").agg(pl.col(by).first(), *sums).sort("_number")
    return groups.rename({"_number": GROUP})
