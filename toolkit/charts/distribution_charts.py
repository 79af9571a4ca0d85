"""How grades and completion spread, in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PALETTE, RULE, WITHHELD, finish
from toolkit.charts.words import basis, group_columns, percent, with_labels, withheld_note
from toolkit.disclosure import protect
from toolkit.schemas.outcome_results import DISTRIBUTION

# Where the parts without a place on the scale 0–1 stand, to its left.
_ASIDE = {"missing": (-0.34, -0.25), "zero": (-0.17, -0.08)}
_AXIS = alt.Axis(
    values=[-0.295, -0.125, 0, 0.2, 0.4, 0.6, 0.8, 1],
    labelExpr="datum.value < -0.2 ? 'none' : datum.value < 0 ? 'zero' : format(datum.value, '.0%')",
    ticks=False,
    labelOverlap=False,
)
_SCALE = alt.Scale(domain=[-0.36, 1.02], nice=False)


def chart_grade_distribution(
    table: pl.DataFrame,
    *,
    pass_mark: float | None = None,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.VConcatChart | alt.FacetChart:
    """Draw `grade_distribution`: missing, zero and a bar per bin; below, the share up to a grade.

    Several groups are small multiples of the histogram.

    Args:
        table: The result of `grade_distribution`.
        pass_mark: A grade, a fraction, to mark by a line.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        DisclosureError: The table is no result of `grade_distribution`.
    """
    return _chart(table, "Grade", pass_mark, title, source, min_n)


def chart_completion_distribution(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.VConcatChart | alt.FacetChart:
    """Draw `completion_distribution`, as `chart_grade_distribution` does; arguments are the same.

    Raises:
        DisclosureError: The table is no result of `completion_distribution`.
    """
    return _chart(table, "Completion", None, title, source, min_n)


def _chart(
    table: pl.DataFrame,
    measure: str,
    mark: float | None,
    title: str | None,
    source: str | None,
    min_n: int,
) -> alt.VConcatChart | alt.FacetChart:
    safe = protect(table, min_n=min_n)
    rows = with_labels(safe, group_columns(safe, DISTRIBUTION)).filter(
        pl.col("part") != "out of range"
    )
    drawn = rows.with_columns(
        left=pl.col("part").replace_strict(
            {part: ends[0] for part, ends in _ASIDE.items()}, default=pl.col("bin_low")
        ),
        right=pl.col("part").replace_strict(
            {part: ends[1] for part, ends in _ASIDE.items()}, default=pl.col("bin_high")
        ),
        floor=0.0,
        kind=pl.when(pl.col("part") == "bin").then(pl.lit("value")).otherwise("part"),
    )
    finding = _title(rows, measure)
    several = rows["group"].n_unique() > 1
    n = int(rows.group_by("group").agg(pl.col("n_enrolled").first())["n_enrolled"].sum())
    histogram = _histogram(drawn, measure, mark)
    words = {
        "title": title or finding,
        "subtitle": basis(n, source, *withheld_note(rows)),
        "description": f"Histogram of {measure.lower()}, with missing and zero apart. {finding}",
    }
    if several:
        small = histogram.properties(width=270, height=90)
        return finish(small.facet(alt.Facet("group:N", title=None), columns=2, data=drawn), **words)
    above = histogram.properties(width=560, height=220)
    return finish(alt.vconcat(above, _ecdf(drawn, measure, mark), spacing=12), **words)


def _histogram(drawn: pl.DataFrame, measure: str, mark: float | None) -> alt.LayerChart:
    base = alt.Chart(drawn).encode(
        x=alt.X("left:Q", title=measure, axis=_AXIS, scale=_SCALE),
        x2="right:Q",
        tooltip=[
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("part:N", title="part"),
            alt.Tooltip("bin_low:Q", title="from", format=".1%"),
            alt.Tooltip("bin_high:Q", title="to below", format=".1%"),
            alt.Tooltip("n_learners:Q", title="learners", format=","),
            alt.Tooltip("share_of_enrolled:Q", title="of the enrolled", format=".1%"),
            alt.Tooltip("status:N", title="status"),
        ],
    )
    bars = base.mark_bar(binSpacing=1).encode(
        y=alt.Y(
            "share_of_enrolled:Q",
            title="Share of the enrolled",
            axis=alt.Axis(format=".0%", tickCount=4),
        ),
        y2="floor:Q",
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(
                domain=["value", "zero", "missing"], range=[PALETTE[0], PALETTE[1], RULE]
            ),
            legend=None,
        ),
    )
    withheld = (
        base.transform_filter("!isValid(datum.share_of_enrolled)")
        .mark_bar(height=4, yOffset=0, color=WITHHELD)
        .encode(y=alt.datum(0))
    )
    return alt.LayerChart(layer=[bars, withheld, *_marks(mark)])


def _ecdf(drawn: pl.DataFrame, measure: str, mark: float | None) -> alt.LayerChart:
    line = (
        alt.Chart(drawn.filter(pl.col("part") == "bin"))
        .mark_line(color=PALETTE[0], point=True)
        .encode(
            x=alt.X("bin_high:Q", title=measure, axis=_AXIS, scale=_SCALE),
            y=alt.Y(
                "ecdf:Q",
                title="Share below",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", tickCount=3),
            ),
            tooltip=[
                alt.Tooltip("bin_high:Q", title=f"{measure.lower()} below", format=".1%"),
                alt.Tooltip("ecdf:Q", title="share of those with a value", format=".1%"),
            ],
        )
    )
    return alt.LayerChart(layer=[line, *_marks(mark)]).properties(width=560, height=110)


def _marks(mark: float | None) -> list[alt.Chart]:
    if mark is None:
        return []
    rule = alt.Chart(pl.DataFrame({"mark": [mark]})).mark_rule(strokeDash=[4, 3], color=INK)
    return [rule.encode(x="mark:Q", tooltip=alt.Tooltip("mark:Q", title="pass mark", format=".0%"))]


def _title(rows: pl.DataFrame, measure: str) -> str:
    if rows["group"].n_unique() > 1:
        return f"{measure} by group, zero and missing apart"
    seen = rows.filter(pl.col("share_of_enrolled").is_not_null())
    if seen.is_empty():
        return f"{measure}: too few learners to be shown"
    shares = dict(seen.filter(pl.col("part") != "bin").select("part", "share_of_enrolled").rows())
    parts = [
        f"{percent(share)} {words}"
        for part, words in (("missing", "have none"), ("zero", "have zero"))
        if (share := shares.get(part))
    ]
    bins = seen.filter(pl.col("part") == "bin").sort("share_of_enrolled", descending=True)
    if bins.height:
        top = bins.row(0, named=True)
        parts.append(
            f"the fullest bin is {percent(top['bin_low'])} to {percent(top['bin_high'])} "
            f"with {percent(top['share_of_enrolled'])}"
        )
    return f"{measure}: " + ", ".join(parts)
