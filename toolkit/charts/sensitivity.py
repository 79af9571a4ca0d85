"""The headline under other choices: dots with intervals below each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts.basis import subtitle, tips
from toolkit.charts.dots import Axis, dots
from toolkit.charts.theme import finish
from toolkit.results.result import Released
from toolkit.schemas.paper_results import AS_REPORTED
from toolkit.text import naming, words
from toolkit.text import sensitivity as said


def sensitivity(released: Released) -> alt.LayerChart:
    """Draw the headline under each choice with its interval; a dashed line is the reported one."""
    name = said.figure(released)
    rows = released.frame.rows(named=True)
    labels = naming.distinct([f"{row['choice']}: {naming.name(row['value'])}" for row in rows])
    texts = [
        words.with_interval(
            said.figure_text(row, name, released), said.between(row, name, released)
        )
        for row in rows
    ]
    counts = [words.count_text(row["n_learners"], released.min_n) for row in rows]
    drawn = released.frame.select(
        value=name,
        low=f"{name}_ci_low",
        high=f"{name}_ci_high",
        is_first=pl.col("choice") == AS_REPORTED,
    ).with_columns(
        group=pl.Series(labels, dtype=pl.String),
        text=pl.Series(texts, dtype=pl.String),
        n=pl.Series(counts, dtype=pl.String),
        filled="is_first",
    )
    is_known = pl.col("value").is_not_null()
    seen, unseen = drawn.filter(is_known), drawn.filter(~is_known)
    reported = drawn.filter("is_first")["value"].drop_nulls().to_list()
    headline = str(rows[0]["headline"]) if rows else "headline"
    finding, level = _finding(seen, headline, name), words.kind_of_interval(released)
    unit = f"{headline.capitalize()}, with {level}" if name == "rate" else f"Days, with {level}"
    return finish(
        dots(
            seen.drop("is_first"),
            Axis(unit, ".0%" if name == "rate" else ",.0f"),
            tips(group="choice", text=f"{headline} ({level})", n="learners"),
            hidden=unseen.select("group", text=pl.lit(words.NOTHING)),
            rule=reported[0] if reported else None,
        ),
        title=finding,
        subtitle=subtitle(
            released, [_reported(released)["n_learners"]], "Each choice changed alone"
        ),
        description=f"Dot plot of the {headline} under other choices, with intervals. {finding}.",
    )


def _reported(released: Released) -> dict[str, Any]:
    """The row of the headline as reported, also where it was filtered away or sorted elsewhere."""
    rows = released.whole.filter(choice=AS_REPORTED).rows(named=True)
    return rows[0] if rows else dict.fromkeys(released.schema.names)


def _finding(seen: pl.DataFrame, headline: str, name: str) -> str:
    if seen.is_empty():
        return f"{headline.capitalize()}: {words.NOTHING}"
    values = seen["value"].sort().to_list()
    write = partial(words.percent, plain=True) if name == "rate" else words.days
    low, high = write(values[0]), write(values[-1])
    told = high if low == high else words.between(low, high)
    days = "" if name == "rate" else " day" if told == "1" else " days"
    other = " under other choices" if len(values) > 1 else ""
    return f"{headline.capitalize()}: {told}{days}{other}"
