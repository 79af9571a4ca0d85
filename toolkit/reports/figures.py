"""One chart of an executed notebook: drawn as SVG and PNG, its data as CSV."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from toolkit.charts.basis import MOST
from toolkit.extras import extra
from toolkit.reports.by_course import Divided, courses_of, divided, write_courses
from toolkit.results.files import fit_for_xml, harmless

with extra("notebooks"):
    import vl_convert

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_VEGALITE = "6.4"


@dataclass(frozen=True)
class Figure:
    """A chart of a page."""

    name: str  # its files' stem, "02-cohorts-1"
    title: str  # what it found, in one line
    description: str  # what it shows, in words
    spec: dict[str, Any]  # its Vega-Lite specification

    @property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The chart's tables by the stem of their file, the longest first."""
        tables = sorted(self.spec.get("datasets", {}).values(), key=len, reverse=True)
        kept = [rows for rows in tables if rows and _has_figures(rows[0])]
        return {self.name if not i else f"{self.name}-{i + 1}": t for i, t in enumerate(kept)}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw: no row in any table, or no course to choose."""
        if self.is_explorer:
            return courses_of(self.spec) == [""]
        return not any(self.spec.get("datasets", {"": [1]}).values())

    @property
    def is_explorer(self) -> bool:
        """Whether a course can be chosen in it."""
        return any(param.get("name") == "course" for param in self.spec.get("params", []))

    @property
    def json(self) -> str:
        """The specification, safe inside a `<script>` of a page."""
        text = json.dumps(self._divided.spec, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")

    @cached_property
    def _divided(self) -> Divided:
        """The specification of the page and, for many courses, what it loads for each."""
        if not self.is_explorer or len(courses_of(self.spec)) <= MOST:
            return Divided(self.spec, [])
        return divided(self.spec, f"figures/{self.name}")

    @property
    def drawn(self) -> dict[str, Any]:
        """The specification to draw as a picture."""
        return self._divided.drawn

    def write_courses(self, folder: Path) -> None:
        """Write what the page loads for each course, if there are many."""
        if self._divided.courses:
            write_courses(self._divided.courses, folder / self.name, f"figures/{self.name}")


def _has_figures(row: dict[str, Any]) -> bool:
    """Whether a table holds figures; others only position the words of a chart."""
    return len(row) > 1 and any(isinstance(value, int | float) for value in row.values())


def read_figure(name: str, spec: dict[str, Any]) -> Figure:
    """Read the figure from a chart output of a notebook.

    Control characters, which any name may contain, become "�", since SVG does not allow them.
    """
    spec = drawable(spec)
    heading = spec.get("title") or ""
    text = heading.get("text", "") if isinstance(heading, dict) else heading
    title = " ".join(text) if isinstance(text, list) else str(text)
    description = str(spec.get("description") or title)
    # The page has its own menu, and its own way to choose a theme.
    bare = {key: value for key, value in spec.items() if key != "usermeta"}
    return Figure(name, title, description, {**bare, "$schema": _SCHEMA})


def drawable(value: Any) -> Any:
    """Replace the control characters in all texts by "�"."""
    if isinstance(value, str):
        return fit_for_xml(value)
    if isinstance(value, list):
        return [drawable(one) for one in value]
    if isinstance(value, dict):
        return {drawable(key): drawable(one) for key, one in value.items()}
    return value


def write_figure(figure: Figure, folder: Path) -> None:
    """Write `name.svg`, `name.png` (twice the size, for slides) and the tables as CSV."""
    svg = vl_convert.vegalite_to_svg(figure.drawn, vl_version=_VEGALITE)
    (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8")
    (folder / f"{figure.name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=2))
    figure.write_courses(folder)
    for stem, rows in figure.tables.items():
        table = pl.DataFrame(rows, infer_schema_length=None)
        harmless(table).write_csv(folder / f"{stem}.csv")


def chart_script() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, for a page without a network."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGALITE)
