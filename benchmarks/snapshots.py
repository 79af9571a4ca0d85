"""A snapshot of a million records: peak memory and size on disk; and the speed of pseudonyms.

The platform is the sandbox in this process; the snapshot is taken in another, whose peak memory is
counted above that of the import.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import toolkit as tk
from benchmarks import Bar, peak_megabytes

RECORDS = 1_000_000
KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
MEGABYTE = 1 << 20


def take(folder: str) -> None:
    """Take a snapshot of the platform that the environment names, and print its cost."""
    platform = tk.connect()
    take_snapshot = tk.take_snapshot  # imports what it needs
    before, start = peak_megabytes(), time.perf_counter()
    snapshot = take_snapshot(platform, folder)
    files = [*snapshot.manifest.files()]
    found = {
        "seconds": time.perf_counter() - start,
        "megabytes": peak_megabytes() - before,
        "records": snapshot.manifest.resources["grades"].file.rows,
        "stored": sum(file.bytes for file in files),
        "received": sum(
            part.bytes for kept in snapshot.manifest.resources.values() for part in kept.received
        ),
    }
    print(json.dumps(found))


def snapshot_of(records: int) -> dict[str, float]:
    """Serve about so many records per resource, and have another process save them."""
    with tk.sandbox(learners=2_000) as sample:
        records_per_learner = tk.load_grades(sample).height / 2_000
    with (
        tk.sandbox(learners=round(records / records_per_learner)) as platform,
        tempfile.TemporaryDirectory() as folder,
    ):
        settings = {
            "SO2_BASE_URL": platform.base_url,
            "SO2_TOKEN": platform.token,
            "SO2_PSEUDONYM_KEY": KEY,
        }
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.snapshots", str(Path(folder) / "s")],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def pseudonym_ratio(names: int = RECORDS, runs: int = 3) -> float:
    """Return the time to pseudonymize usernames over that to hash them plainly, taking turns."""
    usernames = [f"learner_{number:07}" for number in range(names)]
    frame = pl.DataFrame({"username": usernames})
    plain, ours = [], []
    for _ in range(runs):
        start = time.perf_counter()
        for name in usernames:
            hashlib.blake2b(name.encode()).hexdigest()
        middle = time.perf_counter()
        tk.release.pseudonymize(frame, KEY)
        plain.append(middle - start)
        ours.append(time.perf_counter() - middle)
    return min(ours) / min(plain)


def main() -> list[Bar]:
    """Measure, and print the sizes."""
    found = snapshot_of(RECORDS)
    print(f"{found['records']:,} records a resource, {found['received'] / MEGABYTE:.0f} MB of JSON")
    print(f"taken in {found['seconds']:.1f} s")
    return [
        Bar("peak memory above the import, MB", found["megabytes"], "≤", 300),
        Bar("size on disk, share of the JSON", found["stored"] / found["received"], "≤", 0.1),
        Bar("1 million pseudonyms beside plain blake2b", pseudonym_ratio(), "≤", 2),
    ]


if __name__ == "__main__":
    take(sys.argv[1])
