"""Kaplan–Meier curves of the time to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import NormalDist
from typing import Literal, get_args

import polars as pl
from narwhals.typing import IntoFrame
from scipy.special import betaincinv

from toolkit.analyses.grouping import By, Groups, groups_of
from toolkit.analyses.intervals import none_of
from toolkit.analyses.spread import students
from toolkit.errors import ArgumentError
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_level, a_number, as_given, one_of
from toolkit.schemas.survival_results import KAPLAN_MEIER, standardized, thinned
from toolkit.survival.clusters import Clusters
from toolkit.survival.event_table import GROUP, compared, each_group, ranges_of, stratum_keys
from toolkit.survival.included import in_unit_of
from toolkit.survival.long_curves import (
    CurveBuilder,
    Estimate,
    before,
    observed_throughout,
    until_next,
    with_history,
    with_parts_of_mean,
)
from toolkit.survival.ranges import EventRanges
from toolkit.survival.released import at_times, only_shown, released_table, shown
from toolkit.survival.risk_sets import in_blocks
from toolkit.survival.standardization import Standardization, named
from toolkit.survival.standardized_clusters import (
    AnyClusters,
    StandardizedClusters,
    with_measured_variance,
)

Interval = Literal["log-log", "log", "plain"]


def kaplan_meier(
    durations: IntoFrame,
    *,
    by: By = None,
    level: float = 0.95,
    ci: Interval = "log-log",
    times: Sequence[float] | None = None,
    cluster: str | None = None,
    strata: By = None,
) -> Result:
    """Estimate the probability of not having passed by each time.

    One row per distinct time, by group, beginning at 0; with `times`, one per group and time.

    Args:
        durations: What `time_to_pass` returns, or any frame with `duration`, `event`, optional
            `entry` (at risk only after it) and `excluded`: a Polars DataFrame or LazyFrame, or a
            DuckDB relation, which is counted in its own engine.
        by: The columns whose values make the groups.
        level: Coverage of the intervals.
        ci: The scale on which the interval is symmetric: log(-log S), log S, or S ("plain").
        times: Return the curve at these times only. `n_events` and `n_censored` then count since
            the previous time. After a group's last observation the curve is unknown, so null,
            unless it is 0.
        cluster: The column of the clusters, such as "username" if learners are in several courses.
            Rows of a cluster are correlated, and intervals that ignore this are too narrow. At
            most 10 million rows, and 5 million distinct times.
        strata: Standardize the groups to the same distribution of these columns, such as
            "course_id", so that only differences within strata remain. Strata in which a group has
            fewer than 10 learners are left out, and counted in `n_excluded`. The curves end where
            that of any stratum does.

    Returns:
        The group columns, then those of `schemas.survival_results.KAPLAN_MEIER`; with `strata`,
        `within` names them. If there are more than a million distinct times, in all groups, only
        some have rows, with exact estimates, and `n_times` says how many a row stands for. Before
        the first event and at S = 0 the interval is the mid-p one, whatever `ci` is; at S = 0
        Greenwood's error does not exist and is null.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument is invalid, such as a time below 0 or a level above 1.

    Source: Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457; Greenwood (1926); the log-log
    interval: Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, 1.4;
    before the first event and at S = 0, where Greenwood's would have no width, the mid-p interval
    of the beta product of Fay & Brittain (2016), Stat. Med. 35:2726. At a tie events come before
    censorings. With late entry the risk set at t is those with entry < t ≤ duration. With
    clusters the error is that of the infinitesimal jackknife, as in R's `survfit(cluster = )`; see
    Ying & Wei (1994), J. Multivar. Anal. 50:17. Intervals then use Student's t with one degree of
    freedom fewer than clusters; before the first event each cluster at risk counts once.
    Standardized curves: Gail & Byar (1986), Biom. J. 28:587, with Greenwood's variance in strata;
    with clusters, a learner's influences on the curves of all strata are added up.

    Examples:
        >>> durations = pl.DataFrame(
        ...     {"duration": [1.0, 2.0, 2.0, 3.0], "event": [True, True, False, False]}
        ... )
        >>> curve = kaplan_meier(durations).frame
        >>> curve.select("duration", "n_at_risk", "n_events", "survival").rows()
        [(0.0, 4, 0, 1.0), (1.0, 4, 1, 0.75), (2.0, 3, 1, 0.5), (3.0, 1, 0, 0.5)]
    """
    groups, names = groups_of(by, KAPLAN_MEIER), list[str]()
    if strata is not None:
        groups, names = compared(by, strata, KAPLAN_MEIER)
    wanted = None if times is None else a_list_of_times(times, name="times")
    if wanted == []:
        raise ArgumentError("times is empty; name a time, or leave it out for all")
    curve, clusters = curves_of(durations, groups, names, cluster, wanted or ())
    schema = standardized(KAPLAN_MEIER) if names else KAPLAN_MEIER
    about = [pl.lit(" and ".join(names)).alias("within")] if names else []
    exact = with_interval(clusters.appended(curve), level, ci)
    if wanted is not None:
        exact = _at_times(exact, groups, wanted)

    def protect(min_n: int) -> pl.DataFrame:
        steps = curve.with_columns(incidence=1 - pl.col("survival"))
        table = released_table(steps, groups.keys, min_n=min_n, times=wanted)
        safe = clusters.released().appended(only_shown(product_limit(table), "survival"))
        safe = with_interval(with_measured_variance(safe, curve) if names else safe, level, ci)
        if wanted is not None:
            safe = at_times(safe, groups.keys, wanted)
        safe = shown(safe.with_columns(about), min_n)
        return groups.named(safe.select(*groups.keys, *schema.names, "status"))

    shape = thinned(schema) if "n_times" in exact.columns and wanted is None else schema
    frame = groups.named(exact.with_columns(about).select(*groups.keys, *shape.names))
    return in_unit_of(durations, Result(shape, groups.names, frame, protect, level=level))


def curves_of(
    durations: IntoFrame,
    groups: Groups,
    strata: Sequence[str],
    cluster: str | None,
    borders: Sequence[float] = (),
    intervals: Callable[[int], Estimate] | None = None,
) -> tuple[pl.DataFrame, AnyClusters]:
    """Return the curves of the groups, standardized if there are strata, and their clusters.

    A long curve has rows at some times only, see `CurveBuilder`; clusters need every time. To
    compare means, pass `intervals`, which returns what appends the intervals of so many groups.
    """
    ranges = ranges_of(durations, groups, strata, cluster=cluster)
    if strata:
        return _standardized(ranges, durations, groups, strata, cluster, borders, intervals)
    interval = None if intervals is None else intervals(ranges.about.height)
    builder = CurveBuilder(ranges, products, borders=borders, interval=interval)
    for rows in ranges:
        builder.add(rows)
    curve = null_if_never_at_risk(builder.table())
    return curve, Clusters.of(durations, groups, curve, cluster)


def _standardized(
    ranges: EventRanges,
    durations: IntoFrame,
    groups: Groups,
    strata: Sequence[str],
    cluster: str | None,
    borders: Sequence[float],
    intervals: Callable[[int], Estimate] | None,
) -> tuple[pl.DataFrame, StandardizedClusters]:
    """Return the standardized curves and, for means or clusters, those of their strata."""
    standardization = Standardization(ranges, groups.keys, stratum_keys(groups, strata), products)
    interval = None if intervals is None else intervals(standardization.about.height)
    builder = CurveBuilder(standardization, named, borders=borders, interval=interval)
    if interval is None and cluster is None:
        for both in ranges.with_rest():
            builder.add(standardization.of_groups(*both))
        return builder.table(), StandardizedClusters.of_curves(standardization.weights)
    if interval is not None and ranges.is_long:
        borders = [*borders, *standardization.ends_of_means]
    of_strata = CurveBuilder(ranges, products, borders=borders, interval=interval)
    for rows, rest in ranges.with_rest():
        builder.add(standardization.of_groups(rows, rest))
        of_strata.add(rows)
    curves = null_if_never_at_risk(of_strata.table())
    if interval is not None:
        curves = with_parts_of_mean(interval(curves))
    behind = StandardizedClusters.of_curves(standardization.weights, curves)
    if cluster is not None:
        behind = behind.with_clusters(durations, groups, strata, curves, cluster)
    return builder.table(), behind


def product_limit(rows: pl.DataFrame) -> pl.DataFrame:
    """Append the product-limit estimate and Greenwood's sum to the counts."""
    return null_if_never_at_risk(products(rows))


