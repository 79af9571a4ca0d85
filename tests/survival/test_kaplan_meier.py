import duckdb
import lifelines
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk

COUNTS = ["duration", "n_at_risk", "n_events", "n_censored"]


def durations(rows: list[tuple[float, bool]], **groups: list[str]) -> pl.DataFrame:
    schema = {"duration": pl.Float64, "event": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.Series(name, values) for name, values in groups.items()
    )


def curve(*rows: tuple[float | int | None, ...]) -> pl.DataFrame:
    names = [*COUNTS, "survival", "std_error", "ci_low", "ci_high"]
    types = [pl.Float64, pl.Int64, pl.Int64, pl.Int64, *[pl.Float64] * 4]
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def assert_curve(table: pl.DataFrame, *rows: tuple[float | int | None, ...]) -> None:
    assert_frame_equal(table.drop("n_excluded", "n_undated"), curve(*rows))


def none_passed(n: int) -> float:
    """Low end of the mid-p interval of n out of n."""
    return 0.05 ** (1 / n)


def test_nobody_passes() -> None:
    table = tk.kaplan_meier(durations([(2.0, False), (5.0, False), (5.0, False)])).frame
    assert_curve(
        table,
        (0.0, 3, 0, 0, 1.0, 0.0, none_passed(3), 1.0),
        (2.0, 3, 0, 1, 1.0, 0.0, none_passed(3), 1.0),
        (5.0, 2, 0, 2, 1.0, 0.0, none_passed(2), 1.0),
    )


def test_everybody_passes() -> None:
    # S(1) = 2/3, Greenwood (2/3) sqrt(1 / (3·2)); at S = 0 the error does not exist, and the
    # interval is that of 0 out of 3.
    table = tk.kaplan_meier(durations([(1.0, True), (2.0, True), (3.0, True)]), ci="plain").frame
    first, second = 2 / 3 * (1 / 6) ** 0.5, 1 / 3 * (1 / 6 + 1 / 2) ** 0.5
    z = 1.959963984540054
    assert_curve(
        table,
        (0.0, 3, 0, 0, 1.0, 0.0, none_passed(3), 1.0),
        (1.0, 3, 1, 0, 2 / 3, first, 2 / 3 - z * first, 1.0),
        (2.0, 2, 1, 0, 1 / 3, second, 0.0, 1 / 3 + z * second),
        (3.0, 1, 1, 0, 0.0, None, 0.0, 1 - none_passed(3)),
    )


def test_one_learner_who_passes() -> None:
    assert_curve(
        tk.kaplan_meier(durations([(4.0, True)])).frame,
        (0.0, 1, 0, 0, 1.0, 0.0, none_passed(1), 1.0),
        (4.0, 1, 1, 0, 0.0, None, 0.0, 1 - none_passed(1)),
    )


def test_all_are_censored_at_0() -> None:
    assert_curve(
        tk.kaplan_meier(durations([(0.0, False), (0.0, False)])).frame,
        (0.0, 2, 0, 2, 1.0, 0.0, none_passed(2), 1.0),
    )


def test_an_event_comes_before_a_censoring_on_the_same_day() -> None:
    # Both are at risk on day 3, so S falls by a half, not to 0.
    table = tk.kaplan_meier(durations([(3.0, True), (3.0, False)])).frame
    assert table.select(*COUNTS, "survival").rows() == [(0.0, 2, 0, 0, 1.0), (3.0, 2, 1, 1, 0.5)]


def test_a_group_without_events_stays_at_1() -> None:
    rows = durations([(1.0, True), (2.0, False)], course=["a", "b"])
    table = tk.kaplan_meier(rows, by="course").frame
    assert table.select("course", "duration", "survival").rows() == [
        ("a", 0.0, 1.0),
        ("a", 1.0, 0.0),
        ("b", 0.0, 1.0),
        ("b", 2.0, 1.0),
    ]


def test_no_rows_give_an_empty_table() -> None:
    table = tk.kaplan_meier(durations([], course=[]), by="course").frame
    assert table.height == 0
    assert table.columns == ["course", *curve().columns, "n_excluded", "n_undated"]


