"""Competing risks: the cumulative incidence of each end, and Gray's test between groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from toolkit.analyses.counting import counted, flag, lazily
from toolkit.analyses.grouping import By, Counted, groups_of
from toolkit.analyses.intervals import none_of
from toolkit.analyses.spread import students
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.tables import release_table
from toolkit.results.result import Result
from toolkit.schemas.arguments import as_given
from toolkit.schemas.survival_results import CUMULATIVE_INCIDENCE, GRAY_TEST, thinned
from toolkit.survival.event_table import (
    GROUP,
    compared,
    event_ranges,
    ranges_of,
    refuse_many,
    stratum_keys,
)
from toolkit.survival.gray import Compared, grays_score
from toolkit.survival.incidence_clusters import with_clusters
from toolkit.survival.included import columns_of_ends, in_unit_of, included_only
from toolkit.survival.kaplan_meier import (
    a_list_of_times,
    ends_at_0,
    normal_quantile,
    steps_at,
    throughout,
)
from toolkit.survival.long_curves import (
    SO_FAR,
    CurveBuilder,
    before,
    observed_throughout,
    until_next,
)
from toolkit.survival.ranges import EventRanges
from toolkit.survival.released import at_least_measured, at_times, only_shown, released_table, shown
from toolkit.survival.risk_sets import in_blocks
from toolkit.survival.score_test import Scores, released_test, score_test, with_test

PASSED = "passed"
_TOLERANCE = 1e-9  # the steps of ten million learners are 1e-7


def cumulative_incidence(
    durations: IntoFrame,
    *,
    by: By = None,
    level: float = 0.95,
    cluster: str | None = None,
    times: Sequence[float] | None = None,
) -> Result:
    """Estimate the probability of having reached each of several competing ends by each time.

    One row per end and distinct time, by group, beginning at 0. At each time the incidences of
    all ends and the share still under way sum to 1, unlike one minus the Kaplan–Meier curve of
    each end.

    Args:
        durations: As for `kaplan_meier`, with `end`: what the duration ends in, null if censored,
            as `time_to_pass(…, competing=…)` returns it.
        by: The columns whose values make the groups.
        level: Coverage of the pointwise intervals, symmetric in log(-log(1 - F)): with a single
            end they are those of the Kaplan–Meier curve.
        cluster: As for `kaplan_meier`.
        times: Return the incidences at these times only, as for `kaplan_meier`: null after a
            group's last observation, unless all have reached an end.

    Returns:
        The group columns, then those of `schemas.survival_results.CUMULATIVE_INCIDENCE`;
        `n_events` counts the end of the row.

    Raises:
        SchemaError: The durations lack a column or have impossible values.
        ArgumentError: An argument is invalid, such as a time below 0.

    Source: Aalen & Johansen (1978), Scand. J. Stat. 5:141; the variance by the delta method
    with multinomial steps, Dinse & Larson (1986), Biometrika 73:379, eq. 6, which is
    Greenwood's if there is a single end. Tied ends have the same risk set.
    The scale of the interval: Beyersmann, Allignol & Schumacher (2012), Competing Risks and
    Multistate Models with R, 4.2; before the first event and at F = 1 as for `kaplan_meier`. With
    clusters the error is that of the infinitesimal jackknife, as in R's `survfit(cluster = )`.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "duration": [1.0, 2.0, 3.0, 4.0], "event": [True, False, True, False],
        ...     "end": ["passed", "unenrolled", "passed", None]})
        >>> table = cumulative_incidence(durations).filter(duration=4)
        >>> table.frame.select("end", "cumulative_incidence").rows()
        [('passed', 0.5), ('unenrolled', 0.25)]
    """
    groups = groups_of(by, CUMULATIVE_INCIDENCE)
    each = [GROUP, "end"]
    wanted = None if times is None else a_list_of_times(times, name="times")
    if wanted == []:
        raise ArgumentError("times is empty; name a time, or leave it out for all")
    ends = ends_of(durations)
    ranges = ranges_of(durations, groups, (), ends, cluster=cluster)
    builder = CurveBuilder(
        ranges,
        partial(_incidence, each=each),
        prepare=partial(_of_each_end, ends=ends),
        each=each,
        borders=wanted or (),
    )
    for rows in ranges:
        builder.add(rows)
    curves = builder.table()

    def designed(steps: pl.DataFrame, *, is_released: bool = False) -> pl.DataFrame:
        if cluster is None:
            return steps
        return with_clusters(steps, curves, durations, groups, cluster, is_released=is_released)

    exact = designed(curves)

    def protect(min_n: int) -> pl.DataFrame:
        known = curves.with_columns(incidence=pl.col("cumulative_incidence"))
        table = released_table(known, groups.keys, min_n=min_n, times=wanted)
        events, n = pl.col("n_events").sum().over(GROUP, "duration"), pl.col("n_at_risk")
        # If all reach an end, the fractions of the ends may add up to a little less or more.
        n_any = pl.when(events > n * (1 - _TOLERANCE)).then(n).otherwise(events)
        rows = at_least_measured(_incidence(table.with_columns(n_any=n_any), each), curves, each)
        safe = _estimates(designed(rows, is_released=True), each, level)
        safe = only_shown(safe, "cumulative_incidence", "std_error", "ci_low", "ci_high")
        if wanted is not None:
            safe = at_times(safe, groups.keys, wanted)
        names = [*groups.keys, *CUMULATIVE_INCIDENCE.names, "status"]
        return groups.named(shown(safe, min_n).select(names))

    exact = in_blocks(exact, partial(_estimates, each=each, level=level))
    if wanted is not None:
        exact = _at_times(exact, [*groups.keys, *each], wanted)
    schema = CUMULATIVE_INCIDENCE
    if "n_times" in exact.columns and wanted is None:
        schema = thinned(schema)
    frame = exact.select(*groups.keys, *schema.names)
    return in_unit_of(
        durations, Result(schema, groups.names, groups.named(frame), protect, level=level)
    )


def _at_times(curves: pl.DataFrame, each: list[str], times: Sequence[float]) -> pl.DataFrame:
    wanted, value = pl.Series("duration", sorted(set(times)), pl.Float64), "cumulative_incidence"
    # Counts do not tell it: a row of a long curve covers several times.
    of_ends = curves.group_by(each).agg(pl.col(value).last()).group_by(GROUP).agg(pl.sum(value))
    ended = set(of_ends.filter(pl.col(value) > 1 - _TOLERANCE)[GROUP])
    parts = [
        steps_at(part, wanted, value, at_end=part[GROUP][0] in ended)
        for part in curves.partition_by(each, maintain_order=True)
    ]
    return pl.concat(parts) if parts else curves


def _estimates(steps: pl.DataFrame, each: list[str], level: float) -> pl.DataFrame:
    """Append error and interval to the incidence; all null if nobody was ever at risk."""
    anyone = pl.col("n_at_risk").max().over(each) > 0
    estimates = pl.col("cumulative_incidence", "std_error", "ci_low", "ci_high")
    variance = pl.col("variance")
    if "design_effect" in steps.columns:
        variance = variance * pl.col("design_effect")
    known = steps.with_columns(std_error=variance.sqrt())
    return _with_interval(known, level, each).with_columns(pl.when(anyone).then(estimates))


def gray_test(
    durations: IntoFrame, *, by: str | Sequence[str], end: str = "passed", strata: By = None
) -> Result:
    """Test whether the groups have the same cumulative incidence of an end.

    One row per group; the columns of the test are the same in all of them. The log-rank test
    compares how fast those still under way reach the end; this one compares how many do.

    Args:
        durations: As for `cumulative_incidence`, without late entry.
        by: The columns whose values make the groups.
        end: The end to compare.
        strata: Stratify the test by these columns: groups are compared only within their values.

    Returns:
        The group columns, then those of `schemas.survival_results.GRAY_TEST`.

    Raises:
        SchemaError: The durations lack a column, have impossible values, or late entry, which
            the test does not support.
        ArgumentError: No duration ends in `end`, `by` or `strata` names no columns, or there are
            too many groups.

    Source: Gray (1988), Ann. Stat. 16:1141, ρ = 0, with the variance corrected at ties as in
    his R package cmprsk.

    Examples:
        >>> durations = pl.DataFrame({
        ...     "mode": ["a"] * 3 + ["b"] * 3, "event": [True] * 6, "end": ["passed"] * 6,
        ...     "duration": [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]})
        >>> gray_test(durations, by="mode").frame["df"].to_list()
        [1, 1]
    """
    if "entry" in lazily(durations).collect_schema().names():
        raise SchemaError("Gray's test does not support late entry; drop the column `entry`")
    groups, names = compared(by, strata, GRAY_TEST)
    columns, within = groups.keys, stratum_keys(groups, names)
    if not isinstance(end, str):
        raise ArgumentError(
            f'end must be the name of an end, such as "passed", not {as_given(end)}'
        )
    there = ends_of(durations)
    if end not in {*there, PASSED}:
        raise ArgumentError(
            f"no duration ends in {as_given(end)}; there is {', '.join(there) or 'no end at all'}"
        )
    ranges = event_ranges(durations, groups, names, [end])
    sizes = ranges.sizes(columns)
    refuse_many(sizes.n, groups)
    score, covariance, ended = grays_score(ranges, _compared(ranges, sizes.n, columns, within))
    counted = _with_ends(sizes, ranges, ended, columns)
    per_group = counted.n
    observed = per_group["n_events"].to_numpy().astype(float)
    scores = Scores(observed, observed - score, covariance)

    def scores_of(chosen: pl.Series) -> Scores:
        if chosen.all():
            return scores
        if not chosen.any():
            return Scores(observed[:0], observed[:0], scores.covariance[:0, :0])
        own = _compared(ranges, per_group.filter(chosen), columns, within)
        score, covariance, _ = grays_score(ranges, own)
        events = observed[chosen.to_numpy()]
        return Scores(events, events - score, covariance)

    exact = groups.named(with_test(per_group, score_test(scores)))
    exact = exact.select(*groups.names, *GRAY_TEST.names)

    def protect(min_n: int) -> pl.DataFrame:
        safe = release_table(per_group, counted.keys, GRAY_TEST, columns, min_n=min_n)
        return groups.named(released_test(safe, scores_of)).select(exact.columns)

    return Result(GRAY_TEST, groups.names, exact, protect)


def _compared(
    ranges: EventRanges, chosen: pl.DataFrame, by: list[str], strata: list[str]
) -> Compared:
    """Return which groups of the event table are compared, and in which strata."""

    def numbers(values: pl.DataFrame) -> NDArray[np.intp]:
        numbered = ranges.about.join(
            values.with_row_index("_place"),
            on=values.columns,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        return numbered["_place"].cast(pl.Int64).fill_null(-1).to_numpy()

    all_strata = ranges.about.select(strata).unique(maintain_order=True)
    stratum = numbers(all_strata) if strata else np.zeros(ranges.about.height, np.intp)
    return Compared(numbers(chosen.select(by)), stratum, chosen.height)


def _with_ends(sizes: Counted, ranges: EventRanges, ended: pl.DataFrame, by: list[str]) -> Counted:
    """Split each group's events into those of the compared end and of the others."""
    of_ends = ranges.about.select(GROUP, *by).join(ended, on=GROUP).group_by(by).sum().sort(by)

    def with_end(counts: pl.DataFrame, what: str) -> pl.DataFrame:
        of_end = of_ends[f"{what}_end_0"]
        return counts.with_columns(n_events=of_end, n_other_ends=pl.col("n_events") - of_end)

    keyed = None if sizes.keys is None else with_end(sizes.keys, "key")
    return Counted(with_end(sizes.n, "n"), keyed)


