"""The folder of a snapshot: one writer at once, replaced in one step or left as it was."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import SnapshotError, writing
from toolkit.snapshots.manifest import MANIFEST, Manifest, read_manifest, sync_folder

_LOCK = ".lock"
_OURS = re.compile(
    rf"{re.escape(MANIFEST)}|\.{re.escape(MANIFEST)}-\w+|{re.escape(_LOCK)}"
    r"|(\.partial-)?data-\d{8}T\d{6}-[0-9a-f]{8}"
)


def replace_snapshot(folder: Path, write: Callable[[Path, str], Manifest]) -> Manifest:
    """Replace the snapshot in a folder once the new one is complete; until then leave it as it was.

    Args:
        folder: Created if missing; only this user can read it.
        write: Writes the files into a folder that has no readers yet and will get the given
            name, and returns the manifest.

    Raises:
        SnapshotError: Another run is writing into the folder, it holds other files, or it cannot
            be written to.
    """
    with on_disk(folder), _alone(folder):
        name = f"data-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
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


def on_disk(path: Path) -> AbstractContextManager[None]:
    """Turn a failed write into a `SnapshotError` that says what to do."""
    return writing(path, SnapshotError, left="What was there is as it was.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against other writers; the system unlocks it when the process ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = [path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name)]
    if others and not (folder / MANIFEST).exists():
        raise SnapshotError(
            f"{folder} holds other files ({', '.join(sorted(others)[:3])}); name a new or empty "
            "folder for the snapshot"
        )
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
    """The data folders and the leftovers of killed runs, without the manifest and the lock."""
    kept = {MANIFEST, _LOCK}
    return [p for p in folder.iterdir() if _OURS.fullmatch(p.name) and p.name not in kept]


def _current(folder: Path) -> Manifest | None:
    """The current manifest; None if none can be read."""
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
        else:
            shutil.rmtree(path, ignore_errors=True)  # on Windows a reader may still hold a file
