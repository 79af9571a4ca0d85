"""Release of count tables: parts, measures and status."""

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import DisclosureError
from toolkit.release.tables import release_table, with_status
from toolkit.schemas import Column, Role, Table
from toolkit.schemas.results import RESULTS

TABLE = Table(
    "tried",
    "one row per group",
    (
        Column("n", pl.Int64, "All.", Role.COUNT),
        Column("n_passed", pl.Int64, "Of them, passed.", Role.COUNT, within="n"),
        Column("mean", pl.Float64, "A mean.", Role.MEASURE, rests_on=("n_passed",)),
    ),
)


COUNTS = Table("counts", "one row per group", (Column("n", pl.Int64, "All.", Role.COUNT),))


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 2**50), st.integers(0, 2**50))
def test_a_part_is_never_larger_than_its_whole(n: int, share: float, key: int, other: int) -> None:
    counts = pl.DataFrame({"n": [n], "n_passed": [int(n * share)], "mean": [0.5]})
    key_sums = pl.DataFrame({"n": [key], "n_passed": [other]})
    shown = release_table(counts, key_sums, TABLE, [], min_n=10).row(0, named=True)
    if shown["n_passed"] is not None:
        assert shown["n_passed"] <= shown["n"]


def test_a_measure_has_two_digits_and_goes_with_its_count() -> None:
    counts = pl.DataFrame({"n": [100, 100], "n_passed": [50, 3], "mean": [0.73812, 0.5]})
    shown = release_table(counts, None, TABLE, [], min_n=10)
    assert shown["mean"].to_list() == [0.74, None]


def test_a_mean_of_which_fewer_than_ten_values_are_unlike_the_others_does_not_count_them() -> None:
    # 0.083 of ten to fourteen learners is 1 of 12, and a first quartile of 0.75 is 3 of 12.
    one, three = ([1.0] * k + [0.0] * (12 - k) for k in (1, 3))
    pc = pl.DataFrame(
        {
            "username": [f"learner {i}" for i in range(36)],
            "course_id": [f"course-v1:Org+{c}+R1" for c in "ABC" for _ in range(12)],
            "org": "Org",
            "course_number": [c for c in "ABC" for _ in range(12)],
            "in_enrollments": True,
            "completion": 0.5,
            "percent_grade": [*one, *three, *[i / 12 for i in range(12)]],
            "passed": False,
            "fee": [*map(int, [*one, *three, *range(12)])],
            "enrolled_day": 20_000,
            "passed_day": None,
            "as_of": pl.Series([datetime(2026, 1, 1)] * 36, dtype=pl.Datetime("us", "UTC")),
        },
        schema_overrides={"enrolled_day": pl.Int32, "passed_day": pl.Int32},
    )
    measures = [f"grade_{what}" for what in ("mean_of_graded", "q1_of_active", "median_of_active")]
    shown = tk.outcomes(pc, by="course_number").release().frame
    assert shown.select(measures).null_count().row(0) == (2, 2, 2)
    assert shown["status"].to_list()[:2] == ["withheld: fewer than 10 learners"] * 2
    described = tk.reports.table_one(pc, by="course_number", columns=["fee", "percent_grade"])
    table = described.release().frame.filter(pl.col("course_number").is_in(["A", "B"]))
    assert table.select("mean", "sd", "q1", "median", "q3").null_count().row(0) == (4,) * 5
    apart = described.release().frame.filter("is_total")["standardized_difference"]
    assert apart.to_list() == [None, None]
    again = pl.concat(
        [pc, pc.with_columns(course_id=pl.col("course_id") + "2", enrolled_day=20_100)]
    )
    means = ["grade_mean_first", "grade_mean_best"]
    repeats = tk.learner_paths(again).repeats
    assert repeats.frame.select(means).null_count().row(0) == (0, 0)
    assert repeats.release().frame.select(means).null_count().row(0) == (2, 2)


def test_a_column_of_numbers_that_nobody_declared_is_refused() -> None:
    counts = pl.DataFrame({"n": [100], "n_passed": [50], "mean": [0.7], "age": [33]})
    with pytest.raises(DisclosureError, match="age"):
        release_table(counts, None, TABLE, [], min_n=10)


def test_the_status_tells_a_withheld_figure_from_one_that_does_not_exist() -> None:
    exact = pl.DataFrame({"n": [50, 3, None]})
    shown = with_status(pl.DataFrame({"n": [50, None, None]}), exact, COUNTS, 10)
    assert shown["status"].to_list() == ["shown", "withheld: fewer than 10 learners", "shown"]


@given(st.integers(10, 60), st.lists(st.integers(0, 2**40), min_size=3, max_size=3))
def test_a_part_of_a_part_is_never_larger_than_what_is_shown_of_it(n: int, keys: list[int]) -> None:
    chain = Table(
        "chain",
        "one row per group",
        tuple(
            Column(name, pl.Int64, "A count.", Role.COUNT, within=within)
            for name, within in (("n_all", None), ("n_some", "n_all"), ("n_few", "n_some"))
        ),
    )
    counts = pl.DataFrame({name: [n] for name in chain.names})
    drawn = pl.DataFrame(dict(zip(chain.names, ([key] for key in keys), strict=True)))
    n_all, n_some, n_few = release_table(counts, drawn, chain, []).row(0)
    assert n_few <= n_some <= n_all


@pytest.mark.parametrize("table", RESULTS.values(), ids=lambda table: table.name)
def test_a_table_names_a_part_that_is_a_whole_before_its_own_parts(table: Table) -> None:
    for place, column in enumerate(table):
        if column.within is not None and table[column.within].within is not None:
            assert column.within in table.names[:place], column.name
