from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from statsmodels.stats.proportion import proportion_confint

import toolkit as tk
from toolkit.schemas.outcome_results import COMPLETION_FUNNEL, OUTCOMES

# Ten enrollments and one record that enrollments lack:   completion, grade, passed
LEARNERS = [
    ("a", True, 1.0, 0.9, True),
    ("a", True, 0.8, 0.7, True),
    ("a", True, 0.5, 0.6, True),
    ("a", True, 0.4, None, False),
    ("a", True, 0.0, 0.0, False),
    ("a", True, None, None, False),
    ("a", False, 1.0, 1.0, True),
    ("b", True, 0.9, 0.2, False),
    ("b", True, 0.1, 0.4, False),
    ("b", True, 0.0, 0.0, True),
    (None, True, 0.6, None, False),
]


def person_course(rows: list[tuple[Any, ...]] = LEARNERS) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "course_id": pl.String,
            "in_enrollments": pl.Boolean,
            "completion": pl.Float64,
            "percent_grade": pl.Float64,
            "passed": pl.Boolean,
        },
        orient="row",
    )


def drawn(n: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "course_id": rng.choice(["a", "b", "c", "d"], n),
            "mode": pl.Series(rng.choice(["audit", "verified", ""], n)).replace("", None),
            "in_enrollments": rng.random(n) < 0.95,
            "completion": pl.Series(rng.integers(0, 11, n) / 10).set(
                pl.Series(rng.random(n) < 0.1), None
            ),
            "percent_grade": pl.Series(rng.integers(0, 101, n) / 100).set(
                pl.Series(rng.random(n) < 0.2), None
            ),
            "passed": rng.random(n) < 0.4,
            "enrolled_day": pl.Series(rng.integers(18_000, 18_900, n), dtype=pl.Int32).set(
                pl.Series(rng.random(n) < 0.02), None
            ),
        }
    )


@pytest.fixture(params=["lazy", "duckdb"])
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[pl.DataFrame], Any]]:
    """Puts a frame into another engine."""
    connection = duckdb.connect()

    def move(frame: pl.DataFrame) -> Any:
        if request.param == "lazy":
            return frame.lazy()
        frame.write_parquet(tmp_path / "frame.parquet")
        return connection.read_parquet(str(tmp_path / "frame.parquet"))

    yield move
    connection.close()


def test_outcomes_counts_each_denominator() -> None:
    table = tk.outcomes(person_course(), by="course_id").frame
    counts = table.select("course_id", pl.col("^n_.*$"))
    assert counts.columns[1:] == [name for name in OUTCOMES.names if name.startswith("n_")]
    assert counts.rows() == [
        # not enrolled, enrolled, active, completed, passed, graded,
        # graded+active, passed+active, passed+graded, passed+completed
        (None, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0),
        ("a", 1, 6, 4, 2, 3, 4, 3, 3, 3, 2),
        ("b", 0, 3, 2, 1, 1, 3, 2, 0, 1, 0),
    ]


def test_outcomes_has_the_columns_of_its_schema() -> None:
    table = tk.outcomes(person_course()).frame
    assert table.schema == OUTCOMES.polars_schema
    assert table.height == 1


def test_each_rate_is_a_share_of_what_its_name_says() -> None:
    row = tk.outcomes(person_course(), by="course_id").frame.row(1, named=True)
    assert row["active_rate_of_enrolled"] == 4 / 6
    assert row["completion_rate_of_enrolled"] == 2 / 6
    assert row["completion_rate_of_active"] == 2 / 4
    assert row["pass_rate_of_enrolled"] == 3 / 6
    assert row["pass_rate_of_active"] == 3 / 4
    assert row["pass_rate_of_graded"] == 3 / 4
    assert row["pass_rate_of_completed"] == 1.0


def test_grades_are_described_among_the_graded_and_among_the_active() -> None:
    row = tk.outcomes(person_course(), by="course_id").frame.row(1, named=True)
    # graded: 0, 0.6, 0.7, 0.9; active of them: 0.6, 0.7, 0.9
    assert row["grade_mean_of_graded"] == pytest.approx(0.55, abs=1e-15)
    assert row["grade_q1_of_graded"] == pytest.approx(0.45, abs=1e-15)
    assert row["grade_median_of_graded"] == pytest.approx(0.65, abs=1e-15)
    assert row["grade_q3_of_graded"] == pytest.approx(0.75, abs=1e-15)
    assert row["grade_mean_of_active"] == pytest.approx(2.2 / 3, abs=1e-15)
    assert row["grade_median_of_active"] == 0.7


def test_a_rate_of_nobody_is_null() -> None:
    row = tk.outcomes(person_course(), by="course_id").frame.row(0, named=True)
    assert row["pass_rate_of_graded"] is None
    assert row["pass_rate_of_graded_ci_low"] is None
    assert row["grade_median_of_graded"] is None


