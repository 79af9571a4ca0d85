"""Charts of the time to pass."""

from __future__ import annotations

from math import ceil
from typing import Literal, cast

import altair as alt
import polars as pl

from toolkit.charts.step_curves import Plot, many_panels, one_panel
from toolkit.charts.theme import finish
from toolkit.disclosure import protect
from toolkit.schemas import Table
from toolkit.schemas.survival_results import KAPLAN_MEIER

_TOGETHER = 7  # more curves than well visible colours stand side by side


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
        min_n: Fewest learners a step may speak of; 1 switches the protection off.
        time: The title of the time axis; its first word is the unit.

    Raises:
        DisclosureError: The table is no result table.
        ValueError: `show` is neither of the two.

    Examples:
        >>> from toolkit.survival import kaplan_meier
        >>> rows = pl.DataFrame({"duration": [1.0, 2.0, 3.0], "event": [True, True, False]})
        >>> chart_kaplan_meier(kaplan_meier(rows), min_n=1).title.text
        ['Half of the learners have passed by day 2']
    """
    if show not in ("passed", "survival"):
        raise ValueError(f'show must be "passed" or "survival", not {show!r}')
    exact = _in_panels(table, KAPLAN_MEIER)
    shown = _in_panels(protect(table, min_n=min_n), KAPLAN_MEIER)
    value, low, high = pl.col("survival"), pl.col("ci_low"), pl.col("ci_high")
    if show == "passed":
        value, low, high = 1 - value, 1 - high, 1 - low
    curves = shown.select(
        "panel", "duration", "n_at_risk", "n_censored", value=value, low=low, high=high
    )
    groups = exact["panel"].unique(maintain_order=True).to_list()
    together = len(groups) <= _TOGETHER
    plot = (Plot if together else Plot.small)(
        names=groups if together else [""],
        end=_end(curves),
        x_title=time,
        y_title="passed" if show == "passed" else "not yet passed",
    )
    medians = _medians(exact, min_n)
    numbers = _numbers_at_risk(groups, plot.ticks, curves, min_n)
    series = pl.col("panel") if together else pl.lit("")
    draw = one_panel if together else many_panels
    words = title or _finding(exact, medians, time.split()[0].removesuffix("s"))
    drawing = draw(
        plot, curves.with_columns(series=series), medians.with_columns(series=series), numbers
    )
    return finish(
        cast("alt.VConcatChart", drawing),  # or a FacetChart: `finish` treats both alike
        title=words,
        subtitle=_basis(exact, exclusions, min_n, source)
        + ("" if together else f"\nBelow each axis ({time}) stands the number at risk"),
        description=f"Kaplan–Meier curves of the share that has {plot.y_title}, with number at "
        f"risk. {words}.",
    )


def _in_panels(table: pl.DataFrame, known: Table) -> pl.DataFrame:
    """Name each group in one column `panel`."""
    by = [name for name in table.columns if name not in (*known.names, "status")]
    parts = [pl.col(name).cast(pl.String).fill_null("unknown") for name in by]
    name = pl.concat_str(parts, separator=" · ") if by else pl.lit("all learners")
    return table.with_columns(name.alias("panel")).select("panel", *known.names)


def _end(curves: pl.DataFrame) -> float:
    """Where the longest curve ends."""
    known = curves.drop_nulls("value")["duration"].to_list()
    return max(known, default=0.0) or 1.0


def _medians(curves: pl.DataFrame, min_n: int) -> pl.DataFrame:
    """The first step of each curve at or below a half, of groups that may be shown."""
    learners = (pl.col("n_events") + pl.col("n_censored")).sum().over("panel")
    return (
        curves.filter(learners >= min_n)
        .filter(pl.col("survival") <= 0.5 + 1e-9)
        .group_by("panel", maintain_order=True)
        .agg(pl.col("duration").first())
        .with_columns(value=pl.lit(0.5))
    )


def _numbers_at_risk(
    panels: list[str], ticks: list[float], curves: pl.DataFrame, min_n: int
) -> pl.DataFrame:
    """Who is at risk at each tick: what the first row at or after it counts."""
    few = "0" if min_n == 1 else f"<{min_n}"
    rows = []
    for panel in panels:
        own = curves.filter(panel=panel)
        for tick in ticks:
            ahead = own.filter(pl.col("duration") >= tick)["n_at_risk"].head(1).to_list()
            text = f"{ahead[0]:,}" if ahead and ahead[0] is not None else few
            rows.append((panel, tick, text))
    schema = {"panel": pl.String, "duration": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


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


def _basis(
    curves: pl.DataFrame, exclusions: pl.DataFrame | None, min_n: int, source: str | None
) -> str:
    """Tell how many learners the curves rest on, who is left out, and whence they come."""
    learners = curves.select(pl.sum("n_events") + pl.sum("n_censored")).item()
    left_out = curves.unique("panel").select(pl.sum("n_excluded")).item()
    parts = [f"n = {_people(learners, min_n)} learners"]
    if exclusions is not None and exclusions.height:
        reasons = exclusions.group_by("reason").agg(pl.col("n_excluded").sum()).sort("reason")
        told = [f"{_people(n, min_n)} {reason}" for reason, n in reasons.iter_rows()]
        parts.append(f"left out: {', '.join(told)}")
    elif left_out:
        parts.append(f"{_people(left_out, min_n)} left out")
    line = " · ".join([*parts, *([source] if source else [])])
    return f"{line}\nBands are pointwise confidence intervals, short marks censored learners"


def _people(count: int, min_n: int) -> str:
    return f"{count:,}" if count == 0 or count >= min_n else f"fewer than {min_n}"
