"""Charts of completion funnels."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts import heat_maps
from toolkit.charts.basis import fewest_and_most, labelled, of_each, subtitle
from toolkit.charts.theme import PALETTE, finish
from toolkit.results.result import Released
from toolkit.schemas.outcome_results import COMPLETED_AND_PASSED, PASSED_ASIDE
from toolkit.text import words
from toolkit.text.losses import largest_losses, most_common

RATE = "rate_of_enrolled"


def completion_funnel(released: Released) -> alt.LayerChart:
    """Draw how many of the enrolled reach each stage.

    One group has bars; several have a heat map with a row per group, the highest pass rate on
    top.
    """
    rows = labelled(released, "n_reached", "n_dropped", RATE, "rate_of_previous")
    finding = _finding(released)
    notes: list[str] = []
    if released.by:
        drawn, notes = _table(rows, released)
    else:
        drawn = _bars(rows, released)
    n = of_each(rows, "n_enrolled", released.by)
    return finish(
        drawn,
        title=finding,
        subtitle=subtitle(released, n, *notes),
        description=f"Completion funnel from enrolled to passed. {finding}.",
    )


_TOOLTIP = [
    alt.Tooltip("group:N", title="group"),
    alt.Tooltip("stage:N", title="stage"),
    alt.Tooltip("definition:N", title="meaning"),
    alt.Tooltip("text_n_reached:N", title="learners"),
    alt.Tooltip(f"text_{RATE}:N", title="of the enrolled"),
    alt.Tooltip("text_rate_of_previous:N", title="of the stage before"),
    alt.Tooltip("text_n_dropped:N", title="lost since the stage before"),
]


def _bars(rows: pl.DataFrame, released: Released) -> alt.LayerChart:
    stages = rows["stage"].to_list()
    told = [
        f"{words.share(row, RATE, released)} ({row['text_n_reached']})"
        if words.share(row, RATE, released) != words.ABSENT
        else row["text_n_reached"]
        for row in rows.iter_rows(named=True)
    ]
    told_rows = rows.with_columns(
        text=pl.Series(told, dtype=pl.String),
        aside=pl.col("stage") == PASSED_ASIDE,
        at=pl.col(RATE).fill_null(0.0),
    )
    base = alt.Chart(told_rows).encode(
        y=alt.Y("stage:N", sort=stages, title=None, axis=alt.Axis(labelPadding=8)),
        x=alt.X(
            "at:Q",
            title="Share of the enrolled",
            axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".0%"),
            scale=alt.Scale(domain=[0, 1.3]),
        ),
        tooltip=_TOOLTIP[1:],
    )
    colour = alt.condition("datum.aside", alt.value(PALETTE[1]), alt.value(PALETTE[0]))
    bars = base.mark_bar(height=24).encode(color=colour)
    text = base.mark_text(align="left", dx=6, fontSize=13).encode(text="text:N")
    return alt.LayerChart(layer=[bars, text]).properties(width=460, height=alt.Step(36))


def _table(rows: pl.DataFrame, released: Released) -> tuple[alt.LayerChart, list[str]]:
    stages = rows["stage"].unique(maintain_order=True).to_list()
    passed = rows.filter(pl.col("stage") == COMPLETED_AND_PASSED)
    ranked = passed.sort(RATE, "group", descending=[True, False], nulls_last=True)
    drawn, notes = fewest_and_most(ranked)
    order = drawn["group"].to_list()
    rows = rows.filter(pl.col("group").is_in(order))
    rows = heat_maps.cells(rows, RATE, released, top=1.0)
    two_lines = "split(datum.label, / (?=completing|and)/)"
    layers = heat_maps.layers(
        rows,
        RATE,
        alt.X(
            "stage:N",
            sort=stages,
            title=None,
            axis=alt.Axis(orient="top", labelAngle=0, labelPadding=20, labelExpr=two_lines),
        ),
        alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelPadding=8)),
        title="Share of the enrolled",
        top=1.0,
        tooltip=_TOOLTIP,
    )
    chart = alt.LayerChart(data=rows, layer=layers)
    return (
        chart.properties(width=alt.Step(104), height=alt.Step(24)),
        [*notes, *heat_maps.legend_of(rows, released.min_n)],
    )


def _finding(released: Released) -> str:
    """Say between which stages most are lost, in most of the groups."""
    losses = largest_losses(released)
    if not losses:
        return f"From enrollment to a pass: {words.NOTHING}"
    if released.by:
        return f"Most are lost between {most_common(losses, released.by)}"
    [loss] = losses.values()
    return f"Most are lost between {loss.before} and {loss.stage}: {loss.of_whom}"
