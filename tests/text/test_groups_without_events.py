"""Groups in which nobody passes, or too few to show, in titles and sentences."""

import polars as pl

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
