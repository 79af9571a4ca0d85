"""Results as great-tables, where that package is installed."""

from typing import Any

import polars as pl
import pytest
from bs4 import BeautifulSoup
from told_results import RESULTS, learners

import toolkit as tk
from toolkit.results.output import OUTPUT

pytest.importorskip("great_tables")
PC = learners()


def page(table: Any) -> BeautifulSoup:
    return BeautifulSoup(table.as_raw_html(), "html.parser")


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("min_n", [10, None])
def test_every_result_has_the_cells_of_its_table(name: str, min_n: int | None) -> None:
    released = RESULTS[name](PC).release(min_n=min_n)
    html, table = page(released.to_great_table(rows=30)), released.table(rows=30)
    shown = sorted(cell.get_text() for cell in html.select("tbody th.gt_stub, tbody td"))
    headers = {row[0] for row in table.rows}
    told = sorted(cell for row in table.rows for cell in row)
    groups = [head.get_text() for head in html.select("th.gt_group_heading")]
    if groups:
        assert set(groups) == headers
        told = sorted(cell for row in table.rows for cell in row[1:])
    assert shown == told
    assert html.select_one(".gt_sourcenote").get_text() == table.note
    html_ids = str(released.to_great_table(rows=30).as_raw_html())
    assert html_ids == str(released.to_great_table(rows=30).as_raw_html())


def test_the_caption_is_its_title_and_what_it_says_is_escaped() -> None:
    pc = PC.with_columns(course_id=pl.lit("<script>alert(1)</script>"))
    table = tk.outcomes(pc, by="course_id").captioned("simulated & <b>").to_great_table()
    html = page(table)
    assert html.select_one(".gt_title").get_text() == "simulated & <b>"
    assert html.find("script") is None
    assert r"simulated \& \textless{}b\textgreater{}" in table.as_latex()


def test_groups_stand_below_what_makes_them() -> None:
    html = page(tk.reports.table_one(PC, by="course_number").to_great_table())
    assert html.select_one(".gt_column_spanner").get_text() == "Course number"
    assert html.select_one("th[headers], th.gt_stub").get_text() == "Enrolled"


def test_rows_of_two_groupings_are_put_below_the_first() -> None:
    half = PC.with_columns(half=pl.col("completion") > 0.5)
    html = page(tk.outcomes(half, by=["course_number", "half"]).to_great_table())
    assert [head.get_text() for head in html.select("th.gt_group_heading")] == ["C0", "C1", "C2"]
    assert [cell.get_text() for cell in html.select("th.gt_stub")] == ["no", "yes"] * 3


def test_a_styled_table_still_says_how_it_is_protected() -> None:
    table = tk.outcomes(PC).to_great_table().tab_options(table_font_size="11px")
    assert table._repr_mimebundle_() == ({}, {OUTPUT: {"min_n": 10}})
