"""Completion funnels in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PALETTE, PAPER, WITHHELD, finish
from toolkit.release import protect
from toolkit.schemas.outcome_results import COMPLETION_FUNNEL
from toolkit.text.words import basis, group_columns, percent, with_labels, withheld_note


def chart_completion_funnel(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart:
    """Draw how many of the enrolled reach each stage.

    Bars for one group; for several, a table in shades of one colour, a row per group.

    Args:
        table: The result of `completion_funnel`.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        DisclosureError: The table is no result of `completion_funnel`.
    """
    safe = protect(table, min_n=min_n)
    rows = with_labels(safe, group_columns(safe, COMPLETION_FUNNEL))
    one = rows["group"].n_unique() <= 1
    finding = _title(rows)
    enrolled = rows.filter(pl.col("stage") == "enrolled")["n_reached"].sum()
    return finish(
        _bars(rows) if one else _table(rows),
        title=title or finding,
        subtitle=basis(int(enrolled), source, *withheld_note(rows, "rate_of_enrolled", "cells")),
        description=f"Completion funnel from enrolled to passed. {finding}",
    )


_TOOLTIP = [
    alt.Tooltip("group:N", title="group"),
    alt.Tooltip("stage:N", title="stage"),
    alt.Tooltip("definition:N", title="meaning"),
    alt.Tooltip("n_reached:Q", title="learners", format=","),
    alt.Tooltip("rate_of_enrolled:Q", title="of the enrolled", format=".1%"),
    alt.Tooltip("rate_of_previous:Q", title="of the stage before", format=".1%"),
    alt.Tooltip("n_dropped:Q", title="lost since the stage before", format=","),
    alt.Tooltip("status:N", title="status"),
]


def _bars(rows: pl.DataFrame) -> alt.LayerChart:
    stages = rows["stage"].to_list()
    share, n = pl.col("rate_of_enrolled"), pl.col("n_reached")
    labelled = rows.with_columns(
        text=pl.when(share.is_null())
        .then(pl.lit("withheld: small number"))
        .otherwise(
            pl.format(
                "{} ({})",
                share.map_elements(percent, pl.String),
                n.map_elements("{:,}".format, pl.String),
            )
        ),
        aside=pl.col("n_previous").is_null() & (pl.col("stage") != "enrolled"),
    )
    base = alt.Chart(labelled).encode(
        y=alt.Y("stage:N", sort=stages, title=None, axis=alt.Axis(labelPadding=8)),
        x=alt.X(
            "rate_of_enrolled:Q",
            title="Share of the enrolled",
            axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".0%"),
            scale=alt.Scale(domain=[0, 1.25]),
        ),
        tooltip=_TOOLTIP,
    )
    colour = alt.condition("datum.aside", alt.value(PALETTE[1]), alt.value(PALETTE[0]))
    bars = base.mark_bar(height=24).encode(color=colour)
    text = base.mark_text(align="left", dx=6).encode(text="text:N")
    return alt.LayerChart(layer=[bars, text]).properties(width=460, height=alt.Step(36))


def _table(rows: pl.DataFrame) -> alt.LayerChart:
    stages = rows["stage"].unique(maintain_order=True).to_list()
    passed = rows.filter(pl.col("stage") == "passed")
    order = passed.sort("rate_of_enrolled", descending=True, nulls_last=True)["group"].to_list()
    two_lines = "split(datum.label, / (?=completing)/)"
    base = alt.Chart(rows).encode(
        x=alt.X(
            "stage:N",
            sort=stages,
            title=None,
            axis=alt.Axis(orient="top", labelAngle=0, labelPadding=20, labelExpr=two_lines),
        ),
        y=alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelPadding=8)),
        tooltip=_TOOLTIP,
    )
    share = alt.Color(
        "rate_of_enrolled:Q",
        title="Share of the enrolled",
        scale=alt.Scale(domain=[0, 1]),
        legend=alt.Legend(format=".0%"),
    )
    cells = base.transform_filter("isValid(datum.rate_of_enrolled)").mark_rect().encode(color=share)
    letters = alt.condition("datum.rate_of_enrolled > 0.55", alt.value(PAPER), alt.value(INK))
    text = (
        base.transform_filter("isValid(datum.rate_of_enrolled)")
        .mark_text()
        .encode(text=alt.Text("rate_of_enrolled:Q", format=".0%"), color=letters)
    )
    layers = [cells, text]
    if rows["rate_of_enrolled"].null_count():
        grey = base.transform_filter("!isValid(datum.rate_of_enrolled)").mark_rect(color=WITHHELD)
        layers += [grey, grey.mark_text(color=INK).encode(text=alt.value("withheld"))]
    return alt.LayerChart(layer=layers).properties(width=alt.Step(104), height=alt.Step(24))


def _title(rows: pl.DataFrame) -> str:
    """Where most are lost, over all groups that are shown."""
    stages = rows["stage"].unique(maintain_order=True).to_list()
    steps = (
        rows.filter(pl.col("n_dropped").is_not_null(), pl.col("n_previous") > 0)
        .group_by("stage", maintain_order=True)
        .agg(pl.col("n_previous", "n_dropped").sum())
        .sort("n_dropped", descending=True)
    )
    if steps.is_empty():
        return "From enrollment to a pass: too few learners to be shown"
    stage, previous, dropped = steps.row(0)
    before = stages[stages.index(stage) - 1]
    share = percent(dropped / previous)
    return f"Most are lost between {before} and {stage}: {share} of the {before}"
