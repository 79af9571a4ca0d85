"""The data dictionary: what the columns of a frame or a result mean."""

from __future__ import annotations

from toolkit.errors import SchemaError
from toolkit.results.result import Released, Result
from toolkit.schemas import DURATIONS, PERSON_COURSE, PROBLEMS, RESOURCES, Table
from toolkit.schemas.arguments import as_given
from toolkit.schemas.results import RESULTS
from toolkit.text.tables import ReadingTable


def tables() -> dict[str, Table]:
    """Return every frame and result of the toolkit by name."""
    frames = (*RESOURCES.values(), PERSON_COURSE, PROBLEMS, DURATIONS)
    return {table.name: table for table in frames} | RESULTS


def describe(what: Table | Result | Released | str) -> ReadingTable:
    """Return the data dictionary of a frame or a result: one row per column.

    Args:
        what: A result, or a name such as "grades" or "person_course".

    Raises:
        SchemaError: There is no such table; names those that exist.

    Examples:
        >>> describe("problems").rows[0][:2]
        ['resource', 'text']
    """
    table = _table(what)
    rows = [
        [
            column.name,
            _type(str(column.dtype)),
            column.unit or "",
            column.role.value,
            column.description,
        ]
        for column in table
    ]
    headings = {
        "Column": "The name in the frame.",
        "Type": "The type of its values.",
        "Unit": "What its numbers count or measure.",
        "Role": "How checks, charts and release treat the column.",
        "Meaning": "What the column contains.",
    }
    caption = f"{table.name}: {table.grain}"
    note = "In a result, the group columns come before these." * (table.name in RESULTS)
    return ReadingTable(headings, rows, [False] * 5, n_headers=1, caption=caption, note=note)


def _table(what: object) -> Table:
    if isinstance(what, Table):
        return what
    if isinstance(what, Result | Released):
        return what.schema
    known = tables()
    if not isinstance(what, str) or what not in known:
        raise SchemaError(
            f"there is no table {as_given(what)}; choose from {', '.join(sorted(known))}"
        )
    return known[what]


def _type(dtype: str) -> str:
    plain = {"String": "text", "Int64": "whole number", "Float64": "number", "Boolean": "yes or no"}
    if dtype.startswith("Datetime"):
        return "moment (UTC)"
    return plain.get(dtype, dtype.lower())
