import json
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from told_results import learners

import toolkit as tk
from toolkit.schemas.comparison_results import COMPARED
from toolkit.text import naming


def test_the_unknown_group_is_no_group_that_is_called_so() -> None:
    frame = pl.DataFrame({"g": [None, "unknown", "(none)", "", "“unknown”", "unknown g"]})
    assert len(set(naming.labels(frame, ["g"]))) == frame.height


@given(st.lists(st.text(max_size=80), min_size=1, max_size=12, unique=True))
def test_no_two_groups_are_named_alike(values: list[str]) -> None:
    told = naming.labels(pl.DataFrame({"g": values}), ["g"])
    assert len(set(told)) == len(values)
    assert all(naming.width(name) <= naming.LONGEST + 5 for name in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("W" * 60, "W" * 13 + "…" + "W" * 13),
        ("統計" * 40, "統計" * 5 + "統…計" + "統計" * 5),
        ("👩🏽‍🔬" * 30, None),  # a scientist: four code points
        ("🇩🇪" * 30, None),  # a flag: two
        ("é" * 60, None),
    ],
)
def test_a_wide_name_is_cut_between_letters(text: str, told: str | None) -> None:
    short = naming.shortened(text)
    assert told in (None, short)
    head, _, tail = short.partition("…")
    one = text[: len(text) // (60 if text[0] == "e" else 30)]
    for part in (head, tail):
        assert told is not None or part == one * (len(part) // len(one))
    assert naming.width(short) <= naming.LONGEST


def test_a_name_that_looks_numbered_is_told_from_one_that_is() -> None:
    names = ["Algebra", "Algebra", "Algebra (2)", "Algebra", "Algebra (2)"]
    assert len(set(naming.distinct(names))) == len(names)


def test_marks_do_not_tower_and_a_name_in_arabic_ends_before_its_figure() -> None:
    assert naming.clean("Z" + "͑" * 20 + "a") == "Z͑͑a"
    assert naming.name("Tiếng Việt") == "Tiếng Việt"
    assert naming.name("مقدمة") == "مقدمة‎"


@given(st.text(max_size=60))
def test_a_name_is_one_line_of_visible_text(text: str) -> None:
    told = naming.clean(text)
    assert not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in told)
    assert not set(told) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069")


def test_cohorts_of_weeks_are_named_by_their_day() -> None:
    weeks = [date(2024, 11, 4), date(2024, 12, 2)]
    assert list(naming.cohorts(weeks).values()) == ["4 Nov 2024", "2 Dec 2024"]
    assert list(naming.cohorts([date(2025, 9, 1)]).values()) == ["1 Sep 2025"]
    months = [date(2025, 9, 1), date(2025, 10, 1)]
    assert list(naming.cohorts(months).values()) == ["Sep 2025", "Oct 2025"]


def test_a_cohort_has_one_name_in_the_sentence_the_chart_and_the_table() -> None:
    later = learners(2_000).with_columns(
        pl.col("enrolled_day") + 100, pl.col("observed_days") - 100
    )
    progress = tk.cohort_progress(later, step="30d", periods=1)
    monday = progress.filter(pl.col("cohort") == date(2025, 9, 1))
    assert monday.table(["cohort"]).rows[0] == ["Sep 2025"]
    assert "from Sep 2025 had passed" in str(monday.narrate())
    assert "from Sep 2025 had passed" in " ".join(monday.chart().to_dict()["title"]["text"])


def test_a_group_of_single_precision_has_no_digits_beyond_it() -> None:
    pc = learners(900).with_columns(weight=pl.lit(0.1, pl.Float32))
    found = tk.outcomes(pc, by="weight")
    assert found.table(["weight"]).rows == [["0.1"]]
    assert "0.100" not in str(found.narrate())
    assert "0.100" not in json.dumps(found.chart().to_dict())
    assert found.release().frame["weight"].to_list() == [0.1]


def test_a_null_group_has_one_name_in_every_result() -> None:
    modes = {"C0": None, "C1": "(none)", "C2": "((none))"}
    pc = learners(900).with_columns(
        mode=pl.col("course_number").replace_strict(modes, return_dtype=pl.String)
    )
    compared, times = tk.compare_groups(pc, by="mode"), tk.time_to_pass(pc)
    results = [
        compared.groups,
        compared.pairs,
        tk.survival.logrank_pairs(times, by="mode"),
        tk.survival.rmst_difference(times, by="mode", reference="(none)", horizon=60),
    ]
    for result in results:
        view = result.release(min_n=None)
        told = [str(view.narrate()), str(view.table())]
        if view.schema.name != "logrank_pairs":
            told.append(json.dumps(view.chart().to_dict(), ensure_ascii=False))
        for text in told:
            assert "unknown" in text
            assert "(((none)))" not in text
        for said in ("unknown", "“(none)”", "((none))"):
            assert any(said in text for text in told)


KINDS = {
    "Booleans": pl.Series([True, False, None]),
    "numbers": pl.Series([1.0, 20241101.0, None]),
    "days": pl.Series([date(2024, 11, 1), date(2024, 11, 4), None]),
    "years": pl.Series([2023, 2024, None]),
    "months": pl.Series([date(2024, 11, 1), date(2024, 12, 1), None]),
    "texts": pl.Series(["", " ", None]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_comparison_names_groups_as_other_results_do(kind: str) -> None:
    by = "enrolled_month" if kind == "months" else "group kind"
    pc = learners(900).with_columns(half=pl.col("completion") > 0.5)
    number = pc["course_number"].str.slice(1).cast(pl.Int64)
    pc = pc.with_columns(KINDS[kind].gather(number).alias(by))
    times = tk.time_to_pass(pc)
    names = naming.of_rows(tk.outcomes(pc, by=by).release(min_n=None))["_name"].to_list()
    assert len(set(names)) == len(names)
    compared = tk.compare_groups(pc, by=by, strata="half")
    assert compared.within is not None
    for result in (
        compared.groups,
        compared.pairs,
        compared.within,
        tk.survival.logrank_pairs(times, by=by),
        tk.survival.rmst_difference(times, by=by, horizon=30),
        tk.survival.milestone_difference(times, by=by, at=30),
    ):
        view = result.release(min_n=None)
        columns = [name for name in view.frame.columns if name in COMPARED]
        told = {cell for row in view.table(columns, rows=999).rows for cell in row}
        assert told <= {*names}
        text = str(view.narrate())
        assert sum(name in text for name in names) >= 1
        assert not any(word in text for word in ("true", "false", "(none)", "2024-11", "1101.0"))
        if view.schema.name not in {"logrank_pairs", "within_strata"}:
            drawn = view.chart().to_dict()
            assert any(name in json.dumps(drawn, ensure_ascii=False) for name in names)
            groups = {
                row["group"]
                for data in drawn["datasets"].values()
                for row in data
                if "group" in row
            }
            assert {one for pair in groups for one in pair.split(" − ")} <= {*names}


def test_a_group_keeps_its_number_when_others_are_filtered_out() -> None:
    pc = learners(900).with_columns(g=pl.col("course_number").replace({"C0": "", "C1": " "}))
    result = tk.outcomes(pc, by="g").release(min_n=None)
    part = result.filter(pl.col("g") == " ")
    assert "in “” (2)" in str(part.narrate())
    assert "in “” (2)" in " ".join(part.chart().to_dict()["title"]["text"])


@pytest.mark.parametrize("column", ["group", "group_a", "other", "reference", "mode"])
def test_a_column_of_ones_own_with_any_name_is_displayed_as_it_is(column: str) -> None:
    values = ["(none)", "a · (none)", None]
    pc = learners(900).with_columns(
        pl.Series(column, [values[i % 3] for i in range(learners(900).height)], dtype=pl.String)
    )
    times = tk.time_to_pass(pc)
    results = [
        tk.outcomes(pc, by=column),
        tk.completion_funnel(pc, by=column),
        tk.kaplan_meier(times, by=column),
    ]
    for result in results:
        view = result.release(min_n=None)
        chart = json.dumps(view.chart().to_dict(), ensure_ascii=False)
        told = chart + str(view.narrate()) + str(view.table(rows=10_000))
        assert all(name in told for name in ("“(none)”", "a · (none)", "unknown"))
        assert "a · unknown" not in told


def test_of_two_long_names_each_keeps_its_beginning_and_its_end() -> None:
    long = "Foundations of a very long and thorough name, {} term"
    told = naming.pair(long.format("autumn"), long.format("spring"))
    a, b = told.split(" − ")
    assert a.endswith("autumn term")
    assert b.endswith("spring term")
    assert naming.width(told) <= naming.LONGEST
    assert naming.pair("audit", "honor") == "audit − honor"
