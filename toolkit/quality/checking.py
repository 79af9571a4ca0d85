"""`tk.check`: run the suites on the frames and collect the outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Protocol, runtime_checkable

import polars as pl

from toolkit.errors import ArgumentError, QualityError
from toolkit.quality.checks import Check, checks, parameter_of, read_suite
from toolkit.quality.frames import AnyFrame, Checked, checked_frames, require_one_engine, taken
from toolkit.quality.gx.datasource import PolarsDatasource
from toolkit.quality.gx.library import (
    DataContextConfig,
    DataContextRequiredError,
    EphemeralDataContext,
    Expectation,
    ExpectationSuiteValidationResult,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
    gx,
    project_manager,
)
from toolkit.quality.gx.metrics import countable
from toolkit.quality.report import QualityReport
from toolkit.schemas import PERSON_COURSE, PROBLEMS
from toolkit.schemas.arguments import as_given
from toolkit.schemas.moments import When, dates, moment_observed

EXAMPLES = 5
PROBLEM_SHARE = 0.001
_BEGINNING = datetime.min.replace(tzinfo=UTC)
STALE_AFTER, GRACE = timedelta(days=30), timedelta(hours=1)
IDENTITIES = ["username", "email", "raw"]
_ALONE = RLock()  # GX has one current context, for all threads


@runtime_checkable
class Resources(Protocol):
    """Resources that were loaded together, such as a `Study`."""

    @property
    def grades(self) -> AnyFrame:
        """As `load_grades` returns them."""

    @property
    def enrollments(self) -> AnyFrame:
        """As `load_enrollments` returns them."""

    @property
    def completion(self) -> AnyFrame:
        """As `load_completion` returns it."""

    @property
    def problems(self) -> pl.DataFrame:
        """One row per value that could not be read as received."""

    @property
    def as_of(self) -> datetime:
        """The moment they describe."""


def check(
    study: Resources | None = None,
    *,
    grades: AnyFrame | None = None,
    enrollments: AnyFrame | None = None,
    completion: AnyFrame | None = None,
    as_of: When | None = None,
    problems: pl.DataFrame | None = None,
    course_starts: Mapping[str, When] | None = None,
    suites: Iterable[gx.ExpectationSuite | str | Path] = (),
) -> QualityReport:
    """Check each resource, and the resources against each other.

    Each frame gets the checks listed for it in `quality/checks.toml`, as a Great Expectations
    suite that is counted where the rows are: a DataFrame in memory, a LazyFrame streamed, a table
    of another engine by that engine. Two or more resources are also joined, as in `person_course`.
    A check whose records, column or parameter are missing is not run, and the report says so; so
    is one whose condition no record meets.

    From another engine only counts are read, and for each failed check the keys of at most five
    records. Such an engine guarantees no row order, so these are the smallest keys, and `failures`
    has no positions; and it computes no record keys, so the counts that are shown are rounded by
    draws of their own.

    Args:
        study: A `Study`; its frames, problems and `as_of` are used unless given separately.
        grades: The frame of `load_grades`, with or without email, or one like it in any engine
            that `docs/scale.md` lists; likewise the next two, of the same engine.
        enrollments: The frame of `load_enrollments`.
        completion: The frame of `load_completion`.
        as_of: The moment the data describe, usually `provenance.as_of`, as for `person_course`.
            Without it, nothing is compared with the present.
        problems: The `problems` of the loads, to check how many there are.
        course_starts: The first day of each course by course_id, to find passes before it. Needs
            grades, and enrollments or completion.
        suites: Your own suites, or paths of their JSON files. A suite checks the frame it is
            named after: grades, enrollments, completion, person_course or problems. When Great
            Expectations makes a suite of dicts, it leaves out misspelt ones, with an error in its
            log; `check` cannot see them. Classes (`gx.expectations`) and files are safe.

    Raises:
        ArgumentError: No frame was given, a frame or date is invalid, the frames are of several
            engines, or they have no passes to compare with `course_starts`.
        QualityError: A suite is not named after a checked frame, its file is not a suite, an
            expectation in it does not exist or needs another parameter, or the engine of its frame
            cannot count one with the figure of Polars.

    Examples:
        >>> grades = pl.DataFrame({"username": ["u1", "u1"], "percent_grade": [0.8, 80.0]})
        >>> grades = grades.with_columns(course_id=pl.lit("course-v1:Org+CS+R1"))
        >>> report = check(grades=grades)
        >>> report.ok
        False
        >>> report.failures.select("check", "record").rows()
        [('key_unique', 0), ('key_unique', 1), ('percent_grade_range', 1)]
    """
    if study is not None:
        if not isinstance(study, Resources) or callable(study.grades):  # a snapshot's methods
            raise ArgumentError(
                "check takes a study (tk.load_study, or tk.Study.scan of a snapshot), or frames by "
                f"name, check(grades=…), not {as_given(study)}"
            )
        grades = study.grades if grades is None else grades
        enrollments = study.enrollments if enrollments is None else enrollments
        completion = study.completion if completion is None else completion
        problems = study.problems if problems is None else problems
        as_of = study.as_of if as_of is None else as_of
    named = {"grades": grades, "enrollments": enrollments, "completion": completion}
    given = {name: taken(name, frame) for name, frame in named.items() if frame is not None}
    if not given:
        raise ArgumentError("check needs a study or a frame: grades, enrollments or completion")
    require_one_engine(given)
    moment = None if as_of is None else moment_observed(as_of)
    starts = None if course_starts is None else dates(course_starts, name="course_starts")
    if starts is not None and (grades is None or len(given) == 1):
        raise ArgumentError(
            "course_starts is compared with the passes of the joined resources; pass grades, and "
            "enrollments or completion"
        )
    if isinstance(suites, str | bytes) or not isinstance(suites, Iterable):
        raise ArgumentError(
            f"suites must be a list of suites or of file paths, not {as_given(suites)}"
        )
    own = [s if isinstance(s, gx.ExpectationSuite) else read_suite(s) for s in suites]
    whole = any(suite.name == PERSON_COURSE.name for suite in own)
    frames = checked_frames(given, as_of=moment, course_starts=starts, whole=whole)
    if problems is not None:
        data = taken("problems", problems)
        frames.append(Checked(PROBLEMS.name, data, ("resource", "record", "column")))
    n_records = sum(frame.n_records or 0 for frame in frames)
    return run(frames, _parameters(moment, n_records), own)


def run(
    frames: Sequence[Checked],
    parameters: Mapping[str, Any],
    suites: Iterable[gx.ExpectationSuite] = (),
) -> QualityReport:
    """Run each frame's suite, and the suites named after it."""
    by_frame: dict[str, list[gx.ExpectationSuite]] = {frame.name: [] for frame in frames}
    for suite in suites:
        if suite.name not in by_frame:
            raise QualityError(
                f"suite {suite.name!r} must be named after a frame that is checked: "
                f"{', '.join(by_frame)}"
            )
        by_frame[suite.name].append(suite)
    for frame in frames:
        for suite in by_frame[frame.name]:
            for expectation in suite.expectations:
                _require_parameters(expectation, frame.name, parameters)
                _require_countable(expectation, frame, parameters)
    results, not_run = [], []
    with _context() as context:
        source = context.data_sources.add_polars("toolkit", identities=IDENTITIES)
        for frame in frames:
            runnable, left_out = _sorted_out(checks(frame.name), frame, parameters)
            not_run += left_out
            asked = [check.expectation() for check in runnable]
            asked += [copy(own) for suite in by_frame[frame.name] for own in suite.expectations]
            if asked:
                results.append(_validate(context, source, frame, asked, parameters))
    return QualityReport(results, not_run, frames)


