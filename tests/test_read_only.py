"""A folder that not even root may write to: a read-only mount in a namespace of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'
LEARNERS = 40
TRIES = f"""
import json
from pathlib import Path
import toolkit as tk

here = Path.cwd()
with tk.sandbox(learners={LEARNERS}) as platform:
    result = tk.outcomes(tk.load_study(platform))
    kept = tk.open_snapshot(here / "kept")
    tries = {{
        "take_snapshot": lambda: tk.take_snapshot(platform, here / "new"),
        "take_snapshot over one": lambda: tk.take_snapshot(platform, here / "kept"),
        "to_csv": lambda: result.to_csv("result.csv"),
        "to_parquet": lambda: result.to_parquet("result.parquet"),
        "to_latex": lambda: result.to_latex("result.tex"),
        "to_word": lambda: result.to_word("result.docx"),
        "to_html": lambda: result.to_html("result.html"),
        "write_report": lambda: tk.write_report(here / "report"),
        "export_for_sharing": lambda: tk.snapshots.export_for_sharing(kept, here / "shared"),
    }}
    told = {{}}
    for name, attempt in tries.items():
        try:
            told[name] = ["", repr(attempt())]
        except Exception as error:
            told[name] = [", ".join(kind.__name__ for kind in type(error).__mro__), str(error)]
print(json.dumps(told))
"""
READS = """
import json
import toolkit as tk
study = tk.load_study("kept")
print(json.dumps([study.person_course.height, len(tk.check(study).outcomes)]))
"""


def in_read_only(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that is mounted read-only."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    able = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT, str(folder), "true"], capture_output=True, check=False
    )
    if able.returncode:
        pytest.skip("needs the right to mount")
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT, str(folder), *command],
        cwd=folder,
        env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one snapshot."""
    import toolkit as tk

    found = tmp_path_factory.mktemp("read-only")
    with tk.sandbox(learners=LEARNERS) as platform:
        tk.take_snapshot(platform, found / "kept", key=secrets.token_hex(32))
    return found


def test_every_writer_says_where_it_may_not_write_and_leaves_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    key = {"SO2_PSEUDONYM_KEY": secrets.token_hex(32)}
    done = in_read_only(folder, sys.executable, "-c", TRIES, **key)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    for name, (kinds, message) in told.items():
        assert "ToolkitError" in kinds, (name, kinds, message)
        assert "Read-only file system" in message, (name, message)
        assert str(folder) in message or "result." in message or "report" in message, message
    assert sorted(folder.rglob("*")) == before


def test_what_lies_in_a_read_only_folder_is_read(folder: Path) -> None:
    done = in_read_only(folder, sys.executable, "-c", READS)

    assert done.returncode == 0, done.stderr
    rows, checks = json.loads(done.stdout.splitlines()[-1])
    assert rows > LEARNERS
    assert checks > 5


@pytest.mark.parametrize(
    "command", ["fetch --sandbox new", "check kept --html page.html", "report", "export kept new"]
)
def test_a_command_ends_with_one_message(folder: Path, command: str) -> None:
    so2 = "from toolkit.cli import main; main()"
    done = in_read_only(
        folder,
        *(sys.executable, "-c", so2, *command.split()),
        SO2_PSEUDONYM_KEY=secrets.token_hex(32),
        SO2_SANDBOX_LEARNERS=str(LEARNERS),
    )

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "Read-only file system" in " ".join(done.stderr.split())
