"""The engine contract: every analysis gives the figures of eager Polars, or refuses the engine."""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.engines.cases import CASES, Case, Put, difference
from toolkit.engines.known_rows import AS_OF, faulty_resources
from toolkit.engines.verification import placing

# Tests leave a Java machine before its best compiler has paid; this halves their processor time.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

ZONES = ["America/Los_Angeles", "UTC", "Pacific/Auckland"]


def missing(what: str) -> NoReturn:
    """Skip, and fail where all engines are to be there."""
    told = f"{what} is not installed"
    pytest.fail(told) if os.environ.get("SO2_ALL_ENGINES") else pytest.skip(told)


def imported(module: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        missing(what)


@contextmanager
def lazy_polars() -> Iterator[Any]:
    yield pl.DataFrame.lazy


@contextmanager
def in_pandas() -> Iterator[Any]:
    yield lambda frame: pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


@contextmanager
def in_arrow() -> Iterator[Any]:
    yield imported("pyarrow", "PyArrow").table


@contextmanager
def in_duckdb(zone: str) -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        yield connection


@contextmanager
def ibis_over_duckdb(zone: str) -> Iterator[Any]:
    connection = imported("ibis", "Ibis").duckdb.connect()
    connection.raw_sql(f"SET TimeZone = '{zone}'")
    yield connection
    connection.disconnect()


@contextmanager
def ibis_over_postgresql(zone: str) -> Iterator[Any]:
    """A server of its own, which listens on a socket in its folder alone."""
    ibis = imported("ibis", "Ibis")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    if not found and not installed:
        missing("PostgreSQL")
    programs = Path(found).parent if found else installed[-1]
    owner = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="so2-pg-") as folder:

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, "-D", f"{folder}/data", *arguments],
                check=True, user=owner, cwd=folder, stdout=subprocess.DEVNULL,
            )  # fmt: skip

        if owner:
            shutil.chown(folder, owner)
        run("initdb", "-U", "so2", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "timezone": zone}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            connection = ibis.postgres.connect(host=folder, user="so2", database="postgres")
            yield connection
            connection.disconnect()
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


SPARK = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}


def require_java() -> None:
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        missing("Java")


@contextmanager
def in_spark(zone: str) -> Iterator[Any]:
    sql = imported("pyspark.sql", "PySpark")
    require_java()
    settings = {"spark.sql.session.timeZone": zone, "spark.ui.showConsoleProgress": "false"}
    settings |= SPARK
    session = sql.SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@contextmanager
def in_spark_connect(zone: str) -> Iterator[Any]:
    """A server of its own, on a free port of loopback."""
    connect = imported("pyspark.sql.connect.session", "PySpark with its extra `connect`")
    require_java()
    binding = {"address": "127.0.0.1", "port": "0"}
    settings = {f"spark.connect.grpc.binding.{name}": of for name, of in binding.items()} | SPARK
    options = [word for pair in settings.items() for word in ("--conf", "=".join(pair))]
    submit = Path(importlib.import_module("pyspark").__file__ or "").parent / "bin" / "spark-submit"
    with subprocess.Popen(
        [submit, "--master", "local[1]", *options, "--class",
         "org.apache.spark.sql.connect.service.SparkConnectServer"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            started = (re.search(r"server started at.*:(\d+)$", line) for line in server.stdout)
            port = next(found[1] for found in started if found)
            reader = threading.Thread(target=server.stdout.read)  # without one the server waits
            reader.start()
            builder = connect.SparkSession.builder.remote(f"sc://127.0.0.1:{port}")
            session = builder.config("spark.sql.session.timeZone", zone).getOrCreate()
            yield session
            session.stop()
            server.terminate()
            reader.join()
        finally:
            server.terminate()


@contextmanager
def ibis_over_clickhouse(zone: str) -> Iterator[Any]:
    """ClickHouse within this process."""
    ibis = imported("ibis", "Ibis")
    imported("chdb", "chDB")
    yield ibis.clickhouse.connect(
        host="", user="", interface="chdb", settings={"session_timezone": zone}
    )


# The slowest first: each is one worker's, from its start to its end.
ENGINES: dict[str, Any] = {
    "spark": partial(in_spark, ZONES[0]),
    "spark connect": partial(in_spark_connect, ZONES[0]),
    "ibis over postgresql": partial(ibis_over_postgresql, ZONES[0]),
    "ibis over duckdb": partial(ibis_over_duckdb, ZONES[0]),
    "ibis over clickhouse": partial(ibis_over_clickhouse, ZONES[0]),
    **{f"duckdb {zone}": partial(in_duckdb, zone) for zone in ZONES},
    "pandas": in_pandas,
    "pyarrow": in_arrow,
    "lazy": lazy_polars,
}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.engines, pytest.mark.xdist_group(name)])
        for name in ENGINES
    ],
    scope="module",
)
def put(request: pytest.FixtureRequest) -> Iterator[Put]:
    """Puts a frame into another engine, each frame once."""
    with ENGINES[request.param]() as engine, placing(engine) as place:
        placed: dict[int, tuple[pl.DataFrame, Any]] = {}  # a frame that is held keeps its id

        def once(frame: pl.DataFrame) -> Any:
            if id(frame) not in placed:
                placed[id(frame)] = frame, place(frame)
            return placed[id(frame)][1]

        yield once


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_an_engine_gives_the_figures_of_eager_polars(case: Case, put: Put) -> None:
    assert case.difference(put) is None


