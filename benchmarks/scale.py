"""Time and peak memory by the number of rows, compared with the same figures written by hand.

Each cell is a process that reads Parquet files. All columns of the results are compared, and a
difference stops the run. Ratios and exponents are of processor seconds, which other work on the
machine affects least.

Spark is measured where PySpark and Java are. Its Java process, a child, counts towards seconds and
memory; the clock starts when it has answered a first query.

For 10⁸ rows, with the memory of each process capped at 4 GB:

    python -m benchmarks.scale --most 100000000 --cap 4 --repeats 1
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
from polars.testing import assert_frame_equal

import toolkit as tk
from benchmarks import Bar, _by_hand, _rows, _spark, family, peak_megabytes, processor_seconds

DURATIONS = {
    "duration": pl.min_horizontal("days_to_pass", "observed_days").floor(),
    "event": pl.col("passed"),
}
Way = Callable[[str], pl.DataFrame]


ANALYSES: dict[str, Callable[[Any], pl.DataFrame]] = {
    "outcomes by course": lambda rows: tk.outcomes(rows, by="course_id").frame,
    "outcomes by course and month": lambda rows: (
        tk.outcomes(rows, by=["course_id", "enrolled_month"]).frame
    ),
    "grades by course": lambda rows: tk.grade_distribution(rows, by="course_id").frame,
    "cohort progress": lambda rows: tk.cohort_progress(rows).frame,
    "Kaplan–Meier by course, in days": lambda rows: (
        tk.kaplan_meier(rows, by="course_id")
        .frame.with_columns(pl.when(pl.col("survival") > 0).then(pl.col("ci_low", "ci_high")))
        .fill_nan(None)
    ),
}
BY_HAND: dict[str, tuple[Way, Callable[[_by_hand.Sql, str], pl.DataFrame]]] = {
    "outcomes by course": (
        lambda path: _by_hand.outcomes_in_polars(path, "course_id"),
        lambda sql, path: _by_hand.outcomes_in_sql(sql, path, "course_id"),
    ),
    "outcomes by course and month": (
        lambda path: _by_hand.outcomes_in_polars(path, "course_id", "enrolled_month"),
        lambda sql, path: _by_hand.outcomes_in_sql(sql, path, "course_id", "enrolled_month"),
    ),
    "grades by course": (_by_hand.distribution_in_polars, _by_hand.distribution_in_sql),
    "cohort progress": (_by_hand.progress_in_polars, _by_hand.progress_in_sql),
    "Kaplan–Meier by course, in days": (_by_hand.curves_in_polars, _by_hand.curves_in_sql),
}
KEYS = ["course_id", "part", "bin_low", "enrolled_month", "cohort", "period", "duration"]
PEERS = {"Polars": ["Polars", "DuckDB"], "DuckDB": ["Polars", "DuckDB"], "Spark": ["Spark"]}
"""For each engine, those whose code by hand the toolkit on it is compared with."""
ENGINES = [name for name in PEERS if name != "Spark" or not _spark.lacks()]
WAYS = [f"{whose}, {engine}" for engine in ENGINES for whose in ("toolkit", "by hand")]


def way(case: str, name: str) -> Way:
    """Return one way to compute the figures of a case."""
    analysis, (in_polars, in_sql) = ANALYSES[case], BY_HAND[case]
    ways: dict[str, Way] = {
        "toolkit, Polars": lambda path: analysis(pl.scan_parquet(path)),
        "toolkit, DuckDB": lambda path: analysis(duckdb.read_parquet(path)),
        "toolkit, Spark": lambda path: analysis(_spark.session().read.parquet(path)),
        "by hand, Polars": in_polars,
        "by hand, DuckDB": lambda path: in_sql(_by_hand.DUCKDB, path),
        "by hand, Spark": lambda path: in_sql(_by_hand.SPARK, path),
    }
    return ways[name]


class Spent(NamedTuple):
    """The cost of a cell: seconds by the clock, seconds of all processors, and megabytes."""

    seconds: float
    processor: float
    megabytes: float


def child(case: str, name: str, path: str, answer: str, cap: float) -> None:
    """Compute one cell; print its cost."""
    if cap:
        most = int(cap * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    tk.outcomes, tk.grade_distribution, tk.cohort_progress, tk.kaplan_meier  # noqa: B018  # imported when first named
    if name.endswith("Spark"):
        _spark.warm_up()
    compute = way(case, name)
    begun, worked = time.perf_counter(), processor_seconds()
    found = compute(path)
    seconds, processor = time.perf_counter() - begun, processor_seconds() - worked
    found.write_parquet(answer)
    print(seconds, processor, sum(map(peak_megabytes, family(os.getpid()))))


def cell(case: str, name: str, folder: Path, cap: float) -> tuple[Spent, pl.DataFrame] | None:
    """Return the cost and the result of one process; None if it ran out of memory."""
    answer = folder / "answer"
    command = [sys.executable, "-m", "benchmarks.scale", "--cell", case, name]
    done = subprocess.run(
        [*command, f"{folder}/*.parquet", str(answer), "--cap", str(cap)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        if cap:
            return None
        raise RuntimeError(done.stderr)
    found = pl.read_parquet(answer)
    return Spent(*map(float, done.stdout.split())), found


def compared(found: pl.DataFrame, right: pl.DataFrame) -> None:
    """Raise if a table lacks columns of another, or a figure differs by more than 1e-9."""
    keys = [name for name in KEYS if name in right.columns]
    same = found.select(pl.col(name).cast(dtype) for name, dtype in right.schema.items())
    assert_frame_equal(same.sort(keys), right.sort(keys), rel_tol=1e-9, abs_tol=1e-9)


def best(case: str, name: str, folder: Path, cap: float, repeats: int) -> Spent | None:
    """Return the least cost of a cell over the repeats, after comparing its figures."""
    least = None
    for _ in range(repeats):
        measured = cell(case, name, folder, cap)
        if measured is None:
            return None
        spent, found = measured
        right = folder / f"right {case}"
        if not right.exists():
            found.write_parquet(right)
        compared(found, pl.read_parquet(right))
        least = Spent(*map(min, zip(spent, least or spent, strict=True)))
    return least


def measure(
    sizes: list[int], folder: Path | None, cap: float, repeats: int
) -> dict[tuple[str, str, int], Spent]:
    """Measure and print each cell."""
    found = {}
    for n in sizes:
        with contextlib.ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            _rows.write(place, n, **DURATIONS)
            for case in ANALYSES:
                line = f"{case:32}{f'1e{round(math.log10(n))}':>4}"
                for name in WAYS:
                    spent = best(case, name, place, cap, repeats)
                    if spent is None:
                        line += f"{'out of memory':>28}"
                        continue
                    found[case, name, n] = spent
                    line += f"{spent.seconds:>9.2f} s{spent.processor:>8.2f} s"
                    line += f"{spent.megabytes:>6.0f} MB"
                print(line, flush=True)
    return found


def bars(found: dict[tuple[str, str, int], Spent], sizes: list[int]) -> list[Bar]:
    """Return the ratio to the best by hand at the largest size, and the exponent up to it."""
    kept = []
    first, last = max(sizes[0], min(10**6, sizes[-2])), sizes[-1]
    spent = {cell: cost.processor for cell, cost in found.items()}
    for case, engine in itertools.product(ANALYSES, ENGINES):
        hand = [spent.get((case, f"by hand, {peer}", last)) for peer in PEERS[engine]]
        known = [seconds for seconds in hand if seconds is not None]
        ours = spent.get((case, f"toolkit, {engine}", last))
        if ours is None or not known:
            continue
        growth = math.log(ours / spent[case, f"toolkit, {engine}", first])
        exponent = growth / math.log(last / first)
        kept.append(Bar(f"{case}, {engine}: ratio", ours / min(known), "≤", 1.5))
        kept.append(Bar(f"{case}, {engine}: exponent", exponent, "≤", 1.1))
    return kept


def main(
    most: int = 10_000_000, cap: float = 0, folder: Path | None = None, repeats: int = 3
) -> list[Bar]:
    """Print one table: the cost of each way for each analysis and number of rows."""
    sizes = [10**e for e in range(5, 9) if 10**e <= most]
    if lacking := _spark.lacks():
        print(f"Spark is left out, since it needs {lacking}")
    print("seconds by the clock, of all processors, and peak memory")
    print(f"{'analysis':32}{'rows':>4}" + "".join(f"{name:>28}" for name in WAYS))
    found = measure(sizes, folder, cap, repeats)
    return bars(found, sizes) if len(sizes) > 1 else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000_000, help="the largest number of rows")
    parser.add_argument("--cap", type=float, default=0, help="the most gigabytes of a process")
    parser.add_argument("--folder", type=Path, help="where the rows are written temporarily")
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs, of which the least cost counts"
    )
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        child(*options.cell, options.cap)
    else:
        for bar in main(options.most, options.cap, options.folder, options.repeats):
            print(bar)
