"""Which rows of durations are counted, and which are refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.typing import IntoFrame

from toolkit.analyses.counting import counted, flag, lazily, refuse_other_kinds
from toolkit.analyses.grouping import (
    KEY,
    Groups,
    group_names,
    group_value,
    per_group,
    refuse_ungroupable,
)
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import require_columns
from toolkit.schemas.arguments import as_given, one_of
from toolkit.schemas.survival_results import TIME_UNIT, TIME_UNITS, UNDATED_SHARE, in_unit

UNDATED = "passed without a pass time"
KINDS = {
    "duration": pl.Float64(),
    "event": pl.Boolean(),
    "entry": pl.Float64(),
    "excluded": pl.String(),
    KEY: pl.Int64(),
}
BOUND = "bound"
"""The column that distinguishes the two bounds of undated passes."""


def checked(
    durations: IntoFrame, names: Sequence[str], ends: Sequence[str] = ()
) -> nw.LazyFrame[Any]:
    """Return the needed columns, with known names and types."""
    frame = lazily(durations)
    schema = frame.collect_schema()
    require_columns(schema.names(), ["duration", "event", *names], what="durations")
    refuse_other_kinds(schema, KINDS, what="durations")
    refuse_ungroupable(schema, names)
    refuse_both_bounds(frame, names)
    keys = Groups((*names,)).keys
    columns = {key: group_value(schema, name) for key, name in zip(keys, names, strict=True)}
    columns |= {"duration": nw.col("duration"), "passed": nw.col("event").cast(nw.Boolean)}
    columns |= {"event": columns["passed"]}
    if ends:
        # Not the bare condition, since Ibis 12 gets a null test of `~is_null` wrong.
        columns |= {"event": flag(~nw.col("end").is_null()) == 1}
        own = nw.col("end").cast(nw.String)
        columns |= {name: flag(own == end) for name, end in columns_of_ends(ends).items()}
    columns |= {name: nw.col(name) for name in ("entry", "excluded", KEY) if name in schema}
    return frame.select(*(value.alias(name) for name, value in columns.items()))


def in_unit_of(durations: IntoFrame, result: Result) -> Result:
    """Return a result whose times have the unit of the durations."""
    frame = lazily(durations)
    if TIME_UNIT not in frame.collect_schema().names():
        return result
    units = counted(frame, [TIME_UNIT], [nw.len().alias("n")])[TIME_UNIT].to_list()
    if len(units) > 1:
        raise ArgumentError(f"`{TIME_UNIT}` of durations must be one unit, not {as_given(units)}")
    unit = one_of(units[0], TIME_UNITS, name=TIME_UNIT) if units else "days"
    return replace(result, schema=in_unit(result.schema, unit))


def columns_of_ends(ends: Sequence[str]) -> dict[str, str]:
    """Return the columns that count each end at each time; no group column has these names."""
    return {f"end_{place}": end for place, end in enumerate(ends)}


def included_only(columns: Collection[str]) -> list[nw.Expr]:
    """Return the condition that a learner is not excluded; none if nobody can be."""
    return [nw.col("excluded").is_null()] if "excluded" in columns else []


def of_included(value: nw.Expr, columns: Collection[str]) -> nw.Expr:
    """Set a value to null for excluded learners, if there can be any."""
    included = included_only(columns)
    return nw.when(*included).then(value) if included else value


def null_for_excluded(durations: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Set durations, events, entries and ends to null for the excluded."""
    return durations.with_columns(
        of_included(nw.col(name), ["excluded"]).alias(name)
        for name in ("duration", "event", "entry", "end")
    )


def refuse_both_bounds(frame: nw.LazyFrame[Any], names: Sequence[str]) -> None:
    """Raise if every learner comes twice and the groups do not separate the bounds."""
    if BOUND not in frame.collect_schema().names() or BOUND in names:
        return
    if counted(frame, [BOUND], [nw.len().alias("n")]).height > 1:
        raise ArgumentError(
            f"these durations hold every learner twice, once for each bound of the undated passes: "
            f'add "{BOUND}" to `by`, or keep one of the two'
        )


def refuse_impossible(counted: pl.DataFrame) -> None:
    """Raise if rows have neither time nor exclusion, or an impossible time."""
    wrong = counted.select(
        pl.col("n_timeless").sum().alias("have no duration"),
        pl.col("n_no_time").sum().alias("have a duration that is negative or not a number"),
        pl.col("n_eventless").sum().alias("have neither event nor censoring in `event`"),
        pl.col("n_endless").sum().alias("have an event, but no `end`"),
        pl.col("n_no_entry").sum().alias("have an entry that is missing, negative or not a number"),
        pl.col("n_late").sum().alias("have an entry that is not before their duration"),
    ).row(0, named=True)
    faults = [f"{count:,} {what}" for what, count in wrong.items() if count]
    if faults:
        raise SchemaError(
            f"in durations, rows: {'; '.join(faults)}. "
            "Leave them out, or give the reason in a column `excluded`"
        )


def refuse_undated(rows: pl.DataFrame, groups: Groups) -> None:
    """Raise if so many passes of a group lack a date that its curve would mislead."""
    undated, dated = pl.col("n_undated"), pl.col("n_passed")
    found = (
        per_group(rows, groups.keys, [undated.sum(), dated.sum()])
        .filter(undated > UNDATED_SHARE * (undated + dated))
        .with_columns(share=undated / (undated + dated))
        .sort("share", *groups.keys, descending=[True, *(False for _ in groups.keys)])
    )
    if found.is_empty():
        return
    names = group_names(found.select(groups.keys)) if groups.keys else ["all learners"]
    named = [
        f"{name or '“”'} ({share:.1%})"
        for name, share in zip(names[:5], found["share"], strict=False)
    ]
    if found.height > len(named):
        named.append(f"{found.height - len(named)} more")
    whose = f" by {', '.join(groups.names)}" if groups.names else ""
    decide_by = [*dict.fromkeys(["course_id", *groups.names])]
    raise SchemaError(
        f"no curve{whose} of: {'; '.join(named)}. So many passers have no pass date, "
        f"and without them the curve would be too low (up to {UNDATED_SHARE:.0%} may lack one). "
        f'Leave them out: time_to_pass(…, undated="leave_out", undated_by={decide_by}); '
        "or take both bounds: "
        f'time_to_pass(…, undated="bounds"), with "{BOUND}" in `by`'
    )
