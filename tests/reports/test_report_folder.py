"""A report is in its folder whole, or the earlier one still is; and what a user may get wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import toolkit as tk
from toolkit.reports import pdf
from toolkit.reports.folder import GENERATOR, replaced

PAGE = f'<meta name="generator" content="{GENERATOR} 1">'


def write(folder: Path, *pages: str) -> None:
    with replaced(folder) as part:
        (part / "assets").mkdir()
        (part / "assets" / "report.css").touch()
        for name in ("index", *pages):
            (part / f"{name}.html").write_text(PAGE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_earlier_report_goes_with_all_its_pages_and_nothing_else_does(tmp_path: Path) -> None:
    write(tmp_path, "01-one", "02-two")
    (tmp_path / "overview.pdf").touch()
    (tmp_path / "mine.html").write_text("<p>not of a report</p>")
    write(tmp_path, "01-one")
    assert names(tmp_path) == ["01-one.html", "assets", "index.html", "mine.html"]


@pytest.mark.parametrize("name", ["index.html", "overview.pdf", "assets", "figures"])
def test_a_folder_with_others_files_under_a_reports_names_is_refused_at_once(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    with (
        pytest.raises(tk.errors.ReportError, match=rf"holds other files \({name}\)"),
        replaced(tmp_path),
    ):
        raise AssertionError("nothing is read or written")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("has_report", [True, False])
def test_a_page_of_somebody_else_is_not_replaced(has_report: bool, tmp_path: Path) -> None:
    if has_report:
        write(tmp_path, "01-one")
    (tmp_path / "thesis.html").write_text("mine")
    before = names(tmp_path)
    with pytest.raises(tk.errors.ReportError, match=r"holds other files \(thesis.html\)"):
        write(tmp_path, "thesis")
    assert names(tmp_path) == before
    assert (tmp_path / "thesis.html").read_text() == "mine"


def test_a_report_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "a", "01-one")
    for folder in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(FileNotFoundError), replaced(folder) as part:
            (part / "none" / "index.html").touch()
    assert names(tmp_path / "a") == ["01-one.html", "assets", "index.html"]
    assert names(tmp_path) == ["a"]


def test_two_reports_at_once_into_one_folder_are_both_whole(tmp_path: Path) -> None:
    with replaced(tmp_path) as part:
        (part / "index.html").write_text(PAGE)
        write(tmp_path, "01-one")
        assert part.is_dir(), "a run that lives is not cleared away"
    assert names(tmp_path) == ["assets", "index.html"]


# Children write one generation after the other for ever; each is killed at a random moment.
KILLED = f"""
import os, random, signal, sys, time
from pathlib import Path
from toolkit.reports.folder import replaced
folder, moments = Path(sys.argv[1]), random.Random(7)
left = 0
for kill in range(200):
    child = os.fork()
    if child == 0:
        for generation in range(10**6):
            with replaced(folder) as part:
                for name in ("assets", "figures"):
                    (part / name).mkdir()
                for name in ("index", "methods", "01-one", "02-two", "assets/a", "figures/b"):
                    (part / f"{{name}}.html").write_text({PAGE!r} + f"{{kill}}-{{generation}}")
    time.sleep(moments.uniform(0.01, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if (folder / "index.html").exists():
        left += 1
        told = {{path.read_text() for path in folder.glob("*.html")}}
        told |= {{path.read_text() for path in folder.glob("[af]*/*.html")}}
        assert len(told) == 1, told
print(left)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no fork on Windows")
def test_two_hundred_killed_writers_leave_no_half_a_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 100
    write(tmp_path, "01-one")
    of_killed = {"figures"}  # there unless the last was killed after it was moved away
    assert {*names(tmp_path)} - of_killed == {"01-one.html", "assets", "index.html"}


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there is no notebook"), *((text, "as a notebook") for text in ("", "[]", "{}"))],
)
def test_a_file_that_is_no_notebook_is_named_before_anything_is_loaded(
    text: str | None, said: str, tmp_path: Path
) -> None:
    notebook = tmp_path / "mine.ipynb"
    if text is not None:
        notebook.write_text(text)
    with pytest.raises(tk.errors.ReportError, match=rf"{said}.*"):
        tk.write_report(tmp_path / "report", notebooks=[notebook])
    assert not (tmp_path / "report").exists()


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(tk.errors.ReportError, match=r"report cannot be written: a file"):
        tk.write_report(tmp_path / "file" / "report")


def test_a_course_that_has_no_record_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SO2_BASE_URL", "")
    monkeypatch.setenv("SO2_SNAPSHOT", "")
    monkeypatch.setenv("SO2_SANDBOX_LEARNERS", "20")
    with pytest.raises(tk.errors.ReportError, match="no record of the course 'nope'"):
        tk.write_report(tmp_path / "report", parameters={"course_id": "nope"})


@pytest.mark.parametrize(
    "parameters", [{"courseid": "c"}, {"course_id": "c", 7: 1}, "course_id", 7]
)
def test_parameters_that_no_notebook_has_are_refused(tmp_path: Path, parameters: Any) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="parameter"):
        tk.write_report(tmp_path / "report", source=tmp_path, notebooks="02", parameters=parameters)
    assert not (tmp_path / "report").exists()