def products(rows: pl.DataFrame) -> pl.DataFrame:
    """Append the same, also to groups in which nobody was ever at risk."""
    d, n = pl.col("n_events"), pl.col("n_at_risk")
    stays = pl.when(d > 0).then((n - d) / n).otherwise(1.0)
    step = pl.when(d > 0).then(d / (n * (n - d))).otherwise(0.0)
    return rows.with_columns(
        survival=stays.cum_prod().over(GROUP) * before("survival", rows, 1.0),
        greenwood=step.cum_sum().over(GROUP) + before("greenwood", rows, 0.0),
    )


def null_if_never_at_risk(curve: pl.DataFrame) -> pl.DataFrame:
    """Set the curve of groups in which nobody was ever at risk to null."""
    anyone = pl.col("n_at_risk").max().over(GROUP) > 0
    return curve.with_columns(pl.when(anyone).then(pl.col("survival", "greenwood")))


def with_interval(curve: pl.DataFrame, level: float, ci: Interval) -> pl.DataFrame:
    """Append `std_error`, `ci_low` and `ci_high` to `survival` and `greenwood`.

    Design effects and sizes that `Clusters` appended are taken into account.
    """
    one_of(ci, get_args(Interval), name="ci")
    return in_blocks(curve, partial(_with_interval, level=level, ci=ci))


