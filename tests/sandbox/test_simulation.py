"""The simulated learners follow the stated truth, and their records agree with each other."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.sandbox.learners.courses import COURSES, MODES, NEXT_COURSE
from toolkit.sandbox.learners.records import Filters, lines, rows
from toolkit.sandbox.learners.simulation import CHUNK, Simulation
from toolkit.sandbox.learners.truth import Truth, stated_truth

SIGMAS = 4.5  # a fair estimate is further off once in 150,000 times
LEARNERS = 40_000
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def records() -> pl.DataFrame:
    """Every field of many learners, typed as in the simulation."""
    source = Simulation(LEARNERS, 11)
    return pl.concat(chunk.collect() for chunk in source.chunks(Filters())).with_columns(
        pl.col("course_id", "mode", "letter_grade").cast(pl.String),
        pl.col("percent_grade", "completion").cast(pl.String).cast(pl.Float64),
        days=(pl.col("passed_timestamp") - pl.col("created")).dt.total_microseconds() / DAY,
        observed=(source.clock - pl.col("created")).dt.total_microseconds() / DAY,
    )


@pytest.fixture(scope="module")
def truth() -> Truth:
    return stated_truth()


def kaplan_meier(days: pl.Series, observed: pl.Series, at: float) -> tuple[float, float]:
    """Survival at a day and Greenwood's standard error, by the book."""
    duration = days.fill_null(observed).to_numpy()
    event = days.is_not_null().to_numpy()
    order = np.argsort(duration)
    at_risk = np.arange(len(duration), 0, -1)
    seen = event[order] & (duration[order] <= at)
    survival = np.prod(1 - 1 / at_risk[seen])
    return survival, survival * np.sqrt(np.sum(1 / (at_risk[seen] * (at_risk[seen] - 1.0))))


def test_the_time_to_pass_follows_the_stated_curve_of_every_course_and_mode(
    records: pl.DataFrame, truth: Truth
) -> None:
    off = []
    for (course, mode), group in records.group_by("course_id", "mode"):
        for day in (30.0, 90.0, 150.0):
            if group["observed"].max() < day or group.height < 200:  # type: ignore[operator]
                continue
            estimate, error = kaplan_meier(group["days"], group["observed"], day)
            expected = float(truth.survival(course, day, mode))
            off.append((estimate - expected) / max(error, 1e-9))
    assert len(off) > 100
    assert np.abs(off).max() < SIGMAS
    assert np.std(off) == pytest.approx(1.0, abs=0.25)


def test_nothing_but_the_clock_hides_a_pass(records: pl.DataFrame, truth: Truth) -> None:
    # Those who enrolled long ago have passed with the probability of ever passing, whenever
    # within that time they enrolled.
    long_ago = records.filter(pl.col("observed") > 500, pl.col("mode") == "verified")
    for (course,), group in long_ago.group_by("course_id"):
        expected = truth.pass_probability(course, "verified")
        late = 1 - float(truth.survival(course, 500, "verified"))
        error = np.sqrt(expected * (1 - expected) / group.height)
        passed = group["days"].is_not_null().mean()
        assert late - SIGMAS * error < passed < expected + SIGMAS * error


def test_the_modes_have_their_stated_shares(records: pl.DataFrame, truth: Truth) -> None:
    found = (
        records.group_by("course_id", "mode")
        .agg(n=pl.len())
        .with_columns(total=pl.col("n").sum().over("course_id"))
        .join(truth.parameters, on=["course_id", "mode"])
    )
    share = pl.col("mode_share")
    off = found.select(
        (pl.col("n") / pl.col("total") - share) / (share * (1 - share) / pl.col("total")).sqrt()
    ).to_series()
    assert len(off) == truth.parameters.height
    assert off.abs().max() < SIGMAS


def test_survival_falls_from_one_to_those_who_never_pass(truth: Truth) -> None:
    for course in truth.parameters["course_id"].unique():
        curve = truth.survival(course, [0, 1, 30, 365, 1e9])
        assert curve[0] == 1.0
        assert (np.diff(curve) <= 0).all()
        assert curve[-1] == pytest.approx(1 - truth.pass_probability(course))


def test_a_course_or_mode_that_does_not_exist_has_no_truth(truth: Truth) -> None:
    with pytest.raises(KeyError, match="course-v1:x"):
        truth.pass_probability("course-v1:x")
    with pytest.raises(KeyError, match="in mode masters"):
        truth.survival("course-v1:DemoX+PY101+2024_T1", 1, mode="masters")


def test_the_catalogue_s_probabilities_sum_to_one() -> None:
    assert sum(course.popularity for course in COURSES) == pytest.approx(1)
    for course in COURSES:
        assert sum(course.mode_shares) == pytest.approx(1)
        assert course.grading[-1][1] == course.pass_mark
    assert np.sum(NEXT_COURSE, axis=1) == pytest.approx(np.ones(len(COURSES)))


@pytest.mark.parametrize(
    ("rule", "fact"),
    [
        ("enrolled after the opening", pl.col("created") >= datetime(2024, 1, 1)),
        ("enrolled before the clock", pl.col("created") < datetime(2026, 1, 1)),
        ("passed after enrolling", pl.col("days").fill_null(1) > 0),
        ("passed before the clock", pl.col("passed_timestamp").fill_null(datetime(2025, 1, 1))
         < datetime(2026, 1, 1)),
        ("a letter just where passed", (pl.col("letter_grade") != "")
         == pl.col("passed_timestamp").is_not_null()),
        ("grades lie in 0 to 1", pl.col("percent_grade").is_between(0, 1)),
        ("completion lies in 0 to 1", pl.col("completion").is_between(0, 1)),
        ("who has a grade has completed something", (pl.col("percent_grade") == 0)
         | (pl.col("completion") > 0)),
        ("last_date not before enrollment", pl.col("last_date") >= pl.col("created").dt.date()),
        ("last_date before the clock", pl.col("last_date") < datetime(2026, 1, 1).date()),
        ("last_date not before the pass", pl.col("last_date")
         >= pl.col("passed_timestamp").dt.date().fill_null(datetime(2024, 1, 1).date())),
        ("who passed stays enrolled", pl.col("is_active") | pl.col("days").is_null()),
    ],
)  # fmt: skip
def test_records_agree(records: pl.DataFrame, rule: str, fact: pl.Expr) -> None:
    assert records.filter(~fact).is_empty(), rule
    assert records.filter(fact.is_null()).is_empty(), rule


