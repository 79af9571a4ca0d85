"""Every sentence is read, and its counts held against the released figures."""

import re

import polars as pl
import pytest
from told_results import RESULTS, durations, learners

import toolkit as tk
from toolkit.results.registry import REGISTRY
from toolkit.text import curve_differences

PC = learners()


def counts_in(text: str) -> set[int]:
    """The counts in a sentence: numbers before a noun that counts learners."""
    found = re.findall(r"(\d[\d,]*) (?:enrollments|led to|go on|passed without|records)", text)
    return {int(number.replace(",", "")) for number in found}


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_told_in_whole_sentences(name: str) -> None:
    text = RESULTS[name](PC).narrate()
    assert text.endswith(".")
    assert not re.search(r"None|nan|null|_", text)


@pytest.mark.parametrize("name", RESULTS)
def test_a_sentence_holds_only_counts_that_are_released(name: str) -> None:
    result = RESULTS[name](PC)
    frame = result.release().frame
    shown = {
        value
        for column in frame.columns
        if frame.schema[column].is_integer()
        for value in frame[column].drop_nulls()
    }
    assert counts_in(result.narrate()) <= shown


@pytest.mark.parametrize("name", RESULTS)
def test_of_few_learners_nothing_is_told(name: str) -> None:
    text = RESULTS[name](learners(6)).narrate()
    assert not re.search(r"\b[1-6] (?:enrollments|learners|records)|\d%", text)


def test_every_table_of_the_registry_is_told_in_these_tests() -> None:
    assert set(RESULTS) >= set(REGISTRY) - {
        "change_counts",
        "failed_checks",
        "key_figures",
        "user_result",
    }


def test_one_group_is_told_with_its_denominators_and_interval() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": [True] * 40,
            "completion": 0.5,
            "percent_grade": 0.7,
            "passed": [True] * 30 + [False] * 10,
        }
    )
    assert tk.outcomes(pc).release(min_n=None).narrate() == (
        "Of 40 enrollments, 40 (100.0%) were active and 30 led to a pass: 75.0% of the enrolled "
        "(95% interval 59.8–85.8%) and 75.0% of the active."
    )


def test_no_difference_by_chance_comes_without_its_caution() -> None:
    alike = learners(200).with_columns(
        course_id=pl.Series(["a", "b"] * 100),
        passed=pl.Series([True, True, False, False] * 50),
    )
    text = tk.compare_groups(alike, by="course_id").test.narrate()
    assert "chance alone could explain" in text
    assert "could still be hidden" in text


def test_names_of_the_platform_are_text_in_a_notebook() -> None:
    pc = learners().with_columns(course_id=pl.lit("<meta http-equiv=refresh>"))
    shown = tk.outcomes(pc, by="course_id").narrate()._repr_html_()
    assert "&lt;meta" in shown
    assert "<meta" not in shown


def test_an_empty_result_says_so() -> None:
    empty = tk.outcomes(learners(), by="course_id").filter(pl.col("n_enrolled") < 0)
    assert empty.narrate() == "There are no learners to count."


def test_a_group_that_is_withheld_is_not_told_to_pass_less() -> None:
    groups = {"a": (200, 150), "b": (12, 8), "c": (300, 20), "d": (5, 5)}
    durations = pl.concat(
        pl.DataFrame(
            {
                "duration": [float(i % 7 + 1) for i in range(n)],
                "event": [i < n_events for i in range(n)],
                "group": [name] * n,
            }
        )
        for name, (n, n_events) in groups.items()
    )
    told = tk.survival_summary(durations, by="group").narrate()
    assert " in a. In 1 group fewer have passed so far. For 2 groups this cannot be shown." in told


def late_medians(n_long: int) -> pl.DataFrame:
    """Half of group a pass within 5 days; of b all but a few are censored before half pass."""
    of_a = [(float(i % 7 + 1), i < 150, "a") for i in range(200)]
    of_b = [(2.0, i < 20, "b") for i in range(200)]
    long = [(9.0 + i, True, "b") for i in range(n_long)]
    columns = ["duration", "event", "group"]
    return pl.DataFrame(of_a + of_b + long, schema=columns, orient="row")


def test_a_median_reached_with_few_at_risk_is_not_told() -> None:
    found = tk.survival_summary(late_medians(4), by="group", milestones=[2])
    [of_b] = found.filter(group="b", statistic="median").frame.rows(named=True)
    assert (of_b["estimate"], of_b["is_well_observed"]) == (10.0, False)
    told = found.release(min_n=None).narrate()
    assert "Half of the learners pass within 5 days" in told
    assert "in a. In 1 group too few are at risk by then." in told
    only_b = tk.survival_summary(late_medians(4).filter(group="b"), milestones=[2])
    assert str(only_b.release(min_n=None).narrate()).startswith(
        "Fewer than a quarter pass while enough learners are at risk: an estimated 9.8% "
    )
    many = tk.survival_summary(late_medians(40), by="group").release(min_n=None).narrate()
    assert " in b" in many
    assert "too few" not in many


