"""How grades and completion spread, in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PALETTE, RULE, WITHHELD, finish
from toolkit.release import protect
from toolkit.schemas.outcome_results import DISTRIBUTION
from toolkit.text.words import basis, group_columns, percent, shown, with_labels, withheld_note

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
    ends = pl.col("part").replace_strict
    drawn = rows.with_columns(
        left=ends({part: low for part, (low, _) in _ASIDE.items()}, default=pl.col("bin_low")),
        right=ends({part: high for part, (_, high) in _ASIDE.items()}, default=pl.col("bin_high")),
        mark=mark,
    )
    finding = _title(rows, measure)
    n = rows.group_by("group").agg(pl.col("n_enrolled").first())["n_enrolled"].sum()
    note = [f"{words} (grey)" for words in withheld_note(rows, "n_learners", "bars")]
    words = {
        "title": title or finding,
        "subtitle": basis(int(n), source, *note),
        "description": f"Histogram of {measure.lower()}, with missing and zero apart. {finding}",
    }
    if rows["group"].n_unique() > 1:
        small = _histogram(drawn, measure, "Share", width=270, height=90)
        return finish(small.facet(alt.Facet("group:N", title=None), columns=2), **words)
    above = _histogram(drawn, measure, "Share of the enrolled", width=560, height=220)
    return finish(alt.vconcat(above, _ecdf(drawn, measure), spacing=12), **words)


def _histogram(
    drawn: pl.DataFrame, measure: str, share: str, *, width: int, height: int
) -> alt.LayerChart:
    base = alt.Chart().encode(
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
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=["bin", "zero", "missing"], range=[PALETTE[0], PALETTE[1], RULE]),
        legend=None,
    )
    bars = base.mark_bar(binSpacing=1).encode(
        y=alt.Y("share_of_enrolled:Q", title=share, axis=alt.Axis(format=".0%", tickCount=4)),
        y2=alt.datum(0),
        color=colour,
    )
    layers = [bars]
    if drawn["n_learners"].null_count():
        foot = base.transform_filter("!isValid(datum.n_learners)").mark_rect(color=WITHHELD)
        layers.append(foot.encode(y=alt.value(height - 5), y2=alt.value(height)))
    return alt.LayerChart(data=drawn, layer=[*layers, *_marks(drawn)]).properties(
        width=width, height=height
    )


def _ecdf(drawn: pl.DataFrame, measure: str) -> alt.LayerChart:
    line = (
        alt.Chart()
        .transform_filter("datum.part == 'bin'")
        .mark_line(color=PALETTE[0], point=True)
        .encode(
            x=alt.X("right:Q", title=f"{measure} below", axis=_AXIS, scale=_SCALE),
            y=alt.Y(
                "ecdf:Q",
                title="Share of graded" if measure == "Grade" else "Share of known",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", tickCount=3),
            ),
            tooltip=[
                alt.Tooltip("bin_high:Q", title=f"{measure.lower()} below", format=".1%"),
                alt.Tooltip("ecdf:Q", title="share of those with a value", format=".1%"),
            ],
        )
    )
    return alt.LayerChart(data=drawn, layer=[line, *_marks(drawn)]).properties(
        width=560, height=110
    )


def _marks(drawn: pl.DataFrame) -> list[alt.Chart]:
    """A line at the pass mark, where one was given."""
    if drawn["mark"].null_count():
        return []
    tooltip = alt.Tooltip("mark:Q", title="pass mark", format=".0%")
    rule = alt.Chart().transform_aggregate(mark="min(mark)", groupby=["group"])
    return [rule.mark_rule(strokeDash=[4, 3], color=INK).encode(x="mark:Q", tooltip=tooltip)]


def _title(rows: pl.DataFrame, measure: str) -> str:
    parts = {
        part: shown(rows, "share_of_enrolled")
        .filter(pl.col("part") == part)
        .sort("share_of_enrolled", "group")
        for part in ("missing", "zero", "bin")
    }
    if rows["group"].n_unique() > 1:
        zero = parts["zero"].filter(pl.col("n_valued") > 0)
        if zero.height < 2:
            return f"{measure} by group, zero and missing apart"
        low, high = zero.row(0, named=True), zero.row(-1, named=True)
        return (
            f"{measure} is zero for {percent(low['share_of_enrolled'])} of the enrolled in "
            f"{low['group']}, for {percent(high['share_of_enrolled'])} in {high['group']}"
        )
    said = [
        f"{percent(found.item(0, 'share_of_enrolled'))} of the enrolled have {words}"
        for part, words in (("missing", "none"), ("zero", "zero"))
        if (found := parts[part]).height and found.item(0, "share_of_enrolled") > 0
    ]
    if parts["bin"].height:
        top = parts["bin"].row(-1, named=True)
        said.append(f"the fullest bin is {percent(top['bin_low'])}–{percent(top['bin_high'])}")
    return f"{measure}: {', '.join(said) or 'too few learners to be shown'}"