def _with_interval(curve: pl.DataFrame, *, level: float, ci: Interval) -> pl.DataFrame:
    survival, error = pl.col("survival"), pl.col("greenwood").sqrt()
    z: float | pl.Expr = normal_quantile(level)
    at_risk, per_row = throughout(curve), pl.lit(1)
    if "design_effect" in curve.columns:
        error = (pl.col("greenwood") * pl.col("design_effect")).sqrt()
        z = students(pl.col("n_clusters"), level)
        per_row = pl.col("clusters_per_row")
        at_risk = observed_throughout(per_row=per_row)
        scaled = curve.with_columns(pl.col("n_at_risk", "n_events") * per_row)
    else:
        scaled = curve
    if ci == "log-log":
        log = survival.log()
        shift = z * error / log
        low, high = (log * (-shift).exp()).exp(), (log * shift.exp()).exp()
    elif ci == "log":
        low, high = survival * (-z * error).exp(), survival * (z * error).exp()
    else:
        low, high = survival * (1 - z * error), survival * (1 + z * error)

    def bound(known: pl.Expr, *, at_1: pl.Expr, at_0: pl.Expr) -> pl.Expr:
        at_end = pl.when(survival == 1).then(at_1).when(survival == 0).then(at_0)
        return at_end.otherwise(known.clip(0.0, 1.0))

    with_end = curve.lazy().join(
        ends_at_0(scaled, level), on=GROUP, how="left", maintain_order="left"
    )
    bounded = with_end.with_columns(  # lazily, so that what both bounds need is computed once
        std_error=pl.when(survival > 0).then(survival * error),
        ci_low=bound(low, at_1=1 - none_of(at_risk, level=level), at_0=pl.lit(0.0)),
        ci_high=bound(high, at_1=pl.lit(1.0), at_0=pl.col("_end_at_0")),
        ci_low_after=bound(
            low,
            at_1=1 - none_of(until_next(at_risk, per_row=per_row), level=level),
            at_0=pl.lit(0.0),
        ),
    )
    return bounded.drop("_end_at_0").collect()


