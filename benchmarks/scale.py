"""Time and peak memory by the number of rows, beside the same figures written by hand.

Each cell is a process of its own that reads Parquet files; the results of all four ways are
compared, and a difference stops the run. The exponent is that of the last tenfold rows. For 10⁸
rows, with the memory of each process capped at 4 GB:

    python -m benchmarks.scale --most 100000000 --cap 4
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

import toolkit as tk

COURSES, MONTHS, LAST_DAY = 200, 36, 20_454
PIECE = 1_000_000
Way = Callable[[str], pl.DataFrame]


def write(folder: Path, n: int) -> None:
    """Files of rows of 200 courses and 36 months, a million each, as much as analyses read."""
    ids = pl.Series([f"course-v1:Org+C{i:03}+R1" for i in range(COURSES)])
    for place in range(0, n, PIECE):
        m = min(PIECE, n - place)
        rng = np.random.default_rng(place)
        enrolled = LAST_DAY - rng.integers(0, MONTHS * 30, m)
        observed = LAST_DAY - enrolled + rng.random(m)
        to_pass = rng.weibull(1.3, m) * 150
        passed = to_pass < observed
        pl.DataFrame(
            {
                "course_id": ids.gather(rng.integers(0, COURSES, m)),
                "in_enrollments": rng.random(m) < 0.99,
                "completion": rng.integers(0, 101, m) / 100,
                "percent_grade": rng.integers(0, 101, m) / 100,
                "passed": passed,
                "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
                "observed_days": observed,
                "days_to_pass": pl.Series(to_pass).set(pl.Series(~passed), None),
                "duration": np.floor(np.minimum(to_pass, observed)),
                "event": passed,
            }
        ).write_parquet(folder / f"{place}.parquet")


def in_polars(analysis: Callable[[object], pl.DataFrame]) -> Way:
    """The toolkit on a scan."""
    return lambda path: analysis(pl.scan_parquet(path))


def in_duckdb(analysis: Callable[[object], pl.DataFrame]) -> Way:
    """The toolkit on a relation of DuckDB."""
    return lambda path: analysis(duckdb.read_parquet(path))


def sql(query: str) -> Way:
    """The same by hand, in SQL."""
    return lambda path: pl.DataFrame(duckdb.sql(query.format(rows=f"read_parquet('{path}')")))


OUTCOMES = ["n_enrolled", "n_passed", "median"]


def outcomes(by: list[str]) -> Callable[[object], pl.DataFrame]:
    """Enrolled, passed and the median grade, by the toolkit."""

    def computed(rows: object) -> pl.DataFrame:
        found = tk.outcomes(rows, by=by).frame
        return found.select(*by, "n_enrolled", "n_passed", median="grade_median_of_graded")

    return computed


def outcomes_by_hand(*by: pl.Expr) -> Way:
    """The same in Polars."""
    grade = pl.col("percent_grade")
    return lambda path: (
        pl.scan_parquet(path)
        .filter("in_enrollments")
        .group_by(by)
        .agg(n_enrolled=pl.len(), n_passed=pl.col("passed").sum(), median=grade.median().round(6))
        .collect(engine="streaming")
    )


def outcomes_in_sql(*by: str) -> Way:
    """The same in SQL."""
    return sql(
        f"SELECT {', '.join(by)}, count(*) n_enrolled, count_if(passed) n_passed, "  # noqa: S608
        "round(quantile_cont(percent_grade, 0.5), 6) median FROM {rows} WHERE in_enrollments "
        "GROUP BY ALL"
    )


def progress(rows: object) -> pl.DataFrame:
    """Who was observed for k times 30 days, and who had passed by then, by cohort."""
    found = tk.cohort_progress(rows).frame.filter(pl.col("n_observed") > 0)
    return found.select("cohort", "period", "n_observed", "n_reached")


def progress_by_hand(path: str) -> pl.DataFrame:
    """The same in Polars."""
    cohort = pl.from_epoch("enrolled_day", time_unit="d").dt.truncate("1mo").alias("cohort")
    sums = []
    for k in range(1, 13):
        seen = pl.col("observed_days") >= 30 * k
        reached = seen & pl.col("passed") & (pl.col("days_to_pass") <= 30 * k)
        sums += [seen.sum().alias(f"n_observed {k}"), reached.sum().alias(f"n_reached {k}")]
    rows = pl.scan_parquet(path).filter("in_enrollments").group_by(cohort).agg(sums)
    wide = rows.collect(engine="streaming")
    parts = [
        wide.select(
            "cohort",
            pl.lit(k, pl.Int64).alias("period"),
            n_observed=f"n_observed {k}",
            n_reached=f"n_reached {k}",
        )
        for k in range(1, 13)
    ]
    return pl.concat(parts).filter(pl.col("n_observed") > 0)


def survival(rows: object) -> pl.DataFrame:
    """Kaplan–Meier by course."""
    found = tk.kaplan_meier(rows, by="course_id").frame
    return found.filter(pl.col("n_events") > 0).select("course_id", "duration", "survival")


def curve(counted: pl.DataFrame) -> pl.DataFrame:
    """The product over the days of each course."""
    still = pl.col("n").cum_sum(reverse=True).over("course_id")
    return (
        counted.with_columns(pl.col("n", "d").cast(pl.Int64))
        .sort("course_id", "duration")
        .with_columns(survival=(1 - pl.col("d") / still).cum_prod().over("course_id"))
        .filter(pl.col("d") > 0)
        .select("course_id", "duration", "survival")
    )


def survival_by_hand(path: str) -> pl.DataFrame:
    """The same in Polars."""
    rows = pl.scan_parquet(path).group_by("course_id", "duration")
    return curve(rows.agg(n=pl.len(), d=pl.col("event").sum()).collect(engine="streaming"))


MONTH = pl.from_epoch("enrolled_day", time_unit="d").dt.truncate("1mo").alias("enrolled_month")
SQL_MONTH = "date_trunc('month', DATE '1970-01-01' + enrolled_day)::DATE"
SQL_CURVE = sql(
    "SELECT course_id, duration, count(*) n, count_if(event) d FROM {rows} GROUP BY ALL"
)
SQL_PROGRESS = sql(
    f"SELECT {SQL_MONTH} cohort, k period, count(*) n_observed, "  # noqa: S608
    "count_if(passed AND days_to_pass <= 30 * k) n_reached FROM {rows}, "
    "generate_series(1, 12) t(k) WHERE in_enrollments AND observed_days >= 30 * k GROUP BY ALL"
)
CASES: dict[str, tuple[Callable[[object], pl.DataFrame], Way, Way]] = {
    "outcomes by course": (
        outcomes(["course_id"]),
        outcomes_by_hand(pl.col("course_id")),
        outcomes_in_sql("course_id"),
    ),
    "outcomes by course and month": (
        outcomes(["course_id", "enrolled_month"]),
        outcomes_by_hand(pl.col("course_id"), MONTH),
        outcomes_in_sql("course_id", f"{SQL_MONTH} enrolled_month"),
    ),
    "cohort progress": (progress, progress_by_hand, SQL_PROGRESS),
    "Kaplan–Meier by course, in days": (
        survival,
        survival_by_hand,
        lambda path: curve(SQL_CURVE(path)),
    ),
}


def ways(case: str) -> dict[str, Way]:
    """The four ways to the figures of a case."""
    analysis, polars, duck = CASES[case]
    return {
        "toolkit, Polars": in_polars(analysis),
        "toolkit, DuckDB": in_duckdb(analysis),
        "by hand, Polars": polars,
        "by hand, DuckDB": duck,
    }


def child(case: str, way: str, path: str, answer: str, cap: float) -> None:
    """Compute one cell; print its seconds and its peak memory in MB."""
    if cap:
        most = int(cap * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    tk.outcomes, tk.cohort_progress, tk.kaplan_meier  # noqa: B018  # imported when first named
    begun = time.perf_counter()
    found = ways(case)[way](path)
    seconds = time.perf_counter() - begun
    found.write_parquet(answer)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(seconds, int(status.split("VmHWM:")[1].split()[0]) / 1e3)


def cell(case: str, way: str, folder: Path, cap: float) -> tuple[float, float, pl.DataFrame] | None:
    """Seconds, megabytes and result of one process; None where it ran out of memory."""
    answer = folder / "answer"
    command = [sys.executable, "-m", "benchmarks.scale", "--cell", case, way]
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
    seconds, megabytes = map(float, done.stdout.split())
    found = pl.read_parquet(answer)
    whole = [
        name for name, dtype in found.schema.items() if dtype.is_integer() or dtype.is_decimal()
    ]
    keys = [name for name in found.columns if name in ("course_id", "enrolled_month", "cohort")]
    keys += [name for name in ("period", "duration") if name in found.columns]
    return seconds, megabytes, found.with_columns(pl.col(whole).cast(pl.Int64)).sort(keys)


def main(most: int = 10_000_000, cap: float = 0) -> None:
    """Print one table: seconds and megabytes by way, for each analysis and number of rows."""
    sizes = [10**e for e in range(5, 9) if 10**e <= most]
    spent: dict[tuple[str, str, int], float] = {}
    print(f"{'analysis':34}{'rows':>6}" + "".join(f"{way:>22}" for way in ways(next(iter(CASES)))))
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), n)
            for case in CASES:
                told, right = f"{case:34}{f'1e{round(math.log10(n))}':>6}", None
                for way in ways(case):
                    measured = cell(case, way, Path(folder), cap)
                    if measured is None:
                        told += f"{'out of memory':>22}"
                        continue
                    seconds, megabytes, found = measured
                    spent[case, way, n] = seconds
                    told += f"{seconds:>10.2f} s{megabytes:>7.0f} MB"
                    right = found if right is None else right
                    assert_frame_equal(found, right, rel_tol=1e-9, abs_tol=1e-9)
                print(told, flush=True)
    for case in CASES if len(sizes) > 1 else ():
        exponents = (
            math.log10(spent[case, way, sizes[-1]] / spent[case, way, sizes[-2]])
            for way in ways(case)
            if (case, way, sizes[-1]) in spent and (case, way, sizes[-2]) in spent
        )
        print(f"{case:34} exponent" + "".join(f"{one:>22.2f}" for one in exponents))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000_000, help="the largest number of rows")
    parser.add_argument("--cap", type=float, default=0, help="gigabytes that a process may have")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        child(*options.cell, options.cap)
    else:
        main(options.most, options.cap)
