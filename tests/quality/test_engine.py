"""The Polars engine beside Great Expectations' own pandas engine, and as GX's users use it."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import toolkit.quality  # isort: skip

import great_expectations as gx
import pandas as pd
import polars as pl
import pytest
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.row_conditions import Column
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk

E = gx.expectations
ASKED = [
    E.ExpectTableRowCountToBeBetween(min_value=1, max_value=5),
    E.ExpectTableColumnCountToEqual(value=6),
    E.ExpectTableColumnsToMatchSet(column_set=["text", "other", "x", "y", "at", "then"]),
    E.ExpectColumnValuesToNotBeNull(column="text"),
    E.ExpectColumnValuesToNotBeNull(column="x", mostly=0.5),
    E.ExpectColumnValuesToBeNull(column="y"),
    E.ExpectColumnValuesToBeBetween(column="x", min_value=0, max_value=1),
    E.ExpectColumnValuesToBeBetween(column="x", min_value=0, strict_min=True, mostly=0.6),
    E.ExpectColumnValuesToBeBetween(column="at", max_value=datetime(2026, 1, 2, tzinfo=UTC)),
    E.ExpectColumnValuesToBeInSet(column="text", value_set=["a", "b"]),
    E.ExpectColumnValuesToNotBeInSet(column="text", value_set=["b", ""]),
    E.ExpectColumnValuesToMatchRegex(column="text", regex="^a"),
    E.ExpectColumnValuesToNotMatchRegex(column="text", regex="b$"),
    E.ExpectColumnValueLengthsToBeBetween(column="text", min_value=1, max_value=2),
    E.ExpectColumnValueLengthsToEqual(column="text", value=1),
    E.ExpectColumnValuesToBeUnique(column="text"),
    E.ExpectColumnValuesToBeUnique(column="x"),
    E.ExpectCompoundColumnsToBeUnique(column_list=["text", "other"]),
    E.ExpectCompoundColumnsToBeUnique(
        column_list=["text", "x"], ignore_row_if="any_value_is_missing"
    ),
    E.ExpectCompoundColumnsToBeUnique(column_list=["text", "x"], ignore_row_if="never"),
    E.ExpectColumnPairValuesAToBeGreaterThanB(column_A="x", column_B="y", or_equal=True),
    E.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="at", column_B="then", ignore_row_if="either_value_is_missing"
    ),
    E.ExpectColumnPairValuesToBeEqual(
        column_A="text", column_B="other", ignore_row_if="either_value_is_missing"
    ),
    E.ExpectColumnMaxToBeBetween(column="x", min_value=-1, max_value=1),
    E.ExpectColumnMinToBeBetween(column="x", min_value=0),
    E.ExpectColumnMeanToBeBetween(column="x", min_value=0, max_value=1),
    E.ExpectColumnSumToBeBetween(column="x", min_value=0, max_value=2),
    *(
        E.ExpectColumnValuesToNotBeNull(column="y", row_condition=condition)
        for condition in (
            Column("text").is_null(),
            Column("x").is_not_null(),
            Column("x") > 0,
            Column("text") != "a",
            (Column("x") <= 1) & Column("text").is_not_null(),
            (Column("x") == 1) | (Column("text") == "b"),
            Column("text").is_in(["a", "b"]),
            Column("text").is_not_in(["a"]),
        )
    ),
]

TEXT = st.none() | st.sampled_from(["a", "b", "ab", ""])
NUMBER = st.none() | st.sampled_from([0.0, 0.5, 1.0, 80.0, -0.0, math.nan])
MOMENT = st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)])
SCHEMA = {
    "text": pl.String,
    "other": pl.String,
    "x": pl.Float64,
    "y": pl.Float64,
    "at": pl.Datetime("us", "UTC"),
    "then": pl.Datetime("us", "UTC"),
}
ROWS = st.lists(st.tuples(TEXT, TEXT, NUMBER, NUMBER, MOMENT, MOMENT), min_size=0, max_size=30)


@pytest.fixture(scope="module")
def context() -> Iterator[gx.data_context.EphemeralDataContext]:
    """A GX context as a user makes one."""
    made = gx.get_context(mode="ephemeral")
    made.variables.progress_bars = ProgressBarsConfig(globally=False)
    made.suites.add(gx.ExpectationSuite("asked", expectations=ASKED))
    for name, source, asset in (
        ("polars", made.data_sources.add_polars("polars"), "add_frame_asset"),
        ("pandas", made.data_sources.add_pandas("pandas"), "add_dataframe_asset"),
    ):
        batch = getattr(source, asset)("frame").add_batch_definition("whole")
        definition = gx.ValidationDefinition(name=name, data=batch, suite=made.suites.get("asked"))
        made.validation_definitions.add(definition)
    yield made
    project_manager.set_project(None)


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    columns = {}
    for name, dtype in frame.schema.items():
        values = frame[name].to_list()
        if isinstance(dtype, pl.Datetime):
            columns[name] = pd.Series(pd.to_datetime(values, utc=True), dtype="datetime64[ns, UTC]")
        else:
            columns[name] = pd.Series(values, dtype="float64" if dtype.is_float() else "object")
    return pd.DataFrame(columns)


def verdicts(context: Any, name: str, frame: Any) -> list[tuple[Any, ...]]:
    result = context.validation_definitions.get(name).run(
        batch_parameters={"dataframe": frame}, result_format="BASIC"
    )
    found = []
    for one in result.results:
        assert not one.exception_info.get("raised_exception"), one
        counts = (one.result.get(k) for k in ("element_count", "missing_count", "unexpected_count"))
        observed = one.result.get("observed_value")
        if isinstance(observed, float):
            observed = None if math.isnan(observed) else round(observed, 9)
        if isinstance(observed, list):
            observed = sorted(observed)
        kwargs = {k: v for k, v in one.expectation_config.kwargs.items() if k != "batch_id"}
        found.append((one.expectation_config.type, repr(kwargs), one.success, *counts, observed))
    return sorted(found, key=lambda one: one[:2])


def agree(context: Any, rows: list[tuple[Any, ...]], *, lazy: bool) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    ours = verdicts(context, "polars", frame.lazy() if lazy else frame)
    assert ours == verdicts(context, "pandas", as_pandas(frame))


@settings(max_examples=4)
@given(rows=ROWS, lazy=st.booleans())
def test_verdicts_and_counts_are_those_of_the_pandas_engine(
    context: Any, rows: Any, lazy: bool
) -> None:
    agree(context, rows, lazy=lazy)


@pytest.mark.slow
@settings(max_examples=30)
@given(rows=ROWS, lazy=st.booleans())
def test_verdicts_and_counts_are_those_of_the_pandas_engine_often(
    context: Any, rows: Any, lazy: bool
) -> None:
    agree(context, rows, lazy=lazy)


SECRETIVE = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append((event, args)) if event.startswith("socket.")
                 and event not in {"socket.__new__", "socket.bind", "socket.gethostname"} else None)
import polars as pl, toolkit as tk
grades = pl.DataFrame({"username": ["zora", "zora"], "course_id": ["c", "c"]})
report = tk.check(grades=grades)
report.to_html(sys.argv[1])
assert not report.ok
assert asked == [], asked
assert "pandas" in sys.modules  # Great Expectations was really there
"""


