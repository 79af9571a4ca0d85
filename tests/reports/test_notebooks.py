"""The notebooks as they lie in git: style that a machine can see."""

from __future__ import annotations

import ast
import errno
import json
import re
from pathlib import Path

import nbformat
import pytest

import toolkit as tk
from toolkit.reports.library import copy_notebooks, find_notebooks

NOTEBOOKS = find_notebooks()


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, 4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_git_holds_no_output_and_no_execution_count(notebook: nbformat.NotebookNode) -> None:
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(notebook))


def test_a_notebook_asks_one_question(notebook: nbformat.NotebookNode) -> None:
    headings = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    ]
    assert len(headings) == 1
    assert headings[0].endswith("?")
    assert notebook.cells[0].source.startswith(headings[0])


def test_cells_have_names_that_stay(notebook: nbformat.NotebookNode) -> None:
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(name.replace("-", "").isalpha() and name.islower() for name in ids)


def test_cells_are_short_and_define_no_function(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        assert len(cell.source.splitlines()) <= 15, cell.id
        tree = ast.walk(ast.parse(cell.source))
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree), cell.id


def test_parameters_and_imports_stand_once_each_at_the_top(
    notebook: nbformat.NotebookNode,
) -> None:
    tagged = [cell.metadata.get("tags", []) for cell in code(notebook)]
    assert tagged[0] == ["parameters", "author"]
    assert all({*tags} <= {"author", "public"} for tags in tagged[1:])
    importing = [cell.id for cell in code(notebook) if "import " in cell.source]
    assert importing == ["imports"]


def test_a_notebook_asserts_two_facts_or_more(notebook: nbformat.NotebookNode) -> None:
    nodes = [node for cell in code(notebook) for node in ast.walk(ast.parse(cell.source))]
    assert sum(isinstance(node, ast.Assert) for node in nodes) >= 2


def test_records_of_a_learner_are_taken_together_or_it_is_said_why_not(
    notebook: nbformat.NotebookNode,
) -> None:
    source = "\n".join(cell.source for cell in code(notebook))
    gives_intervals = r"tk\.(outcomes|completion_funnel|cohort|compare|kaplan|survival|logrank)"
    if re.search(gives_intervals, source):
        prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        are_together = re.search('cluster ?= ?"username"', source)
        assert are_together or "take enrollments as independent" in prose


def test_every_link_to_another_notebook_leads_to_one(notebook: nbformat.NotebookNode) -> None:
    text = "".join(cell.source for cell in notebook.cells)
    linked = {part.split(")")[0] for part in text.split("](")[1:] if ".ipynb" in part.split(")")[0]}
    assert linked <= {path.name for path in NOTEBOOKS}


def test_notebooks_are_numbered_in_reading_order() -> None:
    numbers = [path.stem.split("-")[0] for path in NOTEBOOKS]
    assert numbers == [f"{i:02}" for i in range(len(numbers))]


def test_a_copy_that_fails_is_not_taken_for_a_users_own_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(_: Path, target: Path) -> None:
        Path(target).write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("shutil.copyfile", fill_the_disk)
        with pytest.raises(tk.errors.ArgumentError, match="Free space"):
            copy_notebooks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert copy_notebooks(tmp_path)[1] == []


def test_copies_never_go_over_a_file_that_was_changed(tmp_path: Path) -> None:
    fresh, kept = copy_notebooks(tmp_path / "work")
    assert [path.name for path in fresh] == [path.name for path in NOTEBOOKS]
    assert kept == []
    mine = fresh[0]
    changed = json.loads(mine.read_text(encoding="utf-8")) | {"metadata": {"mine": True}}
    mine.write_text(json.dumps(changed), encoding="utf-8")
    fresh, kept = copy_notebooks(tmp_path / "work")
    assert kept == [mine]
    assert "mine" in mine.read_text(encoding="utf-8")