def ends_of(durations: IntoFrame) -> list[str]:
    """Return the ends that occur, or only "passed" if none does."""
    frame: Any = lazily(durations)
    schema = frame.collect_schema()
    if "end" not in schema.names():
        raise SchemaError(
            "durations has no column `end`: name the other ends, "
            'time_to_pass(…, competing={"left": "a column of dates"})'
        )
    if schema["end"] not in (nw.String, nw.Categorical, nw.Enum, nw.Unknown):
        raise SchemaError(f"`end` of durations must be text, not {schema['end']}")
    included = included_only(schema.names())
    own = frame.select(nw.col("end").cast(nw.String), n=flag(*included) if included else nw.lit(1))
    found = counted(own, ["end"], [nw.col("n").sum()]).filter(pl.col("n") > 0)
    return found["end"].cast(pl.String).drop_nulls().unique().sort().to_list() or [PASSED]


def _of_each_end(any_end: pl.DataFrame, ends: Sequence[str]) -> pl.DataFrame:
    """Turn an event table of any end into one per end, each with all times of the group."""
    each = any_end.select(pl.exclude("^(n|key)_end_.*$"))
    each = each.rename({"n_events": "n_any", "key_events": "key_any"}, strict=False)
    kinds = ["n", "key"] if "key_any" in each.columns else ["n"]
    tables = [
        each.with_columns(
            pl.lit(end).alias("end"),
            *(any_end[f"{kind}_{column}"].alias(f"{kind}_events") for kind in kinds),
        )
        for column, end in columns_of_ends(ends).items()
    ]
    return pl.concat(tables).sort(GROUP, "end", "duration") if tables else each


