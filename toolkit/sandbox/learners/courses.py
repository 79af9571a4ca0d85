"""The simulated platform's catalogue: its courses, their runs, and the model of passing.

All courses are self-paced: a run takes enrollments for half a year and never closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

CLOCK = datetime(2026, 1, 1)  # the simulated present; naive, meaning UTC
OPENING = datetime(2024, 1, 1)
WINDOW_DAYS = (CLOCK - OPENING).days

MODES = ("audit", "verified", "honor")
RUNS = ("2024_T1", "2024_T2", "2025_T1", "2025_T2")
RUN_FIRST_DAY = (0, 182, 366, 547)  # since OPENING: 1 January and 1 July of both years


@dataclass(frozen=True, slots=True)
class Course:
    """A course and its model of passing.

    A learner eventually passes with the probability of the mode; the days from enrollment to
    that pass follow a Weibull distribution.
    """

    number: str  # the middle part of its course ids
    title: str  # its display name
    popularity: float  # weight as a learner's first course
    mode_shares: tuple[float, float, float]  # share of enrollments in audit, verified, honor
    pass_probability: tuple[float, float, float]  # by mode, of ever passing
    shape: float  # the Weibull's shape
    scale_days: float  # the Weibull's scale
    pass_mark: int  # lowest passing grade in hundredths
    since_2025: tuple[float, float, float] | None = None  # where it changed in 2025
    letters: tuple[tuple[str, int], ...] = ()  # with their lowest grades, best first

    def pass_probabilities(self, run: int) -> tuple[float, float, float]:
        """Return, by mode, the probability of ever passing the run with this index in `RUNS`."""
        return self.since_2025 if self.since_2025 and run >= 2 else self.pass_probability

    def pass_probability_of_all(self, run: int) -> float:
        """Return the same over all modes, weighted by their shares."""
        by_mode = zip(self.mode_shares, self.pass_probabilities(run), strict=True)
        return sum(share * probability for share, probability in by_mode)

    @property
    def grading(self) -> tuple[tuple[str, int], ...]:
        """The letter grades, or a plain Pass at the pass mark."""
        return self.letters or (("Pass", self.pass_mark),)


def course_id(course: Course, run: str) -> str:
    """Return the id of a course's run."""
    return f"course-v1:DemoX+{course.number}+{run}"


COURSES = (
    Course(
        "STAT101",
        "Introduction to Statistics",
        0.28,
        (0.70, 0.24, 0.06),
        (0.22, 0.78, 0.35),
        1.6,
        75.0,
        60,
    ),
    Course(
        "PY101",
        "Programming in Python",
        0.30,
        (0.76, 0.21, 0.03),
        (0.16, 0.70, 0.30),
        1.2,
        60.0,
        50,
        since_2025=(0.26, 0.80, 0.40),  # redesigned
    ),
    Course(
        "DATA200",
        "Données et société",
        0.12,
        (0.62, 0.35, 0.03),
        (0.30, 0.82, 0.45),
        2.0,
        110.0,
        60,
    ),
    Course(
        "BIO110",
        "Cells, Genes and Organisms",
        0.12,
        (0.80, 0.14, 0.06),
        (0.12, 0.64, 0.25),
        1.4,
        95.0,
        55,
        letters=(("A", 85), ("B", 70), ("C", 55)),
    ),
    Course(
        "HIST150",
        "A History of Measurement",
        0.10,
        (0.85, 0.12, 0.03),
        (0.35, 0.85, 0.50),
        0.9,
        40.0,
        50,
    ),
    Course(
        "ML300",
        "Machine Learning: Models and Evidence",
        0.08,
        (0.55, 0.42, 0.03),
        (0.08, 0.52, 0.20),
        1.8,
        140.0,
        70,
    ),
)

# Row: the course just taken; column: the next one. The diagonal is a repeat in a later run.
NEXT_COURSE = (
    (0.12, 0.26, 0.34, 0.06, 0.08, 0.14),
    (0.20, 0.14, 0.22, 0.06, 0.08, 0.30),
    (0.14, 0.20, 0.10, 0.10, 0.16, 0.30),
    (0.30, 0.14, 0.20, 0.14, 0.16, 0.06),
    (0.22, 0.22, 0.24, 0.20, 0.08, 0.04),
    (0.16, 0.18, 0.30, 0.08, 0.06, 0.22),
)
ANOTHER_COURSE = 0.55  # probability of going on after each course
MOST_COURSES = 6