@pytest.mark.skipif(os.name == "nt", reason="the browser here is a script with a first line")
def test_the_browser_that_prints_asks_nobody_and_prints_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\n"
        "import sys, urllib.request, pathlib\n"
        "page = urllib.request.urlopen(sys.argv[-1]).read().decode()\n"
        "target = next(a for a in sys.argv if a.startswith('--print-to-pdf=')).split('=')[1]\n"
        "pathlib.Path(target).write_text(page + ' '.join(sys.argv))\n"
    )
    browser.chmod(0o700)
    monkeypatch.setattr(pdf, "find_chromium", lambda: str(browser))
    page = tmp_path / "index.html"
    page.write_text('<a href="a.html">a</a><a class="b" href="b.html">b</a>')
    assert pdf.write_pdf(page, tmp_path / "o.pdf")
    printed = (tmp_path / "o.pdf").read_text()
    assert "href" not in printed
    assert "--disable-background-networking" in printed
    assert names(tmp_path) == ["browser", "index.html", "o.pdf"]


# A notebook that says when its cell runs, and then runs for a long time.
SLEEPER = """
import sys
import nbformat
from toolkit.reports.execution import execute_notebooks
notebook = nbformat.v4.new_notebook()
code = f"open({sys.argv[1]!r}, 'w').close(); import time; time.sleep(60)"
notebook.cells = [nbformat.v4.new_code_cell(code)]
nbformat.write(notebook, sys.argv[2])
from pathlib import Path
try:
    execute_notebooks([Path(sys.argv[2])] * 3)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
def test_ctrl_c_ends_the_kernels(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    command = [sys.executable, "-c", SLEEPER, str(begun), str(tmp_path / "n.ipynb")]
    with subprocess.Popen(command) as process:
        until = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 130


# The kernel of this notebook takes seconds to end, and Ctrl+C comes before it has begun, or then.
INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
import nbformat
from toolkit.reports import execution

def soon(*_):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

notebook = nbformat.v4.new_notebook()
code = "import atexit, time; atexit.register(time.sleep, 3)"
notebook.cells = [nbformat.v4.new_code_cell(code)]
nbformat.write(notebook, sys.argv[1])
started = []

class Manager(execution.AsyncKernelManager):
    async def start_kernel(self, **settings):
        started.append(self)
        await super().start_kernel(**settings)
        if sys.argv[2] == "starts":
            soon()

execution.AsyncKernelManager = Manager
try:
    execution.execute_notebooks(
        [Path(sys.argv[1])], on_cell=soon if sys.argv[2] == "ends" else None
    )
except KeyboardInterrupt:
    print("interrupted", [manager.has_kernel for manager in started])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("moment", ["starts", "ends"])
def test_ctrl_c_ends_a_kernel_that_is_starting_or_ending(moment: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "n.ipynb"), moment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("interrupted [False]\n", "")
