"""Columns and tables: names, types, units, roles and grain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import polars as pl

from toolkit.errors import SchemaError

TIMESTAMP = pl.Datetime("us", "UTC")


class Role(Enum):
    """How checks, release and charts treat a column.

    Examples:
        >>> from toolkit.schemas import GRADES
        >>> GRADES["email"].role
        <Role.IDENTITY: 'identity'>
    """

    KEY = "key"  # identifies the row
    IDENTITY = "identity"  # names a person
    VALUE = "value"  # a measured property of a row
    GROUP = "group"  # a result table's dimension: a cohort, a bin, a time
    COUNT = "count"  # a number of people, which release protects
    STATISTIC = "statistic"  # computed from the counts named in `rests_on`
    MEASURE = "measure"  # computed from the records themselves, such as a mean of grades
    STATUS = "status"  # why a cell is null
    DRAW = "draw"  # keys the rounding of released counts; never shown


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: The API's own name if it has one.
        dtype: The Polars type in the typed frame.
        description: One sentence for a reader of tables.
        role: See `Role`.
        unit: For numbers: "fraction", "points" (a difference of fractions), "days", "p", …
        required: Whether a record without it (missing or null) is refused.
        low: Smallest valid value.
        high: Largest valid value.
        rests_on: For a statistic or a measure, the count columns it is computed from.
        within: For a count, the count column that includes it: passed within enrolled.
        ci_of: For an end of an interval, the column of the estimate. The low end comes first; of
            two intervals, the simultaneous one comes last and is displayed.

    Examples:
        >>> from toolkit.schemas import GRADES
        >>> GRADES["percent_grade"].unit, GRADES["percent_grade"].high
        ('fraction', 1.0)
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    role: Role = Role.VALUE
    unit: str | None = None
    required: bool = False
    low: float | None = None
    high: float | None = None
    rests_on: tuple[str, ...] = ()
    within: str | None = None
    ci_of: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A frame's columns, in order, with its grain and key.

    Attributes:
        name: What the toolkit calls the frame.
        grain: What one row is, "one row per …".
        columns: The columns in order. Result tables may carry group columns before them.
        key: The columns that no two rows share.
        time: The unit of its times: hours, days or weeks.

    Examples:
        >>> from toolkit.schemas import GRADES
        >>> GRADES.key, GRADES.grain
        (('username', 'course_id'), 'one row per learner per course')
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time: str = "days"

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """The column names in order."""
        return [column.name for column in self.columns]

    @property
    def polars_schema(self) -> pl.Schema:
        """The frame's Polars schema."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def of_role(self, *roles: Role) -> list[str]:
        """Return the names of the columns in any of these roles."""
        return [column.name for column in self.columns if column.role in roles]

    def interval_of(self, name: str) -> tuple[str, str] | None:
        """Return the low and high end of an estimate's interval; None if it has none."""
        ends = [column.name for column in self.columns if column.ci_of == name]
        return (ends[-2], ends[-1]) if ends else None

    def empty(self) -> pl.DataFrame:
        """Return the frame without rows."""
        return pl.DataFrame(schema=self.polars_schema)


def require_columns(have: Iterable[str], need: Iterable[str], *, what: str) -> None:
    """Raise `SchemaError` naming each missing column and those that exist.

    Args:
        have: The columns of the frame.
        need: The columns it must have.
        what: What the message calls the frame, such as "person_course" or "durations".

    Raises:
        SchemaError: A needed column is missing.

    Examples:
        >>> require_columns(["username"], ["created"], what="enrollments")
        Traceback (most recent call last):
        toolkit.errors.SchemaError: enrollments has no column `created`; it has username
    """
    present = list(have)
    missing = [f"`{name}`" for name in need if name not in present]
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        raise SchemaError(
            f"{what} has no {word} {', '.join(missing)}; it has {', '.join(present) or 'none'}"
        )
