"""What `time_to_pass` does with passes that have no date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw

from toolkit.analyses.counting import flag
from toolkit.analyses.grouping import group_value
from toolkit.schemas.survival_results import UNDATED_SHARE
from toolkit.survival.included import BOUND, UNDATED, null_for_excluded

Rows = nw.LazyFrame[Any]
IN_UNDATED = "in a {} whose passes lack a time"


def both_bounds(frame: Rows, entry: float | str | None) -> Rows:
    """Return every learner twice: undated passes as early as possible, or at the last moment."""
    start, last = nw.col("_origin"), nw.max_horizontal("_origin", "_look")
    if entry == "enrolled":  # with late entry a pass is observed after it, never before
        start = nw.max_horizontal(start, nw.col("_enrolled") + 1)
    bounds = {"at once": start, "at the last moment": last}
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

    The groups together then have as few as each of them.
    """
    schema, included = durations.collect_schema(), nw.col("excluded").is_null()
    keys = {f"_undated_by_{place}": group_value(schema, name) for place, name in enumerate(by)}
    keys = keys or {"_undated_by_0": nw.lit(0)}
    is_undated = nw.col("excluded") == UNDATED
    counts = {"_n_undated": flag(is_undated), "_n_dated": flag(included, nw.col("event"))}
    of_groups = durations.with_columns(**keys, **counts).with_columns(
        nw.col(name).sum().over(*keys) for name in counts
    )
    n_undated, n_dated = (nw.col(name) for name in counts)
    too_many = n_undated > UNDATED_SHARE * (n_undated + n_dated)
    reason = IN_UNDATED.format("course" if [*by] == ["course_id"] else "group")
    out = (included | is_undated) & too_many
    excluded = nw.when(out).then(nw.lit(reason)).otherwise(nw.col("excluded"))
    return null_for_excluded(of_groups.with_columns(excluded=excluded))
