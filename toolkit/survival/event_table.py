"""The count step of the time-to-pass analyses: learners by group and time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import counted, flag, lazily
from toolkit.analyses.grouping import (
    KEY,
    By,
    Counted,
    Groups,
    groups_of,
    per_group,
    refuse_nested,
)
from toolkit.errors import ArgumentError, SchemaError
from toolkit.schemas import Table, require_columns
from toolkit.schemas.survival_results import UNDATED_SHARE

GROUP = "_group"  # the group's number in the order of the group columns: quicker than its names

MOST_GROUPS = 300

UNDATED = "passed without a pass time"
BOUND = "bound"
"""The column that tells the two bounds apart where every learner comes twice."""


def compared(by: By, strata: By, result: Table | None) -> tuple[Groups, list[str]]:
    """The groups of a comparison, and the names that the strata have while they are counted.

    Raises:
        ArgumentError: There is no group column, a name is none, or groups are strata as well.
    """
    groups, within = groups_of(by, result), groups_of(strata, None, argument="strata")
    if not groups.names:
        raise ArgumentError("by must name the column whose groups are compared")
    both = set(groups.names) & set(within.names)
    if both:
        raise ArgumentError(
            f"`{both.pop()}` is named by `by` and by `strata`; within a stratum all would be alike"
        )
    return groups, list(within.names)


def refuse_many(per_group: pl.DataFrame, groups: Groups) -> None:
    """Raise where there are so many groups that no comparison of them can be read."""
    if per_group.height > MOST_GROUPS:
        raise ArgumentError(
            f"{', '.join(groups.names)}: {per_group.height:,} groups; compare {MOST_GROUPS} or "
            "fewer: leave out the small ones, or put several together"
        )


def stratum_keys(groups: Groups, strata: Sequence[str]) -> list[str]:
    """What the strata are called in the event table."""
    return Groups((*groups.names, *strata)).keys[len(groups.names) :]


def each_group(
    table: pl.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Each group's values and its rows, in the table's order."""
    for part in table.partition_by(GROUP, maintain_order=True):
        yield part.select(keys).row(0, named=True) if keys else {}, part


def renumbered(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Number the groups by these columns alone, whatever else the table was grouped by."""
    table = table.drop(GROUP)
    return _with_number(table, _numbered(table, keys), keys)


def layers(table: pl.DataFrame, strata: list[str]) -> list[pl.DataFrame]:
    """The table cut by strata; whole where there are none, no part where it is empty."""
    if strata:
        return table.partition_by(strata, maintain_order=True)
    return [table] if table.height else []


def sizes(table: pl.DataFrame, by: list[str]) -> Counted:
    """Count each group's learners, events and exclusions."""

    def summed(what: str) -> pl.DataFrame:
        events, censored = pl.col(f"{what}_events"), pl.col(f"{what}_censored")
        once = pl.col("duration") == 0  # the exclusions stand in every row of a group
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


def event_table(
    durations: IntoFrame,
    groups: Groups,
    strata: Sequence[str] = (),
    *,
    happened: nw.Expr | None = None,
) -> pl.DataFrame:
    """Count who is at risk, who passes and who is censored at each distinct time.

    One row per group and time, sorted, beginning at time 0 in each group. Where there is late
    entry the times of entry have rows too, so that between two rows the risk set stays the same.
    An event at a time comes before a censoring at it: both are at risk then.

    Args:
        durations: `duration`, `event`, optional `entry` and `excluded`, and the group columns.
        groups: The groups.
        strata: Columns to tell apart inside a group.
        happened: What counts as an event, where it is not `event`.

    Returns:
        The group columns, called `groups.keys`, the strata, called `stratum_keys`, `_group` (the
        number of both), `duration`, `n_at_risk`, `n_events`, `n_censored`, and `n_excluded` and
        `n_undated` (the same in all rows of a group). Where durations have `record_key`, the sums
        of the keys behind these counts as well, called `key_at_risk` and the like.

    Raises:
        SchemaError: A column is missing or of a wrong type, a duration, an event or an entry is
            missing without a reason in `excluded`, one is negative or no number, an entry is not
            before its duration, or too many passes of a group lack a date (`UNDATED_SHARE`).
        ArgumentError: The frame is of no supported engine, or holds both bounds of undated passes
            and the groups do not tell them apart.
    """
    frame = checked(durations, (*groups.names, *strata), happened)
    by = Groups((*groups.names, *strata)).keys
    columns = frame.collect_schema().names()
    rows = _leaving(frame, by, columns).with_columns(pl.col("duration").cast(pl.Float64))
    _refuse_impossible(rows)
    _refuse_undated(rows, groups)
    excluded = _excluded(rows, by)
    keys, left_out = _numbered(excluded, by), excluded.drop(by)
    rows = _with_number(rows, keys, by)
    key_sums = ["key_left", "key_events"] if KEY in columns else []
    steps = rows.filter(pl.col("n") > pl.col("n_excluded")).select(
        GROUP, "duration", "n_events", *key_sums, n_left=pl.col("n") - pl.col("n_excluded")
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
            left_out.select(pl.all().gather(of_group)),
        ],
        how="horizontal",
    )


