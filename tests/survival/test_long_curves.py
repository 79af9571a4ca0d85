"""Event tables that are read in ranges of times, and curves that are told at some times."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.analyses.grouping import Groups
from toolkit.survival import event_table, long_curves, ranges
from toolkit.survival.event_table import event_ranges

COUNTS = ("n_events", "n_censored")


def durations(seed: int, *, entry: bool = False, n: int = 1_500) -> pl.DataFrame:
    """Groups of several sizes, one of which ends early, with ties, censoring and two ends."""
    rng = np.random.default_rng(seed)
    time = rng.weibull(1.2, n) * rng.choice([4.0, 20.0], n)
    time = np.where(rng.random(n) < 0.3, np.ceil(time), time)  # ties, and times at the borders
    end = rng.choice(np.array(["passed", "left", ""]), n, p=[0.5, 0.2, 0.3])
    mode = rng.choice(
        ["audit", "honor", "verified", "few", "nobody"], n, p=[0.5, 0.3, 0.185, 0.01, 0.005]
    )
    gone = (mode == "nobody") | (rng.random(n) < 0.02)
    rows = pl.DataFrame(
        {
            "mode": mode,
            "course_id": rng.choice(["a", "b"], n),
            "duration": time,
            "event": end == "passed",
            "end": pl.Series(end).replace({"": None}),
            "excluded": pl.Series(["not enrolled"] * n).set(pl.Series(~gone), None),
            "record_key": rng.integers(0, 2**40, n),
        }
    )
    if entry:
        late = np.where(rng.random(n) < 0.4, time * rng.random(n), 0.0)
        rows = rows.with_columns(entry=pl.Series(late))
    return rows


def in_strata(rows: pl.DataFrame) -> pl.DataFrame:
    """The larger groups, in courses of which one ends early, in one all pass, and one is small."""
    course = pl.when(pl.col("record_key") % 40 == 0).then(pl.lit("rare")).otherwise("course_id")
    course = pl.when(pl.col("record_key") % 7 == 0).then(pl.lit("all")).otherwise(course)
    ends_early = (pl.col("course_id") == "b") & (pl.col("duration") > 9.3)
    return (
        rows.filter(pl.col("mode").is_in(["audit", "honor", "verified"]))
        .with_columns(course_id=course)
        .with_columns(
            duration=pl.when(ends_early).then(9.3).otherwise("duration"),
            event=(pl.col("event") & ~ends_early) | (pl.col("course_id") == "all"),
        )
        .filter(pl.col("entry") < pl.col("duration") if "entry" in rows.columns else True)
    )


CURVES: dict[str, Callable[..., tk.Result]] = {
    "Kaplan–Meier": lambda rows: tk.survival.kaplan_meier(rows, by="mode"),
    "Kaplan–Meier of all": tk.survival.kaplan_meier,
    "Nelson–Aalen": lambda rows: tk.survival.nelson_aalen(rows, by="mode"),
    "incidence": lambda rows: tk.survival.cumulative_incidence(rows, by="mode"),
    "standardized": lambda rows: tk.survival.kaplan_meier(
        in_strata(rows), by="mode", strata="course_id"
    ),
    "standardized to all": lambda rows: tk.survival.kaplan_meier(
        in_strata(rows).filter(course_id="all"), by="mode", strata="course_id"
    ),
}
FIGURES: dict[str, Callable[..., tk.Result]] = {
    "Kaplan–Meier at times": lambda rows: tk.survival.kaplan_meier(
        rows, by="mode", times=[0.0, 3.0, 7.3, 30.0, 500.0]
    ),
    "incidence at times": lambda rows: tk.survival.cumulative_incidence(
        rows, by="mode", times=[0.0, 3.0, 7.3, 30.0, 500.0]
    ),
    "hazard": lambda rows: tk.survival.smoothed_hazard(rows, by="mode", every=2),
    "hazard of all": lambda rows: tk.survival.smoothed_hazard(rows, every=0.7, bandwidth=3),
    "summary": lambda rows: tk.survival_summary(rows, by="mode", milestones=[2, 7.3, 20]),
    "summary of all": lambda rows: tk.survival_summary(rows, horizon=12.7, ci="plain"),
    "means": lambda rows: tk.survival.rmst_difference(rows, by="mode", horizon=9.1),
    "means as far as all are seen": lambda rows: tk.survival.rmst_difference(rows, by="course_id"),
    "standardized means": lambda rows: tk.survival.rmst_difference(
        in_strata(rows), by="mode", strata="course_id", horizon=5.7
    ),
    "standardized means as far as all are seen": lambda rows: tk.survival.rmst_difference(
        in_strata(rows), by="mode", strata="course_id"
    ),
    "standardized shares": lambda rows: tk.survival.milestone_difference(
        in_strata(rows), by="mode", strata="course_id", at=7.3
    ),
    "shares in courses": lambda rows: tk.survival.milestone_difference(
        rows, by="course_id", strata="end", at=7.3
    ),
    "standardized at times": lambda rows: tk.survival.kaplan_meier(
        in_strata(rows), by="mode", strata="course_id", times=[0.0, 3.0, 7.3, 9.3, 500.0]
    ),
    "means where a group never passes": lambda rows: tk.survival.rmst_difference(
        rows.with_columns(pl.col("event") & (pl.col("mode") != "honor")), by="mode", horizon=9.1
    ),
    "shares": lambda rows: tk.survival.milestone_difference(rows, by="mode", at=7.3),
    "log-rank": lambda rows: tk.survival.logrank(rows, by="mode"),
    "log-rank in strata": lambda rows: tk.survival.logrank(rows, by="mode", strata="course_id"),
    "log-rank of pairs": lambda rows: tk.survival.logrank_pairs(rows, by="mode"),
}

WITHOUT_ENTRY: dict[str, Callable[..., tk.Result]] = {
    "Gray": lambda rows: tk.survival.gray_test(rows, by="mode"),
    "Gray of another end": lambda rows: tk.survival.gray_test(rows, by="mode", end="left"),
    "Gray in strata": lambda rows: tk.survival.gray_test(rows, by="mode", strata="course_id"),
    "Gray of many": lambda rows: tk.survival.gray_test(rows, by=["course_id", "mode"]),
}
CASES = [
    *((name, 0, False) for name in FIGURES | WITHOUT_ENTRY),
    *((name, 1, True) for name in FIGURES),
]


@pytest.fixture
def in_ranges(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have tables read 50 rows and computed 30 at a time, and curves told at about 20 times."""

    def start() -> None:
        monkeypatch.setattr(ranges, "MOST_TIMES", 50)
        monkeypatch.setattr(long_curves, "ROWS_AT_ONCE", 30)
        monkeypatch.setattr(long_curves, "MOST_STEPS", 20)

    return start


