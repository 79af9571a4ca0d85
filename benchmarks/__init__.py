"""Speed and memory compared with peers, in one run: `python -m benchmarks [loader survival …]`."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Bar:
    """A measured figure beside the limit it should keep: what a benchmark's `main` returns."""

    measure: str
    value: float
    sign: Literal["≥", "≤"]
    limit: float

    @property
    def margin(self) -> float:
        """How many times better than the limit; 1 or more if it is kept."""
        return self.value / self.limit if self.sign == "≥" else self.limit / self.value

    def __str__(self) -> str:
        """One line of the table under a benchmark."""
        verdict = "met" if self.margin >= 1 else "NOT MET"
        return f"{self.measure:<44} {self.value:8.2f}   bar {self.sign} {self.limit:<6g} {verdict}"


def family(root: int) -> list[int]:
    """Return a process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(_stat(path)[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(path: Path) -> list[str]:
    """Return the fields of a process after its name, which may hold spaces."""
    return path.read_text().rpartition(")")[2].split()


def processor_seconds() -> float:
    """Return the processor seconds of this process and its running descendants."""
    others = [pid for pid in family(os.getpid()) if pid != os.getpid()]
    ticks = [_stat(Path(f"/proc/{pid}/stat"))[11:13] for pid in others]  # of user and system
    spent = sum(int(user) + int(system) for user, system in ticks)
    return time.process_time() + spent / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int | None = None) -> float:
    """Return the highest resident size of this process so far, or of another on Linux.

    On Linux, a new process inherits `ru_maxrss` from the one that started it, so /proc is read
    instead.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
