"""All three resources of a platform, loaded together, with what a chart must say of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from toolkit.analyses.person_course import person_course
from toolkit.loading.load import Many, Source, fetch_completion, fetch_enrollments, fetch_grades


@dataclass(frozen=True)
class Study:
    """What a platform says of its learners at one moment.

    Attributes:
        grades: One row per learner per course.
        enrollments: One row per learner per course.
        completion: One row per learner per course.
        problems: One row per value that could not be taken as it came.
        as_of: The platform's clock when the records were loaded (UTC).
        source: Where they come from, such as "sandbox: 5,000 simulated learners (seed 7)".
    """

    grades: pl.DataFrame
    enrollments: pl.DataFrame
    completion: pl.DataFrame
    problems: pl.DataFrame
    as_of: datetime
    source: str

    @cached_property
    def person_course(self) -> pl.DataFrame:
        """The three joined; see `tk.person_course`."""
        return person_course(self.grades, self.enrollments, self.completion, as_of=self.as_of)

    @property
    def caption(self) -> str:
        """Source and date in one line, for charts."""
        return f"{self.source}; as of {self.as_of:%Y-%m-%d}"


def load_study(source: Source, course_id: Many = None) -> Study:
    """Load grades, enrollments and completion of a platform or a snapshot.

    Args:
        source: A platform, or a snapshot.
        course_id: One or several courses, else all.

    Raises:
        AuthenticationError: The platform refused the token.
        TransportError: The platform gave no answer, or a broken one.
        WireFormatError: A body is not well-formed.
        SchemaError: A record has no username or course.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     study = tk.load_study(platform)
        >>> study.source
        'sandbox: 50 simulated learners (seed 7)'
    """
    grades = fetch_grades(source, course_id)
    enrollments = fetch_enrollments(source, course_id)
    completion = fetch_completion(source, course_id)
    loads = (grades, enrollments, completion)
    return Study(
        grades.frame,
        enrollments.frame,
        completion.frame,
        problems=pl.concat([load.problems for load in loads]),
        as_of=max(load.provenance.as_of for load in loads),
        source=grades.provenance.source,
    )
