"""The count step of the time-to-pass analyses: learners by group and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import narwhals as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.counting import grouped, lazily
from toolkit.errors import SchemaError
from toolkit.schemas import require_columns


def names(by: str | Sequence[str] | None) -> list[str]:
    """The group columns as a list."""
    if by is None:
        return []
    return [by] if isinstance(by, str) else list(by)


def within(expression: pl.Expr, by: list[str]) -> pl.Expr:
    """The expression taken in each group, or in the whole frame where there is no group."""
    return expression.over(by) if by else expression


def groups(table: pl.DataFrame, by: list[str]) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Each group's values and its rows, in the table's order."""
    if not by:
        yield from [({}, table)] if table.height else []
        return
    for part in table.partition_by(by, maintain_order=True):
        yield part.select(by).row(0, named=True), part


def event_table(durations: IntoFrame, by: list[str]) -> pl.DataFrame:
    """Count who is at risk, who passes and who is censored at each distinct time.

    One row per group and time, sorted, beginning at time 0 in each group. Where there is late
    entry the times of entry have rows too, so that between two rows the risk set stays the same.
    An event at a time comes before a censoring at it: both are at risk then.

    Args:
        durations: `duration`, `event`, optional `entry` and `excluded`, and the group columns.
        by: The group columns.

    Returns:
        The group columns, `duration`, `n_at_risk`, `n_events`, `n_censored`, and `n_excluded`
        (the same in all rows of a group).

    Raises:
        SchemaError: A column is missing or of a wrong type, a duration or an event is missing
            without a reason in `excluded`, a duration is negative or no number, or an entry is
            not before its duration.
    """
    frame = lazily(durations)
    columns = _checked_columns(frame, by)
    counted = _leaving(frame, by, columns)
    _refuse_impossible(counted)
    rows = counted.select(
        *by,
        pl.col("duration").cast(pl.Float64),
        n_events=pl.col("n_events").cast(pl.Int64),
        n_left=(pl.col("n") - pl.col("n_excluded")).cast(pl.Int64),
        n_excluded=within(pl.col("n_excluded").cast(pl.Int64).sum(), by),
    )
    starts = rows.select(*by, "n_excluded", duration=pl.lit(0.0)).unique()
    parts = [rows.filter(pl.col("n_left") > 0), starts]
    if "entry" in columns:
        parts.append(_entering(frame, by, columns))
    return _at_risk(pl.concat(parts, how="diagonal_relaxed"), by)


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
    event, excluded, late = nw.col("event"), nw.lit(0), nw.lit(0)
    if "excluded" in columns:
        included = nw.col("excluded").is_null()
        event, excluded = nw.when(included).then(event), (~included).cast(nw.Int64)
    if "entry" in columns:
        entry = nw.col("entry")
        late = ((entry > 0) & (entry >= nw.col("duration"))).cast(nw.Int64)
    return grouped(
        frame.with_columns(event=event, excluded=excluded, entry=late),
        [*by, "duration"],
        [
            nw.len().alias("n"),
            nw.col("event").count().alias("n_known"),
            nw.col("event").cast(nw.Int64).sum().alias("n_events"),
            nw.col("excluded").sum().alias("n_excluded"),
            nw.col("entry").sum().alias("n_late"),
        ],
    )


def _entering(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners who enter late, by group and time of entry."""
    if "excluded" in columns:
        frame = frame.filter(nw.col("excluded").is_null())
    late = frame.filter(nw.col("entry") > 0).select(*by, nw.col("entry").alias("duration"))
    return grouped(late, [*by, "duration"], [nw.len().alias("n_entered")])


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


def _at_risk(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    at = [*by, "duration"]
    left, entered = pl.col("n_left"), pl.col("n_entered")
    if "n_entered" not in rows.columns:
        rows = rows.with_columns(n_entered=pl.lit(0, pl.Int64))
    rows = (
        rows.group_by(at)
        .agg(left.sum(), pl.col("n_events").sum(), entered.sum(), pl.col("n_excluded").max())
        .sort(at)
    )
    to_leave = within(left.cum_sum(reverse=True), by)
    to_enter = within(entered.cum_sum(reverse=True), by)
    return rows.select(
        *at,
        (to_leave - to_enter).cast(pl.Int64).alias("n_at_risk"),
        "n_events",
        (left - pl.col("n_events")).alias("n_censored"),
        within(pl.col("n_excluded").max(), by),
    )
