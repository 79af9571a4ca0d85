"""Fifteen checks on a million grades: Great Expectations on Polars and on pandas, and plain Polars.

Each contestant runs in a process of its own, on the same file; the frame is in memory before the
clock starts. Memory is the highest resident size of the process, imports and frame included, and
again without the imports.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import Bar, peak_megabytes

RECORDS, RUNS = 1_000_000, 5
AS_OF = datetime(2026, 1, 31, tzinfo=UTC)
COURSE_ID = r"^course-v1:[^+]+\+[^+]+\+[^+]+$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


def main() -> list[Bar]:
    """Measure the three and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grades.parquet"
        make_grades(RECORDS).write_parquet(path)
        subprocess.run([sys.executable, "-m", "benchmarks.quality", "prepare", path], check=True)
        found = {name: measured(name, path) for name in ("toolkit", "pandas", "polars")}
    ours, pandas, plain = found["toolkit"], found["pandas"], found["polars"]
    print(f"15 checks on {RECORDS:,} grades (median of {RUNS} runs)")
    for name, one in found.items():
        print(f"  {name:8} {one['seconds']:7.3f} s {one['megabytes']:7.0f} MB")
    without_imports = [one["megabytes"] - one["imports"] for one in (ours, pandas)]
    print(f"  the imports are {ours['imports']:.0f} MB in both; without them, the share of pandas'")
    print(f"  memory is {without_imports[0] / without_imports[1]:.2f}")
    assert ours["unexpected"] == pandas["unexpected"] == plain["unexpected"]
    return [
        Bar("faster than pandas", pandas["seconds"] / ours["seconds"], "≥", 6),
        Bar("time beside plain Polars", ours["seconds"] / plain["seconds"], "≤", 2),
        Bar("share of pandas' memory", ours["megabytes"] / pandas["megabytes"], "≤", 0.5),
    ]