def test_a_total_row_comes_last_and_is_told_apart_from_a_null_group() -> None:
    table = tk.outcomes(person_course(), by="course_id", totals=True).frame
    assert table["is_total"].to_list() == [False, False, False, True]
    assert table["course_id"].to_list() == [None, "a", "b", None]
    assert table["n_enrolled"].to_list() == [1, 6, 3, 10]
    whole = tk.outcomes(person_course()).frame
    assert_frame_equal(table.tail(1).select(OUTCOMES.names), whole)


def test_completed_is_a_stated_threshold() -> None:
    table = tk.outcomes(person_course(), completed_from=1.0).frame
    assert table.select("completed_from", "n_completed").row(0) == (1.0, 1)
    for impossible in (0.0, -0.1, 1.01, 80):
        with pytest.raises(tk.errors.ArgumentError, match="completed_from"):
            tk.outcomes(person_course(), completed_from=impossible)


def test_cohorts_are_calendar_spans_of_the_enrollment_day() -> None:
    days = [date(2024, 2, 29), date(2024, 3, 1), date(2024, 12, 31), date(2025, 1, 1), None]
    pc = person_course([("a", True, 1.0, 0.5, True)] * 5).with_columns(
        enrolled_day=pl.Series(days).cast(pl.Int32)
    )
    spans = {
        "enrolled_week": [None, date(2024, 2, 26), date(2024, 12, 30)],
        "enrolled_month": [
            None,
            date(2024, 2, 1),
            date(2024, 3, 1),
            date(2024, 12, 1),
            date(2025, 1, 1),
        ],
        "enrolled_quarter": [None, date(2024, 1, 1), date(2024, 10, 1), date(2025, 1, 1)],
        "enrolled_year": [None, date(2024, 1, 1), date(2025, 1, 1)],
    }
    for name, starts in spans.items():
        table = tk.outcomes(pc, by=[name, "course_id"]).frame
        assert table[name].to_list() == starts
        assert table["n_enrolled"].sum() == 5


def test_a_missing_column_and_a_repeated_one_are_named() -> None:
    with pytest.raises(
        tk.errors.SchemaError, match="no column `org`; it has course_id, in_enrollments"
    ):
        tk.outcomes(person_course(), by="org")
    with pytest.raises(tk.errors.SchemaError, match="no column `enrolled_day`"):
        tk.outcomes(person_course(), by="enrolled_week")
    with pytest.raises(tk.errors.ArgumentError, match="twice: course_id, course_id"):
        tk.outcomes(person_course(), by=["course_id", "course_id"])


def test_nobody_is_one_row_of_zeros_or_no_group() -> None:
    nobody = person_course([])
    assert tk.outcomes(nobody).frame.select(pl.col("^n_.*$")).row(0) == (0,) * 10
    assert tk.outcomes(nobody, by="course_id").frame.is_empty()
    assert tk.completion_funnel(nobody).frame["n_reached"].to_list() == [0] * 6
    assert tk.completion_funnel(nobody, by="course_id").frame.is_empty()


def test_wilson_intervals_agree_with_statsmodels() -> None:
    table = tk.outcomes(drawn(3_000), by=["course_id", "mode", "enrolled_month"]).frame
    for name, k, n in (
        ("pass_rate_of_enrolled", "n_passed", "n_enrolled"),
        ("pass_rate_of_graded", "n_passed_graded", "n_graded"),
        ("completion_rate_of_active", "n_completed", "n_active"),
    ):
        some = table.filter(pl.col(n) > 0)
        low, high = proportion_confint(some[k].to_numpy(), some[n].to_numpy(), method="wilson")
        np.testing.assert_allclose(some[f"{name}_ci_low"], low, atol=1e-9)
        np.testing.assert_allclose(some[f"{name}_ci_high"], high, atol=1e-9)


def test_quartiles_and_means_agree_with_numpy() -> None:
    pc = drawn(3_000)
    table = tk.outcomes(pc, by=["course_id", "mode"]).frame
    for row in table.iter_rows(named=True):
        graded = pc.filter(
            pl.col("course_id") == row["course_id"],
            pl.col("mode").eq_missing(row["mode"]),
            pl.col("in_enrollments"),
        )["percent_grade"].drop_nulls()
        expected = [graded.mean(), *np.quantile(graded, [0.25, 0.5, 0.75])]
        found = [row[f"grade_{name}_of_graded"] for name in ("mean", "q1", "median", "q3")]
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("by", [[], ["course_id"], ["mode", "enrolled_quarter"]])
def test_every_engine_gives_the_same_tables(
    elsewhere: Callable[[pl.DataFrame], Any], by: list[str]
) -> None:
    pc = drawn(2_000)
    there = elsewhere(pc)
    for analysis in (
        tk.outcomes,
        tk.completion_funnel,
        tk.grade_distribution,
        tk.completion_distribution,
    ):
        assert_frame_equal(
            analysis(there, by=by).frame, analysis(pc, by=by).frame, check_exact=True
        )
    assert_frame_equal(
        tk.outcomes(there, by=by, totals=True).frame, tk.outcomes(pc, by=by, totals=True).frame
    )


