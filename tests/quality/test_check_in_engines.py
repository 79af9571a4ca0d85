"""tk.check where the rows are: in DuckDB, and refused where the counts could be others."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import toolkit.quality  # isort: skip

import duckdb
import pandas as pd
import polars as pl
import pytest
from great_expectations import ExpectationSuite
from great_expectations import expectations as gxe
from great_expectations.expectations.row_conditions import Column

import toolkit as tk
from toolkit.engines.cases import Put
from toolkit.engines.known_rows import AS_OF, COURSES, faulty_resources, resources
from toolkit.engines.verification import placing
from toolkit.quality.gx.patterns import portable

STARTS = {COURSES[0]: "2025-10-01", COURSES[1]: "2024-02-01"}
NAMES = ("grades", "enrollments", "completion")


@pytest.fixture(scope="module")
def put() -> Iterator[Put]:
    """Puts rows into DuckDB, in a session far from UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        with placing(connection) as place:
            yield place


def named(frames: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(NAMES, frames, strict=True))


def told(report: tk.quality.QualityReport) -> list[tuple[Any, ...]]:
    return [
        (o.frame, o.check, o.status, o.n_checked, o.n_unexpected, o.expects)
        for o in report.outcomes
    ]


def test_every_check_fails_in_duckdb_as_in_polars(put: Put) -> None:
    frames = faulty_resources()
    problems = pl.DataFrame({"resource": ["grades"] * 9, "record": [0] * 9, "column": ["x"] * 9})
    options: dict[str, Any] = {"as_of": AS_OF, "course_starts": STARTS, "problems": problems}
    here = tk.check(**named(frames), **options)
    there = tk.check(**named(map(put, frames)), **options)
    assert told(there) == told(here)
    failed = {(o.frame, o.check) for o in here.failed()}
    asked = {(frame, check.name) for frame in here._frames for check in tk_checks(frame)}
    assert asked - failed == {(frame, name) for frame in NAMES for name in ("columns", "rows")}
    for report in (here, there):
        assert len(report.released) == len(report.outcomes)
    columns = ["frame", "check", "username", "course_id"]
    in_order = [report.failures.select(columns).sort(columns) for report in (here, there)]
    assert in_order[0].equals(in_order[1])
    assert there.failures.filter(pl.col("frame") != "problems")["record"].null_count() > 0


def tk_checks(frame: str) -> Any:
    from toolkit.quality.checks import checks

    return [check for check in checks(frame) if frame != "problems" or check.name == "few"]


def test_missing_columns_types_and_records_are_told_in_duckdb_as_in_polars(put: Put) -> None:
    grades, enrollments, completion = resources()
    broken = (
        grades.drop("last_date", "email").with_columns(pl.col("passed_timestamp").dt.date()),
        enrollments.with_columns(mode=pl.lit(1.5), percent=pl.lit(3)),
        completion.clear(),
    )
    here = tk.check(**named(broken), as_of=AS_OF)
    there = tk.check(**named(map(put, broken)), as_of=AS_OF)
    assert told(there) == told(here)
    assert [o.detail for o in there.outcomes if o.status == "not run" or o.check == "columns"] == [
        o.detail for o in here.outcomes if o.status == "not run" or o.check == "columns"
    ]


def test_keys_stored_with_the_records_round_in_duckdb_as_in_polars(put: Put) -> None:
    keyed = resources()[0].with_columns(record_key=pl.int_range(pl.len()) * 7919)
    here, there = (tk.check(grades=frame, as_of=AS_OF) for frame in (keyed, put(keyed)))
    assert there.failed_checks.release().frame.equals(here.failed_checks.release().frame)


def test_pandas_without_records_or_values_keeps_the_declared_types() -> None:
    empty = pd.DataFrame({name: [] for name in ("username", "course_id", "completion")})
    report = tk.check(completion=empty, as_of=AS_OF)
    assert [o.check for o in report.failed()] == ["rows"]
    unknown = pd.DataFrame({"username": ["u"], "course_id": ["c"], "completion": [None]})
    report = tk.check(completion=unknown, as_of=AS_OF)
    assert [o.check for o in report.failed()] == ["completion_not_null", "course_id_form"]


def test_frames_of_two_engines_are_refused_by_name(put: Put) -> None:
    grades, enrollments, _ = resources()
    with pytest.raises(
        tk.errors.ArgumentError, match=r"grades of \w+, enrollments of duckdb.*scan_parquet"
    ):
        tk.check(grades=grades, enrollments=put(enrollments))
    mixed = tk.check(grades=grades.lazy(), enrollments=pd.DataFrame(enrollments.to_dicts()))
    assert told(mixed) == told(tk.check(grades=grades, enrollments=enrollments))


REFUSED = {
    "order of texts": (gxe.ExpectColumnMaxToBeBetween(column="mode", max_value=1), "sorts"),
    "texts in order": (
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="mode", column_B="username"),
        "sorts",
    ),
    "letters": (gxe.ExpectColumnValuesToMatchRegex(column="mode", regex=r"\w+"), "expression"),
    "not text": (gxe.ExpectColumnValuesToMatchRegex(column="created", regex="1"), "not text"),
    "another kind": (gxe.ExpectColumnValuesToBeInSet(column="mode", value_set=[1]), "compared"),
    "mean of texts": (gxe.ExpectColumnMeanToBeBetween(column="mode", max_value=1), "not a number"),
    "quantiles": (
        gxe.ExpectColumnQuantileValuesToBeBetween(
            column="created", quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 1]]}
        ),
        "more than a count",
    ),
    "no column": (gxe.ExpectColumnValuesToNotBeNull(column="nowhere"), "no column `nowhere`"),
    "kinds in a condition": (
        gxe.ExpectColumnValuesToNotBeNull(column="mode", row_condition=Column("is_active") == "x"),
        "compared",
    ),
    "kinds of a pair": (
        gxe.ExpectColumnPairValuesToBeEqual(column_A="mode", column_B="created"), "compared",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("expectation", "why"), REFUSED.values(), ids=REFUSED)
