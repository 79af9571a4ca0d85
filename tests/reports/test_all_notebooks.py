"""Every notebook from a snapshot with the network closed; the report of a live platform."""

from __future__ import annotations

import json
import re
import socket
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import in_process
import pytest

import toolkit as tk
from toolkit.reports.execution import Executed, execute_notebooks
from toolkit.reports.library import find_notebooks

pytestmark = pytest.mark.slow

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
FORBIDDEN = re.compile(r"Traceback|/tmp/|/home/|/root/|/Users/|[A-Z]:\\\\|\w@\w|Bearer ")


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[tk.Snapshot]:
    folder = tmp_path_factory.mktemp("snapshots")
    with tk.sandbox(learners=1_000) as now:
        later = tk.take_snapshot(now, folder / "later", key=KEY)
        with now.earlier(later.as_of.replace(year=2025, month=10)) as past:
            earlier = tk.take_snapshot(past, folder / "earlier", key=KEY)
    return [earlier, later]


def outputs_text(notebook: Any) -> str:
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)


def closed(*_: object) -> NoReturn:
    raise OSError("the network is closed")


@pytest.fixture(scope="module")
def executed(snapshots: list[tk.Snapshot]) -> list[Executed]:
    """Here, where no socket connects; the tests of sources have kernels that read a snapshot."""
    variables = {"SO2_SNAPSHOT": str(snapshots[-1].folder.resolve()), "SO2_BASE_URL": ""}
    with pytest.MonkeyPatch.context() as patch:
        for connects in ("connect", "connect_ex"):
            patch.setattr(socket.socket, connects, closed)
        return in_process.execute_notebooks(
            find_notebooks(), environment={**variables, "TQDM_DISABLE": "1"}
        )


def test_every_notebook_runs_from_a_snapshot_without_network(executed: list[Executed]) -> None:
    assert [one.name for one in executed] == [path.stem for path in find_notebooks()]
    for one in executed:
        assert "snapshot of 2026-01-01" in outputs_text(one.notebook), one.name


def test_the_history_finds_the_older_snapshot_beside_it(executed: list[Executed]) -> None:
    history = next(one for one in executed if one.name == "06-history")
    assert "2025-10-01 to 2026-01-01" in outputs_text(history.notebook)


def test_no_output_holds_an_identity_a_path_or_a_traceback(
    executed: list[Executed], snapshots: list[tk.Snapshot]
) -> None:
    learners = set(snapshots[-1].grades().collect()["username"])
    for one in executed:
        text = outputs_text(one.notebook)
        assert FORBIDDEN.findall(text) == [], one.name
        assert learners.isdisjoint(re.findall(r"\w+", text)), one.name


def test_the_history_leaves_no_snapshot_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    settings = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": ""}
    [done] = execute_notebooks(find_notebooks(["06"]), environment=settings)
    assert "newly passed" in outputs_text(done.notebook)
    assert list(tmp_path.iterdir()) == []


def test_a_saved_notebook_is_under_a_megabyte(executed: list[Executed]) -> None:
    assert all(len(outputs_text(one.notebook)) < 1_000_000 for one in executed)


def test_a_live_platform_is_asked_once_and_no_kernel_sees_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process.spare(monkeypatch)
    with tk.sandbox(learners=300, token="live-s3cret-token") as live:
        monkeypatch.setenv("SO2_BASE_URL", live.base_url)
        monkeypatch.setenv("SO2_TOKEN", live.token)
        monkeypatch.setenv("SO2_SNAPSHOT", "")
        peeking = tmp_path / "01-peek.ipynb"
        text = find_notebooks(["00"])[0].read_text(encoding="utf-8")
        peek = "import os\\n\\nassert 'SO2_TOKEN' not in os.environ\\n\\nimport toolkit as tk"
        peeking.write_text(text.replace("import toolkit as tk", peek, 1), encoding="utf-8")
        report = tk.write_report(tmp_path / "report", notebooks=[peeking])
    written = [path for path in report.index.parent.rglob("*") if path.suffix in {".html", ".csv"}]
    assert len(written) >= 5
    for path in written:
        assert "s3cret" not in path.read_text(encoding="utf-8")
    assert "127.0.0.1" in report.caption
