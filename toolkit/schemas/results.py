"""Every result table by its name."""

from __future__ import annotations

from toolkit.schemas.change_results import CHANGE_TABLES
from toolkit.schemas.columns import Table
from toolkit.schemas.comparison_results import COMPARISON_TABLES
from toolkit.schemas.outcome_results import OUTCOME_TABLES
from toolkit.schemas.paper_results import PAPER_TABLES
from toolkit.schemas.survival_results import SURVIVAL_TABLES

RESULTS: dict[str, Table] = {
    table.name: table
    for tables in (OUTCOME_TABLES, COMPARISON_TABLES, CHANGE_TABLES, PAPER_TABLES, SURVIVAL_TABLES)
    for table in tables
}
