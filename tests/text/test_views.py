"""What is filtered, sorted or shortened is told as truly as the whole."""

import json
import re
from collections.abc import Callable

import polars as pl
import pytest
from told_results import RESULTS, durations, learners

import toolkit as tk
from toolkit.results.registry import REGISTRY
from toolkit.schemas import Role

PC = learners()
TIMES = durations(PC)
OWN = pl.DataFrame({"g": ["a", "b", "c"], "n": [400, 300, 50], "n_passed": [120, 110, 20]})
EVERY: dict[str, Callable[[pl.DataFrame], tk.Result]] = {
    **RESULTS,
    "key_figures": tk.reports.key_figures,
    "user_result": lambda _: tk.result(OWN, counts={"n": None, "n_passed": "n"}, groups=["g"]),
}
CURVES = ["kaplan_meier", "cumulative_incidence", "nelson_aalen", "smoothed_hazard"]


def views(result: tk.Result) -> list[tk.Result]:
    """No row, the first, the last, all but those of a value, and those of a value of each group."""
    frame = result.frame
    backwards = result.sort(pl.int_range(pl.len()), descending=True)
    found = [result.head(0), result.head(1), backwards.head(1)]
    groups = [*result.by, *(c.name for c in result.schema if c.role == Role.GROUP)]
    for name in dict.fromkeys(groups):
        first = frame[name][0] if frame.height else None
        found.append(result.filter(pl.col(name).eq_missing(first)))
        found.append(result.filter(pl.col(name).ne_missing(first)))
    return found


@pytest.mark.parametrize("name", EVERY)
def test_every_view_of_a_result_is_told_shown_and_drawn(name: str) -> None:
    for place, view in enumerate(views(EVERY[name](PC))):
        released = view.release(min_n=None if place % 2 else 10)
        assert str(released.narrate()).endswith(".")
        assert "None" not in repr(released) + released.to_html() + str(released.narrate())
        if REGISTRY[name].chart is not None:
            json.dumps(released.chart().to_dict())


@pytest.mark.parametrize("name", EVERY)
def test_a_narrative_does_not_depend_on_the_order_of_rows(name: str) -> None:
    result = EVERY[name](PC)
    backwards = result.sort(pl.int_range(pl.len()), descending=True)
    told = [str(one.narrate()) for one in (result, backwards)]
    assert sorted(re.findall(r"[\w%.,–]+", told[0])) == sorted(re.findall(r"[\w%.,–]+", told[1]))


@pytest.mark.parametrize(
    "name", ["pairs", "within_strata", "rmst_difference", "milestone_difference"]
)
def test_an_interval_for_all_comparisons_is_called_that_also_of_one_of_them(name: str) -> None:
    result = EVERY[name](learners(groups=4))
    n = result.frame.height
    for view in (
        result.head(1),
        result.release().filter(pl.col("difference").is_not_null()).head(1),
    ):
        assert f"for all {n} comparisons together" in str(view.narrate())
        assert f"those of the difference for all {n} comparisons together" in view.table().note
        if REGISTRY[name].chart is not None:
            assert "together" in json.dumps(view.chart().to_dict())
    assert "of the difference for all rows together" in result.table().note


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_read_from_its_start_whatever_rows_are_left(name: str) -> None:
    result = EVERY[name](PC)
    whole, last = result.release(min_n=None), result.frame["duration"].max()
    late = whole.filter(pl.col("duration") > last / 2)
    per_group = whole.frame.group_by("course_id").agg(pl.col("duration").max())["duration"]
    assert (per_group > last / 2).all()
    assert late.narrate() == whole.narrate()
    assert json.dumps(late.chart().to_dict()) == json.dumps(whole.chart().to_dict())
    early = whole.filter(pl.col("duration") <= last / 2)
    assert max(early.frame["duration"]) <= last / 2
    assert early.narrate() != whole.narrate() or name == "smoothed_hazard"


def test_a_quartile_that_was_filtered_away_is_not_said_to_be_unreached() -> None:
    summary = tk.survival_summary(TIMES, by="course_id")
    assert "Half of the learners pass" in summary.narrate()
    told = summary.filter(statistic="passed by").narrate()
    assert "Fewer than a quarter" not in told
    assert told.startswith("An estimated ")
    assert "hold no figure" in summary.filter(statistic="restricted mean").narrate()


def test_a_test_is_of_all_groups_whichever_are_left() -> None:
    for name in ("logrank", "gray_test"):
        whole = EVERY[name](PC)
        assert whole.head(1).narrate() == whole.narrate()


def test_a_loss_is_counted_from_the_stage_before_also_if_that_is_filtered_away() -> None:
    funnel = tk.completion_funnel(PC)
    before = funnel.release().frame["stage"].to_list()
    for stage in before[1:-1]:
        told = str(funnel.filter(stage=stage).narrate())
        named = re.search(r"between (.*?) and (.*): of", told)
        if named:
            assert before.index(named[2]) == before.index(named[1]) + 1


def test_figures_that_are_filtered_away_are_not_called_too_few() -> None:
    funnel = tk.completion_funnel(PC).filter(stage="enrolled")
    assert funnel.narrate().startswith("The rows left after filtering")
    few = tk.completion_funnel(learners(6)).filter(stage="enrolled")
    assert few.narrate() == "Too few learners to show."


def test_a_headline_keeps_what_is_reported_in_any_order() -> None:
    result = tk.reports.sensitivity(PC)
    text = str(result.narrate())
    first = text.split(";")[0]
    assert str(result.sort("rate").narrate()).startswith(first)
    other = result.filter(pl.col("choice") != "as reported")
    assert str(other.narrate()) == text
    assert str(result.head(1).narrate()) == f"{first}."


def test_totals_alone_are_told_as_all_groups() -> None:
    result = tk.outcomes(PC, by="course_id", totals=True)
    told = result.filter("is_total").narrate()
    assert str(told).startswith("Of 600 enrollments, ")


def test_cohorts_that_are_filtered_away_are_not_said_to_be_unobserved() -> None:
    progress = EVERY["cohort_progress"](PC)
    assert "had passed" in str(progress.narrate())
    late = progress.filter(pl.col("status") == "not yet")
    assert str(late.narrate()).startswith("The rows left after filtering") or late.frame.is_empty()


def test_one_pair_differs_and_several_differ() -> None:
    pairs = tk.compare_groups(PC, by="course_id").pairs
    assert "1 of 3 pairs differs by" in str(pairs.narrate())
    one = pairs.release().sort("p_adjusted").head(1)
    assert "The difference is between" in str(one.narrate())
    assert "1 of 1 pair differs by" in str(one.narrate())
    assert "1 of 1 pair of groups differs by" in json.dumps(one.chart().to_dict())
    curves = tk.survival.logrank_pairs(TIMES, by="course_id").release().head(1)
    assert "1 of 1 pair of curves differs by" in str(curves.narrate())


def test_strata_are_named_in_words() -> None:
    strata = PC.with_columns(half_way=pl.col("completion") > 0.5)
    within = tk.compare_groups(strata, by="course_id", strata=["half_way", "org"]).within
    assert within is not None
    assert "Within the same half way and org, " in str(within.narrate())
