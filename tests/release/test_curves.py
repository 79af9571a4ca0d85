"""Released curves, compared with a walk from day to day over each group's learners."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.release.rounding import MIN_N, rounded

COLUMNS = ["duration", "n_at_risk", "n_events", "survival"]
Learner = tuple[float, bool, int]


def draw(value: float, of: list[Learner]) -> float:
    return float(rounded(np.array([float(value)]), np.array([sum(key for *_, key in of)]))[0])


def shown(of: list[Learner]) -> int | None:
    return max(MIN_N, int(draw(len(of), of))) if len(of) >= MIN_N else None


def survival(learners: list[Learner], time: float) -> float:
    left = Fraction(1)
    for end in sorted({d for d, event, _ in learners if event and d <= time}):
        at_risk = sum(d >= end for d, *_ in learners)
        left *= 1 - Fraction(sum(d == end and event for d, event, _ in learners), at_risk)
    return float(left)


def walked(learners: list[Learner], wanted: list[float]) -> list[tuple[float | None, ...]]:
    """The rows of a curve by the rule in words, one day after the other."""
    n = shown(learners)
    if n is None:
        return [(0.0, None, None, None)]
    rows: list[tuple[float | None, ...]] = []
    told: list[Learner] = []
    height = 0.0
    for day in sorted({0.0, *wanted, *(float(math.ceil(d)) for d, *_ in learners)}):
        passed = [one for one in learners if one[1] and one[0] <= day]
        at_risk = shown([one for one in learners if one[0] >= day])
        since = [one for one in passed if one not in told]
        is_step = len(since) >= MIN_N
        if is_step or (day in wanted and len(passed) >= MIN_N):
            exact = round((1 - survival(learners, day)) * len(learners), 6)
            height = max(height, draw(exact, passed))
        if is_step or day == 0 or (day in wanted and at_risk is not None):
            estimate = 1 - min(height / n, 1) if height or day == 0 else None
            rows.append((day, at_risk, shown(since) if is_step else None, estimate))
        told = passed if is_step else told
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_curves_are_those_of_a_walk_from_day_to_day(seed: int) -> None:
    draws = np.random.default_rng(seed)
    n = int(draws.choice([12, 80, 300]))
    duration = draws.exponential(draws.choice([5, 90]), n)
    learners = pl.DataFrame(
        {
            "group": draws.integers(0, 4, n).astype(str),
            "duration": np.ceil(duration) if seed % 2 else duration,
            "event": draws.random(n) < draws.choice([0.2, 0.6, 1]),
            "record_key": draws.integers(0, 2**32, n),
        }
    )
    wanted = [0.0, 7.0, 30.0, 60.0]
    result = tk.kaplan_meier(learners, by="group").protect(MIN_N)
    at_times = tk.kaplan_meier(learners, by="group", times=wanted).protect(MIN_N)
    for (group,), own in learners.sort("group").group_by("group", maintain_order=True):
        rows = list(own.select("duration", "event", "record_key").iter_rows())
        told = at_times.filter(group=group).select(COLUMNS)
        expected = pl.DataFrame(walked(rows, wanted), schema=told.schema, orient="row")
        by_day = pl.DataFrame({"duration": wanted}).join(expected, on="duration", how="left")
        assert_frame_equal(told, by_day, check_exact=False, abs_tol=1e-9)
        steps, by_hand = (
            one.filter(pl.col("n_events").is_not_null()).select(COLUMNS[:3])
            for one in (result.filter(group=group), expected)
        )
        assert_frame_equal(steps, by_hand)


@pytest.mark.parametrize("options", [{}, {"strata": "course"}, {"cluster": "id"}])
@pytest.mark.parametrize("at_once", range(MIN_N))
def test_what_few_do_at_once_is_not_told(at_once: int, options: dict[str, str]) -> None:
    """A curve is drawn from 1, and says no more before its first step."""
    n = 40
    learners = pl.DataFrame(
        {
            "mode": ["a"] * n + ["b"] * n,
            "course": ["x", "y"] * n,
            "id": [*range(n)] * 2,
            "duration": ([0.0] * at_once + [5.0] * (n - at_once)) * 2,
            "event": ([True] * (at_once + 15) + [False] * (n - at_once - 15)) * 2,
        }
    )
    curve = tk.kaplan_meier(learners, by="mode", **options).release().frame.filter(duration=0)
    assert curve.select("survival", "std_error").unique().rows() == [(1.0, 0.0)]
    found = tk.survival.milestone_difference(learners, by="mode", at=0, **options)
    figures = ("passed_share", "reference_share", "difference", "ci_low", "ci_high", "p_value")
    assert found.release().frame.select(figures).row(0) == (None,) * len(figures)
    if "strata" not in options:
        summary = tk.survival_summary(learners, by="mode", milestones=[0], **options).release()
        of_milestone = summary.filter(statistic="passed by").frame
        assert of_milestone.select("estimate", "std_error", "ci_high").unique().rows() == [
            (None, None, None)
        ]


@pytest.mark.parametrize("seed", range(12))
def test_a_released_curve_of_learners_who_all_pass_ends_at_0(seed: int) -> None:
    """Its steps are fractions, whose product in floating point may miss 0 on either side."""
    rng = np.random.default_rng(seed)
    parts = []
    for group in range(30):
        n, days = int(rng.integers(MIN_N, 120)), int(rng.integers(2, 10))
        parts.append(
            pl.DataFrame({"duration": rng.integers(1, days, n).astype(float), "of": group})
        )
    learners = pl.concat(parts).with_columns(event=True, end=pl.lit("passed"), course=pl.lit("c"))
    for curves in (
        tk.kaplan_meier(learners, by="of"),
        tk.kaplan_meier(learners, by="of", strata="course"),
        tk.survival.cumulative_incidence(learners, by="of"),
    ):
        column = "survival" if "survival" in curves.schema.names else "cumulative_incidence"
        end = 0.0 if column == "survival" else 1.0
        for frame in (curves.frame, curves.release().frame):
            figures = frame.select(pl.col(pl.Float64))
            assert (
                not figures.fill_null(0.0).select(pl.any_horizontal(pl.all().is_nan())).sum().item()
            )
            known = frame.drop_nulls(column).filter((pl.col(column) - end).abs() < 1e-9)
            assert known["of"].n_unique() > 10
            assert (known[column] == end).all()
        assert curves.table(rows=1_000).rows


def test_released_incidences_of_learners_who_all_reach_an_end_have_an_error() -> None:
    """All at once: the error is that of a share, however the released ends add up."""
    parts = [
        pl.DataFrame({"of": n, "left": pl.int_range(n, eager=True) < n // 3})
        for n in range(30, 330)
    ]
    learners = pl.concat(parts).with_columns(
        duration=4.0,
        event=~pl.col("left"),
        end=pl.when("left").then(pl.lit("left")).otherwise(pl.lit("passed")),
    )
    released = tk.survival.cumulative_incidence(learners, by="of").release().frame
    shown = released.filter(duration=4).drop_nulls("cumulative_incidence")
    begun = released.filter(duration=0).unique(["of"]).select("of", n="n_at_risk")
    shown = shown.join(begun, on="of")
    share = pl.col("cumulative_incidence")
    expected = (share * (1 - share) / pl.col("n")).sqrt()
    assert shown["of"].n_unique() == 300
    assert shown.filter((pl.col("std_error") / expected - 1).abs() > 1e-6).is_empty()
    assert shown.filter(~share.is_between("ci_low", "ci_high", closed="none")).is_empty()


def test_a_mean_is_withheld_as_long_as_too_few_have_passed_to_show() -> None:
    # Nine of 60 pass on the first day, which no curve shows; the next step is after the horizon.
    durations = pl.DataFrame(
        {
            "duration": [1.0] * 9 + [80.0] * 10 + [100.0] * 41 + [5.0] * 20 + [100.0] * 20,
            "event": [True] * 19 + [False] * 41 + [True] * 20 + [False] * 20,
            "mode": ["a"] * 60 + ["b"] * 40,
        }
    )
    summary = tk.survival_summary(durations, by="mode", horizon=60).release().frame
    means = summary.filter(statistic="restricted mean")
    assert means["estimate"].is_null().to_list() == [True, False]
    difference = tk.survival.rmst_difference(durations, by="mode", horizon=60).release().frame
    assert difference["restricted_mean"].null_count() == 0
    assert difference["reference_mean", "difference", "ci_low"].null_count().row(0) == (1, 1, 1)


def test_a_milestone_is_withheld_where_the_curve_is() -> None:
    # On day 60 nine are at risk; on day 40 six of 25 more had passed than by the step on day 10.
    durations = pl.DataFrame(
        {
            "duration": [10.0] * 10 + [40.0] * 6 + [80.0] * 9,
            "event": True,
            "mode": "a",
        }
    )
    options = {"by": "mode", "times": [20, 60, 90]}
    curve = tk.kaplan_meier(durations, **options).release().frame
    summary = tk.survival_summary(durations, by="mode", milestones=options["times"]).release()
    passed = summary.frame.filter(statistic="passed by")["estimate"]
    assert passed.is_null().to_list() == curve["survival"].is_null().to_list()
    assert passed.is_null().to_list() == [False, True, True]
