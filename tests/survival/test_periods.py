"""Durations cut into periods: worked by hand, and beside the curve and the model of R."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk


def cut(
    *rows: tuple[float, bool], every: float = 7, **columns: list[object]
) -> list[tuple[int, bool]]:
    frame = pl.DataFrame(rows, schema={"duration": pl.Float64, "event": pl.Boolean}, orient="row")
    frame = frame.with_columns(pl.Series(name, values) for name, values in columns.items())
    found = tk.survival.person_period(frame, every=every)
    return found.select("period", "event").rows()


def test_a_pass_on_a_border_belongs_to_the_period_that_ends_there() -> None:
    assert cut((7.0, True)) == [(1, True)]
    assert cut((7.5, True)) == [(1, False), (2, True)]
    assert cut((0.0, True)) == [(1, True)]


def test_a_period_that_is_not_seen_to_its_end_has_no_row() -> None:
    assert cut((6.9, False)) == []
    assert cut((7.0, False)) == [(1, False)]
    assert cut((20.0, False)) == [(1, False), (2, False)]


def test_steps_that_are_no_binary_fractions_are_counted_exactly() -> None:
    assert cut((0.3, False), every=0.1) == [(1, False), (2, False), (3, False)]
    assert cut((0.3, True), every=0.1) == [(1, False), (2, False), (3, True)]


def test_only_periods_that_begin_after_the_entry_are_kept() -> None:
    assert cut((20.0, True), entry=[7.0]) == [(2, False), (3, True)]
    assert cut((20.0, True), entry=[8.0]) == [(3, True)]
    assert cut((10.0, True), entry=[8.0]) == []


def test_who_is_excluded_is_left_out_and_other_columns_stay() -> None:
    frame = pl.DataFrame(
        {
            "duration": [8.0, None],
            "event": [True, None],
            "excluded": [None, "no origin"],
            "mode": ["a", "b"],
        }
    )
    found = tk.survival.person_period(frame.lazy()).collect()
    assert found.columns == ["duration", "event", "mode", "period"]
    assert found["mode"].to_list() == ["a", "a"]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([1.0, 7.0, 0.1]),
)
def test_the_hazards_of_whole_periods_multiply_to_the_curve(
    rows: list[tuple[int, bool]], every: float
) -> None:
    frame = pl.DataFrame(rows, schema=["duration", "event"], orient="row")
    frame = frame.with_columns(pl.col("duration") * every)
    periods = tk.survival.person_period(frame, every=every)
    hazards = periods.group_by("period").agg(pl.col("event").mean()).sort("period")
    survival = (1 - hazards["event"]).cum_prod().to_list()
    times = [every * period for period in hazards["period"]]
    curve = tk.kaplan_meier(
        frame.with_columns(pl.col("duration").round(6)), times=[round(t, 6) for t in times]
    )
    assert survival == pytest.approx(curve.frame["survival"].to_list())


def test_a_complementary_log_log_model_finds_the_hazard_ratio() -> None:
    # Exponential times, twice as fast in one group: a proportional hazard also in weeks.
    import numpy as np
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    group = rng.integers(0, 2, 20_000)
    time, seen = rng.exponential(40 / (1 + group)), rng.uniform(0, 100, 20_000)
    frame = pl.DataFrame(
        {"duration": np.minimum(time, seen), "event": time <= seen, "group": group.astype(float)}
    )
    periods = tk.survival.person_period(frame, every=7).filter(pl.col("period") <= 8)
    dummies = periods["period"].to_dummies().to_numpy().astype(float)
    design = np.column_stack([dummies, periods["group"].to_numpy()])
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    fit = sm.GLM(periods["event"].cast(pl.Float64).to_numpy(), design, family=family).fit()
    assert fit.params[-1] == pytest.approx(np.log(2), abs=4 * fit.bse[-1])


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (pl.DataFrame({"duration": [1.0], "event": [1]}), "must be Boolean"),
        (pl.DataFrame({"duration": ["a"], "event": [True]}), "must be a number"),
        (
            pl.DataFrame({"duration": [-1.0], "event": [True]}),
            "rows: 1 have a duration that is negative",
        ),
        (pl.DataFrame({"duration": [1.0], "event": [True], "period": [1]}), "rename yours"),
    ],
)
def test_impossible_durations_are_refused(frame: pl.DataFrame, match: str) -> None:
    with pytest.raises(tk.errors.SchemaError, match=match):
        tk.survival.person_period(frame)
