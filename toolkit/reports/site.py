"""Pages → a folder of HTML files that opens from disk and fetches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from toolkit.charts.theme import DARK
from toolkit.reports.courses import HORIZON, Courses
from toolkit.reports.figures import chart_script, write_figure
from toolkit.reports.folder import PDF
from toolkit.reports.language import Language, read_language
from toolkit.reports.pages import Page
from toolkit.reports.pdf import write_pdf

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    title: str  # the report's name
    caption: str  # which data, as of when; shown at the top of each page
    kind: str  # "sandbox" if the learners are simulated, else "learners"
    pages: Sequence[Page]  # the pages in order
    min_n: int = 10  # the smallest count shown
    is_protected: bool = True  # whether every figure is released; if not, each page says so
    language: Language = field(default_factory=read_language)  # of all but the notebooks

    version = version("so2-toolkit")
    dark = DARK

    @property
    def explorer(self) -> str | None:
        """The file of the page on which a course can be chosen; None if there is none."""
        found = (p.name for p in self.pages if any(f.is_explorer for f in p.figures))
        return next((f"{name}.html" for name in found), None)


def write_site(
    folder: Path,
    site: Site,
    *,
    key_figures: Sequence[dict[str, Any]],
    courses: Courses,
    methods: dict[str, Any],
) -> Path:
    """Write index, pages, methods, figures, scripts and the PDF; return the index.

    The folder is empty. Key figures have `figure`, `value` and `meaning`; the methods page shows
    `provenance` and `resources`.
    """
    assets, figures = folder / "assets", folder / "figures"
    for part in (assets, figures):
        part.mkdir()
    for asset in (_HERE / "assets").iterdir():
        shutil.copyfile(asset, assets / asset.name)
    (assets / "vega.js").write_text(chart_script(), encoding="utf-8")

    with ThreadPoolExecutor(2) as pool:
        drawn = (figure for page in site.pages for figure in page.figures)
        list(pool.map(partial(write_figure, folder=figures), drawn))

    templates = Environment(
        loader=PackageLoader("toolkit.reports"), autoescape=True, undefined=StrictUndefined
    )

    # Browsers and screen readers pronounce, hyphenate and translate by the language of a part.
    english = "" if site.language.is_whole else Markup(' lang="en"')

    def write(name: str, template: str, **values: object) -> Path:
        html = templates.get_template(f"{template}.html.jinja").render(
            site=site, here=name, say=site.language, english=english, **values
        )
        path = folder / f"{name}.html"
        path.write_text(html, encoding="utf-8")
        return path

    pages = list(site.pages)
    for page, previous, following in zip(pages, [None, *pages], [*pages[1:], None], strict=False):
        write(page.name, "page", page=page, previous=previous, next=following)
        if page.notebook:
            (assets / f"{page.name}.ipynb").write_text(page.notebook, encoding="utf-8")
    write("methods", "methods", **methods)
    first = {"key_figures": key_figures, "courses": courses, "horizon": HORIZON}
    index = write("index", "index", **first, pdf=None)
    if write_pdf(index, folder / PDF):
        write("index", "index", **first, pdf=PDF)
    return index
