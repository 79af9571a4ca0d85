"""Compare each group's curve with that of a reference group, exact and released."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import polars as pl

from toolkit.analyses.grouping import Groups, compared_groups
from toolkit.analyses.simultaneous import bonferroni
from toolkit.errors import ArgumentError
from toolkit.results.result import Result
from toolkit.schemas import Table
from toolkit.schemas.arguments import as_given
from toolkit.schemas.comparison_results import AS_TEXT
from toolkit.schemas.survival_results import SURVIVAL_SUMMARY
from toolkit.survival.curve_statistics import Curve
from toolkit.survival.event_table import GROUP, each_group, refuse_many, sizes
from toolkit.survival.kaplan_meier import product_limit, with_interval
from toolkit.survival.long_curves import SIMULTANEOUS, at_simultaneous_level, with_parts_of_mean
from toolkit.survival.released import only_shown, released_sizes, released_table
from toolkit.survival.standardized_clusters import AnyClusters, with_measured_variance
from toolkit.survival.summary import common_horizon, late_curves

Found = dict[str, float | None]


class Side(NamedTuple):
    """One of two compared groups: its number, its curve, and its learners, included and not."""

    number: int
    curve: Curve
    learners: int | None
    excluded: int | None


Compare = Callable[[Side, Side, float, AnyClusters, float], Found]


def against_reference(
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
    """Compare each group with the reference, one row each, at `time` or the common horizon."""
    keys = [tuple(key.values()) for key, _ in each_group(curves, groups.keys)]
    refuse_many(pl.DataFrame({"group": range(len(keys))}), groups)
    each_once = curves.unique(GROUP, maintain_order=True).select(groups.keys)
    named = compared_groups(groups.named(each_once))
    base = keys.index(_chosen(keys, reference)) if keys else 0
    tests = max(len(keys) - 1, 1)

    def compared(
        curves: pl.DataFrame,
        counts: pl.DataFrame,
        clusters: AnyClusters,
        measured: Mapping[int, Curve] = MappingProxyType({}),
    ) -> pl.DataFrame:
        appended = clusters.appended(curves)

        def at_level(level: float, curves: pl.DataFrame) -> pl.DataFrame:
            known = with_parts_of_mean(with_interval(curves, level, "log-log"))
            until = common_horizon(known) if time is None else time
            parts = (part for _, part in each_group(known, groups.keys))
            sides = [
                Side(part[GROUP][0], Curve.of(part, measured.get(part[GROUP][0])), *n)
                for part, n in zip(
                    parts, counts.select("n_learners", "n_excluded").rows(), strict=True
                )
            ]
            rows = [
                {
                    **dict(zip(groups.keys, key, strict=True)),
                    "reference": named[AS_TEXT][base],
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

        each = simultaneous = at_level(level, appended)
        if tests > 1:
            wider = _simultaneous(level, tests)
            simultaneous = at_level(wider, at_simultaneous_level(appended))
        return each.with_columns(
            simultaneous["ci_low"].alias("simultaneous_low"),
            simultaneous["ci_high"].alias("simultaneous_high"),
            p_adjusted=bonferroni(each["p_value"]),
        )

    exact = compared(curves, sizes(curves, groups.keys).n, clusters)

    def protect(min_n: int) -> pl.DataFrame:
        incidence = curves.with_columns(incidence=1 - pl.col("survival"))
        times = None if time is None else [time]
        safe = released_table(incidence, groups.keys, min_n=min_n, times=times)
        counts = released_sizes(curves, groups.keys, SURVIVAL_SUMMARY, min_n=min_n)
        released = only_shown(product_limit(safe), "survival")
        released = with_measured_variance(released, curves) if within else released
        return compared(released, counts, clusters.released(), late_curves(curves))

    return Result(table, groups.names, exact, protect, level=level, compared=named)


def with_intervals(curve: pl.DataFrame, *, level: float, tests: int) -> pl.DataFrame:
    """Append the interval and, for several tests, the lower limit of the simultaneous one."""
    known = with_interval(curve, level, "log-log")
    if tests < 2:
        return known
    wider = with_interval(curve, _simultaneous(level, tests), "log-log")
    return known.with_columns(wider["ci_low"].alias(SIMULTANEOUS))


def _simultaneous(level: float, tests: int) -> float:
    """Return the level of each interval at which all hold simultaneously at this level."""
    return 1 - (1 - level) / tests


def _chosen(keys: list[tuple[Any, ...]], reference: object) -> tuple[Any, ...]:
    """Return the reference group: the one named, else the first."""
    if reference is None:
        return keys[0]
    wanted = reference if isinstance(reference, tuple) else (reference,)
    for key in keys:
        if [*map(type, key)] == [*map(type, wanted)] and key == wanted:
            return key
    there = ", ".join(repr(key[0] if len(key) == 1 else key) for key in keys[:10])
    more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
    raise ArgumentError(f"no group {as_given(reference)} to compare with; there are {there}{more}")