DOCS = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
def test_the_cell_of_the_docs_gives_the_same_figures_on_each_engine(put: Put) -> None:
    blocks = re.findall(r"^```.*\nrows = (.*)\n((?s:.*?))^```", DOCS.read_text(), re.MULTILINE)
    assert [source.partition(".")[0] for source, _ in blocks] == ["pl", "duckdb", "spark"]
    [cell] = {cell for _, cell in blocks}
    *above, last = cell.splitlines()
    with tk.sandbox(learners=500, seed=3) as platform:
        person_course = tk.load_study(platform).person_course

    def told(rows: Any) -> pl.DataFrame:
        names: dict[str, Any] = {"tk": tk, "rows": rows}
        exec("\n".join([*above, f"found = {last}"]), names)  # noqa: S102  # our own docs
        frame: pl.DataFrame = names["found"].frame
        return frame

    here = told(person_course)
    assert here.height > 1
    assert difference(told(put(person_course)), here) is None


NASTY = [case for case in CASES if case.kind == "nasty rows" and len(case.rows()) == 1]


@pytest.mark.parametrize("case", NASTY, ids=[case.analysis for case in NASTY])
def test_nan_in_a_file_without_nulls_is_no_number_in_duckdb(case: Case) -> None:
    with placing(duckdb.connect()) as place:  # DuckDB takes it for granted that none is in the file
        nan_counts_as_null(case, place)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
def test_nan_in_a_file_without_nulls_is_no_number_in_any_engine(put: Put) -> None:
    for case in NASTY:
        if case.analysis in ("outcomes", "cohort_progress"):
            nan_counts_as_null(case, put)


