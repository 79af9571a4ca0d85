"""Learners' passes, grades, completion and last activity at a given moment."""

from __future__ import annotations

import numpy as np
import polars as pl

from toolkit.sandbox.learners.courses import COURSES, MODES, RUNS, WINDOW_DAYS, Course
from toolkit.sandbox.learners.journeys import (
    Booleans,
    Floats,
    Integers,
    Journeys,
    exponential,
    pick,
)

LETTERS = ["", *dict.fromkeys(letter for course in COURSES for letter, _ in course.grading)]

_AUDIT, _VERIFIED = MODES.index("audit"), MODES.index("verified")
_MINUTE = 60_000_000  # microseconds
_DAY = 1_440 * _MINUTE
_NEVER = WINDOW_DAYS * _DAY  # no simulated present is later


def draw_progress(
    journeys: Journeys, rng: np.random.Generator, present: int, *, late_upgrades: bool
) -> pl.DataFrame:
    """Compute what the platform shows of these enrollments at its clock, as small numbers.

    The draws do not depend on `present`, in microseconds since the opening; later enrollments get
    rows without meaning. One row per enrollment: learner, course (run), mode and letter as places
    in their lists, percent and completion in hundredths, created and passed_at in microseconds and
    last_day in days since the opening, is_active. For `late_upgrades`, see `_upgraded`.
    """
    n = journeys.size
    shares = np.cumsum([c.mode_shares for c in COURSES], axis=1)
    mode = pick(shares[journeys.course], rng.random(n))
    probability = _pass_probability(journeys, None if late_upgrades else mode)
    passes_after = _days_to_pass(journeys, probability, rng.random(n), rng.random(n))
    will_pass = np.isfinite(passes_after)
    created = journeys.enrolled_minute * _MINUTE
    passed_at = created + np.where(will_pass, passes_after * _DAY, _NEVER).astype(np.int64)
    passed = passed_at < present

    # Some never begin; the others work until they pass or give up.
    idle = ~will_pass & (rng.random(n) < 0.4)
    days_of_work = np.where(will_pass, passes_after, exponential(rng.random(n), 40.0))
    elapsed = np.maximum(present - created, 0) / _DAY
    progress = np.where(idle, 0.0, np.minimum(elapsed / days_of_work, 1.0))
    percent, completion = _work(journeys.course, progress, will_pass, passed, rng.random((3, n)))

    active_after = np.where(passed, exponential(rng.random(n), 20.0), 0.0) * _DAY
    worked_until = created + np.where(idle, 0.0, np.minimum(days_of_work, elapsed) * _DAY)
    last = np.minimum(np.where(passed, passed_at, worked_until) + active_after, present - 1)
    unenrolls_after = np.where(rng.random(n) < 0.15, exponential(rng.random(n), 45.0), np.inf)
    if late_upgrades:
        mode = np.where(_upgraded(passes_after, elapsed, rng.random((3, n))), _VERIFIED, _AUDIT)
    return pl.DataFrame(
        {
            "learner": journeys.learner,
            "course": (journeys.course * len(RUNS) + journeys.run).astype(np.uint8),
            "mode": mode.astype(np.uint8),
            "created": created,
            "passed_at": pl.Series(passed_at).set(pl.Series(~passed), None),
            "percent": percent.astype(np.uint8),
            "letter": _letters(journeys.course, percent).astype(np.uint8),
            "completion": completion.astype(np.uint8),
            "last_day": (last // _DAY).astype(np.int32),
            "is_active": will_pass | (unenrolls_after > elapsed),
        }
    )


def _pass_probability(journeys: Journeys, mode: Integers | None) -> Floats:
    """Return the probability of ever passing, by mode or, without modes, over all."""
    of_run = Course.pass_probability_of_all if mode is None else Course.pass_probabilities
    table = np.array([[of_run(course, run) for run in range(len(RUNS))] for course in COURSES])
    of_run_taken = table[journeys.course, journeys.run]
    return of_run_taken if mode is None else of_run_taken[np.arange(journeys.size), mode]


def _upgraded(passes_after: Floats, elapsed: Floats, uniform: Floats) -> Booleans:
    """Whether learners, all enrolled as audit, have upgraded by the present.

    A quarter decide to upgrade within 60 days, whether they pass or not. Half of those who pass
    upgrade within two weeks after it, for the certificate, unless they have done so.
    """
    early, late, when = uniform
    decides = np.where(early < 0.25, 60 * when, np.inf)
    after_pass = np.where(late < 0.5, passes_after + 14 * when, np.inf)
    return np.asarray(np.minimum(decides, after_pass) < elapsed, np.bool_)


def _days_to_pass(journeys: Journeys, probability: Floats, whether: Floats, when: Floats) -> Floats:
    """Draw the days from enrollment to the pass by the stated model; infinite if never."""
    shape = np.array([course.shape for course in COURSES])[journeys.course]
    scale = np.array([course.scale_days for course in COURSES])[journeys.course]
    days = scale * exponential(when, 1.0) ** (1 / shape)
    return np.where(whether < probability, days, np.inf)


def _work(
    course: Integers, progress: Floats, will_pass: Booleans, passed: Booleans, uniform: Floats
) -> tuple[Floats, Floats]:
    """Compute grade and completion in hundredths; `progress` is the share of the work done.

    The grade reaches the pass mark exactly when the learner has passed.
    """
    talent, diligence, surplus = uniform
    reach = np.where(will_pass, 1.0, talent)
    mark = np.array([c.pass_mark for c in COURSES])[course]
    percent = np.where(
        passed, np.rint(mark + (100 - mark) * surplus**0.7), np.floor(progress * reach * (mark - 1))
    )
    content = np.where(will_pass, 70 + 30 * diligence, 65 * reach)
    return percent, np.maximum(np.rint(progress * content), percent > 0)


def _letters(course: Integers, percent: Floats) -> Integers:
    letters = np.zeros(course.size, dtype=np.int64)
    for index, graded in enumerate(COURSES):
        for letter, lowest in reversed(graded.grading):
            letters[(course == index) & (percent >= lowest)] = LETTERS.index(letter)
    return letters