def close(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert_frame_equal(one, other, rel_tol=1e-11, abs_tol=1e-12)


@pytest.mark.parametrize(("seed", "entry"), [(0, False), (1, True)], ids=["from 0", "late entry"])
@pytest.mark.parametrize("name", CURVES)
def test_a_long_curve_is_told_exactly_at_some_of_its_times(
    name: str, entry: bool, seed: int, in_ranges: Callable[[], None]
) -> None:
    rows = durations(seed, entry=entry)
    whole = CURVES[name](rows)
    released = whole.release().frame
    in_ranges()
    told = CURVES[name](rows)
    assert told.frame.height < 0.7 * whole.frame.height
    curve = [*told.by, *(["end"] if "end" in told.frame.columns else [])]
    at = [*curve, "duration"]
    exact = whole.frame.join(told.frame, on=at, how="semi", nulls_equal=True, maintain_order="left")
    close(told.frame.drop(*COUNTS, "n_times", strict=False), exact.drop(*COUNTS, strict=False))
    n_times = whole.frame.group_by(curve or [pl.lit(0)]).len(name="n_times")["n_times"].sum()
    assert told.frame["n_times"].sum() == n_times
    for counted in set(COUNTS) & set(whole.frame.columns):
        assert told.frame[counted].sum() == whole.frame[counted].sum()
    close(told.release().frame, released)


@pytest.mark.parametrize(("name", "seed", "entry"), CASES)
def test_figures_of_a_long_curve_are_those_of_every_time(
    name: str, entry: bool, seed: int, in_ranges: Callable[[], None]
) -> None:
    rows, computed = durations(seed, entry=entry), (FIGURES | WITHOUT_ENTRY)[name]
    whole = computed(rows)
    frame, released = whole.frame, whole.release().frame
    in_ranges()
    told = computed(rows)
    close(told.frame, frame)
    close(told.release().frame, released)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES | WITHOUT_ENTRY)
