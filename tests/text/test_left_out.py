"""Whoever is left out of a figure is counted in its table and told in its words."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
import pytest
import told_results
from told_results import BY, RESULTS, learners

import toolkit as tk
from toolkit.results.registry import REGISTRY
from toolkit.schemas import Role

FEW, OUT = pl.int_range(pl.len()) < 60, pl.int_range(pl.len()).is_between(100, 199)
COUNTS = ("n_excluded", "n_not_enrolled", "n_undated", "n_left_out")
PC = learners(900).with_columns(
    in_enrollments=~FEW, days_to_pass=pl.when(~OUT).then("days_to_pass")
)
# What is left out of these is no learner, or is a part of the table itself, with its own row.
WHOLE = {
    "completion_funnel": "the enrolled",
    "distribution": "the enrolled, those without a value among them",
    "compared_groups": "those who are `among`",
    "pairs": "those who are `among`",
    "comparison_test": "those who are `among`",
    "transitions": "the passes that were observed for long enough",
    "match_counts": "all records",
    "change_counts": "all changes",
    "failed_checks": "all records",
    "key_figures": "the enrolled",
    "user_result": "what the user counted",
    "table_one": "the enrolled; `n_missing` has those without a value",
}


def again(pc: pl.DataFrame) -> pl.DataFrame:
    """Learners who enroll twice; of some the platform does not know when."""
    undated = pl.when(pl.int_range(pl.len()) >= 45).then("enrolled_day")
    runs = [pc.with_columns(course_id=BY + pl.lit(f"+{run}")) for run in "12"]
    return pl.concat(runs).with_columns(in_enrollments=True, enrolled_day=undated.over("course_id"))


MAKE: dict[str, Callable[[], tk.Result]] = {
    **{name: lambda make=make: make(PC) for name, make in RESULTS.items()},
    "cohort_progress": lambda: tk.cohort_progress(PC, cohort="1y"),
    "repeats": lambda: tk.learner_paths(again(PC)).repeats,
    "within_strata": lambda: one_sided(),
    "sensitivity": lambda: tk.reports.sensitivity(
        PC, among=[], as_of=[], excluding={"the first": pl.col("enrolled_day") < 20_100}
    ),
}


def one_sided() -> tk.Result:
    """Two groups; some of one are in a stratum without the other."""
    pc = PC.filter(pl.col(BY) != "course-v1:Org+C2+2026").with_columns(
        stratum=pl.when(pl.col(BY).str.contains("C0") & (pl.col("completion") > 0.5))
        .then(pl.lit("alone"))
        .otherwise(pl.lit("shared"))
    )
    found = tk.compare_groups(pc, by=BY, strata="stratum").within
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def some_without_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = told_results.durations
    why = pl.when(FEW).then(pl.lit("no origin"))
    monkeypatch.setattr(told_results, "durations", lambda pc: plain(pc).with_columns(excluded=why))


def excluded(result: tk.Result) -> list[str]:
    counts = result.schema.of_role(Role.COUNT)
    return [name for name in counts if name in COUNTS or "excluded" in name]


def test_every_table_counts_who_is_left_out_or_counts_all() -> None:
    counting = {name for name in MAKE if excluded(MAKE[name]())}
    assert counting | set(WHOLE) == set(REGISTRY)
    assert not counting & set(WHOLE)


@pytest.mark.parametrize("name", sorted(set(MAKE) - set(WHOLE)))
@pytest.mark.parametrize("min_n", [10, None])
def test_who_is_left_out_is_told(name: str, min_n: int | None) -> None:
    result = MAKE[name]()
    assert result.frame.select(excluded(result)).fold(lambda a, b: a.fill_null(0) + b).sum()
    said = str(result.release(min_n=min_n).narrate())
    assert "Left out" in said or "leaves out" in said


@pytest.mark.parametrize("name", sorted(set(MAKE) - set(WHOLE) - {"sensitivity", "exclusions"}))
def test_nobody_is_said_to_be_left_out_where_nobody_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert "eft out" not in str(RESULTS[name](learners()).release(min_n=None).narrate())


def test_the_number_told_is_that_of_distinct_learners() -> None:
    for name in ("rmst_difference", "milestone_difference", "logrank_pairs", "logrank"):
        said = str(MAKE[name]().release(min_n=None).narrate())
        assert "Left out: 60 without a known time." in said
    assert "Left out: 60 without an enrollment." in str(
        MAKE["outcomes"]().release(min_n=None).narrate()
    )


def test_groups_with_few_left_out_are_told_as_well() -> None:
    few = pl.when(FEW & pl.col(BY).str.contains("C0")).then(pl.lit("no origin"))
    timed = told_results.durations(PC).with_columns(excluded=few)
    said = str(tk.kaplan_meier(timed, by=BY).narrate())
    assert "without a known time; fewer than 10 in each of 2 other groups." in said


@pytest.mark.parametrize(
    "name", sorted(set(MAKE) - set(WHOLE) - {"sensitivity", "exclusions", "repeats"})
)
def test_the_bound_is_told_where_all_counts_are_withheld(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    result = RESULTS[name](learners())
    said = str(result.release().narrate())
    assert re.search(r" Left out in each (group|cohort): fewer than 10 \w", said)
    assert "fewer than" not in str(result.release(min_n=None).narrate())


def test_that_nobody_is_left_out_is_told_of_exact_counts_alone() -> None:
    everybody = told_results.durations(learners()).filter(pl.col("excluded").is_null())
    result = tk.survival.exclusions(everybody)
    assert str(result.narrate()).startswith("Fewer than 10 learners are left out of the time")
    exact = str(result.release(min_n=None).narrate())
    assert exact == "Nobody is left out of the time to pass."


def test_of_one_group_the_bound_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    timed = told_results.durations(learners())
    said = str(tk.kaplan_meier(timed).narrate())
    assert said.endswith(" Left out: fewer than 10 without a known time.")
