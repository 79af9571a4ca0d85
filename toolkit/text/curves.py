"""Read a released step curve: its height at a time, its quantiles, the number at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from toolkit.results.result import Released

_EDGE = 1e-9
FEWEST, FEWEST_SHARE, MANY_LEFT = 10, 0.05, 0.1
YEAR = {"hours": 8_760.0, "days": 365.0, "weeks": 52.0}


def from_the_start(released: Released) -> Released:
    """Return the curves left after filtering, from time 0 to the last time left, in their order.

    Without its first rows, a curve would have another median and another number at its start.
    """
    if released.frame is released.whole:
        return released
    of = [*released.by, *(["end"] if "end" in released.schema.names else [])]
    every = pl.lit(value=True).alias("_every")
    last = (
        released.frame.group_by(*of, every, maintain_order=True)
        .agg(_last=pl.col("duration").max())
        .with_row_index("_place")
    )
    rows = (
        released.whole.with_columns(every)
        .join(last, on=[*of, "_every"], nulls_equal=True, maintain_order="left")
        .filter((pl.col("duration") > pl.col("_last")).fill_null(value=False).not_())
        .sort("_place", maintain_order=True)
    )
    return replace(released, frame=rows.select(released.frame.columns))


def parts(frame: pl.DataFrame, by: Sequence[str]) -> list[pl.DataFrame]:
    """Return one frame per group, in order."""
    if not by or frame.is_empty():
        return [frame]
    return frame.partition_by(by, maintain_order=True)


def is_whole(part: pl.DataFrame) -> bool:
    """Whether the first row has all learners: not with late entry, nor at chosen times."""
    starts = part["duration"][0] == 0 or "hazard" in part.columns
    return bool(starts and part["n_at_risk"][0] == part["n_at_risk"].max())


def supported_until(part: pl.DataFrame, value: str) -> float:
    """Return the last time at which a curve is known and enough learners are at risk.

    Enough are 10, and 5% of those at the start: the height of the last step, with one learner at
    risk, is arbitrary. A curve that never has 10 is taken to be supported to its last known time.
    """
    known = part.drop_nulls(value)
    if known.is_empty():
        return 0.0
    at_risk = pl.col("n_at_risk")
    enough = (at_risk >= FEWEST) & (at_risk >= FEWEST_SHARE * at_risk.first())
    supported = known.filter(enough)
    return float((supported if supported.height else known)["duration"][-1])


def end(part: pl.DataFrame, value: str) -> float:
    """Return the time to which a curve is told: while supported, or all of it if that is time 0."""
    known = part.drop_nulls(value)
    return supported_until(part, value) or (float(known["duration"][-1]) if known.height else 0.0)


def common_day(known: Sequence[pl.DataFrame], value: str, unit: str) -> float:
    """Return the longest time that half of the curves reach with enough learners, up to a year.

    Of curves at chosen times, all after a year, it is the first of these.
    """
    ends = sorted(end(part, value) for part in known)
    first = min(float(part["duration"][0]) for part in known)
    return max(min(YEAR[unit], ends[(len(ends) - 1) // 2]), first)


def row_at(part: pl.DataFrame, value: str, time: float) -> dict[str, Any] | None:
    """Return the row of a curve's last known step up to a time."""
    known = part.filter(pl.col("duration") <= time + _EDGE).drop_nulls(value)
    return known.row(-1, named=True) if known.height else None


def height(part: pl.DataFrame, value: str, time: float) -> float | None:
    """Return a curve's value at a time, that of the last step up to it."""
    known = part.filter(pl.col("duration") <= time + _EDGE)[value].to_list()
    return None if not known or known[-1] is None else float(known[-1])


def peak(part: pl.DataFrame) -> float | None:
    """Return where a hazard is highest; None if it is 0.

    Only while a tenth of the group is at risk: later it jumps about with single passes.
    """
    many = pl.col("n_at_risk") >= MANY_LEFT * pl.col("n_at_risk").max()
    known = part.filter(many, pl.col("hazard") > 0)
    ranked = known.sort("hazard", descending=True, maintain_order=True)["duration"]
    return float(ranked[0]) if len(ranked) else None


def quantile(part: pl.DataFrame, passed: float) -> float | None:
    """Return the first time by which a share has passed; None if the curve does not reach it."""
    reached = part.filter(pl.col("survival") <= 1 - passed + _EDGE)["duration"].to_list()
    return float(reached[0]) if reached else None


def at_risk(part: pl.DataFrame, time: float) -> int | None:
    """Return the number at risk at a time, from the row of that time or the first after it."""
    ahead = part.filter(pl.col("duration") >= time - _EDGE)["n_at_risk"].to_list()
    return ahead[0] if ahead else None
