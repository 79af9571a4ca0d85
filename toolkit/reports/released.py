"""Refuse pages with figures that are not released."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from toolkit.charts.theme import MIME
from toolkit.connect import SOURCE_PREFIX
from toolkit.errors import DisclosureError
from toolkit.reports.execution import Executed
from toolkit.results.output import OUTPUT

PUBLIC = "public"  # the tag of a cell whose author takes responsibility for what it shows
_DIGIT = re.compile(r"\d")
_SOURCE_PREFIX = re.compile(rf"^{SOURCE_PREFIX} .*$", re.MULTILINE)


def refuse_bare(executed: Iterable[Executed]) -> None:
    """Raise if an output shows figures that are not released.

    Released results, their tables, charts and sentences are marked. Any other output with a
    digit or a picture is refused, unless its cell is tagged "public" or it is the line of
    `connect_or_sandbox` that names the source.

    Raises:
        DisclosureError: Names the notebook and the cell, and says what to do.
    """
    for one in executed:
        for number, cell in enumerate(one.notebook.cells, start=1):
            if PUBLIC in cell.metadata.get("tags", []):
                continue
            if any(_is_bare(output) for output in cell.get("outputs", [])):
                raise DisclosureError(
                    f"{one.name}, cell {number}: it shows figures that are not released; show a "
                    "result, its table, chart or narrative instead of a frame or a number, or "
                    'tag the cell "public" if they concern nobody'
                )


def is_protected(executed: Executed) -> bool:
    """Whether every released output of a notebook withholds small counts."""
    marks = [
        _mark(output) for cell in executed.notebook.cells for output in cell.get("outputs", [])
    ]
    return all(mark is None or mark["min_n"] is not None for mark in marks)


def _mark(output: dict[str, Any]) -> dict[str, Any] | None:
    """Return the mark of a released output; None if it is not released."""
    found: dict[str, Any] | None = output.get("metadata", {}).get(OUTPUT)
    if found is None and MIME in output.get("data", {}):
        found = output["data"][MIME].get("usermeta", {}).get(OUTPUT)
    return found


def _is_bare(output: dict[str, Any]) -> bool:
    if _mark(output) is not None:
        return False
    data = output.get("data", {})
    is_picture = MIME in data or any(kind.startswith("image/") for kind in data)
    shown = [_SOURCE_PREFIX.sub("", output.get("text", "")), *(str(data[kind]) for kind in data)]
    return is_picture or any(_DIGIT.search(text) for text in shown)
