"""Result table → a table that people can read: percent, intervals, words for columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from html import escape

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.release import protect
from toolkit.schemas import Role, Table, require_columns
from toolkit.schemas.results import recognise

_NUMBER = re.compile(r"[-−]?[0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAMES_A_PERSON = {"username", "email", "raw"}


class ShownTable:
    """A table for reading; see `show_table`. Notebooks show it as HTML, `print` as text."""

    def __init__(self, headings: dict[str, str], rows: list[list[str]], note: str) -> None:
        self.headings = headings
        self.rows = rows
        self.note = note

    def _repr_html_(self) -> str:
        numeric = [_is_numeric(column) for column in zip(*self.rows, strict=True)]
        numeric = numeric or [False] * len(self.headings)
        align = ["number" if is_number else "words" for is_number in numeric]
        style = {"number": "text-align: right", "words": "text-align: left"}
        head = "".join(
            f'<th scope="col" class="{kind}" style="{style[kind]}" title="{escape(meaning)}">'
            f"{escape(heading)}</th>"
            for (heading, meaning), kind in zip(self.headings.items(), align, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td class="{kind}" style="{style[kind]}">{escape(cell)}</td>'
                for cell, kind in zip(row, align, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        note = f"<p><small>{escape(self.note)}</small></p>" if self.note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    def __repr__(self) -> str:
        lines = [list(self.headings), *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return f"{text}\n{self.note}" if self.note else text


def show_table(
    table: pl.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    min_n: int = 10,
    most_rows: int = 40,
    percent: Sequence[str] = (),
) -> ShownTable:
    """Make a result table readable: protected, in percent, each estimate with its interval.

    Args:
        table: A result table of the toolkit, or any frame that names nobody.
        columns: Which columns to show, all but intervals and status by default. An estimate
            brings its interval along.
        min_n: Smallest number of learners shown, as in `protect`.
        percent: Columns that are fractions here, though the table leaves their unit open.
        most_rows: Rows beyond are counted below the table instead.

    Raises:
        DisclosureError: The frame has a column that names persons.
        SchemaError: A wanted column is not there.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": [True] * 40, "completion": 0.5,
        ...     "percent_grade": 0.7, "passed": [True] * 30 + [False] * 10})
        >>> from toolkit.analyses.outcomes import outcomes
        >>> show_table(outcomes(pc), ["n_enrolled", "pass_rate_of_enrolled"])
        Enrolled  Pass rate of enrolled
        40        75.0 % (59.8–85.8)
    """
    known = recognise(table)
    if known is None and _NAMES_A_PERSON & set(table.columns):
        raise DisclosureError("this frame has one row per person; show a result table instead")
    safe = table if known is None else protect(table, min_n=min_n)
    wanted = list(columns) if columns is not None else [c for c in safe.columns if _is_main(c)]
    require_columns(safe.columns, wanted, what="the table")
    intervals = {name: _interval(name, safe.columns) for name in wanted}
    rows = [
        [
            _cell(
                row,
                known,
                name,
                intervals[name],
                "fraction" if name in percent else _unit(known, name),
            )
            for name in wanted
        ]
        for row in safe.head(most_rows).iter_rows(named=True)
    ]
    headings = {_heading(name): _meaning(known, name) for name in wanted}
    return ShownTable(headings, rows, _note(safe, wanted, most_rows))


def _is_main(name: str) -> bool:
    return not name.endswith(("ci_low", "ci_high")) and name not in {"status", "completed_from"}


def _interval(name: str, columns: list[str]) -> tuple[str, str] | None:
    if f"{name}_ci_low" in columns:
        return f"{name}_ci_low", f"{name}_ci_high"
    if name in {"estimate", "survival", "passed_share"} and "ci_low" in columns:
        return "ci_low", "ci_high"
    return None


def _unit(known: Table | None, name: str) -> str | None:
    if known is not None and name in known.names:
        return known[name].unit
    return "fraction" if name.endswith(("_rate", "_share")) else None


def _meaning(known: Table | None, name: str) -> str:
    return known[name].description if known is not None and name in known.names else name


def _heading(name: str) -> str:
    words = name.removeprefix("n_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _missing(row: dict[str, object], known: Table | None, name: str) -> str:
    """What stands for a null: a group's own null, such as no date, is never withheld."""
    is_figure = known is not None and name in known.of_role(Role.COUNT, Role.STATISTIC)
    return "withheld" if is_figure and str(row.get("status")).startswith("withheld") else "–"


def _cell(
    row: dict[str, object],
    known: Table | None,
    name: str,
    interval: tuple[str, str] | None,
    unit: str | None,
) -> str:
    value = row[name]
    if value is None:
        return _missing(row, known, name)
    text = _text(value, unit)
    if interval is None or row[interval[0]] is None or row[interval[1]] is None:
        return text
    low, high = (_text(row[end], unit).removesuffix(" %") for end in interval)
    return f"{text} ({low}–{high})"


def _text(value: object, unit: str | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if unit == "fraction":
            return f"{value:.1%}".replace("%", " %")
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _is_numeric(cells: Sequence[str]) -> bool:
    told = [cell for cell in cells if cell not in {"–", "withheld"}]
    return bool(told) and all(_NUMBER.match(cell) and not _DATE.match(cell) for cell in told)


def _note(table: pl.DataFrame, wanted: list[str], most_rows: int) -> str:
    notes = ["No rows."] if table.is_empty() else []
    if table.height > most_rows:
        notes.append(f"{most_rows} of {table.height:,} rows.")
    if "status" in table.columns:
        is_withheld = pl.col("status").str.starts_with("withheld")
        hidden = table.filter(is_withheld, pl.any_horizontal(pl.col(wanted).is_null()))
        reasons = hidden["status"].unique().sort().to_list()
        notes += [f"{reason[:1].upper()}{reason[1:]}." for reason in reasons]
    return " ".join(notes)
