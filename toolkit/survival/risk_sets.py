"""Numbers at risk, computed from counts of who leaves, passes and enters at each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

GROUP = "_group"  # the group's number in the order of the group columns: faster than these
_TIME = {"duration": pl.Float64}
BLOCK = 1_000_000
"""About how many rows are computed at once."""


def in_order(parts: list[pl.DataFrame], keys: pl.DataFrame, at: Sequence[float]) -> pl.DataFrame:
    """Merge the counts of all parts by group and time, with rows at some times; empties `parts`."""
    steps = pl.concat(parts, how="diagonal")
    parts.clear()
    if "n_entered" in steps.columns:
        steps = steps.with_columns(pl.col(steps.columns[2:]).fill_null(0))
    there = steps.filter(pl.col("duration").is_in(at))
    wanted = keys.select(GROUP).join(pl.DataFrame({"duration": at}, _TIME), how="cross")
    lacking = wanted.join(there, on=[GROUP, "duration"], how="anti")
    nothing = [pl.lit(0, steps.schema[name]).alias(name) for name in steps.columns[2:]]
    parts += [steps, lacking.with_columns(nothing)]
    del steps
    return _sorted(parts).with_columns(
        pl.col(GROUP).set_sorted()  # which speeds up grouping
    )


def _sorted(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Sort by group and time; long groups one by one, since two keys take much longer."""
    steps = pl.concat(parts)
    parts.clear()
    if steps[GROUP].n_unique() * 1_000 >= steps.height:
        return _each_time_once(steps.sort(GROUP, "duration"))
    of_group = steps.partition_by(GROUP, as_dict=True)
    del steps
    in_order = (
        _each_time_once(of_group.pop(key).sort("duration", multithreaded=False))
        for key in sorted(of_group)
    )
    return pl.concat(in_order)


def _each_time_once(steps: pl.DataFrame) -> pl.DataFrame:
    """Add up, in sorted rows, counts of the same group and time that come from several parts."""
    at = [GROUP, "duration"]
    if not steps.select((pl.struct(at) == pl.struct(at).shift()).any()).item():
        return steps
    return steps.group_by(at, maintain_order=True).agg(pl.all().sum())


def at_risk(steps: pl.DataFrame, start: pl.DataFrame) -> pl.DataFrame:
    """Count who is at risk, passes and is censored at each time.

    `steps` counts who leaves, has events and enters, sorted by group and time; `start` has
    `n_start`, the numbers at risk in each group before the first of these times.
    """

    def still_there(what: str) -> pl.Expr:
        left = pl.col(f"{what}_left")
        gone = left.cum_sum().over(GROUP) - left
        if "n_entered" in steps.columns:
            entered = pl.col(f"{what}_entered")
            gone -= entered.cum_sum().over(GROUP) - entered
        at_start = start[f"{what}_start"].gather(steps[GROUP])
        return (at_start - gone).alias(f"{what}_at_risk")

    columns = [pl.col(GROUP), pl.col("duration")]
    for what in _kinds(steps):
        left, events = pl.col(f"{what}_left"), pl.col(f"{what}_events")
        columns += [still_there(what), events, (left - events).alias(f"{what}_censored")]
    return steps.select(*columns, pl.col("^(n|key)_end_.*$"))


def still_at_risk(steps: pl.DataFrame, start: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers at risk after these times, as `start` for the next ones."""
    changes = steps.group_by(GROUP).agg(pl.col("^(n|key)_(left|entered)$").sum())
    both = start.join(changes, on=GROUP, how="left", maintain_order="left").fill_null(0)
    still = {}
    for what in _kinds(steps):
        gone = pl.col(f"{what}_left")
        if "n_entered" in steps.columns:
            gone -= pl.col(f"{what}_entered")
        still[f"{what}_start"] = pl.col(f"{what}_start") - gone
    return both.select(GROUP, **still)


def _kinds(steps: pl.DataFrame) -> list[str]:
    return ["n", "key"] if "key_left" in steps.columns else ["n"]


def in_blocks(steps: pl.DataFrame, compute: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Compute something group by group, for some groups at a time if there are many rows.

    So intermediate results take little memory beside the final one.
    """
    if steps.height <= BLOCK:
        return compute(steps)
    ends = steps.select(GROUP).with_row_index("row").group_by(GROUP, maintain_order=True).last()
    at = ends.with_columns(block=pl.col("row") // BLOCK).group_by("block", maintain_order=True)
    start, parts = 0, []
    for end in at.last()["row"]:
        parts.append(compute(steps[start : end + 1]))
        start = end + 1
    return pl.concat(parts)
