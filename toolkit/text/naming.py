"""Write the names of groups: plain, distinct, and as short as charts and tables need them."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import polars as pl

from toolkit.results.result import Released
from toolkit.schemas.comparison_results import AS_TEXT, BETWEEN, NO_GROUP
from toolkit.text.words import ABSENT, day

UNKNOWN = "unknown"  # a null group; a group with that very name is quoted
ALL, ALL_GROUPS = "all learners", "all groups"
LONGEST = 48  # letters of average width in the name of a chart's group
_TOWER = re.compile(
    r"((?:[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]){2})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)
_FLAGS = {chr(code) for code in range(0x1F1E6, 0x1F200)}
_WIDE, _NARROW = frozenset("MWmw@%"), frozenset("fijlrtI.,:;'|!()[]{}/\\- `\"")
_RESERVED = {UNKNOWN, ALL, ALL_GROUPS, NO_GROUP, ABSENT, ""}


def name(value: object, column: str = "") -> str:
    """Write a group's value as one line of plain text; null is "unknown".

    Examples:
        >>> name(None), name("unknown"), name(True, "is_active")
        ('unknown', '“unknown”', 'is active: yes')
    """
    of = clean(column.replace("_", " "))
    if value is None:
        return f"{UNKNOWN} {of}".strip()
    if isinstance(value, bool):
        return f"{of}: {'yes' if value else 'no'}".removeprefix(": ")
    if isinstance(value, date):
        return day(value, column)
    if isinstance(value, float):
        return f"{value + 0.0:.15g}"
    text = clean(str(value))
    is_taken = text in _RESERVED or text.startswith((f"{UNKNOWN} ", "“"))
    text = f"“{text}”" if is_taken else text
    # Otherwise a number after a name in Arabic or Hebrew would be displayed as part of it.
    is_rightward = any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text)
    return f"{text}\u200e" if is_rightward else text


def compared(released: Released) -> dict[str, str]:
    """Name the groups that a comparison's columns hold as text, as other results name them."""
    groups = released.compared
    if groups is None:
        return {}
    by = [column for column in groups.columns if column != AS_TEXT]
    return dict(zip(groups[AS_TEXT], labels(groups, by), strict=True))


def of_rows(released: Released, column: str = "_name") -> pl.DataFrame:
    """Name each row's group in a column, alike wherever groups of this result are told."""
    by = [*released.by]
    if not by:
        return released.frame.with_columns(pl.lit(ALL).alias(column))
    every = released.whole if released.compared is None else released.compared
    groups = every.select(by).unique(maintain_order=True)
    # Not by a join, in which NaN is no group.
    rows = pl.concat([groups, released.frame.select(by)]).with_row_index(" place")
    places = rows.select(pl.col(" place").first().over(by)).to_series()[groups.height :]
    names = pl.Series(column, labels(groups, by), pl.String)
    return released.frame.with_columns(names.gather(places))


def clean(text: str) -> str:
    """Write platform text as one visible line, without control or direction characters.

    At most two combining marks per letter stay; more would cover the lines around.
    """
    return _TOWER.sub(r"\1", "".join(_visible(character) for character in text)).strip()


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " " if character in "\t\n\r" else "�"
    if kind in {"Zl", "Zp"}:
        return " "
    is_joiner = character in "\u200c\u200d"  # parts of words and of emoji
    return "�" if kind == "Cs" or (kind == "Cf" and not is_joiner) else character


def cohorts(firsts: Iterable[date | None]) -> dict[date | None, str]:
    """Name cohorts by their first day: as months if all begin a month, else as days.

    Those that all begin a month on a Monday may be weeks. Give all cohorts of a result, so that
    each has the same name wherever some are told.
    """
    known = {first for first in firsts if first is not None}
    begin_months = all(first.day == 1 for first in known)
    may_be_weeks = all(first.weekday() == 0 for first in known)
    column = "enrolled_month" if begin_months and not may_be_weeks else ""
    return {first: UNKNOWN if first is None else day(first, column) for first in firsts}


