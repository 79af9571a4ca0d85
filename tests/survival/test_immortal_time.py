"""Groups formed by what happens later: the bias, its warning, and the landmark that removes it."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from person_courses import person_course_of

import toolkit as tk
from toolkit.sandbox.learners.courses import CLOCK
from toolkit.sandbox.learners.simulation import Simulation

SEEN = datetime(2025, 4, 1)
LANDMARK = 40.0


@pytest.fixture(scope="module")
def now() -> pl.DataFrame:
    return person_course_of(Simulation(20_000, 5, late_upgrades=True))


def verified_less_audit(durations: pl.DataFrame) -> dict[str, float]:
    found = tk.survival.milestone_difference(durations, by="mode", at=150, reference="audit")
    [row] = found.frame.to_dicts()
    return row


def test_without_an_effect_the_mode_of_the_last_look_shows_a_large_one(now: pl.DataFrame) -> None:
    row = verified_less_audit(tk.time_to_pass(now))
    assert row["ci_low"] > 0.2
    shares = tk.outcomes(now, by="mode").frame["pass_rate_of_enrolled"].to_list()
    assert shares[0] < 0.25 < 0.5 < shares[1]


def test_from_a_landmark_on_the_mode_of_that_day_shows_none(now: pl.DataFrame) -> None:
    then = person_course_of(Simulation(20_000, 5, SEEN, late_upgrades=True))
    enrolled = pl.col("created").dt.replace_time_zone(None)
    month = then.filter(
        enrolled.is_between(SEEN - timedelta(days=LANDMARK), SEEN - timedelta(days=10))
    ).select("username", "course_id", mode_then="mode")
    known = now.drop("mode").join(month, on=["username", "course_id"]).rename({"mode_then": "mode"})
    row = verified_less_audit(tk.time_to_pass(known, entry=LANDMARK))
    assert row["n_learners"] > 100
    assert row["ci_low"] < 0 < row["ci_high"]
    assert abs(row["difference"]) < 0.1


def test_late_upgrades_change_no_pass() -> None:
    late, plain = (
        person_course_of(Simulation(3_000, 3, late_upgrades=late)) for late in (True, False)
    )
    assert set(late["mode"]) == {"audit", "verified"}
    assert late["created"].to_list() == plain["created"].to_list()
    assert abs(late["passed"].mean() - plain["passed"].mean()) < 0.03
    earlier = person_course_of(Simulation(3_000, 3, SEEN, late_upgrades=True))
    both = earlier.join(late, on=["username", "course_id"], suffix="_now")
    assert both.filter(mode="verified", mode_now="audit").is_empty()
    assert both.filter(mode="audit", mode_now="verified").height > 100
    assert Simulation(5, 3, late_upgrades=True).earlier(CLOCK).late_upgrades


def test_the_words_name_immortal_time_and_the_landmark(now: pl.DataFrame) -> None:
    durations = tk.time_to_pass(now)
    for told in (
        tk.compare_groups(now, by="mode").narrate(),
        tk.kaplan_meier(durations, by="mode").narrate(),
        tk.logrank(durations, by="mode").narrate(),
        tk.survival_summary(durations, by="mode").narrate(),
        tk.survival.milestone_difference(durations, by="mode", at=90).narrate(),
        tk.survival.rmst_difference(durations, by="mode").narrate(),
    ):
        assert "immortal time" in told
        assert "`time_to_pass(entry=)`" in told
    for told in (
        tk.compare_groups(now, by="course_id").narrate(),
        tk.kaplan_meier(durations, by="course_id").narrate(),
    ):
        assert "immortal" not in told
    active = tk.compare_groups(now, by="course_id", among="active").narrate()
    assert "Who is active is known only later" in active


def test_the_sandbox_serves_late_upgrades() -> None:
    with tk.sandbox(learners=300, late_upgrades=True) as platform:
        assert "late upgrades" in platform.label
        assert platform.truth is None
        assert set(tk.load_study(platform).enrollments["mode"]) == {"audit", "verified"}
