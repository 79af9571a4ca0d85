"""Released results as great-tables, to style for a journal or slides."""

from __future__ import annotations

from typing import Any

import polars as pl

from toolkit.extras import extra
from toolkit.results.output import marked
from toolkit.results.result import Released
from toolkit.text.tables import ReadingTable, reading_table


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
