"""Table 1 as papers print it, and as a Word document."""

from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import polars as pl
import pytest
from told_results import learners

import toolkit as tk

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def described() -> tk.Result:
    pc = learners().with_columns(
        age=pl.Series([None if i % 4 == 0 else 20 + i % 30 for i in range(600)]),
        band=pl.Series([["low", "high", "a & <b>"][i % 3] for i in range(600)]),
    )
    return tk.reports.table_one(
        pc, by="course_number", columns=["band", "passed", "age"], medians=["age"]
    ).captioned("simulated")


def test_groups_stand_beside_each_other_and_levels_below_their_variable() -> None:
    table = described().table()
    assert list(table.headings) == ["Characteristic", "all groups", "C0", "C1", "C2", "SMD"]
    assert [row[0] for row in table.rows] == [
        "Enrolled",
        "Band, n (%)",
        "\u2003a & <b>",
        "\u2003high",
        "\u2003low",
        "Passed, n (%)",
        "Age, median [Q1, Q3]",
        "\u2003missing, n (%)",
    ]
    cells = {row[0]: row[1] for row in table.rows}
    assert cells["Enrolled"] == "600"
    assert cells["\u2003missing, n (%)"] == "150 (25%)"
    assert cells["Age, median [Q1, Q3]"].endswith("]")


def test_a_number_of_the_platform_is_read_as_a_percentage() -> None:
    table = tk.reports.table_one(learners(), columns=["percent_grade"]).table()
    assert table.rows[1][1].count("%") == 2
    assert list(table.headings) == ["Characteristic", "All"]


def test_a_small_group_is_withheld_in_all_its_cells() -> None:
    few = learners().with_columns(
        course_number=pl.when(pl.int_range(pl.len()) < 6)
        .then(pl.lit("few"))
        .otherwise("course_number")
    )
    table = tk.reports.table_one(few, by="course_number", columns=["passed", "completion"]).table()
    place = list(table.headings).index("few")
    assert [row[place] for row in table.rows] == ["<10", "<10", "–"]


def test_groups_called_like_the_headings_are_told_apart() -> None:
    pc = learners().with_columns(course_number=pl.col("course_number").replace({"C0": "SMD"}))
    table = tk.reports.table_one(pc, by="course_number", columns=["passed"]).table()
    assert len(table.headings) == 6


def test_a_part_of_the_table_is_shown_whatever_part_it_is() -> None:
    assert described().filter(variable="age").table().rows[0][0] == "Enrolled"
    assert described().head(5).table().rows
    assert described().table(["variable", "mean"]).rows
    assert described().filter(variable="nothing").table().note == "No rows."


def test_words_name_the_largest_difference_and_what_is_missing() -> None:
    text = described().narrate()
    assert text.startswith("600 enrollments: C0 ")
    assert "The groups differ most in passed (standardized difference 0." in text
    assert text.endswith("Missing most: age, in 150 records.")


def test_groups_that_share_no_value_differ_most() -> None:
    pc = learners().with_columns(
        run=pl.col("course_number").replace_strict({"C0": 1.0, "C1": 1.0, "C2": 2.0})
    )
    described = tk.reports.table_one(pc, by="course_number", columns=["passed", "run"])
    assert "run" not in described.narrate()  # that nobody has another run is withheld
    result = described.release(min_n=None)
    assert "differ most in run (standardized difference ∞)" in result.narrate()
    assert [row[-1] for row in result.table().rows][-1] == "∞"
    assert "∞" in repr(result.filter("is_total").table(["standardized_difference"]))
    assert r" & $\infty$ \\" in result.to_latex()


def texts(path: Path) -> list[list[str]]:
    with ZipFile(path) as file:
        assert file.testzip() is None
        for name in file.namelist():
            ElementTree.fromstring(file.read(name))  # noqa: S314  (our own)
        document = ElementTree.fromstring(file.read("word/document.xml"))  # noqa: S314
    return [
        [
            "".join(text.text or "" for text in cell.iter(f"{WORD}t"))
            for cell in row.iter(f"{WORD}tc")
        ]
        for row in document.iter(f"{WORD}tr")
    ]


def test_a_word_document_holds_the_table_for_reading(tmp_path: Path) -> None:
    result = described()
    path = result.to_word(tmp_path / "table.docx")
    table = result.table(rows=1_000)
    assert texts(path) == [list(table.headings), *table.rows]
    with ZipFile(path) as file:
        document = file.read("word/document.xml").decode()
    assert "simulated" in document
    assert "rounded to multiples of 5" in document


def test_the_same_table_gives_the_same_document(tmp_path: Path) -> None:
    one, other = (described().to_word(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == other


def test_a_wide_table_is_turned(tmp_path: Path) -> None:
    path = tk.outcomes(learners(), by="course_id").to_word(tmp_path / "wide.docx")
    with ZipFile(path) as file:
        assert b'w:orient="landscape"' in file.read("word/document.xml")


@pytest.mark.parametrize("control", ["\x00", "\x1b", "\u202e", "\ufffe"])
def test_a_control_character_leaves_the_document_readable(tmp_path: Path, control: str) -> None:
    pc = learners().with_columns(course_id=pl.lit(f"a{control}b"))
    assert texts(tk.outcomes(pc, by="course_id").to_word(tmp_path / "x.docx"))


def test_latex_indents_the_levels() -> None:
    assert r"\quad high & " in described().to_latex()
