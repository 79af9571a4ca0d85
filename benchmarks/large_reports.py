"""The report from a snapshot of a million rows: time, and peak memory over all its processes.

For larger ones: `python -m benchmarks.large_reports --rows 10000000`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl

import toolkit as tk
from benchmarks import Bar, family
from toolkit.schemas import PROBLEMS, RESOURCES
from toolkit.snapshots.files import Files, coarse_times
from toolkit.snapshots.manifest import Manifest, Received, Resource
from toolkit.snapshots.snapshot import stored_schema

ROWS, COURSES, EACH = 1_000_000, 200, 2  # each learner takes two courses
PIECE = 250_000
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
LAST = int(AS_OF.timestamp() * 1e6)
DAY = 86_400_000_000
GIGABYTES = 4.0


def records(n: int) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield n rows of the three resources, a piece at a time."""
    courses = pl.Series([f"course-v1:Org+C{i:03}+2025" for i in range(COURSES)])
    titles = pl.Series([f"Course {i:03}" for i in range(COURSES)])
    for start in range(0, n, PIECE):
        rng, m = np.random.default_rng(start), min(PIECE, n - start)
        learners = pl.Series(rng.bytes(16) for _ in range(-(-m // EACH))).bin.encode("hex")
        first, step = rng.integers(0, COURSES, learners.len()), rng.integers(1, COURSES)
        place = ((first[:, None] + step * np.arange(EACH)) % COURSES).ravel()[:m]
        enrolled = LAST - (rng.random(m) * 1095 * DAY).astype(np.int64)
        share = np.round(rng.beta(0.6, 0.9 + place % 5 / 5, m), 4)
        at = enrolled + (rng.weibull(1.3, m) * 120 * DAY).astype(np.int64)
        passed = pl.Series((share > 0.6) & (at < LAST))
        keys = {
            "username": ("p_" + learners).gather(np.repeat(np.arange(learners.len()), EACH)[:m]),
            "course_id": courses.gather(place),
        }
        values = {
            "display_name": titles.gather(place),
            "percent_grade": share,
            "letter_grade": pl.select(pl.when(passed).then(pl.lit("Pass"))).to_series(),
            "passed_timestamp": pl.Series(at).set(~passed, None),
            "last_date": np.minimum(enrolled + 30 * DAY, LAST),
            "is_active": rng.random(m) < 0.9,
            "mode": pl.Series(["audit", "verified"]).gather((rng.random(m) < 0.2).astype(int)),
            "created": enrolled,
            "completion": share,
        }
        rows = pl.DataFrame(keys | values).with_columns(
            pl.col("created", "passed_timestamp").cast(pl.Datetime("us", "UTC")),
            pl.col("last_date").cast(pl.Datetime("us")).cast(pl.Date),
        )
        schemas = {name: stored_schema(table, "pseudonymous") for name, table in RESOURCES.items()}
        yield {name: rows.select(*schema) for name, schema in schemas.items()}


def write_snapshot(folder: Path, n: int, times: str = "day") -> None:
    """Write a snapshot with n rows of each resource, as `take_snapshot` does."""
    data = folder / "data-20260101T000000-0badcafe"
    data.mkdir(parents=True)
    files = Files(data, data.name, lambda frame: coarse_times(frame, times))  # type: ignore[arg-type]
    known = {"retrieved_from": AS_OF, "retrieved_to": AS_OF}
    received = Received(
        url="https://platform.example.com", course_id=None, **known, bytes=0, records=n, sha256=""
    )
    kept = {}
    for name, table in RESOURCES.items():
        parts = ((piece[name], PROBLEMS.empty()) for piece in records(n))
        file, found = files.resource(table, parts, stored_schema(table, "pseudonymous"))
        kept[name] = Resource(file=file, problems=found.height, received=[received])
    Manifest(
        source="platform.example.com",
        course_id=None,
        as_of=AS_OF,
        **known,
        identities="pseudonymous",
        key_fingerprint="0" * 16,
        times=times,  # type: ignore[arg-type]
        resources=kept,  # type: ignore[arg-type]
        problems=files.problems(PROBLEMS.empty()),
    ).write(folder)


class Memory(threading.Thread):
    """Samples the memory of a process and its descendants: the sum of proportional set sizes."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self.each: dict[int, float] = {}
        self._root = root
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until the block ends."""
        while not self._over.wait(0.5):
            now = {pid: _gigabytes(pid) for pid in family(self._root)}
            self.most = max(self.most, sum(now.values()))
            for pid, held in now.items():
                self.each[pid] = max(held, self.each.get(pid, 0.0))

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self.join()


def _gigabytes(pid: int) -> float:
    """Return the gigabytes of a process; shared memory is divided among those that share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("Pss:")), 0.0)


def child(snapshot: Path, folder: Path, notebooks: list[str]) -> None:
    """Write a report; print when each cell is done."""
    begun = time.perf_counter()

    def print_cell(name: str) -> None:
        print(f"{time.perf_counter() - begun:7.0f} s  {name}", file=sys.stderr, flush=True)

    report = tk.write_report(
        folder, source=snapshot, notebooks=notebooks or None, on_cell=print_cell
    )
    print("\n".join(report.failures))


def measured(n: int, folder: Path, notebooks: list[str], times: str) -> tuple[float, Memory, str]:
    """Return seconds, memory, and what failed."""
    snapshot = folder / f"snapshot-{times}-{n}" / "now"
    if not snapshot.exists():
        write_snapshot(snapshot, n, times)
    begun = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.large_reports", "--child", *notebooks]
    place = ["--folder", str(snapshot), "--report", str(folder / "report")]
    with (
        subprocess.Popen(
            [*command, *place], stdout=subprocess.PIPE, text=True, env=os.environ
        ) as process,
        Memory(process.pid) as memory,
    ):
        failed = process.communicate()[0].strip()
    if process.returncode:
        failed += f"\nit ended with {process.returncode}"
    return time.perf_counter() - begun, memory, failed


def main(
    n: int = ROWS,
    folder: Path | None = None,
    notebooks: list[str] | None = None,
    times: str = "day",
) -> list[Bar]:
    """Write a report and print its time and memory."""
    with tempfile.TemporaryDirectory(prefix="so2-") as temporary:
        seconds, memory, failed = measured(n, folder or Path(temporary), notebooks or [], times)
    print(f"{n:,} rows: {seconds:.0f} s, {memory.most:.2f} GB over all processes")
    print("peak of each process: " + ", ".join(f"{held:.2f}" for held in memory.each.values()))
    if failed:
        raise RuntimeError(failed)
    return [Bar("gigabytes over all processes", memory.most, "≤", GIGABYTES)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", help="of the report; by default all")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--times", default="day", choices=["day", "exact"])
    parser.add_argument("--folder", type=Path, help="where the snapshot is written and kept")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.folder, options.report, options.notebooks)
    else:
        for bar in main(options.rows, options.folder, options.notebooks, options.times):
            print(bar)
