"""The count step of the time-to-pass analyses: learners by group and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import counted, lazily
from toolkit.errors import SchemaError
from toolkit.schemas import require_columns

GROUP = "_group"  # the group's number in the order of the group columns: quicker than its names


def names(by: str | Sequence[str] | None) -> list[str]:
    """The group columns as a list."""
    if by is None:
        return []
    return [by] if isinstance(by, str) else list(by)


def groups(table: pl.DataFrame, by: list[str]) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Each group's values and its rows, in the table's order."""
    for part in table.partition_by(GROUP, maintain_order=True):
        yield part.select(by).row(0, named=True) if by else {}, part


def renumbered(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Number the groups by these columns alone, whatever else the table was grouped by."""
    table = table.drop(GROUP)
    return _with_number(table, _numbered(table, by), by)


def layers(table: pl.DataFrame, strata: list[str]) -> list[pl.DataFrame]:
    """The table cut by strata; whole where there are none, no part where it is empty."""
    if strata:
        return table.partition_by(strata, maintain_order=True)
    return [table] if table.height else []


def event_table(durations: IntoFrame, by: list[str]) -> pl.DataFrame:
    """Count who is at risk, who passes and who is censored at each distinct time.

    One row per group and time, sorted, beginning at time 0 in each group. Where there is late
    entry the times of entry have rows too, so that between two rows the risk set stays the same.
    An event at a time comes before a censoring at it: both are at risk then.

    Args:
        durations: `duration`, `event`, optional `entry` and `excluded`, and the group columns.
        by: The group columns.

    Returns:
        The group columns, `_group` (their number), `duration`, `n_at_risk`, `n_events`,
        `n_censored`, and `n_excluded` (the same in all rows of a group).

    Raises:
        SchemaError: A column is missing or of a wrong type, a duration or an event is missing
            without a reason in `excluded`, a duration is negative or no number, or an entry is
            not before its duration.
    """
    frame = lazily(durations)
    columns = _checked_columns(frame, by)
    rows = _leaving(frame, by, columns).with_columns(pl.col("duration").cast(pl.Float64))
    _refuse_impossible(rows)
    excluded = _excluded(rows, by)
    keys, left_out = _numbered(excluded, by), excluded["n_excluded"]
    rows = _with_number(rows, keys, by)
    steps = rows.filter(pl.col("n") > pl.col("n_excluded")).select(
        GROUP, "duration", "n_events", n_left=pl.col("n") - pl.col("n_excluded")
    )
    if "entry" in columns:
        entering = _with_number(_entering(frame, by, columns), keys, by).drop(by)
        steps = _merged(steps, entering)
    steps = _at_risk(_from_zero(steps, keys))
    of_group = steps[GROUP]
    return pl.concat(
        [
            keys.select(pl.col(by).gather(of_group)),
            steps,
            left_out.gather(of_group).to_frame(),
        ],
        how="horizontal",
    )


def _excluded(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """How many are excluded of each group, in order; no row where there are no groups."""
    n_excluded = pl.col("n_excluded").sum()
    if by:
        return rows.lazy().group_by(by).agg(n_excluded).collect().sort(by)
    return rows.select(n_excluded).head(rows.height)


def _numbered(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """The groups there are, in order, with their numbers; one where there are no columns."""
    if by:
        return rows.select(by).unique().sort(by).with_row_index(GROUP)
    return pl.DataFrame({GROUP: [0] * min(rows.height, 1)}, schema={GROUP: pl.UInt32})


def _with_number(rows: pl.DataFrame, keys: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Append the group's number to each row."""
    if by:
        return rows.join(keys, on=by, how="left", nulls_equal=True)
    return rows.with_columns(pl.lit(0, pl.UInt32).alias(GROUP))


def _checked_columns(frame: nw.LazyFrame[Any], by: list[str]) -> list[str]:
    schema = frame.collect_schema()
    columns = list(schema.names())
    require_columns(columns, ["duration", "event", *by], what="durations")
    if schema["event"] != nw.Boolean:
        raise SchemaError(f"`event` of durations must be Boolean, it is {schema['event']}")
    if not schema["duration"].is_numeric():
        raise SchemaError(f"`duration` of durations must be a number, it is {schema['duration']}")
    return columns


def _leaving(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners, the events among them and what is wrong, by group and duration."""
    sums = []
    if "excluded" in columns:
        included = nw.col("excluded").is_null()
        frame = frame.with_columns(
            event=nw.when(included).then(nw.col("event")), excluded=(~included).cast(nw.Int64)
        )
        sums.append(nw.col("excluded").sum().alias("n_excluded"))
    if "entry" in columns:
        late = (nw.col("entry") > 0) & (nw.col("entry") >= nw.col("duration"))
        frame = frame.with_columns(entry=late.cast(nw.Int64))
        sums.append(nw.col("entry").sum().alias("n_late"))
    found = counted(
        frame,
        [*by, "duration"],
        [
            nw.len().alias("n"),
            nw.col("event").count().alias("n_known"),
            nw.col("event").cast(nw.Int64).sum().alias("n_events"),
            *sums,
        ],
    )
    absent = [name for name in ("n_excluded", "n_late") if name not in found.columns]
    return found.with_columns(pl.lit(0, pl.Int64).alias(name) for name in absent)


def _entering(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners who enter late, by group and time of entry."""
    if "excluded" in columns:
        frame = frame.filter(nw.col("excluded").is_null())
    late = frame.filter(nw.col("entry") > 0).select(*by, nw.col("entry").alias("duration"))
    found = counted(late, [*by, "duration"], [nw.len().alias("n_entered")])
    return found.with_columns(pl.col("duration").cast(pl.Float64))


def _refuse_impossible(counted: pl.DataFrame) -> None:
    time, included = pl.col("duration"), pl.col("n") - pl.col("n_excluded")
    wrong = counted.select(
        included.filter(time.is_null()).sum().alias("have no duration"),
        included.filter(time.is_nan() | time.is_infinite() | (time < 0))
        .sum()
        .alias("have a duration that is negative or no number"),
        (included - pl.col("n_known")).sum().alias("have neither event nor censoring in `event`"),
        pl.col("n_late").sum().alias("have an entry that is not before their duration"),
    ).row(0, named=True)
    faults = [f"{count:,} {what}" for what, count in wrong.items() if count]
    if faults:
        raise SchemaError(
            f"in durations, rows: {'; '.join(faults)}. "
            "Leave them out, or tell why in a column `excluded`"
        )


def _merged(steps: pl.DataFrame, entering: pl.DataFrame) -> pl.DataFrame:
    """Give the times of entry rows of their own, or put them with the rows there are."""
    both = pl.concat([steps, entering], how="diagonal_relaxed")
    return both.group_by(GROUP, "duration").agg(pl.col("n_events", "n_left", "n_entered").sum())


def _from_zero(steps: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Add time 0 to the groups that lack it, and sort."""
    there = steps.filter(pl.col("duration") == 0)
    lacking = keys.select(GROUP).join(there, on=GROUP, how="anti")
    nothing = [pl.lit(0, steps.schema[name]).alias(name) for name in steps.columns[1:]]
    return _sorted(pl.concat([steps, lacking.with_columns(nothing)]))


def _sorted(steps: pl.DataFrame) -> pl.DataFrame:
    """Sort by group and time: group by group where they are long, as two keys take much longer."""
    if steps[GROUP].n_unique() * 1_000 >= steps.height:
        in_order = steps.sort(GROUP, "duration")
    else:
        parts = steps.partition_by(GROUP, as_dict=True)
        by_time = [parts[key].sort("duration", multithreaded=False) for key in sorted(parts)]
        in_order = pl.concat(by_time)
    return in_order.with_columns(pl.col(GROUP).set_sorted())  # quicker for what is done by group


def _at_risk(steps: pl.DataFrame) -> pl.DataFrame:
    at_risk = pl.col("n_left").cum_sum(reverse=True).over(GROUP)
    if "n_entered" in steps.columns:
        at_risk -= pl.col("n_entered").cum_sum(reverse=True).over(GROUP)
    return steps.select(
        GROUP,
        "duration",
        at_risk.alias("n_at_risk"),
        "n_events",
        (pl.col("n_left") - pl.col("n_events")).alias("n_censored"),
    )
