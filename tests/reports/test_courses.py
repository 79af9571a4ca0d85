"""The table of courses on the first page: released figures, best first, nothing exact."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pdf import pdf_texts

import toolkit as tk
from toolkit.reports.courses import (
    EACH,
    Courses,
    Figure,
    lost,
    most_lost,
    read_courses,
    study_before,
)
from toolkit.reports.language import read_language
from toolkit.reports.pdf import find_chromium, write_pdf
from toolkit.reports.site import Site, write_site
from toolkit.text import words
from toolkit.text.choices import RATE, UNDATED
from toolkit.text.losses import Loss, largest_losses
from toolkit.text.words import NOTHING as TOO_FEW


@pytest.fixture(autouse=True)
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)


def study_of(*courses: tuple[str, int, int], undated: tuple[str, ...] = ()) -> tk.Study:
    """A study of courses by title: how many enrolled, and how many of them passed after 40 days."""
    begin, as_of = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        (f"l{number}", f"course-v1:Org+C{place}+1", title, number < n_passed, title in undated)
        for place, (title, n, n_passed) in enumerate(courses)
        for number in range(n)
    ]
    frame = pl.DataFrame(
        rows,
        schema=dict.fromkeys(["username", "course_id", "title"], pl.String)
        | dict.fromkeys(["passed", "undated"], pl.Boolean),
        orient="row",
    )
    key = ["username", "course_id"]
    passed = pl.when("passed")
    grades = frame.select(
        *key,
        email=pl.lit("x@example.com"),
        display_name="title",
        percent_grade=passed.then(0.9).otherwise(0.1),
        letter_grade=passed.then(pl.lit("A")),
        passed_timestamp=pl.when(pl.col("passed") & ~pl.col("undated")).then(
            pl.lit(begin + timedelta(days=40))
        ),
        last_date=pl.lit(as_of.date()),
    )
    enrollments = frame.select(
        *key,
        email=pl.lit("x@example.com"),
        is_active=pl.lit(value=True),
        mode=pl.lit("audit"),
        created=pl.lit(begin),
    )
    completion = frame.select(
        *key, email=pl.lit("x@example.com"), completion=passed.then(1.0).otherwise(0.2)
    )
    return tk.Study(grades, enrollments, completion, pl.DataFrame(), as_of, "made for the test")


def page_of(courses: Courses, folder: Path) -> str:
    """The first page, without the small drawings."""
    site = Site(title="T", caption="c", kind="learners", pages=[])
    methods = {"provenance": [], "resources": []}
    folder.mkdir(exist_ok=True)
    index = write_site(folder, site, key_figures=[], courses=courses, methods=methods)
    return re.sub(r"<svg.*?</svg>", "", index.read_text("utf-8"), flags=re.DOTALL)


def test_courses_go_from_best_to_worst_and_the_unknown_last() -> None:
    found = read_courses(
        study_of(("Low", 100, 20), ("Small", 8, 8), ("High", 100, 80), ("Mid", 60, 30))
    )
    assert [row.full for row in found.rows] == ["High", "Mid", "Low", "Small"]
    small = found.rows[-1]
    assert small.learners == Figure("<10", None)
    assert {small.rate, small.loss, small.days} == {Figure(TOO_FEW, None)}
    assert small.curve == []
    assert found.n_unknown == 1


def test_every_figure_is_that_of_the_released_results() -> None:
    with tk.sandbox(learners=900) as platform:
        study = tk.load_study(platform)
    learners = study.person_course.with_columns(course="display_name")
    rates = tk.outcomes(learners, by="course").release()
    of_title = {row["course"]: row for row in rates.frame.iter_rows(named=True)}
    losses = largest_losses(tk.completion_funnel(learners, by="course").release())
    for course in read_courses(study).rows:
        row = of_title[course.full]
        assert course.learners.value == row["n_enrolled"]
        assert course.rate.value == row[RATE]
        assert course.rate.text.startswith(words.share(row, RATE, rates))
        assert (course.low, course.high) == (row[f"{RATE}_ci_low"], row[f"{RATE}_ci_high"])
        loss = losses.get((course.full,))
        assert course.loss.value == (None if loss is None else loss.share)


def test_exact_counts_are_nowhere_on_the_page(tmp_path: Path) -> None:
    study = study_of(("Odd", 97, 43), ("Even", 88, 22), ("Tiny", 7, 3))
    html = page_of(read_courses(study), tmp_path)
    table = html[html.index("<table") : html.index("</table>")]
    counts = re.findall(r'data-label="Enrolled" data-value="(\d*)"', table)
    assert len(counts) == 3
    assert all(int(count) % 5 == 0 for count in counts if count)
    assert not re.search(r"\b(97|88|43|22|7|3)\b(?!%|–)", re.sub(r"<[^>]*>", " ", table))


def test_a_course_whose_passes_have_no_date_says_so() -> None:
    [course] = read_courses(study_of(("Undated", 100, 60), undated=("Undated",))).rows
    assert course.rate.text.startswith("60%") or course.rate.value == pytest.approx(0.6, abs=0.06)
    assert course.days == Figure(UNDATED)
    assert course.curve_in_words == UNDATED


def test_days_to_pass_are_the_median_or_say_that_it_is_not_reached() -> None:
    high, low = read_courses(study_of(("High", 100, 80), ("Low", 100, 20))).rows
    assert high.days.value == 40
    assert low.days == Figure("under half so far")
    assert high.curve_in_words.endswith("by day 360")


def test_which_course_loses_most_is_said_with_where_and_how_others_fare() -> None:
    told = read_courses(study_of(("A", 200, 20), ("B", 200, 120), ("C", 200, 160))).answer
    assert re.match(r"A loses most learners at one step: 9\d% of the active, before half-way", told)
    assert "Next is B: 4" in told
    assert "of 3 courses is 4" in told
    assert most_lost({}) == ""
    assert most_lost({"A": Loss("enrolled", "active", 0.25, "25%", "20–30%")}) == (
        "Most learners are lost in A: 25% of the enrolled, before active (95% interval 20–30%)."
    )


def test_of_many_courses_the_first_and_last_known_are_shown_first() -> None:
    many = read_courses(study_of(*((f"C{n:02}", 40, n % 40) for n in range(50)), ("Tiny", 5, 0)))
    known = 51 - many.n_unknown
    assert many.shown_first == {*range(EACH), *range(known - EACH, known)}
    assert len(read_courses(study_of(("A", 40, 20))).shown_first) == 1


ODD = ['<img src=x onerror="alert(1)">', "=HYPERLINK(1)", "درجة", "课程 🎓", "x" * 200 + "a"]


def test_odd_titles_stay_text_and_name_one_course_each(tmp_path: Path) -> None:
    found = read_courses(study_of(*((title, 40, 20) for title in [*ODD, "x" * 200 + "b"])))
    html = page_of(found, tmp_path)
    assert "<img" not in html
    names = [row.name for row in found.rows]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"#course=[\w.%~-]+", row.anchor) for row in found.rows)


def test_pass_rates_are_compared_with_the_snapshot_before(tmp_path: Path) -> None:
    key = secrets.token_hex(32)
    with tk.sandbox(learners=600) as platform:
        later = tk.take_snapshot(platform, tmp_path / "b", key=key)
        with platform.earlier(later.as_of - timedelta(days=120)) as past:
            earlier = tk.take_snapshot(past, tmp_path / "a", key=key)
    before = study_before(later)
    assert before is not None
    assert before.as_of == earlier.as_of
    found = read_courses(tk.load_study(later), before=before)
    assert found.since == words.day(earlier.as_of.date())
    drifts = [row.drift for row in found.rows if row.drift is not None]
    assert len(drifts) == len(found.rows)
    assert any("point" in drift.text for drift in drifts)
    assert found.since in page_of(found, tmp_path / "report")
    assert study_before(earlier) is None


def test_a_snapshot_of_another_platform_is_not_the_one_before(tmp_path: Path) -> None:
    key = secrets.token_hex(32)
    for seed, then in (
        (1, datetime(2025, 1, 1, tzinfo=UTC)),
        (2, datetime(2025, 6, 1, tzinfo=UTC)),
    ):
        with tk.sandbox(learners=60, seed=seed) as platform, platform.earlier(then) as past:
            now = tk.take_snapshot(past, tmp_path / str(seed), key=key)
    assert tk.snapshots.list_snapshots(tmp_path).height == 2
    assert study_before(now) is None


def test_no_courses_make_an_empty_table() -> None:
    found = read_courses(study_of())
    assert (found.rows, found.answer, found.median) == ([], "", None)


def test_courses_that_lose_alike_are_counted_and_a_withheld_rest_is_no_100_percent() -> None:
    told = read_courses(study_of(("A", 100, 3), ("B", 100, 3), ("C", 100, 50))).answer
    assert "100%" not in told
    assert "over 90% of the active, before half-way" in told
    same = Loss("active", "half-way", 0.9, "90%", "")
    assert "1 other course loses as many." in most_lost({"A": same, "B": same})


@pytest.mark.parametrize(
    ("before", "stage", "told"),
    [
        ("enrolled", "active", "57% of the enrolled, before active"),
        ("active", "half-way", "57% of the active, before half-way"),
        ("half-way", "completed", "57% of those half-way, before completed"),
        (
            "completed",
            "completed and passed",
            "57% of those who completed, before completed and passed",
        ),
    ],
)
def test_a_loss_says_of_whom_it_is_a_share(before: str, stage: str, told: str) -> None:
    loss = Loss(before, stage, 0.57, "57%", "")
    assert loss.words == told
    assert lost(loss, read_language("en")) == told


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
def test_the_headings_are_printed_on_each_page_of_the_courses(tmp_path: Path) -> None:
    page_of(read_courses(study_of(*((f"Course {n}", 40, 20) for n in range(40)))), tmp_path)
    assert write_pdf(tmp_path / "index.html", tmp_path / "o.pdf")
    drawn, _ = pdf_texts(tmp_path / "o.pdf")
    assert drawn.count("Enrolled") == drawn.count("Largest loss") > 1