def nan_counts_as_null(case: Case, put: Put) -> None:
    [rows] = case.rows()
    found = case.call(put(rows.with_columns(pl.selectors.float().fill_null(float("nan")))))
    for there, here in zip(found, case.call(rows), strict=True):
        assert difference(there.frame, here.frame) is None


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
@pytest.mark.parametrize("kind", ["clean rows", "nasty rows"])
def test_paths_counted_in_parts_of_learners_are_those_of_all(
    kind: str, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    [case] = [case for case in CASES if (case.analysis, case.kind) == ("learner_paths", kind)]
    whole = case.call(*case.rows())
    monkeypatch.setattr("toolkit.analyses.paths.MOST_AT_ONCE", 500)
    in_parts = case.call(*map(put, case.rows()))
    for one, other in zip(in_parts, whole, strict=True):
        assert difference(one.frame, other.frame) is None


def named_as_examples(report: tk.quality.QualityReport) -> dict[str, list[tuple[Any, ...]]]:
    """The keys of the records that Great Expectations names of each failed check."""
    [found] = report.results
    named = {}
    for one in found.results:
        examples = one.result.get("partial_unexpected_index_list")
        if examples:
            keys = [(row["username"], row["course_id"]) for row in examples]
            named[one.expectation_config.meta["check"]] = keys
    return named


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
def test_a_check_names_failing_records_in_their_order_or_by_the_smallest_keys(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    quality = importlib.import_module("toolkit.quality.gx.engine")
    monkeypatch.setattr(quality.PolarsExecutionEngine, "_hide", lambda _, __, value: value)
    grades, key = faulty_resources()[0], ["username", "course_id"]
    here, there = (tk.check(grades=frame, as_of=AS_OF) for frame in (grades, put(grades)))
    failures = there.failures
    has_order = failures["record"].null_count() == 0
    of_check = ["check", *key]
    for report, found in ((here, here.failures), (there, failures)):
        assert found.height == sum(o.n_unexpected or 0 for o in report.failed())
    assert (
        failures.select(of_check)
        .sort(of_check)
        .equals(here.failures.select(of_check).sort(of_check))
    )
    by_key = here.failures.sort(key, nulls_last=True, maintain_order=True)
    assert named_as_examples(there) == {
        check: keys if has_order else by_key.filter(check=check).select(key).rows()[:5]
        for check, keys in named_as_examples(here).items()
    }


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
def test_nan_is_a_missing_value_where_no_value_is_null(put: Put) -> None:
    """DuckDB takes for granted that no value of such a column in Parquet files is NaN."""
    key = {"username": list("abcd"), "course_id": ["course-v1:Org+CS+R1"] * 4}
    for last, wrong in ((0.9, {}), (float("inf"), {"completion_range": 1})):
        seen = pl.DataFrame({**key, "completion": [float("nan"), 0.5, 0.7, last]})
        found = tk.check(completion=put(seen), as_of=AS_OF)
        failed = {one.check: one.n_unexpected for one in found.failed()}
        assert failed == {"completion_not_null": 1, **wrong}


def analyses_of_frames() -> set[str]:
    """The public functions that count the rows of an engine."""
    rooms: list[ModuleType] = [tk, tk.survival, tk.reports]
    # In a worker of pytest-xdist PySpark ends the process that imports Great Expectations.
    others = {"check", "quality"}
    functions = {
        name: getattr(room, name) for room in rooms for name in room.__all__ if name not in others
    }
    first = {
        name: next(iter(inspect.signature(function).parameters), "")
        for name, function in functions.items()
        if inspect.isfunction(function)
    }
    return {
        name for name, parameter in first.items() if parameter in {"pc", "durations", "history"}
    }


def test_every_analysis_is_in_the_matrix_on_clean_and_on_nasty_rows() -> None:
    kinds = {(case.analysis.partition(" ")[0], "nasty" in case.kind) for case in CASES}
    polars_alone = {"person_period", "sensitivity", "to_survival"}
    of_engines = (analyses_of_frames() - polars_alone) | {"person_course", "check"}
    assert {(name, nasty) for name in of_engines for nasty in (0, 1)} == kinds


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("few", [False, True], ids=["all rows", "few rows"])
def test_no_figure_is_nan(case: Case, few: bool) -> None:
    n = 400 if "within strata" in case.analysis else 1  # fewer in a stratum are refused
    for result in case.call(*(rows.head(n) if few else rows for rows in case.rows())):
        for shown in (result.frame, result.release().frame):
            floats = shown.select(pl.selectors.float())
            assert [one.name for one in floats if one.is_nan().any()] == []


WRONG: dict[str, tuple[Any, str]] = {
    "a row is lost": (lambda frame: frame[1:], "`n_records` is 1622 in row 0, not 1623"),
    "null is a group no more": (lambda frame: frame.drop_nulls("mode"), "of nasty rows"),
    "not known is true": (
        lambda frame: frame.with_columns(pl.col(pl.Boolean).fill_null(value=True)),
        "of nasty rows",
    ),
    "moments are read in another zone": (
        lambda frame: frame.with_columns(
            pl.col("^as_of$")
            .dt.convert_time_zone("America/Los_Angeles")
            .dt.replace_time_zone("UTC")
        ),
        "time_to_pass of clean rows",
    ),
    "a key is lost": (
        lambda frame: frame.with_columns(pl.col("^record_key$").shift()),
        "released, `",
    ),
    "NaN is a number": (
        lambda frame: frame.with_columns(pl.col(pl.Float64).fill_nan(1e3)),
        "nasty",
    ),
    "durations are of single precision": (
        lambda frame: frame.with_columns(pl.col("^duration$").cast(pl.Float32).cast(pl.Float64)),
        "kaplan_meier of clean durations",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("put", "told"), WRONG.values(), ids=WRONG)
def test_an_engine_with_other_figures_is_refused_by_name_of_figure(put: Put, told: str) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="differ from Polars") as refused:
        tk.engines.verify(put)
    assert told in str(refused.value)


def test_an_engine_that_fails_is_refused_with_its_error() -> None:
    def broken(frame: pl.DataFrame) -> Any:
        return frame.lazy().map_batches(lambda _: 1 / 0)

    with pytest.raises(
        tk.errors.ArgumentError, match=r"match_counts of clean rows \(.*division by zero"
    ):
        tk.engines.verify(broken)
    with pytest.raises(tk.errors.ArgumentError, match=r"a function that puts .*, not str"):
        tk.engines.verify("duckdb")


def test_some_analyses_are_verified_by_name() -> None:
    found = tk.engines.verify(pl.DataFrame.lazy, analyses=["outcomes", "exclusions"])
    assert set(found["analysis"]) == {"outcomes", "exclusions"}
    for wrong in (["outcome"], "outcomes", []):
        with pytest.raises(tk.errors.ArgumentError, match=r"analyses must be .*outcomes"):
            tk.engines.verify(pl.DataFrame.lazy, analyses=wrong)


def test_figures_are_equal_to_a_billionth_and_no_further() -> None:
    here = pl.DataFrame({"share": [0.5, float("nan"), None]})
    assert difference(here + 1e-12, here) is None
    assert difference(here + 1e-6, here) == "`share` is 0.500001 in row 0, not 0.5"
    assert difference(here.fill_nan(None), here) == "`share` is None in row 1, not nan"
    assert difference(here.head(2), here) == "it has 2 rows, not 3"
    assert difference(here.cast(pl.Float32), here) is not None


@pytest.mark.parametrize(
    "kind",
    [
        pd.DataFrame,
        pytest.param(
            lambda rows: imported("pyarrow", "PyArrow").table(rows), marks=pytest.mark.engines
        ),
    ],
)
def test_resources_in_memory_become_a_frame_of_polars(kind: Any) -> None:
    seen = {"username": ["u"], "course_id": ["course-v1:Org+CS+R1"], "completion": [0.25]}
    pc = tk.person_course(None, None, kind(seen), as_of="2026-01-01")
    assert isinstance(pc, pl.DataFrame)
    assert pc.select("org", "completion", "passed").rows() == [("Org", 0.25, False)]
    with in_pandas() as put:
        assert isinstance(tk.time_to_pass(put(pc)), pl.DataFrame)


def test_a_frame_of_another_engine_is_refused_by_name() -> None:
    with pytest.raises(
        tk.errors.ArgumentError, match=r"not decimal\.Decimal; .* polars\.scan_parquet"
    ):
        tk.outcomes(Decimal(1))
    for nothing in (7, "pc", None, {"a": [1]}, pl.Series([1])):
        with pytest.raises(tk.errors.ArgumentError, match="a frame of Polars"):
            tk.outcomes(nothing)


@pytest.mark.engines
def test_ibis_is_taken_over_the_databases_of_the_matrix_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ibis = imported("ibis", "Ibis")
    nowhere = ibis.table({"in_enrollments": "boolean"}, name="nowhere")
    monkeypatch.setattr(type(nowhere), "get_backend", lambda _: SimpleNamespace(name="sqlite"))
    with pytest.raises(tk.errors.ArgumentError, match=r"\.Table over sqlite; other engines"):
        tk.outcomes(nowhere)


@pytest.mark.engines
def test_pandas_columns_of_arrow_give_the_figures_of_polars() -> None:
    imported("pyarrow", "PyArrow")
    with tk.sandbox(learners=200, seed=5) as platform:
        pc = tk.load_study(platform).person_course
    of_arrow = pc.to_pandas(use_pyarrow_extension_array=True)
    for analyse in (
        lambda rows: tk.outcomes(rows, by=["mode", "enrolled_month"]),
        lambda rows: tk.kaplan_meier(tk.time_to_pass(rows), by="mode"),
    ):
        assert_frame_equal(analyse(of_arrow).frame, analyse(pc).frame, rel_tol=1e-9)


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of Ibis 12
def test_nanoseconds_are_read_over_ibis(tmp_path: Path) -> None:
    connection = imported("ibis", "Ibis").duckdb.connect()
    with tk.sandbox(learners=200, seed=5) as platform:
        pc = tk.load_study(platform).person_course
    fine = pc.with_columns(pl.col(pl.Datetime).dt.cast_time_unit("ns"))
    fine.write_parquet(tmp_path / "fine.parquet")
    stored = connection.read_parquet(tmp_path / "fine.parquet")
    found, right = (tk.kaplan_meier(tk.time_to_pass(rows), by="mode") for rows in (stored, pc))
    assert_frame_equal(found.frame, right.frame, rel_tol=1e-9)


def test_pandas_columns_of_the_same_name_are_refused() -> None:
    rows = pd.DataFrame([[True, 1, 2]], columns=["in_enrollments", "mode", "mode"])
    with pytest.raises(tk.errors.SchemaError, match="several columns of one name"):
        tk.outcomes(rows, by="mode")


def test_pandas_missing_values_are_null_whatever_they_are_written_as() -> None:
    rows = pd.DataFrame(
        {
            "in_enrollments": pd.array([True, True, None, True], dtype="boolean"),
            "passed": [True, None, True, False],
            "completion": pd.array([0.9, None, 0.5, 0.1], dtype="Float64"),
            "percent_grade": [np.nan, 0.2, 0.3, 0.4],
            "mode": pd.Categorical(["audit", None, "audit", "audit"]),
        }
    )
    table = tk.outcomes(rows, by="mode").frame
    assert table.select("mode", "n_not_enrolled", "n_enrolled", "n_passed", "n_graded").rows() == [
        (None, 0, 1, 0, 1),
        ("audit", 1, 2, 1, 1),
    ]