def test_late_entry_puts_a_learner_at_risk_only_after_it() -> None:
    # At 3 the learners with durations 3 and 6; at 5 also the one who entered at 4.
    rows = pl.DataFrame(
        {
            "duration": [3.0, 5.0, 6.0],
            "event": [True, True, False],
            "entry": [0.0, 4.0, 0.0],
        }
    )
    table = tk.kaplan_meier(rows).frame
    assert table.select(*COUNTS, "survival").rows() == [
        (0.0, 2, 0, 0, 1.0),
        (3.0, 2, 1, 0, 0.5),
        (4.0, 1, 0, 0, 0.5),
        (5.0, 2, 1, 0, 0.25),
        (6.0, 1, 0, 1, 0.25),
    ]


def test_the_excluded_are_counted_not_analysed() -> None:
    rows = pl.DataFrame(
        {
            "duration": [1.0, None, None],
            "event": [True, None, None],
            "excluded": [None, "no origin", "not enrolled"],
            "course": ["a", "a", "b"],
        }
    )
    table = tk.kaplan_meier(rows, by="course").frame
    assert table.select("course", "duration", "n_at_risk", "survival", "n_excluded").rows() == [
        ("a", 0.0, 1, 1.0, 1),
        ("a", 1.0, 1, 0.0, 1),
        ("b", 0.0, 0, None, 1),
    ]


def test_null_is_a_group_like_any_other() -> None:
    rows = durations([(1.0, True), (2.0, True)]).with_columns(mode=pl.Series([None, "audit"]))
    table = tk.kaplan_meier(rows, by=["mode"]).frame
    assert table["mode"].to_list() == [None, None, "audit", "audit"]
    assert table["n_at_risk"].to_list() == [1, 1, 1, 1]


def test_chosen_times_count_since_the_time_before() -> None:
    rows = durations([(1.0, True), (2.0, False), (3.0, True), (9.0, False)])
    table = tk.kaplan_meier(rows, times=[0.5, 3, 9, 10]).frame
    assert table.select(*COUNTS, "survival").rows() == [
        (0.5, 4, 0, 0, 1.0),
        (3.0, 2, 2, 1, 0.375),
        (9.0, 1, 0, 1, 0.375),
        (10.0, 0, 0, 0, None),
    ]


def test_with_late_entry_only_those_seen_throughout_say_that_nobody_passed() -> None:
    # At 6 five are at risk, but only two of them were there from the start.
    rows = pl.DataFrame({"duration": [9.0] * 5, "event": False, "entry": [0.0, 0.0, 4.0, 4.0, 4.0]})
    table = tk.kaplan_meier(rows, times=[6]).frame
    assert table["n_at_risk"].to_list() == [5]
    assert table["ci_low"].to_list() == pytest.approx([none_passed(2)])


def test_censoring_widens_the_interval_where_the_last_one_passes() -> None:
    rows = durations([(1.0, False), (2.0, True), (3.0, False), (4.0, True)])
    (high,) = tk.kaplan_meier(rows, times=[4]).frame["ci_high"]
    assert 1 - none_passed(4) < high < 1 - none_passed(1)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("duration", [1.0, None], "1 have no duration"),
        ("duration", [-1.0, float("nan")], "2 have a duration that is negative or not a number"),
        ("event", [True, None], "1 have neither event nor censoring"),
        ("entry", [1.0, 0.0], "1 have an entry that is not before"),
        ("entry", [0.0, None], "1 have an entry that is missing, negative or not a number"),
        ("entry", [-1.0, float("nan")], "2 have an entry that is missing, negative or not"),
        ("entry", ["a", "b"], "`entry` of durations must be a number"),
        ("event", [0, 1], "must be Boolean"),
        ("duration", ["1", "2"], "must be a number"),
    ],
)
def test_impossible_values_are_refused(column: str, values: list[object], message: str) -> None:
    rows = durations([(1.0, True), (2.0, True)]).with_columns(pl.Series(column, values))
    with pytest.raises(tk.errors.SchemaError, match=message):
        tk.kaplan_meier(rows)


@pytest.mark.parametrize("analysis", ["cumulative_incidence", "gray_test"])
def test_an_event_without_its_end_is_refused(analysis: str) -> None:
    """By its `event` it is a pass, by its `end` a censoring."""
    rows = pl.DataFrame(
        {
            "duration": [1.0, 2.0, 3.0],
            "event": [True, True, False],
            "end": ["passed", None, None],
            "group": ["a", "b", "b"],
        }
    )
    with pytest.raises(tk.errors.SchemaError, match="1 have an event, but no `end`"):
        getattr(tk.survival, analysis)(rows, by="group")


def test_a_missing_group_column_is_named() -> None:
    with pytest.raises(tk.errors.SchemaError, match="no column `course`"):
        tk.kaplan_meier(durations([(1.0, True)]), by="course")


