"""Turn released results into tables for reading, with percentages, intervals and headings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Any

import polars as pl

from toolkit.errors import ArgumentError
from toolkit.release.rounding import MIN_N
from toolkit.results.output import marked
from toolkit.results.registry import look_up
from toolkit.results.result import Released
from toolkit.schemas import Column, Role, require_columns
from toolkit.schemas.arguments import a_whole_number, as_given
from toolkit.schemas.comparison_results import COMPARED
from toolkit.schemas.survival_results import TIME_UNITS
from toolkit.text import naming, words
from toolkit.text.words import Row

_HEADINGS = {
    "df": "df",
    "p_value": "p",
    "p_adjusted": "p, adjusted",
    "pooled_p_value": "p, pooled",
    "mantel_haenszel_p_value": "p, Mantel–Haenszel",
    "equivalence_p_value": "p of equivalence",
    "equivalence_p_adjusted": "p of equivalence, adjusted",
    "ratio_p_value": "p of the ratio",
    "cramers_v": "Cramér's V",
    "ecdf": "Share up to",
    "at": "At",
}
# What to show of a table that is wider than a screen.
_MAIN = {
    "outcomes": [
        "n_enrolled",
        "n_active",
        "n_completed",
        "n_passed",
        "active_rate_of_enrolled",
        "completion_rate_of_enrolled",
        "pass_rate_of_enrolled",
        "pass_rate_of_active",
        "grade_median_of_active",
    ]
}
# Tables whose groups are laid out side by side.
_BESIDE_EACH_OTHER = {"table_one": "text.table_one:side_by_side"}
_LEFT_OUT_IF_EMPTY = {"n_censored", "rate", "rate_change", "days", "days_change"}
_HIDDEN = {"status", "completed_from", "std_error", "is_total", "is_well_observed"}
# Columns of a table, rather than of `by`, that name groups.
_NAMES = {*("course", "course_id", "from_course", "to_course"), *("end", *COMPARED)}


@dataclass(frozen=True)
class ReadingTable:
    """A table for reading. Notebooks show it as HTML, `print` as text."""

    headings: dict[str, str]  # each column's heading and what it means
    rows: list[list[str]]  # the cells, as text
    is_number: list[bool]  # for each column, whether its cells are numbers
    n_headers: int = 0  # how many columns on the left name the row
    caption: str = ""  # what the table is and where its data come from
    note: str = ""  # what is withheld and how many rows are shown
    min_n: int | None = MIN_N  # the smallest count that is shown; None if nothing is protected
    spanners: Sequence[tuple[str, int, int]] = ()  # headings: text, first column, last + 1

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return marked(self.min_n)

    def _repr_html_(self) -> str:
        kinds = ["number" if number else "words" for number in self.is_number]
        styles = [
            f"text-align: {'right' if number else 'left'}; white-space: pre-line"
            for number in self.is_number
        ]
        head = "".join(
            f'<th scope="col" class="{kind}" style="{style}" title="{escape(meaning)}">'
            f"{escape(heading)}</th>"
            for (heading, meaning), kind, style in zip(
                self.headings.items(), kinds, styles, strict=True
            )
        )
        body = "".join(f"<tr>{self._cells(row, kinds, styles)}</tr>" for row in self.rows)
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        note = f"<p><small>{escape(self.note)}</small></p>" if self.note else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    def _cells(self, row: list[str], kinds: list[str], styles: list[str]) -> str:
        heads = [
            ("th", ' scope="row"') if place < self.n_headers else ("td", "")
            for place in range(len(row))
        ]
        return "".join(
            f'<{tag}{scope} class="{kind}" style="{style}">{escape(cell)}</{tag}>'
            for cell, kind, style, (tag, scope) in zip(row, kinds, styles, heads, strict=True)
        )

    def __repr__(self) -> str:
        lines = [list(self.headings), *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        text = "\n".join(
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, self.is_number, strict=True)
            ).rstrip()
            for line in lines
        )
        return "\n".join(part for part in (self.caption, text, self.note) if part)


def _named(columns: object) -> list[str]:
    """Return the names of columns, of one or of several, each once."""
    given = [columns] if isinstance(columns, str) else columns
    listed = list(given) if isinstance(given, Iterable) else []
    names = [one for one in listed if isinstance(one, str)]
    if not names or len(names) < len(listed):
        raise ArgumentError(f"columns must be names, such as ['mode'], not {as_given(columns)}")
    return list(dict.fromkeys(names))


def reading_table(
    released: Released, columns: Sequence[str] | None = None, *, rows: int = 40
) -> ReadingTable:
    """Make a released result readable: percentages, each estimate with its interval.

    By default, it has all columns but intervals and status. Rows after the first `rows` are counted
    below.
    """
    if columns is None and released.schema.name in _BESIDE_EACH_OTHER:
        lay_out = look_up(_BESIDE_EACH_OTHER[released.schema.name])
        table: ReadingTable = lay_out(released, rows=rows)
        return table
    frame = released.frame
    rows = a_whole_number(rows, name="rows")
    wanted = _main(released) if columns is None else _named(columns)
    require_columns(frame.columns, wanted, what=f"the table {released.schema.name}")
    shown, name_of = frame.head(rows), naming.compared(released)
    texts = [name for name in COMPARED.intersection(wanted) if released.compared is not None]
    shown = shown.with_columns(pl.col(texts).replace_strict(name_of))
    cells = [[cell(row, name, released) for name in wanted] for row in shown.iter_rows(named=True)]
    if "cohort" in wanted and "cohort" in released.schema.names:
        named = naming.cohorts(released.whole["cohort"])
        for row_cells, cohort in zip(cells, shown["cohort"], strict=True):
            row_cells[wanted.index("cohort")] = named[cohort]
    _tell_apart(cells, shown, wanted, {*released.by, *_NAMES.intersection(released.schema.names)})
    roles = [_column(released, name) for name in wanted]
    is_group = [column is None or column.role == Role.GROUP for column in roles]
    return ReadingTable(
        _headings(released, wanted),
        cells,
        [frame.schema[name].is_numeric() for name in wanted],
        n_headers=next((i for i, group in enumerate(is_group) if not group), len(wanted)),
        caption=released.caption or "",
        note=_note(released, shown, wanted),
        min_n=released.min_n,
    )


def cell(row: Row, name: str, released: Released) -> str:
    """Write one figure of a released row, with its interval if it has one."""
    value, column = row[name], _column(released, name)
    if column is None:
        # The heading names the column; only a date is written differently by column.
        of_column = name if isinstance(value, date) else ""
        return naming.ALL_GROUPS if row.get("is_total") else naming.name(value, of_column)
    unit = _unit(row, column, released.schema.time)
    if value is None:
        return _missing(row, column, released)
    if name in COMPARED and released.compared is not None:
        return str(value)
    text = _text(value, unit, row, name, released)
    low, high = (row.get(end) for end in released.schema.interval_of(name) or ("", ""))

    def write(end: float) -> str:
        return _text(end, unit, row, name, released, is_end=True)

    return words.with_interval(text, words.written_interval(low, high, write))


def _main(released: Released) -> list[str]:
    """Return the columns to show: all but the ends of intervals and columns without information."""
    if released.schema.name in _MAIN:
        by = [name for name in released.by if name != "is_total"]
        return [*by, *_MAIN[released.schema.name]]
    ends = {column.name for column in released.schema if column.ci_of}
    return [
        name
        for name in released.frame.columns
        if name in released.by or (name not in ends | _HIDDEN and not _is_empty(released, name))
    ]


def _is_empty(released: Released, name: str) -> bool:
    """Whether a column is always empty here, such as censored learners of a curve."""
    return name in _LEFT_OUT_IF_EMPTY and released.frame[name].null_count() == released.frame.height


def _column(released: Released, name: str) -> Column | None:
    """Return the schema of a column; None for a group column."""
    return released.schema[name] if name in released.schema.names else None


def _unit(row: Row, column: Column, time: str) -> str | None:
    """Return a column's unit; in a summary, each row has its own."""
    if "statistic" in row and isinstance(row["statistic"], str):
        by_time = row["statistic"] in {"passed by", "restricted mean"}
        if column.name == "at":
            return time if by_time else "fraction"
        if column.name in {"estimate", "ci_low", "ci_high", "std_error"}:
            return "fraction" if row["statistic"] == "passed by" else time
    return column.unit


