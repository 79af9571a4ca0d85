"""Data flows one way: a room imports only rooms to its left; some libraries have one door."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolkit"

LEFT_TO_RIGHT = [
    {"errors"},
    {"config", "schemas"},
    {
        "counting",
        "decoding",
        "disclosure",
        "intervals",
        "normalize",
        "progress",
        "privacy",
        "retries",
        "wire",
    },
    {"strict_json", "transport"},
    {"charts", "grouping", "narratives", "person_course", "stages"},
    {"cohorts", "comparisons", "distributions", "event_counts", "outcomes", "paths", "quality"},
    {"curve_statistics", "durations", "grays_score", "survival"},
    {"survival_summary"},
    {"hazards", "survival_differences", "survival_tests"},
    {"competing_risks"},
    {"key_figures"},
    {"columnar_json"},
    {"batches"},
    {"streams"},
    {"loader"},
    {"scan", "study"},
    {"manifests"},
    {"sandbox", "snapshots"},
    {"connecting", "exports", "snapshot_changes", "snapshot_writer"},
    {"reports"},
    {"cli"},
]
ONE_DOOR = {
    "altair": {"charts"},
    "fastapi": {"sandbox"},
    "great_expectations": {"quality"},
    "httpx": {"retries", "transport"},
    "nbclient": {"reports"},
    "nbconvert": {"reports"},
    "typer": {"cli"},
    "uvicorn": {"sandbox"},
}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports() -> list[tuple[str, str]]:
    """Each pair of a room and a dotted name that it imports."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.append((room_of(file), node.module))
            elif isinstance(node, ast.Import):
                found += [(room_of(file), alias.name) for alias in node.names]
    return found


ROOMS = sorted({room_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__"})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_to_its_left(room: str) -> None:
    places = {name: place for place, names in enumerate(LEFT_TO_RIGHT) for name in names}
    assert room in places, f"say in LEFT_TO_RIGHT where {room} lies"
    used = {
        name.split(".")[1]
        for importer, name in imports()
        if importer == room and name.startswith("toolkit.")
    } - {room}
    assert {name for name in used if places[name] >= places[room]} == set()


@pytest.mark.parametrize(("library", "doors"), ONE_DOOR.items())
def test_a_library_is_imported_through_its_door_alone(library: str, doors: set[str]) -> None:
    assert {room for room, name in imports() if name.split(".")[0] == library} <= doors