def _incidence(steps: pl.DataFrame, each: list[str]) -> pl.DataFrame:
    """Append the share under way just before each time, and the incidence with its variance.

    The variance is Σ (F(t) - F(u))² w₁ - 2 Σ (F(t) - F(u)) w₂ + Σ w₃ over u ≤ t, multiplied out.
    """
    n, d, dj, share = (pl.col(name) for name in ("n_at_risk", "n_any", "n_events", "before"))
    stays = pl.when(d > 0).then((n - d) / n).otherwise(1.0)
    step = pl.when(dj > 0).then(share * dj / n).otherwise(0.0)
    f = pl.col("cumulative_incidence")
    # If all at risk reach an end (n = d), nothing is left to vary.
    w1 = pl.when((d > 0) & (n > d)).then(d / n / (n - d)).otherwise(0.0)
    w2 = pl.when(dj > 0).then(share * dj / n / n).otherwise(0.0)
    # Divided step by step: the third power of a few million does not fit into a whole number.
    w3 = pl.when(dj > 0).then(share**2 * (dj / n) * ((n - dj) / n) / n).otherwise(0.0)
    sums = {"w1": w1, "w2": f * w1 + w2, "w3": f**2 * w1 + 2 * f * w2 + w3}
    of_w1, of_w2, of_w3 = (pl.col(name + SO_FAR) for name in sums)
    terms = f**2 * of_w1 + of_w3
    variance = terms - 2 * f * of_w2
    # If all reach the end, large terms cancel, and what is left is rounding.
    variance = pl.when(variance > 1e-14 * terms).then(variance).otherwise(0.0)

    def summed(value: pl.Expr, name: str) -> pl.Expr:
        return (value.cum_sum().over(each) + before(name, steps, 0.0)).alias(name)

    under_way = "under way" + SO_FAR
    at_first = before(under_way, steps, 1.0)
    return (
        steps.with_columns((stays.cum_prod().over(each) * at_first).alias(under_way))
        .with_columns(before=pl.col(under_way).shift(1).over(each).fill_null(at_first))
        .with_columns(summed(step, "cumulative_incidence"))
        .with_columns(summed(value, name + SO_FAR) for name, value in sums.items())
        .with_columns(variance=variance)
    )


