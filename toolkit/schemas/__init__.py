"""Every frame's columns, types, units, grain and keys: the single source for all other modules."""

from toolkit.schemas.columns import TIMESTAMP, Column, Role, Table, require_columns
from toolkit.schemas.resources import (
    COMPLETION,
    DURATIONS,
    ENROLLMENTS,
    GRADES,
    PERSON_COURSE,
    PROBLEMS,
    RESOURCES,
)

__all__ = [
    "COMPLETION",
    "DURATIONS",
    "ENROLLMENTS",
    "GRADES",
    "PERSON_COURSE",
    "PROBLEMS",
    "RESOURCES",
    "TIMESTAMP",
    "Column",
    "Role",
    "Table",
    "require_columns",
]
