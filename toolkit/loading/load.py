"""The platform's records as typed frames: the one place where transport, wire and types meet."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Protocol

import polars as pl

from toolkit.errors import ConfigurationError
from toolkit.loading.batches import Batch, BatchReader
from toolkit.loading.body import BodyChangedError
from toolkit.loading.platform import Platform
from toolkit.loading.records import problem_rows
from toolkit.loading.streams import Provenance, digest_of, open_stream
from toolkit.loading.threads import side_by_side
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES, PROBLEMS, Table

_AT_ONCE = 4
_MOST_CHANGES = 3  # bodies that became others while they were downloaded
_READ_SIZE = 1 << 20
_HASHED_AT_ONCE = 50_000

Many = str | Iterable[str] | None


@dataclass(frozen=True)
class Load:
    """Records with everything that is to be known of them.

    Attributes:
        frame: The typed records, one row per learner per course.
        problems: One row per value that could not be taken as it came.
        provenance: Where they come from and when.
    """

    frame: pl.DataFrame
    problems: pl.DataFrame
    provenance: Provenance


class SavedSource(Protocol):
    """Records that were saved, such as a snapshot."""

    @property
    def source(self) -> str:
        """How captions call it."""
        ...

    def saved(self, resource: str) -> Load:
        """All records of a resource, as they were saved."""
        ...

    def scan(self, resource: str) -> pl.LazyFrame:
        """The same records, lazily."""
        ...


Source = Platform | SavedSource


def fetch_grades(source: Source, course_id: Many = None, username: Many = None) -> Load:
    """Grades with their problems and provenance, one row per learner per course.

    Args:
        source: A platform, or a snapshot.
        course_id: One or several courses, else all. The rows come in this order.
        username: One or several learners, else all.

    Raises:
        AuthenticationError: The platform refused the token.
        TransportError: The platform gave no answer, or a broken one.
        WireFormatError: A body is not well-formed.
        SchemaError: A record has no username or course.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     load = tk.fetch_grades(platform)
        >>> load.frame.height == load.provenance.records, load.problems.is_empty()
        (True, True)
    """
    return _fetch(source, GRADES, course_id, username)


def fetch_enrollments(
    source: Source, course_id: Many = None, username: Many = None, days: int | None = None
) -> Load:
    """Enrollments with their problems and provenance, one row per learner per course.

    Arguments and errors as of `fetch_grades`; `days` keeps those created within so many days
    before the platform's present.
    """
    return _fetch(source, ENROLLMENTS, course_id, username, days)


def fetch_completion(source: Source, course_id: Many = None, username: Many = None) -> Load:
    """Completion with its problems and provenance, one row per learner per course.

    Arguments and errors as of `fetch_grades`.
    """
    return _fetch(source, COMPLETION, course_id, username)


def load_grades(source: Source, course_id: Many = None, username: Many = None) -> pl.DataFrame:
    """Grades, one row per learner per course; warns once where a value was not as it should be.

    Arguments and errors as of `fetch_grades`, which gives the problems themselves.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     grades = tk.load_grades(platform)
        >>> grades.columns
        ['username', 'email', 'course_id', 'display_name', 'percent_grade', 'letter_grade',
         'passed_timestamp', 'last_date']
    """
    return _frame(fetch_grades(source, course_id, username))


def load_enrollments(
    source: Source, course_id: Many = None, username: Many = None, days: int | None = None
) -> pl.DataFrame:
    """Enrollments, one row per learner per course; as `load_grades`, with `days`."""
    return _frame(fetch_enrollments(source, course_id, username, days))


def load_completion(source: Source, course_id: Many = None, username: Many = None) -> pl.DataFrame:
    """Completion, one row per learner per course; as `load_grades`."""
    return _frame(fetch_completion(source, course_id, username))


def read_grades(body: str | Path | bytes) -> pl.DataFrame:
    """Grades from a saved body of the API: the path of a file, or bytes.

    Raises:
        WireFormatError: The body is not well-formed. Says where.
        SchemaError: A record has no username or course.
    """
    return _read(body, GRADES)


def read_enrollments(body: str | Path | bytes) -> pl.DataFrame:
    """Enrollments from a saved body; as `read_grades`."""
    return _read(body, ENROLLMENTS)


def read_completion(body: str | Path | bytes) -> pl.DataFrame:
    """Completion from a saved body; as `read_grades`.

    Examples:
        >>> body = b'[{"username": "ada", "email": null, "course_id": "c", "completion": "80 %"}]'
        >>> read_completion(body)["completion"].to_list()
        [0.8]
    """
    return _read(body, COMPLETION)


def _frame(load: Load) -> pl.DataFrame:
    resource = load.provenance.resource
    warn_of_problems(load.problems, f"tk.fetch_{resource}(…).problems lists them")
    return load.frame


def warn_of_problems(problems: pl.DataFrame, advice: str) -> None:
    """One warning for all problems, if there are any."""
    if not problems.is_empty():
        first = problems.row(0, named=True)
        warnings.warn(
            f"{first['resource']}: {problems.height:,} problems, the first in "
            f"`{first['column']}`: {first['reason']}. {advice}.",
            stacklevel=4,
        )


def _read(body: str | Path | bytes, table: Table) -> pl.DataFrame:
    reader = BatchReader(table)
    with BytesIO(body) if isinstance(body, bytes) else Path(body).open("rb") as file:
        batches = list(reader.read(iter(partial(file.read, _READ_SIZE), b"")))
    frame, problems = _collected(table, [*batches, reader.ending()])
    if reader.next_page:
        more = problem_rows(
            table.name, [(None, "next", None, "another page follows; it was not read")]
        )
        problems = problems.vstack(more)
    warn_of_problems(problems, "They were kept or taken as null as it says")
    return frame


def _fetch(
    source: Source, table: Table, course_id: Many, username: Many, days: int | None = None
) -> Load:
    courses, learners = several("course_id", course_id), several("username", username)
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or days < 0):
        raise ConfigurationError(f"days must be a whole number of days, not {days!r}")
    if not isinstance(source, Platform):
        return _of_saved(source.saved(table.name), courses, learners, days)
    queries = list(product(courses or (None,), learners or (None,)))
    loads = side_by_side(partial(_load_one, source, table, days), queries, at_once=_AT_ONCE)
    return _with_repeated_keys(table, loads[0] if len(loads) == 1 else _together(loads))


def several(name: str, value: Many) -> list[str] | None:
    """The asked-for values, each once, in their order; None for all."""
    if value is None:
        return None
    values = [value] if isinstance(value, str) else list(dict.fromkeys(value))
    if not values or not all(isinstance(one, str) and one for one in values):
        raise ConfigurationError(f"{name} must be a text or several, none of them empty")
    return values


def _load_one(
    platform: Platform,
    table: Table,
    days: int | None,
    query: tuple[str | None, str | None],
    heed: Callable[[], None],
) -> Load:
    course, learner = query
    for changes_left in reversed(range(_MOST_CHANGES)):
        stream = open_stream(
            platform, table.name, course_id=course, username=learner, days=days, heed=heed
        )
        try:
            frame, problems = _collected(table, list(stream))
        except BodyChangedError:
            if changes_left:
                continue
            raise
        return Load(frame, problems, stream.provenance)
    raise AssertionError("the last change is raised")


def _collected(table: Table, batches: list[Batch]) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames = [batch.frame for batch in batches if batch.frame.height]
    frame = pl.concat(frames, rechunk=False) if frames else table.empty()
    return frame, pl.concat([PROBLEMS.empty(), *(batch.problems for batch in batches)])


def _together(loads: list[Load]) -> Load:
    """Several loads as one; records are numbered through."""
    problems, before = [], 0
    for load in loads:
        problems.append(load.problems.with_columns(pl.col("record") + before))
        before += load.frame.height
    parts = [load.provenance for load in loads]
    provenance = replace(
        parts[0],
        retrieved_from=min(part.retrieved_from for part in parts),
        retrieved_to=max(part.retrieved_to for part in parts),
        as_of=max(part.as_of for part in parts),
        bytes=sum(part.bytes for part in parts),
        records=before,
        sha256=digest_of([part.sha256 for part in parts]),
    )
    frame = pl.concat([load.frame for load in loads], rechunk=False)
    return Load(frame, pl.concat(problems), provenance)


def _with_repeated_keys(table: Table, load: Load) -> Load:
    """The load with a problem for each record whose learner and course came before."""
    keys = load.frame.select(table.key)
    hashes = [_hashes(part) for part in keys.iter_slices(_HASHED_AT_ONCE)]
    if not hashes or pl.concat(hashes).n_unique() == keys.height:  # small beside the keys
        return load
    repeated = repeated_keys(table, keys.with_row_index("record"))
    return replace(load, problems=load.problems.vstack(repeated))


def repeated_keys(table: Table, keys: pl.DataFrame) -> pl.DataFrame:
    """A problem for each key that came before.

    Args:
        table: The resource.
        keys: `record`, the record's number, and the columns of the resource's key.
    """
    return keys.filter(~pl.struct(table.key).is_first_distinct()).select(
        resource=pl.lit(table.name),
        record=pl.col("record").cast(pl.Int64),
        column=pl.lit("course_id"),
        raw=pl.col("course_id"),
        reason=pl.lit("an earlier record has the same learner and course; both kept"),
    )


def _hashes(keys: pl.DataFrame) -> pl.Series:
    first, second = keys.get_columns()
    return first.hash(seed=1) ^ second.hash(seed=2)


def _of_saved(
    load: Load, courses: list[str] | None, learners: list[str] | None, days: int | None
) -> Load:
    frame = load.frame
    if courses is not None:
        frame = frame.filter(pl.col("course_id").is_in(courses))
    if learners is not None:
        frame = frame.filter(pl.col("username").is_in(learners))
    if days is not None:
        frame = frame.filter(pl.col("created") >= load.provenance.as_of - timedelta(days=days))
    return replace(load, frame=frame)
