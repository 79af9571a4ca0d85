"""The median of a curve is the same in the summary and in the chart's title."""

import re

import numpy as np
import polars as pl
import pytest

import toolkit as tk


def durations(seed: int) -> pl.DataFrame:
    draws = np.random.default_rng(seed)
    times = draws.exponential(150, 400)
    seen = draws.uniform(100, 420, 400)
    return pl.DataFrame(
        {
            "duration": np.minimum(times, seen),
            "event": times <= seen,
            "g": draws.choice(["a", "b"], 400, p=[0.7, 0.3]),
        }
    )


@pytest.mark.parametrize("min_n", [None, 10, 25])
@pytest.mark.parametrize("seed", range(8))
def test_half_have_passed_by_the_same_day_in_summary_and_chart(
    seed: int, min_n: int | None
) -> None:
    frame = durations(seed)
    curves = tk.kaplan_meier(frame, by="g").release(min_n=min_n)
    summary = tk.survival_summary(frame, by="g").release(min_n=min_n)
    title = curves.chart().to_dict()["title"]["text"]
    drawn = re.findall(r"by day (\d+)", " ".join([title] if isinstance(title, str) else title))
    told = re.findall(r"within (\d+) days", str(summary.narrate()))
    assert told == drawn
    assert told


def test_a_chart_does_not_deny_what_the_summary_cannot_show() -> None:
    """Half of b have passed by day 300, when 8 of 200 are left, so the curve shown ends before."""
    soon = pl.DataFrame({"g": "a", "duration": [20.0] * 150 + [400.0] * 50, "event": True})
    late = pl.DataFrame(
        {"g": "b", "duration": [90.0] * 50 + [100.0] * 142 + [300.0] * 8}
    ).with_columns(event=pl.col("duration") != 100)
    frame = pl.concat([soon, late], how="diagonal")
    summary = tk.survival_summary(frame, by="g").filter(statistic="median")
    assert summary.frame["estimate"].to_list() == [20.0, 300.0]
    assert "For 1 group this cannot be shown." in str(summary.narrate())
    title = " ".join(tk.kaplan_meier(frame, by="g").chart().to_dict()["title"]["text"])
    assert title == "Half have passed by day 20 in a; not in the time shown in 1 of 2 groups"
    alone = " ".join(tk.kaplan_meier(late).chart().to_dict()["title"]["text"])
    assert alone == "Fewer than half of the learners have passed in the time shown"


def test_a_chart_of_differences_counts_the_reference_too() -> None:
    frame = durations(1)
    for result in (
        tk.survival.rmst_difference(frame, by="g"),
        tk.survival.milestone_difference(frame, by="g", at=90),
    ):
        subtitle = " ".join(result.release(min_n=None).chart().to_dict()["title"]["subtitle"])
        assert subtitle.startswith("n = 123–277 enrollments per group ")
