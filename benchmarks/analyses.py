"""Time and peak memory of every analysis by the number of rows, in Polars and in DuckDB.

Each cell is a process that reads Parquet files. Durations are taken to the microsecond, and in
whole days. For 10⁸ rows, in an hour and a half:

    python -m benchmarks.analyses --most 100000000
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

import toolkit as tk
from benchmarks import Bar, _rows, peak_megabytes, processor_seconds
from toolkit import survival
from toolkit.analyses.person_course import match_counts
from toolkit.analyses.table_one import table_one
from toolkit.reports.key_figures import key_figures

FEW = 20_000
MOST_MEGABYTES = 4_000
ENGINES: dict[str, Callable[[str], Any]] = {
    "Polars": pl.scan_parquet,
    "DuckDB": lambda path: duckdb.read_parquet(path),
}
OF_RECORDS: dict[str, Callable[[Any], object]] = {
    "match_counts": match_counts,
    "outcomes": lambda pc: tk.outcomes(pc, by=["course_id", "enrolled_month"]),
    "completion_funnel": lambda pc: tk.completion_funnel(pc, by="course_id"),
    "grade_distribution": lambda pc: tk.grade_distribution(pc, by="course_id"),
    "completion_distribution": lambda pc: tk.completion_distribution(pc, by="course_id"),
    "cohort_progress": tk.cohort_progress,
    "completion_progress": lambda pc: tk.completion_progress([pc], by="mode"),
    "compare_groups": lambda pc: tk.compare_groups(pc, by="mode", strata="course_id"),
    "learner_paths": tk.learner_paths,
    "table_one": lambda pc: table_one(pc, by="mode"),
    "key_figures": key_figures,
}
_WITHIN: Any = {"by": "mode", "strata": "course_id"}
OF_DURATIONS: dict[str, Callable[[Any], object]] = {
    "exclusions": lambda d: survival.exclusions(d, by="course_id"),
    "kaplan_meier": lambda d: survival.kaplan_meier(d, by="course_id"),
    "survival_summary": lambda d: survival.survival_summary(d, by="course_id"),
    "logrank": lambda d: survival.logrank(d, by="course_id"),
    "logrank_pairs": lambda d: survival.logrank_pairs(d, by="mode"),
    "cumulative_incidence": lambda d: survival.cumulative_incidence(d, by="course_id"),
    "gray_test": lambda d: survival.gray_test(d, by="mode"),
    "nelson_aalen": lambda d: survival.nelson_aalen(d, by="course_id"),
    "smoothed_hazard": lambda d: survival.smoothed_hazard(d, by="course_id"),
    "milestone_difference": lambda d: survival.milestone_difference(d, by="mode", at=90),
    "rmst_difference": lambda d: survival.rmst_difference(d, by="mode"),
    "kaplan_meier within strata": lambda d: survival.kaplan_meier(d, **_WITHIN),
    "gray_test within strata": lambda d: survival.gray_test(d, **_WITHIN),
    "milestone_difference within strata": lambda d: survival.milestone_difference(
        d, at=90, **_WITHIN
    ),
    "rmst_difference within strata": lambda d: survival.rmst_difference(d, **_WITHIN),
}
UNITS: dict[str, dict[str, Any]] = {"whole days": {"whole": True}, "microseconds": {}}
CASES: dict[str, Callable[[Any], object]] = OF_RECORDS | {
    f"{name}, {unit}": lambda pc, call=call, whole=whole: call(
        tk.time_to_pass(pc, undated="leave_out", competing={"last seen": "last_date"}, **whole)
    )
    for (unit, whole), (name, call) in product(UNITS.items(), OF_DURATIONS.items())
}


def child(case: str, engine: str, few: str, path: str) -> None:
    """Compute a cell, after one of few rows; print seconds (clock, processors) and megabytes."""
    if engine == "DuckDB":  # what a session may hold before it writes to disk
        duckdb.sql("SET memory_limit = '2GB'")
    CASES[case](ENGINES[engine](few))  # imports what it needs
    begun, worked = time.perf_counter(), processor_seconds()
    CASES[case](ENGINES[engine](path))
    print(time.perf_counter() - begun, processor_seconds() - worked, peak_megabytes(), flush=True)
    os._exit(0)  # DuckDB warns of what it has not freed


def cell(case: str, engine: str, *paths: str) -> tuple[float, float, float]:
    """Return the seconds by the clock and of all processors, and the megabytes of a process."""
    command = [sys.executable, "-m", "benchmarks.analyses", "--cell", case, engine, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case} in {engine}:\n{done.stderr}")
    seconds, processor, megabytes = map(float, done.stdout.split())
    return seconds, processor, megabytes


def main(most: int = 10_000_000, folder: Path | None = None) -> list[Bar]:
    """Print one table: what each analysis costs in each engine, by the number of rows."""
    sizes = [10**e for e in range(6, 9) if 10**e <= most]
    spent, largest = {}, {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for n in [FEW, *sizes]:
            _rows.write(Path(place) / str(n), n)
        print(
            f"{'seconds of all processors, megabytes':48}" + "".join(f"{n:>18.0e}" for n in sizes)
        )
        for case, engine in product(CASES, ENGINES):
            line = f"{case:40}{engine:8}"
            for n in sizes:
                _, processor, megabytes = cell(
                    case, engine, *(f"{place}/{m}/*.parquet" for m in (FEW, n))
                )
                spent[case, engine, n], largest[case, engine] = processor, megabytes
                line += f"{processor:>9.2f} s{megabytes:>6.0f} MB"
            print(line, flush=True)
    kept = [
        Bar(
            f"most memory: {', '.join(max(largest, key=largest.__getitem__))}",
            max(largest.values()),
            "≤",
            MOST_MEGABYTES,
        )
    ]
    growths = {
        (case, engine): math.log10(spent[case, engine, sizes[-1]] / spent[case, engine, sizes[0]])
        / math.log10(sizes[-1] / sizes[0])
        for case, engine in product(CASES, ENGINES)
    }
    worst = max(growths, key=growths.__getitem__)
    return [*kept, Bar(f"highest exponent: {', '.join(worst)}", growths[worst], "≤", 1.1)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000_000, help="the largest number of rows")
    parser.add_argument("--folder", type=Path, help="where the rows are written temporarily")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        child(*options.cell)
    else:
        for bar in main(options.most, options.folder):
            print(bar)
