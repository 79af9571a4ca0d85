"""Narratives of tests and differences of curves. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import polars as pl

from toolkit.results.result import Released
from toolkit.text import naming, words
from toolkit.text.comparison_narratives import (
    NO_MORE,
    ONLY_CHANCE,
    degrees,
    differing,
    untested,
    verdict,
)
from toolkit.text.curve_narratives import as_percent, standardization
from toolkit.text.left_out import in_groups, in_pairs
from toolkit.text.words import Row, plural

_MOST = 4  # differences named one by one


def logrank(released: Released) -> str:
    """Say whether the curves differ by more than chance."""
    return _test(released, "curves", "log-rank")


def gray_test(released: Released) -> str:
    """Say whether the incidence of an end differs between groups by more than chance."""
    return _test(released, "incidence curves", "Gray's")


def _test(released: Released, what: str, test: str) -> str:
    released = replace(released, frame=released.whole)  # the test is of all groups, filtered or not
    row = released.frame.row(0, named=True)
    if released.frame.height == 1:
        return f"The {what} cannot be compared: there is only one group."
    if row["p_value"] is None or row["statistic"] is None:
        few = "too few events, or clusters, with two groups at risk"
        return f"The {what} cannot be compared: {few}."
    figures = (
        f"χ² = {words.number(row['statistic'])}, {degrees(row['df'])}, "
        f"{words.p_value(row['p_value'], released.alpha)}"
    )
    n = released.frame.filter("is_compared").height
    left = untested(released.frame.height - n)
    return (
        f"The {what} of the {plural(n, 'group')} {verdict(row['p_value'], released.alpha)} "
        f"({test} test: {figures}).{left}{in_groups(released)}{words.formed_later(released.by)}"
    )


def logrank_pairs(released: Released) -> str:
    """Say how many pairs of curves differ by more than chance, and which most clearly."""
    seen = released.frame.filter(pl.col("p_adjusted").is_not_null())
    left_out = in_pairs(released, ["group"], "other")
    if seen.is_empty():
        return words.too_few(released, f"{words.TOO_FEW}{left_out}")
    differ = seen.filter(pl.col("p_adjusted") < released.alpha).height
    row = seen.sort("p_adjusted", "p_value", maintain_order=True).row(0, named=True)
    name_of = naming.compared(released)
    pair = f"{name_of[row['group']]} and {name_of[row['other']]}"
    p = f"{words.p_value(row['p_adjusted'], released.alpha)} after Holm's correction"
    if differ == 0:
        finding = f"The curves {ONLY_CHANCE}"
    else:
        finding = differing(differ, f"{plural(seen.height, 'pair')} of curves")
    return f"{finding}; the smallest p is that of {pair} ({p}).{left_out}"


def rmst_difference(released: Released) -> str:
    """Say how many days sooner or later each group passes, on average, than the reference."""
    seen = _known(released)
    left_out = in_pairs(released, list(released.by), "reference")
    if seen.is_empty():
        return words.too_few(released, f"{words.TOO_FEW}{left_out}")
    phrases, write = [], partial(words.signed_days, is_end=True)
    for row in _ends_of(seen).iter_rows(named=True):
        span = words.span(abs(row["difference"]), released)
        way = f"{span} {'sooner' if row['difference'] < 0 else 'later'}"
        if span.startswith(("0 ", "0.0 ")):
            way = "at the same time"
        p = words.p_value(row["p_adjusted"], released.alpha)
        phrases.append(
            f"{row['_name']} {way} "
            f"({words.kind_of_interval(released)} {_interval(row, write)}, {p})"
        )
    first = seen.row(0, named=True)
    until = words.within(first["horizon"], released).capitalize()
    return (
        f"{until} learners pass, on average, compared with "
        f"{naming.compared(released)[first['reference']]}: {_joined(phrases, seen)}."
        f"{words.for_all(released)}{_caution(seen, released)}"
        f"{left_out}{standardization(released)}"
        f"{words.formed_later(released.by)}"
    )


def milestone_difference(released: Released) -> str:
    """Say by how many percentage points the share passed differs from the reference's."""
    seen = _known(released)
    left_out = in_pairs(released, list(released.by), "reference")
    if seen.is_empty():
        return words.too_few(released, f"{words.TOO_FEW}{left_out}")
    write = partial(words.points, decimal=released.min_n is None, is_end=True)
    phrases = [
        f"{row['_name']} {as_percent(row['passed_share'], released)}, "
        f"{words.percentage_points(row['difference'], decimal=released.min_n is None)} "
        f"({words.kind_of_interval(released)} {_interval(row, write)}, "
        f"{words.p_value(row['p_adjusted'], released.alpha)})"
        for row in _ends_of(seen).iter_rows(named=True)
    ]
    first = seen.row(0, named=True)
    return (
        f"By {words.at_time(first['at'], released)}, "
        f"{as_percent(first['reference_share'], released)} of "
        f"{naming.compared(released)[first['reference']]} have passed. "
        f"In comparison: {_joined(phrases, seen)}."
        f"{words.for_all(released)}{_caution(seen, released)}"
        f"{left_out}{standardization(released)}"
        f"{words.formed_later(released.by)}"
    )


def _known(released: Released) -> pl.DataFrame:
    return naming.of_rows(released).filter(pl.col("difference").is_not_null())


def _interval(row: Row, write: Callable[[float], str]) -> str:
    low, high = row["simultaneous_low"], row["simultaneous_high"]
    if low is None or low == high:
        return "unknown"
    return words.written_interval(low, high, write) or write(low)


def _ends_of(seen: pl.DataFrame) -> pl.DataFrame:
    """Return all rows if they are few, else the smallest and the largest difference."""
    ranked = seen.sort("difference", maintain_order=True)
    return ranked if ranked.height <= _MOST else pl.concat([ranked.head(1), ranked.tail(1)])


def _joined(phrases: list[str], seen: pl.DataFrame) -> str:
    text = "; ".join(phrases)
    return text if seen.height <= _MOST else f"{text}, the extremes of {seen.height:,} groups"


def _caution(seen: pl.DataFrame, released: Released) -> str:
    doubtful = seen.filter(pl.col("p_adjusted") >= released.alpha).height
    return f" Where p is {released.alpha:g} or more, the difference {NO_MORE}." if doubtful else ""
