"""Where one group of several can be shown, titles and sentences name it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import toolkit as tk

START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pc() -> pl.DataFrame:
    """A course of 40, of whom 30 pass after 20 days, beside two of 3."""
    course = ["large"] * 40 + ["small"] * 3 + ["tiny"] * 3
    passed = [number < 30 for number in range(len(course))]
    return pl.DataFrame(
        {
            "username": [f"learner {number}" for number in range(len(course))],
            "course_id": course,
            "created": START,
            "as_of": START + timedelta(days=400),
            "in_enrollments": True,
            "passed": passed,
            "active": True,
            "completion": [1.0 if one else 0.1 for one in passed],
            "percent_grade": 0.5,
            "passed_timestamp": [START + timedelta(days=20) if one else None for one in passed],
            "record_key": range(1, len(course) + 1),
        },
        schema_overrides={"passed_timestamp": pl.Datetime("us", "UTC")},
    )


def title(chart: object) -> str:
    told = chart.to_dict()["title"]["text"]  # type: ignore[attr-defined]
    return " ".join(told) if isinstance(told, list) else str(told)


def test_the_pass_rate_of_the_one_group_shown_is_not_told_of_all(pc: pl.DataFrame) -> None:
    assert title(tk.outcomes(pc, by="course_id").chart()).endswith("in large")
    assert " in " not in title(tk.outcomes(pc).chart())


def test_where_most_are_lost_in_the_one_group_shown_is_not_told_of_all(pc: pl.DataFrame) -> None:
    funnel = tk.completion_funnel(pc, by="course_id")
    assert title(funnel.chart()).endswith("in large")
    assert "in large. 2 of 3 groups cannot be shown" in str(funnel.narrate())


def test_the_median_of_the_one_group_shown_is_not_told_of_all(pc: pl.DataFrame) -> None:
    durations = tk.time_to_pass(pc)
    by_course = tk.kaplan_meier(durations, by="course_id").chart()
    assert title(by_course) == "Half have passed by day 20 in large"
    assert title(tk.kaplan_meier(durations).chart()) == "Half of the learners have passed by day 20"
