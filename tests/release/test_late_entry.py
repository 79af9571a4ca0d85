"""Released curves of learners who enter late are as uncertain as the exact ones."""

import pytest
from late_entries import late_entries

import toolkit as tk

LATE = late_entries(0)


def test_errors_are_those_of_the_exact_curve() -> None:
    curve = tk.kaplan_meier(LATE, times=[20, 30, 45, 60])
    exact, safe = curve.frame, curve.release().frame
    assert safe["survival"].to_list() == pytest.approx(exact["survival"].to_list(), abs=0.02)
    assert safe["std_error"].to_list() == pytest.approx(exact["std_error"].to_list(), rel=0.08)


def test_a_difference_of_means_is_not_much_surer_than_the_exact_one() -> None:
    found = tk.survival.rmst_difference(LATE, by="g", horizon=70)
    exact, safe = (
        frame["ci_high"][0] - frame["ci_low"][0] for frame in (found.frame, found.release().frame)
    )
    assert 0.75 * exact < safe < 1.25 * exact  # a step stands later than its first events


def test_without_late_entry_nothing_is_measured_on_the_records() -> None:
    rows = LATE.drop("entry")
    whole = LATE.with_columns(entry=0.0)
    safe, same = (tk.kaplan_meier(frame, by="g").release().frame for frame in (rows, whole))
    assert safe.equals(same)
