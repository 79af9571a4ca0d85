"""How far apart are the groups? Differences of means and of shares, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, hypot, log
from statistics import NormalDist
from typing import Any

import polars as pl
from narwhals.typing import IntoFrame

from toolkit.schemas import Table
from toolkit.schemas.survival_results import MILESTONE_DIFFERENCE, RMST_DIFFERENCE
from toolkit.survival.curve_statistics import Curve, Estimate
from toolkit.survival.event_table import event_table, groups, names
from toolkit.survival.kaplan_meier import normal_quantile, product_limit, with_interval
from toolkit.survival.summary import common_horizon

Compare = Callable[[Curve, Curve], dict[str, float | None]]


def rmst_difference(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
    reference: object = None,
    horizon: float | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
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

    Returns:
        The group columns, then those of `schemas.survival_results.RMST_DIFFERENCE`: the
        difference and the ratio, each with interval and p. Null where a curve is not known up
        to the horizon.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ValueError: There is no such reference group.

    Source: Uno et al. (2014), J. Clin. Oncol. 32:2380: a normal interval for the difference, one
    by the delta method for the logarithm of the ratio.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 2 + ["verified"] * 2, "event": [True] * 4,
        ...     "duration": [6.0, 10.0, 2.0, 6.0]})
        >>> rmst_difference(durations, by="mode", horizon=10).select("mode", "difference").rows()
        [('verified', -4.0)]
    """
    columns = names(by)
    curves = product_limit(event_table(durations, columns))
    curves = with_interval(curves, level, "log-log")
    tau = common_horizon(curves, columns) if horizon is None else horizon
    z = normal_quantile(level)

    def compare(one: Curve, other: Curve) -> dict[str, float | None]:
        mean, base = one.restricted_mean(tau), other.restricted_mean(tau)
        if mean is None or base is None:
            return {"horizon": tau}
        difference, error = mean[0] - base[0], hypot(mean[1], base[1])
        found = {
            "horizon": tau,
            "restricted_mean": mean[0],
            "reference_mean": base[0],
            "difference": difference,
            "ci_low": difference - z * error,
            "ci_high": difference + z * error,
            "p_value": _two_sided(difference, error),
        }
        if mean[0] == 0 or base[0] == 0:
            return found
        shift = log(mean[0]) - log(base[0])
        error = hypot(mean[1] / mean[0], base[1] / base[0])
        return found | {
            "ratio": exp(shift),
            "ratio_low": exp(shift - z * error),
            "ratio_high": exp(shift + z * error),
            "ratio_p_value": _two_sided(shift, error),
        }

    return _against_reference(curves, columns, reference, compare, RMST_DIFFERENCE)


def milestone_difference(
    durations: IntoFrame,
    *,
    by: str | Sequence[str],
    at: float,
    reference: object = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Compare the share that has passed by a time with that of a reference group.

    One row per group other than the reference.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        at: The time, in the unit of the durations.
        reference: As for `rmst_difference`.
        level: Coverage of the intervals.

    Returns:
        The group columns, then those of `schemas.survival_results.MILESTONE_DIFFERENCE`. Null
        where a curve is not known at the time; p also where a share is 0 or 1.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ValueError: There is no such reference group.

    Source: p by the test on the complementary log-log scale of Klein, Logan, Harhoff & Andersen
    (2007), Stat. Med. 26:4505, which keeps its level in small groups; the interval combines the
    curves' log-log intervals as Zou & Donner (2008), Stat. Med. 27:1693, do.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["audit"] * 2 + ["verified"] * 4, "event": [True] * 6,
        ...     "duration": [6.0, 10.0, 2.0, 2.0, 6.0, 12.0]})
        >>> found = milestone_difference(durations, by="mode", at=8)
        >>> found.select("passed_share", "reference_share", "difference").rows()
        [(0.75, 0.5, 0.25)]
    """
    columns = names(by)
    curves = product_limit(event_table(durations, columns))
    curves = with_interval(curves, level, "log-log")

    def compare(one: Curve, other: Curve) -> dict[str, float | None]:
        share, base = one.passed_by(at), other.passed_by(at)
        found: dict[str, float | None] = {
            "at": float(at),
            "passed_share": share.estimate,
            "reference_share": base.estimate,
        }
        return found | _difference_of_shares(_known(share), _known(base))

    return _against_reference(curves, columns, reference, compare, MILESTONE_DIFFERENCE)


def _known(share: Estimate) -> tuple[float, ...]:
    return tuple(value for value in share if value is not None)


def _difference_of_shares(
    share: tuple[float, ...], base: tuple[float, ...]
) -> dict[str, float | None]:
    """Compare two shares, each with standard error and interval; empty where one is unknown."""
    if len(share) < len(Estimate._fields) or len(base) < len(Estimate._fields):
        return {}
    (p, p_error, p_low, p_high), (q, q_error, q_low, q_high) = share, base
    found: dict[str, float | None] = {
        "difference": p - q,
        "ci_low": p - q - hypot(p - p_low, q_high - q),
        "ci_high": p - q + hypot(p_high - p, q - q_low),
    }
    if p * q == 0:
        return found
    score = log(-log(1 - p)) - log(-log(1 - q))
    error = hypot(p_error / ((1 - p) * log(1 - p)), q_error / ((1 - q) * log(1 - q)))
    return found | {"p_value": _two_sided(score, error)}


def _against_reference(
    curves: pl.DataFrame, by: list[str], reference: object, compare: Compare, table: Table
) -> pl.DataFrame:
    """Compare each group with the reference, a row each."""
    parts = [(tuple(key.values()), part) for key, part in groups(curves, by)]
    keys = [key for key, _ in parts]
    if reference is None and keys:
        chosen: tuple[Any, ...] = keys[0]
    else:
        chosen = reference if isinstance(reference, tuple) else (reference,)
    if keys and chosen not in keys:
        raise ValueError(f"no group {reference!r} to compare with; there are {keys}")
    rows = []
    for key, part in parts:
        if key == chosen:
            continue
        base = next(part for key, part in parts if key == chosen)
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "reference": " · ".join(str(value) for value in chosen),
                "n_learners": _learners(part),
                "n_reference": _learners(base),
                **compare(Curve.of(part), Curve.of(base)),
            }
        )
    return pl.DataFrame(rows, schema={**curves.select(by).schema, **table.polars_schema})


def _learners(part: pl.DataFrame) -> int:
    return int(part.select(pl.sum("n_events") + pl.sum("n_censored")).item())


def _two_sided(estimate: float, error: float) -> float | None:
    return None if error == 0 else 2 * NormalDist().cdf(-abs(estimate) / error)
