"""The hazard of passing: cumulative (Nelson–Aalen), and smoothed by a kernel."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.grouping import By, groups_of
from toolkit.analyses.intervals import none_of
from toolkit.errors import ArgumentError
from toolkit.release.tables import SHOWN, withheld
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_level, a_number
from toolkit.schemas.survival_results import NELSON_AALEN, SMOOTHED_HAZARD, thinned
from toolkit.survival.event_table import GROUP, event_ranges
from toolkit.survival.included import in_unit_of
from toolkit.survival.kaplan_meier import (
    normal_quantile,
    null_if_never_at_risk,
    products,
    throughout,
)
from toolkit.survival.long_curves import CurveBuilder, before
from toolkit.survival.released import at_risk_since, only_shown, released_table, shown

Floats = NDArray[np.floating]
MOST_STRETCHES = 100_000
_EDGE = 1e-9
"""How far below its start a time is still in a stretch, in stretches: 3 × 0.1 is not 0.3."""


def nelson_aalen(durations: IntoFrame, *, by: By = None, level: float = 0.95) -> Result:
    """Estimate the cumulative hazard of passing.

    One row per distinct time, by group, beginning at 0.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        level: Coverage of the intervals, symmetric in log H.

    Returns:
        The group columns, then those of `schemas.survival_results.NELSON_AALEN`.

    Raises:
        SchemaError: The durations lack a column or have impossible values.

    Source: Aalen (1978), Ann. Stat. 6:701: steps d/n, the variance the sum of d/n². Before the
    first event the interval is that of the Kaplan–Meier curve, H = -log S.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, 2.0], "event": [True, True]})
        >>> nelson_aalen(durations).frame["cumulative_hazard"].to_list()
        [0.0, 0.5, 1.5]
    """
    groups = groups_of(by, NELSON_AALEN)
    builder = CurveBuilder(
        ranges := event_ranges(durations, groups), lambda rows: _sums(products(rows))
    )
    for rows in ranges:
        builder.add(rows)
    curve = null_if_never_at_risk(builder.table())

    def protect(min_n: int) -> pl.DataFrame:
        steps = curve.with_columns(incidence=1 - pl.col("survival"))
        table = released_table(steps, groups.keys, min_n=min_n)
        estimates = ("cumulative_hazard", "std_error", "ci_low", "ci_high")
        known = _with_interval(_sums(_as_hazards(table)), level)
        safe = shown(only_shown(known, *estimates), min_n)
        return groups.named(safe.select(*groups.keys, *NELSON_AALEN.names, "status"))

    schema = thinned(NELSON_AALEN) if "n_times" in curve.columns else NELSON_AALEN
    frame = _with_interval(curve, level).select(*groups.keys, *schema.names)
    return in_unit_of(
        durations, Result(schema, groups.names, groups.named(frame), protect, level=level)
    )


def _as_hazards(table: pl.DataFrame) -> pl.DataFrame:
    """Replace the passes of a released step by -n log(1 - d/n), as if they came one by one."""
    d, n = pl.col("n_events"), pl.col("n_at_risk")
    return table.with_columns(n_events=pl.when(d < n).then(-n * (1 - d / n).log()).otherwise(d))


def _sums(rows: pl.DataFrame) -> pl.DataFrame:
    """Append the cumulative hazard and its variance."""
    d, n = pl.col("n_events"), pl.col("n_at_risk")
    happens = pl.when(n > 0).then(d > 0)
    hazard, variance = (
        pl.when(happens).then(step).otherwise(0.0).cum_sum().over(GROUP)
        for step in (d / n, d / n**2)
    )
    return rows.with_columns(
        cumulative_hazard=hazard + before("cumulative_hazard", rows, 0.0),
        variance=variance + before("variance", rows, 0.0),
    )


def _with_interval(curve: pl.DataFrame, level: float) -> pl.DataFrame:
    """Append error and interval; all null if nobody was ever at risk."""
    z = normal_quantile(level)
    hazard, error = pl.col("cumulative_hazard"), pl.col("std_error")
    factor = (z * error / hazard).exp()
    anyone = pl.col("n_at_risk").max().over(GROUP) > 0
    none = -(1 - none_of(throughout(curve), level=level)).log()
    return (
        curve.with_columns(std_error=pl.col("variance").sqrt())
        .with_columns(
            ci_low=pl.when(hazard > 0).then(hazard / factor).otherwise(0.0),
            ci_high=pl.when(hazard > 0).then(hazard * factor).otherwise(none),
        )
        .with_columns(
            pl.when(anyone).then(pl.col("cumulative_hazard", "std_error", "ci_low", "ci_high"))
        )
    )


def smoothed_hazard(
    durations: IntoFrame,
    *,
    by: By = None,
    every: float = 7,
    bandwidth: float | None = None,
    level: float = 0.95,
) -> Result:
    """Estimate the hazard of passing, smoothed by a kernel, week by week.

    One row per stretch of time (a week, if durations are days), by group, up to the group's last
    observation.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        every: Length of a stretch, in the unit of the durations.
        bandwidth: How far from the middle of a stretch passes are averaged; twice `every` by
            default. Wider is smoother, with less detail.
        level: Coverage of the intervals of the smoothed hazard, symmetric in log h.

    Returns:
        The group columns, then those of `schemas.survival_results.SMOOTHED_HAZARD`; `hazard` is
        per stretch: with weeks, 0.1 means that of ten still under way one passes in the week.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: `every` or `bandwidth` is not above 0, or `every` makes too many stretches.

    Source: Ramlau-Hansen (1983), Ann. Stat. 11:453, with Epanechnikov's kernel and, near 0 and
    near the end, the asymmetric ones of Gasser & Müller (1979), as in Klein & Moeschberger
    (2003), Survival Analysis, 6.2.

    Examples:
        >>> durations = pl.DataFrame({"duration": [3.0, 10.0, 17.0], "event": [True, True, False]})
        >>> smoothed_hazard(durations).frame["duration"].to_list()
        [3.5, 10.5]
    """
    every = a_number(every, name="every", above=0)
    width = 2 * every if bandwidth is None else a_number(bandwidth, name="bandwidth", above=0)
    groups = groups_of(by, SMOOTHED_HAZARD)
    level = a_level(level)
    ranges = event_ranges(durations, groups)
    last = math.ceil(ranges.last)  # released hazards end at a whole unit
    if last / every > MOST_STRETCHES:
        raise ArgumentError(
            f"every = {every:g} cuts {last:g} into more than {MOST_STRETCHES:,} stretches"
        )
    starts = [place * every for place in range(int(last / every) + 1)]
    builder = CurveBuilder(ranges, products, borders=starts)
    exact = _Hazards(ranges.longest, every, width)
    for rows in ranges:
        builder.add(rows)
        exact.add(rows)
    curve = null_if_never_at_risk(builder.table())
    frame = groups.named(exact.table(ranges.about.select(GROUP, *groups.keys, *_LEFT_OUT), level))

    def protect(min_n: int) -> pl.DataFrame:
        # Only the steps: the new rounding at a tick would look like a peak.
        known = curve.with_columns(incidence=1 - pl.col("survival"))
        table = released_table(known, groups.keys, min_n=min_n, times=[0.0])
        # The hazard shows how many passed in a stretch; the numbers at risk are released.
        steps = _as_hazards(table.drop_nulls("n_at_risk"))
        each = steps.group_by(GROUP, maintain_order=True)
        found = _Hazards(each.agg(pl.col("duration").max().alias("longest")), every, width)
        found.add(steps)
        safe = found.table(each.first().select(GROUP, *groups.keys, *_LEFT_OUT), level)
        start = pl.col("duration") - (0.5 + _EDGE) * every
        safe = safe.with_columns(at_risk_since(safe, curve, groups.keys, start, min_n=min_n))
        # Where learners enter late, there may be too few when a stretch begins, or nobody.
        is_known = pl.col("n_at_risk").is_not_null()
        safe = safe.with_columns(
            pl.when(is_known).then(pl.col("hazard", "std_error", "ci_low", "ci_high")),
            n_events=pl.lit(None, pl.Int64),
            status=pl.when(is_known).then(pl.lit(SHOWN)).otherwise(pl.lit(withheld(min_n))),
        )
        return groups.named(safe.drop(GROUP))

    exact_frame = frame.select(*groups.names, *SMOOTHED_HAZARD.names)
    return in_unit_of(
        durations, Result(SMOOTHED_HAZARD, groups.names, exact_frame, protect, level=level)
    )


_LEFT_OUT = ("n_excluded", "n_undated")


class _Hazards:
    """The hazards of all groups, from an event table or its ranges, added in order."""

    def __init__(self, longest: pl.DataFrame, every: float, width: float) -> None:
        ends = longest.fill_null(0.0).sort(GROUP).select(GROUP, "longest").rows()
        self._of_group = {number: _Stretches(end, every, width) for number, end in ends}

    def add(self, steps: pl.DataFrame) -> None:
        for (number,), part in steps.partition_by(GROUP, as_dict=True).items():
            self._of_group[number].add(part)

    def table(self, about: pl.DataFrame, level: float) -> pl.DataFrame:
        """Return one row per group and stretch, with the group columns and exclusions."""
        rows = [
            of.table(level).select(pl.lit(number, pl.UInt32).alias(GROUP), pl.all())
            for number, of in self._of_group.items()
        ]
        columns = pl.col(about.columns[1:]).exclude(*_LEFT_OUT)
        nothing = pl.DataFrame(schema={GROUP: pl.UInt32, **SMOOTHED_HAZARD.polars_schema})
        found = pl.concat([nothing.drop(_LEFT_OUT), *rows])
        joined = found.join(about, on=GROUP, maintain_order="left")
        return joined.select(columns, GROUP, *SMOOTHED_HAZARD.names)


class _Stretches:
    """One group's hazard in the middle of each stretch."""

    def __init__(self, end: float, every: float, width: float) -> None:
        n = int(end / every + _EDGE)
        self._every, self._end, self._reach = every, end, min(width, end / 2)
        starts: Floats = np.arange(n + 1) * every
        self._borders, self._middles = starts - _EDGE * every, starts[:-1] + every / 2
        self._events, self._at_risk = np.zeros(n + 1), np.full(n, np.nan)
        self._hazard, self._variance, self._watched = (np.zeros(n) for _ in range(3))
        self._last = 0.0

    def add(self, part: pl.DataFrame) -> None:
        """Add what happens at the next times of the group."""
        times, n, d = (
            part[name].cast(pl.Float64).to_numpy() for name in ("duration", "n_at_risk", "n_events")
        )
        borders = np.searchsorted(times, self._borders)
        self._events += np.append(0, np.cumsum(d))[borders]
        first = np.append(n, np.nan)[borders[:-1]]
        self._at_risk = np.where(np.isnan(self._at_risk), first, self._at_risk)
        happened, reach, end = d > 0, self._reach, self._end
        sums = _kernel_sums(self._middles, times[happened], d[happened], n[happened], reach, end)
        self._hazard += sums[0]
        self._variance += sums[1]
        since = np.append(self._last, times)
        watched = np.append(0, np.cumsum(n * np.diff(since)))
        for at, sign in (
            (np.minimum(self._middles + reach, end), 1),
            (np.maximum(self._middles - reach, 0), -1),
        ):
            self._watched += sign * np.interp(at, since, watched)
        self._last = float(times[-1])

    def table(self, level: float) -> pl.DataFrame:
        """Return one row per stretch."""
        every, hazard, variance = self._every, np.maximum(self._hazard, 0.0), self._variance
        # If nobody passes within the bandwidth: the mid-p limit for the time observed there. If
        # a boundary kernel's negative weights leave no hazard: at least that of its error.
        seen = self._watched
        none = -math.log(1 - level) / np.where(seen > 0, seen, np.nan)
        error = np.sqrt(variance)
        half = normal_quantile(level) * error
        factor = np.exp(half / np.where(hazard > 0, hazard, 1))
        return pl.DataFrame(
            {
                "duration": self._middles,
                "n_at_risk": self._at_risk.astype(np.int64),
                "n_events": np.diff(self._events).astype(np.int64),
                "hazard": hazard * every,
                "std_error": error * every,
                "ci_low": hazard / factor * every,
                "ci_high": np.where(hazard > 0, hazard * factor, np.maximum(none, half)) * every,
            }
        ).with_columns(pl.col("ci_high").fill_nan(None))


