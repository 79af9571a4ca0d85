"""The README shows what happens: its Python runs, its output is that, its commands exist."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from toolkit.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_each_python_block_runs_and_prints_what_follows_it() -> None:
    namespace: dict[str, object] = {}
    compared = 0
    for (language, code), (next_language, expected) in zip(
        BLOCKS, [*BLOCKS[1:], ("", "")], strict=True
    ):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102
        if next_language == "text":
            assert printed.getvalue().split() == expected.split()
            compared += 1
    assert compared


def so2_commands() -> list[str]:
    lines = "\n".join(code for language, code in BLOCKS if language == "sh").splitlines()
    return [line for line in lines if line.startswith("so2 ")]


@pytest.mark.parametrize("line", so2_commands())
def test_each_command_and_option_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = get_command(app).commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert CliRunner().invoke(app, [words[0], "--help"]).exit_code == 0


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_each_make_target_of_the_readme_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_each_file_that_the_readme_links_is_there(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_table_of_settings_is_complete() -> None:
    from toolkit.config import Settings

    told = set(re.findall(r"^\| `SO2_(\w+)` \|", README, re.MULTILINE))
    assert told == {name.upper() for name in Settings.model_fields}