def _missing(row: Row, column: Column, released: Released) -> str:
    """Write a null: as a dash, or as an upper bound of a count or share."""
    if column.role == Role.COUNT and words.is_withheld(row, column.name, released):
        return words.count(None, released.min_n)
    if column.role == Role.STATISTIC:
        return words.share(row, column.name, released)
    return words.ABSENT


def _text(
    value: object,
    unit: str | None,
    row: Row,
    name: str,
    released: Released,
    *,
    is_end: bool = False,
) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value, unit, row, name, released, is_end=is_end)
    return naming.name(value, name)


def _number(
    value: float, unit: str | None, row: Row, name: str, released: Released, *, is_end: bool
) -> str:
    decimal = words.supports_decimal(row, name, released)
    if unit == "fraction":
        is_measured = released.schema[name].role == Role.MEASURE
        decimal = decimal and not (is_measured and released.min_n)
        return words.percent(value, decimal=decimal, plain=is_end)
    if name == "margin":  # a choice, not an estimate
        return f"{value * 100:g} points"
    if unit == "points":
        return words.points(value, decimal=decimal, is_end=is_end)
    if unit == "p":
        return words.p_value(value, released.alpha).removeprefix("p ").removeprefix("= ")
    if unit in TIME_UNITS:
        is_signed = name in {"difference", "days_change"}
        return words.signed_days(value, is_end=is_end) if is_signed else words.days(value)
    return words.number(value)


