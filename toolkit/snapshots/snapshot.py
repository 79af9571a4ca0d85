"""Snapshots: the platform's data at one moment, on disk, to be read again without it.

A snapshot is a folder with a `manifest.json` and a folder `data-…` of Parquet files:

    manifest.json
    data-20260101T000000-1f2e3d4c/grades.parquet, enrollments.parquet, …, problems.parquet

The manifest names its data folder, and replacing the manifest is the one step that makes a new
snapshot current. A run killed before that step leaves the old one complete, after it the new one.
Replaced data stay until the next snapshot after that, for their present readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

import polars as pl

from toolkit.config import platform_settings
from toolkit.errors import ArgumentError, SnapshotError
from toolkit.loading.load import Load, Source, about
from toolkit.loading.platform import Platform
from toolkit.loading.streams import Provenance
from toolkit.schemas import RESOURCES, Table
from toolkit.schemas.arguments import as_given
from toolkit.snapshots.manifest import (
    MANIFEST,
    File,
    Identities,
    Manifest,
    Resource,
    day,
    read_manifest,
    reading,
    require_as_written,
)
from toolkit.snapshots.store_path import StorePath, place, scan

_MOST_CHANGES = 10  # of a snapshot while it is opened


@dataclass(frozen=True)
class Snapshot:
    """Saved records; replaces a platform in `load_*`, `scan` and `load_study`.

    Attributes:
        folder: Where it is, a `Path`; in an object store, an object that can be used like one.
        manifest: Its contents, source and moment.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     snapshot = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     grades = tk.load_grades(snapshot)
        >>> snapshot.source
        'snapshot of 2026-01-01, sandbox: 50 simulated learners (seed 7)'
    """

    folder: Path | StorePath
    manifest: Manifest

    @property
    def as_of(self) -> datetime:
        """The moment the records describe (UTC)."""
        return self.manifest.as_of

    @property
    def source(self) -> str:
        """Its name in captions."""
        # Whoever wrote the manifest may have written what a terminal takes for a command.
        plain = "".join(c if c.isprintable() else "\ufffd" for c in self.manifest.source)
        return f"snapshot of {day(self.as_of)}, {plain}"

    def grades(self) -> pl.LazyFrame:
        """Grades, one row per learner per course."""
        return self.scan("grades")

    def enrollments(self) -> pl.LazyFrame:
        """Enrollments, one row per learner per course."""
        return self.scan("enrollments")

    def completion(self) -> pl.LazyFrame:
        """Completion, one row per learner per course."""
        return self.scan("completion")

    def problems(self) -> pl.DataFrame:
        """The values of all three resources that could not be read as they came."""
        return self._collected(self._stored(self.manifest.problems))

    def scan(self, resource: str) -> pl.LazyFrame:
        """Return the records of a resource, lazily, with the columns of its schema.

        `email` is null unless identities were kept.
        """
        table = RESOURCES[resource]
        stored = self._stored(self._resource(resource).file)
        if self.manifest.identities == "pseudonymous":
            stored = stored.with_columns(email=pl.lit(None, pl.String))
        return stored.select(table.names)

    def saved(self, resource: str) -> Load:
        """Return a resource as `fetch` does."""
        kept = self._resource(resource)
        return Load(
            self._collected(self.scan(resource)),
            self.problems().filter(pl.col("resource") == resource),
            Provenance(
                resource=resource,
                url=kept.received[0].url,
                source=self.source,
                retrieved_from=min(part.retrieved_from for part in kept.received),
                retrieved_to=max(part.retrieved_to for part in kept.received),
                as_of=self.as_of,
                bytes=sum(part.bytes for part in kept.received),
                records=kept.file.rows,
                sha256=kept.file.sha256,
                toolkit_version=self.manifest.versions["so2-toolkit"],
            ),
        )

    def _stored(self, file: File) -> pl.LazyFrame:
        path = self.folder / file.name
        with reading(path):
            if path.is_file():
                return scan(path)
        raise SnapshotError(
            f"{self.folder}: newer snapshots have replaced this one since it was opened; open it "
            "again"
        )

    def _collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        with reading(self.folder):
            return rows.collect()

    def _resource(self, name: str) -> Resource:
        for resource, kept in self.manifest.resources.items():
            if resource == name:
                return kept
        raise SnapshotError(f"{self.folder}: the snapshot has no {name}")

    def __repr__(self) -> str:
        resources = self.manifest.resources.items()
        rows = ", ".join(f"{about(kept.file.rows)} {name}" for name, kept in resources)
        return f"<{self.source}: {rows}; identities: {self.manifest.identities}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self)[1:-1])}</p>"


def open_snapshot(folder: str | Path | StorePath) -> Snapshot:
    """Open a snapshot: check its files against their checksums, without loading records.

    A snapshot that is replaced meanwhile is opened as it was before or as it is after.

    Args:
        folder: The folder given to `take_snapshot`, or the address s3://bucket/path.

    Raises:
        SnapshotError: There is no snapshot, or one of its files is missing, changed or truncated.
        ConfigurationError: The settings of AWS are incomplete or unsafe.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     taken = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     open_snapshot(folder).as_of == taken.as_of
        True
    """
    target = place(folder)
    manifest = read_manifest(target)
    for _ in range(_MOST_CHANGES):
        try:
            for file in manifest.files():
                require_as_written(target / file.name, file)
        except SnapshotError:
            now = read_manifest(target)
            if now == manifest:
                raise
            manifest = now
        else:
            return Snapshot(target, manifest)
    raise SnapshotError(
        f"{target} is replaced again and again while it is opened; wait until its writers are done"
    )


def list_snapshots(folder: str | Path | StorePath) -> pl.DataFrame:
    """List the snapshots in a folder, or at an address, and in the folders directly below it.

    One row per snapshot, the oldest first: folder, as_of, source, course_id (those requested, null
    for all), identities, key_fingerprint, the number of records of each resource, problems, bytes
    on disk.

    Raises:
        SnapshotError: The folder does not exist, or a manifest in it cannot be read.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     taken = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     list_snapshots(folder)["as_of"].item() == taken.as_of
        True
    """
    top = place(folder)
    with reading(top):
        if not top.is_dir():
            raise SnapshotError(f"there is no folder {top}")
        rows = [_listed(path) for path in (top, *top.iterdir()) if _has_manifest(path)]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "folder": pl.String,
        "as_of": pl.Datetime("us", "UTC"),
        "source": pl.String,
        "course_id": pl.List(pl.String),
        "identities": pl.String,
        "key_fingerprint": pl.String,
        **dict.fromkeys([*RESOURCES, "problems", "bytes"], pl.Int64),
    }
    return pl.DataFrame(rows, schema=schema).sort("as_of", "folder")


def _has_manifest(folder: Path | StorePath) -> bool:
    """Whether a folder holds a snapshot, as far as this user may know."""
    with suppress(PermissionError):
        return (folder / MANIFEST).is_file()
    return False


def open_earlier(snapshot: Snapshot) -> Snapshot | None:
    """Open the latest older snapshot beside a snapshot, to compare the two; None if there is none.

    It is of the same source, under the same key, and of all courses or some of the same. Snapshots
    that cannot be read are passed over; `list_snapshots` says what is wrong with them.

    Raises:
        ArgumentError: `snapshot` is not a snapshot.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     key = secrets.token_hex(32)
        ...     now = tk.take_snapshot(platform, f"{folder}/now", key=key)
        ...     with platform.earlier("2025-06-01") as past:
        ...         then = tk.take_snapshot(past, f"{folder}/then", key=key)
        ...     open_earlier(now).as_of == then.as_of, open_earlier(then)
        (True, None)
    """
    found: list[Snapshot] = []
    with suppress(SnapshotError), reading(a_snapshot(snapshot).folder.parent):
        for folder in snapshot.folder.parent.iterdir():
            with suppress(SnapshotError):
                if _has_manifest(folder):
                    found.append(Snapshot(folder, read_manifest(folder)))
    older = [one for one in found if one.as_of < snapshot.as_of and _are_comparable(one, snapshot)]
    for one in sorted(older, key=lambda one: (one.as_of, str(one.folder)), reverse=True):
        with suppress(SnapshotError):
            return open_snapshot(one.folder)
    return None


def _are_comparable(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots are of one source, under one key, and have a course in common."""
    a, b = one.manifest, other.manifest
    in_common = a.course_id is None or b.course_id is None or {*a.course_id} & {*b.course_id}
    return (a.source, a.key_fingerprint) == (b.source, b.key_fingerprint) and bool(in_common)


