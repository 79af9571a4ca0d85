"""Great Expectations has one door, and a new version that lacks a name fails by that name."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from toolkit.quality.gx import library

PACKAGE = Path(library.__file__).parents[2]


def imported() -> list[tuple[str, str]]:
    tree = ast.parse(Path(library.__file__).read_text(encoding="utf-8"))
    return [
        (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    ]


@pytest.mark.parametrize(("module", "name"), imported())
def test_great_expectations_has_the_name_that_is_used(module: str, name: str) -> None:
    assert hasattr(import_module(module), name), f"{module} has no {name} in this version"


def test_only_the_door_imports_great_expectations() -> None:
    doors = [
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("great_exp"))
        or (isinstance(node, ast.Import) and node.names[0].name.startswith("great_exp"))
    ]
    assert set(doors) == {"quality/gx/library.py"}


def test_nothing_is_imported_that_is_not_used() -> None:
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for file in (PACKAGE / "quality").rglob("*.py")
        if file.name != "library.py"
    )
    assert [name for _, name in imported() if name != "metrics" and name not in text] == []
