"""The registry of result tables: what `protect`, charts and narratives recognise."""

from __future__ import annotations

import polars as pl

from toolkit.schemas.change_results import CHANGE_TABLES
from toolkit.schemas.columns import Table
from toolkit.schemas.outcome_results import OUTCOME_TABLES

RESULTS: dict[str, Table] = {table.name: table for table in (*OUTCOME_TABLES, *CHANGE_TABLES)}


def recognise(frame: pl.DataFrame) -> Table | None:
    """The result table whose columns the frame has, or None.

    Columns that the table does not name are group columns. Where several fit, the one with
    the most columns is meant.
    """
    fitting = [table for table in RESULTS.values() if set(table.names) <= set(frame.columns)]
    return max(fitting, key=lambda table: len(table.columns), default=None)