def test_a_small_group_is_observed_as_well_as_it_can_be() -> None:
    rows = pl.DataFrame({"duration": [1.0, 2.0, 3.0, 4.0], "event": [True] * 4})
    found = tk.survival_summary(rows, milestones=[3])
    assert found.frame.filter(statistic="median")["is_well_observed"].to_list() == [True]
    assert found.frame.filter(statistic="restricted mean")["is_well_observed"].to_list() == [None]
    assert "Half of the learners pass within 2 days" in found.release(min_n=None).narrate()


@pytest.mark.parametrize("name", ["cumulative_incidence", "nelson_aalen", "survival_summary"])
def test_an_estimate_that_depends_on_time_is_told_with_its_interval(name: str) -> None:
    assert "95% interval" in RESULTS[name](PC).narrate()


@pytest.mark.parametrize(
    "name", ["kaplan_meier", "survival_summary", "cumulative_incidence", "nelson_aalen"]
)
def test_who_is_left_out_of_a_time_is_told(name: str) -> None:
    timed = durations(PC).with_columns(
        excluded=pl.when(pl.int_range(pl.len()) < 40).then(pl.lit("no origin"))
    )
    analysis = getattr(tk.survival, name)
    assert "Left out: 40 without a known time" in analysis(timed).narrate()


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_one_of_a_thing_is_not_several(name: str, n: int) -> None:
    text = RESULTS[name](learners(n)).release(min_n=None).narrate()
    nouns = "days|weeks|groups|enrollments|learners|records|pairs|choices|go on"
    assert not re.search(rf"(?<![\d.,])1 (?:{nouns})", text)
    assert not re.search(r"\b0 enrollments,|– (?:of|led)", text)


def test_learners_too_few_to_show_are_still_there() -> None:
    few = tk.survival.smoothed_hazard(durations(learners(8))).narrate()
    assert few == "Too few learners to show."


def test_a_test_says_of_which_groups_it_is() -> None:
    """Two groups of four are too small to be shown."""
    sizes = {"a": (200, 100), "b": (200, 140), "c": (6, 3), "d": (7, 2)}
    pc = pl.DataFrame(
        [
            {"mode": mode, "passed": i < k, "in_enrollments": True}
            for mode, (n, k) in sizes.items()
            for i in range(n)
        ]
    ).with_columns(completion=None, percent_grade=None)
    told = tk.compare_groups(pc, by="mode").test
    assert told.release(min_n=None).narrate().startswith("The 4 groups differ by more")
    assert told.narrate().startswith("The 2 groups differ by more")
    assert "1 degree of freedom" in told.narrate()
    assert told.narrate().endswith(" 2 groups could not be compared.")


def test_choices_that_cannot_be_shown_are_counted_beside_a_single_one() -> None:
    few = {f"all but {n}": pl.int_range(pl.len()) >= n for n in (5, 6)}
    found = tk.reports.sensitivity(
        PC, among=[], as_of=[], excluding={"nobody": pl.lit(value=False), **few}
    )
    assert found.narrate().endswith("%. 2 choices cannot be shown.")


def test_a_figure_of_one_day_is_one_day() -> None:
    day = pl.col("created") + pl.duration(days=1)
    soon = PC.with_columns(passed=pl.lit(value=True), passed_timestamp=day)
    found = tk.reports.sensitivity(soon, headline="median", as_of=[])
    assert found.narrate().startswith("The median is 1 day; excluding")
    nobody = tk.outcomes(PC.clear())
    assert nobody.release(min_n=None).narrate() == "Too few learners to show."


def test_an_interval_without_width_is_in_no_sentence_as_in_no_table() -> None:
    """All who pass do so on one day, so that the median has no other."""
    days = pl.DataFrame(
        {"duration": [90.0] * 60 + [200.0] * 20, "event": [True] * 60 + [False] * 20}
    )
    for view in (found := tk.survival_summary(days), found.release(min_n=None)):
        assert str(view.narrate()).startswith("Half of the learners pass within 90 days.")
        assert "90–90" not in str(view.narrate()) + repr(view)


def test_no_difference_of_means_is_neither_sooner_nor_later() -> None:
    one = pl.DataFrame({"duration": [float(day) for day in range(1, 41)]})
    both = pl.concat(
        one.with_columns(event=pl.col("duration") % 3 > 0, group=pl.lit(group)) for group in "ab"
    )
    exact = tk.survival.rmst_difference(both, by="group").release(min_n=None)
    told = curve_differences.rmst_difference(exact)
    assert "compared with a: b at the same time (95% interval −" in told
