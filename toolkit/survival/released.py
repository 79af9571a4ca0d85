"""Released curves: event tables from which an estimator computes what may be shown."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from toolkit.release.curves import release_curves, ticks
from toolkit.release.rounding import DIGITS, keys_of_counts, release_counts
from toolkit.release.tables import SHOWN, release_table, withheld
from toolkit.schemas import Table
from toolkit.survival.event_table import GROUP, sizes

_SHOWN_COUNTS = {"n_at_risk": "_n_at_risk", "n_events": "_n_events"}
IS_SHOWN = "_is_shown"
_EDGE = 1e-9  # of a time that rounding moved


def released_table(
    steps: pl.DataFrame, by: list[str], *, min_n: int, times: Sequence[float] | None = None
) -> pl.DataFrame:
    """Return the event table from which an estimator computes what may be shown.

    One row per group (and end) and time: 0, each released step, and each of `times` or of the
    ticks of an axis. A group with too few learners has one row of nulls.

    Returns:
        The columns of an event table: numbers at risk and events from which an estimator arrives
        at the released estimates. `shown` replaces them by the released counts.
    """
    # A curve, and the axis of its chart, ends where too few learners are at risk.
    longest = steps.filter(pl.col("n_at_risk") >= min_n)["duration"].max()
    wanted = list(times) if times is not None else ticks(float(str(longest or 0)))
    keyed = steps if "key_events" in steps.columns else _keyed_by_group(steps, by)
    ends = ["end"] if "end" in keyed.columns else []
    one_end = [] if ends else [pl.lit(None, pl.String).alias("end")]
    rows = release_curves(keyed.with_columns(one_end), GROUP, min_n=min_n, wanted=wanted)
    table = rows.join(_about(keyed, by, min_n), on=GROUP, how="left", maintain_order="left").select(
        *[*by, GROUP, "duration", *ends, "n_excluded", "n_undated"],
        *(pl.col(name).alias(kept) for name, kept in _SHOWN_COUNTS.items()),
        n_at_risk="weight",
        n_events="share",
        n_censored=pl.lit(0.0),
        **{IS_SHOWN: "is_shown"},
    )
    return _weighed(table, steps) if "greenwood" in steps.columns else table


def entered_late(steps: pl.DataFrame, each: Sequence[str] = (GROUP,)) -> pl.Series:
    """Return the numbers of the groups that learners enter late."""
    grows = pl.col("n_at_risk") > pl.col("n_at_risk").shift().over(each)
    return steps.filter(grows)[GROUP].unique()


def measured_at(
    table: pl.DataFrame, steps: pl.DataFrame, name: str, each: Sequence[str] = (GROUP,)
) -> pl.Series:
    """Return a column of the exact steps at each time of a released table."""
    exact = steps.select(*each, (pl.col("duration") - _EDGE).alias("_at"), _exact=name)
    joined = (
        table.select(*each, "duration")
        .with_row_index("_row")
        .sort("duration")
        .join_asof(
            exact.sort("_at"), left_on="duration", right_on="_at", by=each, check_sortedness=False
        )
    )
    return joined.sort("_row")["_exact"]


def at_least_measured(
    table: pl.DataFrame, steps: pl.DataFrame, each: Sequence[str]
) -> pl.DataFrame:
    """Raise the `variance` of incidences where learners enter late to that of the exact ones.

    A released step stands for events of earlier times, at which fewer may have been at risk than at
    its own. The variance is then measured on the records, in two digits.
    """
    late = pl.col(GROUP).is_in(entered_late(steps, each).implode())
    measured = measured_at(table, steps, "variance", each).round_sig_figs(DIGITS)
    lower = late & (pl.col("cumulative_incidence") > 0) & (pl.col("variance") < measured)
    return table.with_columns(variance=pl.when(lower).then(measured).otherwise("variance"))


def _weighed(table: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Lower the weights where learners enter late, so that Greenwood's sum is the exact one's.

    As in `at_least_measured`; no estimate changes.
    """
    late = entered_late(steps)
    if late.is_empty():
        return table
    n, share = pl.col("n_at_risk"), pl.col("n_events") / pl.col("n_at_risk")
    measured = table.with_columns(_sum=measured_at(table, steps, "greenwood"))
    at_rises = pl.when(pl.col("n_events") > 0).then("_sum")
    since = at_rises - at_rises.forward_fill().shift().over(GROUP).fill_null(0.0)
    exact = (share / (1 - share) / since).round_sig_figs(DIGITS)
    lower = pl.col(GROUP).is_in(late.implode()) & (since > 0) & (share < 1) & (exact < n)
    weight = pl.when(lower).then(exact).otherwise(n)
    weighed = measured.with_columns(n_at_risk=weight, n_events=share * weight)
    return weighed.with_columns(pl.col("n_events").fill_nan(0.0)).select(table.columns)


