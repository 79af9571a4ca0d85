"""A sentence on how much a headline depends on choices."""

from __future__ import annotations

import polars as pl

from toolkit.results.result import Released
from toolkit.schemas.paper_results import AS_REPORTED
from toolkit.text import naming, words
from toolkit.text.words import Row


def in_words(released: Released) -> str:
    """Give the figure as reported, and its range under the alternative choices."""
    name = figure(released)
    first = released.whole.row(0, named=True)
    others = released.frame.filter(pl.col("choice") != AS_REPORTED)
    if first[name] is None or first["choice"] != AS_REPORTED:
        text = "Too few learners to show, or the figure is not reached."
        return words.too_few(released, text)
    text = f"The {first['headline']} is {figure_text(first, name, released)}"
    text += words.in_brackets(between(first, name, released), released)
    seen = others.filter(pl.col(name).is_not_null()).sort(name, maintain_order=True)
    if seen.is_empty():
        return f"{text}; no other choice can be shown." if others.height else f"{text}."
    low, high = seen.row(0, named=True), seen.row(-1, named=True)
    lost = others.height - seen.height
    hidden = f" {words.plural(lost, 'choice')} cannot be shown." if lost else ""
    if seen.height == 1:
        return f"{text}; {described(low)}, it is {figure_text(low, name, released)}.{hidden}"
    return (
        f"{text}; under {words.plural(seen.height, 'other choice')}, each alone, it lies between "
        f"{figure_text(low, name, released)} ({described(low)}) and "
        f"{figure_text(high, name, released)} ({described(high)}).{hidden}"
    )


def figure(released: Released) -> str:
    """Return the column of the headline: "rate" or "days"."""
    is_rate = released.frame["headline"].str.ends_with("rate").any()
    return "rate" if is_rate or released.frame.is_empty() else "days"


def described(row: Row) -> str:
    """Write a choice, and how many it leaves out: "as of 2025-10-03, which leaves out 40"."""
    choice = naming.clean(f"{row['choice']} {row['value']}").replace("pass rule", "a pass being")
    return f"{choice}, which leaves out {row['n_left_out']:,}" if row["n_left_out"] else choice


def figure_text(row: Row, name: str, released: Released) -> str:
    """Write the figure of a row."""
    if name == "rate":
        return words.share(row, "rate", released)
    return words.ABSENT if row["days"] is None else words.span(row["days"], released)


def between(row: Row, name: str, released: Released) -> str:
    """Write the interval of the figure, or nothing."""
    if name == "rate":
        return words.interval(row, "rate", released)
    return words.written_interval(row["days_ci_low"], row["days_ci_high"], words.days)
