"""A notebook that fails costs its own page, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import in_process
import nbformat
import pytest
from typer.testing import CliRunner

import toolkit as tk
from toolkit.cli.app import app
from toolkit.errors import ReportError
from toolkit.reports.execution import execute_notebooks

GOOD = """import toolkit as tk
study = tk.load_study(tk.connect_or_sandbox())
tk.outcomes(study.person_course)"""
WHY = "02-bad.ipynb, cell 3 (1 / 0): ZeroDivisionError: division by zero"


@pytest.fixture(autouse=True)
def small_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    in_process.spare(monkeypatch)
    monkeypatch.setenv("SO2_SANDBOX_LEARNERS", "40")
    monkeypatch.setenv("SO2_BASE_URL", "")
    monkeypatch.setenv("SO2_SNAPSHOT", "")


def write(folder: Path, name: str, question: str, *code: str) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# {question}\n\nWhat it is about.")]
    notebook.cells += [nbformat.v4.new_code_cell(one) for one in code]
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path, "01-good", "Who passes?", GOOD)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write(tmp_path, "02-bad", "Why so few?", "print('half an answer')", "1 / 0")


@pytest.mark.slow
def test_the_other_pages_are_written_and_the_failing_one_says_so(
    tmp_path: Path, good: Path, bad: Path
) -> None:
    folder = tmp_path / "report"
    ran = CliRunner().invoke(app, ["report", str(good), str(bad), "--folder", str(folder)])
    assert ran.exit_code == 1, ran.output
    assert WHY in " ".join(ran.stderr.split())
    texts = {path.stem: path.read_text("utf-8") for path in folder.glob("*.html")}
    assert set(texts) == {"01-good", "02-bad", "index", "methods"}
    assert "could not be made" not in texts["01-good"]
    assert "Outcomes" in texts["01-good"] or "<table" in texts["01-good"]
    for told in ("Why so few?", "What it is about.", "could not be made"):
        assert told in texts["02-bad"]
    assert "half an answer" not in texts["02-bad"]
    assert texts["index"].count("could not be made") == 1


@pytest.mark.slow
def test_where_every_notebook_fails_nothing_is_written(tmp_path: Path, bad: Path) -> None:
    folder = tmp_path / "report"
    with pytest.raises(ReportError) as caught:
        tk.write_report(folder, notebooks=[bad])
    assert str(caught.value) == WHY
    assert not folder.exists()


@pytest.mark.slow
def test_a_killed_kernel_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """import os, signal, tempfile
folder = tempfile.TemporaryDirectory()
open(f"{folder.name}/learners.csv", "w").write("ada")
os.kill(os.getpid(), signal.SIGKILL)"""
    killed = write(tmp_path, "01-killed", "Who passes?", code)
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    [done] = execute_notebooks([killed])
    assert done.failure is not None
    assert "the kernel died" in done.failure
    assert list(temporary.iterdir()) == []
