"""Great Expectations' Data Docs, as pages that open without a network.

GX's own page loads scripts, styles, fonts and images from eight other sites. Here its sections are
rendered into our own page, which forbids the browser any request.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from toolkit.errors import ArgumentError
from toolkit.quality.gx.library import (
    BatchSpec,
    DefaultJinjaPageView,
    ExpectationSuiteValidationResult,
    ValidationResultsPageRenderer,
)
from toolkit.quality.outcome import Outcome, observed

# Links to pages of a GX site that does not exist here.
ELSEWHERE = re.compile(r'<a href="\.\./[^"]*"[^>]*>([^<]*)</a>')
PAGES = Path(__file__).parent / "pages"
TITLE = b"<title>Data quality: "


class OfflinePageView(DefaultJinjaPageView):
    """GX's view of a validation result, in our page."""

    _template: ClassVar[str] = "offline_page.j2"


def write(
    results: Sequence[tuple[ExpectationSuiteValidationResult, Sequence[Outcome | None]]],
    summary: str,
    folder: Path,
) -> Path:
    """Write `index.html` and a page per frame; return the path of the index.

    They are written aside and put in place at the end, the index last.
    """
    view = OfflinePageView(custom_styles_directory=str(PAGES), custom_views_directory=str(PAGES))
    pages, listed = {}, []
    for result, outcomes in results:
        document = ValidationResultsPageRenderer().render(_as_released(result, outcomes))
        page: str = view.render(document, heading=result.suite_name)  # type: ignore[no-untyped-call]
        pages[f"{result.suite_name}.html"] = ELSEWHERE.sub(r"\1", page)
        listed.append((result.suite_name, *_held(result)))
    template = view.env.get_template("offline_page.j2")
    pages["index.html"] = template.render(heading="Data quality", summary=summary, pages=listed)
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_others([folder / name for name in pages])
    with TemporaryDirectory(dir=folder, prefix=".so2-", ignore_cleanup_errors=True) as aside:
        for name, text in pages.items():
            Path(aside, name).write_text(text, encoding="utf-8")
        for name in pages:
            Path(aside, name).replace(folder / name)
    return folder / "index.html"


def _refuse_others(paths: Sequence[Path]) -> None:
    others = [path for path in paths if path.is_file() and TITLE not in path.read_bytes()[:2_000]]
    if others:
        raise ArgumentError(
            f"{others[0].parent} holds other files ({', '.join(path.name for path in others)}), "
            "which the Data Docs would replace; name another folder"
        )


def _as_released(
    result: ExpectationSuiteValidationResult, outcomes: Sequence[Outcome | None]
) -> ExpectationSuiteValidationResult:
    """Return the result with released counts, and ‹ for <, which GX's templates do not escape."""
    shown = copy.deepcopy(result)
    shown.meta["batch_spec"] = BatchSpec(data_asset_name=result.suite_name)
    for one, outcome in zip(shown.results, outcomes, strict=True):
        found = one.result or {}
        if "observed_value" in found:
            found = found | {"observed_value": observed(one)}
        one.result = _plain(_released(found, outcome))
    return shown


def _released(found: dict[str, Any], outcome: Outcome | None) -> dict[str, Any]:
    """Replace GX's numbers of an expectation with released ones; drop those of few records."""
    kept = {"observed_value": found["observed_value"]} if "observed_value" in found else {}
    if outcome is None or "unexpected_count" not in found:
        return kept | {name: value for name, value in found.items() if name != "observed_value"}
    n, whole = outcome.n_unexpected, outcome.n_checked
    if n is None or whole is None:
        return kept | {"element_count": whole or 0, "unexpected_count": 0}
    examples = {name: value for name, value in found.items() if name.startswith("partial_")}
    percent = 100 * n / whole if whole else 0.0
    counts = {"element_count": whole, "unexpected_count": n, "unexpected_percent": percent}
    return kept | examples | counts


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
