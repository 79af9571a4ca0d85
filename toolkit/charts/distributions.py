"""Histograms of grades and completion, with missing and zero drawn separately."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.basis import labelled, of_each, subtitle
from toolkit.charts.theme import INK, PALETTE, RULE, WITHHELD, finish
from toolkit.results.result import Released
from toolkit.schemas.arguments import a_share
from toolkit.text import words

# Positions, left of the scale 0–1, of the parts outside it.
_ASIDE = {"missing": (-0.34, -0.25), "zero": (-0.17, -0.08)}
_AXIS = alt.Axis(
    values=[-0.295, -0.125, 0, 0.2, 0.4, 0.6, 0.8, 1],
    labelExpr="datum.value < -0.2 ? 'none' : datum.value < 0 ? 'zero' : format(datum.value, '.0%')",
    ticks=False,
    labelOverlap=False,
)
_SCALE = alt.Scale(domain=[-0.36, 1.02], nice=False)
SHARE = "share_of_enrolled"


def distribution(
    released: Released, *, pass_mark: float | None = None
) -> alt.VConcatChart | alt.FacetChart:
    """Draw a distribution: missing, zero and a bar per bin; below, the cumulative share.

    Several groups are small multiples of the histogram.

    Args:
        released: What may be shown of `grade_distribution` or `completion_distribution`.
        pass_mark: A fraction to mark with a line.

    Raises:
        ArgumentError: `pass_mark` is no fraction.
    """
    if pass_mark is not None:
        pass_mark = a_share(pass_mark, name="pass_mark")
    rows = labelled(released, "n_learners", SHARE, "ecdf")
    rows = rows.filter(pl.col("part") != "out of range")
    is_grade = released.frame.height == 0 or released.frame.item(0, "measure") == "percent_grade"
    measure = "Grade" if is_grade else "Completion"
    ends = pl.col("part").replace_strict
    drawn = rows.with_columns(
        left=ends({part: low for part, (low, _) in _ASIDE.items()}, default=pl.col("bin_low")),
        right=ends({part: high for part, (_, high) in _ASIDE.items()}, default=pl.col("bin_high")),
        span=pl.Series([_span(row) for row in rows.iter_rows(named=True)], dtype=pl.String),
        mark=pl.lit(pass_mark, pl.Float64),
    )
    finding = _finding(rows, measure, released)
    notes = ["Grey: fewer than " + str(released.min_n)] if rows["n_learners"].null_count() else []
    n = of_each(rows, "n_enrolled", released.by)
    said = {
        "title": finding,
        "subtitle": subtitle(released, n, *notes),
        "description": f"Histogram of {measure.lower()}, with missing and zero apart. {finding}.",
    }
    if released.by:
        small = _histogram(drawn, measure, "Share", width=270, height=90)
        order = rows["group"].unique(maintain_order=True).to_list()
        panel = alt.Facet("group:N", title=None, sort=order)
        return finish(small.facet(panel, columns=2), **said)
    above = _histogram(drawn, measure, "Share of the enrolled", width=560, height=220)
    return finish(alt.vconcat(above, _ecdf(drawn, measure), spacing=12), **said)


def _span(row: dict[str, float | str | None]) -> str:
    low, high = row["bin_low"], row["bin_high"]
    if isinstance(low, float) and isinstance(high, float):
        fine = round(low * 100) != round(low * 100, 6) or round(high * 100) != round(high * 100, 6)
        return words.between(*(words.percent(end, decimal=fine, plain=True) for end in (low, high)))
    return {"missing": "no value", "zero": "0"}[str(row["part"])]


def _histogram(
    drawn: pl.DataFrame, measure: str, share: str, *, width: int, height: int
) -> alt.LayerChart:
    base = alt.Chart().encode(
        x=alt.X("left:Q", title=measure, axis=_AXIS, scale=_SCALE),
        x2="right:Q",
        tooltip=[
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("span:N", title=measure.lower()),
            alt.Tooltip("text_n_learners:N", title="learners"),
            alt.Tooltip(f"text_{SHARE}:N", title="of the enrolled"),
        ],
    )
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=["bin", "zero", "missing"], range=[PALETTE[0], PALETTE[1], RULE]),
        legend=None,
    )
    bars = base.mark_bar(binSpacing=1).encode(
        y=alt.Y(f"{SHARE}:Q", title=share, axis=alt.Axis(format=".0%", tickCount=4)),
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
        .transform_filter("datum.part == 'bin' && isValid(datum.ecdf)")
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
                alt.Tooltip("bin_high:Q", title=f"{measure.lower()} below", format=".0%"),
                alt.Tooltip("text_ecdf:N", title="share of those with a value"),
            ],
        )
    )
    return alt.LayerChart(data=drawn, layer=[line, *_marks(drawn)]).properties(
        width=560, height=110
    )


def _marks(drawn: pl.DataFrame) -> list[alt.Chart]:
    """Draw a line at the pass mark, if one was given."""
    if drawn["mark"].null_count():
        return []
    tooltip = alt.Tooltip("mark:Q", title="pass mark", format=".0%")
    rule = alt.Chart().transform_aggregate(mark="min(mark)", groupby=["group"])
    return [rule.mark_rule(strokeDash=[4, 3], color=INK).encode(x="mark:Q", tooltip=tooltip)]


def _finding(rows: pl.DataFrame, measure: str, released: Released) -> str:
    seen = rows.filter(pl.col(SHARE).is_not_null()).sort(SHARE, "group", descending=[False, True])
    parts = {part: seen.filter(pl.col("part") == part) for part in ("missing", "zero", "bin")}
    if released.by:
        zero = parts["zero"]
        if zero.height < 2:
            return f"{measure} by group, zero and missing apart"
        low, high = zero.row(0, named=True), zero.row(-1, named=True)
        return (
            f"{measure} is zero for {words.share(low, SHARE, released)} of the enrolled in "
            f"{low['group']}, for {words.share(high, SHARE, released)} in {high['group']}"
        )
    said = [
        f"{words.share(found.row(0, named=True), SHARE, released)} of the enrolled have {what}"
        for part, what in (("missing", "none"), ("zero", "zero"))
        if (found := parts[part]).height and found.item(0, SHARE) > 0
    ]
    if parts["bin"].height:
        # Of equals the first, as in the narrative.
        most = parts["bin"].sort(SHARE, "bin_low", descending=[True, False]).row(0, named=True)
        said.append(f"the most common range above 0 is {_span(most)}")
    return f"{measure}: {', '.join(said) or words.NOTHING}"
