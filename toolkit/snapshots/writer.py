"""Take a snapshot: stream it to disk in bounded memory, completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import polars as pl

from toolkit.errors import ArgumentError, ConfigurationError
from toolkit.loading.body import BodyChangedError
from toolkit.loading.load import Many, several
from toolkit.loading.platform import Platform
from toolkit.loading.streams import Provenance, Stream, open_stream
from toolkit.release.keys import PseudonymKey, pseudonym_key
from toolkit.release.pseudonyms import pseudonymize
from toolkit.schemas import RESOURCES, Table
from toolkit.schemas.arguments import as_given
from toolkit.snapshots.files import Files, coarse_times
from toolkit.snapshots.folder import add_snapshot, replace_snapshot
from toolkit.snapshots.manifest import (
    File,
    Identities,
    Manifest,
    Received,
    Resource,
    ResourceName,
    Times,
)
from toolkit.snapshots.snapshot import Snapshot, stored_schema
from toolkit.snapshots.store_path import StorePath, place

_MOST_CHANGES = 3  # responses that changed during the download


def take_snapshot(
    platform: Platform,
    folder: str | Path | StorePath,
    *,
    course_id: Many = None,
    identities: Identities = "pseudonymous",
    times: Times | None = None,
    key: PseudonymKey | str | None = None,
) -> Snapshot:
    """Save the three resources as a snapshot, streamed in bounded memory, all or nothing.

    An existing snapshot in the folder is replaced once the new one is complete, not before.
    Records are sorted by learner and course. Only this user can read the folders and files.

    At an address s3://bucket/path there must be no snapshot yet: none is replaced there. The files
    are written to the temporary folder first. The bucket decides who can read them.

    Args:
        platform: The platform to load from.
        folder: Where to write; created if missing. Or an address in an object store,
            s3://bucket/path (extra `cloud`); gs:// and az:// are untested.
        course_id: Only this course, or these.
        identities: "pseudonymous" drops email addresses and replaces usernames with keyed
            pseudonyms; "keep" writes both to disk.
        times: How exactly enrollments and passes are dated: "exact", or to the "day" or "month"
            (UTC). The default is the day, unless identities are kept: the exact second of an
            enrollment can identify a learner.
        key: The pseudonym key; see `release.keys.pseudonym_key`.

    Raises:
        ArgumentError: `platform` is not a platform, or `folder` not a path.
        SnapshotError: Another run is writing into the folder, it holds other files, or it cannot
            be written to.
        ConfigurationError: The pseudonym key is weak, `identities` or `times` is invalid, or the
            settings of AWS are incomplete or unsafe.
        ToolkitError: Whatever `load_grades` raises. The folder is left as it was.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     snapshot = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     snapshot.manifest.identities, snapshot.grades().collect()["email"].unique().item()
        ('pseudonymous', None)
    """
    if not isinstance(platform, Platform):
        raise ArgumentError(
            "take_snapshot needs a platform (tk.connect, tk.sandbox), not "
            f"{type(platform).__name__}"
        )
    for name, given, kind in (("identities", identities, Identities), ("times", times, Times)):
        if given is not None and not (isinstance(given, str) and given in get_args(kind)):
            allowed = " or ".join(f'"{one}"' for one in get_args(kind))
            raise ConfigurationError(f"{name} must be {allowed}, not {as_given(given)}")
    secret = None if identities == "keep" else pseudonym_key(key)
    asked = several("course_id", course_id)
    exactness: Times = times or ("exact" if identities == "keep" else "day")
    target = place(folder)

    def write(aside: Path, name: str) -> Manifest:
        return _Writer(platform, aside, name, secret, exactness).write(asked or [None])

    if isinstance(target, StorePath):
        return Snapshot(target, add_snapshot(target, write))
    return Snapshot(target, replace_snapshot(target, write))


class _Writer:
    """Writes the files of one snapshot."""

    def __init__(
        self, platform: Platform, folder: Path, name: str, key: PseudonymKey | None, times: Times
    ) -> None:
        self._platform = platform
        self._files = Files(folder, name, self._at_rest)
        self._key = key
        self._times = times
        self._identities: Identities = "keep" if key is None else "pseudonymous"

    def write(self, courses: list[str] | list[None]) -> Manifest:
        """Write everything but the manifest, and return the manifest."""
        resources: dict[ResourceName, Resource] = {}
        problems: list[pl.DataFrame] = []
        provenance: list[Provenance] = []
        for name in get_args(ResourceName):
            file, found, parts = self._resource(RESOURCES[name], courses)
            received = [_received(part, one) for part, one in zip(parts, courses, strict=True)]
            resources[name] = Resource(file=file, problems=found.height, received=received)
            problems.append(found)
            provenance += parts
        return Manifest(
            source=self._platform.source,
            course_id=[course for course in courses if course is not None] or None,
            as_of=max(part.as_of for part in provenance),
            retrieved_from=min(part.retrieved_from for part in provenance),
            retrieved_to=max(part.retrieved_to for part in provenance),
            identities=self._identities,
            key_fingerprint=None if self._key is None else self._key.fingerprint,
            times=self._times,
            resources=resources,
            problems=self._files.problems(pl.concat(problems)),
        )

    def _resource(
        self, table: Table, courses: list[str] | list[None]
    ) -> tuple[File, pl.DataFrame, list[Provenance]]:
        """Stream one resource to its file; also return its problems and provenance."""
        for changes_left in reversed(range(_MOST_CHANGES)):
            streams = [open_stream(self._platform, table.name, course_id=one) for one in courses]
            try:
                file, problems = self._files.resource(
                    table, _received_parts(streams), stored_schema(table, self._identities)
                )
            except BodyChangedError:
                if changes_left:
                    continue  # what was written mixes two responses: start again
                raise
            return file, problems, [stream.provenance for stream in streams]
        raise AssertionError("the last change is raised")

    def _at_rest(self, frame: pl.DataFrame) -> pl.DataFrame:
        hidden = frame if self._key is None else pseudonymize(frame, self._key)
        return coarse_times(hidden, self._times)


def _received_parts(streams: list[Stream]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield records and their problems, numbered through all streams."""
    before = 0
    for stream in streams:
        for batch in stream:
            yield batch.frame, batch.problems.with_columns(pl.col("record") + before)
        before += stream.provenance.records


def _received(part: Provenance, course: str | None) -> Received:
    return Received(
        url=part.url,
        course_id=course,
        retrieved_from=part.retrieved_from,
        retrieved_to=part.retrieved_to,
        bytes=part.bytes,
        records=part.records,
        sha256=part.sha256,
    )
