"""The report as a reader has it: opened from disk in a real browser, with no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from axe_playwright_python.sync_playwright import Axe
from pdf import pdf_images
from playwright.sync_api import Browser, BrowserContext, Page

import toolkit as tk

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parents[2] / "artifacts"
DRAWN = "html[data-drawn=true]"


TOKEN = "a-token-that-must-not-be-seen"
DEMO = "import sys; from toolkit.cli.app import main; sys.argv[0] = 'so2'; main()"


@pytest.fixture(scope="module", params=["sandbox", "oulad"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first page of the report of `so2 demo`, and of OULAD."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sandbox":
        there = {"SO2_TOKEN": TOKEN, "SO2_BASE_URL": "https://platform.example.com"}
        command = [sys.executable, "-c", DEMO, "demo"]
        subprocess.run(command, cwd=folder, env=os.environ | there, check=True)
    else:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT"):
                patch.setenv(name, "")
            patch.setenv("SO2_OULAD", str(request.getfixturevalue("oulad_dir")))
            assert tk.write_report(folder / "report").failures == ()
    return folder / "report" / "index.html"


@pytest.mark.parametrize("index", ["sandbox"], indirect=True)
def test_no_file_that_the_demo_writes_names_a_learner(index: Path) -> None:
    with tk.sandbox() as platform:
        names = tk.load_grades(platform)["username"].unique()
    written = [path for path in index.parents[1].rglob("*") if path.is_file()]
    texts = pl.Series([path.read_text(encoding="utf-8", errors="replace") for path in written])
    assert len(names) > 4_000
    assert not texts.str.contains_any([TOKEN, *names]).any()


@dataclass
class Opened:
    """A page, and what went wrong while it was open."""

    page: Page
    faults: list[str] = field(default_factory=list)


def open_page(context: BrowserContext, path: Path) -> Opened:
    opened = Opened(context.new_page())
    page, faults = opened.page, opened.faults
    page.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on(
        "request",
        lambda request: (
            faults.append(f"asked: {request.url}")
            if not request.url.startswith(("file:", "data:", "blob:"))
            else None
        ),
    )
    page.goto(path.as_uri())
    page.wait_for_selector(DRAWN, state="attached")
    return opened


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    yield context
    context.close()


def pages_of(index: Path) -> list[Path]:
    return sorted(index.parent.glob("*.html"))


@pytest.fixture(scope="module")
def opened(index: Path, browser: Browser) -> Iterator[dict[Path, Opened]]:
    """Every page, for tests that only look at it."""
    context = browser.new_context(
        offline=True, viewport={"width": 1280, "height": 900}, color_scheme="light"
    )
    yield {path: open_page(context, path) for path in pages_of(index)}
    context.close()


def test_every_page_opens_offline_and_draws_every_chart(
    index: Path, opened: dict[Path, Opened]
) -> None:
    for path, one in opened.items():
        charts = one.page.locator(".chart")
        for i in range(charts.count()):
            marks = charts.nth(i).locator("svg .mark-rect path, svg .mark-symbol path")
            others = charts.nth(i).locator("svg .mark-line path, svg .mark-rule line")
            assert marks.count() + others.count() > 3, f"{path.name}, chart {i + 1} is empty"
        assert one.faults == [], path.name
        _save(one.page, index, path.stem)


def _save(page: Page, index: Path, name: str) -> None:
    kind = "oulad" if "oulad" in str(index) else "sandbox"
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{kind}-{name}.png", full_page=True)


def test_no_page_is_wider_than_a_small_window_or_150_percent_zoom(
    index: Path, browser: Browser
) -> None:
    for width in (390, 853):  # a phone; 1280 at 150 %
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
        for path in pages_of(index):
            page = open_page(context, path).page
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            if width == 390:
                _save(page, index, f"{path.stem}-phone")
        context.close()


def test_no_text_of_a_chart_is_cut(opened: dict[Path, Opened]) -> None:
    for path, one in opened.items():
        cut = one.page.evaluate(
            """() => [...document.querySelectorAll('.chart svg')].flatMap(svg => {
                const frame = svg.getBoundingClientRect();
                return [...svg.querySelectorAll('text')].filter(text => {
                    const box = text.getBoundingClientRect();
                    return box.width > 0 && (box.left < frame.left - 1 ||
                        box.right > frame.right + 1 || box.bottom > frame.bottom + 1 ||
                        text.textContent.endsWith('…'));
                }).map(text => text.textContent);
            })"""
        )
        assert cut == [], path.name


def serious(page: Page) -> list[tuple[str, str]]:
    return [
        (fault["id"], fault["nodes"][0]["html"])
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]


def test_axe_finds_no_serious_fault_in_light(opened: dict[Path, Opened]) -> None:
    for path, one in opened.items():
        assert serious(one.page) == [], path.name


def test_axe_finds_no_serious_fault_in_dark(index: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True, color_scheme="dark")
    for path in pages_of(index):
        assert serious(open_page(context, path).page) == [], path.name
    context.close()


def test_everything_can_be_reached_and_used_with_the_keyboard(
    index: Path, context: BrowserContext
) -> None:
    page = open_page(context, index.parent / "03-completion.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + document.activeElement.id"))
    assert {"BUTTONtheme", "BUTTONcode", "SUMMARY"} <= reached
    code = page.locator(".code").first
    assert not code.is_visible()
    page.locator("#code").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def test_light_turns_to_dark_with_the_charts(index: Path, context: BrowserContext) -> None:
    page = open_page(context, index.parent / "00-start-here.html").page
    paper = "document.querySelector('.chart svg').style.backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.click("#theme")
    page.wait_for_function(f"{paper} === 'rgb(22, 24, 28)'")
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"


EXPLORER = "05-course-explorer.html"
HEADLINE = ".told h2"


def test_the_course_that_loses_most_is_found_and_compared_in_two_clicks(
    index: Path, context: BrowserContext
) -> None:
    page = open_page(context, index).page
    answer = page.locator("#courses ~ .finding").inner_text()
    course, said, _ = answer.partition(" loses most learners at one step: ")
    assert said, answer
    assert "before" in answer
    assert re.search(r"The median of the largest losses of \d+ courses is \d+%", answer)
    page.get_by_role("link", name=course, exact=True).click()
    page.wait_for_selector(DRAWN, state="attached")
    assert page.locator(HEADLINE).inner_text().startswith(f"{course}: ")
    told = page.locator(".told p").inner_text()
    assert re.search(r"Largest loss: .*, the largest of \d+ courses; the median of them is", told)
    box = page.locator(".told").bounding_box()
    assert box is not None
    assert box["y"] < 500  # seen without scrolling


def test_a_choice_is_in_the_address_and_the_words_follow_it(
    index: Path, context: BrowserContext
) -> None:
    opened = open_page(context, index.parent / EXPLORER)
    page, select = opened.page, opened.page.get_by_role("combobox", name="Course")
    courses = select.locator("option").all_inner_texts()
    page.goto(f"{page.url.split('#')[0]}#course={quote(courses[1])}&cohort=all")
    page.wait_for_function(f"document.querySelector('{HEADLINE}').textContent.includes(': ')")
    page.wait_for_function(
        "value => document.querySelector('select').value === value", arg=courses[1]
    )
    assert page.locator(HEADLINE).inner_text().startswith(f"{courses[1]}: ")
    select.select_option(courses[2])
    page.wait_for_function(
        "course => new URLSearchParams(location.hash.slice(1)).get('course') === course",
        arg=courses[2],
    )
    assert page.locator(HEADLINE).inner_text().startswith(f"{courses[2]}: ")
    page.locator("svg text", has_text=courses[0]).first.click()
    page.wait_for_function(
        "value => document.querySelector('select').value === value", arg=courses[0]
    )
    page.click("#theme")
    page.wait_for_function(
        "document.querySelector('.chart svg').style.backgroundColor === 'rgb(22, 24, 28)'"
    )
    assert page.locator(HEADLINE).inner_text().startswith(f"{courses[0]}: ")
    page.reload()
    page.wait_for_selector(DRAWN, state="attached")
    assert page.locator(HEADLINE).inner_text().startswith(f"{courses[0]}: ")
    assert opened.faults == []


def test_every_choice_shows_something_or_says_why_not(index: Path, context: BrowserContext) -> None:
    page = open_page(context, index.parent / EXPLORER).page
    courses, cohorts = (
        page.get_by_role("combobox", name=name).locator("option").all_inner_texts()
        for name in ("Course", "Cohort")
    )
    for course in courses:
        for cohort in cohorts:
            page.evaluate(
                "async wanted => { await document.querySelector('.chart').choose(wanted); }",
                {"course": course, "cohort": cohort},
            )
            headline = page.locator(HEADLINE).inner_text()
            assert headline.startswith(course)
            drawn = page.locator(".chart svg [aria-roledescription='bar']").count()
            why = page.locator(
                ".chart svg text", has_text=re.compile("no learners|too few|too many")
            )
            assert drawn > 5 or why.count() >= 2, headline
            if "no learners" in headline or "too few" in headline:
                assert why.count() >= 3, headline


def test_the_table_of_courses_can_be_sorted_and_searched(
    index: Path, context: BrowserContext
) -> None:
    page = open_page(context, index).page
    rows = "[...document.querySelectorAll('#course-table tbody tr')]"
    names = f"{rows}.filter(row => !row.hidden).map(row => row.cells[0].dataset.value)"
    values = f"{rows}.map(row => row.cells[3].dataset.value)"
    first = page.evaluate(names)
    head = page.get_by_role("columnheader", name="Largest loss")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    losses = [float(value) for value in page.evaluate(values) if value]
    assert losses == sorted(losses, reverse=True)
    assert all(value == "" for value in page.evaluate(values)[len(losses) :])
    page.get_by_role("searchbox").fill(first[0][:8].upper())
    assert set(page.evaluate(names)) == {
        name for name in first if first[0][:8].lower() in name.lower()
    }
    page.get_by_role("searchbox").fill("no course is called so")
    assert page.evaluate(names) == []
    assert page.locator(".tools [role=status]").inner_text() == "0 courses found"


def test_paper_is_light_and_a_phone_reads_rows_as_lists(index: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True, color_scheme="dark")
    page = open_page(context, index).page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".tools").is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 390, "height": 800})
    cell = page.locator("#course-table tbody td").first
    label = "cell => getComputedStyle(cell, '::before').content"
    assert cell.evaluate(label) == '"Enrolled"'
    assert page.locator("#course-table tbody tr").first.get_attribute("role") == "row"
    context.close()


def test_charts_are_printed_light_without_backgrounds(
    index: Path, browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(offline=True, color_scheme="dark")
    page = open_page(context, index.with_name("03-completion.html")).page
    page.pdf(path=tmp_path / "page.pdf", print_background=False)  # as browsers do unless asked
    context.close()
    images = pdf_images(tmp_path / "page.pdf")
    assert images
    assert all(np.bincount(np.frombuffer(pixels, np.uint8)).argmax() == 255 for pixels in images)


def test_a_list_of_contents_leads_to_each_part(opened: dict[Path, Opened]) -> None:
    for path, one in opened.items():
        anchors = "[...document.querySelectorAll('.contents a')].map(a => a.hash.slice(1))"
        for anchor in one.page.evaluate(anchors):
            found = "name => document.getElementById(decodeURIComponent(name))?.tagName"
            assert one.page.evaluate(found, anchor) == "H2", (path.name, anchor)
