"""Cells of a heat map: shares in shades of one colour, upper bounds, and cells without a figure.

Everything a cell shows comes from released figures: `text` is in the cell, `ink` is the colour of
the text, `kind` says what the cell is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts.basis import letter_colour
from toolkit.charts.theme import FAINT, GRID, MUTED, RULE
from toolkit.results.result import Released
from toolkit.text import words

SHARE, SMALL, WITHHELD, NEVER = "share", "small", "withheld", "not yet"


def cells(rows: pl.DataFrame, rate: str, released: Released, *, top: float) -> pl.DataFrame:
    """Add what the cell of each row shows: `kind`, `text` and `ink`."""
    kinds, texts, inks = [], [], []
    for row in rows.iter_rows(named=True):
        text = words.share(row, rate, released)
        kind = _kind(row, rate, text)
        kinds.append(kind)
        texts.append({WITHHELD: f"n<{released.min_n}", NEVER: ""}.get(kind, text))
        ink = letter_colour(row[rate], top) if kind == SHARE else MUTED
        inks.append(ink)
    return rows.with_columns(
        kind=pl.Series(kinds, dtype=pl.String),
        text=pl.Series(texts, dtype=pl.String),
        ink=pl.Series(inks, dtype=pl.String),
    )


def top_of(rows: pl.DataFrame, rate: str) -> float:
    """Return the end of the ramp: the largest share, but at least 5%."""
    largest = rows[rate].max()
    return max(0.05, largest if isinstance(largest, float) else 0.0)


def layers(
    rows: pl.DataFrame,
    rate: str,
    x: alt.X,
    y: alt.Y,
    *,
    title: str,
    top: float,
    tooltip: Sequence[alt.Tooltip],
) -> list[Any]:
    """Draw the cells that `cells` describes."""
    base = alt.Chart().encode(x=x, y=y, tooltip=list(tooltip))
    fill = alt.Color(
        f"{rate}:Q",
        title=title,
        scale=alt.Scale(domain=[0, top]),
        legend=alt.Legend(format=".0%", tickCount=4) if _has(rows, SHARE) else None,
    )
    drawn: list[Any] = []
    if _has(rows, SHARE):
        drawn.append(_of(base, SHARE).mark_rect().encode(color=fill))
    for kind, colour in ((SMALL, FAINT), (WITHHELD, GRID)):
        if _has(rows, kind):
            drawn.append(_of(base, kind).mark_rect(color=colour))
    inks = rows.filter(pl.col("text") != "")["ink"].unique().sort().to_list()
    drawn += [
        base.transform_filter(f"datum.text !== '' && datum.ink === '{ink}'")
        .mark_text(fontSize=13, color=ink)
        .encode(text="text:N")
        for ink in inks
    ]
    if _has(rows, NEVER):
        slash = _of(base, NEVER).mark_point(
            shape="M-1,1L1,-1", size=110, stroke=RULE, strokeWidth=1, opacity=1
        )
        drawn.append(slash)
    return drawn


def legend_of(rows: pl.DataFrame, min_n: int | None) -> list[str]:
    """Explain, for the subtitle, cells without a plain share."""
    said = {
        SMALL: f"“<”: fewer than {min_n} did so",
        WITHHELD: f"“n<{min_n}”: fewer than {min_n} were observed",
        NEVER: "a stroke where there is nothing to observe yet",
    }
    told = [text for kind, text in said.items() if _has(rows, kind)]
    return [words.capitalized(", ".join(told))] if told else []


def _kind(row: dict[str, Any], rate: str, text: str) -> str:
    if row[rate] is not None:
        return SHARE
    if text.startswith("<"):
        return SMALL
    return WITHHELD if str(row["status"]).startswith("withheld") else NEVER


def _has(rows: pl.DataFrame, kind: str) -> bool:
    return bool((rows["kind"] == kind).any())


def _of(base: alt.Chart, kind: str) -> alt.Chart:
    return base.transform_filter(f"datum.kind === '{kind}'")