def _require_parameters(
    expectation: Expectation, frame: str, parameters: Mapping[str, Any]
) -> None:
    """Refuse an expectation that names a parameter which this run does not have."""
    for said in expectation.configuration.kwargs.values():
        name = parameter_of(said)
        if name is not None and name not in parameters:
            raise QualityError(
                f"suite {frame!r}: {expectation.expectation_type} needs the parameter {name!r}; "
                f"this run has {', '.join(parameters)}. latest_moment, latest_day and stale_before "
                "come with as_of="
            )


def _require_countable(
    expectation: Expectation, frame: Checked, parameters: Mapping[str, Any]
) -> None:
    """Refuse an expectation that an engine other than Polars would count differently."""
    if frame.rows.are_of_polars:
        return
    kwargs = {
        name: _known(said, parameters) for name, said in expectation.configuration.kwargs.items()
    }
    of_map = getattr(expectation, "map_metric", None)
    metrics = [of_map] if of_map else getattr(expectation, "metric_dependencies", ())
    try:
        if not metrics:
            raise TypeError("it is more than a count")
        for metric in metrics:
            countable(metric, kwargs, frame.rows)
    except (KeyError, TypeError, ValueError) as error:
        about = ", ".join(f"{n}={v!r}" for n, v in kwargs.items() if "column" in n and v)
        raise QualityError(
            f"suite {frame.name!r}: {expectation.expectation_type} ({about}) cannot be counted in "
            f"{frame.rows.engine}: {error.args[0]}. Leave it out, or write the rows to Parquet, "
            "and pass polars.scan_parquet(…)"
        ) from error


