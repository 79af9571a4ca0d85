"""Step curves with bands, and the numbers at risk below them, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import altair as alt
import polars as pl

from toolkit.charts.theme import DASHES, MUTED, PALETTE
from toolkit.release.curves import STEPS, ticks

Panel: TypeAlias = alt.LayerChart | alt.FacetChart
Drawing: TypeAlias = alt.VConcatChart | alt.FacetChart

_LABEL_GAP = 15  # pixels between two lines of text
_ROWS = 4_000  # a chart holds no more rows than this, far more than it has pixels
_ACROSS = 3  # panels side by side


@dataclass(frozen=True)
class Plot:
    """What all marks of a chart have in common.

    If it is small, one of many panels, there is no room for the title of the time axis or for
    labels at the ends of curves, and a legend names them.
    """

    names: list[str]  # the curves of a panel, in the order of their colours
    end: float  # the right end of the time axis
    time: str  # the title of the time axis
    y_title: str
    top: float | None = None  # the upper end of the other axis; None for a share, up to 100%
    is_small: bool = False
    interpolate: Literal["step-after", "monotone"] = "step-after"  # between two times
    decimal: bool = False  # whether shares in tooltips have a decimal
    each: str = ""  # what a curve is of, for the tooltip; none if that is its panel
    known: frozenset[float] = frozenset()  # when numbers at risk are known; none if always
    breaks: tuple[float, ...] = ()  # the ticks asked for; none if they are chosen here

    @property
    def width(self) -> int:
        """Pixels."""
        return 230 if self.is_small else 560

    @property
    def height(self) -> int:
        """Pixels, of the curves."""
        return 130 if self.is_small else 300

    @property
    def ticks(self) -> list[float]:
        """The ticks of the time axis, and the columns of the table below."""
        if self.breaks:
            return sorted({time for time in self.breaks if time <= self.end})
        about = 5 if self.is_small else 8
        for step in STEPS if self.known else []:
            found = [float(time) for time in range(0, int(self.end) + 1, step)]
            if self.end // step <= about and self.known.issuperset(found):
                return found
        return ticks(self.end, about=about)

    def x(self, *, drawn: bool = True) -> alt.X:
        """The time axis."""
        axis = alt.Axis(
            values=self.ticks,
            title=self.time if drawn and not self.is_small else None,
            labels=drawn,
            ticks=drawn,
            domain=drawn,
            labelExpr="format(datum.value, '~g')",
        )
        return alt.X("duration:Q", axis=axis, scale=alt.Scale(domain=[0, self.end], nice=False))

    def y(self, field: str = "value:Q") -> alt.Y:
        """The other axis."""
        axis = alt.Axis(format="~g" if self.top else "%", title=self.y_title, tickCount=5)
        scale = alt.Scale(domain=[0, self.top or 1], nice=self.top is not None)
        return alt.Y(field, axis=axis, scale=scale)

    def color(self) -> alt.Color:
        """One colour per curve."""
        named = alt.Legend(title=None, orient="top", symbolType="square", symbolOpacity=1)
        legend = named if self.is_small and len(self.names) > 1 else None
        scale = alt.Scale(domain=self.names, range=PALETTE)
        return alt.Color("series:N", legend=legend, scale=scale)

    def dash(self) -> alt.StrokeDash:
        """One dash pattern per curve, so that nothing depends on colour alone."""
        scale = alt.Scale(domain=self.names, range=DASHES)
        return alt.StrokeDash("series:N", legend=None, scale=scale)

    def tooltip(self) -> list[alt.Tooltip]:
        """The tooltip of a curve."""
        return [
            alt.Tooltip("panel:N", title="group"),
            *([alt.Tooltip("series:N", title=self.each)] if self.each else []),
            alt.Tooltip("duration:Q", title="time", format=",~r"),
            alt.Tooltip("told:N", title=self.y_title),
        ]


def percent_of(field: str, *, decimal: bool) -> str:
    """Return the expression of Vega that writes a share as `words.percent` does."""
    share, least = f"datum.{field}", 0.1 if decimal else 1
    return (
        f"{share} > 0 && {share} < {least / 200} ? 'under {least:g}%' : "
        f"{share} < 1 && {share} >= {1 - least / 200} ? 'over {100 - least:g}%' : "
        f"format({share} + 1e-11, '.{1 if decimal else 0}%')"  # halves up
    )


def draw(
    plot: Plot, curves: pl.DataFrame, medians: pl.DataFrame, numbers: pl.DataFrame
) -> alt.VConcatChart:
    """Draw curves in one panel, or each group in a small one, with the numbers at risk below.

    `curves` has `panel`, `series`, `duration`, `value`, `low`, `high` and `n_censored`; `medians`
    are points of it to mark; `numbers` is the table below: `panel`, `duration` (the ticks) and
    `text`. Many panels make a FacetChart, which `finish` treats alike.
    """
    drawn = (_many_panels if plot.is_small else _one_panel)(plot, curves, medians, numbers)
    return cast("alt.VConcatChart", drawn)


def _one_panel(
    plot: Plot, curves: pl.DataFrame, medians: pl.DataFrame, numbers: pl.DataFrame
) -> Drawing:
    data = _long(curves, median=medians)
    steps: Panel = alt.layer(*_layers(plot), data=data)
    if len(plot.names) > 1:
        steps = alt.layer(steps, _end_labels(plot, curves))
    steps = steps.properties(width=plot.width, height=plot.height)
    return alt.vconcat(steps, _at_risk(plot, numbers), spacing=24)


def _many_panels(
    plot: Plot, curves: pl.DataFrame, medians: pl.DataFrame, numbers: pl.DataFrame
) -> Drawing:
    at_risk = (
        alt.Chart()
        .transform_filter("datum.kind == 'number'")
        .mark_text(fontSize=11, color=MUTED)
        .encode(plot.x(), y=alt.value(plot.height + 34), text="text:N")
    )
    data = _long(curves, median=medians, number=numbers)
    drawing: alt.FacetChart = (
        alt.layer(*_layers(plot), at_risk, data=data)
        .properties(width=plot.width, height=plot.height)
        .facet(facet=alt.Facet("panel:N", title=None, sort=None), columns=_ACROSS, spacing=24)
        .resolve_axis(x="independent")
    )
    return drawing


def _long(curves: pl.DataFrame, **others: pl.DataFrame) -> pl.DataFrame:
    """Put all rows of a chart into one frame, distinguished by `kind`."""
    frames = {"step": _thinned(curves), **others}
    kinds = [frame.with_columns(kind=pl.lit(kind)) for kind, frame in frames.items()]
    return pl.concat(kinds, how="diagonal_relaxed")


def _thinned(curves: pl.DataFrame) -> pl.DataFrame:
    """Keep only visible rows: the last step in each of many narrow slices of time."""
    if curves.height <= _ROWS:
        return curves
    series = ["panel", "series"]
    slices = _ROWS // curves.select(pl.struct(series).n_unique()).item()
    width = curves["duration"].max()
    return (
        curves.with_columns(_slice=(pl.col("duration") / width * slices).floor())
        .group_by(*series, "_slice", maintain_order=True)
        .agg(pl.col("n_censored").sum(), pl.exclude(*series, "_slice", "n_censored").last())
        .select(curves.columns)
    )


def _layers(plot: Plot) -> list[Any]:
    def of(kind: str) -> alt.Chart:
        base = alt.Chart().transform_filter(f"datum.kind == '{kind}'")
        told = percent_of("value", decimal=plot.decimal)
        told = "format(datum.value, '.3g')" if plot.top else told
        base = base.transform_calculate(told=told)
        return base.encode(plot.x(), color=plot.color())

    steps, points = of("step"), of("median")
    return [
        steps.mark_area(interpolate=plot.interpolate, opacity=0.16, clip=True).encode(
            plot.y("low:Q"), alt.Y2("high:Q")
        ),
        steps.mark_line(
            interpolate=plot.interpolate, strokeWidth=2, clip=plot.top is not None
        ).encode(plot.y(), strokeDash=plot.dash(), tooltip=plot.tooltip()),
        steps.mark_tick(orient="vertical", thickness=1, size=8, opacity=0.6)
        .encode(plot.y())
        .transform_filter("datum.n_censored > 0"),
        points.mark_rule(strokeDash=[2, 3], opacity=0.8).encode(
            plot.y(), y2=alt.value(plot.height)
        ),
        points.mark_rule(strokeDash=[2, 3], opacity=0.5).encode(plot.y(), x2=alt.value(0)),
        points.mark_point(size=45, filled=True, opacity=1).encode(plot.y(), tooltip=plot.tooltip()),
    ]


def _end_labels(plot: Plot, curves: pl.DataFrame) -> Panel:
    """Name each curve at the right, at the height of its end, moved apart from the others."""
    ends = curves.drop_nulls("value").group_by("series", maintain_order=True).last().sort("value")
    pixels = [plot.height * (1 - value / (plot.top or 1)) for value in ends["value"].to_list()]
    placed = ends.select("series", _pixel=pl.Series(_apart(pixels, plot.height), dtype=pl.Float64))
    base = alt.Chart(placed).encode(
        x=alt.value(plot.width), y=alt.Y("_pixel:Q", scale=None, title=None)
    )
    swatch = base.mark_point(shape="square", size=55, filled=True, opacity=1, xOffset=14)
    name = base.mark_text(align="left", baseline="middle", dx=24, fontSize=12)
    # In a page too narrow for it, a legend takes its place.
    return alt.layer(swatch.encode(color=plot.color()), name.encode(text="series:N"), name="ends")


def _apart(wanted: Sequence[float], height: int) -> list[float]:
    """Push labels (from the bottom up) apart, and back into the panel from above."""
    placed: list[float] = []
    for pixel in wanted:
        highest = placed[-1] - _LABEL_GAP if placed else height
        placed.append(min(pixel, highest))
    floor = 0.0
    for i in reversed(range(len(placed))):
        placed[i] = max(placed[i], floor)
        floor = placed[i] + _LABEL_GAP
    return placed


def _at_risk(plot: Plot, numbers: pl.DataFrame) -> Panel:
    """Write the numbers at risk under the ticks of the time axis."""
    panels = numbers["panel"].unique(maintain_order=True).to_list()
    axis = alt.Axis(
        title=None, domain=False, ticks=False, labelLimit=0, labelPadding=24, labelFontSize=12
    )
    text = (
        alt.Chart(numbers)
        .mark_text(fontSize=12)
        .encode(plot.x(drawn=False), alt.Y("panel:N", sort=panels, axis=axis), text="text:N")
    )
    head = (
        alt.Chart(pl.DataFrame({"text": ["number at risk"]}))
        .mark_text(align="left", baseline="bottom", dy=-6, fontSize=12, color=MUTED)
        .encode(x=alt.value(0), y=alt.value(0), text="text:N")
    )
    height = 18 * max(1, len(panels))
    return alt.layer(text, head).properties(width=plot.width, height=height)
