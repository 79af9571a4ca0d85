import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolkit.cli.app import app
from toolkit.cli.snapshot_commands import reidentify_command
from toolkit.errors import ToolkitError

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", KEY)
    monkeypatch.chdir(tmp_path)


def so2(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_fetched_is_listed_compared_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    so2("fetch", "snapshots/a", "--sandbox")
    monkeypatch.setenv("SO2_SANDBOX_LEARNERS", "4000")
    so2("fetch", "snapshots/b", "--sandbox")

    listed = so2("snapshots", "--verify")
    assert "checksum" not in listed
    assert all(word in listed for word in ("folder", "identities", "about", "8,895", "MB"))
    assert "Changes from" in so2("compare", "snapshots/a", "snapshots/b", "--output", "c.csv")
    assert (tmp_path / "c.csv").read_text().startswith("resource,username")
    assert "Nothing changed from" in so2("compare", "snapshots/a", "snapshots/a")
    assert "grades.csv" in so2("export", "snapshots/a", "csv")


def test_the_holder_of_the_key_finds_a_pseudonym() -> None:
    named = so2("reidentify", "ada")
    piped = so2("reidentify", stdin="ada\n\n")
    assert named == piped
    assert named.startswith("ada\tp_")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_file_of_usernames_is_read_as_utf_8_with_or_without_its_mark(
    encoding: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        body = io.BytesIO(mark + "Zoë\r\n".encode())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(body, encoding=encoding))
        reidentify_command(None)
        reidentify_command(["Zoë"])
        piped, named = capsys.readouterr().out.splitlines()
        assert piped == named


def test_a_snapshot_is_not_overwritten_by_a_csv_file(tmp_path: Path) -> None:
    so2("fetch", "a", "--sandbox")
    before = (tmp_path / "a" / "manifest.json").read_bytes()
    with pytest.raises(ToolkitError, match=r"manifest\.json is named as another format"):
        so2("compare", "a", "a", "--output", "a/manifest.json")
    assert (tmp_path / "a" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "status"), [(b"ada\n\xff", 1), (None, 0)], ids=["bytes", "closed"]
)
def test_input_that_is_not_text_is_told_in_a_line(
    given: bytes | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = None if given is None else io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", read)
    if status:
        with pytest.raises(ToolkitError, match="not text in UTF-8"):
            reidentify_command(None)
    else:
        reidentify_command(None)


def test_a_folder_with_markup_and_control_characters_is_shown_as_text() -> None:
    for name in ("[*]", "[red]\x1b[31m"):
        so2("fetch", f"s/{name}", "--sandbox")
    said = so2("snapshots", "s") + so2("compare", "s/[*]", "s/[red]\x1b[31m")
    assert "\x1b" not in said
    assert "s/[*]" in said
    assert "[red]" in said


def test_a_narrow_terminal_lists_a_value_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SO2_SANDBOX_LEARNERS", "40")
    monkeypatch.setenv("COLUMNS", "40")

    lines = so2("fetch", "now", "--sandbox").splitlines()

    assert lines[:3] == ["Snapshots", "", "folder: now"]
    assert max(map(len, lines)) <= 40
    monkeypatch.setenv("COLUMNS", "80")
    assert "┃ folder" in so2("snapshots", "now")