@pytest.mark.slow
def test_nothing_is_contacted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECRETIVE, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_data_docs_ask_a_browser_for_nothing(tmp_path: Path) -> None:
    faulty = pl.DataFrame({"username": ["zora"] * 2, "course_id": ["<script>1</script>"] * 2})
    index = tk.check(grades=faulty).to_html(tmp_path)
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert index.name in pages
    assert set(pages) == {"index.html", "grades.html"}
    for text in pages.values():
        assert "default-src 'none'" in text
        assert not re.findall(r"<script|<link|<img|<iframe|@import|url\(|//", text)
        assert "zora" not in text
    assert "a learner has one record in a course" in pages["grades.html"]


def test_a_checkpoint_runs_on_polars_frames_and_builds_data_docs(
    context: Any, tmp_path: Path
) -> None:
    site = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(tmp_path)}
    context.add_data_docs_site(
        site_name="ours",
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": site,
        },
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="checkpoint",
            validation_definitions=[context.validation_definitions.get("polars")],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["ours"])],
        )
    )
    frame = pl.DataFrame([("a", "b", 0.5, 0.2, None, None)], schema=SCHEMA, orient="row")
    result = checkpoint.run(batch_parameters={"dataframe": frame})
    assert result.success is False
    assert (tmp_path / "index.html").exists()
    context.delete_data_docs_site("ours")


def test_a_suite_of_ones_own_is_asked_too_and_survives_json() -> None:
    suite = gx.ExpectationSuite(
        "grades", expectations=[E.ExpectColumnValuesToBeInSet(column="course_id", value_set=["c"])]
    )
    read = gx.ExpectationSuite(**json.loads(json.dumps(suite.to_json_dict())))
    grades = pl.DataFrame({"username": ["zora", "yan"], "course_id": ["c", "d"]})
    report = tk.check(grades=grades, suites=[read])
    own = next(o for o in report.outcomes if o.check == "column_values_to_be_in_set")
    assert (own.severity, own.status, own.n_unexpected) == ("critical", "failed", 1)
    assert report.failures.filter(check=own.check)["username"].to_list() == ["yan"]
    with pytest.raises(tk.errors.QualityError, match="must be named after a frame that is checked"):
        tk.check(grades=grades, suites=[gx.ExpectationSuite("courses")])


BETWEEN = "expect_column_values_to_be_between"
LOST: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"type": "expect_column_values_to_be_betwen", "kwargs": {}}, "betwen"),
    "severity": (
        {"type": BETWEEN, "kwargs": {"column": "x", "max_value": 1}, "severity": "error"},
        "severity 'error'",
    ),
    "no column": ({"type": BETWEEN, "kwargs": {"max_value": 1}}, "column"),
}


