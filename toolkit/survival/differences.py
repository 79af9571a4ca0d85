"""How far apart are the groups? Differences of means and of shares, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.grouping import By, Groups
from toolkit.analyses.simultaneous import (
    Ends,
    Floats,
    agreeing,
    bonferroni,
    hybrid,
    students_of,
)
from toolkit.analyses.spread import Distribution, Spread, together
from toolkit.errors import ArgumentError
from toolkit.release.tables import with_status
from toolkit.results.result import Result
from toolkit.schemas import Table
from toolkit.schemas.arguments import a_number, one_of
from toolkit.schemas.survival_results import (
    MILESTONE_DIFFERENCE,
    RMST_DIFFERENCE,
    SURVIVAL_SUMMARY,
    mixed,
)
from toolkit.survival.clusters import Clusters
from toolkit.survival.curve_statistics import Curve, Estimate
from toolkit.survival.event_table import (
    GROUP,
    compared,
    each_group,
    event_table,
    refuse_many,
    sizes,
)
from toolkit.survival.kaplan_meier import curves_of, product_limit, with_interval
from toolkit.survival.released import only_told, released_sizes, released_table
from toolkit.survival.standardized import AnyClusters, with_measured_variance
from toolkit.survival.summary import common_horizon

Found = dict[str, float | None]


class Side(NamedTuple):
    """One of two groups that are compared: its number, curve, and how many learners are in it."""

    number: int
    curve: Curve
    learners: int | None
    excluded: int | None


Compare = Callable[[Side, Side, float, AnyClusters, float], Found]


def rmst_difference(
    durations: IntoFrame,
    *,
    by: By,
    reference: object = None,
    horizon: float | None = None,
    level: float = 0.95,
    distribution: Distribution = "t",
    cluster: str | None = None,
) -> Result:
    """Compare the mean time without a pass, up to a horizon, with that of a reference group.

    One row per group other than the reference. Nothing is assumed about the hazards. A negative
    difference: the group passes sooner.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        reference: The group to compare with: its value, or a tuple where `by` has several
            columns. By default the first in order.
        horizon: The time to which the means go; by default as in `survival_summary`.
        level: Coverage of the intervals.
        distribution: Student's t, which keeps the test's level in small groups too, or "normal",
            as R's survRM2 has it.
        cluster: As for `kaplan_meier`; learners may be in several groups.

    Returns:
        The group columns, then those of `schemas.survival_results.RMST_DIFFERENCE`: the
        difference and the ratio, each with interval and p, and the difference's simultaneous
        interval and adjusted p, Bonferroni's for all rows together. Null where a curve is not known
        up to the horizon.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument cannot be, or there is no such reference group.

    Source: Uno et al. (2014), J. Clin. Oncol. 32:2380, for the difference and, by the delta method,
    the logarithm of the ratio; Welch (1947), Biometrika 34:28, for the degrees of freedom: where
    nobody is censored before the horizon the test is his, of times cut off there. The normal test
    rejects too often in small groups, see Horiguchi & Uno (2020), Stat. Med. 39:2655.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 2 + ["verified"] * 2, "event": [True] * 4,
        ...     "duration": [6.0, 10.0, 2.0, 6.0]})
        >>> found = rmst_difference(durations, by="mode", horizon=10)
        >>> found.frame.select("mode", "difference").rows()
        [('verified', -4.0)]
    """
    groups, _ = compared(by, None, RMST_DIFFERENCE)
    if horizon is not None:
        horizon = a_number(horizon, name="horizon", above=0)
    one_of(distribution, get_args(Distribution), name="distribution")
    table = event_table(durations, groups)

    def compare(one: Side, other: Side, tau: float, clusters: Any, level: float) -> Found:
        sizes = [clusters.size(side.number, side.learners) for side in (one, other)]
        mean, base = (
            side.curve.restricted_mean(
                tau, n, level, distribution, effect=clusters.effect_on_mean(side.number, tau)
            )
            for side, n in zip((one, other), sizes, strict=True)
        )
        both = clusters.correlation_of_means(one.number, other.number, tau)

        def spread(error: float, base_error: float) -> Spread:
            return Spread.of([error, base_error], sizes, distribution, correlation=both)

        return {"horizon": tau, **_difference_of_means(mean, base, spread, level)}

    curves = product_limit(table)
    clusters = Clusters.of(durations, groups, curves, cluster)
    return _against_reference(
        curves, groups, reference, compare, RMST_DIFFERENCE, clusters, level=level, time=horizon
    )


def milestone_difference(
    durations: IntoFrame,
    *,
    by: By,
    at: float,
    reference: object = None,
    level: float = 0.95,
    cluster: str | None = None,
    strata: By = None,
) -> Result:
    """Compare the share that has passed by a time with that of a reference group.

    One row per group other than the reference.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        at: The time, in the unit of the durations.
        reference: As for `rmst_difference`.
        level: Coverage of the intervals.
        cluster: As for `kaplan_meier`; learners may be in several groups.
        strata: As for `kaplan_meier`: compare shares that are standardized to the same mixture.

    Returns:
        The group columns, then those of `schemas.survival_results.MILESTONE_DIFFERENCE`. Null
        where a curve is not known at the time; p also where a share is 0 or 1. An interval excludes
        0 exactly where its p is below 1 - level; the simultaneous intervals and `p_adjusted` are
        Bonferroni's for all rows together.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument cannot be, or there is no such reference group.

    Source: p by the test on the complementary log-log scale of Klein, Logan, Harhoff & Andersen
    (2007), Stat. Med. 26:4505, which keeps its level in small groups; the interval combines the
    curves' log-log intervals as Zou & Donner (2008), Stat. Med. 27:1693, do, with the correlation
    of the two curves where learners are in both groups. Where it disagrees with the test it follows
    it, as limits of Miettinen (1976), Am. J. Epidemiol. 103:226, do. All rows together: Dunn
    (1961), JASA 56:52.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 2 + ["verified"] * 4, "event": [True] * 6,
        ...     "duration": [6.0, 10.0, 2.0, 2.0, 6.0, 12.0]})
        >>> found = milestone_difference(durations, by="mode", at=8)
        >>> found.frame.select("passed_share", "reference_share", "difference").rows()
        [(0.75, 0.5, 0.25)]
    """
    groups, names = compared(by, strata, MILESTONE_DIFFERENCE)
    at = a_number(at, name="at")

    def compare(one: Side, other: Side, at: float, clusters: AnyClusters, level: float) -> Found:
        sizes = [clusters.size(side.number, side.learners) for side in (one, other)]
        both = clusters.correlation_at(one.number, other.number, at)

        def spread(error: float, base_error: float) -> Spread:
            students: Distribution = "t" if clusters.are_there else "normal"
            return Spread.of([error, base_error], sizes, students, correlation=both)

        shares = one.curve.passed_by(at), other.curve.passed_by(at)
        found = _difference_of_shares(*shares, spread, both)
        if found.get("p_value") is not None:
            ends = _ends(shares, sizes if clusters.are_there else None, both)
            low, high = agreeing(ends, np.array([found["p_value"]]), 1 - level)
            if not np.isnan(low + high)[0]:
                found |= {"ci_low": float(low[0]), "ci_high": float(high[0])}
        return {"at": at, **found}

    curves, clusters = curves_of(durations, groups, names, cluster)
    table = mixed(MILESTONE_DIFFERENCE) if names else MILESTONE_DIFFERENCE
    return _against_reference(
        curves, groups, reference, compare, table, clusters, level=level, time=at, within=names
    )


def _difference(one: Estimate, base: Estimate, correlation: float = 0.0) -> Found:
    """One minus the other; the interval combines those of the two, whatever their shape."""
    if one.estimate is None or base.estimate is None:
        return {}
    found: Found = {"difference": one.estimate - base.estimate}
    ends = (one.ci_low, one.ci_high, base.ci_low, base.ci_high)
    low, high, base_low, base_high = (math.nan if end is None else end for end in ends)
    below = together([one.estimate - low, base_high - base.estimate], correlation)
    above = together([high - one.estimate, base.estimate - base_low], correlation)
    if not math.isnan(below + above):
        difference = one.estimate - base.estimate
        found |= {"ci_low": difference - below, "ci_high": difference + above}
    return found


def _difference_of_means(
    mean: Estimate, base: Estimate, spread: Callable[[float, float], Spread], level: float
) -> Found:
    """Compare two restricted means; no test where nobody passes in a group."""
    found: Found = {
        "restricted_mean": mean.estimate,
        "reference_mean": base.estimate,
        **_difference(mean, base),
    }
    if not (mean.estimate and base.estimate and mean.std_error and base.std_error):
        return found
    difference = mean.estimate - base.estimate
    of_means = spread(mean.std_error, base.std_error)
    log_ratio = math.log(mean.estimate) - math.log(base.estimate)
    of_logs = spread(mean.std_error / mean.estimate, base.std_error / base.estimate)
    found["ratio"] = math.exp(log_ratio)
    if math.isnan(of_means.error):
        return found
    half, log_half = of_means.half_width(level), of_logs.half_width(level)
    return found | {
        "ci_low": difference - half,
        "ci_high": difference + half,
        "p_value": of_means.p_value(difference),
        "ratio_ci_low": math.exp(log_ratio - log_half),
        "ratio_ci_high": math.exp(log_ratio + log_half),
        "ratio_p_value": of_logs.p_value(log_ratio),
    }


def _difference_of_shares(
    share: Estimate, base: Estimate, spread: Callable[[float, float], Spread], correlation: float
) -> Found:
    """Compare two shares that have passed; no test where one of them is 0 or 1."""
    found: Found = {
        "passed_share": share.estimate,
        "reference_share": base.estimate,
        **_difference(share, base, correlation),
    }
    p, q = share.estimate, base.estimate
    if p is None or q is None or not (share.std_error and base.std_error):
        return found
    score = math.log(-math.log(1 - p)) - math.log(-math.log(1 - q))
    errors = (
        -share.std_error / ((1 - p) * math.log(1 - p)),
        -base.std_error / ((1 - q) * math.log(1 - q)),
    )
    found_spread = spread(*errors)
    return found | {"p_value": found_spread.p_value(score)} if found_spread.error > 0 else found


def _ends(
    shares: tuple[Estimate, Estimate], clusters: list[int | None] | None, correlation: float
) -> Ends:
    """The interval of the difference of two shares between 0 and 1, for each z."""
    values, errors = (
        [np.array([getattr(share, of)], np.float64) for share in shares]
        for of in ("estimate", "std_error")
    )
    sizes = [None if clusters is None else np.array([n], np.float64) for n in clusters or (0, 0)]

    def log_log(share: Floats, error: Floats, z: Floats) -> tuple[Floats, Floats]:
        rest = 1 - share
        log = np.log(rest)
        shift = z * error / (rest * log)
        return 1 - rest ** np.exp(shift), 1 - rest ** np.exp(-shift)

    def ends(z: Floats) -> tuple[Floats, Floats]:
        each = [
            log_log(value, error, students_of(z, size))
            for value, error, size in zip(values, errors, sizes, strict=True)
        ]
        return hybrid(values[0], each[0], values[1], each[1], correlation)

    return ends


def _against_reference(
    curves: pl.DataFrame,
    groups: Groups,
    reference: object,
    compare: Compare,
    table: Table,
    clusters: AnyClusters,
    *,
    level: float,
    time: float | None,
    within: Sequence[str] = (),
) -> Result:
    """Compare each group with the reference, a row each, at a time or as far as all are known."""
    keys = [tuple(key.values()) for key, _ in each_group(curves, groups.keys)]
    refuse_many(pl.DataFrame({"group": range(len(keys))}), groups)
    chosen = _chosen(keys, reference) if keys else ()

    tests = max(len(keys) - 1, 1)

    def compared(curves: pl.DataFrame, counts: pl.DataFrame, clusters: AnyClusters) -> pl.DataFrame:
        appended = clusters.appended(curves)

        def at_level(level: float) -> pl.DataFrame:
            known = with_interval(appended, level, "log-log")
            until = common_horizon(known) if time is None else time
            parts = (part for _, part in each_group(known, groups.keys))
            sides = [
                Side(part[GROUP][0], Curve.of(part), *n)
                for part, n in zip(
                    parts, counts.select("n_learners", "n_excluded").rows(), strict=True
                )
            ]
            base = keys.index(chosen) if keys else 0
            rows = [
                {
                    **dict(zip(groups.keys, key, strict=True)),
                    "reference": " · ".join(str(value) for value in chosen),
                    "n_learners": sides[place].learners,
                    "n_reference": sides[base].learners,
                    "n_excluded": sides[place].excluded,
                    "n_reference_excluded": sides[base].excluded,
                    "within": " and ".join(within),
                    **compare(sides[place], sides[base], until, clusters, level),
                }
                for place, key in enumerate(keys)
                if place != base
            ]
            schema = {**curves.select(groups.keys).schema, **table.polars_schema}
            return groups.named(pl.DataFrame(rows, schema=schema))

        each = at_level(level)
        together = each if tests == 1 else at_level(1 - (1 - level) / tests)
        return each.with_columns(
            together["ci_low"].alias("simultaneous_low"),
            together["ci_high"].alias("simultaneous_high"),
            p_adjusted=bonferroni(each["p_value"]),
        )

    exact = compared(curves, sizes(curves, groups.keys).n, clusters)

    def protect(min_n: int) -> pl.DataFrame:
        incidence = curves.with_columns(incidence=1 - pl.col("survival"))
        times = None if time is None else [time]
        safe = released_table(incidence, groups.keys, min_n=min_n, times=times)
        counts = released_sizes(curves, groups.keys, SURVIVAL_SUMMARY, min_n=min_n)
        told = only_told(product_limit(safe), "survival")
        told = with_measured_variance(told, curves) if within else told
        return with_status(compared(told, counts, clusters.released()), exact, table, min_n)

    return Result(table, groups.names, exact, protect, level=level)


def _chosen(keys: list[tuple[Any, ...]], reference: object) -> tuple[Any, ...]:
    """The reference group: the one named, else the first."""
    if reference is None:
        return keys[0]
    wanted = reference if isinstance(reference, tuple) else (reference,)
    for key in keys:
        if key == wanted and [*map(type, key)] == [*map(type, wanted)]:
            return key
    there = ", ".join(repr(key[0] if len(key) == 1 else key) for key in keys[:10])
    more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
    raise ArgumentError(f"no group {reference!r} to compare with; there is {there}{more}")
