"""Great Expectations' Data Docs, as pages that open without a network.

GX's own page loads scripts, styles, fonts and images from eight other sites. Its view is given a
page of ours around the sections that it renders; the page forbids the browser any request.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from toolkit.quality.gx.library import (
    DefaultJinjaPageView,
    ExpectationSuiteValidationResult,
    ValidationResultsPageRenderer,
)

# Links to pages of a GX site that is not here.
ELSEWHERE = re.compile(r'<a href="\.\./[^"]*"[^>]*>([^<]*)</a>')
PAGES = Path(__file__).parent / "pages"


class OfflinePageView(DefaultJinjaPageView):
    """GX's view of a validation result, in our page."""

    _template: ClassVar[str] = "offline_page.j2"


def write(results: Sequence[ExpectationSuiteValidationResult], summary: str, folder: Path) -> Path:
    """Write `index.html` and a page a frame; the path of the index."""
    view = OfflinePageView(custom_styles_directory=str(PAGES), custom_views_directory=str(PAGES))
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for result in results:
        document = ValidationResultsPageRenderer().render(_without_markup(result))
        page: str = view.render(document, heading=result.suite_name)  # type: ignore[no-untyped-call]
        page = ELSEWHERE.sub(r"\1", page)
        (folder / f"{result.suite_name}.html").write_text(page, encoding="utf-8")
        pages.append((result.suite_name, *_held(result)))
    index = folder / "index.html"
    template = view.env.get_template("offline_page.j2")
    text = template.render(heading="Data quality", summary=summary, pages=pages)
    index.write_text(text, encoding="utf-8")
    return index


def _without_markup(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """The result with ‹ for < in its values, since GX's templates do not escape all of them."""
    shown = copy.deepcopy(result)
    for one in shown.results:
        one.result = _plain(one.result)
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("<", "‹").replace(">", "›")
    if isinstance(value, dict):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(inner) for inner in value)
    return value


def _held(result: ExpectationSuiteValidationResult) -> tuple[int, int]:
    counts = result.statistics
    return counts["successful_expectations"], counts["evaluated_expectations"]
