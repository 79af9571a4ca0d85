"""Charts of the ways to end, and of when learners pass."""

from __future__ import annotations

from typing import cast

import altair as alt
import polars as pl

from toolkit.charts.curve_tables import (
    TOGETHER,
    basis,
    end_of,
    in_panels,
    left_out_of,
    numbers_at_risk,
)
from toolkit.charts.step_curves import Plot, many_panels, one_panel
from toolkit.charts.theme import finish
from toolkit.release import protect
from toolkit.schemas.survival_results import CUMULATIVE_INCIDENCE, SMOOTHED_HAZARD

_NO_POINTS = pl.DataFrame(
    schema={"panel": pl.String, "series": pl.String, "duration": pl.Float64, "value": pl.Float64}
)
# Where a tenth of a group is left, its curve still means something; later it jumps about.
_MANY_LEFT = pl.col("n_at_risk") >= 0.1 * pl.col("n_at_risk").max().over("panel")


def chart_cumulative_incidence(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    exclusions: pl.DataFrame | None = None,
    min_n: int = 10,
    time: str = "days since the origin",
) -> alt.VConcatChart | alt.FacetChart:
    """Draw the share that has come to each end, with the numbers at risk below.

    One panel a group, one curve an end.

    Args:
        table: What `cumulative_incidence` returns.
        title: By default what the curves say.
        source: Whence the data come, for the subtitle.
        exclusions: What `exclusions` returns, for the subtitle to name the reasons.
        min_n: Fewest learners a step may speak of: steps are merged until they do, and straight
            lines join their ends. 1 switches the protection off.
        time: The title of the time axis; its first word is the unit.

    Raises:
        DisclosureError: The table is no result table.

    Examples:
        >>> from toolkit.survival.competing_risks import cumulative_incidence
        >>> rows = pl.DataFrame({"duration": [1.0, 2.0], "event": [True, False],
        ...                      "end": ["passed", "unenrolled"]})
        >>> chart = chart_cumulative_incidence(cumulative_incidence(rows), min_n=1)
        >>> chart.title.text
        ['In the end 50 % passed, 50 % unenrolled']
    """
    exact = in_panels(table, CUMULATIVE_INCIDENCE)
    shown = in_panels(protect(table, min_n=min_n), CUMULATIVE_INCIDENCE)
    curves = shown.select(
        "panel",
        "duration",
        "n_at_risk",
        "n_censored",
        series="end",
        value="cumulative_incidence",
        low="ci_low",
        high="ci_high",
    )
    groups = exact["panel"].unique(maintain_order=True).to_list()
    together = len(groups) == 1
    plot = (Plot if together else Plot.small)(
        names=exact["end"].unique().sort().to_list(),
        end=end_of(curves),
        time=time,
        y_title="have come to the end",
        interpolate="step-after" if min_n == 1 else "linear",
    )
    of_one_end = exact.filter(pl.col("end") == pl.col("end").first().over("panel"))
    learners = int(exact["n_events"].sum()) + int(of_one_end["n_censored"].sum())
    words = title or _ends_reached(shown)
    drawing = (one_panel if together else many_panels)(
        plot, curves, _NO_POINTS, numbers_at_risk(groups, plot.ticks, curves, min_n)
    )
    return finish(
        cast("alt.VConcatChart", drawing),  # or a FacetChart: `finish` treats both alike
        title=words,
        subtitle=basis(plot, learners, left_out_of(exact), exclusions, min_n, source),
        description=f"Cumulative incidence of each end, with numbers at risk. {words}.",
    )


