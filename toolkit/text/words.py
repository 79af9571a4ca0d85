"""Write percentages, counts, days, dates and p-values, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any

import polars as pl

from toolkit.release.rounding import BASE
from toolkit.results.result import Released
from toolkit.schemas.outcome_results import PASSED_ASIDE
from toolkit.schemas.survival_results import UNDATED_SHARE

Row = dict[str, Any]
ABSENT = "–"
NOTHING = "too few learners to show"
TOO_FEW = "Too few learners to show."
_TOLERANCE = 1e-9  # a smaller number is a rounding error
_MANY = 5_000  # learners from which a share supports a decimal
_SPANS = {"enrolled_month": "%b %Y", "enrolled_year": "%Y"}


def too_few(released: Released, text: str = TOO_FEW) -> str:
    """Say that too few can be shown, unless the figures were filtered out."""
    is_part = released.frame.height < released.whole.height
    if is_part and not released.frame["status"].str.starts_with("withheld").any():
        return (
            "The rows left after filtering hold no figure to summarize; "
            "the table shows what they hold."
        )
    return text


def has_decimal(n: int | None, min_n: int | None) -> bool:
    """Whether a share of n learners is written with a decimal.

    A count is released to within 4, which is under half a percent from 1,000 learners on and
    under a tenth from 5,000 on.
    """
    return min_n is None or (n is not None and n >= _MANY)


def percent(share: float, *, decimal: bool = False, plain: bool = False) -> str:
    """Write a share: 0.123 is "12%". Only 0 and 1 themselves are written 0% and 100%.

    A `plain` one is rounded without "under" or "over", as at the end of an interval.

    Examples:
        >>> percent(0.125), percent(0.004), percent(0.004, decimal=True)
        ('13%', 'under 1%', '0.4%')
    """
    digits = 1 if decimal else 0
    smallest, rounded = 10**-digits, _in_percent(share, digits)
    if rounded <= 0 < share and not plain:
        return f"under {smallest:g}%"
    if rounded >= 100 > share * 100 and not plain:
        return f"over {100 - smallest:g}%"
    return f"{rounded:.{digits}f}%"


def _in_percent(share: float, digits: int) -> float:
    """Round a share, not below 0, to so many decimals of a percent, halves up."""
    scale = 10.0**digits
    return math.floor(share * 100 * scale + 0.5 + 1e-9) / scale


def signed(
    value: float, write: Callable[[float, int], str], digits: int, *, is_end: bool = False
) -> str:
    """Write a number with its sign, unless it is written as 0.

    `write` writes it without a sign, to so many digits. An end of an interval gets as many as show
    its sign, since that says whether the interval excludes 0.
    """
    text = write(abs(value), digits)
    while _is_0(text) and is_end and abs(value) > _TOLERANCE:
        digits += 1
        text = write(abs(value), digits)
    return text if _is_0(text) else f"{'−' if value < 0 else '+'}{text}"


def _is_0(text: str) -> bool:
    return not any(digit in text for digit in "123456789")


def points(difference: float, *, decimal: bool = False, is_end: bool = False) -> str:
    """Write a difference of two shares in percentage points, with its sign.

    An end of an interval has no unit; see `signed`.

    Examples:
        >>> points(0.031), points(0.0004, is_end=True), points(0.0)
        ('+3 points', '+0.04', '0 points')
    """
    text = signed(
        difference,
        lambda size, digits: f"{_in_percent(size, digits):.{digits}f}",
        1 if decimal else 0,
        is_end=is_end,
    )
    return text if is_end else f"{text} point{'' if text[1:] == '1' else 's'}"


def percentage_points(difference: float, *, decimal: bool = False) -> str:
    """Write a difference of two shares for a sentence: "+3 percentage points"."""
    return points(difference, decimal=decimal).replace("point", "percentage point")


def under(n: int, min_n: int) -> str:
    """Write the upper bound of a share whose numerator is withheld: "<3%" of 400 learners."""
    most = (min_n - 1) / max(min_n, n - BASE + 1)
    return f"<{math.floor(most * 100) + 1}%"


def count(n: int | None, min_n: int | None = None) -> str:
    """Write a count; a withheld one is under `min_n`."""
    if n is not None:
        return f"{n:,}"
    return ABSENT if min_n is None else f"<{min_n}"


def count_text(n: int | None, min_n: int | None) -> str:
    """Write a count for a sentence: "fewer than 10" if it is withheld."""
    if n is not None:
        return f"{n:,}"
    return "an unknown number" if min_n is None else f"fewer than {min_n}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 group", "3 groups"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def capitalized(text: str) -> str:
    """Write the first letter as a capital, and leave the others as they are."""
    return text[:1].upper() + text[1:]


def listed(parts: Sequence[str]) -> str:
    """Join parts as in a sentence: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def hidden(total: int, seen: int) -> str:
    """Say how many groups cannot be shown, if any."""
    return f" {total - seen:,} of {plural(total, 'group')} cannot be shown." if seen < total else ""


