"""Cohort progress as a heat map."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts import heat_maps
from toolkit.charts.basis import labelled, of_each, subtitle
from toolkit.charts.theme import finish
from toolkit.results.result import Released
from toolkit.text import naming, words

_PANELS = 2  # side by side
RATE = "reach_rate"


def cohort_progress(released: Released) -> alt.LayerChart | alt.FacetChart:
    """Draw `cohort_progress` as a heat map: a row per cohort, a column per time since enrollment.

    A cell in which fewer than 10 reached the outcome shows an upper bound of the share; a cell that
    cannot be known yet is struck through. Several groups are small multiples.
    """
    rows = labelled(released, "n_reached", "n_observed", "n_members", RATE)
    rows = rows.filter(pl.col("cohort").is_not_null())
    outcome = released.frame.item(0, "outcome") if released.frame.height else "passed"
    names = naming.cohorts(released.whole["cohort"])
    part = (pl.col("n_observed") < pl.col("n_members")).fill_null(value=False)
    top = heat_maps.top_of(rows, RATE)
    rows = heat_maps.cells(rows, RATE, released, top=top).with_columns(
        enrolled=pl.Series([names[first] for first in rows["cohort"]], dtype=pl.String),
        text=pl.when(part & (pl.col("kind") == "share"))
        .then(pl.col("text") + "*")
        .otherwise("text"),
    )
    finding = _finding(rows, outcome, released)
    notes = heat_maps.legend_of(rows, released.min_n)
    if rows["text"].str.ends_with("*").any():
        notes = ["* only part of the cohort was observed so long", *notes]
    by = [*released.by, "cohort"]
    said = {
        "title": finding,
        "subtitle": subtitle(released, of_each(rows, "n_members", by), *notes, group="cohort"),
        "description": f"Heat map of the share who {outcome}, by cohort and time since enrollment."
        f" {finding}.",
    }
    order = [names[first] for first in rows["cohort"].unique().sort()]
    x = alt.X("days:O", title="Days since enrollment", axis=alt.Axis(labelAngle=0))
    y = alt.Y("enrolled:N", sort=order, title="Enrolled from", axis=alt.Axis(labelPadding=8))
    tooltip = [
        *([alt.Tooltip("group:N", title="group")] if released.by else []),
        alt.Tooltip("enrolled:N", title="enrolled from"),
        alt.Tooltip("days:Q", title="days since enrollment"),
        alt.Tooltip(f"text_{RATE}:N", title=f"{outcome} ({words.kind_of_interval(released)})"),
        alt.Tooltip("text_n_reached:N", title="learners counted"),
        alt.Tooltip("text_n_observed:N", title="observed so long"),
        alt.Tooltip("text_n_members:N", title="in the cohort"),
    ]
    layers = heat_maps.layers(
        rows, RATE, x, y, title=f"Share who {outcome}", top=top, tooltip=tooltip
    )
    drawn = alt.LayerChart(data=rows, layer=layers).properties(
        height=alt.Step(24), width=alt.Step(50)
    )
    if rows["group"].n_unique() < 2:
        return finish(drawn, **said)
    panel = alt.Facet(
        "group:N", title=None, sort=rows["group"].unique(maintain_order=True).to_list()
    )
    return finish(drawn.facet(panel, columns=_PANELS), **said)


def _finding(rows: pl.DataFrame, outcome: str, released: Released) -> str:
    """Compare the first and last cohort at the latest time that two whole cohorts have reached."""
    shares = rows.filter(pl.col("kind") == "share")
    if shares.is_empty():
        return f"Share who {outcome}: nothing can be shown yet"
    seen = shares.filter(~pl.col("text").str.ends_with("*"))
    if seen.is_empty() or rows["group"].n_unique() > 1:
        by = "group, " if rows["group"].n_unique() > 1 else ""
        return f"Share who {outcome}, by {by}cohort and time since enrollment"
    times = seen.group_by("days").agg(n=pl.len()).sort(pl.col("n").clip(upper_bound=2), "days")
    at = seen.filter(days=times.item(-1, "days")).sort("cohort")
    first, last = at.row(0, named=True), at.row(-1, named=True)
    since = words.plural(first["days"], "day")
    told = f"{since} after enrollment, {words.share(first, RATE, released)} of those"
    if at.height == 1:
        return f"{told} enrolled from {first['enrolled']} had {outcome}"
    return (
        f"{told} enrolled from {first['enrolled']} had {outcome}, "
        f"{words.share(last, RATE, released)} of those from {last['enrolled']}"
    )
