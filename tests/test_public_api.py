import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import toolkit as tk
from toolkit.reports.library import find_notebooks

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


def public_callables() -> dict[str, object]:
    """Functions and classes on top and in the namespaces, but for the errors below the base."""
    found = {}
    for name in stub_names():
        value = getattr(tk, name)
        inner = getattr(value, "__all__", []) if isinstance(value, ModuleType) else None
        here = {name: value} if inner is None else {f"{name}.{n}": getattr(value, n) for n in inner}
        found |= {path: one for path, one in here.items() if callable(one)}
    return found


# A report takes half a minute, and the explorer is put together in a notebook: both are executed.
WITHOUT_EXAMPLE = {
    "write_report",
    "reports.write_report",
    "reports.Report",
    "charts.course_explorer",
}


@pytest.mark.parametrize("name", sorted(set(public_callables()) - WITHOUT_EXAMPLE))
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    assert ">>>" in (inspect.getdoc(public_callables()[name]) or ""), name


ROOT = STUB.parents[1]


def executed_code() -> str:
    """The code of the notebooks, of the gallery, and of the pages that run during the build."""
    notebooks = [json.loads(path.read_text(encoding="utf-8")) for path in find_notebooks()]
    cells = [cell for notebook in notebooks for cell in notebook["cells"]]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for page in (ROOT / "docs").rglob("*.md"):
        code += re.findall(r"```\{run\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return "\n".join([*code, (ROOT / "docs" / "gallery.toml").read_text(encoding="utf-8")])


def test_every_public_function_is_used_in_a_notebook_the_gallery_or_a_guide() -> None:
    used = set(re.findall(r"\btk\.([\w.]+)", executed_code()))
    functions = {path: one for path, one in public_callables().items() if inspect.isfunction(one)}
    known = {id(functions[path]) for path in used & set(functions)}
    assert {path for path, one in functions.items() if id(one) not in known} == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, toolkit; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"great_expectations", "pandas", "altair", "fastapi", "nbconvert", "scipy", "pydantic"}
    assert heavy.isdisjoint(loaded)


def test_charts_are_imported_without_a_parser_of_iris() -> None:
    pytest.importorskip("rfc3987_syntax")
    code = """
import sys, toolkit.charts.theme
assert not {*sys.modules} & {"lark", "rfc3987_syntax"}
import rfc3987_syntax  # still there for others
"""
    subprocess.run([sys.executable, "-c", code], check=True)
