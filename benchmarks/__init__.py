"""Speed and memory compared with peers, in one run: `python -m benchmarks [loader survival …]`."""

from __future__ import annotations

import re
import resource
import sys
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


def peak_megabytes() -> float:
    """Return the highest resident size of this process so far.

    On Linux, a new process inherits `ru_maxrss` from the one that started it, so /proc is read
    instead.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
