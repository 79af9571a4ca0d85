"""What is read off a released step curve: its height at a time, its quantiles, who is at risk."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_EDGE = 1e-9


def parts(frame: pl.DataFrame, by: Sequence[str]) -> list[pl.DataFrame]:
    """One frame per group, in order."""
    if not by or frame.is_empty():
        return [frame]
    return frame.partition_by(by, maintain_order=True)


def end(part: pl.DataFrame, value: str) -> float:
    """The last time at which a curve is known."""
    known = part.drop_nulls(value)["duration"].to_list()
    return float(known[-1]) if known else 0.0


def height(part: pl.DataFrame, value: str, time: float) -> float | None:
    """A curve's value at a time: that of the last step before it."""
    known = part.filter(pl.col("duration") <= time + _EDGE)[value].to_list()
    return None if not known or known[-1] is None else float(known[-1])


def quantile(part: pl.DataFrame, passed: float) -> float | None:
    """The first time by which a share has passed; None where the curve does not reach it."""
    there = part.filter(pl.col("survival") <= 1 - passed + _EDGE)["duration"].to_list()
    return float(there[0]) if there else None


def at_risk(part: pl.DataFrame, time: float) -> int | None:
    """Who is at risk at a time: what the row of that time says, else the first after it."""
    ahead = part.filter(pl.col("duration") >= time - _EDGE)["n_at_risk"].to_list()
    return ahead[0] if ahead else None