def of_groups(n: int, groups: Sequence[str]) -> str:
    """Say in how many of the groups: "all 5 groups", "3 of 5 groups"; one alone by its name."""
    if len(groups) == 1:
        return str(groups[0])
    return f"{'all' if n == len(groups) else f'{n} of'} {plural(len(groups), 'group')}"


def kind_of_interval(released: Released) -> str:
    """Name a result's intervals: "95% interval"."""
    return f"{released.level * 100:g}% interval"


def in_brackets(interval: str, released: Released) -> str:
    """Write an interval after its estimate: " (95% interval 60–86%)"; empty if there is none."""
    return f" ({kind_of_interval(released)} {interval})" if interval else ""


def with_interval(text: str, interval: str) -> str:
    """Write an estimate, and its interval in brackets if it has one."""
    return f"{text} ({interval})" if interval else text


def p_value(p: float | None, alpha: float) -> str:
    """Write a p-value to two digits, or to as many as show that it is below alpha.

    Examples:
        >>> p_value(0.0312, 0.05), p_value(0.0496, 0.05), p_value(0.0004, 0.05)
        ('p = 0.031', 'p = 0.0496', 'p < 0.001')
    """
    if p is None:
        return "p unknown"
    least = min(0.001, alpha)
    if p < least:
        return f"p < {least:g}"
    text, digits = f"{p:.2f}" if p >= 0.095 else f"{p:.2g}", 2
    while float(text) >= alpha > p:
        digits += 1
        text = f"{p:.{digits}g}"
    return f"p = {text}"


LATER = {"mode", "is_active", "completion", "percent_grade", "letter_grade", "passed", "last_date"}
"""Columns as of the last look, not as of enrollment."""


def formed_later(names: Iterable[str]) -> str:
    """Warn of groups that are formed by events after enrollment."""
    later = [name for name in names if name in LATER]
    if not later:
        return ""
    return (
        f" Groups by {' and '.join(f'`{name}`' for name in later)} are as of the last look; "
        "learners may have joined them later, even after passing (immortal time bias). If so, take "
        "the groups at a landmark, and only those still at risk then: `time_to_pass(entry=)`."
    )


def for_all(released: Released) -> str:
    """Say that intervals and p are adjusted for all comparisons of a table, if there are several.

    Comparisons that were filtered out count as well.
    """
    comparisons = released.whole.height
    if comparisons < 2:
        return ""
    return f" Intervals and p hold for all {comparisons:,} comparisons together (Bonferroni)."


def number(value: float) -> str:
    """Write a number without a unit: whole from 100 on, else to three digits."""
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def days(value: float) -> str:
    """Write a time in days: whole, but with a decimal for fractions under 10."""
    whole = value == round(value) or abs(value) >= 10
    return f"{value + 0.0:,.0f}" if whole else f"{value:.1f}"


def signed_days(value: float, *, is_end: bool = False) -> str:
    """Write a difference of two times in days, with its sign; see `signed`."""
    return signed(
        value,
        lambda size, digits: days(size) if digits == 1 else f"{size:.{digits}f}",
        1,
        is_end=is_end,
    )


def unit(released: Released) -> str:
    """Name the unit of a table's times, for one of them: "day"."""
    return released.schema.time.removesuffix("s")


def at_time(time: float, released: Released) -> str:
    """Write a time of a table: "day 90"."""
    return f"{unit(released)} {days(time)}"


def span(time: float, released: Released) -> str:
    """Write a length of time of a table: "90 days"."""
    text = days(time)
    return f"{text} {unit(released) if text == '1' else released.schema.time}"


