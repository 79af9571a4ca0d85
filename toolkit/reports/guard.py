"""The last checks before a report is written.

It names nobody, shows no record, holds no secret, and its figures are released.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import chain, product
from typing import Any, TypeAlias

import polars as pl

from toolkit.charts.theme import MIME
from toolkit.connect import SOURCE_PREFIX
from toolkit.errors import DisclosureError
from toolkit.reports.execution import Executed
from toolkit.results.output import OUTPUT

# What a username or an address is made of; what shows that a text was cut off.
_WORD = re.compile(r"[\w.@+-]+")
_CUT = re.compile(r"([\w.@+-]{4,}?)(?:…|\\u2026|\.\.\.|&hellip;)")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)")
_ROW_END = re.compile(r"</tr>|\}|\\n")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"\d*\.\d+")
_COURSE = re.compile(r"course-v1:[^\s\"'<>\\,;│┆|]+")

PUBLIC = "public"  # the tag of a cell whose author takes responsibility for what it shows
_DIGIT = re.compile(r"\d")
_SOURCE_PREFIX = re.compile(rf"^{SOURCE_PREFIX} .*$", re.MULTILINE)

_PIECE = 12  # characters of a secret that give it away
_SHORTEST_CUT = 6  # a shorter beginning of a name does not count
_FEW = 10

Row: TypeAlias = tuple[str, date, float]
"""A course, the day of an enrollment, and a grade."""


class Identities:
    """Names that a text must not contain: whole, in upper or lower case, or cut off.

    Names are usernames, pseudonyms and addresses. Of a secret, any piece counts.
    """

    def __init__(self, names: Iterable[str] | pl.Series, secrets: Iterable[str] = ()) -> None:
        # Millions of names take a tenth of the memory in Polars.
        given = names if isinstance(names, pl.Series) else pl.Series(list(names), dtype=pl.String)
        self._names = _casefolded(given.filter(given.str.len_bytes() > 0)).unique().sort()
        self._pieces = {
            piece for secret in secrets if secret for piece in _pieces(secret.casefold())
        }

    def holds_secret(self, text: str) -> bool:
        """Whether a piece of a secret is in the text."""
        lower = text.casefold()
        return any(piece in lower for piece in self._pieces)

    def named(self, text: str) -> set[str]:
        """Return the words that name a learner, as they stand in the text."""
        cut = {match[1] for match in _CUT.finditer(text)}
        words = [word for word in _words(text) | cut if word]
        if not words or self._names.is_empty():
            return set()
        folded = pl.Series([word.casefold() for word in words])
        places = self._names.search_sorted(folded)
        nearest = self._names.gather(places.clip(upper_bound=self._names.len() - 1))
        begin = pl.DataFrame({"name": nearest, "word": folded, "place": places}).with_row_index()
        begin = begin.filter(pl.col("name").str.starts_with(pl.col("word")))
        return {
            words[index]
            for index, name, word, place in begin.iter_rows()
            if name == word or self._names_one(word, place, is_marked=words[index] in cut)
        }

    def without(self, text: str) -> str:
        """Return the text with names and secrets replaced."""
        for word in sorted(self.named(text), key=len, reverse=True):
            text = text.replace(word, "(withheld)")
        return "(withheld: it holds a secret)" if self.holds_secret(text) else text

    def _names_one(self, word: str, place: int, *, is_marked: bool) -> bool:
        """Whether a word is the beginning of few names, and not an ordinary word."""
        if not is_marked and (len(word) < _SHORTEST_CUT or word.isalpha() or word.isnumeric()):
            return False
        few = [name for name in self._names[place : place + _FEW] if name.startswith(word)]
        long_enough = is_marked or any(3 * len(word) >= 2 * len(name) for name in few)
        return 0 < len(few) < _FEW and long_enough


class Records:
    """The records that a text must not show, by their moments and rows.

    They stay where they are.
    """

    def __init__(self, person_course: pl.DataFrame | pl.LazyFrame) -> None:
        self._records = person_course.lazy()

    def shown(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text shows the minute of a record, or its course, day and grade in a row."""
        minutes, rows = [_minutes_in(text) for text in texts], [_rows_in(text) for text in texts]
        own_minutes = self._minutes(set().union(*minutes))
        own_rows = self._rows(set().union(*rows))
        return [
            not (minute.isdisjoint(own_minutes) and row.isdisjoint(own_rows))
            for minute, row in zip(minutes, rows, strict=True)
        ]

    def _minutes(self, shown: set[datetime]) -> set[datetime]:
        """Return those of the minutes in which a record was created or passed."""
        if not shown:
            return set()
        asked = pl.Series(sorted(shown), dtype=pl.Datetime("us")).implode()
        names = ("created", "passed_timestamp", "as_of")
        at = pl.col(names).dt.replace_time_zone(None).cast(pl.Datetime("us"))
        minutes = self._records.select(at.dt.truncate("1m"))
        found = [
            minutes.select(pl.col(name).filter(pl.col(name).is_in(asked)).unique())
            for name in names
        ]
        *own, as_of = ({*part.to_series()} for part in pl.collect_all(found))
        return set().union(*own) - as_of

    def _rows(self, shown: set[Row]) -> set[Row]:
        """Return those of the rows that are a record's course, day and grade."""
        if not shown:
            return set()
        schema = {"course_id": pl.String, "day": pl.Date, "percent_grade": pl.Float64}
        asked = pl.LazyFrame(sorted(shown), schema=schema, orient="row")
        day = pl.col("created").dt.date().alias("day")
        rows = self._records.select("course_id", day, "percent_grade")
        return {*asked.join(rows, on=[*schema], how="semi").collect().iter_rows()}


