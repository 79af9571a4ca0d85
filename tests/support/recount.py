"""The counts in a report, recounted from the microdata with plain Polars and NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

import toolkit as tk

ALL = "all"
_FAILED = {"", "F", "Fail", "Failed", "Not Passing", "Not Passed"}
_KEY = ["username", "course_id"]
_DONE = pl.col("completion") >= 0.8
STAGES = {
    "enrolled": pl.lit(True),
    "active": pl.col("active"),
    "half-way": pl.col("active") & (pl.col("completion") >= 0.5),
    "completed": pl.col("active") & _DONE,
    "completed and passed": pl.col("active") & _DONE & pl.col("passed"),
    "passed without completing": pl.col("passed") & ~(pl.col("active") & _DONE),
    "passed": pl.col("passed"),
    "passed and active": pl.col("passed") & pl.col("active"),
    "all completed": _DONE,
    "in a cohort": pl.col("is_member"),
    "in no cohort": pl.col("days").is_null() & pl.col("passed") | (pl.col("days") < 0),
    "timed": pl.col("excluded").is_null(),
    "passed in time": pl.col("excluded").is_null() & pl.col("event"),
    "left out": pl.col("excluded").is_not_null(),
    "left out: passed": pl.col("excluded") == "passed without a pass time",
    "passed without a time": pl.col("passed") & pl.col("passed_timestamp").is_null(),
    "with a time but not passed": ~pl.col("passed") & pl.col("passed_timestamp").is_not_null(),
}
BEFORE = {
    "active": "enrolled",
    "half-way": "active",
    "completed": "half-way",
    "completed and passed": "completed",
}
Name = tuple[str, str, str, str]


def microdata(study: tk.Study) -> pl.DataFrame:
    """Return one row per enrollment, with its outcome, by joins of the three frames alone."""
    names = study.grades.select("course_id", "display_name").unique("course_id")
    wanted = ["percent_grade", "letter_grade", "passed_timestamp", "last_date"]
    joined = study.enrollments.join(
        study.grades.select(*_KEY, *wanted), on=_KEY, how="left", validate="1:1"
    )
    completion = study.completion.select(*_KEY, "completion")
    joined = joined.join(completion, on=_KEY, how="left", validate="1:1")
    joined = joined.join(names, on="course_id", how="left")
    created = pl.col("created")
    quarter = pl.format("Q{} {}", created.dt.quarter(), created.dt.year())
    a_day = timedelta(days=1) / timedelta(microseconds=1)
    passed_after = (pl.col("passed_timestamp") - created).dt.total_microseconds() / a_day
    rows = joined.select(
        *_KEY,
        "mode",
        *wanted,
        "created",
        pl.col("completion").fill_null(0.0),
        course=pl.col("display_name").fill_null(pl.col("course_id")),
        year=created.dt.year().cast(pl.String),
        quarter=quarter,
        month=created.dt.strftime("%b %Y"),
        passed=~pl.col("letter_grade").fill_null("").is_in(_FAILED),
        active=((pl.col("completion") > 0) | (pl.col("percent_grade") > 0)).fill_null(value=False),
        has_completion=pl.col("completion").is_not_null(),
        days=passed_after,
        observed=(pl.lit(study.as_of) - created).dt.total_microseconds() / a_day,
    )
    return _timed(rows)


def _timed(rows: pl.DataFrame) -> pl.DataFrame:
    """Append durations, events, and why a record is left out."""
    undated = pl.col("passed") & pl.col("passed_timestamp").is_null()
    rows = rows.with_columns(
        is_member=~((pl.col("days") < 0) | (pl.col("passed") & pl.col("days").is_null())).fill_null(
            value=False
        ),
        own=pl.when(pl.col("created").is_null())
        .then(pl.lit("no origin"))
        .when(undated)
        .then(pl.lit("passed without a pass time"))
        .when(pl.col("passed") & (pl.col("days") < 0))
        .then(pl.lit("passed before origin")),
    )
    counted = pl.col("own").is_null() | (pl.col("own") == "passed without a pass time")
    n_undated = (pl.col("own") == "passed without a pass time").sum().over("course_id")
    n_passed = (counted & pl.col("passed")).sum().over("course_id")
    return rows.with_columns(
        excluded=pl.when(counted & (n_undated > 0.02 * n_passed))
        .then(pl.lit("in a course whose passes lack a time"))
        .otherwise("own"),
        event=pl.col("passed"),
        duration=pl.when("passed").then("days").otherwise("observed"),
    )


class Truth:
    """The learners behind a report."""

    def __init__(self, study: tk.Study) -> None:
        self.study = study
        self.rows = microdata(study)
        self.courses = self.rows["course"].unique().sort().to_list()
        self.modes = self.rows["mode"].unique().drop_nulls().to_list()
        self._counts: dict[Name, int] = {}
        self._curves: dict[tuple[str, str], Curve] = {}
        self._parts: dict[tuple[str, str, str], pl.DataFrame] = {}

    def part(self, course: str = ALL, cohort: str = ALL, mode: str = ALL) -> pl.DataFrame:
        """Return the rows of a group; a cohort is a year, a quarter or a month."""
        key = (course, cohort, mode)
        if key not in self._parts:
            rows = self.rows
            span = "year" if cohort.isdigit() else "quarter" if cohort[0] == "Q" else "month"
            for column, value in (("course", course), (span, cohort), ("mode", mode)):
                if value in {"unknown", "no date"}:
                    rows = rows.filter(pl.col("created").is_null())
                elif value != ALL:
                    rows = rows.filter(pl.col(column) == value)
            self._parts[key] = rows
        return self._parts[key]

    def count(self, name: Name) -> int:
        """Return the exact count behind a printed one."""
        if name not in self._counts:
            what, course, cohort, mode = name
            if what.startswith("at risk on day "):
                found = self.curve(course, cohort).at_risk(float(what.split()[-1]))
            elif course.startswith("course-v1:"):
                found = self.part().filter(course_id=course).filter(self.condition(what)).height
            else:
                found = self.part(course, cohort, mode).filter(self.condition(what)).height
            self._counts[name] = found
        return self._counts[name]

    def condition(self, what: str) -> pl.Expr:
        """Return the condition of who is counted."""
        if what in STAGES:
            return STAGES[what]
        kind, _, about = what.partition(": ")
        if kind == "lost before":
            return STAGES[BEFORE[about]] & ~STAGES[about]
        if kind == "left out":
            return pl.col("excluded") == about
        if kind in {"observed", "reached"}:
            seen = pl.col("is_member") & (pl.col("observed") >= float(about))
            is_in_time = pl.col("passed") & (pl.col("days") <= float(about))
            return seen if kind == "observed" else seen & is_in_time
        if kind in {"grade", "completion"}:
            return _in_bin(kind, about)
        raise KeyError(what)

    def curve(self, course: str = ALL, cohort: str = ALL) -> Curve:
        """Return the exact curve of a group."""
        if (course, cohort) not in self._curves:
            timed = self.part(course, cohort).filter(pl.col("excluded").is_null())
            self._curves[course, cohort] = Curve(
                timed["duration"].to_numpy(), timed["event"].to_numpy()
            )
        return self._curves[course, cohort]

    def logrank(self, released_passes: dict[str, int]) -> tuple[float, float]:
        """Return the robust score test that follows from released numbers of passes in courses.

        Its covariance is the sum of squares of each learner's events minus those expected, plus
        the variance of rounding, 4, which moves the expected events too.
        """
        timed = self.rows.filter(
            pl.col("course").is_in(list(released_passes)), pl.col("excluded").is_null()
        )
        time, event = timed["duration"].to_numpy(), timed["event"].to_numpy()
        courses = timed["course"].to_list()
        own = np.array(
            [[course == one for one in released_passes] for course in courses], np.float64
        )
        parts, share = np.zeros_like(own), np.zeros(len(released_passes))
        for moment in np.unique(time[event]):
            at_risk, passes = time >= moment, (time == moment) & event
            deviations = (own - own[at_risk].mean(axis=0)) * at_risk[:, None]
            parts += deviations * (passes - passes.sum() / at_risk.sum())[:, None]
            share += own[at_risk].mean(axis=0) * passes.sum() / event.sum()
        learner = timed["username"].rank("dense").to_numpy() - 1
        sums = np.stack([np.bincount(learner, part) for part in parts.T])
        released = np.array(list(released_passes.values()))
        moves = np.eye(len(released_passes)) - np.outer(share, np.ones(len(released_passes)))
        spread = sums @ sums.T * released.sum() / event.sum() + 4 * moves @ moves.T
        score = (released - share * released.sum())[1:]
        statistic = float(score @ np.linalg.solve(spread[1:, 1:], score))
        df, n = len(released_passes) - 1, sums.shape[1]
        return statistic, float(stats.f.sf(statistic / df * (n - 1) / n, df, n - 1))

    @cached_property
    def checks(self) -> dict[str, tuple[int, int]]:
        """For each expectation of a check: how many records break it, of how many."""
        grades, pc = _with_marks(self.study.grades), self.rows
        letter = ~pl.col("letter_grade").fill_null("").is_in(_FAILED)
        time, grade = pl.col("passed_timestamp"), pl.col("percent_grade")
        mark = pl.col("mark").is_not_null() & grade.is_not_null()
        dated = pl.col("last_date").is_not_null() & time.is_not_null()

        def of(frame: pl.DataFrame, checked: Any, broken: Any) -> tuple[int, int]:
            rows = frame.filter(checked)
            return rows.filter(broken).height, rows.height

        everybody = pl.lit(True)
        return {
            "every passing letter grade has a pass time": of(grades, letter, time.is_null()),
            "every pass time has a passing letter grade": of(grades, time.is_not_null(), ~letter),
            "the last date is not before the pass": of(
                grades, dated, pl.col("last_date") < time.dt.date()
            ),
            "no pass lies below the course's usual pass mark": of(
                grades, letter & mark, grade < pl.col("mark")
            ),
            "learners at or above the course's usual pass mark have passed": of(
                grades, ~letter & mark, grade >= pl.col("mark")
            ),
            "every record has a grade": of(grades, everybody, grade.is_null()),
            "every record has a last date": of(grades, everybody, pl.col("last_date").is_null()),
            "every enrollment has a date": of(
                self.study.enrollments, everybody, pl.col("created").is_null()
            ),
            "no pass comes before the enrollment": of(
                pc, pl.col("passed") & pl.col("days").is_not_null(), pl.col("days") < 0
            ),
        }


@dataclass(frozen=True)
class Curve:
    """The product-limit curve of some durations."""

    durations: np.ndarray
    events: np.ndarray

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        times = np.unique(self.durations[self.events])
        at_risk = len(self.durations) - np.searchsorted(np.sort(self.durations), times)
        ended = np.unique(self.durations[self.events], return_counts=True)[1]
        survival = np.cumprod(1 - ended / at_risk)
        with np.errstate(divide="ignore", invalid="ignore"):
            greenwood = np.cumsum(ended / (at_risk * (at_risk - ended)))
        return times, survival, greenwood

    def at_risk(self, time: float) -> int:
        """Return how many are under observation just before a time."""
        return int((self.durations >= time - 1e-9).sum())

    def passed(self, time: float) -> float:
        """Return the share that has passed by a time."""
        times, survival, _ = self._steps
        place = int(np.searchsorted(times, time + 1e-9, side="right"))
        return 0.0 if place == 0 else float(1 - survival[place - 1])

    def interval(self, time: float) -> tuple[float, float]:
        """Return the 95% log-log interval of that share."""
        times, survival, greenwood = self._steps
        place = int(np.searchsorted(times, time + 1e-9, side="right"))
        if place == 0 or not 0 < survival[place - 1] < 1:
            return 0.0, 1.0
        s, spread = survival[place - 1], np.sqrt(greenwood[place - 1])
        theta = 1.959963984540054 * spread / np.log(s)
        return float(1 - s ** np.exp(theta)), float(1 - s ** np.exp(-theta))


def changes(earlier: tk.Snapshot, later: tk.Snapshot) -> dict[tuple[str, str], int]:
    """Count the records of each course by kind of change, by joins of the snapshots."""
    found: dict[tuple[str, str], int] = {}

    def add(rows: pl.DataFrame, change: str) -> None:
        for course, n in rows.group_by("course_id").len().iter_rows():
            found[course, change] = found.get((course, change), 0) + n

    for name in ("grades", "enrollments", "completion"):
        before, after = (snapshot.scan(name).collect() for snapshot in (earlier, later))
        values = [column for column in before.columns if column not in [*_KEY, "email"]]
        both = before.join(after, on=_KEY, suffix="_after")
        differs = pl.any_horizontal(pl.col(v).ne_missing(pl.col(f"{v}_after")) for v in values)
        add(after.join(before, on=_KEY, how="anti"), f"{name} added")
        add(before.join(after, on=_KEY, how="anti"), f"{name} removed")
        add(both.filter(differs), f"{name} changed")
        if name == "grades":
            passes, passes_after = (
                ~pl.col(c).fill_null("").is_in(_FAILED)
                for c in ("letter_grade", "letter_grade_after")
            )
            grade, grade_after = pl.col("percent_grade"), pl.col("percent_grade_after")
            every = after.join(before, on=_KEY, how="left", suffix="_before")
            passed_before = ~pl.col("letter_grade_before").fill_null("").is_in(_FAILED)
            add(every.filter(~passed_before & passes), "newly passed")
            add(both.filter(passes & ~passes_after), "pass withdrawn")
            add(both.filter(grade_after > grade), "grade raised")
            add(both.filter(grade_after < grade), "grade lowered")
    return found


def _in_bin(measure: str, part: str) -> pl.Expr:
    value = pl.col("percent_grade" if measure == "grade" else "completion")
    known = value.is_not_null() if measure == "grade" else pl.col("has_completion")
    if part == "known":
        return known
    if part == "missing":
        return ~known
    if part == "zero":
        return known & (value == 0)
    if part.startswith("up to "):
        high = float(part.split()[-1])
        return known & ((value <= high) if high == 1 else (value < high))
    low, high = (float(end) for end in part.split("–"))
    # The last bin includes its upper end; 0 has a part of its own.
    below = value <= high if high == 1 else value < high
    return known & (value > 0) & (value >= low) & below


def _with_marks(grades: pl.DataFrame) -> pl.DataFrame:
    """Append the grade that best separates a course's passes from the others, if one does."""
    marks = {}
    for (course,), rows in grades.partition_by("course_id", as_dict=True).items():
        known = rows.filter(pl.col("percent_grade").is_not_null())
        passed = (~known["letter_grade"].fill_null("").is_in(list(_FAILED))).to_numpy()
        levels, wrong = _wrong(known["percent_grade"].to_numpy(), passed)
        if passed.sum() >= 20 and wrong.min() <= 0.2 * len(passed):
            marks[course] = float(levels[wrong.argmin()])
    return grades.with_columns(
        mark=pl.col("course_id").replace_strict(marks, default=None, return_dtype=pl.Float64)
    )


def _wrong(grades: np.ndarray, passed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each grade as the mark, how many are on the wrong side of it."""
    levels = np.unique(grades)
    low = np.searchsorted(np.sort(grades[passed]), levels)  # passes below it
    high = (~passed).sum() - np.searchsorted(np.sort(grades[~passed]), levels)
    return levels, low + high
