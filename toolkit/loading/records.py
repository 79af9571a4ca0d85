"""The parsed form of a piece: its records as text, and a row for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from toolkit.errors import SchemaError
from toolkit.schemas import PROBLEMS, Table

DEEPEST = 500  # brackets within brackets
REPEATED = "the field comes twice in the record; the last was taken"
NESTED = "not a single value; taken as null"

Problem = tuple[int | None, str, str | None, str]
"""Record, column, raw text, reason."""


@dataclass
class RawBatch:
    """The records of a piece, every value as text.

    Attributes:
        frame: One String column per field of the table.
        present: The fields of the table that some record has.
        extra: Unknown fields, each with the first record that has it.
        problems: Fields that are repeated or not a single value.
        tail: What follows the records, from the `]` on.
    """

    frame: pl.DataFrame
    present: set[str] = field(default_factory=set)
    extra: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    tail: bytes = b""


class IncompleteError(Exception):
    """The piece ends inside a record: it was cut in the wrong place."""


def require_fields(raw: pl.DataFrame, table: Table, before: int) -> None:
    """Raise `SchemaError` at the first record that lacks a required field.

    Args:
        raw: One column per field of the table, one row per record.
        table: The resource.
        before: Number of records before these.

    Raises:
        SchemaError: Names the field and the record.
    """
    lacking = [
        (before + (raw[column.name].is_null().arg_max() or 0), column.name)
        for column in table
        if column.required and raw[column.name].null_count()
    ]
    if lacking:
        record, name = min(lacking)
        raise SchemaError(f"record {record} has no `{name}`, or it is null")


def problem_rows(resource: str, rows: Sequence[Problem]) -> pl.DataFrame:
    """Return a problems frame with these rows."""
    return pl.DataFrame(
        [(resource, *row) for row in rows], schema=PROBLEMS.polars_schema, orient="row"
    )
