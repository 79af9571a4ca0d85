"""Read the data of a report once, execute its notebooks, and write their pages."""

from __future__ import annotations

import platform as machine
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from pydantic import SecretStr

from toolkit.citation import cite
from toolkit.config import settings
from toolkit.connect import connect_or_sandbox
from toolkit.errors import ReportError
from toolkit.loading.load import Source
from toolkit.loading.platform import Platform
from toolkit.release.keys import key_file, release_secret, secret_file
from toolkit.release.rounding import MIN_N, release_counts, release_number
from toolkit.reports.courses import read_courses, study_before
from toolkit.reports.execution import (
    CELL_TIMEOUT,
    OnCell,
    count_code_cells,
    execute_notebooks,
    refuse_unknown,
)
from toolkit.reports.folder import writable
from toolkit.reports.guard import (
    Identities,
    Records,
    is_protected,
    refuse_bare,
    refuse_identities,
)
from toolkit.reports.key_figures import as_tiles, key_figures
from toolkit.reports.language import Language
from toolkit.reports.pages import read_page
from toolkit.reports.site import Site, write_site
from toolkit.sandbox.start import SandboxPlatform
from toolkit.schemas.arguments import as_given
from toolkit.snapshots.folder import copy_snapshot
from toolkit.snapshots.snapshot import Snapshot, open_earlier, opened
from toolkit.snapshots.store_path import StorePath
from toolkit.snapshots.writer import take_snapshot
from toolkit.study import LazyStudy, scan_study
from toolkit.text.words import count

MILLION = 1_000_000
MANY = 5 * MILLION
"""For more records, notebooks are executed one at a time, since two would need too much memory."""
_PACKAGES = ("polars", "altair", "great-expectations", "nbclient")


def written(
    part: Path,
    source: Source | str | Path | None,
    paths: list[Path],
    parameters: Mapping[str, object],
    title: str,
    language: Language,
    on_cell: OnCell | None,
    on_start: Callable[[int], None] | None,
) -> dict[str, Any]:
    """Write a report into an empty folder; return its caption, key figures and failures."""
    refuse_unknown(parameters, paths)
    course = parameters.get("course_id")
    with _read_once(source, None if course is None else str(course)) as (study, before, variables):
        n_records = study.count("person_course")
        if course is not None and not n_records:
            raise ReportError(f"{study.source} has no record of the course {as_given(course)}")
        if on_start is not None:
            on_start(count_code_cells(paths))
        identities = _identities(study)
        executed = execute_notebooks(
            paths,
            environment=variables,
            parameters=parameters,
            workers=1 if n_records > MANY else 2,
            timeout=CELL_TIMEOUT * max(1.0, n_records / MILLION),
            on_cell=on_cell,
            withhold=identities.without,
        )
        failures = tuple(one.failure for one in executed if one.failure is not None)
        if failures and len(failures) == len(executed):
            raise ReportError("\n".join(failures))
        refuse_identities(executed, identities=identities, records=Records(study.person_course))
        refuse_bare(executed)
        figures = key_figures(study).release()
        site = Site(
            title=title,
            caption=study.caption,
            kind="sandbox" if study.source.startswith("sandbox") else "learners",
            pages=[read_page(one) for one in executed],
            is_protected=all(is_protected(one) for one in executed),
            language=language,
        )
        methods = {"provenance": _provenance(study, language), "resources": _resources(study)}
        courses = read_courses(study, before=before, say=language)
        tiles = as_tiles(figures, language)
        with writable(part):
            write_site(part, site, key_figures=tiles, courses=courses, methods=methods)
        return {"caption": study.caption, "key_figures": figures, "failures": failures}