def ends(values: Iterable[str]) -> dict[str, str]:
    """Name competing ends, no two of them alike.

    Examples:
        >>> ends(["left", "left ", ""])
        {'': '“”', 'left': 'left', 'left ': 'left (2)'}
    """
    found = sorted(set(values))
    return dict(zip(found, distinct([name(value) for value in found]), strict=True))


def strata(columns: str) -> str:
    """Name the columns that make strata: course for `course_id`."""
    plain = columns.replace("display_name", "course").replace("course_id", "course")
    return name(plain.replace("_", " "))


def labels(frame: pl.DataFrame, by: Sequence[str]) -> list[str]:
    """Name each row's group; no two groups get the same name."""
    if not by:
        return [ALL] * frame.height
    # Grouped by Polars, since Python takes two moments at the end of summer time for one.
    places = frame.select(by).with_row_index(" row").group_by(by, maintain_order=True).agg(" row")
    named = distinct([_label(key) for key in places.select(by).iter_rows(named=True)])
    found = zip(named, places[" row"].to_list(), strict=True)
    label_of = {row: label for label, rows in found for row in rows}
    return [label_of[row] for row in range(frame.height)]


def _label(values: dict[str, Any]) -> str:
    if values.pop("is_total", False):
        return ALL_GROUPS
    return BETWEEN.join(name(value, column) for column, value in values.items())


def distinct(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Shorten long names in the middle, and number those that would look alike.

    Examples:
        >>> distinct(["Algebra", "Algebra", "Algebra (2)"])
        ['Algebra', 'Algebra (3)', 'Algebra (2)']
    """
    short = [shortened(name, longest) for name in names]
    taken, seen = set(short), Counter[str]()
    unique = []
    for name in short:
        seen[name] += 1
        numbered = name
        while seen[name] > 1 and numbered in taken:
            numbered = f"{name} ({seen[name]})"
            seen[name] += numbered in taken
        taken.add(numbered)
        unique.append(numbered)
    return unique


def shortened(text: str, longest: float = LONGEST) -> str:
    """Cut the middle out of a wide text; the end distinguishes the runs of a course.

    The width is in halves of a letter's height, about the width of a letter.

    Examples:
        >>> shortened("Statistics for the social sciences", 20)
        'Statistics …l sciences'
    """
    letters = _letters(text)
    widths = [_width_of(letter) for letter in letters]
    if sum(widths) <= longest:
        return text
    half = (longest - _width_of("…")) / 2
    head = sum(width <= half for width in itertools.accumulate(widths))
    tail = sum(width <= half for width in itertools.accumulate(reversed(widths)))
    return f"{''.join(letters[:head])}…{''.join(letters[len(letters) - tail :])}"


def pair(a: str, b: str) -> str:
    """Name a difference of two groups; if it is too wide, each name is shortened.

    Examples:
        >>> pair("verified", "audit")
        'verified − audit'
    """
    minus = " − "
    if width(f"{a}{minus}{b}") > LONGEST:
        half = (LONGEST - width(minus)) / 2
        a, b = shortened(a, half), shortened(b, half)
    return f"{a}{minus}{b}"


def _letters(text: str) -> list[str]:
    """Split a text into what is displayed as single letters or emoji, between which to cut it."""
    letters: list[str] = []
    for character in text:
        before = letters[-1] if letters else ""
        is_flag = character in _FLAGS and len(before) == 1 and before in _FLAGS
        if before and (_is_mark(character) or before.endswith("\u200d") or is_flag):
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def _is_mark(character: str) -> bool:
    is_skin = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_skin or character == "\u200d" or unicodedata.category(character)[0] == "M"


def width(text: str) -> float:
    """Estimate the width of a text in a sans serif, in halves of a letter's height.

    Examples:
        >>> width("unit") < width("Unit") < width("UNIT"), width("統計")
        (True, 4.0)
    """
    return sum(_width_of(letter) for letter in _letters(text))


def _width_of(letter: str) -> float:
    first = letter[0]
    if unicodedata.east_asian_width(first) in "WF" or unicodedata.category(first) == "So":
        return 2.0
    if first in _WIDE:
        return 1.7
    if first in _NARROW:
        return 0.6
    return 1.35 if first.isupper() else 1.0
