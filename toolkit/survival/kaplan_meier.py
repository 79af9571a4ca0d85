"""Kaplan–Meier curves of the time to pass."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import polars as pl
from narwhals.typing import IntoFrame

from toolkit.schemas.survival_results import KAPLAN_MEIER, PASSED_SHARE
from toolkit.survival.event_table import GROUP, event_table, groups, names

Interval = Literal["log-log", "log", "plain"]


def kaplan_meier(
    durations: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    ci: Interval = "log-log",
    times: Sequence[float] | None = None,
) -> pl.DataFrame:
    """Estimate the probability not to have passed by each time.

    One row per distinct time, by group, beginning at 0; with `times`, one per group and time.

    Args:
        durations: What `time_to_pass` returns, or any frame with `duration`, `event`, optional
            `entry` (at risk only after it) and `excluded`: a Polars DataFrame or LazyFrame, or a
            DuckDB relation. It is counted where it lies.
        by: The columns whose values make the groups.
        level: Coverage of the intervals.
        ci: The scale on which the interval is symmetric: log(-log S), log S, or S ("plain").
        times: Give the curve at these times only. `n_events` and `n_censored` then count since
            the time before. After a group's last observation the curve is unknown, so null,
            unless it is 0.

    Returns:
        The group columns, then those of `schemas.survival_results.KAPLAN_MEIER`. Where S is 0,
        Greenwood's error and the interval do not exist and are null.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ValueError: `level` is not inside 0–1, or `ci` is not one of the three.

    Source: Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457; Greenwood (1926); the log-log
    interval: Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, 1.4.
    At a tie events come before censorings. With late entry the risk set at t are those with
    entry < t ≤ duration.

    Examples:
        >>> durations = pl.DataFrame(
        ...     {"duration": [1.0, 2.0, 2.0, 3.0], "event": [True, True, False, False]}
        ... )
        >>> kaplan_meier(durations).select("duration", "n_at_risk", "n_events", "survival").rows()
        [(0.0, 4, 0, 1.0), (1.0, 4, 1, 0.75), (2.0, 3, 1, 0.5), (3.0, 1, 0, 0.5)]
    """
    columns = names(by)
    curve = product_limit(event_table(durations, columns))
    if times is not None:
        curve = _at_times(curve, columns, times)
    return with_interval(curve, level, ci).select(*columns, *KAPLAN_MEIER.names)


def passed_share(curve: pl.DataFrame) -> pl.DataFrame:
    """Turn a Kaplan–Meier table into the probability to have passed, 1 − S.

    One row per row of the table; the interval is mirrored.

    Args:
        curve: What `kaplan_meier` returns.

    Returns:
        The group columns, then those of `schemas.survival_results.PASSED_SHARE`.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, 2.0], "event": [True, False]})
        >>> passed_share(kaplan_meier(durations))["passed_share"].to_list()
        [0.0, 0.5, 0.5]
    """
    by = [name for name in curve.columns if name not in KAPLAN_MEIER.names]
    return curve.with_columns(
        passed_share=1 - pl.col("survival"),
        ci_low=1 - pl.col("ci_high"),
        ci_high=1 - pl.col("ci_low"),
    ).select(*by, *PASSED_SHARE.names)


def product_limit(rows: pl.DataFrame) -> pl.DataFrame:
    """Append the product-limit estimate and Greenwood's sum to the counts."""
    d, n = pl.col("n_events"), pl.col("n_at_risk")
    stays = pl.when(d > 0).then((n - d) / n).otherwise(1.0)
    step = pl.when(d > 0).then(d / (n * (n - d))).otherwise(0.0)
    anyone = n.max().over(GROUP) > 0
    return rows.with_columns(
        survival=pl.when(anyone).then(stays.cum_prod().over(GROUP)),
        greenwood=pl.when(anyone).then(step.cum_sum().over(GROUP)),
    )


def with_interval(curve: pl.DataFrame, level: float, ci: Interval) -> pl.DataFrame:
    """Append `std_error`, `ci_low` and `ci_high` to `survival` and `greenwood`."""
    if ci not in ("log-log", "log", "plain"):
        raise ValueError(f'ci must be "log-log", "log" or "plain", not {ci!r}')
    survival, error = pl.col("survival"), pl.col("greenwood").sqrt()
    z = normal_quantile(level)
    if ci == "log-log":
        log = survival.log()
        shift = z * error / log
        low, high = (log * (-shift).exp()).exp(), (log * shift.exp()).exp()
    elif ci == "log":
        low, high = survival * (-z * error).exp(), survival * (z * error).exp()
    else:
        low, high = survival * (1 - z * error), survival * (1 + z * error)

    def where_known(bound: pl.Expr) -> pl.Expr:
        certain = pl.when(pl.col("greenwood") == 0).then(survival)
        return certain.when(survival > 0).then(bound.clip(0.0, 1.0))

    bounded = curve.lazy().with_columns(  # lazily, so that what both bounds need is computed once
        std_error=pl.when(survival > 0).then(survival * error),
        ci_low=where_known(low),
        ci_high=where_known(high),
    )
    return bounded.collect()


def normal_quantile(level: float) -> float:
    """The z of a two-sided interval that covers with this probability."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    return NormalDist().inv_cdf(0.5 + level / 2)


def _at_times(curve: pl.DataFrame, by: list[str], times: Sequence[float]) -> pl.DataFrame:
    wanted = pl.Series("duration", sorted(set(times)), pl.Float64)
    parts = [_steps_at(part, wanted) for _, part in groups(curve, by)]
    return pl.concat(parts) if parts else curve


def _steps_at(part: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    """One group's curve at the wanted times."""
    last = part["duration"].search_sorted(wanted, side="right").cast(pl.Int64) - 1
    next_ = part["duration"].search_sorted(wanted, side="left")
    at = part[last.to_list()]
    observed = (wanted <= part["duration"].max()) | (at["survival"] == 0)
    since = {
        name: part[name].cum_sum()[last.to_list()].diff().fill_null(part[name].cum_sum()[last[0]])
        for name in ("n_events", "n_censored")
    }
    at_risk = part["n_at_risk"].extend_constant(0, 1)[next_.to_list()]
    return at.with_columns(
        wanted,
        at_risk,
        *(series.alias(name) for name, series in since.items()),
        pl.when(observed).then("survival").alias("survival"),
        pl.when(observed).then("greenwood").alias("greenwood"),
    )
