import subprocess
import sys
from importlib.metadata import version

import pytest


def so2(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from toolkit.cli.app import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_a_success(flag: str) -> None:
    assert so2(flag).returncode == 0


def test_the_version_is_the_distributions() -> None:
    assert so2("--version").stdout == f"so2-toolkit {version('so2-toolkit')}\n"


def test_misuse_ends_with_status_2() -> None:
    assert so2("no-such-command").returncode == 2