def test_a_grade_reaches_the_pass_mark_just_where_the_learner_passed(
    records: pl.DataFrame, truth: Truth
) -> None:
    marks = truth.parameters.select("course_id", "pass_mark").unique()
    graded = records.join(marks, on="course_id")
    reached = graded["percent_grade"] >= graded["pass_mark"]
    assert (reached == graded["days"].is_not_null()).all()


def test_learners_take_several_courses_and_repeat_some_but_never_the_same_run(
    records: pl.DataFrame,
) -> None:
    assert records["username"].n_unique() == LEARNERS
    assert records.select("username", "course_id").is_unique().all()
    courses = records.group_by("username", "display_name").agg(runs=pl.len())
    assert courses.group_by("username").len()["len"].max() >= 4  # type: ignore[operator]
    assert (courses["runs"] > 1).sum() > 100
    assert set(records["mode"]) == set(MODES)


def test_many_grades_are_zero(records: pl.DataFrame) -> None:
    assert 0.15 < (records["percent_grade"] == 0).mean() < 0.35  # type: ignore[operator]


def test_memory_is_bounded_by_the_chunk() -> None:
    sizes = [frame.height for frame in rows(Simulation(3 * CHUNK, 1), "completion", Filters())]
    assert len(sizes) == 3
    assert max(sizes) < 3 * CHUNK


def test_a_learner_is_the_same_in_any_population() -> None:
    wanted = Filters(username="amber_badger_000000")
    (alone,) = rows(Simulation(1, 5), "grades", wanted)
    (among_many,) = rows(Simulation(1_000_000, 5), "grades", wanted)
    assert lines(alone) == lines(among_many)


@settings(max_examples=25)
@given(
    learners=st.integers(1, 2 * CHUNK),
    seed=st.integers(0, 2**64 - 1),
    resource=st.sampled_from(["grades", "enrollments", "completion"]),
)
def test_any_population_has_every_learner_once_and_in_order(
    learners: int, seed: int, resource: str
) -> None:
    frames = list(rows(Simulation(learners, seed), resource, Filters()))
    numbers = pl.concat(frames)["username"].str.slice(-6).cast(pl.Int64)
    assert numbers.is_sorted()
    assert numbers.unique().to_list() == list(range(learners))


def test_an_earlier_clock_follows_the_same_truth(truth: Truth) -> None:
    source = Simulation(LEARNERS, 3).earlier(datetime(2025, 1, 1))
    course = "course-v1:DemoX+STAT101+2024_T1"
    frame = pl.concat(chunk.collect() for chunk in source.chunks(Filters(course_id=course)))
    frame = frame.filter(pl.col("course_id").cast(pl.String) == course).with_columns(
        days=(pl.col("passed_timestamp") - pl.col("created")).dt.total_microseconds() / DAY,
        observed=(source.clock - pl.col("created")).dt.total_microseconds() / DAY,
    )
    estimate, error = kaplan_meier(frame["days"], frame["observed"], 120)
    assert abs(estimate - float(truth.survival(course, 120))) < SIGMAS * error


def test_the_truth_is_read_from_the_running_sandbox() -> None:
    with tk.sandbox(learners=1) as platform:
        assert platform.truth is not None
        assert platform.truth.pass_probability("course-v1:DemoX+STAT101+2024_T1") == pytest.approx(
            0.70 * 0.22 + 0.24 * 0.78 + 0.06 * 0.35
        )
        assert platform.clock == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_toolkit_s_estimates_over_http_agree_with_the_truth() -> None:
    with tk.sandbox(learners=8_000, seed=20) as platform:
        truth, study = platform.truth, tk.load_study(platform)
    assert truth is not None
    assert study.problems.is_empty()
    curves = tk.kaplan_meier(tk.time_to_pass(study.person_course), by=["course_id"]).frame
    off = []
    for (course,), curve in curves.group_by("course_id"):
        last = curve.filter(pl.col("duration") <= 60, pl.col("n_events") > 0)[-1]
        expected = truth.survival(course, last["duration"].item())
        off.append((last["survival"].item() - float(expected)) / last["std_error"].item())
    assert len(off) == 24
    assert np.abs(off).max() < SIGMAS


@pytest.mark.slow
def test_a_million_learners_are_served_in_little_memory() -> None:
    code = """
import re, httpx, toolkit as tk
from pathlib import Path
headers = {"Content-Type": "application/json", "Access-Control-Request-Headers": "authorization"}
with tk.sandbox(learners=1_000_000) as platform:
    headers["Authorization"] = f"Bearer {platform.token}"
    url = f"{platform.base_url}/api/so2/v1/completion"
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        records = sum(piece.count(b'"username"') for piece in answer.iter_raw())
# not ru_maxrss, which a child inherits from the process that started it
print(records, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    records, kilobytes = map(int, said.stdout.split())
    assert 1_700_000 < records < 1_800_000
    assert kilobytes < 300_000