def _excluded(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """How many are excluded of each group, in order; no row where there are no groups."""
    sums = [pl.col("^(n|key)_(excluded|undated)$").sum()]
    if by:
        return rows.lazy().group_by(by).agg(sums).collect().sort(by)
    return rows.select(sums).head(rows.height)


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


def checked(
    durations: IntoFrame, names: Sequence[str], happened: nw.Expr | None
) -> nw.LazyFrame[Any]:
    """The columns that are needed, with names and types that are known."""
    frame = lazily(durations)
    schema = frame.collect_schema()
    require_columns(schema.names(), ["duration", "event", *names], what="durations")
    if schema["event"] not in (nw.Boolean, nw.Unknown):
        raise SchemaError(f"`event` of durations must be Boolean, it is {schema['event']}")
    for name in ("duration", "entry"):
        if name in schema and not (schema[name].is_numeric() or schema[name] == nw.Unknown):
            raise SchemaError(f"`{name}` of durations must be a number, it is {schema[name]}")
    refuse_nested(schema, names)
    refuse_both_bounds(frame, names)
    columns = {key: nw.col(name) for key, name in zip(Groups((*names,)).keys, names, strict=True)}
    columns |= {"duration": nw.col("duration"), "passed": nw.col("event").cast(nw.Boolean)}
    columns |= {"event": columns["passed"] if happened is None else happened}
    columns |= {name: nw.col(name) for name in ("entry", "excluded", KEY) if name in schema}
    return frame.select(*(value.alias(name) for name, value in columns.items()))


def clustered_rows(
    durations: IntoFrame, groups: Groups, strata: Sequence[str], cluster: str
) -> pl.DataFrame:
    """Count the rows that are alike in each cluster.

    Returns:
        The group columns and the strata as in `event_table`, `cluster` (its number), `duration`,
        `event`, `entry` (-1 where there is none: who enters at 0 is at risk at 0), and `n`.

    Raises:
        ArgumentError: `cluster` is no column's name.
        SchemaError: A row has no cluster.
    """
    if not isinstance(cluster, str):
        raise ArgumentError(f"cluster must be a column's name, not {cluster!r}")
    names = (*groups.names, *strata, cluster)
    frame = checked(durations, names, None)
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


def refuse_both_bounds(frame: nw.LazyFrame[Any], names: Sequence[str]) -> None:
    """Raise where every learner comes twice and the groups do not say which time is meant."""
    if BOUND not in frame.collect_schema().names() or BOUND in names:
        return
    if counted(frame, [BOUND], [nw.len().alias("n")]).height > 1:
        raise ArgumentError(
            f"these durations hold every learner twice, once for each bound of the undated passes: "
            f'add "{BOUND}" to `by`, or keep one of the two'
        )


def _leaving(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners, the events among them and what is wrong, by group and duration."""
    event, entry = nw.col("event"), nw.col("entry")
    included = [nw.col("excluded").is_null()] if "excluded" in columns else []
    counts = {
        "n_known": flag(~event.is_null(), *included),
        "n_events": flag(event, *included),
    }
    if included:
        counts["n_excluded"] = flag(~nw.col("excluded").is_null())
        counts["n_undated"] = flag(nw.col("excluded") == UNDATED)
        counts["n_passed"] = flag(nw.col("passed"), *included)
    if "entry" in columns:
        known = (entry >= 0) & (entry < math.inf)
        late = (entry > 0) & (entry >= nw.col("duration"))
        is_known = nw.when(known).then(nw.lit(1)).otherwise(nw.lit(0))  # null is no condition
        counts["n_no_entry"] = flag(is_known == 0, *included)
        counts["n_late"] = flag(known, late, *included)
    sums = dict(counts)
    if KEY in columns:
        sums |= {
            "key_left": _keys_of(*included),
            "key_events": _keys_of(event, *included),
            "key_excluded": _keys_of(*(~one for one in included)) if included else nw.lit(0),
            "key_undated": _keys_of(nw.col("excluded") == UNDATED) if included else nw.lit(0),
        }
    # Columns first, then sums of columns: not every engine sums what it has yet to compute.
    keyed = frame.select(*by, "duration", *(value.alias(name) for name, value in sums.items()))
    found = counted(
        keyed, [*by, "duration"], [nw.len().alias("n"), *(nw.col(name).sum() for name in sums)]
    )
    counts_of = ("n_excluded", "n_undated", "n_passed", "n_no_entry", "n_late")
    absent = [name for name in counts_of if name not in found.columns]
    return found.with_columns(pl.lit(0, pl.Int64).alias(name) for name in absent)


def _keys_of(*conditions: nw.Expr) -> nw.Expr:
    """The record's key where all conditions hold, 0 where one does not or is unknown."""
    key = nw.col(KEY).cast(nw.Int64)
    return nw.when(flag(*conditions) == 1).then(key).otherwise(nw.lit(0)) if conditions else key


def _entering(frame: nw.LazyFrame[Any], by: list[str], columns: list[str]) -> pl.DataFrame:
    """Count the learners who enter late, by group and time of entry."""
    if "excluded" in columns:
        frame = frame.filter(nw.col("excluded").is_null())
    key = [KEY] if KEY in columns else []
    late = frame.filter(nw.col("entry") > 0).select(*by, *key, nw.col("entry").alias("duration"))
    sums = [nw.len().alias("n_entered"), *(nw.col(name).sum().alias("key_entered") for name in key)]
    found = counted(late, [*by, "duration"], sums)
    return found.with_columns(pl.col("duration").cast(pl.Float64))


def _refuse_impossible(counted: pl.DataFrame) -> None:
    time, included = pl.col("duration"), pl.col("n") - pl.col("n_excluded")
    wrong = counted.select(
        included.filter(time.is_null()).sum().alias("have no duration"),
        included.filter(time.is_nan() | time.is_infinite() | (time < 0))
        .sum()
        .alias("have a duration that is negative or no number"),
        (included - pl.col("n_known")).sum().alias("have neither event nor censoring in `event`"),
        pl.col("n_no_entry").sum().alias("have an entry that is missing, negative or no number"),
        pl.col("n_late").sum().alias("have an entry that is not before their duration"),
    ).row(0, named=True)
    faults = [f"{count:,} {what}" for what, count in wrong.items() if count]
    if faults:
        raise SchemaError(
            f"in durations, rows: {'; '.join(faults)}. "
            "Leave them out, or tell why in a column `excluded`"
        )


def _refuse_undated(rows: pl.DataFrame, groups: Groups) -> None:
    """Raise where the passes of a group lack dates so often that its curve would mislead."""
    undated, dated = pl.col("n_undated"), pl.col("n_passed")
    found = (
        per_group(rows, groups.keys, [undated.sum(), dated.sum()])
        .filter(undated > UNDATED_SHARE * (undated + dated))
        .with_columns(share=undated / (undated + dated))
        .sort("share", *groups.keys, descending=[True, *(False for _ in groups.keys)])
    )
    if found.is_empty():
        return
    told = [
        f"{', '.join(map(str, row[:-3])) or 'all learners'} ({row[-1]:.1%})"
        for row in found.head(5).rows()
    ]
    if found.height > len(told):
        told.append(f"{found.height - len(told)} more")
    whose = f" by {', '.join(groups.names)}" if groups.names else ""
    raise SchemaError(
        f"no curve{whose} of: {'; '.join(told)}. So many of the passers have no date of the pass, "
        f"and without them the curve would lie too low (up to {UNDATED_SHARE:.0%} may lack one). "
        'Leave their courses out: time_to_pass(…, undated="leave_out"); or take both bounds: '
        f'time_to_pass(…, undated="bounds"), with "{BOUND}" in `by`'
    )


def _merged(steps: pl.DataFrame, entering: pl.DataFrame) -> pl.DataFrame:
    """Give the times of entry rows of their own, or put them with the rows there are."""
    both = pl.concat([steps, entering], how="diagonal_relaxed")
    return both.group_by(GROUP, "duration").agg(pl.all().sum())


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
    def at_risk(what: str) -> pl.Expr:
        still = pl.col(f"{what}_left").cum_sum(reverse=True).over(GROUP)
        if "n_entered" in steps.columns:
            still -= pl.col(f"{what}_entered").cum_sum(reverse=True).over(GROUP)
        return still.alias(f"{what}_at_risk")

    columns = [pl.col(GROUP), pl.col("duration")]
    for what in ("n", "key") if "key_left" in steps.columns else ("n",):
        left, events = pl.col(f"{what}_left"), pl.col(f"{what}_events")
        columns += [at_risk(what), events, (left - events).alias(f"{what}_censored")]
    return steps.select(columns)