@contextmanager
def _read_once(
    given: Source | str | Path | None, course_id: str | None
) -> Iterator[tuple[LazyStudy, LazyStudy | None, dict[str, str]]]:
    """Yield the data, those of the previous snapshot, and the settings for the kernels.

    A live platform is read once, into a snapshot that is deleted when the report is done. It is
    under the user's own key, so that the same learners are rounded alike every night. The kernels
    see neither the token nor a name.
    """
    with ExitStack() as until_done:
        if given is None:
            given = connect_or_sandbox()
            if isinstance(given, Platform):
                until_done.callback(given.close)
        source = until_done.enter_context(opened(given))
        if isinstance(source, Snapshot) and isinstance(source.folder, StorePath):
            here = until_done.enter_context(TemporaryDirectory(prefix="so2-"))
            source = _copied(source, Path(here))
        joins = Path(until_done.enter_context(TemporaryDirectory(prefix="so2-")))
        before = study_before(source, course_id, joins)
        # The kernels read the rows that are joined here.
        known = {"SO2_BASE_URL": "", "SO2_SNAPSHOT": "", "SO2_JOINS": str(joins)}
        variables = _environment() | known
        if isinstance(source, SandboxPlatform) and source.variables:
            variables |= source.variables
        elif isinstance(source, Platform):
            aside = until_done.enter_context(TemporaryDirectory(prefix="so2-"))
            source = take_snapshot(
                source, Path(aside, "snapshot"), course_id=course_id, times="exact"
            )
        if isinstance(source, Snapshot):
            variables["SO2_SNAPSHOT"] = str(Path(str(source.folder)).resolve())
        yield scan_study(source, course_id=course_id, joins=joins), before, variables


def _copied(source: Snapshot, here: Path) -> Snapshot:
    """Copy a snapshot and the one before it, so that no kernel needs the store or its keys."""
    for name, snapshot in (("before", open_earlier(source)), ("now", source)):
        if snapshot is not None and isinstance(snapshot.folder, StorePath):
            copy_snapshot(snapshot.manifest, snapshot.folder, here / name)
    return Snapshot(here / "now", source.manifest)


def _environment() -> dict[str, str]:
    """Return the settings as variables, for kernels that run in a folder of their own.

    The only secret among them is that of the rounding, so that all pages round alike.
    """
    variables = {"SO2_RELEASE_SECRET": release_secret().reveal()}
    for name, value in settings():
        if value is not None and not isinstance(value, SecretStr):
            text = value.resolve() if isinstance(value, Path) else value
            variables[f"SO2_{name.upper()}"] = str(text)
    return variables


def _identities(study: LazyStudy) -> Identities:
    """Return the names that a report must not contain, and the secrets of this user."""
    frames = [study.person_course.select("username")]
    frames += [
        frame.select(username="email")
        for frame in (study.grades, study.enrollments, study.completion)
        if "email" in frame.collect_schema().names()
    ]
    names = pl.concat(frames).select(pl.col("username").drop_nulls().unique()).collect()["username"]
    chosen = settings()
    kept = [
        path.read_text("utf-8", "replace").strip()
        for path in (key_file(), secret_file())
        if path.is_file()
    ]
    given = [value.get_secret_value() for _, value in chosen if isinstance(value, SecretStr)]
    return Identities(names, [*given, *kept, release_secret().reveal()])


def _provenance(study: LazyStudy, say: Language) -> list[tuple[str, str]]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        ("source", study.source),
        ("as_of", say("methods.clock", moment=f"{study.as_of:%Y-%m-%d %H:%M}")),
        ("toolkit", f"so2-toolkit {version('so2-toolkit')}"),
        ("cite", cite()),
        ("packages", packages),
        ("python", f"{machine.python_version()} on {machine.system()}"),
        ("rounding", release_secret().remark),
        (
            "problems",
            say.written(count(release_number(study.problems.height), MIN_N))
            if study.problems.height
            else say("methods.none"),
        ),
    ]


def _resources(study: LazyStudy) -> list[tuple[str, str]]:
    """Return how many records each resource has, rounded as on every page."""
    names = ("grades", "enrollments", "completion")
    had = [
        study.person_course.filter(f"in_{name}").select(pl.len(), pl.col("record_key").sum())
        for name in names
    ]
    found = pl.concat(pl.collect_all(had))
    shown = release_counts(found["len"].cast(pl.Int64), found["record_key"])
    return [(name, count(n, MIN_N)) for name, n in zip(names, shown, strict=True)]
