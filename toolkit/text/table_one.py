"""Table 1 for reading, a row per characteristic and a column per group, and its narrative."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from toolkit.results.result import Released
from toolkit.schemas import PERSON_COURSE
from toolkit.schemas.paper_results import COUNTS, MEDIAN
from toolkit.text import naming, words
from toolkit.text.tables import ReadingTable, reading_table
from toolkit.text.words import Row

INDENT = "\u2003"
BALANCED = 0.1
"""The standardized difference below which groups are usually called balanced (Austin 2009)."""

_MEANING = (
    "Standardized mean difference: how far apart the groups are, in standard deviations; for "
    "several groups, the mean over pairs."
)


def side_by_side(released: Released, *, rows: int = 40) -> ReadingTable:
    """Lay out Table 1 as papers print it: a column per group, a row per variable and level."""
    columns = _columns(released)
    groups = list(columns.values())
    cells = [[(row["variable"], row["level"]) for row in of] for of in groups]
    if not cells or any(of != cells[0] for of in cells):  # filtered to other than whole variables
        return reading_table(released, [*released.by, *released.schema.names], rows=rows)
    lines = [["Enrolled", *(words.count(of[0]["n_enrolled"], released.min_n) for of in groups), ""]]
    for part in _by_variable(groups):
        difference = part[0][0]["standardized_difference"]
        first, *others = _lines(part, released)
        lines.append([*first, _standardized(difference)])
        lines += [[*line, ""] for line in others]
    names = naming.distinct(["Characteristic", *columns, "SMD"])
    of = f"Grouped by {released.by[-1]}." if released.by else "All who are enrolled."
    meanings = ["What is described.", *([of] * len(columns)), _MEANING]
    if len(groups) < 3:  # all, and at most one group: there is nothing to compare
        names, meanings, lines = names[:-1], meanings[:-1], [line[:-1] for line in lines]
    headings = dict(zip(names, meanings, strict=True))
    return ReadingTable(
        headings,
        lines[:rows],
        [False] + [True] * (len(headings) - 1),
        n_headers=1,
        caption=released.caption or "",
        note=_note(released, len(lines), rows),
        min_n=released.min_n,
        spanners=[(_head(released.by[-1]), 2, 1 + len(columns))] if len(columns) > 2 else [],
    )


def in_words(released: Released) -> str:
    """Say how many were studied, in what the groups differ most, and what is missing most."""
    columns = _columns(replace(released, frame=released.whole))
    n = next(iter(columns.values()))[0]["n_enrolled"]
    if n is None:
        return words.too_few(released)
    each = [
        f"{name} {words.count(of[0]['n_enrolled'], released.min_n)}"
        for name, of in list(columns.items())[1:]
    ]
    text = words.plural(n, "enrollment") + (f": {', '.join(each)}." if each else ".")
    whole = pl.DataFrame(next(iter(columns.values())), infer_schema_length=None)
    whole = whole.filter(pl.col("variable").is_in(released.frame["variable"].to_list()))
    firsts = whole.unique("variable", keep="first", maintain_order=True)
    known = firsts.filter(pl.col("standardized_difference").is_not_null())
    if len(columns) > 2 and known.height:
        most = known.sort("standardized_difference", descending=True, maintain_order=True)
        n_apart = known.filter(pl.col("standardized_difference") > BALANCED).height
        text += (
            f" The groups differ most in {_name(most['variable'][0])} (standardized difference "
            f"{_standardized(most['standardized_difference'][0])}); {n_apart} of "
            f"{words.plural(known.height, 'characteristic')} "
            f"{'differs' if n_apart == 1 else 'differ'} by more than {BALANCED}."
        )
    missing = firsts.filter(pl.col("n_missing") > 0).sort("n_missing", descending=True)
    if missing.height:
        row = missing.row(0, named=True)
        records = words.plural(row["n_missing"], "record")
        text += f" Missing most: {_name(row['variable'])}, in {records}."
    return text


def _columns(released: Released) -> dict[str, list[Row]]:
    """Return the rows of each group by its name, in the table's order; those of all first."""
    parts = naming.of_rows(released).partition_by("_name", maintain_order=True)
    named = {part["_name"][0]: part.rows(named=True) for part in parts}
    return named if released.by or not named else {"All": next(iter(named.values()))}


def _by_variable(groups: Sequence[list[Row]]) -> list[list[list[Row]]]:
    variables = dict.fromkeys(row["variable"] for row in groups[0])
    return [
        [[row for row in of if row["variable"] == variable] for of in groups]
        for variable in variables
    ]


def _lines(groups: list[list[Row]], released: Released) -> list[list[str]]:
    """Return the lines of one variable: its name, its levels, and its missing values."""
    first = groups[0][0]
    head = f"{_head(first['variable'])}, {first['summary']}"
    if len(groups[0]) == 1 and (first["summary"] != COUNTS or first["level"] == "yes"):
        lines = [[head, *(_figure(of[0], released) for of in groups)]]
    else:
        lines = [[head, *([""] * len(groups))]]
        lines += [
            [
                f"{INDENT}{naming.name(level[0]['level'])}",
                *(_figure(row, released) for row in level),
            ]
            for level in zip(*groups, strict=True)
        ]
    if any(of[0]["n_missing"] for of in groups):
        missing = [_counted(of[0], "n_missing", "n_enrolled", released) for of in groups]
        lines.append([f"{INDENT}missing, {COUNTS}", *missing])
    return lines


def _name(column: str) -> str:
    return naming.clean(column.replace("_", " "))


def _head(column: str) -> str:
    return words.capitalized(_name(column))


def _figure(row: Row, released: Released) -> str:
    if row["summary"] == COUNTS:
        return _counted(row, "n_level", "n_known", released)
    names = ("median", "q1", "q3") if row["summary"] == MEDIAN else ("mean", "sd")
    values = [row[name] for name in names]
    if values[0] is None:
        return words.ABSENT
    texts = [words.ABSENT if value is None else _number(value, row) for value in values]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else f"{texts[0]} ({texts[1]})"


def _number(value: float, row: Row) -> str:
    known = {column.name: column.unit for column in PERSON_COURSE}
    if known.get(row["variable"]) == "fraction":
        return words.percent(value, plain=True)
    return words.number(value)


def _standardized(difference: float | None) -> str:
    if difference is None:
        return words.ABSENT
    return "∞" if math.isinf(difference) else f"{difference:.2f}"


def _counted(row: Row, k: str, n: str, released: Released) -> str:
    """Write a count with its percentage, or upper bounds of both."""
    if row[n] is None:
        return words.count(None, released.min_n)
    if row[k] is None:
        bound = "" if released.min_n is None else f" ({words.under(row[n], released.min_n)})"
        return f"{words.count(None, released.min_n)}{bound}"
    if row[n] == 0:
        return words.count(row[k], released.min_n)
    decimal = words.has_decimal(row[n], released.min_n)
    return f"{row[k]:,} ({words.percent(row[k] / row[n], decimal=decimal)})"


def _note(released: Released, height: int, rows: int) -> str:
    notes = [f"{rows:,} of {height:,} rows."] if height > rows else []
    if released.min_n is None:
        return " ".join([*notes, "Exact figures, unprotected."])
    notes += [
        f"Counts of fewer than {released.min_n} learners are withheld, missing values among them.",
        "Counts are rounded to multiples of 5, so sums may differ by a few.",
    ]
    return " ".join(notes)
