"""Read group names, figures as text and the subtitle from a released result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts.theme import ON_DARK, ON_LIGHT, RAMP
from toolkit.results.result import Released
from toolkit.schemas import Role
from toolkit.text import naming, words

MOST = 30  # rows of a chart; of more, only the highest and the lowest are drawn


def labelled(released: Released, *columns: str) -> pl.DataFrame:
    """Return the released frame with `group`, the group's name, and `text_…`, figures as text."""
    frame = released.frame
    rows = frame.rows(named=True)
    texts = [
        pl.Series(f"text_{name}", [figure(row, name, released) for row in rows], pl.String)
        for name in columns
    ]
    named = frame if "group" in released.schema.names else naming.of_rows(released, "group")
    return named.with_columns(*texts)


def tips(**titles: str) -> list[alt.Tooltip]:
    """Return the tooltips of columns of text, with their titles."""
    return [alt.Tooltip(f"{column}:N", title=title) for column, title in titles.items()]


def figure(row: dict[str, Any], name: str, released: Released) -> str:
    """Write a count, or a rate with its interval: "<10", "<3%", "12% (10–14%)"."""
    column = released.schema[name]
    if column.role == Role.COUNT:
        if words.is_withheld(row, name, released):
            return words.count_text(None, released.min_n)
        return words.count(row[name])
    return words.with_interval(
        words.share(row, name, released), words.interval(row, name, released)
    )


def subtitle(
    released: Released,
    n: Iterable[int | None],
    *notes: str,
    unit: tuple[str, str] = ("enrollment", "enrollments"),
    group: str = "group",
) -> str:
    """Write the subtitle: how many, of what, from where, and remarks on the figures.

    `n` counts the units of each group, null where that is not shown.
    """
    known = how_many(n, released.min_n, unit, group)
    first = " · ".join(filter(None, [known, released.caption]))
    protection = (
        "Exact figures, unprotected"
        if released.min_n is None
        else f"Counts are rounded to multiples of 5; fewer than {released.min_n} are withheld"
    )
    return "\n".join([first, ". ".join([*notes, protection])])


def how_many(n: Iterable[int | None], min_n: int | None, unit: tuple[str, str], group: str) -> str:
    """Say how many there are: "n = 8,895 enrollments", "n = <10–2,250 enrollments per course".

    Empty if there are no groups.
    A sum of groups that are rounded separately would not be what all of them are rounded to.
    """
    of_groups = list(n)
    known = [one for one in of_groups if one is not None]
    if not of_groups:
        return ""
    if not any(known):
        return words.NOTHING.capitalize()
    is_withheld = min_n is not None and None in of_groups
    fewest = words.count(None if is_withheld else min(known), min_n)
    most, text = max(known), words.plural(max(known), *unit)
    ends = text if fewest == words.count(most) else f"{fewest}–{text}"
    return f"n = {ends}{f' per {group}' if len(of_groups) > 1 else ''}"


def of_each(rows: pl.DataFrame, name: str, by: Iterable[str]) -> list[int | None]:
    """Return for each group a count that is the same in all rows of the group."""
    groups = [*by]
    once = rows.unique(groups, maintain_order=True) if groups else rows.head(1)
    return once[name].to_list()


def differences(rows: pl.DataFrame, released: Released, told: Sequence[str]) -> pl.DataFrame:
    """Return what dots of differences show; those that differ by more than chance are filled."""
    return rows.with_columns(
        value="difference",
        low="simultaneous_low",
        high="simultaneous_high",
        filled=(pl.col("p_adjusted") < released.alpha).fill_null(value=False),
        text=pl.Series(told, dtype=pl.String),
        p=pl.Series(
            [words.p_value(p, released.alpha) for p in rows["p_adjusted"]], dtype=pl.String
        ),
    )


def fewest_and_most(ranked: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the first and last of many rows, and a note that says so."""
    if ranked.height <= MOST:
        return ranked, []
    half = MOST // 2
    drawn = pl.concat([ranked.head(half), ranked.tail(half)])
    return drawn, [f"The highest {half} and the lowest {half} of {ranked.height:,} groups"]


def letter_colour(value: float | None, top: float) -> str:
    """Choose dark or light text for a cell of the ramp, whichever has more contrast."""
    if value is None or top <= 0:
        return ON_LIGHT
    place = min(max(value / top, 0.0), 1.0) * (len(RAMP) - 1)
    low = int(place)
    high = min(low + 1, len(RAMP) - 1)
    fill = [
        a + (b - a) * (place - low) for a, b in zip(_rgb(RAMP[low]), _rgb(RAMP[high]), strict=True)
    ]
    return max((ON_LIGHT, ON_DARK), key=lambda letters: contrast(_rgb(letters), fill))


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.1 defines it."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _rgb(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _luminance(rgb: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