def chart_hazard(
    table: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
    time: str = "days since the origin",
) -> alt.VConcatChart | alt.FacetChart:
    """Draw how likely those who have not passed are to pass, with the numbers at risk below.

    Up to seven groups share a panel; more stand side by side, each in its own.

    Args:
        table: What `smoothed_hazard` returns.
        title: By default when the curves peak.
        source: Whence the data come, for the subtitle.
        min_n: Fewest learners a stretch may speak of; 1 switches the protection off.
        time: The title of the time axis; its first word is the unit.

    Raises:
        DisclosureError: The table is no result table.

    Examples:
        >>> from toolkit.survival.hazards import smoothed_hazard
        >>> rows = pl.DataFrame({"duration": [3.0, 9.0, 20.0], "event": [True, True, False]})
        >>> chart_hazard(smoothed_hazard(rows), min_n=1).title.text
        ['Learners are most likely to pass around day 4']
    """
    exact = in_panels(table, SMOOTHED_HAZARD)
    shown = in_panels(protect(table, min_n=min_n), SMOOTHED_HAZARD)
    groups = exact["panel"].unique(maintain_order=True).to_list()
    together = len(groups) <= TOGETHER
    curves = shown.select(
        "panel",
        "duration",
        "n_at_risk",
        n_censored=pl.lit(0, pl.Int64),
        series=pl.col("panel") if together else pl.lit(""),
        value="hazard",
        low="ci_low",
        high="ci_high",
    )
    unit = time.split()[0]
    plot = (Plot if together else Plot.small)(
        names=groups if together else [""],
        end=end_of(curves),
        time=time,
        y_title=f"passes in {_stretch(exact):g} {unit} per learner left",
        top=_top(curves),
        interpolate="monotone",
    )
    learners = int(exact.unique("panel", keep="first", maintain_order=True)["n_at_risk"].sum())
    is_cut = shown["hazard"].null_count() > exact["hazard"].null_count()
    gaps = "\nGaps: too few learners to show; longer stretches show more" if is_cut else ""
    words = title or _peaks(exact, unit.removesuffix("s"))
    drawing = (one_panel if together else many_panels)(
        plot, curves, _NO_POINTS, numbers_at_risk(groups, plot.ticks, curves, min_n)
    )
    return finish(
        cast("alt.VConcatChart", drawing),  # or a FacetChart: `finish` treats both alike
        title=words,
        subtitle=basis(plot, learners, left_out_of(exact), None, min_n, source) + gaps,
        description=f"Smoothed hazard of passing, with numbers at risk. {words}.",
    )


def _ends_reached(curves: pl.DataFrame) -> str:
    """How far each end has come, in a sentence."""
    value = pl.col("cumulative_incidence")
    last = (
        curves.drop_nulls("cumulative_incidence")
        .group_by("panel", "end", maintain_order=True)
        .agg(value.last())
    )
    if last.is_empty():
        return "No learner to follow"
    if last["panel"].n_unique() == 1:
        shares = (f"{share * 100:.0f} % {end}" for _, end, share in last.iter_rows())
        return f"In the end {', '.join(shares)}"
    end = "passed" if "passed" in last["end"] else last["end"][0]
    by_share = last.filter(end=end).sort(value)
    (low, _, least), (high, _, most) = by_share.row(0), by_share.row(-1)
    return f"In the end {least * 100:.0f} % {end} in {low}, {most * 100:.0f} % in {high}"


def _peaks(curves: pl.DataFrame, unit: str) -> str:
    """When each curve is highest, in a sentence."""
    peaks = (
        curves.drop_nulls("hazard")
        .filter(_MANY_LEFT, pl.col("hazard") > 0)
        .sort("hazard", descending=True)
        .group_by("panel", maintain_order=True)
        .agg(pl.col("duration").first())
        .sort("duration")
    )
    if peaks.is_empty():
        return "No pass that may be shown"
    (first, early), (last, late) = peaks.row(0), peaks.row(-1)
    if curves["panel"].n_unique() == 1:
        return f"Learners are most likely to pass around {unit} {early:,.0f}"
    return f"Passing peaks around {unit} {early:,.0f} in {first}, {unit} {late:,.0f} in {last}"


def _stretch(table: pl.DataFrame) -> float:
    """How long a stretch of the table is: twice the time to the middle of the first."""
    return 2 * float(table["duration"].to_list()[0]) if table.height else 1.0


def _top(curves: pl.DataFrame) -> float:
    """Where the axis ends: above all curves and the bands near them, not the widest band."""
    steady = curves.filter(_MANY_LEFT)
    highest = max(steady["value"].drop_nulls().to_list(), default=0.0)
    bands = max(steady["high"].drop_nulls().to_list(), default=0.0)
    return min(1.6 * highest, bands) or 1.0
