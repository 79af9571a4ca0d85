import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest

from toolkit.cli.app import main


def so2(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from toolkit.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_a_success(flag: str) -> None:
    assert so2(flag).returncode == 0


def test_the_lines_of_a_paragraph_of_help_are_joined() -> None:
    told = [line.strip() for line in so2("report", "--help").stdout.splitlines()]
    assert "snapshot" not in told  # a rest of a line of the docstring


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
def test_ctrl_c_while_loading_ends_with_130_and_no_word() -> None:
    code = """
import os, signal, sys
from toolkit.cli import main

class Interrupted:
    def find_spec(self, name, *_):
        if name == "typer":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:  # as C code does, when it imports
                raise TypeError("expected a message argument") from None

sys.meta_path.insert(0, Interrupted())
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_the_version_is_the_distributions() -> None:
    assert so2("--version").stdout == f"so2-toolkit {version('so2-toolkit')}\n"


def test_help_waits_for_nothing_that_a_command_may_need() -> None:
    code = "import sys, toolkit.cli.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"great_expectations", "fastapi", "nbconvert", "altair", "scipy.stats", "pandas"}
    assert slow.isdisjoint(done.stdout.split())


def test_misuse_ends_with_status_2() -> None:
    assert so2("no-such-command").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from toolkit.cli import main; main()", "reidentify", "ada"],
            env=os.environ | {"SO2_PSEUDONYM_KEY": "9d04c1f7ab35e86287f0d1c3b94e6a5f"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "so2: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_output_in_any_encoding_is_written(encoding: str) -> None:
    name = "Zoë–統計🎓"
    done = subprocess.run(
        [sys.executable, "-c", "from toolkit.cli import main; main()", "reidentify", name],
        env=os.environ
        | {
            "SO2_PSEUDONYM_KEY": "9d04c1f7ab35e86287f0d1c3b94e6a5f",
            "PYTHONIOENCODING": encoding,
            "PYTHONUTF8": "0",
        },
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    told = done.stdout.split(b"\t")[0]
    assert told in (
        name.encode(encoding, "backslashreplace"),
        name.encode(),
    )  # typer takes no ASCII


HOSTILE = "\x1b[31m\x07\u202eX[red]"
NOT_TEXT = {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", HOSTILE], 2),
        (["check", "body-completion.json", "--suite", HOSTILE], 2),
        (["check", "body-completion.json", "--html", f"file/{HOSTILE}"], 2),
        (["snapshots", HOSTILE], 1),
        (["compare", HOSTILE, HOSTILE], 1),
        (["export", HOSTILE, HOSTILE], 1),
        (["report", f"{HOSTILE}.ipynb"], 1),
        (["report", HOSTILE], 1),
        (["report", "01", "--folder", f"file/{HOSTILE}"], 1),
        (["lab", "--no-browser", "--folder", f"file/{HOSTILE}"], 1),
        (["sandbox", "--faults", HOSTILE], 1),
        (["reidentify", "ada\udcff"], 1),
        (["export", ".", "a\udcff"], 1),
        (["fetch", "a\udcff", "--sandbox"], 1),
        (["check", "body-completion.json", "--course-id", HOSTILE], 2),
        (["check", "--since", ".", "--suite", HOSTILE], 2),
        (["check", "--resource", HOSTILE], 2),
        (["sandbox", "--oulad", HOSTILE], 1),
        (["check", "strange-completion.json"], 0),
    ],
)
@pytest.mark.filterwarnings("default")
def test_what_the_terminal_is_told_is_text_and_no_traceback(
    arguments: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["so2", *arguments])
    monkeypatch.setattr("warnings.showwarning", warnings.showwarning)  # the command changes it
    for name in ("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT"):
        monkeypatch.setenv(name, "")
    (tmp_path / "file").touch()
    record = '{"username":"ada","email":null,"course_id":"course-v1:O+C+R","completion":"0.5"'
    (tmp_path / "body-completion.json").write_text(f"[{record}}}]")
    field = "\\u001b[31m\\u0007\\u202eX[red]"
    (tmp_path / "strange-completion.json").write_text(f'[{record},"{field}":1}}]')
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == status, told
    assert "so2: " in told.err
    assert NOT_TEXT.isdisjoint(told.out + told.err)
