"""All that an analysis needs of one source: the three resources, their problems, the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from toolkit.loader import (
    Many,
    Source,
    fetch_completion,
    fetch_enrollments,
    fetch_grades,
)
from toolkit.person_course import person_course


@dataclass(frozen=True)
class Study:
    """The three resources of one source at one moment.

    Attributes:
        grades: As from `load_grades`.
        enrollments: As from `load_enrollments`.
        completion: As from `load_completion`.
        problems: Of all three.
        as_of: The moment the data speak of (UTC): the earliest of the three.
        source: What the data are.
    """

    grades: pl.DataFrame
    enrollments: pl.DataFrame
    completion: pl.DataFrame
    problems: pl.DataFrame
    as_of: datetime
    source: str

    @cached_property
    def person_course(self) -> pl.DataFrame:
        """One row per learner per course."""
        return person_course(self.grades, self.enrollments, self.completion, as_of=self.as_of)

    @property
    def caption(self) -> str:
        """Source and moment, for the subtitle of a chart."""
        return f"{self.source}; as of {self.as_of:%Y-%m-%d}"


def load_study(source: Source, *, course_id: Many = None) -> Study:
    """Load the three resources of one source.

    Args:
        source: A platform, or a snapshot.
        course_id: Only this course, or these.
    """
    grades, enrollments, completion = loads = [
        fetch(source, course_id=course_id)
        for fetch in (fetch_grades, fetch_enrollments, fetch_completion)
    ]
    return Study(
        grades.frame,
        enrollments.frame,
        completion.frame,
        problems=pl.concat([load.problems for load in loads]),
        as_of=min(load.provenance.as_of for load in loads),
        source=loads[0].provenance.source,
    )
