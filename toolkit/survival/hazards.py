"""When do learners pass? The hazard, cumulative and smoothed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.schemas.survival_results import NELSON_AALEN, SMOOTHED_HAZARD
from toolkit.survival.event_table import GROUP, event_table, groups, names
from toolkit.survival.kaplan_meier import normal_quantile

Floats = NDArray[np.floating]


def nelson_aalen(
    durations: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95
) -> pl.DataFrame:
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

    Source: Aalen (1978), Ann. Stat. 6:701: steps d/n, the variance the sum of d/n².

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, 2.0], "event": [True, True]})
        >>> nelson_aalen(durations)["cumulative_hazard"].to_list()
        [0.0, 0.5, 1.5]
    """
    columns = names(by)
    d, n = pl.col("n_events"), pl.col("n_at_risk")
    z = normal_quantile(level)
    hazard, error = pl.col("cumulative_hazard"), pl.col("std_error")
    factor = (z * error / hazard).exp()
    happens = pl.when(n > 0).then(d > 0)
    anyone = n.max().over(GROUP) > 0
    steps = event_table(durations, columns).with_columns(
        cumulative_hazard=pl.when(happens).then(d / n).otherwise(0.0).cum_sum().over(GROUP),
        std_error=pl.when(happens).then(d / n**2).otherwise(0.0).cum_sum().over(GROUP).sqrt(),
    )
    return (
        steps.with_columns(
            ci_low=pl.when(hazard > 0).then(hazard / factor).otherwise(0.0),
            ci_high=pl.when(hazard > 0).then(hazard * factor).otherwise(0.0),
        )
        .with_columns(
            pl.when(anyone).then(pl.col("cumulative_hazard", "std_error", "ci_low", "ci_high"))
        )
        .select(*columns, *NELSON_AALEN.names)
    )


def smoothed_hazard(
    durations: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    every: float = 7,
    bandwidth: float | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Estimate how likely those who have not passed are to pass, week after week.

    One row per stretch of time (a week, where durations are days), by group, up to the group's
    last observation.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        every: Length of a stretch, in the unit of the durations.
        bandwidth: How far around a stretch's middle passes are averaged; twice `every` by
            default. Wider is smoother and blunter.
        level: Coverage of the intervals, symmetric in log h. They speak of the smoothed curve.

    Returns:
        The group columns, then those of `schemas.survival_results.SMOOTHED_HAZARD`; `hazard` is
        per stretch: with weeks, 0.1 means that of ten still under way one passes in the week.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ValueError: `every` or `bandwidth` is not above 0.

    Source: Ramlau-Hansen (1983), Ann. Stat. 11:453, with Epanechnikov's kernel and, near 0 and
    near the end, the asymmetric ones of Gasser & Müller (1979), as in Klein & Moeschberger
    (2003), Survival Analysis, 6.2.

    Examples:
        >>> durations = pl.DataFrame({"duration": [3.0, 10.0, 17.0], "event": [True, True, False]})
        >>> smoothed_hazard(durations)["duration"].to_list()
        [3.5, 10.5]
    """
    width = 2 * every if bandwidth is None else bandwidth
    if every <= 0 or width <= 0:
        raise ValueError("every and bandwidth must be above 0")
    columns = names(by)
    table = event_table(durations, columns)
    z = normal_quantile(level)
    parts = [
        _smoothed(part, every, width, z).with_columns(
            pl.lit(value, dtype=table.schema[name]).alias(name) for name, value in key.items()
        )
        for key, part in groups(table, columns)
    ]
    schema = {**table.select(columns).schema, **SMOOTHED_HAZARD.polars_schema}
    return pl.concat([pl.DataFrame(schema=schema), *(part.select(*schema) for part in parts)])


def _smoothed(part: pl.DataFrame, every: float, width: float, z: float) -> pl.DataFrame:
    """One group's hazard in the middle of each stretch."""
    times, n, d = (
        part[name].cast(pl.Float64).to_numpy() for name in ("duration", "n_at_risk", "n_events")
    )
    end = float(times[-1])
    starts: Floats = np.arange(int(end // every)) * every
    borders = np.searchsorted(times, np.append(starts, end // every * every))
    events = np.diff(np.append(0, np.cumsum(d))[borders])
    happened = d > 0
    middles: Floats = starts + every / 2
    hazard, variance = _kernel_sums(
        middles, times[happened], d[happened], n[happened], min(width, end / 2), end
    )
    error = np.sqrt(variance)
    factor = np.exp(z * error / np.where(hazard > 0, hazard, 1))
    return pl.DataFrame(
        {
            "duration": middles,
            "n_at_risk": n[borders[:-1]].astype(np.int64),
            "n_events": events.astype(np.int64),
            "hazard": hazard * every,
            "std_error": error * every,
            "ci_low": hazard / factor * every,
            "ci_high": hazard * factor * every,
        }
    ).with_columns(n_excluded=pl.lit(part["n_excluded"][0], pl.Int64))


def _kernel_sums(
    middles: Floats, times: Floats, d: Floats, n: Floats, b: float, end: float
) -> tuple[Floats, Floats]:
    """Weigh the steps d/n near each middle, and their variances d/n²."""
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
        hazard[i] = max(0.0, float(np.sum(weight * d[near] / n[near])) / b)
        variance[i] = np.sum(weight**2 * d[near] / n[near] ** 2) / b**2
    return hazard, variance


def _boundary_kernel(x: Floats, q: float) -> Floats:
    """Epanechnikov's kernel bent so that it integrates to 1, without drift, over [-1, q]."""
    scale = (1 + q) ** 4 * (19 - 18 * q + 3 * q**2)
    alpha = 64 * (2 - 4 * q + 6 * q**2 - 3 * q**3) / scale
    beta = 240 * (1 - q) ** 2 / scale
    return np.where(x <= q, 0.75 * (1 - x**2) * (alpha + beta * x), 0.0)
