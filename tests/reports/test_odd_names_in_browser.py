"""A report over hostile and unusual names, in a real browser: they are text, and fit."""

from __future__ import annotations

from pathlib import Path

import in_process
import pytest
from looks import faults_of, foreign
from odd_names import ODD, SITE, odd_snapshot
from playwright.sync_api import Browser, Page

from toolkit.text import naming

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parents[2] / "artifacts"
DRAWN = "html[data-drawn=true]"
FITTED = """document.documentElement.dataset.drawn === 'true' &&
    [...document.querySelectorAll('.chart')].every(one => one.room === one.clientWidth)"""
PAPER = 700  # pixels: what a sheet of A4 is wide within its margins, and a little


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on odd names."""
    top = tmp_path_factory.mktemp("odd")
    odd_snapshot(top / "snapshot")
    return in_process.write_report(top / "report", SO2_SNAPSHOT=str(top / "snapshot")).index.parent


def opened(browser: Browser, path: Path, faults: list[str]) -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 900})  # would find a network
    page = context.new_page()
    page.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((path.parent.as_uri(), "data:", "blob:"))
            else faults.append(f"asked: {request.url[:80]}")
        ),
    )
    page.goto(path.as_uri())
    page.wait_for_selector(DRAWN, state="attached")
    return page


def resized(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(FITTED)


PAGES = ["00-start-here", "01-data-quality", "02-cohorts", "03-completion", "04-time-to-pass"]
PAGES += ["05-course-explorer", "06-history", "index", "methods"]


@pytest.mark.parametrize("name", PAGES)
def test_odd_names_are_text_that_fits_on_every_screen_and_on_paper(
    folder: Path, browser: Browser, name: str
) -> None:
    faults: list[str] = []
    page = opened(browser, folder / f"{name}.html", faults)

    def look(state: str, smallest: float = 10.5) -> None:
        found = faults_of(page, smallest=smallest) + foreign(page, SITE)
        faults.extend(f"{state}: {fault}" for fault in found)
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"odd-{name}-{state}.png", full_page=True)

    look("1280")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": 900})
    look("print", smallest=8)  # charts shrink to the paper
    page.emulate_media(media="screen")
    for width in (768, 390):
        resized(page, width)
        look(str(width))
    page.evaluate("delete document.documentElement.dataset.drawn")
    page.click("#theme")
    page.wait_for_selector(DRAWN, state="attached")
    look("390-dark")
    assert faults == []
    page.context.close()


def test_each_odd_course_is_named_apart_and_opens_in_the_explorer(
    folder: Path, browser: Browser
) -> None:
    faults: list[str] = []
    index = opened(browser, folder / "index.html", faults)
    names = index.locator("#course-table tbody th").all_inner_texts()
    assert len(set(names)) == len(names) == len(ODD)
    for kind, odd in ODD.items():
        begun = naming.name(odd)[:8].strip()
        assert any(name.startswith(begun) for name in names), kind
    anchors = index.locator("#course-table tbody a").evaluate_all("all => all.map(a => a.hash)")
    explorer = opened(browser, folder / "05-course-explorer.html", faults)
    for anchor in anchors:
        explorer.evaluate("anchor => { location.hash = anchor; }", anchor)
        explorer.wait_for_function(
            "anchor => new URLSearchParams(anchor.slice(1)).get('course') === "
            "document.querySelector('.vega-bindings select').value",
            arg=anchor,
        )
    assert faults == []
    assert explorer.evaluate("window.ran") is None