LEARNER = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.booleans(),
    st.sampled_from([None, 0.0, 0.3, 0.5, 0.8, 1.0]),
    st.sampled_from([None, 0.0, 0.1, 0.55, 1.0]),
    st.booleans(),
)


@settings(max_examples=20)
@given(st.lists(LEARNER, max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(rows: list[tuple[Any, ...]], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    for analysis in (tk.outcomes, tk.completion_funnel, tk.grade_distribution):
        assert_frame_equal(
            analysis(person_course(rows), by="course_id").frame,
            analysis(person_course(shuffled), by="course_id").frame,
            check_exact=True,
        )


@settings(max_examples=20)
@given(st.lists(LEARNER, max_size=25), st.lists(LEARNER, min_size=1, max_size=10))
def test_another_group_changes_no_group(
    rows: list[tuple[Any, ...]], others: list[tuple[Any, ...]]
) -> None:
    more = rows + [("new", *other[1:]) for other in others]
    for analysis in (tk.outcomes, tk.completion_funnel, tk.grade_distribution):
        with_new = analysis(person_course(more), by="course_id").frame
        assert_frame_equal(
            with_new.filter(pl.col("course_id").ne_missing("new")),
            analysis(person_course(rows), by="course_id").frame,
            rel_tol=1e-12,  # the last bit may depend on how long a column is
        )


def test_the_funnel_counts_who_met_all_stages_so_far() -> None:
    table = tk.completion_funnel(person_course(), by="course_id").frame
    assert table.drop("course_id").schema == COMPLETION_FUNNEL.polars_schema
    assert table.filter(pl.col("course_id") == "a").select(
        "stage", "n_enrolled", "n_previous", "n_reached", "n_dropped"
    ).rows() == [
        ("enrolled", 6, None, 6, None),
        ("active", 6, 6, 4, 2),
        ("half-way", 6, 4, 3, 1),
        ("completed", 6, 3, 2, 1),
        ("completed and passed", 6, 2, 2, 0),
        ("passed without completing", 6, None, 1, None),
    ]


def test_that_all_enrolled_are_enrolled_is_no_estimate() -> None:
    funnel = tk.completion_funnel(person_course())
    enrolled = funnel.frame.select(pl.selectors.starts_with("rate_of_enrolled")).row(0)
    assert enrolled == (1.0, 1.0, 1.0)


def test_who_passed_without_any_activity_is_shown_by_the_funnel() -> None:
    table = tk.completion_funnel(person_course(), by="course_id").frame
    b = table.filter(pl.col("course_id") == "b")
    assert b["n_reached"].to_list() == [3, 2, 1, 1, 0, 1]
    assert b["rate_of_enrolled"].to_list() == [1.0, 2 / 3, 1 / 3, 1 / 3, 0.0, 1 / 3]
    assert b["rate_of_previous"].to_list() == [None, 2 / 3, 1 / 2, 1.0, 0.0, None]


def test_the_funnel_names_its_thresholds() -> None:
    table = tk.completion_funnel(person_course(), completed_from=0.9).frame
    assert "90%" in table.row(3, named=True)["definition"]
    with pytest.raises(tk.errors.ArgumentError, match=r"0\.5 or more"):
        tk.completion_funnel(person_course(), completed_from=0.4)


def test_a_value_that_is_no_number_is_as_good_as_none() -> None:
    nan = float("nan")
    pc = person_course([("a", True, nan, nan, False), ("a", True, 0.0, None, False)])
    row = tk.outcomes(pc).frame.row(0, named=True)
    assert (row["n_active"], row["n_completed"], row["n_graded"]) == (0, 0, 0)
    assert tk.grade_distribution(pc, bins=1).frame["n_learners"].to_list() == [2, 0, 0, 0]


def test_an_unknown_enrollment_is_none_and_an_unknown_pass_is_no_pass() -> None:
    pc = person_course([("a", None, 1.0, 1.0, True), ("a", True, 1.0, 1.0, None)])
    row = tk.outcomes(pc).frame.row(0, named=True)
    assert (row["n_not_enrolled"], row["n_enrolled"], row["n_passed"]) == (1, 1, 0)


def test_groups_may_be_the_measure_itself() -> None:
    table = tk.outcomes(person_course(), by="percent_grade").frame
    assert table.filter(percent_grade=0.0)["n_enrolled"].to_list() == [2]


@pytest.mark.parametrize(
    "analysis", [tk.outcomes, tk.completion_funnel, tk.grade_distribution], ids=lambda a: a.__name__
)
def test_a_group_column_may_be_called_like_a_column_of_the_counting(
    analysis: Callable[..., tk.Result],
) -> None:
    plain = analysis(person_course(), by="course_id").frame
    for name in ("n", "grade", "slot", "up_to", "position", "completed", "active", "enrolled"):
        named = person_course().with_columns(pl.col("course_id").alias(name))
        assert_frame_equal(analysis(named, by=name).frame.rename({name: "course_id"}), plain)