@pytest.mark.parametrize("wrong", [{"ci": "exact"}, {"level": 95.0}])
def test_wrong_arguments_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        tk.kaplan_meier(durations([(1.0, True)]), **wrong)


def random_durations(seed: int, n: int = 400, days: int = 30) -> pl.DataFrame:
    """Heavy ties, three groups of unlike speed."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    event_at = np.floor(rng.weibull(1.3, n) * (10 + 6 * group))
    censored_at = np.floor(rng.uniform(0, days, n))
    return pl.DataFrame(
        {
            "duration": np.minimum(event_at, censored_at),
            "event": event_at <= censored_at,
            "course": np.array(["a", "b", "c"])[group],
            "stratum": np.array(["x", "y"])[rng.integers(0, 2, n)],
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_lifelines_agrees_on_heavy_ties(seed: int) -> None:
    rows = random_durations(seed)
    table = tk.kaplan_meier(rows, by="course").frame
    for course in "abc":
        part = rows.filter(course=course)
        own = table.filter(pl.col("course") == course, pl.col("survival") > 0)
        fit = lifelines.KaplanMeierFitter().fit(part["duration"], part["event"])
        theirs = fit.survival_function_["KM_estimate"].loc[own["duration"]].to_numpy()
        np.testing.assert_allclose(own["survival"], theirs, rtol=1e-10)
        bands = fit.confidence_interval_.loc[own["duration"]].to_numpy()
        np.testing.assert_allclose(own["ci_low"], bands[:, 0], rtol=1e-10)
        np.testing.assert_allclose(own["ci_high"], bands[:, 1], rtol=1e-10)
        greenwood = fit._cumulative_sq_.loc[own["duration"]].to_numpy()
        np.testing.assert_allclose(
            own["std_error"], own["survival"].to_numpy() * np.sqrt(greenwood), rtol=1e-10
        )


@pytest.mark.parametrize("seed", range(5))
def test_lifelines_agrees_on_the_logrank_test(seed: int) -> None:
    from lifelines.statistics import multivariate_logrank_test

    rows = random_durations(seed)
    theirs = multivariate_logrank_test(rows["duration"], rows["course"], rows["event"])
    ours = tk.logrank(rows, by="course").frame.row(0, named=True)
    assert ours["statistic"] == pytest.approx(theirs.test_statistic, rel=1e-10)
    assert ours["p_value"] == pytest.approx(theirs.p_value, rel=1e-9)
    assert ours["df"] == 2


def test_every_engine_gives_the_same_table(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = random_durations(1).with_columns(entry=pl.col("duration") / 2)
    file = tmp_path_factory.mktemp("durations") / "durations.parquet"
    rows.write_parquet(file)
    expected = tk.kaplan_meier(rows, by=["course", "stratum"]).frame
    for frame in (pl.scan_parquet(file), duckdb.read_parquet(str(file))):
        assert_frame_equal(tk.kaplan_meier(frame, by=["course", "stratum"]).frame, expected)


lives = st.lists(
    st.tuples(st.integers(0, 8).map(float), st.booleans(), st.sampled_from("ab")), min_size=1
)


@settings(max_examples=30)
@given(lives, st.randoms())
def test_row_order_is_irrelevant(people: list[tuple[float, bool, str]], random: object) -> None:
    shuffled = people.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    tables = [
        tk.kaplan_meier(
            durations([p[:2] for p in some], course=[p[2] for p in some]), by="course"
        ).frame
        for some in (people, shuffled)
    ]
    assert_frame_equal(*tables)


@settings(max_examples=30)
@given(lives)
def test_survival_falls_and_other_groups_do_not_matter(
    people: list[tuple[float, bool, str]],
) -> None:
    rows = durations([p[:2] for p in people], course=[p[2] for p in people])
    table = tk.kaplan_meier(rows, by="course").frame
    for course in rows["course"].unique():
        own = table.filter(course=course).drop("course")
        assert_frame_equal(own, tk.kaplan_meier(rows.filter(course=course)).frame)
        assert own["survival"].diff().drop_nulls().le(0).all()
        assert own["survival"].is_between(0, 1).all()
        inside = own.drop_nulls("ci_low")
        assert (inside["ci_low"] <= inside["survival"]).all()
        assert (inside["survival"] <= inside["ci_high"]).all()
        assert own["n_at_risk"][0] == own["n_events"].sum() + own["n_censored"].sum()
