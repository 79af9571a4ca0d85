import re

import polars as pl
import pytest
from told_results import RESULTS, learners

import toolkit as tk
from toolkit.schemas import Role, Table
from toolkit.text.dictionary import tables

PC = learners()


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_displays_as_text_and_html(name: str) -> None:
    result = RESULTS[name](PC)
    assert "None" not in repr(result)
    html = result._repr_html_()
    assert html.startswith("<table>")
    assert html.count('scope="col"') > 1


@pytest.mark.parametrize("name", RESULTS)
def test_no_count_under_ten_is_in_a_table(name: str) -> None:
    table = RESULTS[name](PC).table()
    kinds = [
        heading
        for heading in table.headings
        if heading.startswith(("Enrolled", "Passed", "Learners", "Events", "At risk"))
    ]
    for row in table.rows:
        cells = dict(zip(table.headings, row, strict=True))
        assert not any(re.fullmatch("[1-9]", cells[kind]) for kind in kinds)


def test_an_estimate_has_its_interval_by_the_schema_in_any_choice_of_columns() -> None:
    table = RESULTS["milestone_difference"](PC).table(["difference", "passed_share", "p_value"])
    assert all("points (" in row[0] for row in table.rows)
    assert all("(" not in row[1] and row[1].endswith("%") for row in table.rows)
    days = RESULTS["rmst_difference"](PC).table(["difference", "restricted_mean", "ratio"])
    assert all(re.match(r"[+−]?[\d.]+ \(", row[0]) for row in days.rows)
    assert all("(" not in row[1] for row in days.rows)


def test_rows_have_headers_and_a_caption() -> None:
    result = tk.outcomes(PC, by="course_id").captioned("simulated; as of today")
    html = result._repr_html_()
    assert "<caption>simulated; as of today</caption>" in html
    assert html.count('<th scope="row"') == 3


def test_text_of_the_platform_is_escaped() -> None:
    pc = PC.with_columns(course_id=pl.lit("<script>alert(1)</script>"))
    assert "<script" not in tk.outcomes(pc, by="course_id")._repr_html_()


def test_a_withheld_numerator_is_told_by_what_is_known_of_it() -> None:
    pc = PC.with_columns(passed=pl.Series([True] * 3 + [False] * (PC.height - 3)))
    table = tk.outcomes(pc).table(["n_passed", "pass_rate_of_enrolled"])
    assert table.rows == [["<10", "<2%"]]
    assert "withheld" in table.note


def test_a_long_table_says_how_much_of_it_is_shown() -> None:
    assert "2 of 3 rows" in tk.outcomes(PC, by="course_id").table(rows=2).note


def test_a_column_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(tk.errors.SchemaError, match="n_enrolled"):
        tk.outcomes(PC).table(["nope"])


def test_every_frame_and_result_has_a_dictionary() -> None:
    assert "percent_grade" in repr(tk.describe("grades"))
    assert "pass_rate_of_enrolled" in repr(tk.outcomes(PC).describe())
    with pytest.raises(tk.errors.SchemaError, match="enrollments"):
        tk.describe("nope")


@pytest.mark.parametrize("table", tables().values(), ids=lambda table: table.name)
def test_every_column_says_what_it_means_and_every_count_what_it_counts(table: Table) -> None:
    for column in table:
        assert column.description.endswith(".")
        assert (column.unit == "learners") >= (column.role == Role.COUNT)
        assert (column.unit == "p") == bool(re.search(r"p_value|p_adjusted", column.name))


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("min_n", [5, 37, 10**6])
def test_no_count_below_the_threshold_is_shown_not_even_as_0(name: str, min_n: int) -> None:
    released = RESULTS[name](PC).release(min_n=min_n)
    for count in released.schema.of_role(Role.COUNT):
        shown = released.frame[count].drop_nulls()
        assert shown.is_empty() or shown.min() >= min_n
