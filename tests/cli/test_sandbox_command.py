"""`so2 sandbox` serves until it is interrupted, and says how to reach it."""

import re
import signal
import subprocess
import sys

import httpx
import pytest

import toolkit as tk
from toolkit.cli.sandbox_command import connection

COMMAND = [
    sys.executable,
    "-u",
    "-c",
    "import typer; from toolkit.cli.sandbox_command import sandbox_command;"
    " typer.run(sandbox_command)",
]


def test_the_settings_it_prints_open_the_platform() -> None:
    with subprocess.Popen([*COMMAND, "--learners=10"], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        said = "".join(iter(run.stdout.readline, "Ctrl+C stops it.\n"))
        found = dict(re.findall(r"export (SO2_\w+)=(\S+)", said))
        headers = {
            "Authorization": f"Bearer {found['SO2_TOKEN']}",
            "Content-Type": "application/json",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = httpx.get(f"{found['SO2_BASE_URL']}/api/so2/v1/grades", headers=headers)
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
    assert "sandbox: 10 simulated learners (seed 7)" in said
    assert len({record["username"] for record in answer.json()}) == 10
    assert rest.strip() == "stopped"
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("windows", "line"), [(True, '$env:SO2_TOKEN="t"'), (False, "SO2_TOKEN=t")]
)
def test_the_settings_are_written_for_the_terminal(windows: bool, line: str) -> None:
    with tk.sandbox(learners=1, token="t") as platform:
        assert line in connection(platform, windows=windows)
