"""The folder of a snapshot: one writer at once, replaced in one step or left as it was.

In an object store nothing can be locked or renamed. There a snapshot is written once and never
replaced, and of several writers the first to put the manifest there wins.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from toolkit.errors import SnapshotError, reason, writing
from toolkit.snapshots.manifest import MANIFEST, Manifest, read_manifest, sync_folder
from toolkit.snapshots.store_path import StorePath

_LOCK = ".lock"
_OURS = re.compile(
    rf"{re.escape(MANIFEST)}|\.{re.escape(MANIFEST)}-\w+|{re.escape(_LOCK)}"
    r"|(\.partial-)?data-\d{8}T\d{6}-[0-9a-f]{8}"
)


def replace_snapshot(folder: Path, write: Callable[[Path, str], Manifest]) -> Manifest:
    """Replace the snapshot in a folder once the new one is complete; until then leave it as it was.

    The folder is created if missing; only this user can read it. `write` gets a folder without
    readers and its final name.
    """
    with on_disk(folder), _alone(folder):
        name = _new_name()
        aside = folder / f".partial-{name}"
        before = _current(folder)
        aside.mkdir(mode=0o700)
        try:
            manifest = write(aside, name)
            sync_folder(aside)
            aside.rename(folder / name)
            sync_folder(folder)
            manifest.write(folder)
        except BaseException:
            if _current(folder) == before:
                _remove(aside, folder / name)
            raise
        kept = {name}
        if before and (before.identities == "pseudonymous" or manifest.identities == "keep"):
            kept.add(_data(before))  # for its present readers, unless it names learners
        _remove(*(path for path in _ours(folder) if path.name not in kept))
    return manifest


def add_snapshot(folder: StorePath, write: Callable[[Path, str], Manifest]) -> Manifest:
    """Put a snapshot into an object store; nobody sees it before it is complete.

    The files are written on this machine first, so what is sent is what the checksums are of.
    """
    _require_free(folder)
    name = _new_name()
    begun = folder / name / "begun"
    with TemporaryDirectory(prefix="so2-") as aside, _sending(folder):
        try:
            begun.create(b"")  # fails without permission to write, before anything is loaded
            with writing(Path(aside), SnapshotError, left="TMPDIR names another."):
                manifest = write(Path(aside), name)
        except BaseException:
            with suppress(OSError):
                begun.remove()
            raise
        _send(manifest, Path(aside), folder, name)
        with suppress(OSError):  # leftovers of killed runs and slower writers
            begun.remove()
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in {name, MANIFEST}:
                    path.remove()
    return manifest


def _send(manifest: Manifest, here: Path, folder: StorePath, name: str) -> None:
    """Send the files, then the manifest; if that fails, delete them."""
    body = manifest.encoded()
    try:
        for file in manifest.files():
            (folder / file.name).upload(here / file.name.rpartition("/")[2])
        (folder / MANIFEST).create(body)
    except BaseException as error:
        with suppress(OSError):  # if it is unknown whose manifest is there, the files stay
            if _body(folder) != body:
                (folder / name).remove()
            elif isinstance(error, OSError):
                return  # it is there, and only the response was lost
        raise


@contextmanager
def _sending(folder: StorePath) -> Iterator[None]:
    """Turn a failed request into a `SnapshotError` that says why."""
    try:
        yield
    except FileExistsError:
        raise _taken(folder) from None
    except OSError as error:
        raise SnapshotError(f"{folder} cannot be written: {error}") from None


def copy_snapshot(manifest: Manifest, folder: StorePath, here: Path) -> None:
    """Copy a snapshot from an object store into a new folder that only this user can read."""
    try:
        here.mkdir(mode=0o700)
        for file in manifest.files():
            (here / file.name).parent.mkdir(mode=0o700, exist_ok=True)
            (here / file.name).touch(mode=0o600)
            (folder / file.name).download(here / file.name)
        manifest.write(here)
    except OSError as error:
        raise SnapshotError(f"{folder} cannot be copied to {here}: {reason(error)}") from None


def _require_free(folder: StorePath) -> None:
    with _sending(folder):
        names = {path.name for path in folder.iterdir()}
    if MANIFEST in names:
        raise _taken(folder)
    if others := sorted(name for name in names if not _OURS.fullmatch(name)):
        raise _in_use(folder, others)


def _taken(folder: StorePath) -> SnapshotError:
    return SnapshotError(
        f"{folder} holds a snapshot, and none is replaced in an object store. Name another "
        "address, such as one that ends in the date."
    )


def _in_use(folder: Path | StorePath, others: list[str]) -> SnapshotError:
    return SnapshotError(
        f"{folder} holds other files ({', '.join(others[:3])}); name a new or empty folder for the "
        "snapshot"
    )


def _body(folder: StorePath) -> bytes | None:
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None


def _new_name() -> str:
    return f"data-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def on_disk(path: Path) -> AbstractContextManager[None]:
    """Turn a failed write into a `SnapshotError` that says what to do."""
    return writing(path, SnapshotError, left="What was there is unchanged.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against other writers; the system unlocks it when the process ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = [path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name)]
    if others and not (folder / MANIFEST).exists():
        raise _in_use(folder, sorted(others))
    try:
        with FileLock(folder / _LOCK, timeout=0, mode=0o600):
            # Remove what a killed run was writing.
            _remove(*(path for path in _ours(folder) if path.name.startswith(".")))
            yield
    except Timeout:
        raise SnapshotError(
            f"another run is writing a snapshot into {folder}; wait for it, or name another folder"
        ) from None


def _ours(folder: Path) -> list[Path]:
    """Return the data folders and leftovers of killed runs, without the manifest and the lock."""
    kept = {MANIFEST, _LOCK}
    return [p for p in folder.iterdir() if _OURS.fullmatch(p.name) and p.name not in kept]


def _current(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except SnapshotError:
        return None


def _data(manifest: Manifest) -> str:
    return manifest.problems.name.partition("/")[0]


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)
            continue
        for _ in range(10):  # after a failed sink, a thread of Polars may still create a file
            shutil.rmtree(path, ignore_errors=True)  # on Windows a reader may still hold a file
            if not path.exists():
                break
            time.sleep(0.05)
