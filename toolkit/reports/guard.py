"""The last look before a report is written: nobody is named, no record shown, no secret in it."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import time
from itertools import product

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.extras import extra
from toolkit.reports.execution import Executed

with extra("notebooks"):
    import nbformat

# What a username or an address is made of; what shows that a text was cut off.
_WORD = re.compile(r"[\w.@+-]+")
_CUT = re.compile(r"([\w.@+-]{4,}?)(?:…|\\u2026|\.\.\.|&hellip;)")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)")
_ROW_END = re.compile(r"</tr>|\}|\\n")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"\d*\.\d+")
_COURSE = re.compile(r"course-v1:[^\s\"'<>\\,;│┆|]+")

_PIECE = 12  # characters of a secret that tell of it
_SHORTEST_CUT = 6  # a shorter word that begins a name is no name
_FEW = 10


class Identities:
    """Whom a text may not name: names as they are, in any case, or cut off.

    Args:
        names: Usernames, pseudonyms and addresses.
        secrets: Tokens and keys; any piece of one counts.
    """

    def __init__(self, names: Iterable[str], secrets: Iterable[str] = ()) -> None:
        self._names = {name.casefold() for name in names if name}
        self._sorted = sorted(self._names)
        self._pieces = {
            piece for secret in secrets if secret for piece in _pieces(secret.casefold())
        }

    def holds_secret(self, text: str) -> bool:
        """Whether a piece of a secret is in the text."""
        lower = text.casefold()
        return any(piece in lower for piece in self._pieces)

    def named(self, text: str) -> set[str]:
        """The words that name a learner, as they stand in the text."""
        cut = {match[1] for match in _CUT.finditer(text)}
        return {word for word in _words(text) | cut if self._names_one(word, is_marked=word in cut)}

    def without(self, text: str) -> str:
        """The text with names and secrets replaced."""
        for word in sorted(self.named(text), key=len, reverse=True):
            text = text.replace(word, "(withheld)")
        return "(withheld: it holds a secret)" if self.holds_secret(text) else text

    def _names_one(self, word: str, *, is_marked: bool) -> bool:
        """Whether a word is a name, or the beginning of few names and no ordinary word."""
        word = word.casefold()
        if word in self._names:
            return True
        if not is_marked and (len(word) < _SHORTEST_CUT or word.isalpha() or word.isnumeric()):
            return False
        first = bisect_left(self._sorted, word)
        begun = self._sorted[first : first + _FEW]
        few = [name for name in begun if name.startswith(word)]
        long_enough = is_marked or any(3 * len(word) >= 2 * len(name) for name in few)
        return 0 < len(few) < _FEW and long_enough


class Records:
    """Which moments and rows are a learner's own.

    Args:
        person_course: One row per learner per course.
    """

    def __init__(self, person_course: pl.DataFrame) -> None:
        times = [person_course[name] for name in ("created", "passed_timestamp")]
        moments = pl.concat([one.rename("at") for one in times]).drop_nulls()
        # Midnight is a day, as charts write it, and no moment, whatever happened in that minute.
        told = moments.filter(moments.dt.time() >= time(0, 1)).dt.strftime("%Y-%m-%d %H:%M")
        as_of = person_course["as_of"].unique().dt.strftime("%Y-%m-%d %H:%M")
        self._moments = set(told) - set(as_of)
        days = person_course.select("course_id", pl.col("created").dt.date(), "percent_grade")
        self._rows = {
            (course, day.isoformat(), str(grade))
            for course, day, grade in days.drop_nulls().iter_rows()
            # A month's first day and a round share also stand in a table of cohorts.
            if day.day != 1 or len(str(grade)) > len("0.12")
        }

    def shown(self, text: str) -> bool:
        """Whether the text shows the minute of a record, or its course, day and grade in a row."""
        if not self._moments.isdisjoint(f"{day} {minute}" for day, minute in _MOMENT.findall(text)):
            return True
        return any(
            (course, day, str(float(number))) in self._rows
            for row in _ROW_END.split(text)
            for course, day, number in product(
                {*_COURSE.findall(row)}, {*_DAY.findall(row)}, {*_NUMBER.findall(row)}
            )
        )


def refuse_identities(
    executed: Iterable[Executed], *, identities: Identities, records: Records | None = None
) -> None:
    """Raise if an output names a learner, shows a record, or holds a secret.

    A word that the notebook's own text uses, such as "audit", is no identity there, even if a
    learner bears that name.

    Raises:
        DisclosureError: Names the notebook and the cell, not the learner.
    """
    for one in executed:
        source = "\n".join(cell.source for cell in one.notebook.cells)
        ordinary = {word.casefold() for word in _words(source)}
        for number, cell in enumerate(one.notebook.cells, start=1):
            said = json.dumps(cell.get("outputs", []), ensure_ascii=False)
            place = f"{one.name}, cell {number}: its output"
            if identities.holds_secret(said):
                raise DisclosureError(f"{place} holds the token or a key")
            if {word.casefold() for word in identities.named(said)} - ordinary:
                raise DisclosureError(
                    f"{place} names a learner; show counts instead, or the key of "
                    "tk.release.pseudonymize"
                )
            if records is not None and records.shown(said):
                raise DisclosureError(
                    f"{place} shows a learner's record, which can be found again by its dates; "
                    "show counts instead"
                )


def _words(text: str) -> set[str]:
    words = set(_WORD.findall(text))
    # A full stop or a dash that ends a sentence is no part of a name.
    return words | {word.strip(".-") for word in words}


def _pieces(secret: str) -> Iterator[str]:
    for start in range(max(1, len(secret) - _PIECE + 1)):
        yield secret[start : start + _PIECE]


def outputs_text(notebook: nbformat.NotebookNode) -> str:
    """All outputs of a notebook as one text, for scans."""
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)
