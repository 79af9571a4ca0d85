"""Event tables: how many learners are at risk, pass and are censored, by group and time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.clusters import refuse_too_many
from toolkit.analyses.counting import counted, counted_in_slices, grouped
from toolkit.analyses.engines import is_in_memory
from toolkit.analyses.grouping import KEY, By, Counted, Groups, groups_of
from toolkit.errors import ArgumentError, SchemaError
from toolkit.schemas import Table
from toolkit.schemas.arguments import as_given
from toolkit.survival.first_reading import first_reading, leaving_counts, sums_of
from toolkit.survival.included import checked, of_included, refuse_impossible, refuse_undated
from toolkit.survival.ranges import MOST_TIMES, Cutting, EventRanges, between
from toolkit.survival.risk_sets import GROUP as GROUP
from toolkit.survival.risk_sets import in_order

ROWS_AT_ONCE = 2_500_000
"""The most rows that Polars groups by time at once, if nearly each may have its own time."""

MOST_GROUPS = 300


def compared(by: By, strata: By, result: Table | None) -> tuple[Groups, list[str]]:
    """Return the groups of a comparison, and the columns of its strata."""
    groups, within = groups_of(by, result), groups_of(strata, None, argument="strata")
    if not groups.names:
        raise ArgumentError("by must name the column whose groups are compared")
    both = set(groups.names) & set(within.names)
    if both:
        raise ArgumentError(
            f"`{both.pop()}` is in `by` and in `strata`; within a stratum all would be one group"
        )
    return groups, list(within.names)


def refuse_many(per_group: pl.DataFrame, groups: Groups) -> None:
    """Raise if there are too many groups for a comparison to be readable."""
    if per_group.height > MOST_GROUPS:
        raise ArgumentError(
            f"{', '.join(groups.names)}: {per_group.height:,} groups; compare {MOST_GROUPS} or "
            "fewer: leave out the small ones, or put several together"
        )


def stratum_keys(groups: Groups, strata: Sequence[str]) -> list[str]:
    """Return the names of the strata in the event table."""
    return Groups((*groups.names, *strata)).keys[len(groups.names) :]


def each_group(
    table: pl.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Yield each group's values and its rows, which come one after the other in the table."""
    start = 0
    for length in table[GROUP].rle().struct.field("len"):
        part = table.slice(start, length)
        start += length
        yield part.select(keys).row(0, named=True) if keys else {}, part


