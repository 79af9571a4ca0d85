"""Differences between groups in restricted means and in shares passed, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

import numpy as np
from narwhals.typing import IntoFrame

from toolkit.analyses.grouping import By
from toolkit.analyses.simultaneous import Ends, agreeing, hybrid, students_of
from toolkit.analyses.spread import Distribution, Spread, error_of_difference
from toolkit.release.rounding import ROUNDING, Floats
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_number, one_of
from toolkit.schemas.survival_results import MILESTONE_DIFFERENCE, RMST_DIFFERENCE, standardized
from toolkit.survival.against_reference import Found, Side, against_reference, with_intervals
from toolkit.survival.curve_statistics import Estimate
from toolkit.survival.event_table import compared
from toolkit.survival.included import in_unit_of
from toolkit.survival.kaplan_meier import curves_of
from toolkit.survival.long_curves import Estimate as CurveEstimate
from toolkit.survival.standardized_clusters import AnyClusters


def rmst_difference(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
    reference: object = None,
    horizon: float | None = None,
    level: float = 0.95,
    distribution: Distribution = "t",
    cluster: str | None = None,
    strata: By = None,
) -> Result:
    """Compare each group's restricted mean time to pass with that of a reference group.

    One row per group other than the reference. Hazards need not be proportional. A negative
    difference means that the group passes sooner.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        reference: The group to compare with: its value, or a tuple if `by` has several columns.
            By default the first in order.
        horizon: The time up to which the means are taken; by default as in `survival_summary`.
        level: Coverage of the intervals.
        distribution: Student's t, which keeps the test's level in small groups too, or "normal",
            as in R's survRM2.
        cluster: As for `kaplan_meier`; learners may be in several groups.
        strata: As for `kaplan_meier`: compare means of standardized curves.

    Returns:
        The group columns, then those of `schemas.survival_results.RMST_DIFFERENCE`: the
        difference and the ratio, each with interval and p, and the difference's simultaneous
        interval and adjusted p, Bonferroni's for all rows together. Null if a curve ends before
        the horizon; intervals and p also if most learners are censored so early that too few are
        at risk; p also if nothing varies.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument is invalid, or the reference group does not exist.

    Source: Uno et al. (2014), J. Clin. Oncol. 32:2380, for the difference and, by the delta method,
    the logarithm of the ratio; Welch (1947), Biometrika 34:28, for the degrees of freedom: if
    nobody is censored before the horizon, the test is his, of times truncated there. The normal
    test rejects too often in small groups, see Horiguchi & Uno (2020), Stat. Med. 39:2655.

    Examples:
        >>> import polars as pl
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 2 + ["verified"] * 2, "event": [True] * 4,
        ...     "duration": [6.0, 10.0, 2.0, 6.0]})
        >>> found = rmst_difference(durations, by="mode", horizon=10)
        >>> found.frame.select("mode", "difference").rows()
        [('verified', -4.0)]
        >>> rows = pl.concat([durations.with_columns(course_id=pl.lit("c"))] * 10)
        >>> fair = rmst_difference(rows, by="mode", horizon=10, strata="course_id")
        >>> fair.frame.select("difference", "within").rows()
        [(-4.0, 'course_id')]
    """
    groups, names = compared(by, strata, RMST_DIFFERENCE)
    if horizon is not None:
        horizon = a_number(horizon, name="horizon", above=0)
    one_of(distribution, get_args(Distribution), name="distribution")

    def compare(one: Side, other: Side, tau: float, clusters: AnyClusters, level: float) -> Found:
        sizes = [clusters.size(side.number, side.learners) for side in (one, other)]
        mean, base = (
            side.curve.restricted_mean(
                tau, n, level, distribution, **clusters.about_mean(side.number, tau)
            )
            for side, n in zip((one, other), sizes, strict=True)
        )
        both = clusters.correlation_of_means(one.number, other.number, tau)
        if clusters.is_released:
            both = _attenuated(both, [mean, base], [one.learners, other.learners], tau)

        def spread(error: float, base_error: float) -> Spread:
            return Spread.of([error, base_error], sizes, distribution, correlation=both)

        return {"horizon": tau, **_difference_of_means(mean, base, spread, level)}

    borders = [] if horizon is None else [horizon]

    def intervals(k: int) -> CurveEstimate:
        return partial(with_intervals, level=level, tests=k - 1)

    curves, clusters = curves_of(durations, groups, names, cluster, borders, intervals)
    table = standardized(RMST_DIFFERENCE) if names else RMST_DIFFERENCE
    found = against_reference(
        curves, groups, reference, compare, table, clusters, level=level, time=horizon, within=names
    )
    return in_unit_of(durations, found)


def milestone_difference(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
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
        strata: As for `kaplan_meier`: compare shares of standardized curves.

    Returns:
        The group columns, then those of `schemas.survival_results.MILESTONE_DIFFERENCE`. Null if
        a curve is unknown at the time; p also if a share is 0 or 1. An interval excludes 0
        exactly if its p is below 1 - level; the simultaneous intervals and `p_adjusted` are
        Bonferroni's for all rows together.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument is invalid, or the reference group does not exist.

    Source: p by the test on the complementary log-log scale of Klein, Logan, Harhoff & Andersen
    (2007), Stat. Med. 26:4505, which keeps its level in small groups; the interval combines the
    curves' log-log intervals as in Zou & Donner (2008), Stat. Med. 27:1693, with the correlation
    of the two curves if learners are in both groups. If it disagrees with the test, it is
    test-based, as in Miettinen (1976), Am. J. Epidemiol. 103:226. Bonferroni's correction: Dunn
    (1961), JASA 56:52.

    Examples:
        >>> import polars as pl
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
        shares = one.curve.passed_by(at), other.curve.passed_by(at)
        if clusters.is_released:
            both = _attenuated(both, shares, [one.learners, other.learners])

        def spread(error: float, base_error: float) -> Spread:
            students: Distribution = "t" if clusters.is_clustered else "normal"
            return Spread.of([error, base_error], sizes, students, correlation=both)

        found = _difference_of_shares(*shares, spread, both)
        if found.get("p_value") is not None:
            ends = _ends(shares, sizes if clusters.is_clustered else None, both)
            low, high = agreeing(ends, np.array([found["p_value"]]), 1 - level)
            if not np.isnan(low + high)[0]:
                found |= {"ci_low": float(low[0]), "ci_high": float(high[0])}
        return {"at": at, **found}

    curves, clusters = curves_of(durations, groups, names, cluster, [at])
    table = standardized(MILESTONE_DIFFERENCE) if names else MILESTONE_DIFFERENCE
    found = against_reference(
        curves, groups, reference, compare, table, clusters, level=level, time=at, within=names
    )
    return in_unit_of(durations, found)


def _attenuated(
    correlation: float, figures: Sequence[Estimate], learners: Sequence[int | None], most: float = 1
) -> float:
    """Attenuate the correlation of two figures between 0 and `most` by their separate rounding.

    With independent errors, a correlation shrinks by the root of each figure's reliability, the
    share of its variance that is not error (Spearman 1904, American Journal of Psychology 15:72).
    """
    for figure, n in zip(figures, learners, strict=True):
        if n and figure.estimate is not None and figure.std_error:
            rounding = ROUNDING * (most**2 + figure.estimate**2) / n**2
            correlation *= (1 + rounding / figure.std_error**2) ** -0.5
    return correlation


def _difference(one: Estimate, base: Estimate, correlation: float = 0.0) -> Found:
    """Subtract two estimates, and combine their intervals, which need not be symmetric."""
    if one.estimate is None or base.estimate is None:
        return {}
    found: Found = {"difference": one.estimate - base.estimate}
    ends = (one.ci_low, one.ci_high, base.ci_low, base.ci_high)
    low, high, base_low, base_high = (math.nan if end is None else end for end in ends)
    below = error_of_difference(one.estimate - low, base_high - base.estimate, correlation)
    above = error_of_difference(high - one.estimate, base.estimate - base_low, correlation)
    if not math.isnan(below + above):
        difference = one.estimate - base.estimate
        found |= {"ci_low": float(difference - below), "ci_high": float(difference + above)}
    return found


def _difference_of_means(
    mean: Estimate, base: Estimate, spread: Callable[[float, float], Spread], level: float
) -> Found:
    """Compare two restricted means; no test if nobody passes in a group, or nothing varies."""
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
    found |= {
        "ci_low": difference - half,
        "ci_high": difference + half,
        "ratio_ci_low": math.exp(log_ratio - log_half),
        "ratio_ci_high": math.exp(log_ratio + log_half),
    }
    if of_means.error > 0 and of_logs.error > 0:
        found["p_value"] = of_means.p_value(difference)
        found["ratio_p_value"] = of_logs.p_value(log_ratio)
    return found


def _difference_of_shares(
    share: Estimate, base: Estimate, spread: Callable[[float, float], Spread], correlation: float
) -> Found:
    """Compare two shares that have passed; no test if one of them is 0 or 1."""
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
    """Return the ends of the interval of the difference of two shares, as a function of z."""
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
