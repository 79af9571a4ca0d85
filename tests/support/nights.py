"""Finished reports of two nights, one day apart, made once in a test session."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

import in_process
import pytest
from oracle import Oracle
from recount import Truth, changes

import toolkit as tk

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
NIGHTS = ("1", "2")
SOURCES = ["300", "5000", "oulad"]


def reports(top: Path, source: str, oulad: Path | None) -> list[Path]:
    """The reports of two nights; the later finds the snapshot of the earlier, and compares."""
    platform = tk.sandbox(oulad=oulad) if source == "oulad" else tk.sandbox(learners=int(source))
    with platform as now:
        later = tk.take_snapshot(now, top / "snapshots" / "2", key=KEY, times="exact")
        with now.earlier(later.as_of - timedelta(days=1)) as past:
            tk.take_snapshot(past, top / "snapshots" / "1", key=KEY, times="exact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.reports.report.execute_notebooks", in_process.execute_notebooks)
        patch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)
        patch.setenv("SO2_BASE_URL", "")
        for night in NIGHTS:
            patch.setenv("SO2_SNAPSHOT", str(top / "snapshots" / night))
            report = tk.write_report(top / night)
            assert report.failures == ()
    return [top / night for night in NIGHTS]


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that the first of several test processes fills, while the others wait."""
    done = folder / "done"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        _lock(lock.fileno())
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def _lock(descriptor: int) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)


@cache
def nights(top: Path) -> list[Oracle]:
    """What the two reports print, named; the second knows the first."""
    snapshots = [tk.open_snapshot(top / "snapshots" / night) for night in NIGHTS]
    first, second = (Truth(tk.load_study(snapshot)) for snapshot in snapshots)
    return [
        Oracle(top / "1", first),
        Oracle(top / "2", second, first, changes(*snapshots)),
    ]
