"""Write tables as CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from toolkit.errors import ArgumentError, SnapshotError
from toolkit.results.files import atomically, harmless
from toolkit.schemas import RESOURCES
from toolkit.schemas.arguments import a_path, as_given
from toolkit.snapshots.folder import on_disk
from toolkit.snapshots.snapshot import Snapshot, a_snapshot


def export_csv(snapshot: Snapshot, folder: str | Path) -> list[Path]:
    """Write each resource and the problems of a snapshot as a CSV file.

    Text that a spreadsheet would run as a formula gets a leading apostrophe. Identities are as in
    the snapshot. Existing files are replaced, each completely or not at all.

    Args:
        snapshot: What to write.
        folder: Where to write; created if missing.

    Returns:
        The files.

    Raises:
        ArgumentError: `snapshot` is not a snapshot, or `folder` not a path.
        SnapshotError: The folder is inside the snapshot, is an address, or cannot be written to.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=50) as platform:
        ...     taken = tk.take_snapshot(platform, f"{folder}/now", key=secrets.token_hex(32))
        ...     [file.name for file in export_csv(taken, f"{folder}/csv")]
        ['grades.csv', 'enrollments.csv', 'completion.csv', 'problems.csv']
    """
    target = folder_for(snapshot, folder)
    frames = {name: snapshot.scan(name) for name in RESOURCES}
    if snapshot.manifest.identities == "pseudonymous":
        frames = {name: frame.drop("email") for name, frame in frames.items()}
    frames["problems"] = snapshot.problems().lazy()
    return [write_csv(frame, target / f"{name}.csv") for name, frame in frames.items()]


def folder_for(snapshot: Snapshot, folder: str | Path) -> Path:
    """Return the folder for files made from a snapshot, created if missing."""
    held, target = a_snapshot(snapshot).folder, a_path(folder, name="folder")
    if isinstance(held, Path) and held.resolve() in [target.resolve(), *target.resolve().parents]:
        raise SnapshotError(
            f"{target} is inside the snapshot; name another folder for the CSV files"
        )
    with on_disk(target):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    return target


def write_csv(frame: pl.DataFrame | pl.LazyFrame, path: str | Path) -> Path:
    r"""Write a table as a CSV file, safe for spreadsheets, completely or not at all.

    Only this user can read the file.

    Args:
        frame: Any table of plain columns.
        path: The file; an existing one is replaced.

    Raises:
        ArgumentError: `frame` is not a Polars frame, or `path` not a path.
        SnapshotError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> frame = pl.DataFrame({"course": ["=1+1"], "n": [10]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_csv(frame, f"{folder}/courses.csv").read_text()
        "course,n\n'=1+1,10\n"
    """
    target = a_path(path, name="path")
    if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
        raise ArgumentError(f"frame must be a Polars frame, not {as_given(frame)}")
    return atomically(
        target,
        lambda part: harmless(frame.lazy()).sink_csv(part),
        kind=SnapshotError,
        suffix=".csv",
    )
