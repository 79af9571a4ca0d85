"""`Result`: exact in memory, released wherever it is shown."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import toolkit as tk
from toolkit.analyses.outcomes import outcomes
from toolkit.errors import ArgumentError, DisclosureError, SchemaError
from toolkit.results.registry import REGISTRY, chart_of, look_up
from toolkit.results.result import Released, Result
from toolkit.schemas.results import RESULTS


def learners(n: int = 60) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "username": [f"learner {i}" for i in range(n)],
            "mode": ["audit" if i % 3 else "verified" for i in range(n)],
            "in_enrollments": True,
            "completion": 0.5,
            "percent_grade": 0.71234,
            "passed": [i % 2 == 0 for i in range(n)],
            "record_key": [(i * 2_654_435_761) % 2**32 for i in range(n)],
        }
    )


@pytest.fixture
def result() -> Result:
    return outcomes(learners(), by="mode")


def test_the_frame_is_exact_and_what_is_released_is_rounded(result: Result) -> None:
    assert result.frame["n_passed"].to_list() == [20, 10]
    released = result.release().frame
    assert all(n % 5 == 0 for n in released["n_passed"])
    shown = released["n_passed"] / released["n_enrolled"]
    assert released["pass_rate_of_enrolled"].to_list() == shown.to_list()


def test_the_same_learners_get_the_same_figure_in_every_table() -> None:
    pc = learners(47)
    whole = outcomes(pc).release().frame["n_enrolled"].item()
    by_nothing = outcomes(pc.with_columns(all=pl.lit("all")), by="all").release().frame
    assert by_nothing["n_enrolled"].item() == whole


def test_releasing_twice_changes_nothing(result: Result) -> None:
    released = result.release(min_n=20)
    assert isinstance(released, Released)
    assert released.release() is released


def test_protection_is_switched_off_only_by_name(result: Result) -> None:
    assert result.release(min_n=None).frame["n_passed"].to_list() == [20, 10]
    for wrong in (0, 1, 4, -1, True, 2.5, "10"):
        with pytest.raises(DisclosureError, match="min_n"):
            result.release(min_n=wrong)  # type: ignore[arg-type]


def test_rows_are_kept_by_the_figures_that_are_shown() -> None:
    few = outcomes(learners(12), by="mode").filter(pl.col("n_enrolled") < 10)
    assert few.frame["mode"].to_list() == ["audit", "verified"]
    assert few.release().frame.is_empty()  # both are withheld, so neither is known to be small


def test_sort_and_head_keep_a_result(result: Result) -> None:
    top = result.sort("n_enrolled", descending=True).head(1)
    assert isinstance(top, Result)
    assert top.frame["mode"].to_list() == ["audit"]
    assert top.release().frame.height == 1


def test_an_unknown_column_is_told_at_once(result: Result) -> None:
    with pytest.raises(SchemaError, match="n_enrolled"):
        result.filter(pl.col("nope") > 3)


def test_an_unknown_chart_option_is_told_with_those_there_are(result: Result) -> None:
    with pytest.raises(SchemaError, match="rate"):
        result.chart(colour="red")


@pytest.mark.parametrize("table", sorted(RESULTS))
def test_every_result_table_has_its_words_and_its_chart(table: str) -> None:
    entry = REGISTRY[table]
    assert callable(look_up(entry.words))
    if entry.chart is not None:
        assert callable(chart_of(table))


def test_the_registry_names_no_table_that_does_not_exist() -> None:
    assert set(REGISTRY) - {"user_result"} <= set(RESULTS)


@pytest.mark.parametrize("column", ["username", "email"])
def test_learners_are_no_groups_of_what_is_shown(column: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({column: ["ada", "bob"], "n": [20, 30]})
    result = tk.result(frame, counts={"n": None}, groups=[column])
    for show in (repr, tk.Result.release, lambda result: result.to_csv(tmp_path / "x.csv")):
        with pytest.raises(
            tk.errors.DisclosureError, match=f"a table by `{column}` names learners"
        ):
            show(result)
    assert list(tmp_path.iterdir()) == []
    assert result.frame["n"].to_list() == [20, 30]


def test_learners_are_not_named_by_comparisons_and_characteristics_either() -> None:
    pc = learners(40)
    times = pc.with_columns(duration=pl.int_range(1, 41).cast(pl.Float64), event="passed")
    compared = tk.compare_groups(pc, by="username", strata="mode")
    assert compared.within is not None
    for result in (
        compared.groups,
        compared.pairs,
        compared.within,
        tk.survival.logrank_pairs(times, by="username"),
        tk.reports.table_one(pc, columns=["username"]),
    ):
        assert result.frame.height
        for show in (repr, tk.Result.narrate, tk.Result.release):
            with pytest.raises(DisclosureError, match="a table by `username` names learners"):
                show(result)


def test_strata_that_are_learners_are_counted_as_learners() -> None:
    pc = pl.concat([learners(60), learners(3).with_columns(mode=pl.lit("honor"))])
    within = tk.compare_groups(pc, by="mode", strata="username").within
    assert within is not None
    assert within.frame["n_strata"].to_list() == [2, 0, 1]
    assert within.release().frame["n_strata"].to_list() == [None] * 3
    assert within.narrate() == "Too few learners to show."
    both = pl.concat([learners(60), learners(60).with_columns(mode=pl.lit("honor"))])
    all_twice = tk.compare_groups(both, by="mode", strata="username").within
    assert all_twice is not None
    assert all_twice.frame["n_strata"].to_list() == [40, 0, 20]
    assert all_twice.release().frame["n_strata"].to_list() == [40, None, 20]


@pytest.mark.parametrize(
    ("door", "told"),
    [
        (lambda one: one.table(7), "columns must be names, such as ['mode'], not 7"),
        (lambda one: one.table([]), "columns must be names, such as ['mode'], not []"),
        (lambda one: one.table(["mode", 7]), "columns must be names"),
        (lambda one: one.to_latex(label=7), "label must be a string, not 7"),
        (lambda one: one.captioned(7), "caption must be a string, not 7"),
    ],
)
def test_a_wrong_argument_of_a_display_is_told_at_once(
    door: Callable[[Any], object], told: str, result: Result
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(told)):
        door(result)


def test_an_error_of_polars_is_told_without_its_query(result: Result) -> None:
    with pytest.raises(SchemaError, match=r"^outcomes: cannot compare [^\n]*\. It has mode, "):
        result.filter(mode=3)
