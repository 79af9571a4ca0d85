"""Estimates against what is known: the sandbox's stated truth, and OULAD's published figures."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from person_courses import person_course_of

import toolkit as tk
from toolkit.sandbox.learners.oulad import Oulad
from toolkit.sandbox.learners.simulation import Simulation


@pytest.fixture(scope="session")
def oulad(oulad_dir: Path) -> pl.DataFrame:
    return person_course_of(Oulad(oulad_dir))


def test_oulad_shares_are_reproduced(oulad: pl.DataFrame) -> None:
    modules = tk.outcomes(oulad, by="course_number", totals=True).frame
    shares = {
        row["course_number"]: round(100 * row["pass_rate_of_enrolled"], 2)
        for row in modules.iter_rows(named=True)
    }
    assert shares == {
        "AAA": 70.99,
        "BBB": 47.46,
        "CCC": 37.84,
        "DDD": 41.61,
        "EEE": 56.24,
        "FFF": 47.00,
        "GGG": 59.75,
        None: 47.20,
    }
    assert modules["n_passed"][-1] == 12_361 + 3_024
    assert modules["n_enrolled"][-1] == 32_593


def test_oulad_registrations_are_reproduced(oulad: pl.DataFrame) -> None:
    runs = tk.outcomes(oulad, by=["course_number", "course_run"]).frame
    size = {
        row[:2]: row[2] for row in runs.select("course_number", "course_run", "n_enrolled").rows()
    }
    assert runs.height == 22
    assert runs["n_enrolled"].mean() == 1_481.5
    assert size["AAA", "2013J"] == 383
    assert size["AAA", "2014J"] == 365
    assert size["CCC", "2014J"] == 2_498


def test_oulad_traps_go_through_every_analysis(oulad: pl.DataFrame) -> None:
    funnel = tk.completion_funnel(oulad, by="course_id").frame
    assert funnel.height == 22 * 6
    assert (funnel["n_dropped"].drop_nulls() >= 0).all()
    # GGG has no grade, so nobody of it is missed by the counts that need one.
    ungraded = tk.grade_distribution(oulad, by="course_number", bins=10).frame
    missing = ungraded.filter(pl.col("part") == "missing", pl.col("course_number") == "GGG")
    assert missing["share_of_enrolled"].to_list() == [1.0]
    progress = tk.cohort_progress(oulad, cohort="1q").frame
    assert progress.filter(pl.col("cohort").is_null())["status"].to_list() == [
        "in no cohort: no enrollment date"
    ]
    per_cohort = progress.group_by("cohort").agg(pl.col("n_excluded", "n_members").first())
    assert per_cohort["n_excluded"].sum() + per_cohort["n_members"].sum() == 32_593
    assert tk.learner_paths(oulad).repeats.frame["n_learners"].sum() >= 28_785
    assert tk.compare_groups(oulad, by="course_number").pairs.frame.height == 21


@pytest.mark.slow
def test_the_truth_lies_in_its_intervals_as_often_as_they_say() -> None:
    runs = 120
    truth = Simulation(1, 0).truth
    assert truth is not None
    days = 90
    true = {
        course: 1 - float(truth.survival(course, days))
        for course in truth.parameters["course_id"].unique()
    }
    reference = "course-v1:DemoX+STAT101+2024_T1"
    rates, differences, ratios = [], [], []
    for seed in range(runs):
        pc = person_course_of(Simulation(2_000, seed))
        cells = tk.cohort_progress(
            pc, step=f"{days}d", periods=1, cohort="1y", by="course_id"
        ).frame
        rates += [
            row["reach_rate_ci_low"] <= true[row["course_id"]] <= row["reach_rate_ci_high"]
            for row in cells.iter_rows(named=True)
            if row["status"] == "shown"
        ]
        # Only who was observed for so long, and whether they had passed by then.
        timed = pc.filter(pl.col("observed_days") >= days).with_columns(
            early=(pl.col("days_to_pass") <= days).fill_null(value=False)
        )
        pairs = tk.compare_groups(timed, outcome="early", by="course_id", reference=reference).pairs
        for row in pairs.frame.iter_rows(named=True):
            a, b = true[row["group_a"]], true[reference]
            differences.append(row["difference_ci_low"] <= a - b <= row["difference_ci_high"])
            if row["ratio_ci_low"] is not None:
                ratios.append(row["ratio_ci_low"] <= a / b <= row["ratio_ci_high"])
    for covered in (rates, differences, ratios):
        assert len(covered) > 20 * runs
        assert 0.93 <= np.mean(covered) <= 0.97
