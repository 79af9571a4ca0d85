"""Times are told, drawn and listed in the unit of the durations."""

import json
import re
from collections.abc import Callable

import polars as pl
import pytest
from told_results import learners

import toolkit as tk
from toolkit.results.registry import REGISTRY

PC = learners()
DAYS = {"hours": 1 / 24, "days": 1, "weeks": 7}
MAKE: dict[str, Callable[[pl.DataFrame, float], tk.Result]] = {
    "kaplan_meier": lambda d, _: tk.kaplan_meier(d, by="course_id"),
    "survival_summary": lambda d, day: tk.survival_summary(d, milestones=[90 * day]),
    "rmst_difference": lambda d, day: tk.survival.rmst_difference(
        d, by="course_id", horizon=180 * day
    ),
    "milestone_difference": lambda d, day: tk.survival.milestone_difference(
        d, by="course_id", at=90 * day
    ),
    "cumulative_incidence": lambda d, _: tk.survival.cumulative_incidence(d, by="course_id"),
    "nelson_aalen": lambda d, _: tk.survival.nelson_aalen(d, by="course_id"),
    "smoothed_hazard": lambda d, day: tk.survival.smoothed_hazard(d, every=7 * day),
}


def durations(unit: str) -> pl.DataFrame:
    timed = PC.with_columns(
        passed_timestamp=pl.col("created") + pl.duration(days=pl.col("days_to_pass")),
        left=pl.lit(None, pl.Datetime("us", "UTC")),
    )
    return tk.time_to_pass(timed, unit=unit, competing={"left": "left"})  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", DAYS)
@pytest.mark.parametrize("name", MAKE)
def test_a_time_is_said_in_its_unit(name: str, unit: str) -> None:
    result = MAKE[name](durations(unit), 1 / DAYS[unit])
    said = str(result.narrate())
    assert re.search(rf"\b{unit}\b|\b{unit[:-1]} \d", said)
    if REGISTRY[name].chart is not None:
        drawn = json.dumps(result.chart().to_dict())
        assert unit[:-1] in drawn.lower()
        said += drawn
    for other in set(DAYS) - {unit}:
        assert not re.search(rf"\d {other}\b|\b{other[:-1]} \d|{other} since", said)


@pytest.mark.parametrize("name", MAKE)
def test_the_same_time_is_found_in_each_unit(name: str) -> None:
    found = {
        unit: MAKE[name](durations(unit), 1 / days).release(min_n=None)
        for unit, days in DAYS.items()
    }
    times = [c.name for c in found["days"].schema if c.unit == "days"]
    for unit, days in DAYS.items():
        units = {c.unit for c in found[unit].schema if c.name in times}
        assert units <= {unit}
        for column in times:
            assert found[unit].frame[column].to_list() == pytest.approx(
                (found["days"].frame[column] / days).to_list(), rel=1e-6
            )


def test_durations_of_several_units_are_refused() -> None:
    mixed = pl.concat([durations("weeks"), durations("hours")])
    with pytest.raises(tk.errors.ArgumentError, match="one unit"):
        tk.kaplan_meier(mixed)
    with pytest.raises(tk.errors.ArgumentError, match="duration_unit"):
        tk.kaplan_meier(durations("weeks").with_columns(duration_unit=pl.lit("months")))
    own = pl.DataFrame({"duration": [1.0], "event": [True], "unit": ["sales"]})
    assert tk.kaplan_meier(own).schema.time == "days"
