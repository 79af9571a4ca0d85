from typing import Any

import numpy as np
import polars as pl
import pytest

import toolkit as tk


def learners(n_groups: int, n: int = 3000) -> pl.DataFrame:
    rng = np.random.default_rng(n_groups)
    group = rng.integers(0, n_groups, n)
    event_at = np.where(rng.random(n) < 0.3, np.inf, rng.weibull(1.4, n) * (60 + 20 * group))
    censored_at = rng.uniform(30, 400, n)
    return pl.DataFrame(
        {
            "course": [f"course-v1:Org+A course with a long name {g}+2025_T1" for g in group],
            "duration": np.minimum(event_at, censored_at),
            "event": event_at <= censored_at,
        }
    )


def chart_of(n_groups: int, **options: Any) -> dict[str, Any]:
    table = tk.kaplan_meier(learners(n_groups), by="course")
    return tk.chart_kaplan_meier(table, **options).to_dict()


def data_with(spec: dict[str, Any], column: str) -> list[list[dict[str, Any]]]:
    return [rows for rows in spec["datasets"].values() if rows and column in rows[0]]


def test_the_number_at_risk_stands_under_each_tick_of_the_axis() -> None:
    rows = learners(2)
    spec = chart_of(2, min_n=1)
    (numbers,) = data_with(spec, "text")[:1]
    steps, _ = spec["vconcat"]
    axis = steps["layer"][0]["layer"][0]["encoding"]["x"]["axis"]
    assert axis["values"] == sorted({row["duration"] for row in numbers})
    for row in numbers:
        at_risk = rows.filter(
            pl.col("course") == row["panel"], pl.col("duration") >= row["duration"]
        ).height
        assert row["text"] == f"{at_risk:,}"


def test_up_to_seven_groups_share_a_panel_and_more_stand_side_by_side() -> None:
    assert len(chart_of(7, min_n=1)["vconcat"]) == 2
    many = chart_of(22, min_n=1)
    assert many["columns"] == 3
    assert len({row["panel"] for row in data_with(many, "panel")[0]}) == 22


def test_labels_of_curves_that_end_alike_are_moved_apart() -> None:
    rows = pl.DataFrame(
        {
            "course": [g for g in "abcdefg" for _ in range(2)],
            "duration": [1.0, 2.0] * 7,
            "event": [True, False] * 7,
        }
    )
    spec = tk.chart_kaplan_meier(tk.kaplan_meier(rows, by="course"), min_n=1).to_dict()
    pixels = sorted(row["_pixel"] for row in data_with(spec, "_pixel")[0])
    assert min(np.diff(pixels)) >= 15
    assert pixels[0] >= 0
    assert pixels[-1] <= 300


def test_a_chart_holds_no_more_rows_than_it_can_show() -> None:
    spec = tk.chart_kaplan_meier(tk.kaplan_meier(learners(1, 50_000)), min_n=1).to_dict()
    assert max(len(rows) for rows in spec["datasets"].values()) <= 4_000


def test_the_subtitle_tells_who_is_left_out_and_why() -> None:
    rows = pl.DataFrame(
        {
            "duration": [*range(1, 21), *[None] * 15],
            "event": [*[True] * 20, *[None] * 15],
            "excluded": [*[None] * 20, *["no origin"] * 12, *["passed before origin"] * 3],
        },
        schema_overrides={"duration": pl.Float64},
    )
    table = tk.kaplan_meier(rows)
    plain = tk.chart_kaplan_meier(table, source="a test").to_dict()
    assert plain["title"]["subtitle"][0] == "n = 20 enrollments · 15 left out · a test"
    told = tk.chart_kaplan_meier(table, exclusions=tk.exclusions(rows)).to_dict()
    assert "left out: 12 no origin, fewer than 10 passed before origin" in " ".join(
        told["title"]["subtitle"]
    )


def test_the_title_says_where_half_is_not_reached() -> None:
    rows = pl.DataFrame({"duration": [1.0, 2.0, 3.0], "event": [True, False, False]})
    spec = tk.chart_kaplan_meier(tk.kaplan_meier(rows), min_n=1, show="survival").to_dict()
    assert spec["title"]["text"] == ["Half of the learners have not passed"]


def test_an_empty_table_gives_an_empty_chart() -> None:
    rows = pl.DataFrame(schema={"duration": pl.Float64, "event": pl.Boolean})
    spec = tk.chart_kaplan_meier(tk.kaplan_meier(rows)).to_dict()
    assert spec["title"]["text"] == ["No learner to follow"]


def test_an_unknown_view_is_refused() -> None:
    table = tk.kaplan_meier(learners(1))
    with pytest.raises(ValueError, match="show must be"):
        tk.chart_kaplan_meier(table, show="hazard")  # type: ignore[arg-type]


def test_the_ends_of_a_course_share_a_panel_and_are_named() -> None:
    rows = learners(1)
    other = pl.when(pl.col("duration") > 200).then(pl.lit("unenrolled"))
    rows = rows.with_columns(end=pl.when("event").then(pl.lit("passed")).otherwise(other))
    spec = tk.chart_cumulative_incidence(tk.cumulative_incidence(rows), min_n=1).to_dict()
    names = {row["series"] for row in data_with(spec, "_pixel")[0]}
    assert names == {"passed", "unenrolled"}


def test_a_hazard_chart_says_where_it_has_gaps() -> None:
    table = tk.smoothed_hazard(learners(1, 400))
    assert "Gaps" in " ".join(tk.chart_hazard(table).to_dict()["title"]["subtitle"])
    assert "Gaps" not in " ".join(tk.chart_hazard(table, min_n=1).to_dict()["title"]["subtitle"])