def _about(keyed: pl.DataFrame, by: list[str], min_n: int) -> pl.DataFrame:
    """Return each group's values, and its exclusions as released."""
    one = keyed.group_by(GROUP, maintain_order=True).first()
    left_out = [
        release_counts(one[f"n_{why}"], one[f"key_{why}"], min_n=min_n).alias(f"n_{why}")
        for why in ("excluded", "undated")
    ]
    return one.select(*by, GROUP).with_columns(left_out)


def at_risk_since(
    table: pl.DataFrame, steps: pl.DataFrame, by: list[str], time: pl.Expr, *, min_n: int
) -> pl.Series:
    """Return the released number at risk at each of these times of a table's groups."""
    keyed = steps if "key_at_risk" in steps.columns else _keyed_by_group(steps, by)
    at = table.select(GROUP, _at=time).with_row_index("_row").sort("_at")
    exact = keyed.select(GROUP, "duration", "n_at_risk", "key_at_risk").sort("duration")
    found = at.join_asof(
        exact,
        left_on="_at",
        right_on="duration",
        by=GROUP,
        strategy="forward",
        check_sortedness=False,  # it is sorted by time
    ).sort("_row")
    return release_counts(found["n_at_risk"], found["key_at_risk"], min_n=min_n)


def only_shown(table: pl.DataFrame, *estimates: str) -> pl.DataFrame:
    """Withhold the estimates as long as too few learners have reached the end."""
    return table.with_columns(pl.when(IS_SHOWN).then(pl.col(estimates)))


def shown(table: pl.DataFrame, min_n: int) -> pl.DataFrame:
    """Replace the counts by the released ones, and append `status`."""
    too_few = pl.col("n_at_risk").is_null() | ~pl.col(IS_SHOWN).fill_null(value=False)
    return table.with_columns(
        *(pl.col(kept).alias(name) for name, kept in _SHOWN_COUNTS.items()),
        n_censored=pl.lit(None, pl.Int64),
        status=pl.when(too_few).then(pl.lit(withheld(min_n))).otherwise(pl.lit(SHOWN)),
    )


def at_times(table: pl.DataFrame, by: list[str], times: Sequence[float]) -> pl.DataFrame:
    """Keep the rows at these times; if too few are at risk, a row of nulls."""
    wanted = pl.DataFrame({"duration": sorted({float(time) for time in times})})
    curve = [*by, GROUP, *(["end"] if "end" in table.columns else [])]
    grid = table.select(curve).unique(maintain_order=True).join(wanted, how="cross")
    on = [*curve, "duration"]
    return grid.join(table, on=on, how="left", nulls_equal=True, maintain_order="left")


def released_sizes(steps: pl.DataFrame, by: list[str], table: Table, *, min_n: int) -> pl.DataFrame:
    """Return the learners, events and exclusions of each group, as released."""
    counted = sizes(steps, by)
    return release_table(counted.n, counted.keys, table, by, min_n=min_n)


def _keyed_by_group(steps: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Derive the keys of counts from the values of the group, if records have no keys."""
    groups = steps.select(pl.lit("all"), *by)
    counts = ("at_risk", "events", "censored", "excluded", "undated")
    return steps.with_columns(
        keys_of_counts(groups, steps[f"n_{n}"]).alias(f"key_{n}") for n in counts
    )
