"""Released tables whose records have no keys: a page says each number once."""

import numpy as np
import polars as pl
import pytest

import toolkit as tk

N = 252
RNG = np.random.default_rng(2)
PC = pl.DataFrame(
    {
        "username": [f"learner {number}" for number in range(N)],
        "course_id": [f"course {number % 2}" for number in range(N)],
        "in_enrollments": True,
        "mode": "audit",
        "completion": RNG.integers(0, 11, N) / 10,
        "percent_grade": RNG.integers(0, 11, N) / 10,
        "passed": RNG.random(N) < 0.4,
        "enrolled_day": 20_000 + RNG.integers(0, 60, N),
        "days_to_pass": None,
        "observed_days": 400.0,
        "duration": RNG.integers(1, 100, N).astype(float),
        "event": RNG.random(N) < 0.5,
    }
).with_columns(days_to_pass=pl.when("passed").then("duration"))


def released(result: tk.Result) -> pl.DataFrame:
    return result.release().frame


@pytest.mark.parametrize("by", [None, "course_id"])
def test_a_number_of_a_group_is_released_once(by: str | None) -> None:
    of = [by] if by else []
    parts = released(tk.grade_distribution(PC, by=by))
    stages = released(tk.completion_funnel(PC, by=by))
    cohorts = released(tk.cohort_progress(PC, by=by, periods=6))
    sizes = [
        released(tk.outcomes(PC, by=by)).select(*of, n="n_enrolled"),
        parts.select(*of, n="n_enrolled"),
        stages.select(*of, n="n_enrolled"),
        stages.filter(stage="enrolled").select(*of, n="n_reached"),
        released(tk.kaplan_meier(PC, by=by)).filter(duration=0).select(*of, n="n_at_risk"),
        released(tk.survival_summary(PC, by=by)).select(*of, n="n_learners"),
    ]
    assert pl.concat(sizes).unique().height == (2 if by else 1)
    assert parts.select(*of, "n_valued").unique().height == (2 if by else 1)
    assert cohorts.select(*of, "cohort", "n_members").unique().height == (6 if by else 3)
    before = stages.filter(stage="half-way")["n_previous"].to_list()
    assert before == stages.filter(stage="active")["n_reached"].to_list()


def test_a_level_that_all_have_has_all_of_them_in_every_group() -> None:
    rows = released(tk.reports.table_one(PC, by="course_id", columns=["mode"]))
    assert rows["n_known"].to_list() == rows["n_level"].to_list()
    assert rows["standardized_difference"].drop_nulls().to_list() == [0.0]


def test_a_group_in_many_pairs_has_the_same_learners_in_each() -> None:
    pc = PC.with_columns(g=pl.Series(RNG.choice(["a", "b", "c", "d"], N)))
    pairs = released(tk.compare_groups(pc, by="g", strata="course_id").within)
    named = [
        pairs.select(g=f"group_{x}", n=pl.col(f"n_learners_{x}") + pl.col(f"n_excluded_{x}"))
        for x in "ab"
    ]
    assert pl.concat(named).unique().height <= 4
