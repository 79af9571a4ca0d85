"""Simulated learners: any number, from a seed, one chunk after another.

Each chunk of learners is a pure function of the seed and the chunk's number, so a million
learners need no more memory than one chunk, and one learner can be found without the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from toolkit.errors import ConfigurationError
from toolkit.sandbox.learners import courses as catalogue
from toolkit.sandbox.learners.courses import COURSES, MODES, RUNS
from toolkit.sandbox.learners.journeys import draw_journeys
from toolkit.sandbox.learners.progress import LETTERS, draw_progress
from toolkit.sandbox.learners.records import Filters
from toolkit.sandbox.learners.truth import Truth, stated_truth
from toolkit.schemas.arguments import as_given

CHUNK = 4_096
MOST_LEARNERS = 10_000_000

_ADJECTIVES = ("amber", "brisk", "calm", "eager", "fair", "glad", "hazel", "ivory", "jolly")
_ANIMALS = ("badger", "crane", "dormouse", "egret", "finch", "gecko", "heron", "ibis")
_NAMES = [f"{adjective}_{animal}" for adjective in _ADJECTIVES for animal in _ANIMALS]
_USERNAME = re.compile(r"[a-z]+_[a-z]+_([0-9]{6,8})", re.ASCII)

_COURSE_IDS = [catalogue.course_id(course, run) for course in COURSES for run in RUNS]
_TITLES = [course.title for course in COURSES]
_HUNDREDTHS = [f"{share / 100:.2f}" for share in range(101)]


class Simulation:
    """Learners drawn from the stated model; a `Source`.

    The same seed gives the same bytes. An earlier clock, naive UTC, shows the same learners at that
    moment. With late upgrades, all enroll as audit and some upgrade later, many after they have
    passed; the mode has no effect on passing.
    """

    def __init__(
        self,
        learners: int,
        seed: int,
        clock: datetime | None = None,
        *,
        late_upgrades: bool = False,
    ) -> None:
        if not _is_whole(learners) or not 1 <= learners <= MOST_LEARNERS:
            raise ConfigurationError(
                f"learners must be 1 to {MOST_LEARNERS:,}, not {as_given(learners)}"
            )
        if not _is_whole(seed) or not 0 <= seed < 2**64:
            raise ConfigurationError(f"the seed must be 0 to 2**64 - 1, not {as_given(seed)}")
        self.clock = clock or catalogue.CLOCK
        if not catalogue.OPENING < self.clock <= catalogue.CLOCK:
            raise ConfigurationError(
                f"the simulated platform opened on {catalogue.OPENING:%Y-%m-%d}, and its clock "
                f"shows {catalogue.CLOCK:%Y-%m-%d}; the moment must be between them, not "
                f"{self.clock:%Y-%m-%d}"
            )
        self.learners = learners
        self.seed = seed
        self.late_upgrades = late_upgrades
        late = ", late upgrades" if late_upgrades else ""
        self.label = f"{learners:,} simulated learners (seed {seed}{late})"
        self.truth: Truth | None = None if late_upgrades else stated_truth()
        self.remark: str | None = None

    def chunks(self, filters: Filters) -> Iterator[pl.LazyFrame]:
        """Yield record frames in the order of the learners' numbers, then of enrollment."""
        first, last = 0, -(-self.learners // CHUNK)
        if filters.username is not None:
            number = _number_of(filters.username)
            if number is None or number >= self.learners:
                return
            first = number // CHUNK
            last = first + 1
        for chunk in range(first, last):
            yield self._chunk(chunk)

    def earlier(self, clock: datetime) -> Simulation:
        """Return the same learners at an earlier moment, naive UTC."""
        return Simulation(self.learners, self.seed, clock, late_upgrades=self.late_upgrades)

    def _chunk(self, chunk: int) -> pl.LazyFrame:
        rng = np.random.Generator(
            np.random.Philox(key=np.array([self.seed, chunk], dtype=np.uint64))
        )
        start = chunk * CHUNK
        # All learners of the chunk are drawn, so that a learner is the same in any population.
        journeys = draw_journeys(CHUNK, rng)
        present = (self.clock - catalogue.OPENING) // timedelta(microseconds=1)
        progress = draw_progress(journeys, rng, present, late_upgrades=self.late_upgrades)
        shown = (pl.col("created") < present) & (pl.col("learner") < self.learners - start)
        return _notation(progress.filter(shown).with_columns(pl.col("learner") + start))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number_of(username: str) -> int | None:
    match = _USERNAME.fullmatch(username)
    return int(match[1]) if match else None


def _notation(progress: pl.DataFrame) -> pl.LazyFrame:
    """Build a record frame from small numbers; fields that are not selected are never built."""
    texts = {
        "name": pl.Series(_NAMES).gather(progress["learner"] % len(_NAMES)),
        "course_id": pl.Series(_COURSE_IDS).gather(progress["course"]),
        "display_name": pl.Series(_TITLES).gather(progress["course"] // len(RUNS)),
        "percent_grade": pl.Series(_HUNDREDTHS).gather(progress["percent"]),
        "letter_grade": pl.Series(LETTERS).gather(progress["letter"]),
        "mode": pl.Series(MODES).gather(progress["mode"]),
        "completion": pl.Series(_HUNDREDTHS).gather(progress["completion"]),
    }
    opening = pl.lit(catalogue.OPENING, dtype=pl.Datetime("us"))
    number = pl.col("learner").cast(pl.String).str.zfill(6)
    username = pl.concat_str("name", pl.lit("_"), number)
    return (
        progress.with_columns(**texts)
        .lazy()
        .with_columns(
            username=username,
            email=username + "@example.com",
            passed_timestamp=opening + pl.col("passed_at").cast(pl.Duration("us")),
            last_date=opening.dt.date() + pl.duration(days=pl.col("last_day")),
            created=opening + pl.col("created").cast(pl.Duration("us")),
        )
    )
