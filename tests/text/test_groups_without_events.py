"""Groups in which nobody passes, or too few to show, in titles and sentences."""

import polars as pl
from told_results import learners

import toolkit as tk

ROWS = pl.DataFrame(
    {
        "g": ["none"] * 50 + ["some"] * 50 + ["lone"],
        "duration": [float(place % 20 + 1) for place in range(101)],
        "event": [False] * 50 + [place % 2 == 0 for place in range(50)] + [True],
    }
)


def title(result: tk.Released) -> str:
    told = result.chart().to_dict()["title"]["text"]
    return " ".join([told] if isinstance(told, str) else told)


def test_a_curve_without_a_released_step_is_not_told_as_of_day_0() -> None:
    for analysis in (tk.kaplan_meier, tk.survival.nelson_aalen):
        told = str(analysis(ROWS, by="g").release().narrate())
        assert "0 days" not in told
        assert "day 0" not in told
        assert "some" in told
    few = ROWS.with_columns(event=pl.lit(value=False))
    assert str(tk.kaplan_meier(few, by="g").release().narrate()).startswith("Too few learners")


def test_the_one_group_with_a_peak_is_named_once() -> None:
    for min_n in (None, 10):
        told = title(tk.survival.smoothed_hazard(ROWS, by="g").release(min_n=min_n))
        assert told == "Learners are most likely to pass around day 10 in some"
    assert title(tk.survival.smoothed_hazard(ROWS).release()).endswith("around day 10")


def test_what_has_no_p_is_not_drawn_as_chance() -> None:
    found = tk.survival.milestone_difference(ROWS, by="g", at=10, reference="some")
    assert found.frame["p_adjusted"].null_count() == found.frame.height
    assert title(found.release(min_n=None)) == "Differences from some, which cannot be tested"


APART = pl.DataFrame(
    {
        "g": ["a"] * 50 + ["b"] * 50,
        "course": ["c1"] * 50 + ["c2"] * 50,
        "duration": [float(place % 20 + 1) for place in range(100)],
        "event": [place % 2 == 0 for place in range(100)],
    }
)


def test_groups_in_different_courses_are_not_said_to_be_too_small() -> None:
    told = tk.logrank(APART, by="g", strata="course").narrate()
    assert told == (
        "The curves cannot be compared: too few events, or clusters, with two groups at risk."
    )
    pc = learners().with_columns(mode="course_id")
    within = tk.compare_groups(pc, by="mode", strata="course_id").within
    assert within.narrate() == "No course has learners of two groups."


def test_a_reference_without_times_is_counted_as_left_out() -> None:
    why = pl.when(pl.col("g") == "none").then(pl.lit("no date"))
    rows = ROWS.with_columns(excluded=why)
    for made in (
        tk.survival.milestone_difference(rows, by="g", at=10, reference="none"),
        tk.survival.rmst_difference(rows, by="g", reference="none"),
    ):
        told = str(made.narrate())
        assert told.startswith("Too few learners to show. Left out: about 50 without a known time")


def test_a_chart_of_one_group_names_no_reference() -> None:
    one = tk.survival.milestone_difference(ROWS.filter(g="some"), by="g", at=10)
    chart = one.chart().to_dict()
    assert "unknown" not in str(chart)
    assert title(one.release()) == "There are no two groups to compare"


def test_a_chart_of_one_large_group_does_not_say_that_there_are_too_few_learners() -> None:
    one = tk.compare_groups(learners(), by="org").pairs
    chart = one.release().chart().to_dict()
    assert title(one.release()) == "There are no two groups to compare"
    assert "oo few" not in str(chart)


def test_a_comparison_says_once_that_nothing_can_be_shown() -> None:
    pc = learners().filter("in_enrollments").head(1)
    told = str(tk.compare_groups(pc, by="course_id", strata="org", margin=0.05).narrate())
    assert told.count("too few") + told.count("Too few") == 1
    assert told.count("no two groups") == 1


def test_a_title_does_not_say_that_half_of_a_group_that_is_not_shown_have_not_passed() -> None:
    """Eight of the thirteen of "few" pass."""
    few = pl.DataFrame({"g": "few", "duration": [5.0] * 13, "event": [True] * 8 + [False] * 5})
    many = pl.DataFrame({"g": "many", "duration": [float(1 + n // 10) for n in range(60)]})
    curves = pl.concat([few, many.with_columns(event=pl.lit(value=True))], how="diagonal")
    told = title(tk.kaplan_meier(curves, by="g").release())
    assert told == "Half have passed by day 3 in many; not shown for 1 of 2 groups"
    never = pl.concat([few, ROWS.filter(g="some").with_columns(g=pl.lit("many"))])
    slow = never.with_columns(event=pl.col("event") & (pl.col("duration") < 15))
    told = title(tk.kaplan_meier(slow, by="g").release())
    assert (
        told == "Fewer than half of the learners have passed in 1 of 2 groups in the time shown; "
        "not shown for 1 of 2 groups"
    )