@settings(max_examples=5)
@example(seed=1, entry=True, most=60, n=300, never="")  # the last row of a group has two times
@example(seed=4053, entry=False, most=60, n=300, never="")  # all of a group come to the end
@given(
    seed=st.integers(0, 2**32 - 1),
    entry=st.booleans(),
    most=st.sampled_from([20, 60, 250]),
    n=st.sampled_from([300, 900]),
    never=st.sampled_from(["", "honor", "audit"]),
)
def test_no_cut_changes_a_figure(
    name: str, never: str, n: int, most: int, entry: bool, seed: int
) -> None:
    rows = durations(seed, entry=entry and name not in WITHOUT_ENTRY, n=n).with_columns(
        event=pl.col("event") & (pl.col("mode") != never),
        end=pl.when(pl.col("mode") != never).then("end"),
    )
    computed = (FIGURES | WITHOUT_ENTRY)[name]
    whole = computed(rows).frame
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "MOST_TIMES", most)
        patch.setattr(long_curves, "MOST_STEPS", 20)
        patch.setattr(long_curves, "ROWS_AT_ONCE", 30)
        assert_frame_equal(computed(rows).frame, whole, rel_tol=1e-9, abs_tol=1e-11)


@pytest.mark.parametrize("name", CURVES | FIGURES | WITHOUT_ENTRY)
def test_no_table_is_longer_than_a_range(
    name: str, in_ranges: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order, heights = event_table.in_order, list[int]()

    def noted(parts: list[pl.DataFrame], keys: pl.DataFrame, at: list[float]) -> pl.DataFrame:
        table = in_order(parts, keys, at)
        heights.append(table.height - len(at) * keys.height)
        return table

    monkeypatch.setattr(event_table, "in_order", noted)
    in_ranges()
    (CURVES | FIGURES | WITHOUT_ENTRY)[name](durations(0))
    assert len(heights) > 3
    assert max(heights) <= 50


@pytest.mark.parametrize(
    "name", ["Kaplan–Meier", "incidence", "summary", "log-rank", "shares in courses", "Gray"]
)
@pytest.mark.parametrize("engine", ["Polars, lazy", pytest.param("DuckDB", marks=pytest.mark.slow)])
def test_every_engine_reads_the_same_ranges(
    name: str, engine: str, in_ranges: Callable[[], None], tmp_path: Path
) -> None:
    rows = durations(7, entry=name not in WITHOUT_ENTRY)
    in_ranges()
    computed = (CURVES | FIGURES | WITHOUT_ENTRY)[name]
    rows.write_parquet(path := tmp_path / "rows.parquet")
    there = pl.scan_parquet(path) if engine == "Polars, lazy" else duckdb.read_parquet(str(path))
    close(computed(there).frame, computed(rows).frame)


def test_whole_days_are_one_table_however_many_learners_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = durations(1).with_columns(pl.col("duration").ceil())
    whole = tk.survival.kaplan_meier(rows).frame
    monkeypatch.setattr(ranges, "MOST_TIMES", 500)
    assert whole.height < 500 < rows.height
    assert_frame_equal(tk.survival.kaplan_meier(rows).frame, whole)


def test_one_table_of_many_times_is_told_at_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = durations(5, entry=True)
    whole = tk.survival_summary(rows, by="mode").frame
    monkeypatch.setattr(ranges, "MOST_IN_FULL", 500)
    monkeypatch.setattr(long_curves, "MOST_STEPS", 100)
    curve = tk.survival.kaplan_meier(rows, by="mode").frame
    assert curve["n_times"].sum() > 2 * curve.height
    close(tk.survival_summary(rows, by="mode").frame, whole)


def test_far_outliers_leave_ranges_as_small_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rows = pl.DataFrame({"duration": np.append(rng.random(1_000), 1e9), "event": [True] * 1_001})
    whole = tk.survival_summary(rows).frame
    monkeypatch.setattr(ranges, "MOST_TIMES", 50)
    monkeypatch.setattr(ranges, "_CELLS", 16)
    sizes = [table.height for table in event_ranges(rows, Groups(()))]
    assert max(sizes) <= 51
    assert len(sizes) < 60
    close(tk.survival_summary(rows).frame, whole)


@pytest.mark.parametrize("name", CURVES)
def test_a_long_curve_is_shown_like_any_other(name: str, in_ranges: Callable[[], None]) -> None:
    whole = CURVES[name](durations(4))
    in_ranges()
    told = CURVES[name](durations(4))
    assert "n_times" in told.release(min_n=None).frame.columns
    assert "n_times" in repr(told.describe())
    assert str(told.narrate()) == str(whole.narrate())
    assert told.chart().to_dict() == whole.chart().to_dict()
    assert repr(told.table()) == repr(whole.table())
