"""Data flows one way: a room imports only rooms on lower floors; some libraries have one door."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolkit"

FLOORS = [
    {"errors"},
    {"citation", "config", "extras", "schemas"},
    {"loading", "release"},
    {"results", "sandbox"},
    {"analyses", "snapshots", "text"},
    {"charts", "connect", "quality", "study", "survival"},
    {"reports"},
    {"cli", "engines"},
]
ONE_DOOR = {
    "altair": {"charts"},
    "fastapi": {"sandbox"},
    "great_expectations": {"quality"},
    "httpcore": {"loading"},
    "httpx": {"loading"},
    "nbclient": {"reports"},
    "nbconvert": {"reports"},
    "obstore": {"snapshots"},
    "typer": {"cli"},
    "uvicorn": {"sandbox"},
}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports() -> list[tuple[str, str]]:
    """Each pair of a room and a dotted name that it imports, under TYPE_CHECKING too."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "toolkit":
                found += [(room_of(file), f"toolkit.{alias.name}") for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.append((room_of(file), node.module))
            elif isinstance(node, ast.Import):
                found += [(room_of(file), alias.name) for alias in node.names]
    return found


ROOMS = sorted({room_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__"})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_floors_below(room: str) -> None:
    floor_of = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    assert room in floor_of, f"say in FLOORS where {room} lies"
    used = {
        name.split(".")[1]
        for importer, name in imports()
        if importer == room and name.startswith("toolkit.")
    } - {room}
    assert {name for name in used if floor_of[name] >= floor_of[room]} == set()


def test_the_house_stays_small_enough_to_see() -> None:
    assert len(ROOMS) <= 20
    assert len(FLOORS) <= 8


@pytest.mark.parametrize(("library", "doors"), ONE_DOOR.items())
def test_a_library_is_imported_through_its_door_alone(library: str, doors: set[str]) -> None:
    assert {room for room, name in imports() if name.split(".")[0] == library} <= doors
