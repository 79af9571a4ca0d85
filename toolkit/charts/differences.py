"""Charts of differences from a reference group in the time to pass, one dot per group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import altair as alt
import polars as pl

from toolkit.charts.basis import differences, fewest_and_most, labelled, subtitle, tips
from toolkit.charts.curve_tables import standardization
from toolkit.charts.dots import Axis, dots
from toolkit.charts.theme import finish
from toolkit.results.registry import NO_PAIR
from toolkit.results.result import Released
from toolkit.text import naming, words

Ways: TypeAlias = tuple[tuple[str, str], tuple[str, str]]
"""How a group differs, to either side, in the words for one and for several."""


def rmst(released: Released) -> alt.LayerChart:
    """Draw how many days later than the reference each group passes, with intervals.

    The intervals of several groups are simultaneous. A filled dot is a group that differs by more
    than chance alone would explain.
    """
    first = _first(released)
    unit = released.schema.time
    until = words.days(first["horizon"]) if first.get("horizon") is not None else "the horizon"
    return _differences(
        released,
        Axis(
            f"{words.capitalized(unit)} later than the reference, on average within {until} {unit}",
            "+.0f",
            zero=True,
        ),
        words.signed_days,
        f" {unit}",
        (("passes sooner", "pass sooner"), ("passes later", "pass later")),
    )


def milestones(released: Released) -> alt.LayerChart:
    """Draw the difference of each group's share passed from the reference, in percentage points.

    A filled dot is a group that differs by more than chance alone would explain.
    """
    first = _first(released)
    day = words.days(first["at"]) if first.get("at") is not None else "that time"
    decimal = released.min_n is None
    return _differences(
        released,
        Axis(
            f"Passed by {words.unit(released)} {day}: difference from the reference",
            "+.0%",
            zero=True,
        ),
        partial(words.points, decimal=decimal),
        "",
        (
            ("has a smaller share passed", "have a smaller share passed"),
            ("has a larger share passed", "have a larger share passed"),
        ),
    )


def _first(released: Released) -> dict[str, Any]:
    return released.frame.row(0, named=True) if released.frame.height else {}


def _differences(
    released: Released, axis: Axis, write: Callable[..., str], unit: str, ways: Ways
) -> alt.LayerChart:
    named = labelled(released, "n_learners")
    seen = named.filter(pl.col("difference").is_not_null()).sort("difference", "group")
    drawn, notes = fewest_and_most(seen)
    told = [
        words.with_interval(
            f"{write(row['difference'])}{unit}",
            words.written_interval(
                row["simultaneous_low"], row["simultaneous_high"], partial(write, is_end=True)
            ),
        )
        for row in drawn.iter_rows(named=True)
    ]
    rows = differences(drawn, released, told).select(
        "group", "text_n_learners", "value", "low", "high", "filled", "text", "p"
    )
    unknown = named.filter(pl.col("difference").is_null())
    hidden = unknown.select("group", text=pl.lit(words.NOTHING))
    if notes and hidden.height:
        notes.append(f"{words.plural(hidden.height, 'group')} cannot be shown")
        hidden = hidden.clear()
    reference, whose = "the reference", []  # of no row, there is none
    if released.frame.height:
        reference = naming.compared(released)[_first(released)["reference"]]
        whose = [f"Reference: {reference}"]
    finding = _finding(seen, reference, ways, released.alpha) if whose else NO_PAIR[:-1]
    notes = [*whose, _note(released), *standardization(named), *notes]
    n = [*named["n_learners"], *named["n_reference"].head(1)]
    level = words.kind_of_interval(released)
    return finish(
        dots(
            rows,
            axis,
            tips(
                group="group",
                text=f"difference ({level})",
                p="p, adjusted",
                text_n_learners="learners",
            ),
            hidden=hidden,
        ),
        title=finding,
        subtitle=subtitle(released, n, *notes),
        description=f"Dot plot of differences from {reference} with {level}s. {finding}.",
    )


def _note(released: Released) -> str:
    together = ", for all groups together" if released.whole.height > 1 else ""
    return f"Filled dots: p below {released.alpha:g}{together}"


def _finding(seen: pl.DataFrame, reference: str, ways: Ways, alpha: float) -> str:
    if seen.is_empty():
        return f"Differences from {reference}: {words.NOTHING}"
    sure = seen.filter(pl.col("p_adjusted") < alpha)
    counts = [
        words.plural(part.height, *way)
        for part, way in zip(
            (sure.filter(pl.col("difference") < 0), sure.filter(pl.col("difference") > 0)),
            ways,
            strict=True,
        )
        if part.height
    ]
    of = words.plural(seen.height, "group")
    if not counts and not seen["p_adjusted"].count():
        return f"Differences from {reference}, which cannot be tested"
    if not counts:
        of = words.plural(seen["p_adjusted"].count(), "group")
        return f"None of {of} differs from {reference} by more than chance could explain"
    return f"Of {of}, {', '.join(counts)} than {reference}"