def within(time: float, released: Released) -> str:
    """Write the time up to which something happens: "within 90 days"."""
    is_start = days(time) in {"0", "0.0"}
    return f"within {f'the first {unit(released)}' if is_start else span(time, released)}"


def day(value: date, column: str = "") -> str:
    """Write a date as its column means it: "Nov 2024", "Q4 2024" or "4 Nov 2024"."""
    if isinstance(value, datetime):
        seconds = f":{value:%S}" if value.second or value.microsecond else ""
        parts = f".{value:%f}".rstrip("0") if value.microsecond else ""
        return f"{value.day} {value:%b %Y %H:%M}{seconds}{parts} {value:%Z}".rstrip()
    if column == "enrolled_quarter":
        return f"Q{(value.month + 2) // 3} {value.year}"
    if column in _SPANS:
        return f"{value:{_SPANS[column]}}"
    return f"{value.day} {value:%b %Y}"


def share(row: Row, rate: str, released: Released) -> str:
    """Write a rate of a released row: its percentage, or an upper bound."""
    value = row[rate]
    if value is not None:
        return percent(value, decimal=supports_decimal(row, rate, released))
    counts = counts_of(rate, released)
    if counts is None or released.min_n is None:
        return ABSENT
    k, n = counts
    is_hidden = k in row and is_withheld(row, k, released)
    return under(row[n], released.min_n) if is_hidden and row.get(n) is not None else ABSENT


def counts_of(rate: str, released: Released) -> tuple[str, str] | None:
    """Return the numerator and the denominator of a rate; None for other statistics."""
    column = released.schema[rate]
    if column.unit != "fraction" or len(column.rests_on) != 2:
        return None
    k, n = column.rests_on
    return None if n in {"n_reference", "n_events"} else (k, n)


def supports_decimal(row: Row, name: str, released: Released) -> bool:
    """Whether the learners behind a statistic of a row support a decimal of a percent."""
    counts = counts_of(name, released)
    rests_on = counts[1:] if counts else released.schema[name].rests_on
    learners = [row.get(column) for column in rests_on]
    known = [int(n) for n in learners if n is not None]
    fewest = min(known) if known and len(known) == len(learners) else None
    return has_decimal(fewest, released.min_n)


def interval(row: Row, rate: str, released: Released) -> str:
    """Write the interval of a rate of a released row: "60–86%"; empty if there is none."""
    ends = released.schema.interval_of(rate)
    if ends is None:
        return ""
    decimal = supports_decimal(row, rate, released)
    low, high = (row[end] for end in ends)
    return written_interval(low, high, partial(percent, decimal=decimal, plain=True))


def written_interval(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    """Write an interval, each end by `write`; empty if an end is unknown, or both look alike."""
    if low is None or high is None:
        return ""
    ends = write(low), write(high)
    return "" if ends[0] == ends[1] else between(*ends)


def between(low: str, high: str) -> str:
    """Join the ends of an interval, the unit written once: "60–86%", "−3 to +5"."""
    if low.endswith("%") and high.endswith("%"):
        low = low.removesuffix("%")
    joined = " to " if {low[:1], high[:1]} & {"+", "−"} else "–"
    return f"{low}{joined}{high}"


def is_withheld(row: Row, column: str, released: Released) -> bool:
    """Whether a null count of a released row is withheld rather than absent.

    Some counts do not exist: of the stage before the first, of cells not yet reached, of
    learners who passed exactly at a tick.
    """
    if released.min_n is None or row[column] is not None:
        return False
    if str(row.get("status", "shown")).split(":")[0] not in {"shown", "withheld"}:
        return False
    if "stage" in row and column in {"n_previous", "n_dropped"}:
        return row["stage"] not in {"enrolled", PASSED_ASIDE}
    if "part" in row and column == "n_up_to":
        return bool(row["part"] == "bin")
    return not ("duration" in row and column in {"n_events", "n_censored"})


def undated_passers(groups: pl.DataFrame) -> str:
    """Say how many of those left out have passed, from one row per group; empty if none.

    A group's curve is shown only if they are few among its passers (`UNDATED_SHARE`).
    """
    n = groups["n_undated"].sum() if "n_undated" in groups.columns else 0
    most = percent(UNDATED_SHARE)
    return f", {n:,} of whom passed (at most {most} of a group's passers)" if n else ""
