"""Every result table by its name."""

from __future__ import annotations

from toolkit.schemas import comparison_results, outcome_results, paper_results, survival_results
from toolkit.schemas.columns import Table

_MODULES = (outcome_results, comparison_results, paper_results, survival_results)
RESULTS: dict[str, Table] = {
    table.name: table
    for module in _MODULES
    for table in vars(module).values()
    if isinstance(table, Table)
}
