"""Dots with intervals: one row per group on a shared axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, MUTED, PALETTE, PAPER


@dataclass(frozen=True)
class Axis:
    """The shared axis.

    It may mark zero with a line, as for differences.
    """

    title: str
    format: str = ".0%"
    zero: bool = False


def dots(
    rows: pl.DataFrame,
    axis: Axis,
    tooltip: Sequence[alt.Tooltip],
    *,
    hidden: pl.DataFrame | None = None,
    rule: float | None = None,
) -> alt.LayerChart:
    """Draw `value` with `low` and `high`, one row per `group`, in the order of the rows.

    With `filled`, dots may be hollow. The `hidden` rows, `group` and `text`, have no dot and are
    below the others. A line marks the value `rule` across all rows.
    """
    order = [*rows["group"], *(hidden["group"] if hidden is not None else [])]
    y = alt.Y(
        "group:N", sort=order, title=None, axis=alt.Axis(grid=True, gridDash=[1, 3], labelPadding=8)
    )
    # Finer ticks would be written alike.
    finest = 0.01 if axis.format.endswith(".0%") else alt.Undefined
    ticks = alt.Axis(format=axis.format, grid=True, tickCount=7, tickMinStep=finest)
    scale = alt.Scale(zero=axis.zero, nice=True)
    x, low = (
        alt.X(f"{name}:Q", title=axis.title, axis=ticks, scale=scale) for name in ("value", "low")
    )
    base = alt.Chart(rows).encode(y=y, tooltip=list(tooltip))
    points = base.mark_point(size=80, opacity=1, stroke=PALETTE[0], strokeWidth=2)
    fill = (
        alt.condition("datum.filled", alt.value(PALETTE[0]), alt.value(PAPER))
        if "filled" in rows.columns
        else alt.value(PALETTE[0])
    )
    layers: list[alt.Chart] = []
    if axis.zero:
        zero = alt.Chart(pl.DataFrame({"zero": [0]}))
        layers.append(zero.mark_rule(color=INK).encode(x="zero:Q"))
    layers += [
        base.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(x=low, x2="high:Q"),
        points.encode(x=x, fill=fill),
    ]
    if hidden is not None and hidden.height:
        layers.append(
            alt.Chart(hidden)
            .mark_text(align="left", color=MUTED, fontStyle="italic", fontSize=13)
            .encode(y=y, x=alt.value(4), text="text:N")
        )
    if rule is not None:
        layers.append(
            alt.Chart(pl.DataFrame({"rule": [rule]}))
            .mark_rule(strokeDash=[4, 3], color=INK)
            .encode(x=alt.X("rule:Q", title=axis.title, axis=ticks, scale=scale))
        )
    return alt.LayerChart(layer=layers).properties(width=440, height=alt.Step(26))
