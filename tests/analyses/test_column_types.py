"""The same rows give the same figures in columns of other types."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk

ANALYSES: dict[str, Callable[[object], pl.DataFrame]] = {
    "outcomes": lambda pc: tk.outcomes(pc, by=["mode", "enrolled_month"]).frame,
    "grades": lambda pc: tk.grade_distribution(pc, by="course_id").frame,
    "progress": lambda pc: tk.cohort_progress(pc).frame,
    "comparison": lambda pc: tk.compare_groups(pc, by="mode").pairs.frame,
    "clusters": lambda pc: tk.outcomes(pc, by="mode", cluster="username").frame,
    "curve": lambda pc: tk.kaplan_meier(tk.time_to_pass(pc), by="mode").frame,
}
TEXTS = pl.col("mode", "course_id")
NUMBERS = pl.col("percent_grade", "completion")
MOMENTS = pl.col("created", "passed_timestamp")
COLUMNS = {
    "numbered learners": pl.col("username").rank("dense").cast(pl.Int64),
    "hashed learners": pl.col("username").hash(),
    "categories": TEXTS.cast(pl.Categorical),
    "single precision": NUMBERS.cast(pl.Float32),
    "decimals": NUMBERS.cast(pl.Decimal(10, 6)),
    "nanoseconds": MOMENTS.dt.cast_time_unit("ns"),
    "milliseconds": MOMENTS.dt.cast_time_unit("ms"),
    "no zone": MOMENTS.dt.replace_time_zone(None),
    "another zone": MOMENTS.dt.convert_time_zone("Asia/Tokyo"),
    "long days": pl.col("enrolled_day").cast(pl.Int64),
}
TIMES = [
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "TIMESTAMPTZ",
    "TIMESTAMPTZ_NS",
]


@pytest.fixture(scope="module")
def study() -> tk.Study:
    """Records whose moments are whole seconds."""
    with tk.sandbox(learners=200, seed=5) as platform:
        loaded = tk.load_study(platform)
    seconds = pl.col(pl.Datetime).dt.truncate("1s")
    return replace(
        loaded,
        grades=loaded.grades.with_columns(seconds),
        enrollments=loaded.enrollments.with_columns(seconds),
    )


def in_duckdb(frame: pl.DataFrame, path: Path) -> object:
    frame.write_parquet(path)
    return duckdb.read_parquet(str(path))


PUTS = {
    "Polars": lambda frame, _: frame,
    "DuckDB": in_duckdb,
}


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_types_of_columns_make_no_difference(
    columns: pl.Expr,
    put: Callable[[pl.DataFrame, Path], object],
    study: tk.Study,
    tmp_path: Path,
) -> None:
    stored = put(study.person_course.with_columns(columns), tmp_path / "stored.parquet")
    for analyse in ANALYSES.values():
        right = analyse(study.person_course)
        found = analyse(stored).cast(dict(right.schema))
        assert_frame_equal(found, right, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("time", TIMES)
def test_times_of_duckdb_make_no_difference(time: str, study: tk.Study, tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    resources = {}
    for name in ("grades", "enrollments", "completion"):
        frame = getattr(study, name)
        frame.write_parquet(tmp_path / f"{name}.parquet")
        rows = connection.read_parquet(f"{tmp_path}/{name}.parquet")
        moments = [column.name for column in frame if column.dtype == pl.Datetime]
        stored = {
            moment: duckdb.ColumnExpression(moment)
            .cast("TIMESTAMPTZ" if "TZ" in time else "TIMESTAMP")
            .cast(time)
            .alias(moment)
            for moment in moments
        }
        rows.select(duckdb.StarExpression(exclude=moments), *stored.values()).create(name)
        resources[name] = connection.table(name)
    connection.execute("SET TimeZone = 'America/Los_Angeles'")
    pc = tk.person_course(**resources, as_of=study.as_of)
    for analyse in ANALYSES.values():
        right = analyse(study.person_course)
        assert_frame_equal(analyse(pc).cast(dict(right.schema)), right, rel_tol=1e-9, abs_tol=1e-9)
    if "TZ" in time:  # a check tells a column without a zone by its type
        checked = {name: getattr(study, name) for name in resources}
        report = tk.check(**resources, as_of=study.as_of)
        assert str(report) == str(tk.check(**checked, as_of=study.as_of))


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
@pytest.mark.parametrize("at_once", [10_000_000, 100])
def test_whole_numbers_beyond_64_bits_with_a_sign_are_groups(
    put: Callable[[pl.DataFrame, Path], object],
    at_once: int,
    study: tk.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toolkit.analyses.counting.MOST_AT_ONCE", at_once)
    large = study.person_course.with_columns(
        mode=pl.col("mode").replace_strict(
            {"audit": 1, "honor": 2**63, "verified": 2**64 - 1}, return_dtype=pl.UInt64
        )
    )
    found = tk.outcomes(put(large, tmp_path / "stored.parquet"), by="mode").frame
    right = tk.outcomes(study.person_course, by="mode").frame
    assert found["mode"].to_list() == [1, 2**63, 2**64 - 1]
    assert_frame_equal(found.drop("mode"), right.drop("mode"))
