"""Export a snapshot in a coarser form for sharing, and measure how well it hides learners."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs

from toolkit.schemas import RESOURCES
from toolkit.snapshots.csv_files import folder_for, write_csv
from toolkit.snapshots.snapshot import Snapshot

_KEY = ["username", "course_id"]
_DROPPED = ["email", "last_date"]
_RISKY = 5  # records alike; fewer count as at risk
_QUASI = ["course_id", "created", "passed_timestamp", "percent_grade"]


@dataclass(frozen=True)
class SharedExport:
    """The files and the risk of `export_for_sharing`.

    Attributes:
        files: The CSV files.
        risk: Two rows, "as in the snapshot" and "as shared". Records are alike if they have the
            same course, enrollment date, pass date and grade. `records`: their number;
            `smallest_k`: the smallest number alike; `unique`: the share of records unlike any
            other; `below_5`: the share with fewer than 5 alike.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=200) as platform:
        ...     key = secrets.token_hex(32)
        ...     snapshot = tk.take_snapshot(platform, f"{folder}/s", key=key)
        ...     shared = tk.snapshots.export_for_sharing(snapshot, f"{folder}/shared")
        >>> shared.risk["unique"].is_sorted(descending=True)
        True
    """

    files: list[Path]
    risk: pl.DataFrame


def export_for_sharing(snapshot: Snapshot, folder: str | Path) -> SharedExport:
    """Write grades, enrollments and completion in a coarse form, and measure what it hides.

    Learners get numbers that are new in each export, so that two exports cannot be joined. Moments
    become the first day of their quarter, grades and completion the lower end of their tenth (0.9
    for 0.9–1), null outside 0–1; email addresses, `last_date` and the problems are left out.

    The risk is that anyone who knows a learner's course, dates of enrollment and pass, and grade
    finds their record. No record is left out because of it: use it to decide whether the files may
    be shared, and with whom. A learner in several courses is easier to find than one record
    suggests.

    Args:
        snapshot: What to write.
        folder: Where to write; created if missing.

    Raises:
        ArgumentError: `snapshot` is not a snapshot, or `folder` not a path.
        SnapshotError: The folder is inside the snapshot, or cannot be written to.

    Source:
        Sweeney (2002), k-anonymity: a model for protecting privacy, Int. J. Uncertain. Fuzziness
        Knowl.-Based Syst. 10(5), 557–570.

    Examples:
        >>> import secrets, tempfile, toolkit as tk
        >>> with tempfile.TemporaryDirectory() as folder, tk.sandbox(learners=200) as platform:
        ...     key = secrets.token_hex(32)
        ...     snapshot = tk.take_snapshot(platform, f"{folder}/s", key=key)
        ...     shared = tk.snapshots.export_for_sharing(snapshot, f"{folder}/shared")
        >>> [file.name for file in shared.files]
        ['grades.csv', 'enrollments.csv', 'completion.csv']
    """
    target = folder_for(snapshot, folder)
    exact = {name: snapshot.scan(name).drop(_DROPPED, strict=False).collect() for name in RESOURCES}
    coarse = {name: _coarsened(frame) for name, frame in exact.items()}
    numbers = _numbered(list(coarse.values()))
    files = [
        write_csv(
            frame.join(numbers, on="username", how="left")
            .select("learner", pl.all().exclude("username", "learner"))
            .sort("learner", "course_id"),
            target / f"{name}.csv",
        )
        for name, frame in coarse.items()
    ]
    risks = [_risk(exact, "as in the snapshot"), _risk(coarse, "as shared")]
    return SharedExport(files, pl.concat(risks))


def _coarsened(frame: pl.DataFrame) -> pl.DataFrame:
    tenth = ((cs.float() * 10 + 1e-9).floor().clip(upper_bound=9) / 10).round(1)
    return frame.with_columns(
        cs.datetime().dt.truncate("1q").dt.date(), pl.when(cs.float().is_between(0, 1)).then(tenth)
    )


def _numbered(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Give each learner a random number."""
    names = pl.concat([frame.select("username") for frame in frames]).unique()
    return names.sample(fraction=1, shuffle=True).with_row_index("learner", 1)


def _risk(frames: dict[str, pl.DataFrame], form: str) -> pl.DataFrame:
    grades = frames["grades"].select(*_KEY, "passed_timestamp", "percent_grade")
    both = (
        frames["enrollments"]
        .select(*_KEY, "created")
        .join(grades, on=_KEY, how="full", coalesce=True)
    )
    alike = both.select(n=pl.len().over(_QUASI))
    return alike.select(
        form=pl.lit(form),
        records=pl.len().cast(pl.Int64),
        smallest_k=pl.col("n").min().cast(pl.Int64),
        unique=(pl.col("n") == 1).mean(),
        below_5=(pl.col("n") < _RISKY).mean(),
    )
