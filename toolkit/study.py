"""The three resources of a platform, loaded together, with a caption for charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from toolkit.analyses.engines import HasPersonCourse
from toolkit.analyses.person_course import person_course
from toolkit.config import platform_settings
from toolkit.loading.load import Many, Source, fetch
from toolkit.loading.platform import Platform
from toolkit.schemas import ENROLLMENTS
from toolkit.snapshots.snapshot import open_snapshot


@dataclass(frozen=True)
class Study(HasPersonCourse):
    """A platform's grades, enrollments and completion at one moment.

    Analyses take a study in place of a person_course frame: `tk.outcomes(study)`,
    `tk.time_to_pass(study)`.

    Attributes:
        grades: One row per learner per course.
        enrollments: One row per learner per course.
        completion: One row per learner per course.
        problems: One row per value that could not be read as it came.
        as_of: The platform's clock when the records were loaded (UTC).
        source: Where they come from, such as "sandbox: 5,000 simulated learners (seed 7)".

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     study = tk.load_study(platform)
        >>> study.caption
        'sandbox: 50 simulated learners (seed 7); as of 2026-01-01'
    """

    grades: pl.DataFrame
    enrollments: pl.DataFrame
    completion: pl.DataFrame
    problems: pl.DataFrame
    as_of: datetime
    source: str

    @cached_property
    def person_course(self) -> pl.DataFrame:
        """The three resources joined; see `tk.person_course`."""
        return person_course(self.grades, self.enrollments, self.completion, as_of=self.as_of)

    @property
    def caption(self) -> str:
        """Source and date in one line, for charts."""
        return f"{self.source}; as of {self.as_of:%Y-%m-%d}"


def load_study(
    source: Source | str | Path,
    *,
    course_id: Many = None,
    username: Many = None,
    days: int | None = None,
) -> Study:
    """Load grades, enrollments and completion from a platform or a snapshot.

    Args:
        source: A platform, a snapshot, a snapshot's folder, or a platform's address, https://…,
            with its token in SO2_TOKEN.
        course_id: One or several courses, else all.
        username: One or several learners, else all.
        days: Only enrollments created in this many days before the platform's present, and
            their grades and completion.

    Raises:
        ArgumentError: An argument is invalid.
        AuthenticationError: The platform refused the token.
        TransportError: The platform gave no response, or a broken one.
        WireFormatError: A body is malformed.
        SchemaError: A record has no username or course.
        SnapshotError: The folder holds no complete snapshot.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     study = tk.load_study(platform)
        >>> study.source
        'sandbox: 50 simulated learners (seed 7)'
    """
    if isinstance(source, str) and source.startswith(("https://", "http://")):
        with Platform(platform_settings(source, None)) as platform:
            return load_study(platform, course_id=course_id, username=username, days=days)
    opened = open_snapshot(source) if isinstance(source, str | Path) else source
    enrollments = fetch(opened, "enrollments", course_id=course_id, username=username, days=days)
    grades = fetch(opened, "grades", course_id=course_id, username=username)
    completion = fetch(opened, "completion", course_id=course_id, username=username)
    loads = (grades, enrollments, completion)
    frames = [load.frame for load in loads]
    if days is not None:
        recent = enrollments.frame.select(ENROLLMENTS.key)
        frames = [frame.join(recent, on=ENROLLMENTS.key, how="semi") for frame in frames]
    first, second, third = frames
    return Study(
        grades=first,
        enrollments=second,
        completion=third,
        problems=pl.concat([load.problems for load in loads]),
        as_of=max(load.provenance.as_of for load in loads),
        source=grades.provenance.source,
    )
