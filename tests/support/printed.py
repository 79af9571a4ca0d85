"""What a finished report prints, read from its files, and the same counted by plain Polars."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import polars as pl

import toolkit as tk

ALL = "all"
TOO_FEW = "fewer than 10"
STAGES = {
    "enrolled": pl.lit(True),
    "active": pl.col("active"),
    "half-way": pl.col("active") & (pl.col("completion") >= 0.5),
    "completed": pl.col("active") & (pl.col("completion") >= 0.8),
    "completed and passed": pl.col("active") & (pl.col("completion") >= 0.8) & pl.col("passed"),
    "passed without completing": pl.col("passed")
    & ~(pl.col("active") & (pl.col("completion") >= 0.8)),
    "passed": pl.col("passed"),
    "all completed": pl.col("completion") >= 0.8,
}
_COUNTED = (
    r"([\d,]*\d)(?: \([^)]*\))? "
    r"(?:enrollments|learners|records|were active|led to a pass|passed|go on)"
)
_FAILED = {"", "F", "Fail", "Failed", "Not Passing", "Not Passed"}


@dataclass(frozen=True)
class Cell:
    """One printed count.

    Attributes:
        where: The page.
        what: A stage of `STAGES`, "grade: …" or "completion: …".
        course: Its name, or "all".
        cohort: The year of enrollment, or "all".
        mode: The mode, or "all".
        value: As it is printed; None where it is withheld.
    """

    where: str
    what: str
    course: str
    cohort: str
    mode: str
    value: int | None

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What is counted, whoever prints it."""
        return self.what, self.course, self.cohort, self.mode


@dataclass(frozen=True)
class Rate:
    """One printed share: which count over which, and as it is printed."""

    part: Cell
    whole: Cell
    value: float


def microdata(study: tk.Study) -> pl.DataFrame:
    """One row per enrollment, with what became of it, by joins of the three frames alone."""
    key = ["username", "course_id"]
    names = study.grades.select("course_id", "display_name").unique("course_id")
    grades = study.grades.select(*key, "percent_grade", "letter_grade")
    completion = study.completion.select(*key, "completion")
    joined = study.enrollments.join(grades, on=key, how="left", validate="1:1")
    joined = joined.join(completion, on=key, how="left", validate="1:1")
    joined = joined.join(names, on="course_id", how="left")
    return joined.select(
        *key,
        "mode",
        "percent_grade",
        pl.col("completion").fill_null(0.0),
        course=pl.col("display_name").fill_null(pl.col("course_id")),
        cohort=pl.col("created").dt.year().cast(pl.String),
        passed=~pl.col("letter_grade").fill_null("").is_in(_FAILED),
        active=((pl.col("completion") > 0) | (pl.col("percent_grade") > 0)).fill_null(value=False),
        has_completion=pl.col("completion").is_not_null(),
    )


def counted(learners: pl.DataFrame, name: tuple[str, str, str, str]) -> int:
    """How many enrollments a printed count is of."""
    what, course, cohort, mode = name
    rows = learners
    for column, value in (("course", course), ("cohort", cohort), ("mode", mode)):
        if value != ALL:
            rows = rows.filter(pl.col(column) == value)
    measure, _, part = what.partition(": ")
    condition = STAGES[what] if not part else _in_bin(measure, part)
    return int(rows.select(condition.sum() if what != "enrolled" else pl.len()).item())


def _in_bin(measure: str, part: str) -> pl.Expr:
    value = pl.col("percent_grade" if measure == "grade" else "completion")
    known = value.is_not_null() if measure == "grade" else pl.col("has_completion")
    if part == "missing":
        return ~known
    if part == "zero":
        return known & (value == 0)
    low, high = (float(end) for end in part.split("–"))
    # The last bin holds its upper end; 0 has a part of its own.
    below = value <= high if high == 1 else value < high
    return known & (value > 0) & (value >= low) & below


# --- what the files say -------------------------------------------------------------------------


def pages(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.html"))


def datasets(page: Path) -> list[list[dict[str, Any]]]:
    """The tables inside the charts of a page."""
    text = page.read_text(encoding="utf-8")
    specs = re.findall(
        r'<script type="application/json" id="[^"]*-spec">(.*?)</script>', text, re.S
    )
    return [rows for spec in specs for rows in json.loads(spec).get("datasets", {}).values()]


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def html_tables(page: Path) -> list[tuple[list[str], list[list[str]]]]:
    """The tables of a page: headings, and rows of text."""
    text = page.read_text(encoding="utf-8")
    found = []
    for table in re.findall(r"<table.*?</table>", text, re.S):
        rows = [
            [plain(cell) for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.S)]
            for row in re.findall(r"<tr\b.*?</tr>", table, re.S)
        ]
        found.append((rows[0], rows[1:]))
    return found


def prose(page: Path) -> str:
    """The words of a page, with the words for those who see no picture, but no code."""
    text = page.read_text(encoding="utf-8")
    heard = " ".join(re.findall(r'(?:alt|aria-label|title)="([^"]*)"', text))
    text = re.sub(r"<(script|style|pre|table)\b.*?</\1>", " ", text, flags=re.S)
    return plain(text) + " " + unescape(heard)


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def number(text: object) -> int | None:
    """A count as it is printed; None where it is withheld.

    Raises:
        ValueError: It is no count.
    """
    if text is None or str(text) in {"", "None", "–", TOO_FEW, "<10"}:
        return None
    return int(float(str(text).replace(",", "")))


