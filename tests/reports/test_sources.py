"""Whatever a report is made of, its kernels read those learners; settings stay as they are."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import in_process
import nbformat
import pytest
from object_store import log_in, served

import toolkit as tk

pytestmark = pytest.mark.slow

LEARNERS, SEED = 61, 3
CELLS = [
    "import toolkit as tk\nsource = tk.connect_or_sandbox()\nstudy = tk.load_study(source)",
    f"assert study.person_course['username'].n_unique() > {LEARNERS - 10}",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    made.cells = [nbformat.v4.new_markdown_cell("# Who passes?")]
    made.cells += [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    path = tmp_path_factory.mktemp("own") / "own.ipynb"
    nbformat.write(made, path)
    return path


@pytest.mark.parametrize("kind", ["sandbox", "address", "folder", "store"])
def test_a_report_is_made_of_any_source(
    kind: str, notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process.spare(monkeypatch)
    monkeypatch.setenv("SO2_SANDBOX_LEARNERS", "7")
    with tk.sandbox(LEARNERS, SEED) as platform, served() as bucket:
        log_in(bucket, monkeypatch)
        monkeypatch.setenv("SO2_TOKEN", platform.token)
        before = dict(os.environ)
        folder = f"{bucket.address}/kept" if kind == "store" else tmp_path / "kept"
        tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        source, named = {
            "sandbox": (platform, "sandbox: "),
            "address": (platform.base_url, "127.0.0.1"),
            "folder": (folder, "snapshot of "),
            "store": (folder, "snapshot of "),
        }[kind]
        report = tk.write_report(tmp_path / "report", source=source, notebooks=[notebook])

    assert report.failures == ()
    assert named in report.caption
    assert dict(os.environ) == before
