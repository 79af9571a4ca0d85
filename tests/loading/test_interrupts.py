"""Ctrl+C in a real process, in the middle of a download that is stuck."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import OK, RECORD, Connection, serving

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")

LOAD = """
import threading
import toolkit as tk
platform = tk.connect()
try:
    tk.load_completion(platform, course_id={courses})
except KeyboardInterrupt:
    threads = [t for t in threading.enumerate() if t.name.startswith("toolkit-")]
    for thread in threads:
        thread.join(5)
    print("interrupted", [t.name for t in threads if t.is_alive()], flush=True)
"""
SCAN = """
import toolkit as tk
tk.scan(tk.connect(), "completion").{use}
print("read on")
"""


def stuck_in_the_middle(connection: Connection) -> None:
    connection.send(OK + b"Content-Length: 100000000\r\n\r\n[" + b",".join([RECORD] * 5_000))


def waiting_for_the_next_try(connection: Connection) -> None:
    connection.answer(b"", b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 250\r\n")


STUCK = pytest.mark.parametrize(
    "talk", [Connection.silence, stuck_in_the_middle, waiting_for_the_next_try]
)


def interrupted(
    code: str,
    talk: Callable[[Connection], None],
    folder: Path,
    *command: str,
    by: str = "SIGINT",
) -> tuple[int, str, str]:
    """Status and words of a process that gets a signal when its first request has come."""
    with serving(talk) as server:
        given = {"SO2_BASE_URL": server.base_url, "SO2_TOKEN": "throw-away"}
        given["SO2_PSEUDONYM_KEY"] = secrets.token_hex(32)
        with subprocess.Popen(
            [sys.executable, "-c", code, *command],
            cwd=folder,
            env=os.environ | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert server.asked.wait(60)
            # A wait of 30 s for the next byte has begun; the signal must cut it short.
            process.send_signal(getattr(signal, by))
            try:
                told, complaint = process.communicate(timeout=25)  # in a second where idle
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert server.left.wait(5)
    return process.returncode, told, complaint


@STUCK
@pytest.mark.parametrize("courses", [None, ["a", "b", "c", "d", "e"]], ids=["one", "several"])
def test_ctrl_c_ends_a_stuck_load_and_its_threads(
    courses: list[str] | None, talk: Callable[[Connection], None], tmp_path: Path
) -> None:
    _, told, complaint = interrupted(LOAD.format(courses=courses), talk, tmp_path)

    assert told == "interrupted []\n", complaint


@STUCK
@pytest.mark.parametrize("use", ["collect()", "sink_parquet('out.parquet')"])
def test_ctrl_c_ends_a_stuck_scan(
    use: str, talk: Callable[[Connection], None], tmp_path: Path
) -> None:
    status, told, _ = interrupted(SCAN.format(use=use), talk, tmp_path)

    assert status == -signal.SIGINT
    assert told == ""


@pytest.mark.parametrize("command", ["check", "fetch snapshot"])
@pytest.mark.parametrize("by", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_that_leaves_nothing(by: str, command: str, tmp_path: Path) -> None:
    code = "from toolkit.cli.app import main; main()"
    if by == "SIGHUP":  # which is ignored where the tests run under nohup
        code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); {code}"
    status, _, complaint = interrupted(code, Connection.silence, tmp_path, *command.split(), by=by)

    assert status == 128 + getattr(signal, by)
    assert "Traceback" not in complaint
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["snapshot", ".lock"])
