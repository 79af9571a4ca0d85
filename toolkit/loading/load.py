"""Load the platform's records as typed frames, with problems and provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

from toolkit.errors import ArgumentError, reason
from toolkit.loading.batches import Batch, BatchReader
from toolkit.loading.body import BodyChangedError
from toolkit.loading.platform import Platform
from toolkit.loading.problems import repeated, unmatched, warn_of_problems
from toolkit.loading.records import problem_rows
from toolkit.loading.streams import Provenance, days_before, digest_of, open_stream
from toolkit.loading.threads import side_by_side
from toolkit.schemas import ENROLLMENTS, PROBLEMS, RESOURCES, Table
from toolkit.schemas.arguments import a_path, as_given

_AT_ONCE = 4
_MOST_CHANGES = 3  # bodies that changed while they were downloaded
_READ_SIZE = 1 << 20
_FEW = 10

Many = str | Iterable[str] | None
ResourceName = Literal["grades", "enrollments", "completion"]


@dataclass(frozen=True)
class Load:
    """Records, with their problems and provenance.

    Attributes:
        frame: The typed records, one row per learner per course.
        problems: One row per value that could not be read as received.
        provenance: Where they came from, and when.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     load = tk.fetch(platform, "completion")
        >>> load.provenance.resource, load.problems.height
        ('completion', 0)
    """

    frame: pl.DataFrame
    problems: pl.DataFrame
    provenance: Provenance

    def __repr__(self) -> str:
        part, problems = self.provenance, self.problems.height
        return (
            f"<{part.resource}: {about(self.frame.height)} records from {part.source}, as of "
            f"{part.as_of:%Y-%m-%d}; {about(problems)} problems>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self)[1:-1])}</p>"


class SavedSource(Protocol):
    """Records that were saved, such as a snapshot."""

    @property
    def source(self) -> str:
        """What captions call it."""
        ...

    def saved(self, resource: str) -> Load:
        """Return all records of a resource, as they were saved."""
        ...

    def scan(self, resource: str) -> pl.LazyFrame:
        """Return the same records, lazily."""
        ...


Source = Platform | SavedSource


def fetch(
    source: Source,
    resource: ResourceName,
    *,
    course_id: Many = None,
    username: Many = None,
    days: int | None = None,
) -> Load:
    """Load records with their problems and provenance, one row per learner per course.

    A filter that matches no record is one of the problems, since the id may be mistyped.

    Args:
        source: A platform, or a snapshot.
        resource: "grades", "enrollments" or "completion".
        course_id: One or several courses; by default all. A platform's rows come in this order.
        username: One or several learners; by default all.
        days: Only enrollments created in the last `days` days, by the platform's clock.

    Raises:
        ArgumentError: An argument is invalid.
        AuthenticationError: The platform refused the token.
        TransportError: The platform gave no response, or a broken one.
        WireFormatError: A body is malformed.
        SchemaError: A record has no username or course.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     load = tk.fetch(platform, "grades", course_id="course-v1:No+Such+Course")
        >>> load.frame.height, load.problems["reason"].to_list()
        (0, ['no record has the value asked for'])
    """
    table = table_of(resource)
    courses, learners = several("course_id", course_id), several("username", username)
    if days is not None and table is not ENROLLMENTS:
        raise ArgumentError(f"days is a filter of enrollments, not of {resource}")
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or days < 0):
        raise ArgumentError(f"days must be a whole number of days, not {as_given(days)}")
    if isinstance(source, Platform):
        queries = list(product(courses or (None,), learners or (None,)))
        loads = side_by_side(partial(_load_one, source, table, days), queries, at_once=_AT_ONCE)
        load = loads[0] if len(loads) == 1 else _combined(loads)
        load = _with_problems(load, repeated(table, load.frame))
    else:
        load = _filtered(as_saved(source).saved(table.name), courses, learners, days)
    asked = {"course_id": courses, "username": learners}
    return _with_problems(load, unmatched(table.name, load.frame.lazy(), asked))


def load_grades(source: Source, *, course_id: Many = None, username: Many = None) -> pl.DataFrame:
    """Load grades, one row per learner per course; warn once about all problems.

    Arguments and errors are those of `fetch`, which returns the problems themselves.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     grades = tk.load_grades(platform)
        >>> grades.columns
        ['username', 'email', 'course_id', 'display_name', 'percent_grade', 'letter_grade',
         'passed_timestamp', 'last_date']
    """
    return _frame(fetch(source, "grades", course_id=course_id, username=username))


def load_enrollments(
    source: Source, *, course_id: Many = None, username: Many = None, days: int | None = None
) -> pl.DataFrame:
    """Load enrollments, one row per learner per course; like `load_grades`, with `days`.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     recent = tk.load_enrollments(platform, days=400)
        ...     every = tk.load_enrollments(platform)
        >>> 0 < recent.height < every.height
        True
    """
    return _frame(fetch(source, "enrollments", course_id=course_id, username=username, days=days))


def load_completion(
    source: Source, *, course_id: Many = None, username: Many = None
) -> pl.DataFrame:
    """Load completion, one row per learner per course; like `load_grades`.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     completion = tk.load_completion(platform)
        >>> completion.columns
        ['username', 'email', 'course_id', 'completion']
    """
    return _frame(fetch(source, "completion", course_id=course_id, username=username))


def _frame(load: Load) -> pl.DataFrame:
    resource = load.provenance.resource
    warn_of_problems(load.problems, f'tk.fetch(…, "{resource}").problems lists them')
    return load.frame


def read(body: str | Path | bytes, resource: ResourceName) -> pl.DataFrame:
    """Read records from a saved body of the API, one row per learner per course.

    Args:
        body: The path of a file, or bytes.
        resource: "grades", "enrollments" or "completion".

    Raises:
        ArgumentError: The file cannot be read.
        WireFormatError: The body is malformed; the message says where.
        SchemaError: A record has no username or course.

    Examples:
        >>> body = b'[{"username": "ada", "email": null, "course_id": "c", "completion": "80 %"}]'
        >>> read(body, "completion")["completion"].to_list()
        [0.8]
    """
    table = table_of(resource)
    reader = BatchReader(table)
    try:
        opened = BytesIO(body) if isinstance(body, bytes) else a_path(body, name="body").open("rb")
        with opened as file:
            batches = list(reader.read(iter(partial(file.read, _READ_SIZE), b"")))
    except OSError as error:
        raise ArgumentError(f"{body!s} cannot be read: {reason(error)}") from None
    frame, problems = _collected(table, [*batches, reader.ending()])
    if reader.next_page:
        more = problem_rows(
            table.name, [(None, "next", None, "another page follows; it was not read")]
        )
        problems = problems.vstack(more)
    warn_of_problems(problems, "Such values were kept, or taken as null")
    return frame


def as_saved(source: SavedSource) -> SavedSource:
    """Return the source if it is one of saved records.

    Raises:
        ArgumentError: It is not one.
    """
    if callable(getattr(source, "saved", None)):
        return source
    raise ArgumentError(
        "source must be a platform (tk.connect, tk.sandbox) or a snapshot (tk.open_snapshot), "
        f"not {type(source).__name__}"
    )


def table_of(resource: str) -> Table:
    """Return the resource of this name.

    Raises:
        ArgumentError: There is none; names those that exist.
    """
    if not isinstance(resource, str) or resource not in RESOURCES:
        raise ArgumentError(
            f"there is no resource {as_given(resource)}; there are {', '.join(RESOURCES)}"
        )
    return RESOURCES[resource]


def several(name: str, value: Many) -> list[str] | None:
    """Return the values asked for, each once, in the order given; None for all."""
    if value is None:
        return None
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else [*value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise ArgumentError(f"{name} must be a string or a list of strings, none of them empty")
    return list(dict.fromkeys(values))


def _load_one(
    platform: Platform,
    table: Table,
    days: int | None,
    query: tuple[str | None, str | None],
    check_cancelled: Callable[[], None],
) -> Load:
    course, learner = query
    for changes_left in reversed(range(_MOST_CHANGES)):
        stream = open_stream(
            platform,
            table.name,
            course_id=course,
            username=learner,
            days=days,
            check_cancelled=check_cancelled,
        )
        try:
            frame, problems = _collected(table, list(stream))
        except BodyChangedError:
            if changes_left:
                continue
            raise
        return Load(frame, problems, stream.provenance)
    raise AssertionError("the last attempt returns or raises")


def _collected(table: Table, batches: list[Batch]) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames = [batch.frame for batch in batches if batch.frame.height]
    frame = pl.concat(frames, rechunk=False) if frames else table.empty()
    return frame, pl.concat([PROBLEMS.empty(), *(batch.problems for batch in batches)])


def _combined(loads: list[Load]) -> Load:
    """Combine several loads; records are numbered consecutively."""
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


def _with_problems(load: Load, more: pl.DataFrame) -> Load:
    return replace(load, problems=load.problems.vstack(more))


def about(count: int) -> str:
    """Write a count of records so that it identifies nobody."""
    if count == 0:
        return "no"
    return f"about {5 * round(count / 5):,}" if count >= _FEW else f"fewer than {_FEW}"


def _filtered(
    load: Load, courses: list[str] | None, learners: list[str] | None, days: int | None
) -> Load:
    frame = load.frame
    if courses is not None:
        frame = frame.filter(pl.col("course_id").is_in(courses))
    if learners is not None:
        frame = frame.filter(pl.col("username").is_in(learners))
    if days is not None:
        frame = frame.filter(pl.col("created") >= days_before(load.provenance.as_of, days))
    return replace(load, frame=frame)
