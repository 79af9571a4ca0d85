"""What is said where there is nothing to show: the reason that is given is the true one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import in_process
import polars as pl
import pytest
from bs4 import BeautifulSoup
from odd_names import platform_of

import toolkit as tk
from toolkit.reports.courses import read_courses
from toolkit.reports.key_figures import as_tiles
from toolkit.reports.library import find_notebooks
from toolkit.schemas import RESOURCES

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
Change = Callable[[dict[str, pl.DataFrame]], dict[str, pl.DataFrame]]
PASSED = pl.col("letter_grade") == "Pass"


def frames() -> dict[str, pl.DataFrame]:
    """Sixty learners of one course, of whom twenty passed forty days after they enrolled."""
    created = AS_OF - timedelta(days=300)
    who = {"email": None, "course_id": "course-v1:Org+CS+R1"}
    rows = [
        {
            **who,
            "username": f"learner {n}",
            "display_name": "Chemistry",
            "percent_grade": 0.9 if n < 20 else 0.1,
            "letter_grade": "Pass" if n < 20 else "F",
            "passed_timestamp": created + timedelta(days=40) if n < 20 else None,
            "last_date": None,
            "is_active": True,
            "mode": "audit",
            "created": created,
            "completion": 0.9 if n < 20 else 0.1,
        }
        for n in range(60)
    ]
    return {
        name: pl.DataFrame([{c: row[c] for c in table.names} for row in rows], table.polars_schema)
        for name, table in RESOURCES.items()
    }


def study(change: Change | None = None) -> tk.Study:
    found = frames() if change is None else change(frames())
    problems = tk.schemas.PROBLEMS.empty()
    return tk.Study(**found, problems=problems, as_of=AS_OF, source="here")


def without_dates_of_passes(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    none = pl.lit(None, pl.Datetime("us", "UTC")).alias("passed_timestamp")
    return found | {"grades": found["grades"].with_columns(none)}


def without_dates_of_enrollment(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    none = pl.lit(None, pl.Datetime("us", "UTC")).alias("created")
    return found | {"enrollments": found["enrollments"].with_columns(none)}


def without_enrollments(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return found | {"enrollments": found["enrollments"].clear()}


def without_passes(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return found | {
        "grades": without_dates_of_passes(found)["grades"].with_columns(
            pl.lit("F").alias("letter_grade")
        )
    }


@pytest.mark.parametrize(
    ("change", "tile", "cell"),
    [
        (without_passes, "less than a quarter has passed so far", "under half so far"),
        (without_dates_of_passes, *["too many dates missing to show"] * 2),
        (without_dates_of_enrollment, *["too many dates missing to show"] * 2),
        (without_enrollments, *["too few learners to show"] * 2),
    ],
)
def test_the_first_page_says_why_it_has_no_days(change: Change, tile: str, cell: str) -> None:
    learners = study(change)
    shown = as_tiles(tk.reports.key_figures(learners).release())[-1]
    assert shown == {"figure": "Days to pass", "value": "–", "meaning": tile}
    [course] = read_courses(learners).rows
    assert course.days.text == cell


def test_cohorts_that_cannot_be_shown_say_why_and_who_is_left_out() -> None:
    undated = tk.cohort_progress(study(without_dates_of_passes)).narrate()
    assert undated.endswith("Left out: 20 whose time to the outcome is unknown.")
    nobody = tk.cohort_progress(study(without_dates_of_enrollment)).narrate()
    assert nobody.startswith("There are no cohorts, since no enrollment has a date. Left out: 20 ")


def test_a_single_curve_is_not_said_to_have_too_few_passes() -> None:
    durations = tk.time_to_pass(study())
    only = "cannot be compared: there is only one group."
    assert tk.logrank(durations, by="mode").narrate() == f"The curves {only}"
    ended = durations.with_columns(end=pl.when("event").then(pl.lit("passed")))
    gray = tk.survival.gray_test(ended, by="mode", end="passed")
    assert gray.narrate() == f"The incidence curves {only}"


def test_a_title_tells_who_passed_late_from_who_has_not_passed() -> None:
    """Of 15 learners, twelve pass at once; few are then at risk, but half have passed."""

    def group(name: str, n: int, passes: list[float]) -> pl.DataFrame:
        days = [*passes, *[300.0] * (n - len(passes))]
        event = [True] * len(passes) + [False] * (n - len(passes))
        return pl.DataFrame({"duration": days, "event": event, "g": name})

    soon, late = group("soon", 100, [20.0] * 60), group("late", 15, [17.5] * 12)
    never = group("never", 100, [20.0] * 30)

    def title(*groups: pl.DataFrame) -> str:
        chart = tk.kaplan_meier(pl.concat(groups), by="g").release().chart()
        return " ".join(chart.to_dict()["title"]["text"])

    few = "only where few are still at risk"
    assert title(soon, late) == f"Half have passed by day 20 in soon; {few} in 1 of 2 groups"
    assert title(soon, late, never) == (
        "Half have passed by day 20 in soon; not in the time shown in 1 of 3 groups; "
        f"{few} in 1 of 3 groups"
    )
    assert title(never, late) == f"Half of the learners have passed in 1 of 2 groups, {few}"


def with_a_course_for_each_learner(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    course = pl.format("course-v1:Org+{}+R1", pl.col("username").str.slice(8))
    many = {name: frame.with_columns(course_id=course) for name, frame in found.items()}
    return many | {"grades": many["grades"].with_columns(display_name="username")}


def with_passes_at_enrollment(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """A day after another, so that half of the learners are early."""
    enrolled = (AS_OF - timedelta(days=300)) + pl.duration(days=pl.int_range(60))
    at_once = {"letter_grade": pl.lit("Pass"), "passed_timestamp": enrolled}
    return found | {
        "grades": found["grades"].with_columns(**at_once),
        "enrollments": found["enrollments"].with_columns(created=enrolled),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        without_passes,
        without_dates_of_passes,
        without_dates_of_enrollment,
        without_enrollments,
        with_a_course_for_each_learner,
        with_passes_at_enrollment,
    ],
)
def test_a_template_says_that_nothing_can_be_compared(
    change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {name: json.loads(frame.write_json()) for name, frame in change(frames()).items()}
    with platform_of(sent) as platform:
        tk.take_snapshot(platform, tmp_path / "snapshot", key=secrets.token_hex(32))
    environment = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": str(tmp_path / "snapshot")}
    done = in_process.execute_notebooks(find_notebooks(["07", "08"]), environment=environment)
    told = {cell.id: str(cell.get("outputs")) for one in done for cell in one.notebook.cells}
    for model in ("enough", "cox-fit", "schoenfeld", "cloglog-fit", "cure-words"):
        assert "No model is fitted" in told[model]


def test_two_snapshots_of_a_day_are_two_moments_of_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = secrets.token_hex(32)
    sent = {name: json.loads(frame.write_json()) for name, frame in frames().items()}
    for name, hour in (("earlier", 6), ("later", 18)):
        monkeypatch.setattr("odd_names.AS_OF", AS_OF.replace(hour=hour))
        with platform_of(sent) as platform:
            tk.take_snapshot(platform, tmp_path / name, key=key)
    environment = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": str(tmp_path / "later")}
    [history] = in_process.execute_notebooks(find_notebooks(["06"]), environment=environment)
    [sizes] = [cell for cell in history.notebook.cells if cell.id == "sizes"]
    rows = BeautifulSoup(sizes.outputs[0].data["text/html"], "html.parser").find_all("tr")
    cells = [[cell.get_text() for cell in row.find_all(["td", "th"])] for row in rows]
    assert [row[:2] for row in cells if "2026" in row[0]] == [
        ["1 Jan 2026 06:00 UTC", "60"],
        ["1 Jan 2026 18:00 UTC", "60"],
    ]


def test_a_course_that_was_renamed_with_a_few_undated_passes_does_not_stop_the_report() -> None:
    """A sixtieth of its passers lack a date, but a tenth of those with its old title."""

    def renamed(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        one, n = pl.col("username"), pl.int_range(pl.len())
        many = {
            name: pl.concat(frame.with_columns(one + f" of {copy}") for copy in "abc")
            for name, frame in found.items()
        }
        old = pl.when(n < 10).then(pl.lit("Alchemy")).otherwise("display_name")
        return many | {
            "grades": many["grades"].with_columns(
                old.alias("display_name"), pl.when(n > 0).then("passed_timestamp")
            )
        }

    told = {course.full: course.days.text for course in read_courses(study(renamed)).rows}
    assert told == {"Alchemy": "too many dates missing to show", "Chemistry": "under half so far"}


def test_another_pass_rule_dates_passes_as_the_platform_does() -> None:
    """Learners who fail by their letter may pass by their grade, at the time the platform has."""

    def dated(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        passed = pl.lit(AS_OF - timedelta(days=250))
        return found | {"grades": found["grades"].with_columns(passed.alias("passed_timestamp"))}

    learners = study(dated)
    found = tk.reports.sensitivity(
        learners, headline="median", pass_rules=[0.1], as_of=[], excluding={}
    )
    grades, enrollments, completion = learners.grades, learners.enrollments, learners.completion
    pc = tk.person_course(grades, enrollments, completion, as_of=AS_OF, pass_rule=0.1)
    median = tk.survival_summary(tk.time_to_pass(pc)).frame.filter(statistic="median")
    assert median["estimate"].to_list() == [50.0]
    assert found.frame.select("days", "n_learners", "n_reached", "n_left_out").rows()[1:] == [
        (50.0, 60, 60, 0)
    ]