def test_an_expectation_that_is_no_count_there_is_refused_by_name(
    expectation: Any, why: str, put: Put
) -> None:
    suite = ExpectationSuite("enrollments", expectations=[expectation])
    enrollments = put(resources()[1])
    with pytest.raises(tk.errors.QualityError) as refused:
        tk.check(enrollments=enrollments, suites=[suite])
    assert expectation.expectation_type in str(refused.value)
    assert why in str(refused.value)
    assert "duckdb" in str(refused.value)
    assert "scan_parquet" in str(refused.value)


def test_a_suite_of_counts_is_counted_in_duckdb_as_in_polars(put: Put) -> None:
    when = datetime(2025, 1, 1, tzinfo=UTC)
    suites = [
        ExpectationSuite(
            "enrollments",
            expectations=[
                gxe.ExpectColumnMinToBeBetween(column="created", min_value=when),
                gxe.ExpectColumnUniqueValueCountToBeBetween(column="mode", max_value=1),
                gxe.ExpectColumnValuesToBeUnique(column="username"),
                gxe.ExpectColumnValuesToNotMatchRegex(column="mode", regex=r"^a.*t$|\s"),
                gxe.ExpectColumnValueLengthsToEqual(column="mode", value=5),
                gxe.ExpectColumnValueLengthsToBeBetween(column="username", max_value=3),
                gxe.ExpectColumnValuesToNotBeInSet(column="created", value_set=[when]),
                gxe.ExpectColumnPairValuesToBeEqual(column_A="mode", column_B="username"),
                gxe.ExpectTableRowCountToBeBetween(
                    min_value=1_700, row_condition=Column("created") > when
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    column="username",
                    row_condition=(Column("mode") != "audit") | Column("mode").is_in(["audit"]),
                ),
            ],
        ),
        ExpectationSuite(
            "person_course",
            expectations=[
                gxe.ExpectColumnMeanToBeBetween(column="percent_grade", max_value=0.1),
                gxe.ExpectColumnStdevToBeBetween(column="percent_grade", max_value=0.1),
                gxe.ExpectColumnMedianToBeBetween(column="completion", max_value=0.1),
                gxe.ExpectColumnSumToBeBetween(column="completion", max_value=0.1),
                gxe.ExpectColumnValuesToBeInSet(column="org", value_set=["Org", None]),
            ],
        ),
    ]
    frames = faulty_resources()
    finite = frames[2].filter(pl.col("completion").is_finite())
    here = tk.check(enrollments=frames[1], completion=finite, suites=suites)
    there = tk.check(enrollments=put(frames[1]), completion=put(finite), suites=suites)
    assert told(there) == told(here)
    seen = [
        [one.result.get("observed_value") for result in report.results for one in result.results]
        for report in (here, there)
    ]
    for one, other in zip(*seen, strict=True):
        assert one == (pytest.approx(other) if isinstance(one, float) else other)


PATTERNS = {
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": ["a@b.c", "a@b.c\n", "a\u00a0@b.c", "@b.c"],
    r"a.c": ["abc", "a\nc", "a\u2028c", "ac"],
    r"^(?:ab|c){2,3}$": ["abab", "cabc", "ab", "abab\n"],
    r"\S[\\s]$": ["as", "a\\", " s", "a "],
    r"^[a-z-]*\+?$": ["a-z+", "A", "", "-"],
}


@pytest.mark.parametrize(("pattern", "texts"), PATTERNS.items())
def test_a_portable_pattern_matches_in_duckdb_what_it_matches_in_polars(
    pattern: str, texts: list[str]
) -> None:
    frame = pl.DataFrame({"text": texts})
    here = frame["text"].str.contains(pattern)
    assert frame["text"].str.contains(portable(pattern)).equals(here)
    there = duckdb.execute(
        "SELECT regexp_matches(unnest(?), ?)", [texts, portable(pattern)]
    ).fetchall()
    assert [found for (found,) in there] == here.to_list()


@pytest.mark.parametrize(
    "pattern",
    [r"\d", r"\bword", "(?i)a", "a*?", "a++", "[[:alpha:]]", "[a&&b]", "(?=a)", "*a", "\\Z"],
)
def test_a_pattern_that_may_mean_something_else_elsewhere_is_refused(pattern: str) -> None:
    with pytest.raises(TypeError, match="may mean something else"):
        portable(pattern)


def test_what_is_no_frame_is_refused_by_the_name_of_the_argument() -> None:
    with pytest.raises(tk.errors.ArgumentError, match=r"^grades: a frame of Polars"):
        tk.check(grades=Decimal(1))


def test_a_date_is_compared_with_a_moment_by_its_day_in_utc(put: Put) -> None:
    late = datetime(2025, 3, 1, 23, 30, tzinfo=UTC)  # already the next day in Auckland
    grades = (
        resources()[0]
        .head(1)
        .with_columns(
            last_date=pl.lit(date(2025, 3, 1)),
            passed_timestamp=pl.lit(late).dt.cast_time_unit("us"),
            letter_grade=pl.lit("Pass"),
        )
    )
    report = tk.check(grades=put(grades), as_of=AS_OF)
    [one] = [o for o in report.outcomes if o.check == "last_date_not_before_pass"]
    assert (one.status, one.n_checked) == ("passed", 1)
