"""Charts of the time to pass."""

from __future__ import annotations

from math import ceil
from typing import Literal, cast

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
from toolkit.schemas.survival_results import KAPLAN_MEIER


def chart_kaplan_meier(
    table: pl.DataFrame,
    *,
    show: Literal["passed", "survival"] = "passed",
    title: str | None = None,
    source: str | None = None,
    exclusions: pl.DataFrame | None = None,
    min_n: int = 10,
    time: str = "days since the origin",
) -> alt.VConcatChart | alt.FacetChart:
    """Draw Kaplan–Meier curves with the numbers at risk below.

    Up to seven groups share a panel; more stand side by side, each in its own.

    Args:
        table: What `kaplan_meier` returns.
        show: The share that has passed (rising), or that has not (falling).
        title: By default what the curves say.
        source: Whence the data come, for the subtitle.
        exclusions: What `exclusions` returns, for the subtitle to name the reasons.
        min_n: Fewest learners a step may speak of: steps are merged until they do, and straight
            lines join their ends. 1 switches the protection off.
        time: The title of the time axis; its first word is the unit.

    Raises:
        DisclosureError: The table is no result table.
        ValueError: `show` is neither of the two.

    Examples:
        >>> from toolkit.survival.kaplan_meier import kaplan_meier
        >>> rows = pl.DataFrame({"duration": [1.0, 2.0, 3.0], "event": [True, True, False]})
        >>> chart_kaplan_meier(kaplan_meier(rows), min_n=1).title.text
        ['Half of the learners have passed by day 2']
    """
    if show not in ("passed", "survival"):
        raise ValueError(f'show must be "passed" or "survival", not {show!r}')
    exact = in_panels(table, KAPLAN_MEIER)
    shown = in_panels(protect(table, min_n=min_n), KAPLAN_MEIER)
    value, low, high = pl.col("survival"), pl.col("ci_low"), pl.col("ci_high")
    if show == "passed":
        value, low, high = 1 - value, 1 - high, 1 - low
    curves = shown.select(
        "panel", "duration", "n_at_risk", "n_censored", value=value, low=low, high=high
    )
    groups = exact["panel"].unique(maintain_order=True).to_list()
    together = len(groups) <= TOGETHER
    plot = (Plot if together else Plot.small)(
        names=groups if together else [""],
        end=end_of(curves),
        time=time,
        y_title="passed" if show == "passed" else "not yet passed",
        interpolate="step-after" if min_n == 1 else "linear",
    )
    medians = _medians(exact, at_least=2 * min_n)
    drawn = shown.drop_nulls("survival").group_by("panel").agg(end=pl.col("duration").max())
    dots = medians.join(drawn, on="panel").filter(pl.col("duration") <= pl.col("end")).drop("end")
    numbers = numbers_at_risk(groups, plot.ticks, curves, min_n)
    series = pl.col("panel") if together else pl.lit("")
    draw = one_panel if together else many_panels
    words = title or _finding(
        exact, _medians(exact, at_least=2 * min_n), time.split()[0].removesuffix("s")
    )
    learners = int(exact.select(pl.sum("n_events") + pl.sum("n_censored")).item())
    drawing = draw(
        plot, curves.with_columns(series=series), dots.with_columns(series=series), numbers
    )
    return finish(
        cast("alt.VConcatChart", drawing),  # or a FacetChart: `finish` treats both alike
        title=words,
        subtitle=basis(plot, learners, left_out_of(exact), exclusions, min_n, source),
        description=f"Kaplan–Meier curves of the share that has {plot.y_title}, with number at "
        f"risk. {words}.",
    )


def _medians(curves: pl.DataFrame, *, at_least: int) -> pl.DataFrame:
    """The first step of each curve at or below a half, of groups with so many learners."""
    learners = (pl.col("n_events") + pl.col("n_censored")).sum().over("panel")
    return (
        curves.filter(learners >= at_least, pl.col("survival") <= 0.5 + 1e-9)
        .group_by("panel", maintain_order=True)
        .agg(pl.col("duration").first())
        .with_columns(value=pl.lit(0.5))
    )


def _finding(curves: pl.DataFrame, medians: pl.DataFrame, unit: str) -> str:
    """What the curves say, in a sentence."""
    n_groups = curves["panel"].n_unique()
    if n_groups == 0:
        return "No learner to follow"
    if medians.height == 0:
        return "Half of the learners have not passed" + (" in any group" * (n_groups > 1))
    by_speed = medians.sort("duration")
    first, last = by_speed.row(0, named=True), by_speed.row(-1, named=True)
    if n_groups == 1:
        return f"Half of the learners have passed by {unit} {ceil(first['duration']):,}"
    text = f"Half have passed by {unit} {ceil(first['duration']):,} in {first['panel']}"
    if medians.height > 1:
        text += f", by {unit} {ceil(last['duration']):,} in {last['panel']}"
    if medians.height < n_groups:
        text += f"; not in {n_groups - medians.height} of {n_groups} groups"
    return text