def _headings(released: Released, wanted: list[str]) -> dict[str, str]:
    headings: dict[str, str] = {}
    for name in wanted:
        column = _column(released, name)
        text = naming.clean(name.removeprefix("n_").replace("_", " ")) or words.ABSENT
        heading = _HEADINGS.get(name, words.capitalized(text))
        # `n_passed` and a group column `passed` are two columns.
        heading = f"{heading} (learners)" if heading in headings else heading
        headings[heading if heading not in headings else name] = (
            column.description if column else f"Grouped by {name}."
        )
    return headings


def _tell_apart(
    cells: list[list[str]], shown: pl.DataFrame, wanted: list[str], names: Collection[str]
) -> None:
    """Shorten long names of groups; number those that would look alike, across all columns."""
    places = [place for place, name in enumerate(wanted) if name in names]
    values = [(shown[wanted[place]].to_list(), place) for place in places]
    found = {
        (value, row[place]): row[place]
        for column, place in values
        for value, row in zip(column, cells, strict=True)
    }
    named = dict(zip(found, naming.distinct([*found.values()]), strict=True))
    for column, place in values:
        for value, row in zip(column, cells, strict=True):
            row[place] = named[value, row[place]]


def _note_on_intervals(released: Released, shown: pl.DataFrame, wanted: list[str]) -> list[str]:
    """State the level of the intervals beside the estimates, if there are any."""
    known = [name for name in wanted if name in released.schema.names]
    pairs = [ends for name in known if (ends := released.schema.interval_of(name))]
    if not any((shown[low] != shown[high]).any() for low, high in pairs):
        return []
    n = released.whole.height
    are_simultaneous = n > 1 and any(low.startswith("simul") for low, _ in pairs)
    rows = "all rows" if n == released.frame.height else f"all {n:,} comparisons"
    of_all = f", those of the difference for {rows} together" if are_simultaneous else ""
    return [f"In brackets: {words.kind_of_interval(released)}s{of_all}."]


def _note(released: Released, shown: pl.DataFrame, wanted: list[str]) -> str:
    total = released.frame.height
    notes = ["No rows."] if total == 0 else _note_on_intervals(released, shown, wanted)
    if total > shown.height:
        notes.append(f"{shown.height:,} of {total:,} rows.")
    if released.min_n is None:
        notes.append("Exact figures, unprotected.")
        return " ".join(notes)
    is_hidden = any(
        words.is_withheld(row, name, released)
        for name in wanted
        if name in released.schema.of_role(Role.COUNT)
        for row in shown.iter_rows(named=True)
    )
    hidden = is_hidden or shown["status"].str.starts_with("withheld").any()
    if hidden:
        notes.append(f"Counts of fewer than {released.min_n} learners are withheld.")
    if total:
        notes.append("Counts are rounded to multiples of 5, so sums may differ by a few.")
    return " ".join(notes)
