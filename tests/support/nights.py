"""Finished reports of consecutive nights, made once in a test session."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import in_process
from oracle import Oracle
from recount import Truth, changes

import toolkit as tk

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
SOURCES = ["300", "5000", "oulad"]


def reports(top: Path, source: str, oulad: Path | None, n: int = 2) -> None:
    """Write the reports of `n` nights; each compares with the snapshot of the night before."""
    platform = tk.sandbox(oulad=oulad) if source == "oulad" else tk.sandbox(learners=int(source))
    snapshots = top / "snapshots"
    with platform as now:
        last = tk.take_snapshot(now, snapshots / f"{n}", key=KEY, times="exact")
        for night in range(1, n):
            with now.earlier(last.as_of - timedelta(days=n - night)) as past:
                tk.take_snapshot(past, snapshots / f"{night}", key=KEY, times="exact")
    for night in range(1, n + 1):
        in_process.write_report(top / f"{night}", SO2_SNAPSHOT=str(snapshots / f"{night}"))


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of several test processes fills, while the others wait."""
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
    """Return an oracle of each night's report; each knows the night before."""
    n = len(list((top / "snapshots").iterdir()))
    snapshots = [tk.open_snapshot(top / "snapshots" / f"{night + 1}") for night in range(n)]
    truths = [Truth(tk.load_study(snapshot)) for snapshot in snapshots]
    later = [
        Oracle(top / f"{night + 1}", truths[night], truths[night - 1], changes(*pair))
        for night, pair in enumerate(pairwise(snapshots), start=1)
    ]
    return [Oracle(top / "1", truths[0]), *later]