@pytest.mark.parametrize(("wrong", "why"), LOST.values(), ids=LOST)
def test_a_file_with_an_expectation_that_would_be_left_out_is_refused(
    wrong: dict[str, Any], why: str, tmp_path: Path
) -> None:
    right = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "username"}}
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({"name": "grades", "expectations": [right, wrong]}))
    with pytest.raises(tk.errors.QualityError, match=re.escape(why)):
        tk.check(grades=pl.DataFrame({"username": ["zora"]}), suites=[path])


def test_a_suite_that_needs_another_parameter_is_refused_with_those_there_are() -> None:
    def late(name: str) -> gx.ExpectationSuite:
        between = E.ExpectColumnValuesToBeBetween(column="at", max_value={"$PARAMETER": name})
        return gx.ExpectationSuite("grades", expectations=[between])

    moments = pl.Series([datetime(2026, 1, 2, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC"))
    grades = pl.DataFrame({"username": ["zora"], "at": moments})
    with pytest.raises(tk.errors.QualityError, match="'latest_moment'; this run has problem_limit"):
        tk.check(grades=grades, suites=[late("latest_moment")])
    with pytest.raises(tk.errors.QualityError, match="'latest'; this run has"):
        tk.check(grades=grades, suites=[late("latest")], as_of="2026-01-03")
    found = tk.check(grades=grades, suites=[late("latest_moment")], as_of="2026-01-03").outcomes
    assert [o.status for o in found if o.check == "column_values_to_be_between"] == ["passed"]


def test_what_cannot_be_computed_is_a_failure_that_says_why() -> None:
    suite = gx.ExpectationSuite(
        "grades",
        expectations=[
            E.ExpectColumnValuesToMatchRegex(column="username", regex="("),
            E.ExpectColumnValuesToNotBeNull(column="nowhere", severity="info"),
        ],
    )
    grades = pl.DataFrame({"username": ["zora"], "course_id": ["course-v1:Org+CS+R1"]})
    found = tk.check(grades=grades, suites=[suite]).failed()
    assert [(o.check, o.severity) for o in found if o.check != "columns"] == [
        ("column_values_to_match_regex", "critical"),
        ("column_values_to_not_be_null", "info"),
    ]
    assert "no column `nowhere`" in found[-1].detail
    assert "regex" in found[-2].detail


@pytest.mark.parametrize(
    "dtype", [pl.Float64, pl.Float32, pl.Int64, pl.Int8, pl.UInt32, pl.Decimal(10, 2)], ids=str
)
@pytest.mark.parametrize("members", [[0, 1], [0.0, 1.0], [0, 0.5], [0.5], [1], [1.0, None], [300]])
@pytest.mark.parametrize("lazy", [False, True])
def test_a_number_is_in_a_set_of_numbers_of_any_type(
    context: Any, dtype: Any, members: list[float | None], lazy: bool
) -> None:
    frame = pl.DataFrame({"x": pl.Series([0, 1, 2, None]).cast(dtype)})
    source = context.data_sources.get("polars").get_asset("frame").get_batch_definition("whole")
    batch = source.get_batch({"dataframe": frame.lazy() if lazy else frame})
    n_in = sum(value in members for value in (0, 1, 2))
    for expectation, n_unexpected in (
        (E.ExpectColumnValuesToBeInSet(column="x", value_set=members), 3 - n_in),
        (E.ExpectColumnValuesToNotBeInSet(column="x", value_set=members), n_in),
        (
            E.ExpectColumnValuesToBeNull(
                column="x", row_condition=Column("x").is_in([m for m in members if m is not None])
            ),
            n_in,
        ),
    ):
        assert batch.validate(expectation).result["unexpected_count"] == n_unexpected


def test_the_guide_says_what_a_suite_may_expect() -> None:
    suite = gx.ExpectationSuite(
        "grades",
        expectations=[
            E.ExpectColumnMedianToBeBetween(column="percent_grade", min_value=0),
            E.ExpectColumnStdevToBeBetween(column="percent_grade", min_value=0),
            E.ExpectColumnUniqueValueCountToBeBetween(column="username", min_value=2),
            E.ExpectColumnQuantileValuesToBeBetween(
                column="percent_grade",
                quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 1]]},
            ),
            E.ExpectColumnTypeToBe(column="username", type_="String"),
            E.ExpectColumnValuesToBeOfType(column="username", type_="String"),
        ],
    )
    grades = pl.DataFrame({"username": ["u", "v"], "percent_grade": [0.5, 0.6]})
    report = tk.check(grades=grades, suites=[suite])
    own = [one for one in report.outcomes if one.check.startswith("column_")]
    assert {one.check: one.status for one in own} == {
        "column_median_to_be_between": "passed",
        "column_stdev_to_be_between": "passed",
        "column_unique_value_count_to_be_between": "passed",
        "column_quantile_values_to_be_between": "failed",
        "column_type_to_be": "failed",
        "column_values_to_be_of_type": "failed",
    }
    for one in (one for one in own if one.status == "failed"):
        assert one.detail.startswith("not computed: ")
        assert len(one.detail) > 30  # a reason


def test_the_callers_own_context_stays_current(context: Any) -> None:
    project_manager.set_project(context)
    tk.check(grades=pl.DataFrame({"username": ["zora"], "course_id": ["c"]}))
    assert project_manager.get_current_project() is context