def refuse_identities(
    executed: Iterable[Executed], *, identities: Identities, records: Records | None = None
) -> None:
    """Raise if an output names a learner, shows a record, or holds a secret.

    A word of the notebook's own text, such as "audit", does not count there, even if it is a
    learner's name.
    """
    done = list(executed)
    outputs = [
        [json.dumps(cell.get("outputs", []), ensure_ascii=False) for cell in one.notebook.cells]
        for one in done
    ]
    every = [*chain.from_iterable(outputs)]
    shown = iter([False] * len(every) if records is None else records.shown(every))
    for one, texts in zip(done, outputs, strict=True):
        source = "\n".join(cell.source for cell in one.notebook.cells)
        ordinary = {word.casefold() for word in _words(source)}
        for number, said in enumerate(texts, start=1):
            place = f"{one.name}, cell {number}: its output"
            if identities.holds_secret(said):
                raise DisclosureError(f"{place} holds the token or a key")
            if {word.casefold() for word in identities.named(said)} - ordinary:
                raise DisclosureError(
                    f"{place} names a learner; show counts instead, or the key of "
                    "tk.release.pseudonymize"
                )
            if next(shown):
                raise DisclosureError(
                    f"{place} shows a learner's record, which can be found again by its dates; "
                    "show counts instead"
                )


def _minutes_in(text: str) -> set[datetime]:
    """Return the minutes in a text, except midnight, since charts write a day that way."""
    found = (_read(f"{day}T{minute}") for day, minute in _MOMENT.findall(text))
    return {moment for moment in found if moment is not None and moment.time() != time(0)}


def _rows_in(text: str) -> set[Row]:
    """Return the courses, days and numbers that stand in one row of a text."""
    found = {
        (course, _read(day), float(number))
        for row in _ROW_END.split(text)
        for course, day, number in product(
            {*_COURSE.findall(row)}, {*_DAY.findall(row)}, {*_NUMBER.findall(row)}
        )
    }
    return {
        (course, day.date(), grade)
        for course, day, grade in found
        # A month's first day and a round share also stand in a table of cohorts.
        if day is not None and (day.day != 1 or len(str(grade)) > len("0.12"))
    }


def _read(moment: str) -> datetime | None:
    try:
        return datetime.fromisoformat(moment)
    except ValueError:  # not a day of the calendar
        return None


def _casefolded(names: pl.Series) -> pl.Series:
    """Apply `str.casefold`, which for ASCII is lower case."""
    lower, is_plain = names.str.to_lowercase(), names.str.len_bytes() == names.str.len_chars()
    if is_plain.all():
        return lower
    others = [name.casefold() for name in names.filter(~is_plain)]
    return pl.concat([lower.filter(is_plain), pl.Series(others, dtype=pl.String)])


def _words(text: str) -> set[str]:
    words = set(_WORD.findall(text))
    # A full stop or a dash that ends a sentence is not part of a name.
    return words | {word.strip(".-") for word in words}


def _pieces(secret: str) -> Iterator[str]:
    for start in range(max(1, len(secret) - _PIECE + 1)):
        yield secret[start : start + _PIECE]


def refuse_bare(executed: Iterable[Executed]) -> None:
    """Raise if an output shows figures that are not released.

    Released results, their tables, charts and sentences are marked. Any other output with a
    digit or a picture is refused, unless its cell is tagged "public" or it is the line of
    `connect_or_sandbox` that names the source.
    """
    for one in executed:
        for number, cell in enumerate(one.notebook.cells, start=1):
            if PUBLIC in cell.metadata.get("tags", []):
                continue
            if any(_is_bare(output) for output in cell.get("outputs", [])):
                raise DisclosureError(
                    f"{one.name}, cell {number}: it shows figures that are not released; show a "
                    "result, its table, chart or narrative instead of a frame or a number, or "
                    'tag the cell "public" if they concern nobody'
                )


def is_protected(executed: Executed) -> bool:
    """Whether every released output of a notebook withholds small counts."""
    marks = [
        _mark(output) for cell in executed.notebook.cells for output in cell.get("outputs", [])
    ]
    return all(mark is None or mark["min_n"] is not None for mark in marks)


def _mark(output: dict[str, Any]) -> dict[str, Any] | None:
    """Return the mark of a released output; None if it is not released."""
    found: dict[str, Any] | None = output.get("metadata", {}).get(OUTPUT)
    if found is None and MIME in output.get("data", {}):
        found = output["data"][MIME].get("usermeta", {}).get(OUTPUT)
    return found


def _is_bare(output: dict[str, Any]) -> bool:
    if _mark(output) is not None:
        return False
    data = output.get("data", {})
    is_picture = MIME in data or any(kind.startswith("image/") for kind in data)
    shown = [_SOURCE_PREFIX.sub("", output.get("text", "")), *(str(data[kind]) for kind in data)]
    return is_picture or any(_DIGIT.search(text) for text in shown)
