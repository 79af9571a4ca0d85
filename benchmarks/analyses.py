"""Time and peak memory of every analysis by the number of rows, in Polars and in DuckDB.

Each cell is a process that reads Parquet files. Durations are taken to the microsecond, and in
whole days. For 10⁸ rows, in an hour and a half:

    python -m benchmarks.analyses --most 100000000
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

import toolkit as tk
from benchmarks import Bar, _rows, peak_megabytes, processor_seconds
from toolkit import survival
from toolkit.analyses.person_course import match_counts
from toolkit.analyses.table_one import table_one
from toolkit.reports.key_figures import key_figures

FEW = 20_000
MOST_MEGABYTES, MOST_EXPONENT = 4_000, 1.1
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


class Spent(NamedTuple):
    """The cost of a cell: seconds of all processors, and megabytes."""

    processor: float
    megabytes: float


def child(case: str, engine: str, few: str, path: str) -> None:
    """Compute a cell, after one of few rows; print its cost."""
    if engine == "DuckDB":  # what a session may hold before it writes to disk
        duckdb.sql("SET memory_limit = '2GB'")
        duckdb.sql(f"SET temp_directory = '{Path(path).parents[1]}'")
    CASES[case](ENGINES[engine](few))  # imports what it needs
    begun = processor_seconds()
    CASES[case](ENGINES[engine](path))
    print(processor_seconds() - begun, peak_megabytes(), flush=True)
    os._exit(0)  # DuckDB warns of what it has not freed


def cell(case: str, engine: str, *paths: str) -> Spent:
    """Return the cost of a process."""
    command = [sys.executable, "-m", "benchmarks.analyses", "--cell", case, engine, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case} in {engine}:\n{done.stderr}")
    return Spent(*map(float, done.stdout.split()))


def main(most: int = 10_000_000, folder: Path | None = None, only: str = "") -> list[Bar]:
    """Print one table: what each analysis costs in each engine, by the number of rows."""
    sizes = [10**e for e in range(6, 9) if 10**e <= most]
    head = "seconds of all processors, and peak memory"
    print(f"{head:58}" + "".join(f"{n:>18.0e}" for n in sizes) + "  exponent")
    largest, exponents = {}, {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        paths = {n: f"{place}/{n}/*.parquet" for n in (FEW, *sizes)}
        for n, path in paths.items():
            _rows.write(Path(path).parent, n)
        for case, engine in product(CASES, ENGINES):
            if not re.search(only, case):
                continue
            spent = [cell(case, engine, paths[FEW], paths[n]) for n in sizes]
            largest[case, engine] = spent[-1].megabytes
            growth = math.log(spent[-1].processor / spent[0].processor)
            exponents[case, engine] = growth / math.log(sizes[-1] / sizes[0])
            cells = "".join(f"{cost.processor:>9.2f} s{cost.megabytes:>6.0f} MB" for cost in spent)
            print(f"{case:50}{engine:8}{cells}{exponents[case, engine]:>10.2f}", flush=True)
    return [
        _worst("most memory", largest, MOST_MEGABYTES),
        _worst("highest exponent", exponents, MOST_EXPONENT),
    ]


def _worst(what: str, figures: dict[tuple[str, str], float], limit: float) -> Bar:
    worst = max(figures, key=figures.__getitem__)
    return Bar(f"{what}: {', '.join(worst)}", figures[worst], "≤", limit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--most", type=int, choices=[10**7, 10**8], default=10**7, help="the largest number of rows"
    )
    parser.add_argument("--folder", type=Path, help="where the rows are written temporarily")
    parser.add_argument("--only", default="", help="a pattern of the wanted analyses")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        child(*options.cell)
    else:
        for bar in main(options.most, options.folder, options.only):
            print(bar)
