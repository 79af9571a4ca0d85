"""`so2 check`: what it is asked, what it writes, how it ends."""

import json
import os
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

import toolkit as tk
from toolkit.cli.app import app

CLEAN = {
    "username": "zora",
    "email": "zora@example.com",
    "course_id": "course-v1:Org+CS+R1",
    "display_name": "Computing",
    "percent_grade": "0.80",
    "letter_grade": "Pass",
    "passed_timestamp": "2026-01-20 10:00:01",
    "last_date": "2026-01-25",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT"):
        monkeypatch.delenv(name, raising=False)


def saved(*records: dict[str, Any]) -> str:
    Path("grades.json").write_text(json.dumps(records), encoding="utf-8")
    return "grades.json"


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def test_clean_data_end_with_0_and_say_how_much_was_checked() -> None:
    done = check(saved(CLEAN), "--as-of", "2026-01-31", "--fail-on", "info")
    assert done.exit_code == 0
    assert "21 checks: 20 passed, 0 failed, 1 not run" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes with a name are of POSIX")
def test_a_body_from_a_pipe_is_checked() -> None:
    os.mkfifo("pipe")
    body = Path(saved(CLEAN)).read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(body))
    writer.start()
    done = check("pipe", "--resource", "grades")
    writer.join(10)
    assert "0 failed" in done.stdout


def test_what_was_found_is_said_once() -> None:
    done = check(saved())
    assert done.stdout.count("found fewer than") == 1


def test_a_failure_below_the_severity_named_ends_with_0() -> None:
    body = saved(CLEAN | {"course_id": "course-v1:MOOCit-demo-1"})
    assert check(body).exit_code == 0
    done = check(body, "--fail-on", "info", "--html", "docs")
    assert done.exit_code == 1
    assert "zora" not in done.stdout
    assert Path("docs/index.html").exists()


def test_json_and_junit_are_all_that_is_written() -> None:
    body = saved(CLEAN, CLEAN)
    as_json = check(body, "--format", "json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["n_failed"]) == (1, 1)
    as_junit = check(body, "--format", "junit")
    assert ET.fromstring(as_junit.stdout).find(".//failure[@type='critical']") is not None  # noqa: S314


def test_a_suite_of_ones_own_is_asked_too() -> None:
    suite = {
        "name": "grades",
        "expectations": [
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "display_name", "value_set": ["Physics"]},
                "severity": "warning",
            }
        ],
    }
    Path("suite.json").write_text(json.dumps(suite), encoding="utf-8")
    done = check(saved(CLEAN), "--suite", "suite.json", "--fail-on", "warning", "--format", "json")
    assert done.exit_code == 1
    failed = [c for c in json.loads(done.stdout)["checks"] if c["status"] == "failed"]
    assert [c["check"] for c in failed] == ["column_values_to_be_in_set"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing-there.json"],
        ["body.json"],
        ["grades.json", "--suite", "body.json"],
        ["grades.json", "--since", "."],
        ["grades.json", "--fail-on", "never"],
    ],
)
def test_what_cannot_be_checked_ends_with_2(arguments: list[str]) -> None:
    saved(CLEAN)
    Path("body.json").write_text("[]", encoding="utf-8")
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(
    "options", [["--course-id", "X"], ["--as-of", "2026-01-01"], ["--resource", "grades"]]
)
def test_options_that_say_nothing_of_a_snapshot_are_refused(options: list[str]) -> None:
    with tk.sandbox(learners=50) as platform:
        tk.take_snapshot(platform, "one", key="9d04c1f7ab35e86287f0d1c3b94e6a5f")
    for arguments in (["one"], ["one", "--since", "one"]):
        done = check(*arguments, *options)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"{options[0]} cannot be used" in done.stderr


def test_what_cannot_be_read_or_written_is_no_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    body = saved(CLEAN)
    for broken in ("pathlib.Path.exists", "toolkit.cli.check_command._print_table"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space")))
            done = check(body)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == "so2: the output cannot be written: No space\n"


def test_a_platform_and_its_snapshots_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with tk.sandbox(learners=300, seed=3) as platform:
        monkeypatch.setenv("SO2_BASE_URL", platform.base_url)
        monkeypatch.setenv("SO2_TOKEN", platform.token)
        live = check("--fail-on", "info", "--format", "json")
        tk.take_snapshot(platform, "one", key="9d04c1f7ab35e86287f0d1c3b94e6a5f")
    assert live.exit_code == 0, live.stdout
    kept = check("one", "--fail-on", "info", "--format", "json")
    assert kept.exit_code == 0, kept.stdout
    assert json.loads(kept.stdout)["n_passed"] >= json.loads(live.stdout)["n_passed"]
    assert check("one", "--since", "one", "--fail-on", "info").exit_code == 0