def renumbered(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Number the groups by these columns only, whatever else the table was grouped by."""
    table = table.drop(GROUP)
    return with_number(table, _numbered(table, keys), keys)


def layers(table: pl.DataFrame, strata: list[str]) -> list[pl.DataFrame]:
    """Split the table by strata; without strata it is one layer, and if empty none."""
    if strata:
        return table.partition_by(strata, maintain_order=True)
    return [table] if table.height else []


def sizes(table: pl.DataFrame, by: list[str]) -> Counted:
    """Count each group's learners, events and exclusions."""

    def summed(what: str) -> pl.DataFrame:
        events, censored = pl.col(f"{what}_events"), pl.col(f"{what}_censored")
        once = pl.col("duration") == 0  # exclusions are repeated in every row of a group
        sums = {
            "n_learners": (events + censored).sum(),
            "n_events": events.sum(),
            "n_excluded": pl.col(f"{what}_excluded").filter(once).sum(),
            "n_undated": pl.col(f"{what}_undated").filter(once).sum(),
        }
        if by:
            return table.group_by(by).agg(**sums).sort(by)
        return table.select(**sums).head(table.height)

    return Counted(summed("n"), summed("key") if "key_events" in table.columns else None)


def event_ranges(
    durations: IntoFrame, groups: Groups, strata: Sequence[str] = (), ends: Sequence[str] = ()
) -> EventRanges:
    """Count the learners at risk, the events and the censorings at each distinct time.

    One row per group and time, sorted, beginning at time 0 in each group. With late entry, times
    of entry have rows too, so that the risk set is constant between two rows. At a tie events
    come before censorings: both are at risk then.

    Args:
        durations: `duration`, `event`, optional `entry` and `excluded`, and the group columns.
        groups: The groups.
        strata: Columns that subdivide the groups.
        ends: Ends to count at each time, each in a column of `columns_of_ends`. Then any end is
            an event.

    Returns:
        The table, in ranges of times if it is long. Its columns are the group columns, called
        `groups.keys`, the strata, called `stratum_keys`, `_group` (the number of both), `duration`,
        `n_at_risk`, `n_events`, `n_censored`, and `n_excluded` and `n_undated` (the same in all
        rows of a group). If durations have `record_key`, also the sums of the keys behind these
        counts, called `key_at_risk` and the like.
    """
    frame = checked(durations, (*groups.names, *strata), ends)
    by = Groups((*groups.names, *strata)).keys
    columns = frame.collect_schema().names()
    first = first_reading(frame, by)
    refuse_impossible(first.groups)
    refuse_undated(first.groups, groups)
    keys = _numbered(first.groups, by)
    about = pl.concat([keys, first.groups.select("^(n|key)_.*$", "longest")], how="horizontal")
    cutting = Cutting(frame, about, is_held=is_in_memory(durations))

    def read(low: float, high: float, at: Sequence[float]) -> pl.DataFrame:
        counts: Iterable[pl.DataFrame]
        if first.leaving is not None:
            counts = [first.leaving]
        else:
            counts = _leaving(between(cutting.rows, "duration", low, high), by, columns, cutting)
        parts = [_steps(part, keys) for part in counts]
        if "entry" in columns:
            entering = _entering(between(cutting.rows, "entry", low, high), by, columns)
            parts.append(with_number(entering, keys, by).drop(by))
        return in_order(parts, keys, at)

    return EventRanges(about.drop("longest"), read, cutting)


def require_valid(durations: IntoFrame) -> None:
    """Raise for durations that a curve of all learners would refuse."""
    everyone = first_reading(checked(durations, ()), []).groups
    refuse_impossible(everyone)
    refuse_undated(everyone, Groups(()))


def ranges_of(
    durations: IntoFrame,
    groups: Groups,
    strata: Sequence[str] = (),
    ends: Sequence[str] = (),
    *,
    cluster: str | None,
) -> EventRanges:
    """Return the event table, as a single one of all times if rows form clusters."""
    ranges = event_ranges(durations, groups, strata, ends)
    if cluster is None:
        return ranges
    n = ranges.cutting.n_rows
    refuse_too_many(n, cluster)
    if ranges.is_split:
        raise ArgumentError(
            f"cluster={cluster!r} holds all times in memory, {MOST_TIMES:,} at most, and these "
            f"{n:,} rows have more. Round them up to whole days: time_to_pass(…, whole=True)"
        )
    return ranges.at_once()


def _numbered(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return the groups, in order, with their numbers; a single one without group columns."""
    if by:
        return rows.select(by).unique().sort(by).with_row_index(GROUP)
    return pl.DataFrame({GROUP: [0] * min(rows.height, 1)}, schema={GROUP: pl.UInt32})


def with_number(rows: pl.DataFrame, keys: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Append the group's number to each row."""
    if by:
        return rows.join(keys, on=by, how="left", nulls_equal=True)
    return rows.with_columns(pl.lit(0, pl.UInt32).alias(GROUP))


def clustered_rows(
    durations: IntoFrame, groups: Groups, strata: Sequence[str], cluster: str
) -> pl.DataFrame:
    """Count the identical rows of each cluster.

    Returns:
        The group columns and the strata as in `event_ranges`, `cluster` (its number), `duration`,
        `event`, `entry` (-1 without late entry, so that learners are at risk at 0), and `n`.
    """
    if not isinstance(cluster, str):
        raise ArgumentError(f"cluster must be a column's name, not {as_given(cluster)}")
    names = (*groups.names, *strata, cluster)
    frame = checked(durations, names)
    columns = frame.collect_schema().names()
    if "excluded" in columns:
        frame = frame.filter(nw.col("excluded").is_null())
    *keys, own = Groups(names).keys
    entry = ["entry"] if "entry" in columns else []
    rows = counted(frame, [*keys, own, "duration", "event", *entry], [nw.len().alias("n")])
    n_without = rows.filter(pl.col(own).is_null())["n"].sum()
    if n_without:
        raise SchemaError(f"{n_without:,} rows have no `{cluster}`; leave them out")
    numbers = rows.select(own).unique().with_row_index("cluster")
    start = pl.col("entry") if entry else pl.lit(0.0)
    return rows.join(numbers, on=own).select(
        *keys,
        "cluster",
        pl.col("duration").cast(pl.Float64),
        "event",
        pl.when(start > 0).then(start).otherwise(-1.0).cast(pl.Float64).alias("entry"),
        "n",
    )


def _leaving(
    frame: nw.LazyFrame[Any], by: list[str], columns: list[str], cutting: Cutting
) -> Iterable[pl.DataFrame]:
    """Count the learners who leave and their events, by group and duration.

    The caller adds up the parts: there may be nearly as many exact times as learners.
    """
    counts = leaving_counts(columns)
    time, n_values = of_included(nw.col("duration"), columns), {}
    if cutting.all_whole:  # Polars groups by whole numbers in half the time
        time, n_values = time.cast(nw.Int64), {"duration": math.floor(cutting.last) + 1}
    values = {"duration": time, **counts}
    rows = frame.select(*by, *(value.alias(name) for name, value in values.items()))
    at, sums = [*by, "duration"], sums_of(counts)
    if 2 * cutting.n_times <= cutting.n_rows:
        return [grouped(rows, at, sums, n_values=n_values)]
    return counted_in_slices(rows, at, sums, most=ROWS_AT_ONCE)


def _steps(counts: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the counts of included learners by the group's number and time."""
    by = keys.columns[1:]
    return with_number(counts.drop_nulls("duration"), keys, by).select(
        GROUP, pl.col("duration").cast(pl.Float64), pl.col("^(n|key)_(left|events|end_.*)$")
    )


def _entering(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners who enter late, by group and time of entry."""
    if "excluded" in columns:
        frame = frame.filter(nw.col("excluded").is_null())
    key = [KEY] if KEY in columns else []
    late = frame.filter(nw.col("entry") > 0).select(*by, *key, nw.col("entry").alias("duration"))
    sums = [nw.len().alias("n_entered"), *(nw.col(name).sum().alias("key_entered") for name in key)]
    found = counted(late, [*by, "duration"], sums)
    return found.with_columns(pl.col("duration").cast(pl.Float64))
