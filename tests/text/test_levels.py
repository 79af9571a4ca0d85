"""Every interval has the level that was asked for, and where it is shown that level is named."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from told_results import RESULTS, durations, learners

import toolkit as tk
from toolkit.results.registry import REGISTRY
from toolkit.schemas.columns import Column

PC, TIMES = learners(), durations(learners())
OWN = pl.DataFrame({"g": ["a", "b"], "n": [400, 300], "n_passed": [120, 110]})
MAKE = {
    "outcomes": lambda **o: tk.outcomes(PC, by="course_id", **o),
    "completion_funnel": lambda **o: tk.completion_funnel(PC, **o),
    "cohort_progress": lambda **o: tk.cohort_progress(PC, **o),
    "compared_groups": lambda **o: tk.compare_groups(PC, by="course_id", **o).groups,
    "pairs": lambda **o: tk.compare_groups(PC, by="course_id", **o).pairs,
    "within_strata": lambda **o: (
        tk.compare_groups(
            PC.with_columns(half=pl.col("completion") > 0.5), by="course_id", strata="half", **o
        ).within
    ),
    "transitions": lambda **o: tk.learner_paths(in_sequence(), **o).transitions,
    "key_figures": lambda **o: tk.reports.key_figures(PC, **o),
    "sensitivity": lambda **o: tk.reports.sensitivity(PC, **o),
    "user_result": lambda **o: tk.result(
        OWN, counts={"n": None, "n_passed": "n"}, groups=["g"], **o
    ),
    "kaplan_meier": lambda **o: tk.kaplan_meier(TIMES, by="course_id", **o),
    "survival_summary": lambda **o: tk.survival_summary(TIMES, by="course_id", **o),
    "cumulative_incidence": lambda **o: tk.survival.cumulative_incidence(TIMES, **o),
    "rmst_difference": lambda **o: tk.survival.rmst_difference(TIMES, by="course_id", **o),
    "milestone_difference": lambda **o: tk.survival.milestone_difference(
        TIMES, by="course_id", at=90, **o
    ),
    "nelson_aalen": lambda **o: tk.survival.nelson_aalen(TIMES, by="course_id", **o),
    "smoothed_hazard": lambda **o: tk.survival.smoothed_hazard(TIMES, by="course_id", **o),
}
UNSAID = {"smoothed_hazard"}  # its narrative is about a day, and it is no table for reading


def in_sequence() -> pl.DataFrame:
    """Learners who pass a course in January and mostly go on to another."""
    one = learners(300, groups=1).with_columns(
        passed=True, enrolled_day=pl.lit(20_000), passed_day=pl.lit(20_030)
    )
    other = one.head(180).with_columns(
        course_number=pl.lit("C9"), enrolled_day=pl.lit(20_040), passed=False, passed_day=None
    )
    return pl.concat([one, other.cast(dict(one.schema))])


def ends(table: tk.Result) -> list[Column]:
    return [column for column in table.schema if column.ci_of]


def test_every_table_with_an_interval_is_told_here() -> None:
    made = {name: make(PC) for name, make in RESULTS.items()}
    assert {name for name, table in made.items() if ends(table)} <= set(MAKE)
    assert set(REGISTRY) - set(made) - set(MAKE) == {"change_counts", "failed_checks"}


@pytest.mark.parametrize("name", MAKE)
def test_an_interval_of_a_lower_level_lies_within_the_other(name: str) -> None:
    wide, narrow = (MAKE[name](level=level) for level in (0.95, 0.8))
    assert wide.frame.equals(MAKE[name]().frame)
    changed = 0
    for column in ends(wide):
        one, other = wide.frame[column.name], narrow.frame[column.name]
        is_low = column.name.endswith("low")
        assert (one <= other if is_low else one >= other).all()
        changed += int((one != other).sum())
    assert changed


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("min_n", [10, None])
def test_no_text_and_no_chart_calls_an_interval_of_90_percent_otherwise(
    name: str, min_n: int | None
) -> None:
    result = MAKE[name](level=0.9).release(min_n=min_n)
    said = [str(result.narrate()), result.table()._repr_html_(), repr(result.describe())]
    if REGISTRY[name].chart is not None:
        said.append(json.dumps(result.chart().to_dict(), ensure_ascii=False))
    assert [
        text for text in said if re.search(r"95 ?% interval|below 0?\.05|0\.05 or more", text)
    ] == []
    usual = MAKE[name]().release(min_n=min_n)
    if "interval" in str(usual.narrate()):
        assert "95% interval" in str(usual.narrate())
        assert "90% interval" in said[0]
    assert "In brackets: 90% intervals" in said[1]


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("cluster", [None, "username"])
def test_intervals_of_any_level_agree_with_the_tests_beside_them(
    level: float, cluster: str | None
) -> None:
    found = tk.compare_groups(
        PC.with_columns(half=pl.col("completion") > 0.5),
        by="course_id",
        level=level,
        cluster=cluster,
        strata="half",
        margin=0.1,
    )
    for table in (found.pairs, found.within):
        assert table is not None
        for frame in (table.frame, table.release().frame):
            for interval, p in (("difference_ci", "p_value"), ("simultaneous", "p_adjusted")):
                excludes = (pl.col(f"{interval}_low") > 0) | (pl.col(f"{interval}_high") < 0)
                known = frame.filter(pl.col(p).is_not_null())
                assert known.select((excludes == (pl.col(p) < 1 - level)).all()).item()
