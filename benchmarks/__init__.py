"""Speed and memory beside peers, in one run: `python -m benchmarks [loader survival …]`."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path


def peak_megabytes() -> float:
    """The highest resident size of this process so far.

    Linux lets a new process inherit `ru_maxrss` from the one that started it, so it is asked
    otherwise there.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
