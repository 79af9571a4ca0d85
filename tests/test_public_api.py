import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import toolkit as tk

STUB = Path(tk.__file__).with_suffix(".pyi")


def stub_names() -> list[str]:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    return [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def test_every_name_of_the_stub_can_be_used() -> None:
    for name in stub_names():
        found = getattr(tk, name)
        where = found.__name__ if isinstance(found, ModuleType) else found.__module__
        assert where.startswith("toolkit.")


def test_the_face_is_small() -> None:
    assert (
        len([name for name in stub_names() if not isinstance(getattr(tk, name), ModuleType)]) <= 40
    )


def test_the_public_names_are_those_of_the_stub() -> None:
    assert sorted(tk.__all__) == sorted(stub_names())


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, toolkit; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"great_expectations", "pandas", "altair", "fastapi", "nbconvert", "scipy", "pydantic"}
    assert heavy.isdisjoint(loaded)
