"""Simulated enrollments: which learners enroll in which courses, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.sandbox.learners.courses import (
    ANOTHER_COURSE,
    COURSES,
    MOST_COURSES,
    NEXT_COURSE,
    RUN_FIRST_DAY,
    RUNS,
    WINDOW_DAYS,
)

# First enrollments per month over the two years: courses draw more learners after the summer
# and at New Year.
_MONTHLY_DEMAND = (13, 10, 8, 7, 6, 5, 4, 6, 13, 11, 9, 8) * 2
_DAY_OF_MONTHLY_DEMAND = np.linspace(0, WINDOW_DAYS, len(_MONTHLY_DEMAND) + 1)
_REPEAT_AFTER_DAYS = 190  # longer than a run is open for enrollment, so a repeat is in a later run

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Journeys:
    """Arrays with one element per enrollment, by learner and then by time."""

    learner: Integers  # number of the learner, from 0
    course: Integers  # index in `COURSES`
    run: Integers  # index in `RUNS`
    enrolled_minute: Integers  # minutes since the opening

    @property
    def size(self) -> int:
        """Number of enrollments."""
        return self.learner.size


def draw_journeys(learners: int, rng: np.random.Generator) -> Journeys:
    """Draw every learner's enrollments up to the clock, at most one in each course run."""
    demand = np.cumsum((0, *_MONTHLY_DEMAND)) / sum(_MONTHLY_DEMAND)
    next_course = np.cumsum(NEXT_COURSE, axis=1)
    learner = np.arange(learners)
    course = pick(np.cumsum([c.popularity for c in COURSES]), rng.random(learners))
    day = np.interp(rng.random(learners), demand, _DAY_OF_MONTHLY_DEMAND)
    steps = [(learner, course, day)]
    for _ in range(1, MOST_COURSES):
        goes_on = rng.random(learner.size) < ANOTHER_COURSE
        learner, course, day = learner[goes_on], course[goes_on], day[goes_on]
        following = pick(next_course[course], rng.random(learner.size))
        pause = 14 + exponential(rng.random(learner.size), 80.0)
        day = day + pause + _REPEAT_AFTER_DAYS * (following == course)
        within = day < WINDOW_DAYS
        learner, course, day = learner[within], following[within], day[within]
        steps.append((learner, course, day))
    return _by_learner(*(np.concatenate(column) for column in zip(*steps, strict=True)))


def _by_learner(learner: Integers, course: Integers, day: Floats) -> Journeys:
    """Sort the enrollments of all steps; keep each learner's first in a run."""
    run = np.searchsorted(RUN_FIRST_DAY, day, side="right") - 1
    _, first = np.unique((learner * len(COURSES) + course) * len(RUNS) + run, return_index=True)
    kept = first[np.lexsort((day[first], learner[first]))]
    return Journeys(learner[kept], course[kept], run[kept], (day[kept] * 1_440).astype(np.int64))


def exponential(uniform: Floats, mean: float) -> Floats:
    """Turn uniform numbers into exponential ones with this mean."""
    return -mean * np.log1p(-uniform)


def pick(cumulative: Floats, uniform: Floats) -> Integers:
    """Draw indices with these cumulative probabilities: one row for all draws, or one per draw."""
    picked: Integers = np.sum(uniform[:, np.newaxis] >= cumulative[..., :-1], axis=1)
    return picked
