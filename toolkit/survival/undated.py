"""What `time_to_pass` does with passes that have no date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import counted, flag
from toolkit.analyses.grouping import group_value
from toolkit.schemas.survival_results import UNDATED_SHARE
from toolkit.survival.included import BOUND, UNDATED, null_for_excluded

Rows = nw.LazyFrame[Any]
IN_UNDATED = "in a {} whose passes lack a time"


def both_bounds(frame: Rows, entry: int | str | None) -> Rows:
    """Return every learner twice: undated passes as early as possible, or at the last moment.

    With late entry a pass is observed after it, never before. A pass before a landmark, in
    microseconds after the origin, would only leave the learner out: one just after it moves the
    curve further.
    """
    start, last = nw.col("_origin"), nw.max_horizontal("_origin", "_look")
    if entry == "enrolled":
        start = nw.max_horizontal(start, nw.col("_enrolled") + 1)
    elif isinstance(entry, int) and entry > 0:
        start = start + entry + 1
    bounds = {"at once": nw.min_horizontal(start, last), "at the last moment": last}
    parts = [
        frame.with_columns(
            nw.when(nw.col("_undated")).then(moment).otherwise(nw.col("_passed")).alias("_passed"),
            nw.lit(bound).alias(BOUND),
        )
        for bound, moment in bounds.items()
    ]
    return nw.concat(parts).with_columns(_undated=nw.lit(False))  # noqa: FBT003


def without_undated_groups(durations: Rows, by: Sequence[str]) -> Rows:
    """Exclude all learners of the groups in which too many passers are undated.

    The groups together then have as few as each of them. They are counted at once, so that the rows
    can still be read in parts.
    """
    schema, included = durations.collect_schema(), nw.col("excluded").is_null()
    is_undated, group = nw.col("excluded") == UNDATED, _written(schema, by)
    counts = {"n_undated": flag(is_undated), "n_dated": flag(included, nw.col("event"))}
    of_groups = counted(
        durations.select(group.alias("group"), **counts),
        ["group"],
        [nw.col(name).sum() for name in counts],
    )
    n_undated, n_dated = (pl.col(name) for name in counts)
    out = of_groups.filter(n_undated > UNDATED_SHARE * (n_undated + n_dated))["group"]
    if out.is_empty():
        return durations
    is_out = group.is_in(out.drop_nulls().to_list())
    if out.has_nulls():
        is_out = is_out | group.is_null()
    reason = nw.lit(IN_UNDATED.format("course" if [*by] == ["course_id"] else "group"))
    excluded = nw.when(included | is_undated, is_out).then(reason).otherwise(nw.col("excluded"))
    return null_for_excluded(durations.with_columns(excluded=excluded))


def _written(schema: Mapping[str, Any], by: Sequence[str]) -> nw.Expr:
    """Write each row's group as a text; null for the nulls of a single column."""
    values = [group_value(schema, name) for name in by]
    values = [  # of −0.0 as of 0.0
        one + 0.0 if schema[name].is_float() else one for one, name in zip(values, by, strict=True)
    ]
    texts = [value.cast(nw.String) for value in values]
    if len(texts) == 1:
        return texts[0]
    parts = [
        nw.when(text.is_null())
        .then(nw.lit("-"))
        .otherwise(nw.concat_str(text.str.len_chars().cast(nw.String), nw.lit(":"), text))
        for text in texts
    ]
    return nw.concat_str(nw.lit(""), *parts)
