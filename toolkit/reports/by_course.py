"""The rows of a large course explorer: one file per course, loaded when the course is chosen.

Only a script tag lets a page opened from disk load another file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.charts.explorer_panels import CHOSEN

Rows = dict[str, list[dict[str, Any]]]
_INNER = ("vconcat", "hconcat", "concat", "layer")


@dataclass(frozen=True)
class Divided:
    """A chart in two parts."""

    spec: dict[str, Any]  # without the rows of single courses; `usermeta` says where they are
    courses: list[Rows]  # each course's rows by table, in the order of the select
    first: int = 0  # the place of the course that is shown first

    @property
    def drawn(self) -> dict[str, Any]:
        """The chart of the first course: all that a picture needs."""
        if not self.courses:
            return self.spec
        return {**self.spec, "datasets": self.spec["datasets"] | self.courses[self.first]}


def courses_of(spec: dict[str, Any]) -> list[str]:
    """Return the courses that can be chosen in an explorer."""
    select = next(param for param in spec["params"] if param["name"] == "course")
    return list(select["bind"]["options"])


def divided(spec: dict[str, Any], folder: str) -> Divided:
    """Split off the rows of an explorer that only the chosen course needs."""
    options = courses_of(spec)
    alone = sorted(_alone(spec))
    places = {course: place for place, course in enumerate(options)}
    courses: list[Rows] = [{name: [] for name in alone} for _ in options]
    for name in alone:
        for row in spec["datasets"][name]:
            courses[places[row["course"]]][name].append(row)
    shared = {name: [] if name in alone else rows for name, rows in spec["datasets"].items()}
    where = {"courses": folder}
    first = places[next(p for p in spec["params"] if p["name"] == "course")["value"]]
    return Divided({**spec, "datasets": shared, "usermeta": where}, courses, first)


def write_courses(courses: list[Rows], folder: Path, name: str) -> None:
    """Write each course's rows as a script that hands them to the page."""
    folder.mkdir()
    for place, rows in enumerate(courses):
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        script = f"so2Course({json.dumps(f'{name}/{place}')},{text});\n"
        (folder / f"{place}.js").write_text(script, encoding="utf-8")


def _alone(spec: dict[str, Any]) -> set[str]:
    """Return the tables of which every view draws only the chosen course."""
    uses: dict[str, bool] = {}
    for name, is_chosen in _uses(spec, None, is_chosen=False):
        uses[name] = uses.get(name, True) and is_chosen
    return {name for name, is_chosen in uses.items() if is_chosen}


def _uses(view: dict[str, Any], data: str | None, *, is_chosen: bool) -> Iterator[tuple[str, bool]]:
    data = view.get("data", {}).get("name", data)
    filters = [step.get("filter") for step in view.get("transform", [])]
    is_chosen = is_chosen or CHOSEN in filters
    inner = [part for kind in _INNER for part in view.get(kind, [])]
    for part in inner:
        yield from _uses(part, data, is_chosen=is_chosen)
    if not inner and data is not None:
        yield data, is_chosen
