"""Every number of a finished report, recounted from the microdata.

What a number counts follows from its place: a column of a chart's table, a heading, a sentence.
A number that cannot be placed is *unread*, and fails a test.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from bs4 import BeautifulSoup
from reading import (
    Row,
    authors_text,
    csv_rows,
    datasets,
    pages,
    sentences,
    soup,
    specs,
    svg_texts,
    tables,
    words,
)
from recount import ALL, BEFORE, STAGES, Name, Truth

from toolkit.release.rounding import BASE, MIN_N
from toolkit.reports.library import find_notebooks

TOO_FEW = {"<10", "n<10", "fewer than 10"}
_DIGIT = re.compile(r"\d")
_N = r"(\d[\d,]*)"
_OF = r"of (?:the|those(?: who)?)"  # whom a loss is a share of
_P = r"((?:under |over )?[\d.]+%)"
_CI = r"(?: \(95% interval ([\d.]+–[\d.]+%)\))?"
_DAYS = r"(\d[\d,.]*)"
_K = r"\d+"  # of courses, groups or checks, not of learners
_HALF = {"median": 0.5, "first quartile": 0.25, "Half": 0.5, "A quarter": 0.25}
_EVERYBODY = {"all learners", ALL, None}


@dataclass(frozen=True)
class Cell:
    """One printed count, and where it is; None if it is withheld."""

    where: str
    name: Name
    value: int | None


@dataclass(frozen=True)
class Share:
    """One printed share of two counts: its value, or its text."""

    where: str
    part: Name
    whole: Name
    value: float | str
    ends: tuple[float, float] | str | None = None


@dataclass(frozen=True)
class Point:
    """One printed point of a curve."""

    where: str
    course: str
    cohort: str
    time: float
    value: float
    low: float | None = None
    high: float | None = None
    n_at_risk: int | None = None


@dataclass
class Oracle:
    """Everything a report prints, by what it counts.

    Attributes:
        cells: The counts.
        shares: The shares of two counts.
        points: The points of curves.
        unread: Texts with numbers that could not be placed, with their page.
        wrong: Numbers that contradict others they should follow from.
    """

    folder: Path
    truth: Truth
    before: Truth | None = None
    changes: dict[tuple[str, str], int] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    checks: list[tuple[str, str, int | None, int | None]] = field(default_factory=list)
    means: list[tuple[str, Name, float]] = field(default_factory=list)
    changed: dict[tuple[str, str], int | None] = field(default_factory=dict)
    earlier: list[Cell] = field(default_factory=list)  # counts of the night before
    medians: list[tuple[str, str, str | None, float | None, float]] = field(default_factory=list)
    sums: list[tuple[str, str, int]] = field(default_factory=list)
    extents: list[tuple[str, list[int | None], str | None]] = field(default_factory=list)
    tests: list[tuple[str, float, str]] = field(default_factory=list)
    estimates: list[tuple[str, str, float, str, str]] = field(default_factory=list)
    quantiles: list[tuple[str, str, float, float, float | None, float | None]] = field(
        default_factory=list
    )
    peaks: list[tuple[str, Name]] = field(default_factory=list)
    earlier_shares: list[Share] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # a cohort's first month → the cohort
    median_loss: tuple[str, str] | None = None
    since = 0
    is_completed = False
    passed = 0.5

    def __post_init__(self) -> None:
        self._course = "|".join(map(re.escape, sorted(self.truth.courses, key=len, reverse=True)))
        self._group = "|".join([self._course, *map(re.escape, self.truth.modes)])
        self._patterns = _patterns(self._course, self._group)
        self._spans = {
            label
            for span in ("year", "quarter", "month")
            for label in self.truth.rows[span].drop_nulls().unique()
        }
        for page in pages(self.folder):
            self._read(page.stem, soup(page))

    # --- reading ------------------------------------------------------------------------------

    def _read(self, page: str, html: BeautifulSoup) -> None:
        for stem, spec in specs(html):
            self._spec(page, stem, spec)
        if page == "index":
            self._index(html)
        elif page == "methods":
            self._methods(html)
        for _, headings, rows in tables(html):
            if page not in {"index", "methods"}:
                self._table(page, headings, rows)
        self._authors(page, html)
        for text in sentences(html):
            self._sentence(page, text)

    def _authors(self, page: str, html: BeautifulSoup) -> None:
        """Check that the texts of authors and templates are the same for all data."""
        said = authors_text(html)
        sources = [path for path in find_notebooks() if path.stem == page]
        source = sources[0].read_text(encoding="utf-8") if sources else said
        for number in re.findall(r"\d[\d.,]*\d|\d", said):
            if number not in source:
                self.unread.append((page, number))

    def _spec(self, page: str, stem: str, spec: dict[str, Any]) -> None:
        known: set[str] = set()
        numbers: set[float] = set()
        rows = [row for table in datasets(spec) for row in table]
        self._name_cohorts(rows)
        for row in rows:
            self._row(page, row)
            known |= {value for value in row.values() if isinstance(value, str)}
            numbers |= {
                float(value)
                for value in row.values()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
        for text in _texts_of(spec):
            self._sentence(page, text)
            known.add(text)
        for path, value in _numbers_of(spec):
            if not _is_layout(path, value, numbers):
                self.unread.append((page, f"{'.'.join(path)}: {value}"))
        self._files(stem, rows, known, numbers)

    def _name_cohorts(self, rows: list[Row]) -> None:
        """Name the cohorts of a heat map, which gives only their first months, by their span."""
        starts = {row["cohort"][:10] for row in rows if "period" in row and row["cohort"]}
        months = {int(start[5:7]) for start in starts}
        for start in starts:
            year, month = int(start[:4]), int(start[5:7])
            label = date(year, month, 1).strftime("%b %Y")
            span = str(year) if months == {1} else f"Q{(month + 2) // 3} {year}"
            self.labels[label] = span if months <= {1, 4, 7, 10} else label

    def span_of(self, row: Row) -> str:
        return self.labels[row["enrolled"]]

    def _files(self, stem: str, rows: list[Row], known: set[str], numbers: set[float]) -> None:
        """Check that the files of a chart hold only what the chart shows."""
        in_chart = {_as_text(row) for row in rows}
        for path in (self.folder / "figures").glob(f"{stem}*.csv"):
            if re.fullmatch(rf"{stem}(-\d+)?", path.stem):
                for row in csv_rows(path):
                    if _as_text(row) not in in_chart:
                        self.unread.append((path.name, str(row)))
        everything = _squeezed(" ".join(known))
        for given, is_guide in svg_texts(self.folder / "figures" / f"{stem}.svg"):
            text = re.sub("^(?:Sub)?[tT]itle text '(.*)'$", r"\1", given)
            if self._is_name(text) or _squeezed(text) in everything:
                continue
            if is_guide:
                is_known = len(text) > 9 or _is_tick(text) or _is_among(text, numbers)
                unknown = [] if is_known else [text]
            else:
                unknown = [
                    part
                    for part in _claims(text)
                    if _DIGIT.search(part)
                    and _squeezed(part) not in everything
                    and not _is_among(part, numbers)
                ]
            self.unread += [(f"{stem}.svg", part) for part in unknown]

    # --- the tables inside charts -------------------------------------------------------------

    def _row(self, page: str, given: Row) -> None:
        row = dict(given)
        for keys, read in _SHAPES:
            if keys <= row.keys():
                read(self, page, row)
                break
        for column, value in row.items():
            if isinstance(value, bool) or value is None or not _DIGIT.search(str(value)):
                continue
            if column in {"slot", "_pixel", "rank", "ink", "left", "right", "cohort", "top"}:
                continue
            if isinstance(value, str) and self._is_name(value):
                continue
            self.unread.append((page, f"{column}: {value} in {given}"))

    def _is_name(self, text: str) -> bool:
        """Whether only names and constants hold digits."""
        text = re.sub(self._group, "", text)
        for span in self._spans:
            text = text.replace(span, "")
        text = re.sub(
            r"\d+ ?[–-] ?\d+ ?%|at least \d+%|below \d+%|above 0|[Ff]ewer than 10|<10", "", text
        )
        return not _DIGIT.search(text)

    def _about(self, row: Row) -> tuple[str, str, str]:
        group = row.get("course", row.get("display_name", row.get("group", row.get("panel"))))
        cohort = str(row.get("cohort", ALL))
        if group in self.truth.modes:
            return ALL, cohort, str(group)
        return (ALL if group in _EVERYBODY else str(group)), cohort, ALL

    def _count(self, page: str, name: Name, value: Any) -> None:
        self.cells.append(Cell(page, name, _number(value)))

    def _share(
        self,
        page: str,
        part: Name,
        whole: Name,
        value: float | str | None,
        ends: tuple[float, float] | str | None = None,
    ) -> None:
        if value is not None and value not in {"–", "", *TOO_FEW}:
            self.shares.append(Share(page, part, whole, value, ends))

    def _text(self, page: str, part: Name, whole: Name, text: str | None) -> None:
        """Read the text of a share, with its interval or the count in brackets."""
        if text is None or not _DIGIT.search(text) or text in TOO_FEW:
            return
        share, _, rest = text.rstrip("*").partition(" (")
        rest = rest.rstrip(")")
        if rest.endswith("%"):
            self._share(page, part, whole, share, rest)
        else:
            self._share(page, part, whole, share)
            if rest:
                self._count(page, part, rest)

    # --- sentences ----------------------------------------------------------------------------

    def _sentence(self, page: str, text: str) -> None:
        """Read a text sentence by sentence; one with digits that fits no pattern is unread."""
        rest = re.sub(r"^(?:Chart|Table|PNG of|SVG of|CSV \d+ of):? ", "", text)
        if rest == self.truth.study.caption:
            return
        rest = rest.replace(self.truth.study.caption, "")
        origin = re.sub("^snapshot of [^,]*, ", "", self.truth.study.source)
        rest = rest.replace(origin, "")
        while rest.strip():
            rest = rest.strip()
            for pattern, read in self._patterns:
                match = pattern.match(rest)
                if match:
                    read(self, page, match)
                    rest = rest[match.end() :]
                    break
            else:
                said, _, rest = re.sub(r"(\w[.;·]) ", "\\1\x00", rest, count=1).partition("\x00")
                if _DIGIT.search(said) and not self._is_name(said):
                    self.unread.append((page, said))

    def follows(self, page: str, is_so: bool, what: object) -> None:
        if not is_so:
            self.wrong.append((page, str(what)))

    # --- verdicts -----------------------------------------------------------------------------

    @property
    def printed(self) -> dict[Name, int | None]:
        return {cell.name: cell.value for cell in self.cells}

    def faults(self) -> list[tuple[str, object]]:
        """Return every printed number that the rules of release do not allow."""
        found: list[tuple[str, object]] = list(self.wrong)
        found += [(cell.where, cell) for cell in self.cells if not self._is_released(cell)]
        found += self._two_releases()
        found += [(one.where, one) for one in self.shares if not self._follows(one)]
        found += [(one.where, one) for one in self.points if not self._is_near(one)]
        found += [("quantile", one) for one in self.quantiles if not self._is_reached(*one[1:4])]
        found += [("estimate", one) for one in self.estimates if not self._is_estimate(*one[1:])]
        found += [("check", one) for one in self.checks if not self._is_checked(*one[1:])]
        found += [("mean", one) for one in self.means if not self._is_mean(*one[1:])]
        found += [("change", one) for one in self.changed.items() if not self._is_changed(*one)]
        found += [("sum", one) for one in self.sums if not self._is_sum(*one)]
        found += [("extent", one) for one in self.extents if not self._is_extent(*one)]
        found += [("peak", one) for one in self.peaks if not self._is_peak(one[1])]
        found += [("test", one) for one in self.tests if not self._is_test(*one[1:])]
        return found

    def _is_released(self, cell: Cell) -> bool:
        exact = self.truth.count(cell.name)
        if exact < MIN_N or cell.value is None:
            return exact < MIN_N and cell.value is None
        # A part that was rounded above its whole is printed as large as the whole.
        return cell.value % BASE == 0 and abs(cell.value - exact) < 2 * BASE

    def _two_releases(self) -> list[tuple[str, object]]:
        """Return numbers that were released with several values."""
        values: dict[Name, dict[int | None, str]] = {}
        for cell in self.cells:
            values.setdefault(cell.name, {})[cell.value] = cell.where
        return [("twice", (name, found)) for name, found in values.items() if len(found) > 1]

    def _follows(self, share: Share) -> bool:
        printed = self.printed
        k, n = printed.get(share.part), printed.get(share.whole)
        if share.part[0].startswith("lost before: "):
            k = _lost(printed, share) or k  # the complement of those who went on
        if isinstance(share.value, str) and share.value.startswith("<"):
            return k is None and bool(n) and _bounds(share.value, n or 0)
        if k is None and share.part not in printed and n:
            k = next((one for one in self._releases(share.part, n) if _fits(share, one, n)), None)
        if k is None or not n:
            return False
        exact = self.truth.count(share.part) / self.truth.count(share.whole)
        return _fits(share, k, n) and abs(k / n - exact) <= 10 / self.truth.count(share.whole)

    def _releases(self, name: Name, whole: int) -> list[int]:
        """Return the possible releases of a count that is printed only in shares."""
        exact = self.truth.count(name)
        return [BASE * (exact // BASE), BASE * -(-exact // BASE), whole] if exact >= MIN_N else []

    def _is_near(self, point: Point) -> bool:
        curve = self.truth.curve(point.course, point.cohort)
        n = max(1, curve.at_risk(point.time))
        is_so = abs(point.value - curve.passed(point.time)) <= 15 / n + 1e-4
        if point.low is None or point.high is None:
            return is_so
        return is_so and point.low - 1e-4 <= point.value <= point.high + 1e-4

    def _is_reached(self, course: str, share: float, day: float) -> bool:
        """Whether the exact curve crosses the share there, within the tolerance."""
        curve = self.truth.curve(course)
        near = 15 / max(1, curve.at_risk(day))
        return curve.passed(day) >= share - near and curve.passed(day - 1) <= share + near

    def _is_estimate(self, course: str, day: float, text: str, ends: str) -> bool:
        """Whether an estimate is near the exact curve, and its interval near the exact one."""
        curve = self.truth.curve(course)
        near = 15 / max(1, curve.at_risk(day))
        value = float(re.sub("[^0-9.]", "", text)) / 100
        interval = [float(end) / 100 for end in ends.rstrip("%").split("–") if end]
        is_so = abs(value - curve.passed(day)) <= near + 0.006
        exact = curve.interval(day)
        return is_so and all(
            abs(one - end) <= near + 0.02 for one, end in zip(interval, exact, strict=False)
        )

    def completed(self, quarter: str, day: int) -> tuple[int, int]:
        """Count a cohort's members seen in the 90 days up to a day, and those who completed."""
        completed = n = 0
        for truth in filter(None, (self.truth, self.before)):
            gap = (self.truth.study.as_of - truth.study.as_of) / timedelta(days=1)
            age = pl.col("observed")
            is_last = age + gap > day if truth is self.before else pl.lit(True)
            seen = truth.part(cohort=quarter).filter(age > day - 90, age <= day, is_last)
            completed += seen.filter(pl.col("completion") >= 0.8).height
            n += seen.height
        return completed, n

    def _is_checked(self, expects: str, broken: int | None, checked: int | None) -> bool:
        if isinstance(checked, int) and expects in {"grades", "enrollments", "completion"}:
            return broken is not None and broken % BASE == 0 and abs(broken - checked) < BASE
        exact = self.truth.checks[re.sub("^[a-z_]+: ", "", expects)]
        return all(
            n is None if one < MIN_N else n is None or (n % BASE == 0 and abs(n - one) < BASE)
            for n, one in zip((broken, checked), exact, strict=True)
        )

    def _is_mean(self, name: Name, value: float) -> bool:
        rows = self.truth.part(*name[1:]).filter(self.truth.condition(name[0]))
        exact = rows["percent_grade"].median()
        return isinstance(exact, float) and abs(value - exact) <= 0.00501

    def _is_changed(self, change: tuple[str, str], value: int | None) -> bool:
        exact = self.changes.get(change, 0)
        if exact < MIN_N:
            return exact > 0 and value is None
        return value is not None and value % BASE == 0 and abs(value - exact) < BASE

    def _is_sum(self, page: str, what: str, value: int) -> bool:
        """Whether an "about" is the sum of released counts."""
        kind, _, change = what.partition(": ")
        if kind == "change":
            exact = [n for (_, name), n in self.changes.items() if name == change and n >= MIN_N]
            least, most = (
                sum(BASE * end(n / BASE) for n in exact) for end in (math.floor, math.ceil)
            )
            return value % BASE == 0 and least <= value <= most
        of_groups = self._of_groups(page, (kind,))
        return any(value == sum(n or 0 for n in group) for group in of_groups)

    def _is_extent(self, page: str, ends: list[int | None], group: str | None) -> bool:
        """Whether the "n" of a chart is printed of all, or of the smallest and largest group."""
        of_groups = self._of_groups(page, ("enrolled", "in a cohort", "at risk on day 0"))
        return any(
            ends[1] == max(one or 0 for one in n)
            and ends[0] in {None, min(one or 0 for one in n)}  # one of few is not always drawn
            for n in of_groups
            if group is not None or len(n) == 1
        )

    def _of_groups(self, page: str, wholes: tuple[str, ...]) -> list[list[int | None]]:
        """Return the printed numbers of all, by course, by cohort and by mode."""
        cells = [cell for cell in self.cells if cell.where == page or page == "index"]
        names = {cell.name: cell.value for cell in cells if cell.name[0] in wholes}
        found = [
            [n for name, n in names.items() if name[0] == whole and chosen(name)]
            for whole in wholes
            for chosen in (
                lambda name: name[1:] == (ALL, ALL, ALL),
                lambda name: name[1] != ALL and name[2] == ALL,
                lambda name: name[2] != ALL and name[1] == ALL,
                lambda name: name[3] != ALL,
            )
        ]
        return [numbers for numbers in found if numbers]

    def _is_peak(self, name: Name) -> bool:
        """Whether the most common range is the first with the largest printed count."""
        measure, printed = name[0].partition(": ")[0], self.printed
        ranges = [
            (-(n or 0), float(one[0].partition(": ")[2].partition("–")[0]), one)
            for one, n in printed.items()
            if one[0].startswith(f"{measure}: ") and "–" in one[0] and one[1:] == name[1:]
        ]
        return min(ranges)[2] == name

    def _is_test(self, statistic: float, p: str) -> bool:
        drawn = {point.course for point in self.points if point.where.startswith("04")} - {ALL}
        passes = {one: self.printed.get(("passed in time", one, ALL, ALL)) for one in sorted(drawn)}
        exact = self.truth.logrank({one: n for one, n in passes.items() if n is not None})
        bound = re.fullmatch(r"p < ([\d.]+)", p)
        is_p = exact[1] < float(bound[1]) if bound else float(p[4:]) == float(f"{exact[1]:.2g}")
        return is_p and statistic == float(f"{exact[0]:.2g}")

    # --- the first page and the methods -------------------------------------------------------

    def _index(self, html: BeautifulSoup) -> None:
        for tile in html.select("dl.key-figures div"):
            figure, value = words(tile.find("dt")), words(tile.find("strong"))
            interval = re.search(r"\(([\d.]+–[\d.]+%)\)$", words(tile.find("dd")))
            part, whole = _TILES.get(figure, (None, None))
            if figure == "Enrollments":
                self._count("index", _all("enrolled"), value)
            elif part is not None and whole is not None:
                self._share("index", _all(part), _all(whole), value, interval and interval[1])
            elif figure == "Days to pass" and (days := re.fullmatch(r"([\d,.]+) days", value)):
                ends = re.search(r"\(([\d,.]+–[\d,.]+)\)$", words(tile.find("dd")))
                _quantile(self, "index", ALL, 0.25, days[1] + (f" ({ends[1]})" if ends else ""))
            tile.decompose()
        table = html.find("table", id="course-table")
        if table is not None:
            self._course_table(table)
            table.decompose()

    def _course_table(self, table: Any) -> None:
        caption = words(table.find("caption"))
        found = re.search(r"and up to (\d+)%", caption)
        top, horizon = float(found[1]) / 100 if found else 1.0, 540
        axis = re.search(r"from 0% to (\d+)%", caption)
        top_of_rates = float(axis[1]) / 100 if axis else 1.0
        for row in table.select("tbody tr"):
            course = str(row.find("th")["data-value"])
            cells = row.find_all("td")
            enrolled, passed = ((what, course, ALL, ALL) for what in ("enrolled", "passed"))
            self._count("index", enrolled, words(cells[0]))
            self._count("index", enrolled, cells[0]["data-value"])
            self._text("index", passed, enrolled, words(cells[1]))
            if cells[1]["data-value"]:
                rate = float(cells[1]["data-value"])
                self._share("index", passed, enrolled, rate)
                drawn = float(cells[1].find("circle")["cx"]) / 116 * top_of_rates
                self.follows("index", abs(drawn - rate) < 0.06 / 116, (course, drawn))
            self._loss("index", course, words(cells[2]), cells[2]["data-value"])
            self._small_curve(course, cells[4], top, horizon)
            if _DIGIT.search(words(cells[3])):
                _quantile(self, "index", course, 0.5, words(cells[3]))
                day = cells[3]["data-value"]
                self.follows("index", f"{float(day):,.0f}" == words(cells[3]).split()[0], course)
            if len(cells) > 5:
                self._drift(course, words(cells[5]))

    def _drift(self, course: str, text: str) -> None:
        found = re.fullmatch(r"([+−]?)(\d+) points?", text)
        if found and self.before is not None:
            change = -int(found[2]) if found[1] == "−" else int(found[2])
            rates = [
                truth.count(("passed", course, ALL, ALL))
                / truth.count(("enrolled", course, ALL, ALL))
                for truth in (self.before, self.truth)
            ]
            n = self.truth.count(("enrolled", course, ALL, ALL))
            close = abs(change / 100 - (rates[1] - rates[0])) <= 0.005 + 20 / n
            self.follows("index", close, (course, text))
        elif _DIGIT.search(text):
            self.unread.append(("index", text))

    def _small_curve(self, course: str, cell: Any, top: float, horizon: int) -> None:
        drawn = cell.find("path", class_="steps")
        if drawn is None:
            return
        for x, y in re.findall(r"H([\d.]+)V([\d.]+)", drawn["d"]):
            share, day = (24 - float(y)) / 24 * top, float(x) / 90 * horizon
            exact = [self.truth.curve(course).passed(day + shift) for shift in (-0.4, 0.4)]
            n = self.truth.curve(course).at_risk(day)
            near = min(exact) - 15 / max(n, 1) - 0.05 / 24 * top <= share
            near &= share <= max(exact) + 15 / max(n, 1) + 0.05 / 24 * top
            self.follows("index", near, (course, day, share, exact))
        found = re.fullmatch(rf"{_P} passed by day {_DAYS}", cell.find("svg")["aria-label"])
        if found is None:
            self.unread.append(("index", str(cell)))

    def _loss(self, page: str, course: str, text: str, value: str = "") -> None:
        found = re.fullmatch(rf"{_P} {_OF} ([\w -]+), before ([\w -]+)", text)
        if found is None:
            if _DIGIT.search(text) and text not in TOO_FEW:
                self.unread.append((page, text))
            return
        lost = (f"lost before: {found[3]}", course, ALL, ALL)
        self.follows(page, BEFORE[found[3]] == found[2], text)
        self._share(page, lost, (found[2], course, ALL, ALL), found[1])
        if value:
            self._share(page, lost, (found[2], course, ALL, ALL), float(value))

    def _methods(self, html: BeautifulSoup) -> None:
        for table, headings, rows in tables(html):
            if headings == ["Resource", "Records"]:
                for resource, n in rows:
                    frame = getattr(self.truth.study, resource)
                    self.checks.append(("methods", resource, _number(n), frame.height))
            elif headings[0] == "Source":
                self._provenance(dict([headings, *rows]))
            table.decompose()

    def _provenance(self, entries: dict[str, str]) -> None:
        study = self.truth.study
        self.follows("methods", entries.pop("Source") == study.source, entries)
        self.follows(
            "methods", entries.pop("As of").startswith(f"{study.as_of:%Y-%m-%d %H:%M}"), entries
        )
        for label in ("Toolkit", "To cite", "Packages", "Python", "Rounding"):
            entries.pop(label)
        for label, text in entries.items():
            if _DIGIT.search(text) and text not in TOO_FEW:
                self.unread.append(("methods", f"{label}: {text}"))

    # --- tables for reading -------------------------------------------------------------------

    def _table(self, page: str, headings: list[str], rows: list[list[str]]) -> None:
        read = next((read for first, read in _TABLES if set(first) <= set(headings)), None)
        for values in rows:
            row = dict(zip(headings, values, strict=False))
            if read is not None:
                read(self, page, row)
            for heading, text in row.items():
                if _DIGIT.search(text) and text not in TOO_FEW and not self._is_name(text):
                    self.unread.append((page, f"{heading}: {text}"))


