"""Every frame's columns, types, units, grain and keys: the single source for all other modules."""

from toolkit.schemas.columns import TIMESTAMP, Column, Role, Table, require_columns
from toolkit.schemas.resources import (
    COMPLETION,
    ENROLLMENTS,
    GRADES,
    PERSON_COURSE,
    PROBLEMS,
    RESOURCES,
)
from toolkit.schemas.survival_results import DURATIONS

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
