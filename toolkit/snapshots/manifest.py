"""The manifest of a snapshot, `manifest.json`, verified when it is read."""

from __future__ import annotations

import hashlib
import os
import platform as machine
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from toolkit.errors import SnapshotError, reason
from toolkit.snapshots.store_path import StorePath

MANIFEST = "manifest.json"

Identities = Literal["pseudonymous", "keep"]
Times = Literal["exact", "day", "month"]
ResourceName = Literal["grades", "enrollments", "completion"]

_DIGEST = re.compile(rb'\A\{\n  "sha256": "([0-9a-f]{64})",\n')


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Model):
    """A file of a snapshot."""

    name: str = Field(pattern=r"^data-[0-9A-Za-z-]+/[a-z]+\.parquet$")
    rows: int
    bytes: int
    sha256: str  # the hash of its bytes

    @classmethod
    def of(cls, path: Path, folder: Path, *, name: str, rows: int) -> Self:
        """Measure a written file."""
        return cls(
            name=f"{name}/{path.relative_to(folder).as_posix()}",
            rows=rows,
            bytes=path.stat().st_size,
            sha256=file_sha256(path),
        )


class Received(_Model):
    """A body, or its pages, as received from the platform."""

    url: str  # its address without the query
    course_id: str | None  # the course requested, null for all
    retrieved_from: datetime  # when the first request was sent (UTC)
    retrieved_to: datetime  # when the last byte arrived (UTC)
    bytes: int  # after decoding
    records: int  # how many records it had
    sha256: str  # the hash of its decoded bytes


class Resource(_Model):
    """One of the three resources."""

    file: File
    problems: int
    received: list[Received]


class Manifest(_Model):
    """Everything about a snapshot except its records."""

    schema_version: Literal[2] = 2  # any other is refused
    source: str  # where the records come from, such as the platform's host
    course_id: list[str] | None  # the courses requested, null for all
    as_of: datetime  # the moment the records describe, by the platform's clock (UTC)
    retrieved_from: datetime  # when the first request was sent (UTC)
    retrieved_to: datetime  # when the last byte arrived (UTC)
    identities: Identities  # "keep" if it names learners
    key_fingerprint: str | None  # null if identities are kept or the key was discarded
    times: Times  # how exactly enrollments and passes are dated
    resources: dict[ResourceName, Resource]  # grades, enrollments and completion
    problems: File  # the file of values that could not be read as they came
    versions: dict[str, str] = Field(
        default_factory=lambda: {
            "so2-toolkit": version("so2-toolkit"),
            "polars": version("polars"),
            "python": machine.python_version(),
        }
    )

    @field_validator("resources", "versions")
    @classmethod
    def _require_all(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        needed = get_args(ResourceName) if info.field_name == "resources" else ["so2-toolkit"]
        if missing := [name for name in needed if name not in given]:
            raise ValueError(f"no {', '.join(missing)}")
        return given

    def files(self) -> list[File]:
        """Return all files but the manifest."""
        return [*(resource.file for resource in self.resources.values()), self.problems]

    def encoded(self) -> bytes:
        """Return the bytes of the manifest, whose first line is the checksum of all others."""
        body = self.model_dump_json(indent=2).encode() + b"\n"
        digest = hashlib.sha256(body).hexdigest().encode()
        return body.replace(b"{\n", b'{\n  "sha256": "' + digest + b'",\n', 1)

    def write(self, folder: Path) -> None:
        """Put the manifest in place in one step, safe against a crash at any moment."""
        handle, aside = tempfile.mkstemp(dir=folder, prefix=f".{MANIFEST}-")  # new, mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.encoded())
                file.flush()
                os.fsync(file.fileno())
            Path(aside).replace(folder / MANIFEST)
        finally:
            Path(aside).unlink(missing_ok=True)
        sync_folder(folder)


def read_manifest(folder: Path | StorePath) -> Manifest:
    """Return the manifest in a folder."""
    path = folder / MANIFEST
    with reading(path):
        try:
            written = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise SnapshotError(
                f"{folder} holds no snapshot: it has no {MANIFEST}. Take one with "
                "tk.take_snapshot(platform, folder) or `so2 fetch FOLDER`."
            ) from None
    digest = _DIGEST.match(written)
    body = b"{\n" + written[digest.end() :] if digest else written
    if digest and hashlib.sha256(body).hexdigest().encode() != digest[1]:
        raise damaged(path, "its checksum differs")
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SnapshotError(
            f"so2-toolkit {version('so2-toolkit')} cannot read the manifest {path}: {where}: "
            f"{first['msg']}. It was changed or is of another version; take a new snapshot."
        ) from None
    if not digest:
        raise damaged(path, "its checksum is missing")
    return manifest


@contextmanager
def reading(path: Path | StorePath) -> Iterator[None]:
    """Turn a failed read into a `SnapshotError` that says why."""
    try:
        with path.safe_errors() if isinstance(path, StorePath) else nullcontext():
            yield
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {reason(error)}") from None


def damaged(path: Path | StorePath, how: str) -> SnapshotError:
    """Return the error for a file that was changed."""
    return SnapshotError(
        f"{path} has changed since the snapshot was written: {how}. Restore it from a copy, or "
        "take a new snapshot."
    )


def require_as_written(path: Path | StorePath, file: File) -> None:
    """Check a file against the manifest, reading it once."""
    with reading(path):
        try:
            size = path.size() if isinstance(path, StorePath) else path.stat().st_size
            if size != file.bytes:
                raise damaged(path, f"it has {size:,} bytes instead of {file.bytes:,}")
            if file_sha256(path) != file.sha256:
                raise damaged(path, "its checksum differs")
        except FileNotFoundError:
            raise damaged(path, "it is missing") from None


def file_sha256(path: Path | StorePath) -> str:
    """Return the SHA-256 of a file's bytes."""
    if isinstance(path, StorePath):
        return path.sha256()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, if the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def day(moment: datetime) -> str:
    """Return the UTC date of a moment."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