# --- helpers --------------------------------------------------------------------------------------


def _all(what: str) -> Name:
    return (what, ALL, ALL, ALL)


def _number(text: object) -> int | None:
    """Read a printed count; None if it is withheld."""
    if text is None or str(text) in {"", "None", "–", *TOO_FEW}:
        return None
    return int(float(str(text).replace(",", "")))


def _as_text(row: Row) -> tuple[tuple[str, str], ...]:
    def plain(value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        try:
            return f"{float(str(value)):.12g}"
        except ValueError:
            return str(value).lstrip("'")

    return tuple(sorted((name, plain(value)) for name, value in row.items()))


def _texts_of(spec: Any) -> Iterator[str]:
    """Yield the titles and descriptions of a chart, with lines joined."""
    for key in ("title", "description", "subtitle", "text"):
        value = spec.get(key)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list) and all(isinstance(line, str) for line in value):
            yield " ".join(value)
        elif isinstance(value, dict):
            yield from _texts_of(value)


def _numbers_of(spec: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the numbers of a chart that are not in its tables."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key != "datasets":
                yield from _numbers_of(value, (*path, key))
    elif isinstance(spec, list):
        for value in spec:
            yield from _numbers_of(value, path)
    elif isinstance(spec, int | float) and not isinstance(spec, bool):
        yield path, float(spec)


# Where a number of a chart may depend on the data; elsewhere it is a size, an angle, a colour.
_OF_DATA = {"domain", "values", "value", "datum", "domainMin", "domainMax"}
_MARGINS = {-0.5, -0.36, -0.295, -0.125, 1.02, 1.3, 1.7}


def _is_layout(path: tuple[str, ...], value: float, numbers: set[float]) -> bool:
    if not _OF_DATA & set(path) or value in numbers or value in _MARGINS:
        return True
    if any(abs(value - 1.9 * one) < 1e-9 for one in numbers):  # room to the right of the bars
        return True
    return _is_round(value) or (value % 1 == 0.5 and value < 400)


def _is_round(value: float) -> bool:
    return value == int(value) if abs(value) > 1 else abs(value * 20 - round(value * 20)) < 1e-9


def _is_tick(text: str) -> bool:
    found = re.fullmatch(r"-?(\d[\d,]*(?:\.\d+)?)(%?)", text)
    if found is None:
        return not _DIGIT.search(text)
    value = float(found[1].replace(",", ""))
    return value <= 20 or value % 5 == 0 or value % 7 == 0 or value < 1


def _squeezed(text: str) -> str:
    """Remove spaces, since a drawing breaks lines elsewhere."""
    return "".join(text.split())


def _claims(text: str) -> list[str]:
    """Return the values in the label of a mark: "days: 30; passed: 4%"."""
    return [part.partition(": ")[2] or part for part in text.split("; ")]


def _is_among(text: str, numbers: set[float]) -> bool:
    found = re.fullmatch(r"(-?[\d,.]+)(%?)", text.strip().replace("−", "-"))
    if found is None:
        return False
    digits = len(found[1].partition(".")[2])
    scale = 100 if found[2] else 1
    value = float(found[1].replace(",", ""))
    return any(abs(scale * one - value) <= 0.5000001 * 10**-digits for one in numbers)


_TILES = {
    "Active": ("active", "enrolled"),
    "Completed": ("all completed", "enrolled"),
    "Passed": ("passed", "enrolled"),
    "Passed, of the active": ("passed and active", "active"),
}


# --- shapes of a chart's rows ---------------------------------------------------------------------


def _interval_of(row: Row, name: str) -> tuple[float, float] | None:
    low, high = row.pop(f"{name}_ci_low", None), row.pop(f"{name}_ci_high", None)
    return None if low is None else (low, high)


def _funnel(o: Oracle, page: str, row: Row) -> None:
    about, stage = o._about(row), row["stage"]
    name = (stage, *about)
    o._count(page, name, row.pop("n_reached"))
    o._count(page, ("enrolled", *about), row.pop("n_enrolled"))
    o._count(page, name, row.pop("text_n_reached"))
    rate, ends = row.pop("rate_of_enrolled"), _interval_of(row, "rate_of_enrolled")
    if stage == "enrolled":  # all of them, by definition
        o.follows(page, ends in {None, (1.0, 1.0)}, row)
        ends = None
    o._share(page, name, ("enrolled", *about), rate, ends)
    o._text(page, name, ("enrolled", *about), row.pop("text_rate_of_enrolled"))
    o._text(page, name, ("enrolled", *about), row.pop("text"))
    o.follows(page, row.pop("at", None) in {rate, None, 0.0}, row)
    before, n_previous, n_dropped = (
        row.pop(key) for key in ("rate_of_previous", "n_previous", "n_dropped")
    )
    text, n_text = row.pop("text_rate_of_previous"), row.pop("text_n_dropped")
    ends = _interval_of(row, "rate_of_previous")
    if stage in BEFORE:
        whole = (BEFORE[stage], *about)
        o._count(page, whole, n_previous)
        for n in (n_dropped, n_text):
            o._count(page, (f"lost before: {stage}", *about), n)
        o._share(page, name, whole, before, ends)
        o._text(page, name, whole, text)
    elif {before, n_previous, n_dropped} != {None}:
        o.unread.append((page, str(row)))


def _dot(o: Oracle, page: str, row: Row) -> None:
    about = o._about(row)
    part, whole = ("passed", *about), ("enrolled", *about)
    low, high = row.pop("low"), row.pop("high")
    o._share(page, part, whole, row.pop("value"), None if low is None else (low, high))
    o._count(page, part, row.pop("text_n_passed", None))
    o._count(page, whole, row.pop("text_n_enrolled"))
    o._text(page, part, whole, row.pop("text_pass_rate_of_enrolled"))


def _heat(o: Oracle, page: str, row: Row) -> None:
    """Read a cell; a cohort is named by its first month, whatever its span."""
    span, day = o.span_of(row), row.pop("days")
    row.pop("period")
    about = (ALL, span, ALL)
    members, observed = ("in a cohort", *about), (f"observed: {day}", *about)
    reached = (f"reached: {day}", *about)
    o._count(page, ("in no cohort", *about), row.pop("n_excluded"))
    is_seen = row.pop("status") != "not yet"
    for column, name in (("n_members", members), ("n_observed", observed), ("n_reached", reached)):
        numbers = row.pop(column), row.pop(f"text_{column}")
        if is_seen or column == "n_members":
            for n in numbers:
                o._count(page, name, n)
        else:
            o.follows(page, {str(n) for n in numbers} <= {"None", "–"}, (column, numbers))
    o._share(page, reached, observed, row.pop("reach_rate"), _interval_of(row, "reach_rate"))
    o._text(page, reached, observed, row.pop("text_reach_rate"))
    text = row.pop("text")
    if text != "n<10":
        o._text(page, reached, observed, text)


def _distribution(o: Oracle, page: str, row: Row) -> None:
    about = o._about(row)
    measure = "completion" if row["measure"] == "completion" else "grade"
    part, low, high = row["part"], row.pop("bin_low"), row.pop("bin_high")
    if part == "bin":
        part = f"{low:g}–{high:g}"
    name, whole = (f"{measure}: {part}", *about), ("enrolled", *about)
    known = (f"{measure}: known", *about)
    o._count(page, whole, row.pop("n_enrolled"))
    o._count(page, known, row.pop("n_valued"))
    for column in ("n_learners", "text_n_learners"):
        o._count(page, name, row.pop(column))
    o._share(page, name, whole, row.pop("share_of_enrolled"))
    o._text(page, name, whole, row.pop("text_share_of_enrolled"))
    up_to, ecdf, ecdf_text = row.pop("n_up_to"), row.pop("ecdf"), row.pop("text_ecdf")
    if low is not None:
        below = (f"{measure}: up to {high:g}", *about)
        o._count(page, below, up_to)
        o._share(page, below, known, ecdf)
        o._text(page, below, known, ecdf_text)
    row.pop("span", None)
    row.pop("mark", None)


def _point(o: Oracle, page: str, row: Row) -> None:
    course, cohort, _ = o._about(row)
    time = row.pop("duration")
    n, value = row.pop("n_at_risk"), row.pop("value")
    ends = row.pop("low"), row.pop("high")
    o.follows(page, row.pop("n_censored") is None, row)
    if value is not None:
        o.points.append(Point(page, course, cohort, time, value, *ends, n))
    if n is not None:
        o._count(page, (f"at risk on day {time:g}", course, cohort, ALL), n)


def _at_risk(o: Oracle, page: str, row: Row) -> None:
    course, cohort, _ = o._about(row)
    name = (f"at risk on day {row.pop('duration'):g}", course, cohort, ALL)
    o._count(page, name, row.pop("text"))


def _check(o: Oracle, page: str, row: Row) -> None:
    """Read a failed check of the chart: "70 of 15,870 (0.44%)"."""
    found = re.fullmatch(r"([\d,]+) of ([\d,]+) \(([\d.]+)%\)", label := row.pop("label"))
    share = row.pop("share")
    if found is None:
        if _DIGIT.search(label) and label != "fewer than 10 records":
            o.unread.append((page, label))
        o.checks.append((page, row["expects"], None, None))
        return
    broken, checked = _number(found[1]), _number(found[2])
    o.checks.append((page, row["expects"], broken, checked))
    assert broken is not None
    assert checked
    o.follows(page, share == broken / checked, label)
    o.follows(page, abs(float(found[3]) - 100 * broken / checked) <= 0.0051, label)


def _checks_passed(_: Oracle, __: str, row: Row) -> None:
    row.pop("n_passed")  # checks, not learners


def _headline(o: Oracle, page: str, row: Row) -> None:
    course, cohort = row["course"], row["cohort"]
    headline, text = row.pop("headline"), row.pop("text").replace("\n", " ")
    enrolled = ("enrolled", course, cohort, ALL)
    found = re.search(rf": (<\d+%|{_P[1:-1]}) passed", headline)
    if found:
        o._share(page, ("passed", *enrolled[1:]), enrolled, found[1])
    rest = re.sub(
        rf": (<\d+%|{_P}) passed|, (as in all |\w+ )?(highest |lowest )?(of )?{_K}.*$", "", headline
    )
    if not o._is_name(rest):
        o.unread.append((page, headline))
    pattern = (
        rf"Of {_N} enrolled, (\S+|fewer than \S+) were active and (\S+) passed{_CI}\."
        rf"(?: Largest loss: {_P} {_OF} ([\w -]+), before ([\w -]+?)"
        rf"(?:, the (?:{_K}\w\w )?largest of {_K} courses; the median of them is {_P})?\.)?"
    )
    found = re.fullmatch(pattern, text)
    if found is None:
        if _DIGIT.search(text):
            o.unread.append((page, text))
        return
    o._count(page, enrolled, found[1])
    o._share(page, ("active", *enrolled[1:]), enrolled, found[2])
    o._share(page, ("passed", *enrolled[1:]), enrolled, found[3], found[4])
    if found[5]:
        lost, whole = (f"lost before: {found[7]}", *enrolled[1:]), (found[6], *enrolled[1:])
        o._share(page, lost, whole, found[5])


def _stage_of_course(o: Oracle, page: str, row: Row) -> None:
    about = o._about(row)
    name, whole = (row["stage"], *about), ("enrolled", *about)
    is_empty = o.truth.count(whole) == 0
    numbers = row.pop("text_n_reached"), row.pop("text"), row.pop("told"), row.pop("at")
    if is_empty:
        o.follows(page, not numbers[3] and not any((n or "").strip() for n in numbers[:3]), numbers)
        return
    o._count(page, name, numbers[0])
    o._text(page, name, whole, numbers[1])
    o._text(page, name, whole, numbers[2])
    if numbers[3]:
        o._share(page, name, whole, numbers[3])


def _grade_of_course(o: Oracle, page: str, row: Row) -> None:
    about, part = o._about(row), row.pop("grade")
    ends = re.fullmatch(r"(\d+)–(\d+)%", part)
    part = f"{int(ends[1]) / 100:g}–{int(ends[2]) / 100:g}" if ends else part
    name, whole = (f"grade: {part}", *about), ("enrolled", *about)
    text, label, at = row.pop("text"), row.pop("told"), row.pop("at")
    o.follows(page, row.pop("withheld") in {None, "<10"}, row)
    if text == "" and label == "":
        o.follows(page, o.truth.count(whole) == 0, row)
        return
    o._count(page, name, text)
    o._text(page, name, whole, label)
    if at:
        o._share(page, name, whole, at)


def _rate_of_course(o: Oracle, page: str, row: Row) -> None:
    about = o._about(row)
    part, whole = ("passed", *about), ("enrolled", *about)
    o._count(page, whole, row.pop("text_n_enrolled"))
    o._text(page, part, whole, row.pop("told"))
    at, low, high = row.pop("at"), row.pop("low"), row.pop("high")
    if at is not None and row["unknown"] is None:
        o._share(page, part, whole, at, None if low is None else (low, high))


def _curve_of_course(o: Oracle, page: str, row: Row) -> None:
    course, cohort, _ = o._about(row)
    value = row.pop("passed")
    ends = row.pop("low"), row.pop("high")
    if value is not None:
        o.points.append(Point(page, course, cohort, row["days"], value, *ends))
    row.pop("days")


def _median(o: Oracle, page: str, row: Row) -> None:
    """Read the median of the courses, which follows from what is printed of each."""
    row.pop("n")  # courses
    own = "days" if "days" in row else "stage" if "stage" in row else "at"
    value = row.pop({"days": "passed", "stage": "rate_of_enrolled", "at": "at"}[own])
    where = (page, str(row["cohort"]), row.pop("stage", None), row.pop("days", None))
    o.medians.append((*where, value))


def _hidden_dot(o: Oracle, page: str, row: Row) -> None:
    about = o._about(row)
    o._text(page, ("passed", *about), ("enrolled", *about), row.pop("text"))


_SHAPES: list[tuple[set[str], Callable[[Oracle, str, Row], None]]] = [
    ({"stage", "n_reached", "rate_of_previous"}, _funnel),
    ({"cohort", "period", "n_observed"}, _heat),
    ({"measure", "part", "n_up_to"}, _distribution),
    ({"duration", "value", "n_at_risk"}, _point),
    ({"panel", "duration", "text"}, _at_risk),
    ({"check", "share", "label"}, _check),
    ({"frame", "n_passed"}, _checks_passed),
    ({"headline", "text"}, _headline),
    ({"stage", "told", "at"}, _stage_of_course),
    ({"grade", "told", "at"}, _grade_of_course),
    ({"name", "slot", "told"}, _rate_of_course),
    ({"course", "days", "passed", "low"}, _curve_of_course),
    ({"cohort", "n"}, _median),
    ({"group", "value", "text_n_enrolled"}, _dot),
    ({"group", "text"}, _hidden_dot),
]


# --- tables for reading ---------------------------------------------------------------------------


def _key_figure(o: Oracle, page: str, row: dict[str, str]) -> None:
    part, whole = _TILES.get(row["Figure"], ("enrolled", "enrolled"))
    if row["Figure"] == "Days to pass":
        part, whole = "passed in time", "timed"
        _quantile(o, page, ALL, 0.25, row.pop("Days"))
    o._count(page, _all(part), row.pop("Learners"))
    o._count(page, _all(whole), row.pop("Whole"))
    o._text(page, _all(part), _all(whole), row.pop("Rate"))


_COLUMNS = {
    "Enrolled": "enrolled",
    "Active": "active",
    "Completed": "all completed",
    "Passed": "passed",
}
_RATES = {
    "Active rate of enrolled": ("active", "enrolled"),
    "Completion rate of enrolled": ("all completed", "enrolled"),
    "Pass rate of enrolled": ("passed", "enrolled"),
    "Pass rate of active": ("passed and active", "active"),
}


def _outcome(o: Oracle, page: str, row: dict[str, str]) -> None:
    label = next(iter(row.values()))
    about = {
        "Display name": (label, ALL, ALL),
        "Course": (label, ALL, ALL),
        "Mode": (ALL, ALL, label),
        "Enrolled quarter": (ALL, label, ALL),
        "Moment": (ALL, ALL, ALL),
    }[next(iter(row))]
    row.pop(next(iter(row)))
    found = Oracle.__new__(Oracle)
    found.cells, found.shares, found.wrong, found.unread = [], [], o.wrong, o.unread
    for heading, what in _COLUMNS.items():
        if heading in row:
            found._count(page, (what, *about), row.pop(heading))
    for heading, (part, whole) in _RATES.items():
        if heading in row:
            found._text(page, (part, *about), (whole, *about), row.pop(heading))
    if "Grade median of active" in row:
        text = row.pop("Grade median of active")
        if _DIGIT.search(text):
            o.means.append((page, ("active", *about), float(text.rstrip("%")) / 100))
    is_earlier = label == _day(o.before) and label != _day(o.truth)
    (o.earlier if is_earlier else o.cells).extend(found.cells)
    (o.earlier_shares if is_earlier else o.shares).extend(found.shares)


def _day(truth: Truth | None) -> str:
    return "" if truth is None else f"{truth.study.as_of:%d %b %Y}".lstrip("0")


def _stage(o: Oracle, page: str, row: dict[str, str]) -> None:
    stage = row["Stage"]
    o._count(page, _all(stage), row.pop("Reached"))
    o._text(page, _all(stage), _all("enrolled"), row.pop("Rate of enrolled"))
    text = row.pop("Rate of previous")
    if stage in BEFORE:
        o._text(page, _all(stage), _all(BEFORE[stage]), text)
        text = ""
    o.follows(page, not _DIGIT.search(text), row)


def _failed_check(o: Oracle, page: str, row: dict[str, str]) -> None:
    broken, checked = _number(row.pop("Unexpected")), _number(row.pop("Checked"))
    o.checks.append((page, row["Expects"], broken, checked))
    share = row.pop("Share")
    if broken is not None and checked:
        o.follows(page, _agrees(share, broken / checked), (share, row))
    elif _DIGIT.search(share):
        o.follows(page, checked is not None and _bounds(share, checked), (share, row))
    row.pop("Why")
    row.pop("Do")


def _match(o: Oracle, page: str, row: dict[str, str]) -> None:
    everywhere = {row[f"In {name}"] for name in ("grades", "enrollments", "completion")}
    o.follows(page, everywhere == {"yes"}, row)
    o._count(page, _all("enrolled"), row.pop("Records"))
    o._count(page, _all("passed without a time"), row.pop("Passes undated"))
    o._count(page, _all("with a time but not passed"), row.pop("Pass times unused"))


def _statistic(o: Oracle, page: str, row: dict[str, str]) -> None:
    course, at, text = row["Display name"], row.pop("At"), row.pop("Estimate")
    for heading, what in (
        ("Learners", "timed"),
        ("Events", "passed in time"),
        ("Excluded", "left out"),
        ("Undated", "left out: passed"),
    ):
        o._count(page, (what, course, ALL, ALL), row.pop(heading))
    if not _DIGIT.search(text):
        return
    if row["Statistic"] == "passed by":
        share, _, ends = text.partition(" (")
        o.estimates.append((page, course, float(at), share, ends.rstrip(")")))
    else:
        _quantile(o, page, course, _HALF[row["Statistic"]], text)


def _quantile(o: Oracle, page: str, course: str, share: float, text: str) -> None:
    found = re.fullmatch(rf"{_DAYS}(?: \(([\d,.]+)–([\d,.]+)\))?", text)
    if found:
        day, *ends = (
            None if one is None else float(one.replace(",", "")) for one in found.groups()
        )
        assert day is not None
        o.quantiles.append((page, course, share, day, ends[0], ends[1]))


def _change(o: Oracle, page: str, row: dict[str, str]) -> None:
    o.changed[row["Course id"], row["Change"]] = _number(row.pop("Learners"))
    row.pop("Course id")


_TABLES: list[tuple[list[str], Callable[[Oracle, str, dict[str, str]], None]]] = [
    (["Figure", "Meaning", "Learners", "Whole"], _key_figure),
    (["Display name", "Statistic", "At", "Estimate"], _statistic),
    (["Stage", "Definition", "Reached"], _stage),
    (["Severity", "Data", "Expects", "Unexpected"], _failed_check),
    (["In grades", "In enrollments", "Records"], _match),
    (["Course id", "Change", "Learners"], _change),
    (["Enrolled", "Pass rate of enrolled"], _outcome),
]


# --- sentences ------------------------------------------------------------------------------------

Read = Callable[[Oracle, str, re.Match[str]], None]


def _patterns(course: str, group: str) -> list[tuple[re.Pattern[str], Read]]:
    stage = "|".join(map(re.escape, sorted([*STAGES], key=len, reverse=True)))
    span = r"(?:\w{3} \d{4}|Q\d \d{4}|\d{4})"
    found: list[tuple[str, Read]] = [
        (rf"Of {_N} enrollments(?: in ({group}))?, {_N} \({_P}\) were active and {_N} led to a "
         rf"pass: {_P} of the enrolled{_CI} and {_P} of the active\.", _one_outcome),
        (rf"Most (?:learners )?are lost between ({stage}) and ({stage}): of {_N}, {_N} go on, "
         rf"{_P}{_CI}\.", _most_lost),
        (rf"{_N} passed without completing\.", _counted("passed without completing")),
        (rf"Most (?:learners )?are lost between ({stage}) and ({stage}): {_P} {_OF} ({stage})\.?",
         _most_lost_share),
        (rf"Most (?:learners )?are lost between (?:{stage}) and (?:{stage}) in "
         rf"(?:all |{_K} of )?{_K} groups\.?", _nothing),
        (rf"The share of the enrolled who passed ranges from {_P}{_CI} in ({group}) to {_P}{_CI} "
         rf"in ({group}), over {_K} groups\.", _range),
        (rf"Passed of the enrolled: from {_P}{_CI} in ({group}) to {_P}{_CI} in ({group})\.?",
         _range),
        (rf"Passed of the enrolled: {_P}{_CI}(?: in ({group}))?\.?", _one_range),
        (rf"The share of the enrolled who passed is {_P}{_CI} in ({group})\.", _one_range),
        (rf"{_K} of {_K} groups cannot be shown\.", _nothing),
        (rf"Too few are at risk for so long in {_K} other groups?\.", _nothing),
        (rf"Dot plot of {_K} groups?, highest first: Passed of the enrolled, with 95% intervals\.",
         _nothing),
        (rf"All {_K} checks pass\.?", _nothing),
        (rf"{_K} checks? failed: (?:{_K} \w+(?:, )?)+\.", _nothing),
        (rf"{_K} of {_K} checks? fails?, (?:none|{_K}) of them critical", _nothing),
        (rf";? ?([^;]+): {_N} of {_N} \(([\d.]+)%\)", _failed_in_words),
        (r";? ?([^;]+): fewer than 10 records", _nothing),
        (rf"Records, one per learner per course: {_N} in grades, enrollments and completion\.",
         _counted("enrolled")),
        (rf"About {_N} passes have no time\.", _counted("passed without a time")),
        (rf"About {_N} pass times? [^.]*\.", _counted("with a time but not passed")),
        (rf"{_K} days after enrollment, (?:the share who had \w+ is lowest at )?", _since),
        (rf"{_P}{_CI} of those(?: enrolled)? (?:from|in) ({span})(?: had \w+)?"
         r"(?:, | and highest at |\.|$)", _of_cohort),
        (rf"Left out: about {_N} whose time to the outcome is unknown\.?", _excluded),
        (rf"Of {_N} enrollments, (?:{_N} \({_P}\) have no (?:grade|completion); )?"
         rf"(?:{_N} \({_P}\) have a (grade|completion) of 0; )?"
         rf"the most common range above 0 is (\d+)–(\d+)%, with {_N}\.", _spread),
        (rf"(Grade|Completion): (?:{_P} of the enrolled have none, )?"
         rf"(?:{_P} of the enrolled have zero, )?the most common range above 0 is "
         r"(\d+)–(\d+)%\.?", _spread_share),
        (rf"(Grade|Completion): {_P} of the enrolled have (none|zero)\.?", _without_peak),
        (rf"Of {_N} enrollments, {_N} \({_P}\) have a (grade|completion) of 0\.", _only_zero),
        (rf"{_K} groups? not drawn\.", _nothing),
        (rf"Within {_DAYS} days?, an estimated {_P} of {_N} enrollments pass{_CI}\.", _within),
        (rf"Left out: (?:about )?{_N} without a known time"
         rf"(?:, {_N} of whom passed)?(?: \(at most 2% of a group's passers\))?\.?", _left_out),
        (rf"; fewer than 10 in (?:each of )?{_K} other \w+\.", _nothing),
        (r"Left out of the time to pass: ", _nothing),
        (rf"Left out: (?=about {_N} |{_N} )", _nothing),
        (rf"(?:, )?(?:and )?(?:about )?{_N} "
         r"\(?(?:for )?(in a course whose passes lack a time|no origin|passed without a pass time|"
         r"passed before origin)\)?\.?", _reason),
        (r"(Half|A quarter) of the learners pass ", _quarter),
        (rf"(?:, )?within {_DAYS} days?(?: \(95% interval ([\d,.]+)–([\d,.]+)\))?"
         rf"(?: in ({course}))?\.?", _pass_within),
        (rf"In {_K} groups? fewer have passed so far\.", _nothing),
        (rf"For {_K} groups? this cannot be shown\.", _nothing),
        (rf"Half of the learners have passed by day ({_DAYS[1:-1]})()\.?", _half_by),
        (rf"Half have passed by day {_DAYS} in ({course})", _half_by),
        (rf"Most learners are lost in ({course}): {_P} {_OF} ({stage}), before ({stage})\.",
         _worst),
        (rf"(?:, |; | and )?(?:by )?day {_DAYS} in ({course})", _half_by),
        (r"; (?:not in the time shown in|not shown for|only where few are still at risk in) "
         rf"{_K} of {_K} groups\.?", _nothing),
        (rf"The curves of the {_K} groups [^(]*\(log-rank test: χ² = ([\d.]+), {_K} degrees of "
         r"freedom, (p [=<] [\d.]+)\)\.", _logrank),
        (r"Changes, in the courses where they can be shown: ", _nothing),
        (rf"(?:, )?(?:and )?((?:\w+ ){{1,3}}?)\(about {_N}\)\.?", _changed),
        (rf"({course}) loses most learners at one step: {_P} {_OF} ({stage}), before "
         rf"({stage}){_CI}\.", _worst),
        (rf"Next is ({course}): {_P} {_OF} ({stage}), before ({stage})\.", _worst),
        (rf"The median of the largest losses of {_K} courses is {_P}\.", _median_loss),
        (r"[A-Z][^.?]*\? ", _nothing),  # the question of a page
        (rf"n = {_K} checks(?: ·)?", _nothing),
        (rf"{_K} of {_K} rows\.", _nothing),
        (r"A step where 10 more have passed\.", _nothing),
        (r"Bands are 95% intervals, time by time\.", _nothing),
        (rf"n = (?:(<10|{_N[1:-1]})–)?{_N} enrollments(?: per (course|cohort|group))?(?: · )?",
         _extent),
        (r"In brackets: 95% intervals(?:, those of the difference for all rows together)?\.",
         _nothing),
        (r"Counts (?:are rounded to multiples of 5|under 10 learners are withheld|"
         r"of fewer than 10 learners are withheld)[^.·]*\.?", _nothing),
        (r"(?:Fewer|fewer) than 10 [^.,;]*[.,;]?", _nothing),
        (r"\* only part of the cohort was observed so long\. [^.]*\.", _nothing),
        (r"Written by so2-toolkit [\d.]+\.", _nothing),
        (r"'?\d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d,(?: |$)", _nothing),
        (r"(?:as of )?\d{4}-\d\d-\d\d$", _nothing),
        (r"(?:For slides: )?(?:(?:SVG|PNG|CSV(?: \d+)?) ?)+$", _nothing),
    ]  # fmt: skip
    return [(re.compile(pattern), read) for pattern, read in found]


def _nothing(_: Oracle, __: str, ___: re.Match[str]) -> None:
    """Read nothing: the numbers count groups, checks or rows, or are constants."""


def _counted(what: str) -> Read:
    def read(o: Oracle, page: str, found: re.Match[str]) -> None:
        o._count(page, _all(what), found[1])

    return read


def _of(o: Oracle, group: str | None) -> tuple[str, str, str]:
    return o._about({"group": group})


def _one_outcome(o: Oracle, page: str, found: re.Match[str]) -> None:
    about = _of(o, found[2])
    enrolled, active, passed = ((what, *about) for what in ("enrolled", "active", "passed"))
    for name, group in ((enrolled, 1), (active, 3), (passed, 5)):
        o._count(page, name, found[group])
    o._share(page, active, enrolled, found[4])
    o._share(page, passed, enrolled, found[6], found[7])
    o._share(page, ("passed and active", *about), active, found[8])


def _most_lost(o: Oracle, page: str, found: re.Match[str]) -> None:
    before, stage = found[1], found[2]
    o.follows(page, BEFORE[stage] == before, found[0])
    o._count(page, _all(before), found[3])
    o._count(page, _all(stage), found[4])
    o._share(page, _all(stage), _all(before), found[5], found[6])


def _most_lost_share(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.follows(page, BEFORE[found[2]] == found[1] == found[4], found[0])
    o._share(page, _all(f"lost before: {found[2]}"), _all(found[1]), found[3])


def _range(o: Oracle, page: str, found: re.Match[str]) -> None:
    for share, ends, group in (found.groups()[:3], found.groups()[3:]):
        about = _of(o, group)
        o._share(page, ("passed", *about), ("enrolled", *about), share, ends)


def _one_range(o: Oracle, page: str, found: re.Match[str]) -> None:
    about = _of(o, found[3])
    o._share(page, ("passed", *about), ("enrolled", *about), found[1], found[2])


def _failed_in_words(o: Oracle, page: str, found: re.Match[str]) -> None:
    broken, checked = _number(found[2]), _number(found[3])
    assert broken is not None
    assert checked
    o.checks.append((page, found[1], broken, checked))
    o.follows(page, abs(float(found[4]) - 100 * broken / checked) <= 0.0051, found[0])


def _since(o: Oracle, _: str, found: re.Match[str]) -> None:
    o.since = int(found[0].split()[0])
    o.is_completed = " had completed" in found.string


def _of_cohort(o: Oracle, page: str, found: re.Match[str]) -> None:
    if o.is_completed:
        first = datetime.strptime(f"{found[3]} +0000", "%b %Y %z")
        k, n = o.completed(f"Q{(first.month + 2) // 3} {first.year}", o.since)
        share = Share(page, _all("completed"), _all("enrolled"), found[1], found[2])
        near = [
            (part, whole)
            for part in (BASE * (k // BASE), BASE * -(-k // BASE))
            for whole in (BASE * (n // BASE), BASE * -(-n // BASE))
        ]
        good = k >= MIN_N and any(_fits(share, part, whole) for part, whole in near)
        o.follows(page, good, (found[0], k, n))
        return
    span = o.labels.get(found[3], found[3])
    part, whole = ((f"{what}: {o.since}", ALL, span, ALL) for what in ("reached", "observed"))
    o._share(page, part, whole, found[1], found[2])


def _excluded(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.sums.append((page, "in no cohort", int(found[1].replace(",", ""))))


def _extent(o: Oracle, page: str, found: re.Match[str]) -> None:
    """Read how many a chart shows: all, or the fewest and the most of its groups."""
    most = _number(found[2])
    o.extents.append((page, [_number(found[1]) if found[1] else most, most], found[3]))


def _spread(o: Oracle, page: str, found: re.Match[str]) -> None:
    measure = found[6] or "grade"
    o._count(page, _all("enrolled"), found[1])
    for part, n, share in (("missing", 2, 3), ("zero", 4, 5)):
        if found[n]:
            o._count(page, _all(f"{measure}: {part}"), found[n])
            o._share(page, _all(f"{measure}: {part}"), _all("enrolled"), found[share])
    o._count(page, most := _bin(measure, found[7], found[8]), found[9])
    o.peaks.append((page, most))


def _spread_share(o: Oracle, page: str, found: re.Match[str]) -> None:
    measure = found[1].lower()
    for part, share in (("missing", 2), ("zero", 3)):
        if found[share]:
            o._share(page, _all(f"{measure}: {part}"), _all("enrolled"), found[share])
    o.peaks.append((page, _bin(measure, found[4], found[5])))


def _without_peak(o: Oracle, page: str, found: re.Match[str]) -> None:
    part = {"none": "missing", "zero": "zero"}[found[3]]
    o._share(page, _all(f"{found[1].lower()}: {part}"), _all("enrolled"), found[2])


def _only_zero(o: Oracle, page: str, found: re.Match[str]) -> None:
    zero = _all(f"{found[4]}: zero")
    o._count(page, _all("enrolled"), found[1])
    o._count(page, zero, found[2])
    o._share(page, zero, _all("enrolled"), found[3])


def _bin(measure: str, low: str, high: str) -> Name:
    return _all(f"{measure}: {int(low) / 100:g}–{int(high) / 100:g}")


def _within(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.estimates.append((page, ALL, float(found[1].replace(",", "")), found[2], found[4] or ""))
    o._count(page, _all("timed"), found[3])


def _left_out(o: Oracle, page: str, found: re.Match[str]) -> None:
    n = int(found[1].replace(",", ""))
    if "about" in found[0]:
        o.sums.append((page, "left out", n))
    else:
        o._count(page, _all("left out"), found[1])
    if found[2]:
        o._count(page, _all("left out: passed"), found[2])


def _reason(o: Oracle, page: str, found: re.Match[str]) -> None:
    o._count(page, _all(f"left out: {found[2]}"), found[1])


def _quarter(o: Oracle, _: str, found: re.Match[str]) -> None:
    o.passed = _HALF[found[1]]


def _pass_within(o: Oracle, page: str, found: re.Match[str]) -> None:
    day, low, high = (
        None if one is None else float(one.replace(",", "")) for one in found.groups()[:3]
    )
    assert day is not None
    o.quantiles.append((page, found[4] or ALL, o.passed, day, low, high))


def _half_by(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.quantiles.append((page, found[2] or ALL, 0.5, float(found[1].replace(",", "")), None, None))


def _logrank(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.tests.append((page, float(found[1]), found[2]))


def _changed(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.sums.append((page, f"change: {found[1].strip()}", int(found[2].replace(",", ""))))


def _worst(o: Oracle, page: str, found: re.Match[str]) -> None:
    lost, whole = (f"lost before: {found[4]}", found[1], ALL, ALL), (found[3], found[1], ALL, ALL)
    o._share(page, lost, whole, found[2], found[5] if found.re.groups > 4 else None)


def _median_loss(o: Oracle, page: str, found: re.Match[str]) -> None:
    o.median_loss = (page, found[1])


# --- how a number is written ----------------------------------------------------------------------


def _agrees(text: str, share: float) -> bool:
    """Whether the text of a share is right: "12.3%", "under 1%", "over 99%"."""
    found = re.fullmatch(r"(under |over )?([\d.]+)%", text)
    if found is None:
        return False
    value, digits = float(found[2]), len(found[2].partition(".")[2])
    if found[1]:
        return 100 * share < value if found[1] == "under " else 100 * share > value
    return abs(100 * share - value) <= 0.5001 * 10**-digits


def _bounds(text: str, whole: int) -> bool:
    """Whether "<3%" holds for every count that would be withheld."""
    found = re.fullmatch(r"<(\d+)%", text)
    return found is not None and 100 * (MIN_N - 1) / max(MIN_N, whole - BASE + 1) < int(found[1])


def _lost(printed: dict[Name, int | None], share: Share) -> int | None:
    """Return how many were lost, from the printed counts of a stage and of those who went on."""
    stage = share.part[0].removeprefix("lost before: ")
    whole, kept = printed.get(share.whole), printed.get((stage, *share.part[1:]))
    return None if whole is None or kept is None else whole - kept


def _fits(share: Share, k: int, n: int) -> bool:
    """Whether a share follows from two counts, with Wilson's interval."""
    if isinstance(share.value, str) and not _agrees(share.value, k / n):
        return False
    if isinstance(share.value, float) and abs(share.value - k / n) > 1e-4:
        return False
    if share.ends is None:
        return True
    low, high = wilson(k, n)
    if isinstance(share.ends, tuple):
        return abs(share.ends[0] - low) < 1e-4 and abs(share.ends[1] - high) < 1e-4
    texts = share.ends.rstrip("%").split("–")
    return all(_agrees(f"{t}%", end) for t, end in zip(texts, (low, high), strict=True))


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval (1927)."""
    z2, p = 1.959963984540054**2, k / n
    middle, half = p + z2 / (2 * n), math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))