def a_snapshot(given: Snapshot) -> Snapshot:
    """Return the argument if it is a snapshot."""
    if not isinstance(given, Snapshot):
        raise ArgumentError(
            f"snapshot must be a snapshot (tk.open_snapshot), not {as_given(given)}"
        )
    return given


def _listed(folder: Path | StorePath) -> dict[str, object]:
    manifest = read_manifest(folder)
    return {
        "folder": str(folder),
        "as_of": manifest.as_of,
        "source": manifest.source,
        "course_id": manifest.course_id,
        "identities": manifest.identities,
        "key_fingerprint": manifest.key_fingerprint,
        **{name: kept.file.rows for name, kept in manifest.resources.items()},
        "problems": manifest.problems.rows,
        "bytes": sum(file.bytes for file in manifest.files()),
    }


def stored_schema(table: Table, identities: Identities) -> pl.Schema:
    """Return the columns of a file; email addresses are not stored with pseudonyms."""
    dropped = {"email"} if identities == "pseudonymous" else set()
    return pl.Schema({c.name: c.dtype for c in table if c.name not in dropped})


@contextmanager
def opened(source: Source | str | Path | StorePath) -> Iterator[Source]:
    """Yield a source as it is, or open a folder or an address, to be closed at the end."""
    if isinstance(source, str) and source.lower().startswith(("https://", "http://")):
        with Platform(platform_settings(source)) as platform:
            yield platform
    else:
        yield open_snapshot(source) if isinstance(source, str | Path | StorePath) else source
