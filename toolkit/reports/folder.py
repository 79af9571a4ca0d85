"""The folder of a report: an earlier report stays whole until the new one is.

A report is written into a hidden folder inside its own and moved into place at the end, in a few
milliseconds, its `index.html` last. A run killed before that leaves the earlier report unchanged;
one killed in between leaves no `index.html`, so nobody mistakes half a report for a whole one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import ReportError, writing

GENERATOR = "so2-toolkit"  # what each page says made it
INDEX = "index.html"
PDF = "overview.pdf"
_FOLDERS = ("assets", "figures")
_LOCK = ".lock"
_PARTIAL = ".partial-"


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield a folder to write a report into, which replaces an earlier one at the end.

    Pages of an earlier report that the new one lacks are removed; other files stay.
    """
    is_new = not folder.exists()
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_others(folder, [INDEX, PDF, *_FOLDERS])
        _clear(folder)
        aside = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
        part = aside / "new"
        part.mkdir()
    try:
        with FileLock(aside / _LOCK):
            yield part
            with _writable(folder):
                _put_in_place(part, folder, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # not empty: the report is there
                folder.rmdir()


def writable(part: Path) -> AbstractContextManager[None]:
    """Turn a failed write into the folder that `replaced` yields into a `ReportError`."""
    return _writable(part.parents[1])


def _writable(folder: Path) -> AbstractContextManager[None]:
    return writing(folder, ReportError, left="An earlier report is unchanged.")


def _clear(folder: Path) -> None:
    """Remove what killed runs were writing; a live run holds its lock."""
    for aside in folder.glob(f"{_PARTIAL}*"):
        with suppress(Timeout, OSError):
            with FileLock(aside / _LOCK, timeout=0):
                pass
            shutil.rmtree(aside, ignore_errors=True)


def _refuse_others(folder: Path, names: list[str]) -> None:
    """Raise if files of somebody else have names that a report needs."""
    pages = _pages(folder)
    others = [
        name
        for name in names
        if (folder / name).exists() and (name not in pages if name.endswith(".html") else not pages)
    ]
    if others:
        raise ReportError(
            f"{folder} holds other files ({', '.join(others[:3])}), which the report would "
            "replace; name another folder"
        )


def _put_in_place(part: Path, folder: Path, aside: Path) -> None:
    old = aside / "old"
    old.mkdir()
    pages = [path.name for path in part.glob("*.html") if path.name != INDEX]
    names = [*pages, *(path.name for path in part.iterdir() if path.suffix != ".html")]
    _refuse_others(folder, [INDEX, *names])
    # Pages go last and come first, so that what a killed run leaves is known to be a report's.
    for name in dict.fromkeys([INDEX, PDF, *reversed(names), *_pages(folder)]):
        if (folder / name).exists():
            (folder / name).rename(old / name)
    for name in [*names, INDEX]:
        (part / name).rename(folder / name)


def _pages(folder: Path) -> list[str]:
    """Return the names of the pages in a folder that were made here."""
    return [page.name for page in folder.glob("*.html") if page.is_file() and _is_ours(page)]


def _is_ours(page: Path) -> bool:
    with page.open("rb") as file:
        return f'name="generator" content="{GENERATOR}'.encode() in file.read(2_000)
