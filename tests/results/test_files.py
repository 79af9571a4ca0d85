"""Files are written whole or not at all, and a failure says what to do about it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import toolkit as tk
from toolkit.errors import writing

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and devices of POSIX")
FORMS = ["csv", "parquet", "excel", "word", "html", "latex"]


def counts() -> tk.Result:
    return tk.result(pl.DataFrame({"g": ["a"], "n": [50]}), counts={"n": None}, groups=["g"])


def write(form: str, path: Path) -> None:
    if form == "excel":
        pytest.importorskip("xlsxwriter")
    getattr(counts(), f"to_{form}")(path)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device. Free space, or name another folder."),
        (errno.EACCES, "Permission denied. Name a folder that you may write to."),
        (errno.EROFS, "Read-only file system. Name a folder that you may write to."),
        (errno.ENOENT, "No such file or directory. Create its folder, or name another."),
        (errno.EISDIR, "Is a directory. Name a file in it."),
        (errno.EEXIST, "a file, or a link to nothing, is where a folder is needed."),
        (errno.ENOTDIR, "a file, or a link to nothing, is where a folder is needed."),
    ],
)
@POSIX
def test_a_failed_write_says_what_helps(number: int, advice: str) -> None:
    told = pl.exceptions.ComputeError(f"parquet: {os.strerror(number)} (os error {number})")
    for error in (OSError(number, os.strerror(number), "aside"), told):
        with pytest.raises(tk.errors.ArgumentError) as caught, writing(Path("a.csv")):
            raise error
        assert str(caught.value).startswith(f"a.csv cannot be written: {advice}")


@POSIX
@pytest.mark.parametrize("form", FORMS)
def test_the_file_behind_a_link_is_replaced_and_the_link_stays(form: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, real = tmp_path / "link", tmp_path / "elsewhere" / "real"
    link.symlink_to(real)
    for _ in range(2):
        write(form, link)
        assert link.is_symlink()
        assert real.stat().st_size
    assert [path.name for path in real.parent.iterdir()] == ["real"]


@POSIX
@pytest.mark.parametrize("form", FORMS)
def test_a_pipe_is_written_to_and_not_replaced(form: str, tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(form, pipe)
    reader.join(10)
    assert pipe.is_fifo()
    write(form, tmp_path / "file")
    # The moment in a workbook takes more or fewer bytes.
    assert len(got[0]) == pytest.approx((tmp_path / "file").stat().st_size, abs=20)


@pytest.mark.parametrize("form", FORMS)
def test_a_name_may_be_as_long_as_the_system_takes(form: str, tmp_path: Path) -> None:
    write(form, tmp_path / ("a" * 255))


@pytest.mark.parametrize("form", FORMS)
def test_a_name_of_another_format_is_refused(form: str, tmp_path: Path) -> None:
    own = {"excel": ".xlsx", "word": ".docx", "latex": ".tex"}.get(form, f".{form}")
    for suffix in {".csv", ".docx", ".html", ".json", ".parquet", ".tex", ".XLSX"}:
        if suffix.lower() == own:
            continue
        with pytest.raises(tk.errors.ArgumentError, match=rf"name a file that ends in \{own}"):
            write(form, tmp_path / f"a{suffix}")
    write(form, tmp_path / f"a{own.upper()}")
    write(form, tmp_path / "a.2026-01")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "use",
    [
        lambda path: counts().to_csv(path),
        lambda path: tk.read(path, "grades"),
        tk.open_snapshot,
        tk.reports.copy_notebooks,
    ],
)
def test_a_path_with_nul_is_refused(use: Callable[[str], object]) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="must not contain the character NUL"):
        use("a\0b")


def test_a_tilde_is_the_home_folder_for_all_that_read_and_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name, value in {
        "SO2_PSEUDONYM_KEY": "9d04c1f7ab35e86287f0d1c3b94e6a5f",
        "SO2_RELEASE_SECRET": "1d04c1f7ab35e86287f0d1c3b94e6a5f",
        "SO2_JOINS": "~/joins",
    }.items():
        monkeypatch.setenv(name, value)

    counts().to_csv("~/a.csv")
    with tk.sandbox(learners=50) as platform:
        tk.take_snapshot(platform, "~/snapshot")
    tk.outcomes(tk.Study.scan(tk.open_snapshot("~/snapshot")))
    tk.reports.copy_notebooks("~/notebooks")

    assert {path.name for path in home.iterdir()} == {"a.csv", "joins", "notebooks", "snapshot"}
    assert list(work.iterdir()) == []
    with pytest.raises(tk.errors.ReportError, match=f"no notebook {home}"):
        tk.write_report("report", notebooks=["~/n.ipynb"])
    with pytest.raises(tk.errors.ConfigurationError, match=f"{home / 'tables'} has neither"):
        tk.sandbox(oulad="~/tables")
    monkeypatch.setenv("SO2_CA_FILE", "~/none.pem")
    with pytest.raises(tk.errors.ConfigurationError, match=str(home / "none.pem")):
        tk.load_grades(tk.connect("https://localhost:1", token="throw-away"))


def test_a_folder_in_the_place_of_a_file_stays(tmp_path: Path) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="cannot be written"):
        counts().to_csv(tmp_path)
    assert list(tmp_path.iterdir()) == []


# An interrupted sink, whose thread creates the file after it was given up.
LATE = """
import sys, threading, time
from pathlib import Path
from toolkit.results.files import atomically
late = threading.Event()

def fill(part):
    def write():
        late.wait()
        try:
            part.write_text("half")
        except OSError:
            print("nowhere to write")
    threading.Thread(target=write).start()
    raise KeyboardInterrupt

try:
    atomically(Path(sys.argv[1]), fill)
except KeyboardInterrupt:
    late.set()
"""


def test_what_a_thread_creates_after_an_interrupt_is_not_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, str(tmp_path / "a.csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "nowhere to write\n"
    assert list(tmp_path.iterdir()) == []
