"""`so2 sandbox` serves until it is interrupted, and says how to reach it."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import toolkit as tk
from toolkit.cli.app import app
from toolkit.cli.sandbox_command import connection
from toolkit.sandbox.start import sandbox_as_set

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


@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize(
    ("options", "label"),
    [
        ([], "40 simulated learners (seed 3)"),
        (["--learners", "10"], "10 simulated learners (seed 3)"),
        (["--seed", "5"], "40 simulated learners (seed 5)"),
    ],
)
@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_the_sandbox_of_a_command_follows_the_settings(
    command: str,
    options: list[str],
    label: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {"SO2_SANDBOX_LEARNERS": "40", "SO2_SANDBOX_SEED": "3"}
    if place == ".env":
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in said.items()))
    else:
        for name, value in said.items():
            monkeypatch.setenv(name, value)
    started: list[str] = []

    def start(*arguments: Any, **named: Any) -> Any:
        with sandbox_as_set(*arguments, **named) as platform:
            started.append(platform.label)
        raise tk.ToolkitError("enough")

    monkeypatch.setattr("toolkit.cli.sandbox_command.sandbox_as_set", start)
    assert CliRunner().invoke(app, [command, *options]).exit_code != 0
    assert started == [f"sandbox: {label}"]


def test_a_number_of_learners_comes_before_a_set_folder_of_real_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SO2_OULAD", "/nowhere")
    with sandbox_as_set(learners=2) as platform:
        assert platform.label == "sandbox: 2 simulated learners (seed 7)"
    with pytest.raises(tk.errors.ConfigurationError, match="nowhere"):
        sandbox_as_set()