def make_grades(n: int) -> pl.DataFrame:
    """Draw grades of learners in five courses, one in a thousand records with a fault."""
    rng = np.random.default_rng(7)
    number = pl.int_range(n, eager=True)
    passed = pl.Series(rng.random(n) < 0.4)
    second = pl.Series(rng.integers(0, 10**15, n) % (365 * 86_400 * 10**6))
    frame = pl.DataFrame(
        {
            "username": pl.select(pl.format("learner{}", number // 5)).to_series(),
            "course_id": pl.select(pl.format("course-v1:Org+CS{}+2025", number % 5)).to_series(),
            "display_name": pl.select(pl.format("Course {}", number % 5)).to_series(),
            "percent_grade": np.round(rng.random(n), 2),
            "passed_timestamp": (AS_OF - timedelta(days=400) + second.cast(pl.Duration("us"))),
        }
    )
    fault = number % 1000 == 7
    return frame.select(
        "username",
        email=pl.col("username")
        + pl.when(fault).then(pl.lit("")).otherwise(pl.lit("@example.com")),
        course_id="course_id",
        display_name="display_name",
        percent_grade=pl.when(fault).then(80.0).otherwise("percent_grade"),
        letter_grade=pl.when(passed).then(pl.lit("Pass")),
        passed_timestamp=pl.when(passed & ~fault).then("passed_timestamp"),
        last_date=pl.col("passed_timestamp").dt.offset_by("1d"),
    )


def measured(name: str, path: Path) -> dict[str, Any]:
    """Run a contestant in its own process."""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.quality", name, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def contest(name: str, path: str) -> None:
    """Print a contestant's median seconds, peak megabytes, and the sum of unexpected counts."""
    if name != "polars":
        import toolkit.quality  # noqa: F401  (both run under Great Expectations, so both import it)
    imports = peak_megabytes()
    run = {"toolkit": toolkit_run, "pandas": pandas_run, "polars": polars_run}[name](path)
    run()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        unexpected = run()
        seconds.append(time.perf_counter() - start)
    peak = peak_megabytes()
    answer = {"seconds": statistics.median(seconds), "megabytes": peak, "unexpected": unexpected}
    answer["imports"] = imports
    print(json.dumps(answer))


def suite() -> Any:
    """Return the fifteen checks as an ordinary suite, which both engines run."""
    import great_expectations as gx
    from great_expectations.expectations.row_conditions import Column

    e = gx.expectations
    return gx.ExpectationSuite(
        "grades",
        expectations=[
            e.ExpectTableRowCountToBeBetween(min_value=1),
            e.ExpectColumnValuesToNotBeNull(column="username"),
            e.ExpectColumnValuesToNotBeNull(column="course_id"),
            e.ExpectColumnValuesToNotBeNull(column="display_name"),
            e.ExpectColumnValuesToNotBeNull(column="percent_grade"),
            e.ExpectColumnValuesToNotBeNull(column="last_date"),
            e.ExpectCompoundColumnsToBeUnique(column_list=["username", "course_id"]),
            e.ExpectColumnValuesToMatchRegex(column="course_id", regex=COURSE_ID),
            e.ExpectColumnValuesToMatchRegex(column="email", regex=EMAIL),
            e.ExpectColumnValuesToBeBetween(column="percent_grade", min_value=0, max_value=1),
            e.ExpectColumnValuesToBeInSet(column="letter_grade", value_set=["Pass"]),
            e.ExpectColumnValuesToNotBeNull(
                column="passed_timestamp",
                row_condition=Column("letter_grade").is_not_null(),
            ),
            e.ExpectColumnValuesToNotBeNull(
                column="letter_grade",
                row_condition=Column("passed_timestamp").is_not_null(),
            ),
            e.ExpectColumnValuesToBeBetween(column="passed_timestamp", max_value=AS_OF),
            e.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="last_date",
                column_B="passed_timestamp",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
        ],
    )


def toolkit_run(path: str) -> Callable[[], int]:
    """Run Great Expectations on Polars."""
    import great_expectations as gx

    import toolkit.quality  # noqa: F401

    return validation(gx.get_context(mode="ephemeral"), "add_polars", pl.read_parquet(path))


def pandas_run(path: str) -> Callable[[], int]:
    """Run Great Expectations on pandas."""
    import great_expectations as gx
    import pandas as pd

    return validation(
        gx.get_context(mode="ephemeral"),
        "add_pandas",
        pd.read_pickle(f"{path}.pickle"),  # noqa: S301
    )


def validation(context: Any, add: str, frame: Any) -> Callable[[], int]:
    """Return the suite's validation on a frame."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = getattr(context.data_sources, add)("source")
    asset = getattr(source, "add_frame_asset", getattr(source, "add_dataframe_asset", None))("a")
    if add == "add_pandas":
        batch = asset.add_batch_definition_whole_dataframe("whole")
    else:
        batch = asset.add_batch_definition("whole")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="v", data=batch, suite=context.suites.add(suite()))
    )

    def run() -> int:
        result = definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY")
        assert len(result.results) == 15
        assert not any(one.exception_info.get("raised_exception") for one in result.results)
        return sum(one.result.get("unexpected_count") or 0 for one in result.results)

    return run


def polars_run(path: str) -> Callable[[], int]:
    """Return the same fifteen counts, written by hand, with examples of what fails."""
    frame = pl.read_parquet(path).lazy()
    letter, passed = pl.col("letter_grade"), pl.col("passed_timestamp")
    grade, last = pl.col("percent_grade"), pl.col("last_date")
    unexpected = [
        pl.col("username").is_null(),
        pl.col("course_id").is_null(),
        pl.col("display_name").is_null(),
        grade.is_null(),
        last.is_null(),
        ~pl.col("course_id").str.contains(COURSE_ID),
        ~pl.col("email").str.contains(EMAIL),
        ~grade.is_between(0, 1),
        ~letter.is_in(["Pass"]),
        letter.is_not_null() & passed.is_null(),
        passed.is_not_null() & letter.is_null(),
        passed > AS_OF,
        last < passed,
    ]

    def run() -> int:
        counts = frame.select(
            pl.len().alias("n"), *(u.sum().alias(str(i)) for i, u in enumerate(unexpected))
        )
        repeated = frame.group_by("username", "course_id").len().filter(pl.col("len") > 1)
        one, other = pl.collect_all([counts, repeated.select(pl.col("len").sum())])
        found = one.row(0)[1:]
        failing = [u for u, n in zip(unexpected, found, strict=True) if n]
        pl.collect_all([frame.filter(u).head(20) for u in failing])
        return int(sum(found) + other.item())

    return run


def prepare(path: str) -> None:
    """Write the grades as a pandas frame, with strings as pandas reads them."""
    import pandas as pd

    frame = pl.read_parquet(path)
    columns = {}
    for name in frame.columns:
        column = frame[name]
        is_moment = isinstance(column.dtype, pl.Datetime)
        plain = column.dt.replace_time_zone(None).to_numpy() if is_moment else column.to_list()
        columns[name] = pd.Series(plain).dt.tz_localize("UTC") if is_moment else pd.Series(plain)
    pd.DataFrame(columns).to_pickle(f"{path}.pickle")


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2])
    else:
        contest(*sys.argv[1:])
