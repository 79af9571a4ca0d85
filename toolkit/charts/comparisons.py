"""Charts of differences between pairs of groups, and of moves between courses."""

from __future__ import annotations

from functools import partial
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts import heat_maps
from toolkit.charts.basis import differences, labelled, of_each, subtitle, tips
from toolkit.charts.dots import Axis, dots
from toolkit.charts.theme import finish
from toolkit.results.registry import NO_PAIR
from toolkit.results.result import Released
from toolkit.schemas.outcome_results import ANY_COURSE
from toolkit.text import naming, words
from toolkit.text.comparison_narratives import differing

MOST_PAIRS = 30


def pairs(released: Released) -> alt.LayerChart:
    """Draw the differences of `compare_groups` with simultaneous intervals, largest first.

    A filled dot is a pair that differs, its interval excluding 0. At most 30 pairs are drawn, those
    with the largest differences; the subtitle says so.
    """
    seen = released.frame.filter(pl.col("difference").is_not_null())
    most = seen.sort(pl.col("difference").abs(), descending=True).head(MOST_PAIRS)
    most = most.sort("difference", descending=True)
    groups, name_of = most.select("group_a", "group_b").rows(), naming.compared(released)
    names = naming.distinct([naming.pair(name_of[a], name_of[b]) for a, b in groups])
    told = [_difference(row, released) for row in most.iter_rows(named=True)]
    drawn = differences(most, released, told).select(
        "value", "low", "high", "filled", "text", "p", group=pl.Series(names, dtype=pl.String)
    )
    differ = seen.filter(pl.col("p_adjusted") < released.alpha).height
    level = words.kind_of_interval(released)
    of = words.plural(seen.height, "pair")
    finding = differing(differ, f"{of} of groups")
    if seen.is_empty():
        finding = f"Pairs of groups: {words.NOTHING}" if released.frame.height else NO_PAIR[:-1]
    together = ", all intervals together" if released.whole.height > 1 else ""
    alone = ["Intervals hold for all pairs together"] if together else []
    notes = [f"Filled dots differ{together}"] if differ else alone
    if seen.height > MOST_PAIRS:
        notes.append(f"The {MOST_PAIRS} largest differences")
    hidden = released.frame.height - seen.height
    if hidden:
        notes.append(f"{words.plural(hidden, 'pair')} cannot be shown")
    learners = pl.concat(
        [seen.select(group=f"group_{side}", n=f"n_learners_{side}") for side in ("a", "b")]
    ).unique("group")
    return finish(
        dots(
            drawn,
            Axis(f"Difference of the shares, with {level}", "+.0%", zero=True),
            tips(group="groups", text=f"difference ({level})", p="p, adjusted"),
        ),
        title=finding,
        subtitle=subtitle(released, learners["n"], *notes, unit=("learner", "learners")),
        description=f"Dot plot of differences between groups with {level}s. {finding}.",
    )


def _difference(row: dict[str, Any], released: Released) -> str:
    decimal = words.supports_decimal(row, "difference", released)
    value = words.points(row["difference"], decimal=decimal)
    write = partial(words.points, decimal=decimal, is_end=True)
    ends = words.written_interval(row["simultaneous_low"], row["simultaneous_high"], write)
    return words.with_interval(value, ends)


def transitions(released: Released) -> alt.LayerChart:
    """Draw which course follows which: a row per course passed, a column per course taken next."""
    rows = labelled(released, "n_moved", "n_passed", "move_rate")
    top = heat_maps.top_of(rows, "move_rate")
    rows = heat_maps.cells(rows, "move_rate", released, top=top)
    finding = _way(released)
    layers = heat_maps.layers(
        rows,
        "move_rate",
        alt.X(
            "to_course:N",
            title="Enrolled in next",
            axis=alt.Axis(orient="top", labelAngle=-40, labelPadding=6),
        ),
        alt.Y("from_course:N", title="Passed", axis=alt.Axis(labelPadding=8)),
        title="Share of those who passed",
        top=top,
        tooltip=tips(
            from_course="passed",
            to_course="enrolled in next",
            text_n_moved="learners",
            text_n_passed="of",
            text_move_rate=f"share ({words.kind_of_interval(released)})",
        ),
    )
    return finish(
        alt.LayerChart(data=rows, layer=layers).properties(width=alt.Step(72), height=alt.Step(26)),
        title=finding,
        subtitle=subtitle(
            released,
            of_each(rows, "n_passed", ["from_course"]),
            *heat_maps.legend_of(rows, released.min_n),
            unit=("pass", "passes"),
            group="course",
        ),
        description=f"Heat map of the course enrolled in after each course passed. {finding}.",
    )


def _way(released: Released) -> str:
    named = pl.col("to_course") != ANY_COURSE
    seen = released.frame.filter(pl.col("move_rate").is_not_null(), named)
    if seen.is_empty():
        return f"From course to course: {words.NOTHING}"
    best = seen.sort("move_rate", "from_course", "to_course").row(-1, named=True)
    return (
        f"{words.share(best, 'move_rate', released)} of those who passed {best['from_course']} "
        f"went on to {best['to_course']}"
    )
