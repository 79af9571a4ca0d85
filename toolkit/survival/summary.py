"""The figures of the time to pass that go into a text."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from narwhals.typing import IntoFrame

from toolkit.schemas.survival_results import SURVIVAL_SUMMARY
from toolkit.survival.curve_statistics import Curve, Estimate
from toolkit.survival.event_table import event_table, groups, names
from toolkit.survival.kaplan_meier import Interval, normal_quantile, product_limit, with_interval

_QUARTILES = {"first quartile": 0.25, "median": 0.5, "third quartile": 0.75}


def survival_summary(
    durations: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    milestones: Sequence[float] = (30, 60, 90, 180),
    horizon: float | None = None,
    level: float = 0.95,
    ci: Interval = "log-log",
) -> pl.DataFrame:
    """Estimate when learners pass, how many by when, and how long they were observed.

    One row per statistic, by group; times in the unit of the durations:

    | statistic | at | estimate |
    |---|---|---|
    | first quartile, median, third quartile | share | first time by which that share has passed |
    | passed by | each milestone | share that has passed |
    | restricted mean | the horizon | mean time without a pass up to it, with standard error |
    | median follow-up | 0.5 | median time until the last look, by the reverse curve |

    An estimate that the curve does not reach, or that lies after the last observation, is null.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        milestones: The times of "passed by".
        horizon: The time to which the restricted mean goes; by default the longest observation
            of the group whose longest is shortest, the furthest at which all can be compared.
        level: Coverage of the intervals.
        ci: As for `kaplan_meier`; quantiles invert this interval.

    Returns:
        The group columns, then those of `schemas.survival_results.SURVIVAL_SUMMARY`.

    Raises:
        SchemaError: The durations lack a column or have impossible values.

    Source: quantiles with Brookmeyer & Crowley's (1982) intervals; the restricted mean with
    Klein & Moeschberger's (2003) variance; follow-up: Schemper & Smith (1996), Control. Clin.
    Trials 17:343, where who passes at a time is no longer at risk of being censored at it.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, 2.0, 3.0], "event": [True, True, False]})
        >>> summary = survival_summary(durations, milestones=[2])
        >>> summary.filter(statistic="median")["estimate"].to_list()
        [2.0]
    """
    columns = names(by)
    table = event_table(durations, columns)
    curve = with_interval(product_limit(table), level, ci)
    followed = with_interval(product_limit(_reversed(table)), level, ci)
    if horizon is None:
        horizon = common_horizon(curve, columns)
    z = normal_quantile(level)
    rows = []
    for (key, part), (_, reverse) in zip(
        groups(curve, columns), groups(followed, columns), strict=True
    ):
        own = Curve.of(part)
        statistics = [
            *((name, share, own.quantile(share)) for name, share in _QUARTILES.items()),
            *(("passed by", float(time), own.passed_by(time)) for time in milestones),
            ("restricted mean", horizon, _with_normal_interval(own.restricted_mean(horizon), z)),
            ("median follow-up", 0.5, Curve.of(reverse).quantile(0.5)),
        ]
        counts = {
            "n_learners": part.select(pl.col("n_events", "n_censored").sum()).sum_horizontal()[0],
            "n_events": part["n_events"].sum(),
            "n_excluded": part["n_excluded"][0],
        }
        rows += [
            {**key, "statistic": name, "at": at, **estimate._asdict(), **counts}
            for name, at, estimate in statistics
        ]
    schema = {**table.select(columns).schema, **SURVIVAL_SUMMARY.polars_schema}
    return pl.DataFrame(rows, schema=schema)


def _reversed(table: pl.DataFrame) -> pl.DataFrame:
    """Swap the roles: being censored is the event, and a pass at the time came before it."""
    return table.with_columns(
        n_at_risk=pl.col("n_at_risk") - pl.col("n_events"),
        n_events=pl.col("n_censored"),
        n_censored=pl.col("n_events"),
    )


def common_horizon(curve: pl.DataFrame, by: list[str]) -> float:
    """The longest observation of the group whose longest is shortest."""
    observed = curve.filter(pl.col("survival").is_not_null())
    return min((float(part["duration"][-1]) for _, part in groups(observed, by)), default=0.0)


def _with_normal_interval(mean: tuple[float, float] | None, z: float) -> Estimate:
    if mean is None:
        return Estimate()
    estimate, error = mean
    return Estimate(estimate, error, estimate - z * error, estimate + z * error)
