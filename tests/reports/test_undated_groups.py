"""Passes without a date that gather in one group: every page leaves out the same learners."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import in_process
import nbformat
import polars as pl
import pytest
from odd_names import AS_OF, platform_of

import toolkit as tk
from toolkit.reports.courses import read_courses
from toolkit.reports.library import find_notebooks
from toolkit.schemas import RESOURCES
from toolkit.text.choices import UNDATED

pytestmark = pytest.mark.slow  # it runs notebooks
COURSES = ["course-v1:Org+Algebra+1", "course-v1:Org+Botany+1"]
Gathers = Callable[[int, str], bool]
"""Whether the passes of a learner's number and title are those that may lack a date."""


def records(gathers: Gathers) -> dict[str, list[dict[str, object]]]:
    """Return 600 learners of Algebra and 200 of Botany, in two modes; half of them passed.

    Algebra was once called Arithmetic. Five of its passers lack a date, of 300.
    """
    rows = []
    for course_id in COURSES:
        n_undated = 0
        for n in range(600 if course_id == COURSES[0] else 200):
            created, is_passed = AS_OF - timedelta(days=100 + n // 2), n % 2 == 0
            title = "Arithmetic" if n >= 500 else course_id[14:].partition("+")[0]
            is_undated = (
                is_passed and course_id == COURSES[0] and gathers(n, title) and n_undated < 5
            )
            n_undated += is_undated
            passed = created + timedelta(days=20 + n % 70)
            rows.append(
                {
                    "username": f"learner {n}",
                    "email": None,
                    "course_id": course_id,
                    "display_name": title if course_id == COURSES[0] else "Botany",
                    "percent_grade": 0.9 if is_passed else 0.2,
                    "letter_grade": "Pass" if is_passed else "F",
                    "passed_timestamp": None
                    if is_undated or not is_passed
                    else f"{passed:%Y-%m-%d %H:%M:%S}",
                    "last_date": None,
                    "is_active": True,
                    "mode": "verified" if n % 6 < 2 else "audit",
                    "created": f"{created:%Y-%m-%d %H:%M:%S}",
                    "completion": 0.9 if is_passed else 0.2,
                }
            )
    return {
        name: [{column: row[column] for column in table.names} for row in rows]
        for name, table in RESOURCES.items()
    }


GATHERS: dict[str, Gathers] = {
    "a mode": lambda n, _: n % 120 == 0,
    "early learners": lambda n, _: n >= 300,
    "an old title": lambda _, title: title == "Arithmetic",
}


@pytest.fixture(params=GATHERS, scope="module")
def gathered(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def snapshot(gathered: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of courses of which few passes lack a date, though many of one group do."""
    folder = tmp_path_factory.mktemp("undated") / "snapshot"
    with platform_of(records(GATHERS[gathered])) as platform:
        tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
    return folder


def page(snapshot: Path, number: str) -> dict[str, str]:
    """Run a notebook to its end; return what its cells say."""
    environment = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": str(snapshot), "TQDM_DISABLE": "1"}
    [done] = in_process.execute_notebooks(find_notebooks([number]), environment=environment)
    return {cell.id: _said(cell) for cell in done.notebook.cells if cell.cell_type == "code"}


def _said(cell: nbformat.NotebookNode) -> str:
    shown = [output.get("data", output) for output in cell.outputs]
    charts = [json.dumps(one[kind]) for one in shown for kind in one if "vega" in kind]
    return " ".join([one.get("text/plain", one.get("text", "")) for one in shown] + charts)


def passers(snapshot: Path) -> pl.DataFrame:
    """Return the joined records, with the title and the half of the course as pages name them."""
    pc = tk.load_study(snapshot).person_course
    is_early = pl.col("enrolled_day") < pl.col("enrolled_day").median().over("course_id")
    start = pl.when(is_early).then(pl.lit("early")).otherwise(pl.lit("late"))
    return pc.with_columns(start=start, course="display_name")


def lacking(rows: pl.DataFrame, *by: str) -> dict[tuple[str, ...], int]:
    """Count the learners of each group of which more than a fiftieth of the passes lack a date."""
    undated = pl.col("passed_timestamp").null_count()
    are_many = rows.filter("passed").group_by(by).agg(are_many=50 * undated > pl.len())
    found = rows.join(are_many.filter("are_many"), on=by).group_by(by).len()
    return {row[:-1]: row[-1] for row in found.rows()}


@pytest.mark.parametrize(
    ("gathered", "number", "cell", "group"),
    [("a mode", "07", "left-out", "mode"), ("early learners", "08", "data", "start")],
    indirect=["gathered"],
)
def test_a_template_runs_to_its_end_and_counts_whom_it_leaves_out(
    snapshot: Path, number: str, cell: str, group: str
) -> None:
    rows = passers(snapshot)
    out = lacking(rows, "course_id", group)
    assert out
    assert not lacking(rows, "course_id")
    lines = [re.split(r"\s{2,}", line) for line in page(snapshot, number)[cell].splitlines()]
    told = {(course, of): n for course, of, why, n, *_ in lines[1:-1] if "in a group" in why}
    assert told.keys() == out.keys()
    assert all(abs(int(told[one]) - n) <= 5 for one, n in out.items())


def test_pages_and_analyses_agree_on_the_courses_left_out(snapshot: Path, gathered: str) -> None:
    rows = passers(snapshot)
    pages = {course.full: course.days.text for course in read_courses(tk.load_study(snapshot)).rows}
    by = ["course_id", "course"]
    durations = tk.time_to_pass(rows, undated="leave_out", undated_by=by)
    found = tk.survival.exclusions(durations, by="course").frame
    out = found.filter(reason="in a group whose passes lack a time")["course"].to_list()
    assert out == [title for _, title in lacking(rows, *by)]
    assert out == ["Arithmetic"] * (gathered == "an old title")
    assert out == [title for title, days in pages.items() if days == UNDATED]
    assert {
        title for title in pages if title in page(snapshot, "04")["courses-table"]
    } == pages.keys() - out
    assert (UNDATED in page(snapshot, "05")["explorer"]) == bool(out)
