"""Taking a snapshot: streamed to disk in bounded memory, whole or not at all."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args

import polars as pl
from filelock import FileLock, Timeout
from polars.io.plugins import register_io_source

from toolkit.errors import ConfigurationError, SnapshotError
from toolkit.loading.body import BodyChangedError
from toolkit.loading.load import Many, repeated_keys, several
from toolkit.loading.platform import Platform
from toolkit.loading.streams import Provenance, Stream, open_stream
from toolkit.release.keys import PseudonymKey, pseudonym_key
from toolkit.release.pseudonyms import pseudonymize
from toolkit.schemas import PROBLEMS, RESOURCES, Table
from toolkit.snapshots.manifest import (
    MANIFEST,
    File,
    Identities,
    Manifest,
    Received,
    Resource,
    ResourceName,
    read_manifest,
    sync_folder,
)
from toolkit.snapshots.snapshot import Snapshot, stored_schema

_LOCK = ".lock"
_DATA = re.compile(r"(\.partial-)?data-\d{8}T\d{6}-[0-9a-f]{8}")


def take_snapshot(
    platform: Platform,
    folder: str | Path,
    *,
    course_id: Many = None,
    identities: Identities = "pseudonymous",
    key: PseudonymKey | str | None = None,
) -> Snapshot:
    """Save the three resources, streamed in bounded memory, all or nothing.

    A snapshot that the folder holds already is replaced when the new one is whole, not before.

    Args:
        platform: Whom to ask.
        folder: Where to put it; made where it is not there.
        course_id: Only this course, or these.
        identities: "pseudonymous" drops addresses and replaces usernames by keyed pseudonyms;
            "keep" writes the names of learners to disk.
        key: The pseudonym key; see `release.keys.pseudonym_key`.

    Raises:
        SnapshotError: Another run writes into the folder, or it holds other things.
        ConfigurationError: The pseudonym key is weak, or `identities` is neither.
        ToolkitError: Whatever `load_grades` raises. The folder is as it was.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     snapshot = tk.take_snapshot(platform, folder, key=secrets.token_hex(32))
        ...     snapshot.manifest.identities, snapshot.grades().collect()["email"].unique().item()
        ('pseudonymous', None)
    """
    if identities not in ("pseudonymous", "keep"):
        raise ConfigurationError(f'identities must be "pseudonymous" or "keep", not {identities!r}')
    secret = None if identities == "keep" else pseudonym_key(key)
    target = Path(folder)
    asked = several("course_id", course_id)
    courses: list[str | None] = [None] if asked is None else [*asked]
    with _alone(target):
        name = f"data-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        aside = target / f".partial-{name}"
        aside.mkdir()
        try:
            manifest = _Writer(platform, aside, name, secret).write(courses)
            sync_folder(aside)
            aside.rename(target / name)
            sync_folder(target)
            manifest.write(target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sweep(target, keep=name)
    return Snapshot(target, manifest)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other writers; the system lets go when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    others = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
    if others and not (folder / MANIFEST).exists():
        raise SnapshotError(
            f"{folder} holds other things ({', '.join(sorted(others)[:3])}); name a folder of its "
            "own for the snapshot"
        )
    try:
        with FileLock(folder / _LOCK, timeout=0):
            _sweep(folder, keep=_current(folder))
            yield
    except Timeout:
        raise SnapshotError(
            f"another run is writing a snapshot into {folder}; wait for it, or name another folder"
        ) from None


def _is_ours(name: str) -> bool:
    return name in {MANIFEST, f".{MANIFEST}.new", _LOCK} or _DATA.fullmatch(name) is not None


def _current(folder: Path) -> str | None:
    """The data folder that counts now."""
    if not (folder / MANIFEST).exists():
        return None
    return read_manifest(folder).problems.name.partition("/")[0]


def _sweep(folder: Path, *, keep: str | None) -> None:
    """Remove what a killed run left and what the new snapshot replaced."""
    for path in folder.iterdir():
        if path.is_dir() and _is_ours(path.name) and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)  # on Windows a reader may still hold a file


class _Writer:
    """Writes the files of one snapshot into a folder that nobody reads yet.

    Args:
        platform: Whom to ask.
        folder: Where to write.
        name: How the folder will be called when it counts.
        key: The pseudonym key, None to keep identities.
    """

    def __init__(
        self, platform: Platform, folder: Path, name: str, key: PseudonymKey | None
    ) -> None:
        self._platform = platform
        self._folder = folder
        self._name = name
        self._key = key
        self._problems: dict[str, list[pl.DataFrame]] = {}

    def write(self, courses: list[str | None]) -> Manifest:
        """Write everything but the manifest, and return that."""
        streams: dict[ResourceName, list[Provenance]] = {
            name: self._resource(RESOURCES[name], courses) for name in get_args(ResourceName)
        }
        found = [frame for frames in self._problems.values() for frame in frames]
        problems = self._at_rest(pl.concat([PROBLEMS.empty(), *found]))
        path = self._folder / "problems.parquet"
        problems.lazy().sink_parquet(path, compression="zstd", sync_on_close="all")
        provenance = [part for kept in streams.values() for part in kept]
        asked = [course for course in courses if course is not None]
        return Manifest(
            source=self._platform.source,
            course_id=asked or None,
            as_of=max(part.as_of for part in provenance),
            retrieved_from=min(part.retrieved_from for part in provenance),
            retrieved_to=max(part.retrieved_to for part in provenance),
            identities="keep" if self._key is None else "pseudonymous",
            key_fingerprint=None if self._key is None else self._key.fingerprint,
            resources={
                name: Resource(
                    file=self._file(f"{name}.parquet", sum(part.records for part in parts)),
                    problems=problems.filter(pl.col("resource") == name).height,
                    received=[
                        _received(part, course) for part, course in zip(parts, courses, strict=True)
                    ],
                )
                for name, parts in streams.items()
            },
            problems=self._file("problems.parquet", problems.height),
        )

    def _file(self, filename: str, rows: int) -> File:
        return File.of(self._folder / filename, self._folder, name=self._name, rows=rows)

    def _resource(self, table: Table, courses: list[str | None]) -> list[Provenance]:
        """Stream one resource to its file; where each course's records came from."""
        schema = stored_schema(table, "keep" if self._key is None else "pseudonymous")
        path = self._folder / f"{table.name}.parquet"
        while True:
            streams = [open_stream(self._platform, table.name, course_id=one) for one in courses]
            hashes: list[pl.Series] = []
            self._problems[table.name] = []
            frames = partial(self._frames, table, streams, hashes)
            try:
                register_io_source(lambda *_, frames=frames: frames(), schema=schema).sink_parquet(
                    path, compression="zstd", sync_on_close="all"
                )
            except BodyChangedError:
                continue  # what was written is of two answers: from the start
            self._problems[table.name].append(_repeated(table, path, hashes))
            return [stream.provenance for stream in streams]

    def _frames(
        self, table: Table, streams: list[Stream], hashes: list[pl.Series]
    ) -> Iterator[pl.DataFrame]:
        """The records as they are stored; notes their problems and a hash of each key."""
        before = 0
        for stream in streams:
            for batch in stream:
                if batch.problems.height:
                    numbered = batch.problems.with_columns(pl.col("record") + before)
                    self._problems[table.name].append(numbered)
                if batch.frame.height:
                    stored = self._at_rest(batch.frame)
                    hashes.append(stored.select(pl.struct(table.key).hash()).to_series())
                    yield stored
            before += stream.provenance.records

    def _at_rest(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame if self._key is None else pseudonymize(frame, self._key)


def _repeated(table: Table, path: Path, hashes: list[pl.Series]) -> pl.DataFrame:
    """A problem for each record whose learner and course came before, as `fetch_*` tells it.

    Only keys whose hash comes twice are read again, so that memory does not grow with the keys.
    """
    every = pl.concat([pl.Series(dtype=pl.UInt64), *hashes])
    twice = every.filter(every.is_duplicated()).unique()
    if twice.is_empty():
        return PROBLEMS.empty()
    keys = pl.scan_parquet(path).select(table.key).with_row_index("record")
    candidates = keys.filter(pl.struct(table.key).hash().is_in(twice.implode())).collect()
    return repeated_keys(table, candidates)


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
