"""Studies: a platform's three resources, loaded together, with a caption for charts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from html import escape
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self, TypeVar, get_args

import polars as pl

from toolkit.analyses.engines import HasPersonCourse
from toolkit.analyses.person_course import person_course
from toolkit.analyses.user import result
from toolkit.config import settings
from toolkit.errors import ArgumentError, SchemaError, SnapshotError, writing
from toolkit.loading.load import Many, Source, about, fetch, several
from toolkit.loading.problems import unmatched
from toolkit.release.keys import PseudonymKey, pseudonym_key, release_secret
from toolkit.release.pseudonyms import pseudonyms
from toolkit.results.result import Result
from toolkit.schemas import ENROLLMENTS, PERSON_COURSE, RESOURCES, require_columns
from toolkit.schemas.arguments import a_frame, a_path, as_given, one_of
from toolkit.snapshots.snapshot import Snapshot, opened
from toolkit.text.naming import clean

FrameName = Literal["grades", "enrollments", "completion", "problems", "person_course"]
F = TypeVar("F", bound=pl.DataFrame | pl.LazyFrame)


@dataclass(frozen=True, repr=False)
class AnyStudy(HasPersonCourse[F]):
    """What `Study` and `LazyStudy` have in common."""

    grades: F
    enrollments: F
    completion: F
    problems: pl.DataFrame
    as_of: datetime
    source: str
    learners: pl.DataFrame | None = None
    learners_key: tuple[str, ...] = ("username",)

    def __repr__(self) -> str:
        """One line, which names nobody."""
        names: tuple[FrameName, ...] = ("grades", "enrollments", "completion", "problems")
        counted = ", ".join(f"{about(self.count(name))} {name}" for name in names)
        return f"<{self.caption}: {counted}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self)[1:-1])}</p>"

    def count(self, name: FrameName) -> int:
        """Count the rows of one of the study's frames, wherever they are.

        Args:
            name: grades, enrollments, completion, problems or person_course.

        Raises:
            ArgumentError: There is no such frame.

        Examples:
            >>> import toolkit as tk
            >>> with tk.sandbox(learners=50) as platform:
            ...     study = tk.load_study(platform)
            >>> study.count("enrollments") == study.enrollments.height
            True
        """
        one_of(name, get_args(FrameName), name="name")
        frame: pl.DataFrame | pl.LazyFrame = getattr(self, name)
        return int(frame.lazy().select(pl.len()).collect().item())

    @property
    def coverage(self) -> Result:
        """How many of the enrolled are in the frame given to `with_learners`.

        Raises:
            ArgumentError: No learners were joined.
        """
        if self.learners is None:
            raise ArgumentError("this study has no learners of your own; see `with_learners`")
        enrolled = self.person_course.lazy().filter("in_enrollments")
        known = enrolled.join(self.learners.lazy(), on=self.learners_key, how="semi")
        counted = [
            rows.select(
                pl.len().cast(pl.Int64).alias(name), pl.sum("record_key").alias(f"key_{name}")
            )
            for name, rows in (("n_enrolled", enrolled), ("n_matched", known))
        ]
        return result(
            pl.concat(pl.collect_all(counted), how="horizontal"),
            counts={"n_enrolled": None, "n_matched": "n_enrolled"},
            keys={name: f"key_{name}" for name in ("n_enrolled", "n_matched")},
            caption=self.caption,
        )

    def with_learners(
        self,
        frame: pl.DataFrame,
        *,
        on: str | Sequence[str] = "username",
        key: PseudonymKey | str | None = None,
    ) -> Self:
        """Return the study with columns of your own about learners, such as age or gender.

        Every learner of the study stays; those not in the frame have nulls. `coverage` counts
        those in it.

        Args:
            frame: One row per learner, or per learner and course.
            on: The columns that name the row: "username", or ["username", "course_id"].
            key: The pseudonym key, if the study comes from a pseudonymous snapshot and the frame
                has usernames. They are replaced with pseudonyms.

        Raises:
            SchemaError: A column is missing or is one of the toolkit's, or a learner occurs twice.
            ArgumentError: No row of the frame belongs to a learner of the study.

        Examples:
            >>> import toolkit as tk
            >>> with tk.sandbox(learners=50) as platform:
            ...     study = tk.load_study(platform)
            >>> names = study.enrollments.select("username").unique()
            >>> ages = study.with_learners(names.with_columns(age=pl.lit(30)))
            >>> ages.coverage.frame["matched_rate"].to_list()
            [1.0]
        """
        a_frame(frame, name="frame")
        names = (on,) if isinstance(on, str) else tuple(on) if isinstance(on, Iterable) else ()
        if not names or set(names) - set(ENROLLMENTS.key):
            raise ArgumentError(
                f'on must be "username", or ["username", "course_id"], not {as_given(on)}'
            )
        require_columns(frame.columns, names, what="the frame of learners")
        taken = [
            name for name in frame.columns if name in PERSON_COURSE.names and name not in names
        ]
        if taken:
            raise SchemaError(f"`{taken[0]}` is a column of the toolkit's; rename yours first")
        learners = frame.with_columns(pl.col(names).cast(pl.String)).drop_nulls(names)
        n_twice = learners.height - learners.unique(names).height
        if n_twice:
            raise SchemaError(
                f"{n_twice:,} rows of the frame repeat a learner; keep one row per "
                f"{' and '.join(names)}"
            )
        if key is not None and "username" in names:
            learners = learners.with_columns(pseudonyms(learners["username"], pseudonym_key(key)))
        known = learners.lazy().join(self.enrollments.lazy().select(names), on=names, how="semi")
        if known.limit(1).collect().is_empty():
            raise ArgumentError(
                "no row of the frame belongs to a learner of the study; usernames must be spelled "
                "as on the platform, and the pseudonyms of a snapshot need key="
            )
        return replace(self, learners=learners, learners_key=names)

    @property
    def caption(self) -> str:
        """Source and date in one line, for charts."""
        return clean(f"{self.source}; as of {self.as_of:%Y-%m-%d}")


@dataclass(frozen=True, repr=False)
class Study(AnyStudy[pl.DataFrame]):
    """A platform's grades, enrollments and completion at one moment.

    Analyses take a study in place of a person_course frame: `tk.outcomes(study)`,
    `tk.time_to_pass(study)`. The frames are in memory; those of `Study.scan` are LazyFrames.

    Attributes:
        grades: One row per learner per course.
        enrollments: One row per learner per course.
        completion: One row per learner per course.
        problems: One row per value that could not be read as received.
        as_of: The platform's clock when the records were loaded (UTC).
        source: Where they came from, such as "sandbox: 5,000 simulated learners (seed 7)".
        learners: Columns of your own, see `with_learners`; None if there are none.
        learners_key: The columns by which these are joined.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     study = tk.load_study(platform)
        >>> study.caption
        'sandbox: 50 simulated learners (seed 7); as of 2026-01-01'
    """

    @cached_property
    def person_course(self) -> pl.DataFrame:
        """The three resources joined, with columns of your own; see `tk.person_course`."""
        pc = person_course(self.grades, self.enrollments, self.completion, as_of=self.as_of)
        if self.learners is None:
            return pc
        return pc.join(self.learners, on=self.learners_key, how="left", maintain_order="left")

    @staticmethod
    def scan(source: Source | str | Path, *, course_id: Many = None) -> LazyStudy:
        """Return a study of LazyFrames; the rows of a snapshot stay in its files.

        Analyses accept it in place of a study in memory, and give the same figures;
        `tk.time_to_pass` then returns a LazyFrame. Records of any other source are loaded into
        memory, as by `load_study`.

        `person_course` is joined when it is first used, into a file in the temporary folder
        (TMPDIR names another) that only its owner can read and that is deleted when Python ends.
        If SO2_JOINS names a folder, the file is kept there for later scans of the same snapshot.

        Args:
            source: As for `load_study`.
            course_id: One or several courses; by default all.

        Raises:
            ToolkitError: Whatever `load_study` raises.

        Examples:
            >>> import secrets, tempfile, toolkit as tk
            >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
            ...     tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
            ...     study = tk.Study.scan(folder)
            ...     tk.outcomes(study).frame["n_enrolled"].item()
            <snapshot of ...>
            99
        """
        return scan_study(source, course_id=course_id, joins=settings().joins)


@dataclass(frozen=True, repr=False)
class LazyStudy(AnyStudy[pl.LazyFrame]):
    """A platform's grades, enrollments and completion at one moment, in files; see `Study.scan`.

    Attributes:
        joined_in: The file of the joined rows, written when they are first used; None for a file
            in the temporary folder.
    """

    joined_in: Path | None = None

    @cached_property
    def person_course(self) -> pl.LazyFrame:
        """The three resources joined, with columns of your own; see `tk.person_course`."""
        path = self.joined_in or Path(_temporary_folder().name, f"{secrets.token_hex(16)}.parquet")
        if not path.exists():
            resources = (self.grades, self.enrollments, self.completion)
            with _still_there(self.source):
                joined = person_course(*resources, as_of=self.as_of)
            _write(joined, path, self.source)
        pc = pl.scan_parquet(path, glob=False)
        if self.learners is None:
            return pc
        learners = self.learners.lazy()
        return pc.join(learners, on=self.learners_key, how="left", maintain_order="left")


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    """Return a folder for this user alone, deleted when Python ends."""
    return TemporaryDirectory(prefix="so2-")


@contextmanager
def _still_there(source: str) -> Iterator[None]:
    """Say what to do if the files of a snapshot that is scanned are gone."""
    try:
        yield
    except FileNotFoundError:
        raise SnapshotError(
            f"{source}: its files are gone, as newer snapshots have replaced it since it was "
            "scanned, or it was moved; scan it again"
        ) from None


def _write(rows: pl.LazyFrame, path: Path, source: str) -> None:
    """Write rows of a source completely or not at all, for this user alone."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with writing(path.parent, ArgumentError, left="TMPDIR names another."):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            partial.touch(mode=0o600)
            with _still_there(source):
                rows.sink_parquet(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def scan_study(
    source: Source | str | Path, *, course_id: Many = None, joins: Path | None = None
) -> LazyStudy:
    """Return the study of `Study.scan`, with the folder of joined snapshots as an argument."""
    with opened(source) as found:
        if not isinstance(found, Snapshot):
            return _lazy(load_study(found, course_id=course_id))
    courses = several("course_id", course_id)
    frames = {name: found.scan(name) for name in RESOURCES}
    if courses is not None:
        of_these = pl.col("course_id").is_in(courses)
        frames = {name: frame.filter(of_these) for name, frame in frames.items()}
    unmatched_courses = [
        unmatched(name, frame, {"course_id": courses}) for name, frame in frames.items()
    ]
    return LazyStudy(
        grades=frames["grades"],
        enrollments=frames["enrollments"],
        completion=frames["completion"],
        problems=pl.concat([found.problems(), *unmatched_courses]),
        as_of=found.as_of,
        source=found.source,
        joined_in=None
        if joins is None
        else a_path(joins, name="joins") / _name_of_join(found, courses),
    )


def _lazy(study: Study) -> LazyStudy:
    frames = study.grades.lazy(), study.enrollments.lazy(), study.completion.lazy()
    return LazyStudy(*frames, study.problems, study.as_of, study.source)


def _name_of_join(snapshot: Snapshot, courses: list[str] | None) -> str:
    """Name the file by the records, the release secret and the toolkit's version."""
    identity = [snapshot.manifest.encoded().hex(), courses, version("so2-toolkit")]
    digest = release_secret().keyed(b"so2 joins", 32)
    digest.update(json.dumps(identity).encode())
    return f"{digest.hexdigest()}.parquet"


def load_study(
    source: Source | str | Path,
    *,
    course_id: Many = None,
    username: Many = None,
    days: int | None = None,
) -> Study:
    """Load grades, enrollments and completion from a platform or a snapshot.

    Args:
        source: A platform, a snapshot, a snapshot's folder or s3://bucket/path, or a platform's
            address, https://…, with its token in SO2_TOKEN.
        course_id: One or several courses; by default all.
        username: One or several learners; by default all.
        days: Only enrollments created in the last `days` days by the platform's clock, and their
            grades and completion.

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
    with opened(source) as found:
        enrollments = fetch(found, "enrollments", course_id=course_id, username=username, days=days)
        grades = fetch(found, "grades", course_id=course_id, username=username)
        completion = fetch(found, "completion", course_id=course_id, username=username)
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