def throughout(curve: pl.DataFrame, each: Sequence[str] = (GROUP,)) -> pl.Expr:
    """Return the smallest number at risk so far, see `with_history`."""
    is_known = "_throughout" in curve.columns
    return pl.col("_throughout") if is_known else observed_throughout(each)


def ends_at_0(curve: pl.DataFrame, level: float, each: Sequence[str] = (GROUP,)) -> pl.LazyFrame:
    """Return the upper limit where a curve has reached 0, which Greenwood's formula does not give.

    It is that of Fay's product of betas: each event is a factor B(n − d + 1, d), and the product is
    approximated by a beta with its mean and variance. The mid-p distribution mixes it in equal
    parts with that of the lower limit, which is 0, so the limit is its quantile at the level.
    Without censoring this is the mid-p interval of 0 out of n.
    """
    survival = pl.col("survival")
    reached = curve
    if "_mean" not in curve.columns:
        reached = with_history(curve.filter(survival.min().over(each) == 0), each)
    moments = reached.filter(survival == 0).group_by(each).agg(pl.col("_mean", "_square").first())
    mean, square = moments["_mean"].to_numpy(), moments["_square"].to_numpy()
    size = (mean - square) / (square - mean**2)
    end = betaincinv(mean * size, (1 - mean) * size, level)
    return moments.lazy().select(*each, pl.Series("_end_at_0", end, pl.Float64))


def normal_quantile(level: float) -> float:
    """Return the z of a two-sided interval with this coverage."""
    return NormalDist().inv_cdf(0.5 + a_level(level) / 2)


def a_list_of_times(times: object, *, name: str) -> list[float]:
    """Return times since the origin as a list of numbers."""
    if isinstance(times, str | bytes | Mapping) or not isinstance(times, Iterable):
        raise ArgumentError(
            f"{name} must be a list of times, such as [30, 60], not {as_given(times)}"
        )
    return [a_number(time, name=f"each of {name}") for time in times]


def _at_times(curve: pl.DataFrame, groups: Groups, times: Sequence[float]) -> pl.DataFrame:
    wanted = pl.Series("duration", sorted(set(times)), pl.Float64)
    parts = [
        steps_at(part, wanted, "survival", at_end=part["survival"].last() == 0)
        for _, part in each_group(curve, groups.keys)
    ]
    return pl.concat(parts) if parts else curve


def steps_at(part: pl.DataFrame, wanted: pl.Series, estimate: str, *, at_end: bool) -> pl.DataFrame:
    """Return one curve at the wanted times; null after its last observation, unless `at_end`."""
    last = part["duration"].search_sorted(wanted, side="right").cast(pl.Int64) - 1
    next_ = part["duration"].search_sorted(wanted, side="left")
    at = part[last.to_list()]
    # Before the first event the interval is that of none of those at risk, who become fewer.
    between = wanted > at["duration"]
    limits = [name for name in ("ci_low", "ci_high") if f"{name}_after" in part.columns]
    after = [pl.when(between).then(f"{name}_after").otherwise(name).alias(name) for name in limits]
    observed = (wanted <= part["duration"].max()) | at_end
    since = {
        name: part[name].cum_sum()[last.to_list()].diff().fill_null(part[name].cum_sum()[last[0]])
        for name in ("n_events", "n_censored")
    }
    at_risk = part["n_at_risk"].extend_constant(0, 1)[next_.to_list()]
    return at.with_columns(after).with_columns(
        wanted,
        at_risk,
        *(series.alias(name) for name, series in since.items()),
        pl.when(observed).then(pl.col(estimate, "std_error", "ci_low", "ci_high")),
    )
