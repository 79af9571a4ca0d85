"""How many learners a curve or a comparison rests on, and what can be said of it."""

import polars as pl
import pytest
from late_entries import late_entries

import toolkit as tk

LATE = late_entries(5)


def subtitle(result: tk.Released) -> str:
    told = result.chart().to_dict()["title"]["subtitle"]
    return " ".join([told] if isinstance(told, str) else told)


@pytest.mark.parametrize("min_n", [None, 10])
def test_those_who_enter_late_are_not_left_out_of_the_number(min_n: int | None) -> None:
    for analysis in (tk.kaplan_meier, tk.survival.nelson_aalen, tk.survival.smoothed_hazard):
        result = analysis(LATE).release(min_n=min_n)
        most = result.frame["n_at_risk"].max()
        assert subtitle(result).startswith(f"n = {most} enrollments at risk at most") or (
            subtitle(result).startswith("n = 400 enrollments ")
        )
    assert "enrollments" not in str(tk.kaplan_meier(LATE).release(min_n=min_n).narrate())


@pytest.mark.parametrize("min_n", [None, 10])
def test_the_number_at_a_chosen_time_is_not_that_of_all(min_n: int | None) -> None:
    chosen = tk.kaplan_meier(LATE.drop("entry"), times=[30, 60]).release(min_n=min_n)
    assert " enrollments at risk at most" in subtitle(chosen)
    assert "enrollments" not in str(chosen.narrate())
    whole = tk.kaplan_meier(LATE.drop("entry")).release(min_n=min_n)
    assert subtitle(whole).startswith("n = 400 enrollments ")
    assert "of 400 enrollments pass" in str(whole.narrate())


def test_what_cannot_be_tested_is_not_told_as_chance() -> None:
    pc = LATE.select(
        "g",
        in_enrollments=True,
        completion=0.5,
        percent_grade=0.5,
        passed="event",
        one=pl.lit("x"),
    )
    pairs = tk.compare_groups(pc, by="g", cluster="one").pairs
    for min_n in (None, 10):
        released = pairs.release(min_n=min_n)
        assert "cannot be tested" in str(released.narrate())
        assert "chance alone could explain" not in str(released.narrate())
        assert released.chart().to_dict()


def test_a_margin_is_written_as_given() -> None:
    pc = LATE.select("g", in_enrollments=True, completion=0.5, percent_grade=0.5, passed="event")
    pairs = tk.compare_groups(pc, by="g", margin=0.005).pairs
    assert "0.5 points" in str(pairs.release().table(["margin"]))
