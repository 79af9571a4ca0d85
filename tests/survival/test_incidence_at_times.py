"""Incidences at stated times are those of the whole curve."""

from pathlib import Path

import polars as pl
import pytest

import toolkit as tk

ENDS = {0: None, 1: "passed", 2: "left"}
FILE = Path(__file__).parents[1] / "references" / "pbc.csv"


def durations() -> pl.DataFrame:
    end = pl.col("end").replace_strict(ENDS, return_dtype=pl.String)
    return pl.read_csv(FILE).with_columns(end=end, event=end == "passed", group="group")


@pytest.mark.parametrize("time", [0.0, 1.0, 4.5, 11.0])
def test_a_row_at_a_time_is_the_last_step_up_to_it(time: float) -> None:
    whole = tk.survival.cumulative_incidence(durations(), by="group").frame
    at = tk.survival.cumulative_incidence(durations(), by="group", times=[time, 2.0]).frame
    assert at.height == 2 * 2 * 2
    figures = ["cumulative_incidence", "std_error", "ci_low", "ci_high"]
    for row in at.filter(duration=time).iter_rows(named=True):
        until = whole.filter(pl.col("duration") <= time, group=row["group"], end=row["end"]).row(
            -1, named=True
        )
        assert [row[name] for name in figures] == [until[name] for name in figures]


def test_events_are_counted_since_the_time_before() -> None:
    at = tk.survival.cumulative_incidence(durations(), times=[3.0, 6.0]).frame
    passed = durations().filter(event=True)["duration"]
    counts = at.filter(end="passed")["n_events"].to_list()
    assert counts == [(passed <= 3).sum(), ((passed > 3) & (passed <= 6)).sum()]


def test_after_the_last_observation_nothing_is_known_unless_all_have_ended() -> None:
    late = [99.0]
    at = tk.survival.cumulative_incidence(durations(), times=late).frame
    assert at["cumulative_incidence"].to_list() == [None, None]
    over = durations().filter(pl.col("end").is_not_null())
    at = tk.survival.cumulative_incidence(over, times=late).frame
    assert at["cumulative_incidence"].sum() == pytest.approx(1)


def test_released_incidences_at_times_have_one_row_each() -> None:
    result = tk.survival.cumulative_incidence(durations(), by="group", times=[2.0, 5.0])
    released = result.release().frame
    assert released.select("group", "end", "duration").equals(
        result.frame.select("group", "end", "duration")
    )
    gap = (released["cumulative_incidence"] - result.frame["cumulative_incidence"]).abs()
    assert gap.drop_nulls().max() < 0.08
    assert gap.null_count() < gap.len()
