"""The explorer of many courses: each loads when it is chosen, from a page on disk."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from looks import faults_of
from playwright.sync_api import Browser

import toolkit as tk
from toolkit.reports.courses import Courses
from toolkit.reports.figures import read_figure
from toolkit.reports.pages import Page, Part
from toolkit.reports.site import Site, write_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
COURSES = [f"Course </script> {number:02}" for number in range(40)]
LEARNERS = 40


def explorer() -> dict[str, object]:
    """The explorer of 40 courses, of which each passes a few more than the one before."""
    frame = pl.DataFrame(
        [
            (f"l{number}", course, place, number, number < 12 + place // 2)
            for place, course in enumerate(COURSES)
            for number in range(LEARNERS)
        ],
        schema=["username", "course_id", "place", "number", "passed"],
        orient="row",
    ).with_columns(created=pl.lit(AS_OF - timedelta(days=400)))
    key = ["username", "course_id"]
    grades = frame.select(
        *key,
        display_name="course_id",
        percent_grade=pl.when("passed").then(0.8).otherwise(0.2),
        letter_grade=pl.when("passed").then(pl.lit("Pass")),
        passed_timestamp=pl.when("passed").then(pl.col("created") + pl.duration(days=40)),
        last_date=pl.lit(AS_OF.date()),
    )
    enrollments = frame.select(*key, "created", is_active=pl.lit(value=True), mode=pl.lit("audit"))
    completion = frame.select(*key, completion=pl.when("passed").then(0.9).otherwise(0.3))
    pc = tk.person_course(grades, enrollments, completion, as_of=AS_OF)
    year = pl.col("created").dt.year().cast(pl.String)
    by_year = pc.with_columns(course="display_name", cohort=year)
    learners = pl.concat([by_year, by_year.with_columns(cohort=pl.lit("all"))])
    by = ["course", "cohort"]
    durations = tk.time_to_pass(learners)
    tk.use_offline_charts()
    return tk.charts.course_explorer(
        outcomes=tk.outcomes(learners, by=by),
        funnel=tk.completion_funnel(learners, by=by),
        grades=tk.grade_distribution(learners, by=by, bins=10),
        curve=tk.kaplan_meier(durations, by=by, times=range(0, 400, 30)),
    ).to_dict()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of one page, the explorer."""
    figure = read_figure("05-course-explorer-1", explorer())
    made = Page("05-course-explorer", "Which?", "", "", 1.0, [Part("figure", figure=figure)])
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)
        methods = {"provenance": [], "resources": []}
        site = Site("Report", "as of 2026-01-01", "learners", [made])
        write_site(folder, site, key_figures=[], courses=Courses([], "", "", 10), methods=methods)
    return folder / "05-course-explorer.html"


def test_a_page_of_many_courses_holds_the_rows_of_none(page: Path) -> None:
    files = sorted((page.parent / "figures" / "05-course-explorer-1").iterdir())
    assert len(files) == len(COURSES)
    spec = re.search(
        r'<script type="application/json" id="[^"]*spec">(.*?)</script>', page.read_text()
    )
    assert spec is not None
    assert "funnel" not in spec[1]
    assert len(spec[1]) < 150_000
    first = (page.parent / "figures" / "05-course-explorer-1" / "0.js").read_text("utf-8")
    assert COURSES[1] not in first


def test_a_course_is_loaded_when_it_is_chosen_and_the_words_follow(
    page: Path, browser: Browser
) -> None:
    asked: list[str] = []
    faults: list[str] = []
    tab = browser.new_page()
    tab.on("request", lambda r: asked.append(r.url) if "/figures/" in r.url else None)
    tab.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(f"{page.as_uri()}#course={quote(COURSES[7])}&cohort=all")
    tab.wait_for_selector("html[data-drawn=true]", state="attached")
    assert [url.rpartition("/")[2] for url in asked] == ["7.js"]
    told = tab.locator(".told h2")
    bars = tab.locator(".chart svg [aria-roledescription=bar]")
    for place in (7, 30, 12, 7):
        tab.get_by_role("combobox", name="Course").select_option(COURSES[place])
        tab.wait_for_function(
            "course => document.querySelector('.told h2').textContent.startsWith(course)",
            arg=f"{COURSES[place]}: ",
        )
        rate = re.search(r": (\d+)% passed", told.inner_text())
        assert rate is not None
        assert abs(int(rate[1]) / 100 - (12 + place // 2) / LEARNERS) < 0.13
        assert bars.count() > 5
    assert len(asked) == 3  # what was loaded once stays
    tab.click("#theme")
    tab.wait_for_selector("html[data-drawn=true]", state="attached")
    assert told.inner_text().startswith(COURSES[7])
    assert faults == []


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_no_text_of_many_courses_is_cut_or_covered(
    page: Path, browser: Browser, width: int
) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto(page.as_uri())
    tab.wait_for_selector("html[data-drawn=true]", state="attached")
    assert faults_of(tab) == []
    tab.close()
