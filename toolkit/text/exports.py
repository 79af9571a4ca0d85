"""Released results as files (CSV, Parquet, Excel, LaTeX, HTML) and as great-tables."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from toolkit.extras import extra
from toolkit.results.files import atomically, harmless
from toolkit.results.output import marked
from toolkit.results.result import Released
from toolkit.schemas.arguments import a_path, a_text
from toolkit.text.tables import ReadingTable, reading_table

# No text becomes a link, whose address would be shown shortened or be left out.
_WORKBOOK = {
    "strings_to_urls": False,
    "strings_to_formulas": False,
    "nan_inf_to_errors": True,
    "default_date_format": "yyyy-mm-dd;@",
}
_LONGEST_CELL = 32_767  # in UTF-16; Excel's, which leaves longer texts out
_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "[": "{[}",  # else an option of \\ or \midrule, where it begins a row
    "*": "{*}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u2003": r"\quad ",
    "−": "$-$",
    "–": "--",
    "<": "$<$",  # in LaTeX's first encoding these three are other signs
    ">": "$>$",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "χ": r"$\chi$",
    "∞": r"$\infty$",
    "\u200e": "",  # behind names in Arabic or Hebrew, for browsers
    "\n": " ",  # an empty line would end a caption
    "\r": " ",
}
# Signs that LaTeX joins into others, such as two hyphens into a dash.
_LIGATURE = re.compile(r"(?<=[-–,'])(?=[-–,'])")


def write(released: Released, form: str, path: Path) -> Path:
    """Write the released figures, completely or not at all.

    The form is csv, parquet or excel.
    """
    frame = released.frame
    if form == "parquet":
        return atomically(path, frame.write_parquet, suffix=".parquet")
    safe = harmless(frame)
    if form == "csv":
        return atomically(path, safe.write_csv, suffix=".csv")
    with extra("tables"):
        from xlsxwriter import Workbook

    def workbook(part: Path) -> None:
        with Workbook(part, _WORKBOOK) as book:
            sheet = _for_excel(safe)
            plain: dict[Any, str] = {
                header: "0"  # a year is no count
                for name, header in zip(safe.columns, sheet.columns, strict=True)
                if name in released.by and sheet.schema[header].is_integer()
            }
            sheet.write_excel(
                book, worksheet=released.schema.name[:31], column_formats=plain or None
            )

    return atomically(path, workbook, suffix=".xlsx")


def _for_excel(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop time zones, with all times in UTC; number headers that differ only in case.

    Columns with a value that Excel has no number for become texts. Texts that are too long for a
    cell end in "…".
    """
    zoned = [name for name, dtype in frame.schema.items() if getattr(dtype, "time_zone", None)]
    utc = pl.col(zoned).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    headers: dict[str, str] = {}
    for name in frame.columns:
        header, n = name, 1
        while header.lower() in headers:
            n += 1
            header = f"{name} ({n})"
        headers[header.lower()] = header
    plain = frame.with_columns(utc) if zoned else frame
    plain = plain.with_columns(column.cast(pl.String) for column in plain if not _fits(column))
    text, longest = pl.col(pl.String), _LONGEST_CELL // 2
    fits = text.str.len_chars() <= longest
    plain = plain.with_columns(
        pl.when(fits).then(text).otherwise(text.str.head(longest) + "…").name.keep()
    )
    return plain.rename(dict(zip(frame.columns, headers.values(), strict=True)))


def _fits(column: pl.Series) -> bool:
    """Whether Excel has a number for each value: it counts days since 1900, and in doubles."""
    if column.dtype.is_integer():
        return column.is_between(-(2**53), 2**53).all()
    if column.dtype in (pl.Date, pl.Datetime):
        return (column.dt.date() >= date(1900, 3, 1)).all()  # it takes 1900 for a leap year
    return True


def latex(
    released: Released,
    path: str | Path | None = None,
    *,
    columns: list[str] | None = None,
    rows: int = 1_000,
    label: str | None = None,
) -> str:
    """Return the table for reading as LaTeX that uses booktabs."""
    table = reading_table(released, columns, rows=rows)
    align = "".join("r" if number else "l" for number in table.is_number)
    lines = [r"\begin{table}", r"\centering"]
    if table.caption:
        lines.append(rf"\caption{{{_latex(table.caption)}}}")
    if label is not None:
        lines.append(rf"\label{{{a_text(label, name='label')}}}")
    lines += [rf"\begin{{tabular}}{{{align}}}", r"\toprule", _latex_row(list(table.headings))]
    lines += [r"\midrule", *(_latex_row(row) for row in table.rows), r"\bottomrule"]
    lines.append(r"\end{tabular}")
    if table.note:
        lines += ["", rf"\footnotesize {_latex(table.note)}"]
    return _written("\n".join([*lines, r"\end{table}", ""]), path, ".tex")


def html(
    released: Released,
    path: str | Path | None = None,
    *,
    columns: list[str] | None = None,
    rows: int = 1_000,
) -> str:
    """Return the table for reading as an HTML fragment."""
    table: ReadingTable = reading_table(released, columns, rows=rows)
    return _written(table._repr_html_() + "\n", path, ".html")


def _written(text: str, path: str | Path | None, suffix: str) -> str:
    if path is not None:
        atomically(
            a_path(path, name="path"),
            lambda part: part.write_text(text, encoding="utf-8"),
            suffix=suffix,
        )
    return text


def _latex_row(cells: list[str]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"


def _latex(text: str) -> str:
    parts = _LIGATURE.split(text)
    return "{}".join("".join(_LATEX.get(sign, sign) for sign in part) for part in parts)


def great_table(released: Released, *, columns: list[str] | None = None, rows: int = 1_000) -> Any:
    """Return the table for reading as a `GT` with caption, note, row groups and spanners."""
    with extra("tables"):
        from great_tables import GT

    class Shown(GT):  # type: ignore[misc, unused-ignore]
        """A great-table marked as released, as are those that its methods return."""

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            return marked(released.min_n)

    table = reading_table(released, columns, rows=rows)
    names = [str(place) for place in range(len(table.headings))]
    cells = pl.DataFrame(table.rows, schema=dict.fromkeys(names, pl.String), orient="row")
    group, stub = _headers(table, names)
    shown = (
        Shown(cells, rowname_col=stub, groupname_col=group, id=released.schema.name)
        .cols_label(dict(zip(names, table.headings, strict=True)))
        .cols_align("left")
        .cols_align("right", [n for n, right in zip(names, table.is_number, strict=True) if right])
    )
    if stub:
        shown = shown.tab_stubhead([*table.headings][int(stub)])
    for label, first, last in table.spanners:
        shown = shown.tab_spanner(label, names[first:last])
    if table.caption:
        shown = shown.tab_header(table.caption)
    return shown.tab_source_note(table.note) if table.note else shown


def _headers(table: ReadingTable, names: list[str]) -> tuple[str | None, str | None]:
    """Return the columns that name groups of rows, if a group has several, and rows."""
    headers = names[: table.n_headers]
    several = table.n_headers > 1 and len({row[0] for row in table.rows}) < len(table.rows)
    group = headers.pop(0) if several else None
    return group, headers[0] if headers else None
