"""`write_report`: from a source of data to a folder that opens in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.config import settings
from toolkit.loading.load import Source
from toolkit.reports.folder import INDEX, PDF, replaced
from toolkit.reports.language import read_language
from toolkit.reports.library import find_notebooks, find_pages
from toolkit.results.result import Released
from toolkit.schemas.arguments import a_path


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        index: The page to open first.
        caption: Which data it shows.
        key_figures: The figures it begins with, released.
        pdf: The overview as PDF; None if no browser could print it.
        seconds: How long it took.
        failures: For each notebook that failed, which cell and why; its page says that it failed.
    """

    index: Path
    caption: str
    key_figures: Released
    pdf: Path | None
    seconds: float
    failures: tuple[str, ...] = ()


def write_report(
    folder: str | Path = "report",
    *,
    source: Source | str | Path | None = None,
    notebooks: Iterable[str | Path] | None = None,
    parameters: Mapping[str, object] | None = None,
    title: str | None = None,
    language: str | None = None,
    on_cell: Callable[[str], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Report:
    """Execute the notebooks and write them as a site that needs no network.

    If a notebook fails, only its page is lost: the page says so, and `failures` names the cell.

    Args:
        folder: Where to write; files of an earlier report there are replaced.
        source: A platform, a snapshot, a snapshot's folder or a platform's address, as for
            `load_study`; by default what the settings name, as for `connect_or_sandbox`.
        notebooks: Notebook files, or names of the toolkit's own such as "02"; by default all that
            are pages for readers.
        parameters: Values for the notebooks' parameters, such as course_id.
        title: The report's name; by default "Learner report", in the report's language.
        language: "en" or "es": the language of everything but the notebooks' own words, such as
            headings, buttons, the table of courses and the methods; by default the setting's.
        on_cell: Called with the notebook's name after each executed cell.
        on_start: Called with the number of cells before the first is executed.

    Raises:
        ReportError: There is no such notebook or course, the folder cannot be written, or every
            notebook failed; names each with its cell. Nothing is written.
        ArgumentError: There is no such language, or an argument is invalid.
        DisclosureError: An output would name a learner, hold the token, or show figures that are
            not released; nothing is written.
    """
    # With the extra `notebooks`, without which the names of this module can be looked up.
    from toolkit.reports.making import written as write

    begun = time.monotonic()
    words = read_language(language or settings().language)
    paths, target = _paths(notebooks), a_path(folder, name="folder")
    given = {} if parameters is None else parameters
    title = words("report.title") if title is None else title
    with replaced(target) as part:
        written = write(part, source, paths, given, title, words, on_cell, on_start)
    pdf = target / PDF if (target / PDF).exists() else None
    return Report(target / INDEX, pdf=pdf, seconds=time.monotonic() - begun, **written)


def _paths(notebooks: Iterable[str | Path] | None) -> list[Path]:
    if notebooks is None:
        return find_pages()
    from toolkit.reports.execution import read_notebook

    if isinstance(notebooks, str | Path):
        notebooks = [notebooks]
    found = []
    for given in notebooks:
        if str(given).endswith(".ipynb"):
            found.append(a_path(given, name="a notebook"))
            read_notebook(found[-1])  # before anything is loaded
        else:
            found += find_notebooks([str(given)])
    return found
