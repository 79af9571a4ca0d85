"""Cohort progress in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import GRID, INK, PAPER, RULE, WITHHELD, finish
from toolkit.release import protect
from toolkit.schemas.outcome_results import COHORT_PROGRESS
from toolkit.text.words import basis, group_columns, percent, shown, with_labels

WITHHELD_WORDS = "withheld: small number"
UNSEEN = ["not yet", "no snapshot of this period"]


def chart_cohort_progress(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart | alt.FacetChart:
    """Draw `cohort_progress` as a heat map: a row per cohort, a column per time since enrollment.

    A cell that cannot be known yet is struck through; a withheld one is grey; the legend says so.
    Several groups are small multiples.

    Args:
        table: The result of `cohort_progress` or `completion_progress`.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        DisclosureError: The table is no result of `cohort_progress`.
    """
    safe = protect(table, min_n=min_n)
    groups = group_columns(safe, COHORT_PROGRESS)
    # Why time leaves a cell empty says nothing about anybody, so it is taken from before.
    rows = (
        with_labels(safe.with_columns(why=table["status"]), groups)
        .filter(pl.col("cohort").is_not_null())
        .with_columns(
            cohort=pl.col("cohort").cast(pl.String),
            why=pl.when(pl.col("reach_rate").is_null()).then(
                pl.when(pl.col("why").is_in(UNSEEN)).then("why").otherwise(pl.lit(WITHHELD_WORDS))
            ),
            mark=pl.when(pl.col("n_observed") < pl.col("n_members")).then(pl.lit("*")),
        )
    )
    outcome = rows.item(0, "outcome") if rows.height else "passed"
    finding = _title(rows, outcome)
    members = rows.group_by("group", "cohort").agg(pl.col("n_members").first())["n_members"].sum()
    words = {
        "title": title or finding,
        "subtitle": basis(int(members), source, *_notes(rows)),
        "description": f"Heat map by cohort and time since enrollment. {finding}",
    }
    cells = alt.LayerChart(data=rows, layer=_layers(rows, outcome)).properties(
        height=alt.Step(22), width=alt.Step(44)
    )
    if not groups:
        return finish(cells, **words)
    return finish(cells.facet(alt.Facet("group:N", title=None), columns=2), **words)


def _layers(rows: pl.DataFrame, outcome: str) -> list[alt.Chart]:
    base = alt.Chart().encode(
        x=alt.X("days:O", title="Days since enrollment", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("cohort:O", title="Enrolled from", axis=alt.Axis(labelPadding=8)),
        tooltip=[
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("cohort:N", title="enrolled from"),
            alt.Tooltip("days:Q", title="days since enrollment"),
            alt.Tooltip("reach_rate:Q", title=outcome, format=".1%"),
            alt.Tooltip("reach_rate_ci_low:Q", title="interval from", format=".1%"),
            alt.Tooltip("reach_rate_ci_high:Q", title="to", format=".1%"),
            alt.Tooltip("n_reached:Q", title="learners counted", format=","),
            alt.Tooltip("n_observed:Q", title="of those observed so long", format=","),
            alt.Tooltip("n_members:Q", title="of the cohort", format=","),
            alt.Tooltip("status:N", title="status"),
        ],
    )
    known = base.transform_filter("isValid(datum.reach_rate)")
    share = alt.Color(
        "reach_rate:Q",
        title=f"Share {outcome}",
        scale=alt.Scale(domainMin=0),
        legend=alt.Legend(format=".0%"),
    )
    letters = alt.condition(
        f"datum.reach_rate > {_dark_from(rows)}", alt.value(PAPER), alt.value(INK)
    )
    layers = [
        known.mark_rect().encode(color=share),
        known.mark_text(fontSize=11)
        .transform_calculate(label="format(datum.reach_rate, '.0%') + (datum.mark || '')")
        .encode(text=alt.Text("label:N"), color=letters),
    ]
    whys = rows["why"].drop_nulls().unique().sort().to_list()
    if whys:
        shape = alt.Shape(
            "why:N",
            title="No share",
            scale=alt.Scale(
                domain=whys,
                range=["square" if why == WITHHELD_WORDS else "M-1,1L1,-1" for why in whys],
            ),
        )
        fill = alt.condition(
            f"datum.why == '{WITHHELD_WORDS}'", alt.value(WITHHELD), alt.value(GRID)
        )
        blank = base.transform_filter("!isValid(datum.reach_rate)")
        layers.append(
            blank.mark_point(size=110, stroke=RULE, strokeWidth=1, opacity=1).encode(
                shape=shape, fill=fill
            )
        )
    return layers


def _notes(rows: pl.DataFrame) -> list[str]:
    """What the subtitle says of cells that are not what they seem."""
    hidden = (rows["why"] == WITHHELD_WORDS).sum()
    notes = [f"small numbers withheld in {hidden:,} of {rows.height:,} cells"] if hidden else []
    partly = shown(rows, "reach_rate")["mark"].count()
    return [*notes, *(["* only part of the cohort was observed so long"] if partly else [])]


def _dark_from(rows: pl.DataFrame) -> float:
    """The share above which the ramp is dark enough for light letters."""
    top = rows["reach_rate"].max()
    return 0.55 * top if isinstance(top, float) else 1.0


def _title(rows: pl.DataFrame, outcome: str) -> str:
    """First against last cohort at the latest time that all of two cohorts have reached."""
    seen = shown(rows, "reach_rate").filter(pl.col("mark").is_null())
    if seen["group"].n_unique() > 1:
        return f"Share who had {outcome}, by group, cohort and time since enrollment"
    if seen.is_empty():
        return f"Share who had {outcome}: nothing can be shown yet"
    times = seen.group_by("days").agg(n=pl.len()).sort(pl.col("n").clip(upper_bound=2), "days")
    at = seen.filter(pl.col("days") == times.item(-1, "days")).sort("cohort")
    first, last = at.row(0, named=True), at.row(-1, named=True)
    begin = f"{first['days']} days after enrollment, {percent(first['reach_rate'])}"
    if at.height == 1:
        return f"{begin} of those enrolled from {first['cohort']} had {outcome}"
    return (
        f"{begin} of those enrolled from {first['cohort']} had {outcome}, "
        f"{percent(last['reach_rate'])} of those from {last['cohort']}"
    )