def _known(said: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the value of an argument, looked up if it names a parameter of the run."""
    name = parameter_of(said)
    return said if name is None else parameters.get(name)


def _validate(
    context: EphemeralDataContext,
    source: PolarsDatasource,
    frame: Checked,
    asked: list[Expectation],
    parameters: Mapping[str, Any],
) -> ExpectationSuiteValidationResult:
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=frame.name,
            data=source.add_frame_asset(frame.name).add_batch_definition("whole"),
            suite=context.suites.add(gx.ExpectationSuite(frame.name, expectations=asked)),
        )
    )
    return definition.run(
        batch_parameters={"dataframe": frame.rows},
        expectation_parameters=dict(parameters),
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": list(frame.key),
        },
    )


@contextmanager
def _context() -> Iterator[EphemeralDataContext]:
    """Yield a GX context in memory, current only here; the caller's own context is restored."""
    with _ALONE:
        try:
            current = project_manager.get_current_project()
        except DataContextRequiredError:
            current = None
        context = EphemeralDataContext(
            DataContextConfig(
                store_backend_defaults=InMemoryStoreBackendDefaults(),
                analytics_enabled=False,
                progress_bars=ProgressBarsConfig(globally=False),
            )
        )
        project_manager.set_project(context)
        try:
            yield context
        finally:
            project_manager.set_project(current)


def _sorted_out(
    asked: Iterable[Check], frame: Checked, parameters: Mapping[str, Any]
) -> tuple[list[Check], list[tuple[Check, str]]]:
    """Return the checks that can be run, and the others with the reason."""
    runnable, left_out = [], []
    there = frame.rows.schema.keys()
    for check in asked:
        wrong = ["no record"] if frame.n_records == 0 and check.about_records else []
        wrong += [frame.wrong[name] for name in sorted(check.columns & frame.wrong.keys())]
        wrong += [
            f"no column `{name}`" for name in sorted(check.columns - there - frame.wrong.keys())
        ]
        wrong += [f"{name} is not known" for name in sorted(check.parameters - parameters.keys())]
        if wrong:
            left_out.append((check, wrong[0]))
        else:
            runnable.append(check)
    return runnable, left_out


def _parameters(as_of: datetime | None, n_records: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"problem_limit": math.ceil(PROBLEM_SHARE * n_records)}
    if as_of is not None:
        parameters |= {
            "latest_moment": as_of + GRACE,
            "latest_day": as_of.date() + timedelta(days=1),
            "stale_before": max(as_of, _BEGINNING + STALE_AFTER).date() - STALE_AFTER,
        }
    return parameters
