import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import vl_convert

import toolkit as tk
from toolkit.schemas import TIMESTAMP
from toolkit.text.words import percent

N = 4_000


def drawn(n: int = N) -> pl.DataFrame:
    """Some courses, one of them with few learners."""
    rng = np.random.default_rng(4)
    names = [f"course-v1:Organisation+A-course-with-a-name+{run}" for run in ("2025", "2026", "x")]
    enrolled = rng.integers(20_000, 20_450, n)
    to_pass = rng.weibull(1.2, n) * 80
    passed = (rng.random(n) < 0.6) & (to_pass < 20_454 - enrolled)
    grade = np.where(rng.random(n) < 0.2, 0, rng.integers(0, 101, n)) / 100
    return pl.DataFrame(
        {
            "username": pl.Series(rng.integers(0, n // 2, n)).cast(pl.String),
            "course_id": rng.choice(names, n, p=[0.6, 0.398, 0.002]),
            "org": pl.Series(["Organisation"] * n, dtype=pl.String),
            "course_number": rng.choice(["A", "B", "C"], n),
            "mode": rng.choice(["audit", "verified"], n),
            "in_enrollments": pl.Series([True] * n, dtype=pl.Boolean),
            "completion": rng.integers(0, 101, n) / 100,
            "percent_grade": pl.Series(grade, dtype=pl.Float64),
            "passed": passed,
            "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
            "passed_day": pl.Series(enrolled + to_pass.astype(int), dtype=pl.Int32).set(
                pl.Series(~passed, dtype=pl.Boolean), None
            ),
            "days_to_pass": pl.Series(to_pass).set(pl.Series(~passed, dtype=pl.Boolean), None),
            "observed_days": 20_454.5 - enrolled,
            "as_of": pl.Series([datetime(2026, 1, 1, 12, tzinfo=UTC)] * n, dtype=TIMESTAMP),
        }
    )


PC = drawn()
CHARTS: dict[str, tuple[Callable[..., Any], Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "outcomes": (tk.chart_outcomes, lambda pc: tk.outcomes(pc, "course_id", totals=True)),
    "funnel": (tk.chart_completion_funnel, tk.completion_funnel),
    "funnels": (tk.chart_completion_funnel, lambda pc: tk.completion_funnel(pc, "course_id")),
    "grades": (tk.chart_grade_distribution, tk.grade_distribution),
    "grades by": (tk.chart_grade_distribution, lambda pc: tk.grade_distribution(pc, "course_id")),
    "completion": (tk.chart_completion_distribution, tk.completion_distribution),
    "progress": (tk.chart_cohort_progress, tk.cohort_progress),
    "progress by": (tk.chart_cohort_progress, lambda pc: tk.cohort_progress(pc, by="mode")),
    "comparison": (
        tk.chart_comparison,
        lambda pc: tk.compare_groups(pc, "passed", "course_id").pairs,
    ),
    "transitions": (tk.chart_transitions, lambda pc: tk.learner_paths(pc).transitions),
}


@cache
def table_of(name: str) -> pl.DataFrame:
    """The table of some chart."""
    return CHARTS[name][1](PC)


def values_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Every row that a chart carries."""
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_a_finding_a_basis_and_a_description_and_can_be_drawn(name: str) -> None:
    chart, _ = CHARTS[name]
    spec = chart(table_of(name), source="simulated").to_dict()
    title = spec["title"]
    assert "".join(title["text"])
    assert "".join(title["subtitle"]).startswith("n = ")
    assert "simulated" in "".join(title["subtitle"])
    assert len(spec["description"]) > 20
    assert vl_convert.vegalite_to_svg(json.dumps(spec)).startswith("<svg")


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_carries_no_small_number_unless_told(name: str) -> None:
    chart, _ = CHARTS[name]
    counts = [
        value
        for row in values_of(chart(table_of(name)).to_dict())
        for column, value in row.items()
        if (column.startswith("n_") or column in {"n", "k"}) and value is not None
    ]
    assert counts
    assert not {1, 2, 3, 4, 5, 6, 7, 8, 9}.intersection(counts)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_nobody_or_of_few_is_a_chart_all_the_same(name: str) -> None:
    chart, table = CHARTS[name]
    for few in (0, 6):
        spec = chart(table(drawn(few))).to_dict()
        assert "".join(spec["title"]["text"])
        vl_convert.vegalite_to_svg(json.dumps(spec))


def test_a_title_of_ones_own_replaces_the_finding() -> None:
    spec = tk.chart_outcomes(tk.outcomes(PC, "mode"), title="Our modes").to_dict()
    assert spec["title"]["text"] == ["Our modes"]


def test_the_rates_of_outcomes_can_be_chosen() -> None:
    table = tk.outcomes(PC, "mode")
    spec = tk.chart_outcomes(table, rate="completion_rate_of_active").to_dict()
    assert "Completed of the active" in "".join(spec["title"]["text"])
    with pytest.raises(tk.SchemaError, match="no rate `grade`; there are active_rate_of_enrolled"):
        tk.chart_outcomes(table, rate="grade")


def test_a_chart_refuses_a_table_of_another_kind() -> None:
    with pytest.raises(tk.ToolkitError):
        tk.chart_outcomes(PC)


def test_times_that_have_not_come_are_told_apart_from_what_is_withheld() -> None:
    spec = tk.chart_cohort_progress(tk.cohort_progress(PC, periods=18)).to_dict()
    whys = {row["why"] for row in values_of(spec)}
    assert {"not yet", "withheld: small number", None} <= whys


def test_shares_in_words_round_halves_up_and_keep_what_is_rare() -> None:
    shares = [0, 0.001, 0.125, 0.325, 0.9999, 1]
    assert [percent(share) for share in shares] == ["0%", "0.1%", "13%", "33%", "100.0%", "100%"]