def _kernel_sums(
    middles: Floats, times: Floats, d: Floats, n: Floats, b: float, end: float
) -> tuple[Floats, Floats]:
    """Return the weighted sums of the steps d/n near each middle, and of their variances d/n²."""
    hazard, variance = np.zeros(len(middles)), np.zeros(len(middles))
    for i, t in enumerate(middles):
        near = slice(*np.searchsorted(times, [t - b, t + b]))
        x = (t - times[near]) / b
        if t < b:
            weight = _boundary_kernel(x, t / b)
        elif t > end - b:
            weight = _boundary_kernel(-x, (end - t) / b)
        else:
            weight = 0.75 * (1 - x**2)
        hazard[i] = np.sum(weight * d[near] / n[near]) / b
        variance[i] = np.sum(weight**2 * d[near] / n[near] ** 2) / b**2
    return hazard, variance


def _boundary_kernel(x: Floats, q: float) -> Floats:
    """Return Epanechnikov's kernel, adjusted to integrate to 1 with mean 0 over [-1, q]."""
    scale = (1 + q) ** 4 * (19 - 18 * q + 3 * q**2)
    alpha = 64 * (2 - 4 * q + 6 * q**2 - 3 * q**3) / scale
    beta = 240 * (1 - q) ** 2 / scale
    return np.where(x <= q, 0.75 * (1 - x**2) * (alpha + beta * x), 0.0)
