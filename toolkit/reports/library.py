"""Find the toolkit's notebooks, and copy them for a user."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from toolkit.errors import ReportError, writing
from toolkit.results.files import atomically
from toolkit.schemas.arguments import a_path

_PACKAGE = Path(__file__).parents[1]


def find_notebooks(names: Iterable[str] | None = None) -> list[Path]:
    """Return the toolkit's notebooks in reading order, from an installed wheel or the checkout.

    Names are stems or numbers; by default, all are found.

    Examples:
        >>> [path.stem for path in find_notebooks(["02"])]
        ['02-cohorts']
    """
    folders = (_PACKAGE / "notebooks", _PACKAGE.parent / "notebooks")
    found = next((have for folder in folders if (have := sorted(folder.glob("*.ipynb")))), None)
    if found is None:
        raise ReportError("this installation has no notebooks; reinstall so2-toolkit")
    if names is None:
        return found
    chosen = []
    for name in names:
        match = [path for path in found if name in (path.stem, path.stem.split("-")[0])]
        if not match:
            exist = ", ".join(path.stem for path in found)
            raise ReportError(f"no notebook {name!r}; there are {exist}")
        chosen += match
    return chosen


def find_pages() -> list[Path]:
    """Return the notebooks that are pages for readers, in the order of a report.

    A notebook's metadata `so2` say so: `page` is false for templates for authors, `first` is true
    for a page that comes before the others.
    """
    found = {path: _metadata(path) for path in find_notebooks()}
    pages = [path for path, metadata in found.items() if metadata.get("page", True)]
    return sorted(pages, key=lambda path: not found[path].get("first", False))


def _metadata(path: Path) -> dict[str, bool]:
    found: dict[str, bool] = json.loads(path.read_bytes())["metadata"].get("so2", {})
    return found


def copy_notebooks(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks to a working folder, never over a file that differs.

    Returns:
        The copies that are the toolkit's notebooks, and the files that were left alone because
        they have been changed.

    Raises:
        ArgumentError: The folder cannot be written.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     copied, kept = copy_notebooks(Path(folder))
        >>> copied[0].name, kept
        ('00-start-here.ipynb', [])
    """
    folder = a_path(folder, name="folder")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    same: list[Path] = []
    kept: list[Path] = []
    for notebook in find_notebooks():
        target = folder / notebook.name
        if not target.exists():
            atomically(target, partial(shutil.copyfile, notebook))
        unchanged = target.read_bytes() == notebook.read_bytes()
        (same if unchanged else kept).append(target)
    return same, kept