# --- which count a printed number is ------------------------------------------------------------

_OF_OUTCOMES = {
    "n_enrolled": "enrolled",
    "n_active": "active",
    "n_completed": "all completed",
    "n_passed": "passed",
    "text_n_enrolled": "enrolled",
    "text_n_passed": "passed",
}
_HEADINGS = {
    "Enrolled": "enrolled",
    "Active": "active",
    "Completed": "all completed",
    "Passed": "passed",
}
_RATES = {
    "pass_rate_of_enrolled": ("passed", "enrolled"),
    "rate_of_enrolled": (None, "enrolled"),
    "share_of_enrolled": (None, "enrolled"),
    "at": (None, "enrolled"),
}


def printed(folder: Path, learners: pl.DataFrame) -> tuple[list[Cell], list[Rate]]:
    """Every count and rate of a report that says of itself whom it counts."""
    cells: list[Cell] = []
    rates: list[Rate] = []
    kinds = dict.fromkeys(learners["mode"].unique(), "mode")
    kinds |= dict.fromkeys(learners["course"].unique(), "course")
    for page in pages(folder):
        for row in [row for rows in datasets(page) for row in rows]:
            group = row.get("course", row.get("display_name", row.get("group", ALL)))
            is_curve = "outcome" in row or "duration" in row
            if group in {*kinds, ALL, "all learners"} and not is_curve:
                about = {"course": ALL, "cohort": str(row.get("cohort", ALL)), "mode": ALL}
                if group in kinds:
                    about[kinds[group]] = group
                _add_row(page.stem, row, about, cells, rates)
        for headings, rows in html_tables(page):
            if headings and headings[0] in {"Display name", "Course", "Mode"}:
                cells += _of_table(page.stem, headings, rows, kinds)
    return cells, rates


def _of_table(
    page: str, headings: list[str], rows: list[list[str]], kinds: dict[str, str]
) -> Iterator[Cell]:
    for row in rows:
        if row[0] not in kinds or len(row) != len(headings):
            continue
        about = {"course": ALL, "cohort": ALL, "mode": ALL} | {kinds[row[0]]: row[0]}
        for heading, text in zip(headings, row, strict=True):
            if heading in _HEADINGS and re.fullmatch(rf"[\d,]+|–|<10|{TOO_FEW}", text):
                yield Cell(page, _HEADINGS[heading], **about, value=number(text))


def _add_row(
    page: str, row: dict[str, Any], about: dict[str, str], cells: list[Cell], rates: list[Rate]
) -> None:
    own: dict[str | None, Cell] = {}
    for column, what in _OF_OUTCOMES.items():
        if column in row:
            own[what] = Cell(page, what, **about, value=number(row[column]))
    if "stage" in row and {"n_reached", "text_n_reached"} & set(row):
        reached = number(row.get("n_reached", row.get("text_n_reached")))
        own[None] = Cell(page, row["stage"], **about, value=reached)
    for name, part in (("grade", row.get("grade")), (row.get("measure"), row.get("part"))):
        if name is not None and part is not None:
            what, found = _distribution(name, part, row), row.get("n_learners", row.get("text"))
            own[None] = Cell(page, what, **about, value=number(found))
    cells += own.values()
    for column, (part, whole) in _RATES.items():
        is_told = part in own and own[part].value is not None
        if row.get(column) is not None and is_told:
            of = own.get(whole) or Cell(page, whole, **about, value=None)
            rates.append(Rate(own[part], of, float(row[column])))


def _distribution(measure: str, part: str, row: dict[str, Any]) -> str:
    name = "completion" if measure == "completion" else "grade"
    if part == "bin":
        return f"{name}: {row['bin_low']:g}–{row['bin_high']:g}"
    ends = re.fullmatch(r"(\d+)–(\d+) ?%", part)
    return f"{name}: {int(ends[1]) / 100:g}–{int(ends[2]) / 100:g}" if ends else f"{name}: {part}"


def loose_counts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Every number that a report calls a count, wherever it stands: page, name, text."""
    for page in pages(folder):
        for row in [row for rows in datasets(page) for row in rows]:
            yield from ((page.stem, name, str(v)) for name, v in row.items() if _is_count(name))
        for text in re.findall(_COUNTED, prose(page)):
            yield page.stem, "prose", text
        for headings, rows in html_tables(page):
            named = [pair for row in rows for pair in zip(headings, row, strict=False)]
            for heading, text in named:
                if heading in {*_HEADINGS, "Learners", "Whole", "Reached", "Records"}:
                    yield page.stem, heading, text.removeprefix("about ")
    for path in sorted((folder / "figures").glob("*.csv")):
        for row in csv_rows(path):
            yield from ((path.stem, name, v) for name, v in row.items() if _is_count(name))


def _is_count(column: str) -> bool:
    return column.startswith(("n_", "text_n_"))
