"""Who enrolls in what and when: learners' ways through the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.sandbox.courses import (
    ANOTHER_COURSE,
    COURSES,
    MOST_COURSES,
    NEXT_COURSE,
    RUN_FIRST_DAY,
    RUNS,
    WINDOW_DAYS,
)

# First enrollments a month over the two years: courses draw more learners after the summer
# and at New Year.
_MONTHLY_DEMAND = (13, 10, 8, 7, 6, 5, 4, 6, 13, 11, 9, 8) * 2
_DAY_OF_MONTHLY_DEMAND = np.linspace(0, WINDOW_DAYS, len(_MONTHLY_DEMAND) + 1)
_REPEAT_AFTER_DAYS = 190  # longer than a run takes enrollments, so a repeat is in a later run

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Journeys:
    """One enrollment per place in these arrays, by learner and then by time.

    Attributes:
        learner: Number of the learner, from 0.
        course: Index in `COURSES`.
        run: Index in `RUNS`.
        enrolled_minute: Minutes since the opening.
    """

    learner: Integers
    course: Integers
    run: Integers
    enrolled_minute: Integers

    @property
    def size(self) -> int:
        """Number of enrollments."""
        return self.learner.size


def draw_journeys(learners: int, rng: np.random.Generator) -> Journeys:
    """Draw every learner's enrollments up to the clock, at most one in each course run."""
    step = (learners, MOST_COURSES)
    course, day = np.empty(step, dtype=np.int64), np.empty(step)
    course[:, 0] = pick(np.cumsum([c.popularity for c in COURSES]), rng.random(learners))
    demand = np.cumsum((0, *_MONTHLY_DEMAND)) / sum(_MONTHLY_DEMAND)
    day[:, 0] = np.interp(rng.random(learners), demand, _DAY_OF_MONTHLY_DEMAND)
    goes_on = np.ones(step, dtype=bool)
    next_course = np.cumsum(NEXT_COURSE, axis=1)
    for here in range(1, MOST_COURSES):
        before = here - 1
        course[:, here] = pick(next_course[course[:, before]], rng.random(learners))
        repeats = course[:, here] == course[:, before]
        pause = 14 + exponential(rng.random(learners), 80.0) + _REPEAT_AFTER_DAYS * repeats
        day[:, here] = day[:, before] + pause
        goes_on[:, here] = goes_on[:, before] & (rng.random(learners) < ANOTHER_COURSE)
    run = np.searchsorted(RUN_FIRST_DAY, day, side="right") - 1
    kept = _first_of_each(course * len(RUNS) + run, goes_on & (day < WINDOW_DAYS))
    return Journeys(
        learner=np.nonzero(kept)[0],
        course=course[kept],
        run=run[kept],
        enrolled_minute=(day[kept] * 1_440).astype(np.int64),
    )


def exponential(uniform: Floats, mean: float) -> Floats:
    """Exponential numbers with this mean from uniform ones."""
    return -mean * np.log1p(-uniform)


def pick(cumulative: Floats, uniform: Floats) -> Integers:
    """Index drawn with the probabilities whose sums these are, one row or a row each."""
    picked: Integers = np.sum(uniform[:, np.newaxis] >= cumulative[..., :-1], axis=1)
    return picked


def _first_of_each(course_run: Integers, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of those kept, the first enrollment of a learner in each course run."""
    unique = kept.copy()
    for later in range(1, course_run.shape[1]):
        again = course_run[:, :later] == course_run[:, later, np.newaxis]
        unique[:, later] &= ~np.any(again & unique[:, :later], axis=1)
    return unique
