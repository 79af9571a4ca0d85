"""Cohort progress in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PAPER, WITHHELD, finish
from toolkit.charts.words import basis, group_columns, percent, shown, with_labels, withheld_note
from toolkit.disclosure import protect
from toolkit.schemas.outcome_results import COHORT_PROGRESS


def chart_cohort_progress(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart | alt.FacetChart:
    """Draw `cohort_progress` as a heat map: a row per cohort, a column per time since enrollment.

    A cell that cannot be known yet has a stroke through it; a withheld one is grey. The legend
    says so.

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
    rows = (
        with_labels(safe, groups)
        .filter(pl.col("cohort").is_not_null())
        .with_columns(
            cohort=pl.col("cohort").cast(pl.String),
            why=pl.when(pl.col("reach_rate").is_not_null())
            .then(pl.lit("shown"))
            .when(pl.col("status").str.starts_with("withheld"))
            .then(pl.lit("withheld: small number"))
            .otherwise("status"),
        )
    )
    outcome = rows.item(0, "outcome") if rows.height else "passed"
    cells = _progress_cells(rows, outcome)
    members = rows.group_by("group", "cohort").agg(pl.col("n_members").first())["n_members"].sum()
    finding = _progress_title(rows, outcome)
    chart = cells.properties(height=alt.Step(22), width=alt.Step(44))
    words = {
        "title": title or finding,
        "subtitle": basis(int(members), source, *withheld_note(rows)),
        "description": f"Heat map by cohort and time since enrollment. {finding}",
    }
    if not groups:
        return finish(chart, **words)
    return finish(chart.facet(alt.Facet("group:N", title=None), columns=2, data=rows), **words)


def _progress_cells(rows: pl.DataFrame, outcome: str) -> alt.LayerChart:
    base = alt.Chart(rows).encode(
        x=alt.X("days:O", title="Days since enrollment", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("cohort:O", title="Cohort by enrollment, from", sort="ascending"),
        tooltip=[
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("cohort:N", title="cohort from"),
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
    known, unknown = "isValid(datum.reach_rate)", "!isValid(datum.reach_rate)"
    shares = (
        base.transform_filter(known)
        .mark_rect()
        .encode(
            color=alt.Color(
                "reach_rate:Q",
                title=f"Share {outcome}",
                scale=alt.Scale(domainMin=0),
                legend=alt.Legend(format=".0%"),
            )
        )
    )
    text = (
        base.transform_filter(known)
        .mark_text(fontSize=11)
        .encode(
            text=alt.Text("reach_rate:Q", format=".0%"),
            color=alt.condition(
                f"datum.reach_rate > {_dark_from(rows)}", alt.value(PAPER), alt.value(INK)
            ),
        )
    )
    whys = [why for why in rows["why"].unique(maintain_order=True).sort() if why != "shown"]
    shapes = {"withheld: small number": "square", "not yet": "M-1,1L1,-1"}
    blanks = (
        base.transform_filter(unknown)
        .mark_point(size=90, color=WITHHELD, opacity=1)
        .encode(
            shape=alt.Shape(
                "why:N",
                title="No share",
                scale=alt.Scale(domain=whys, range=[shapes.get(why, "cross") for why in whys]),
            ),
            fill=alt.condition(
                "datum.why == 'not yet'", alt.value("transparent"), alt.value(WITHHELD)
            ),
        )
    )
    return alt.LayerChart(layer=[shares, text, *([blanks] if whys else [])])


def _dark_from(rows: pl.DataFrame) -> float:
    """The share above which the ramp is dark enough for light letters."""
    top = rows["reach_rate"].max()
    return 0.55 * top if isinstance(top, float) else 1.0


def _progress_title(rows: pl.DataFrame, outcome: str) -> str:
    """First against last cohort at the latest time that both have."""
    seen = shown(rows, "reach_rate")
    if seen.is_empty() or seen["group"].n_unique() > 1:
        return f"Share who have {outcome}, by cohort and time since enrollment"
    both = seen.group_by("days").agg(n=pl.len()).filter(pl.col("n") > 1).sort("days").tail(1)
    if both.is_empty():
        last = seen.sort("cohort", "days").row(-1, named=True)
        return f"{percent(last['reach_rate'])} had {outcome} {last['days']} days after enrollment"
    at = seen.filter(pl.col("days") == both.item(0, "days")).sort("cohort")
    first, last = at.row(0, named=True), at.row(-1, named=True)
    return (
        f"{first['days']} days after enrollment, {percent(first['reach_rate'])} of the cohort "
        f"from {first['cohort']} had {outcome}, {percent(last['reach_rate'])} of that "
        f"from {last['cohort']}"
    )
