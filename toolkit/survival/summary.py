"""Summary statistics of the time to pass: quantiles, milestones, restricted mean, follow-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import get_args

import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.grouping import By, groups_of
from toolkit.analyses.intervals import LEVEL
from toolkit.analyses.spread import Distribution
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_number, one_of
from toolkit.schemas.survival_results import SURVIVAL_SUMMARY
from toolkit.survival.clusters import Clusters
from toolkit.survival.curve_statistics import Curve
from toolkit.survival.event_table import GROUP, each_group, ranges_of, sizes
from toolkit.survival.included import in_unit_of
from toolkit.survival.kaplan_meier import (
    Interval,
    a_list_of_times,
    null_if_never_at_risk,
    product_limit,
    products,
    with_interval,
)
from toolkit.survival.long_curves import CurveBuilder, with_parts_of_mean
from toolkit.survival.ranges import common_end
from toolkit.survival.released import entered_late, only_shown, released_sizes, released_table

_QUARTILES = {"first quartile": 0.25, "median": 0.5, "third quartile": 0.75}


def survival_summary(
    durations: IntoFrame,
    *,
    by: By = None,
    milestones: Sequence[float] = (30, 60, 90, 180),
    horizon: float | None = None,
    level: float = 0.95,
    ci: Interval = "log-log",
    distribution: Distribution = "t",
    cluster: str | None = None,
) -> Result:
    """Estimate quantiles of the time to pass, shares passed by milestones, means and follow-up.

    One row per statistic, by group; times in the unit of the durations:

    | statistic | at | estimate |
    |---|---|---|
    | first quartile, median, third quartile | share | first time by which that share has passed |
    | passed by | each milestone | share that has passed |
    | restricted mean | the horizon | mean time without a pass up to it, with standard error |
    | median follow-up | 0.5 | median time observed, by the reverse Kaplan–Meier curve |

    An estimate that the curve does not reach, or that lies after the last observation, is null.

    Args:
        durations: As for `kaplan_meier`.
        by: The columns whose values make the groups.
        milestones: The times of "passed by".
        horizon: The time up to which the restricted mean is taken; by default the shortest of the
            groups' longest observations, the last time at which all can be compared. Groups
            observed only at time 0 do not count.
        level: Coverage of the intervals.
        ci: As for `kaplan_meier`; quantiles invert this interval.
        distribution: Of the restricted mean's interval: Student's t, which is valid in small
            groups too, or "normal", as in R.
        cluster: As for `kaplan_meier`.

    Returns:
        The group columns, then those of `schemas.survival_results.SURVIVAL_SUMMARY`.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument is invalid, such as a milestone below 0.

    Source: quantiles with Brookmeyer & Crowley's (1982) intervals; the restricted mean with
    Klein & Moeschberger's (2003) variance, and Student's t with the degrees of freedom of a mean
    of as many learners; follow-up: Schemper & Smith (1996), Control. Clin. Trials 17:343; learners
    who pass at a time are no longer at risk of being censored at it.

    Examples:
        >>> durations = pl.DataFrame({"duration": [1.0, 2.0, 3.0], "event": [True, True, False]})
        >>> summary = survival_summary(durations, milestones=[2])
        >>> summary.filter(statistic="median").frame["estimate"].to_list()
        [2.0]
    """
    asked = groups_of(by, SURVIVAL_SUMMARY)
    marks = a_list_of_times(milestones, name="milestones")
    if horizon is not None:
        horizon = a_number(horizon, name="horizon", above=0)
    one_of(distribution, get_args(Distribution), name="distribution")
    ranges = ranges_of(durations, asked, cluster=cluster)
    borders = [*marks, *([] if horizon is None else [horizon])]
    interval = partial(with_interval, level=level, ci=ci)
    builder, reverse_builder = (
        CurveBuilder(
            ranges,
            products,
            prepare=prepare,
            borders=borders,
            interval=interval,
            levels=[1 - share for share in _QUARTILES.values()],
        )
        for prepare in (None, _reversed)
    )
    for rows in ranges:
        builder.add(rows)
        reverse_builder.add(rows)
    curve, followed = (null_if_never_at_risk(one.table()) for one in (builder, reverse_builder))
    alike = Clusters.of(durations, asked, curve, cluster)
    reverse = Clusters.of(durations, asked, followed, cluster, is_reverse=True)

    def summed_up(
        curves: Sequence[pl.DataFrame],
        clusters: Sequence[Clusters],
        counts: pl.DataFrame,
        drawn: pl.DataFrame | None = None,
        measured: Mapping[int, Curve] = MappingProxyType({}),
    ) -> pl.DataFrame:
        """Summarize the curves; quantiles are those of the curve as it is drawn, if it differs."""

        def finished(curve: pl.DataFrame, of: Clusters) -> pl.DataFrame:
            return with_parts_of_mean(with_interval(of.appended(curve), level, ci))

        known, followed = map(finished, curves, clusters)
        drawn = known if drawn is None else finished(drawn, clusters[0])
        until = common_horizon(known) if horizon is None else horizon
        rows = []
        for (key, part), (_, as_drawn), (_, looked_at), of_group in zip(
            each_group(known, asked.keys),
            each_group(drawn, asked.keys),
            each_group(followed, asked.keys),
            counts.iter_rows(named=True),
            strict=True,
        ):
            number, shown = part[GROUP][0], Curve.of(as_drawn)
            own = Curve.of(part, measured.get(number))
            n = clusters[0].size(number, of_group["n_learners"])
            of_mean = clusters[0].about_mean(number, until)
            mean = own.restricted_mean(until, n, level, distribution, **of_mean)
            quantiles = [(name, share, shown.quantile(share)) for name, share in _QUARTILES.items()]
            statistics = [
                *((*quantile, quantile[2].estimate) for quantile in quantiles),
                *(("passed by", time, own.passed_by(time), time) for time in marks),
                ("restricted mean", until, mean, None),
                ("median follow-up", 0.5, Curve.of(looked_at).quantile(0.5), None),
            ]
            rows += [
                {
                    **of_group,
                    **key,
                    "statistic": name,
                    "at": at,
                    **estimate._asdict(),
                    "is_well_observed": (shown if name in _QUARTILES else own).is_well_observed(
                        time
                    ),
                }
                for name, at, estimate, time in statistics
            ]
        schema = {**curve.select(asked.keys).schema, **SURVIVAL_SUMMARY.polars_schema}
        return asked.named(pl.DataFrame(rows, schema=schema))

    exact = summed_up([curve, followed], [alike, reverse], sizes(curve, asked.keys).n)

    def protect(min_n: int) -> pl.DataFrame:
        def shown(steps: pl.DataFrame, times: Sequence[float] | None) -> pl.DataFrame:
            incidence = steps.with_columns(incidence=1 - pl.col("survival"))
            table = released_table(incidence, asked.keys, min_n=min_n, times=times)
            return only_shown(product_limit(table), "survival")

        safe = [shown(steps, borders) for steps in (curve, followed)]
        counts = released_sizes(curve, asked.keys, SURVIVAL_SUMMARY, min_n=min_n)
        clusters = [alike.released(), reverse.released()]
        return summed_up(safe, clusters, counts, shown(curve, None), late_curves(curve))

    return in_unit_of(durations, Result(SURVIVAL_SUMMARY, asked.names, exact, protect, level=level))


def _reversed(table: pl.DataFrame) -> pl.DataFrame:
    """Swap events and censorings; a pass comes before a censoring at the same time."""
    swapped = []
    for what in ("n", "key") if "key_events" in table.columns else ("n",):
        at_risk, events, censored = (
            pl.col(f"{what}_{name}") for name in ("at_risk", "events", "censored")
        )
        swapped += [
            (at_risk - events).alias(f"{what}_at_risk"),
            censored.alias(f"{what}_events"),
            events.alias(f"{what}_censored"),
        ]
    return table.with_columns(swapped)


def late_curves(curve: pl.DataFrame) -> dict[int, Curve]:
    """Return the exact curves of the groups that learners enter late, by their numbers.

    A released step stands later than its events, of which the first are the most uncertain: few
    are at risk then. So the variance of a released mean is measured on these, in two digits.
    """
    late = curve.filter(pl.col(GROUP).is_in(entered_late(curve).implode()))
    known = with_parts_of_mean(with_interval(late, LEVEL, "log-log"))
    return {part[GROUP][0]: Curve.of(part) for _, part in each_group(known, [])}


def common_horizon(curve: pl.DataFrame) -> float:
    """Return the shortest of the groups' longest observations, without groups seen only at 0.

    In released curves, groups too small for a step after 0 do not count either.
    """
    observed = curve.filter(pl.col("survival").is_not_null())
    return common_end(observed.group_by(GROUP).agg(pl.col("duration").max())["duration"])
