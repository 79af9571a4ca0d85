"""Notebooks executed in the test process: the outputs of a kernel, without its startup."""

from __future__ import annotations

import ast
import contextlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter

import toolkit as tk
from toolkit.reports.execution import Executed, read_notebook
from toolkit.reports.figures import chart_script

_chart_script = cache(chart_script)  # the same in every report


def spare(patch: pytest.MonkeyPatch) -> None:
    """Write reports without their PDF, and with one script for all charts of these tests."""
    patch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)
    patch.setattr("toolkit.reports.site.chart_script", _chart_script)


def write_report(folder: Path, **environment: str) -> tk.Report:
    """Write a report of notebooks executed here, without its PDF, in an environment."""
    settings = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": "", "TQDM_DISABLE": "1", **environment}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.reports.making.execute_notebooks", execute_notebooks)
        spare(patch)
        for name, value in settings.items():
            patch.setenv(name, value)
        report = tk.write_report(folder)
    assert report.failures == ()
    return report


def execute_notebooks(
    paths: Sequence[Path], *, environment: Mapping[str, str], **_: Any
) -> list[Executed]:
    """Return the notebooks with their outputs, as `toolkit.reports.execution` does."""
    return [_executed(path, environment) for path in paths]


def _executed(path: Path, environment: Mapping[str, str]) -> Executed:
    notebook = read_notebook(path)
    names: dict[str, Any] = {"__name__": "__main__"}
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = _outputs(cell.source, names)
    if isinstance(source := names.get("source"), tk.Platform):
        source.close()  # as the end of a kernel would
    return Executed(path.stem, notebook, 0.0)


def _outputs(source: str, names: dict[str, Any]) -> list[Any]:
    """Return what a cell prints, and its last value if it ends with an expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    found, printed = [], io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)  # noqa: S102
        value = None
        if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
    if printed.getvalue():
        found.append(nbformat.v4.new_output("stream", name="stdout", text=printed.getvalue()))
    if value is not None:
        data, metadata = DisplayFormatter().format(value)
        found.append(nbformat.v4.new_output("execute_result", data=data, metadata=metadata))
    return found
