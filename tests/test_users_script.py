"""The script of a user that has every public name: mypy --strict reads it, this executes it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import toolkit as tk

SCRIPT = Path(__file__).with_name("users_script.py")
# What a schema is made of, and the chart that notebook 05 puts together.
NOT_FOR_A_SCRIPT = {"Column", "Role", "Table", "course_explorer"}


def test_it_has_every_public_name() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for name in tk.__all__:
        value = getattr(tk, name)
        if isinstance(value, ModuleType):
            inner = set(getattr(value, "__all__", ())) - set(tk.__all__) - NOT_FOR_A_SCRIPT
            functions = {one for one in inner if not one.isupper()}
            assert {one for one in functions if f"tk.{name}.{one}" not in used} == set()
        else:
            assert f"tk.{name}" in used


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, capture_output=True, timeout=120)
    assert (tmp_path / "report" / "index.html").is_file()