def _with_interval(steps: pl.DataFrame, level: float, each: list[str]) -> pl.DataFrame:
    """Append the interval of the curve 1 - F, symmetric in log(-log(1 - F)).

    Before the first event it is that of 0 out of n, the number at risk over the share under way:
    without censoring, those at risk and those who reached another end. If all have reached the end,
    nobody reached another, and the curve is Kaplan–Meier's.
    """
    z: float | pl.Expr = normal_quantile(level)
    error, rest = pl.col("std_error"), pl.col("survival")
    at_risk, per_row = throughout(steps, each), pl.lit(1)
    steps = scaled = steps.with_columns(survival=_others(pl.col("cumulative_incidence")))
    if "design_effect" in steps.columns:
        z, per_row = students(pl.col("n_clusters"), level), pl.col("clusters_per_row")
        at_risk = observed_throughout(each, per_row)
        scaled = steps.with_columns(pl.col("n_at_risk", "n_events") * per_row)
    shift = z * error / (rest * rest.log())
    before_next = pl.col("before").shift(-1).over(each).fill_null(pl.col("before"))
    none = none_of(at_risk / pl.col("before"), level=level)
    none_after = none_of(until_next(at_risk, each, per_row) / before_next, level=level)

    def end(shift: pl.Expr, *, at_0: pl.Expr, at_1: pl.Expr) -> pl.Expr:
        between = 1 - rest ** shift.exp()
        return pl.when(rest == 1).then(at_0).when(rest == 0).then(at_1).otherwise(between)

    return (
        steps.lazy()
        .join(ends_at_0(scaled, level, each), on=each, how="left", maintain_order="left")
        .with_columns(
            ci_low=end(shift, at_0=pl.lit(0.0), at_1=1 - pl.col("_end_at_0")),
            ci_high=end(-shift, at_0=none, at_1=pl.lit(1.0)),
            ci_high_after=end(-shift, at_0=none_after, at_1=pl.lit(1.0)),
            cumulative_incidence=pl.when(rest == 0).then(1.0).otherwise("cumulative_incidence"),
        )
        .drop("_end_at_0", "survival")
        .collect()
    )


def _others(incidence: pl.Expr) -> pl.Expr:
    """Return the share that has not reached the end; exactly 0 if a sum misses it by rounding."""
    rest = 1 - incidence
    return pl.when(rest < _TOLERANCE).then(0.0).otherwise(rest)
