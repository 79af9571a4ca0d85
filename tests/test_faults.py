"""Each fault of the catalogue ends as the catalogue says, within its time and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from fault_catalogue import FAULTS, Fault, page

import toolkit as tk

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
SLACK = 2.0  # seconds over the time budget


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_a_fault_ends_as_the_catalogue_says(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = getattr(tk.errors, fault.error) if fault.error else None
    begun = time.monotonic()
    with pytest.raises(kind) if kind else nullcontext() as caught:
        fault.meet(tmp_path, monkeypatch)
    assert time.monotonic() - begun < fault.seconds + SLACK
    if kind:
        assert type(caught.value) is kind or issubclass(caught.type, kind)
        assert fault.seen in str(caught.value)


def test_the_page_of_the_documentation_is_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it: python scripts/faults.py"


# The most memory that each fault takes beyond what the process had before, in MB.
MEASURE = """
import sys, tempfile
from pathlib import Path
import pytest
from fault_catalogue import FAULTS

def megabytes(name):
    status = Path("/proc/self/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith(name))
    return int(found.split()[1]) / 1024

for fault in [*FAULTS[:3], *FAULTS]:  # the first ones once for what is loaded when used
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        try:
            fault.meet(Path(folder), patch)
        except Exception:
            pass
    print(f"MB {megabytes('VmHWM') - before:.0f} {fault.what}", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measured in /proc")
def test_no_fault_takes_more_than_300_megabytes() -> None:
    support = Path(__file__).parent / "support"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(support)!r})\n{MEASURE}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    taken = [line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line[:3] == "MB "]
    assert len(taken) == len(FAULTS) + 3
    assert [line for line in taken if int(line[0]) > 300] == []
