"""What `protect` withholds, and that an attacker with the published table learns none of it."""

from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.optimize import linprog

import toolkit as tk
from toolkit.release.curves import CURVES
from toolkit.release.rules import RULES
from toolkit.schemas import PROBLEMS, Role
from toolkit.schemas.results import RESULTS


def shares(**columns: object) -> pl.DataFrame:
    """A `compared_groups` table."""
    rate = pl.col("n_reached") / pl.col("n_learners")
    return pl.DataFrame(columns).with_columns(rate=rate)


def reached(*counts: int, of: int = 50) -> list[int | None]:
    """What is left of these counts, each of so many learners."""
    groups = [chr(97 + i) for i in range(len(counts))]
    table = shares(group=groups, n_learners=[of] * len(counts), n_reached=counts)
    return tk.protect(table)["n_reached"].to_list()


def test_every_result_table_has_a_rule() -> None:
    assert RULES.keys() | CURVES == RESULTS.keys()
    assert not RULES.keys() & CURVES


@pytest.mark.parametrize("name", RESULTS)
def test_every_statistic_rests_on_counts_of_its_table(name: str) -> None:
    known = RESULTS[name]
    counts = set(known.of_role(Role.COUNT))
    statistics = [column for column in known if column.role is Role.STATISTIC]
    assert all(column.rests_on and set(column.rests_on) <= counts for column in statistics)


@pytest.mark.parametrize("name", RESULTS)
def test_every_empty_result_table_can_be_protected(name: str) -> None:
    assert tk.protect(RESULTS[name].empty()).height == 0


def test_a_small_count_and_its_rate_are_withheld() -> None:
    safe = tk.protect(shares(group=["a", "b"], n_learners=[50, 60], n_reached=[3, 30]))
    assert safe["n_reached"].to_list() == [None, 30]
    assert safe["rate"].to_list() == [None, 0.5]
    assert safe["status"].to_list() == [
        "withheld: fewer than 10 learners, or would reveal such a number",
        "shown",
    ]


def test_a_count_that_leaves_few_is_withheld() -> None:
    assert reached(48, 40, 41) == [None, 40, None]


def test_none_and_all_are_withheld_where_they_judge_everyone() -> None:
    assert reached(0, 50, 25) == [None, None, 25]


def test_the_threshold_itself_is_shown() -> None:
    assert reached(10, 9) == [10, None]


def test_a_threshold_of_one_shows_everything() -> None:
    table = shares(group=["a"], n_learners=[5], n_reached=[3])
    assert tk.protect(table, min_n=1).drop("status").equals(table)


def test_a_frame_that_is_no_result_table_is_refused() -> None:
    with pytest.raises(tk.DisclosureError, match="only a result table"):
        tk.protect(PROBLEMS.empty())


def test_a_threshold_under_one_is_refused() -> None:
    with pytest.raises(tk.DisclosureError, match="at least 1"):
        tk.protect(RESULTS["pairs"].empty(), min_n=0)


def test_a_second_cell_goes_where_the_total_reveals_the_first() -> None:
    table = shares(
        is_total=[False, False, False, True],
        group=["a", "b", "c", None],
        n_learners=[100, 100, 100, 300],
        n_reached=[4, 40, 30, 74],
    )
    assert tk.protect(table)["n_reached"].to_list() == [None, 40, None, 74]


def test_two_withheld_cells_that_add_up_to_few_take_a_third_along() -> None:
    table = shares(
        is_total=[False, False, False, True],
        group=["a", "b", "c", None],
        n_learners=[100, 100, 100, 300],
        n_reached=[4, 3, 30, 37],
    )
    assert tk.protect(table)["n_reached"].to_list() == [None, None, None, 37]


def test_a_bin_is_not_revealed_by_the_running_count() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "percent_grade": [0.1] * 20 + [0.3] * 4 + [0.6] * 30 + [0.9] * 12,
        }
    )
    safe = tk.protect(tk.grade_distribution(pc, bins=4)).filter(part="bin")
    assert safe["n_learners"].to_list() == [20, None, 30, None]
    assert safe["n_up_to"].to_list() == [20, None, None, 66]
    assert safe["ecdf"].is_null().to_list() == [False, True, True, False]


def test_a_pair_of_groups_withholds_the_same_as_its_groups() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "mode": ["a"] * 40 + ["b"] * 40 + ["c"] * 40,
            "passed": [i < 4 for i in range(40)] + [i < 20 for i in range(40)] * 2,
            "completion": 0.5,
            "percent_grade": 0.5,
        }
    )
    found = tk.compare_groups(pc, "passed", "mode")
    safe = tk.protect(found.pairs)
    touches_a = (pl.col("group_a") == "a") | (pl.col("group_b") == "a")
    assert safe.filter(touches_a)["difference"].null_count() == 2
    assert safe.filter(~touches_a)["difference"].null_count() == 0


def curve(times: list[float], events: list[bool]) -> pl.DataFrame:
    return tk.kaplan_meier(pl.DataFrame({"duration": times, "event": events}))


def test_a_curve_keeps_its_values_at_fewer_times() -> None:
    exact = curve([float(i) for i in range(1, 41)], [True] * 25 + [False] * 15)
    safe = tk.protect(exact)
    assert safe["duration"].to_list() == [0.0, 10.0, 20.0]
    assert safe["n_events"].to_list() == [0, 10, 10]
    kept = exact.filter(pl.col("duration").is_in(safe["duration"].to_list()))
    assert safe["survival"].to_list() == kept["survival"].to_list()


def test_a_curve_of_few_learners_is_withheld_whole() -> None:
    safe = tk.protect(curve([1.0, 2.0, 3.0], [True, False, True]))
    assert safe.height == 1
    assert safe["survival"].to_list() == [None]
    assert safe["status"][0].startswith("withheld")


def test_the_end_of_a_curve_is_cut_before_few_remain() -> None:
    safe = tk.protect(curve([float(i) for i in range(1, 31)], [True] * 30))
    assert safe["duration"].to_list() == [0.0, 10.0, 20.0]


def test_numbers_at_risk_are_those_when_the_step_begins() -> None:
    safe = tk.protect(curve([float(i) for i in range(1, 41)], [True] * 40))
    assert safe["n_at_risk"].to_list() == [40, 40, 30, 20]


def test_a_curve_at_chosen_times_says_no_more_than_the_whole() -> None:
    durations = pl.DataFrame({"duration": [float(i) for i in range(1, 41)], "event": [True] * 40})
    safe = tk.protect(tk.kaplan_meier(durations, times=[0, 5, 12, 14, 30, 39]))
    assert safe["duration"].to_list() == [0.0, 12.0, 30.0]
    assert safe["n_at_risk"].to_list() == [40, 40, 28]
    with pytest.raises(tk.DisclosureError, match="from time 0"):
        tk.protect(tk.kaplan_meier(durations, times=[5, 10]))


def test_curves_of_competing_ends_keep_the_same_times() -> None:
    durations = pl.DataFrame(
        {
            "duration": [float(i) for i in range(1, 81)],
            "event": [i % 2 == 0 for i in range(80)],
            "end": ["passed" if i % 2 == 0 else "unenrolled" for i in range(80)],
        }
    )
    safe = tk.protect(tk.cumulative_incidence(durations))
    passed, unenrolled = safe.partition_by("end")
    assert passed["duration"].to_list() == unenrolled["duration"].to_list() == [0, 20, 40, 60]
    assert passed["n_at_risk"].to_list() == [80, 80, 60, 40]
    assert tk.protect(safe).equals(safe)


def test_shares_passed_by_a_time_must_lie_apart() -> None:
    durations = pl.DataFrame(
        {
            "duration": [float(i) for i in range(1, 101)],
            "event": [True] * 70 + [False] * 30,
        }
    )
    table = tk.survival_summary(durations, milestones=[5, 20, 25, 60])
    safe = tk.protect(table).filter(statistic="passed by")
    assert safe["estimate"].is_null().to_list() == [True, True, False, False]


durations = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=150).map(
    lambda rows: pl.DataFrame(rows, schema=["duration", "event"], orient="row")
)


@settings(max_examples=40, deadline=None)
@given(durations, st.integers(2, 12))
def test_no_step_of_a_curve_rests_on_few(rows: pl.DataFrame, min_n: int) -> None:
    safe = tk.protect(tk.kaplan_meier(rows), min_n=min_n)
    for name in ("n_events", "n_censored"):
        assert safe.filter(pl.col(name).is_between(1, min_n - 1)).is_empty()
    leaving = safe["n_events"] + safe["n_censored"]
    assert safe["n_at_risk"][1:].to_list() == (safe["n_at_risk"] - leaving)[:-1].to_list()
    assert tk.protect(safe, min_n=min_n).equals(safe)


def records(seed: int) -> pl.DataFrame:
    """Learners of three courses, drawn from the seed."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(20, 400))
    passed = draw.random(n) < 0.3
    days = np.round(draw.exponential(60, n), 1)
    return pl.DataFrame(
        {
            "username": [f"u{i}" for i in draw.integers(0, n, n)],
            "course_id": [f"course-v1:O+C{i}+R" for i in draw.integers(0, 3, n)],
            "mode": draw.choice(["audit", "verified"], n, p=[0.8, 0.2]),
            "in_enrollments": True,
            "completion": np.round(draw.random(n), 2),
            "percent_grade": np.where(draw.random(n) < 0.3, 0.0, np.round(draw.random(n), 2)),
            "passed": passed,
            "enrolled_day": draw.integers(19_000, 19_200, n),
            "days_to_pass": np.where(passed, days, np.nan),
            "observed_days": np.maximum(days, 150.0),
            "duration": days,
            "event": passed,
        }
    ).with_columns(pl.col("days_to_pass").fill_nan(None))


def analyses(pc: pl.DataFrame) -> dict[str, pl.DataFrame]:
    course = ["course_id"]
    return {
        "outcomes": tk.outcomes(pc, by=["course_id", "mode"], totals=True),
        "completion_funnel": tk.completion_funnel(pc, by=course),
        "distribution": tk.grade_distribution(pc, by=course, bins=8),
        "cohort_progress": tk.cohort_progress(pc),
        "pairs": tk.compare_groups(pc, "passed", "course_id").pairs,
        "kaplan_meier": tk.kaplan_meier(pc, by=course),
        "survival_summary": tk.survival_summary(pc, by=course),
        "logrank": tk.logrank(pc, by=course),
        "smoothed_hazard": tk.smoothed_hazard(pc, by=course),
    }


@pytest.mark.parametrize("seed", range(4))
def test_protecting_twice_is_protecting_once(seed: int) -> None:
    for table in analyses(records(seed)).values():
        once = tk.protect(table)
        assert_frame_equal(tk.protect(once), once)


@pytest.mark.parametrize("seed", range(4))
def test_no_small_count_is_left_and_no_shown_number_is_changed(seed: int) -> None:
    for name, table in analyses(records(seed)).items():
        safe = tk.protect(table)
        for count in RESULTS[name].of_role(Role.COUNT):
            assert safe.filter(pl.col(count).is_between(1, 9)).is_empty(), (name, count)
            if name not in CURVES:
                kept = safe[count].is_not_null()
                assert safe[count].filter(kept).equals(table[count].filter(kept))


@pytest.mark.parametrize("n_aside", [0, 1, 9, 10])
def test_a_funnel_beside_a_table_of_outcomes_does_not_tell_who_passed_aside(n_aside: int) -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "completion": [0.9] * 300 + [0.6] * 50 + [0.1] * (n_aside + 50) + [0.0] * 40,
            "percent_grade": None,
            "passed": [True] * 277 + [False] * 73 + [True] * n_aside + [False] * 90,
        }
    )
    passed = tk.protect(tk.outcomes(pc))["n_passed"].item()
    funnel = dict(tk.protect(tk.completion_funnel(pc)).select("stage", "n_reached").iter_rows())

    assert passed == 277 + n_aside
    assert funnel["passed"] == (277 if n_aside in {0, 10} else None)
    assert funnel["passed without completing"] == (n_aside if n_aside in {0, 10} else None)
    assert funnel["completed"] == 300


def test_a_funnel_without_its_last_row_still_withholds_that_none_passed() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "completion": [0.9] * 50 + [0.6] * 50 + [0.1] * 50 + [0.0] * 50,
            "percent_grade": None,
            "passed": False,
        }
    )
    stages = tk.completion_funnel(pc).filter(pl.col("stage") != "passed without completing")

    passed = tk.protect(stages).filter(stage="passed")

    assert passed["n_reached"].item() is None


@pytest.mark.parametrize("seed", range(4))
def test_a_funnel_and_outcomes_of_the_same_groups_leave_nothing_small(seed: int) -> None:
    pc = records(seed)
    outcomes = tk.protect(tk.outcomes(pc, by="course_id")).select("course_id", "n_passed")
    funnel = tk.protect(tk.completion_funnel(pc, by="course_id")).filter(stage="passed")
    aside = funnel.join(outcomes, on="course_id").select(pl.col("n_passed") - pl.col("n_reached"))
    assert aside.to_series().drop_nulls().is_between(1, 9).sum() == 0


# An attacker knows the published table, that its rows add up to its totals, and that no count is
# negative nor a part more than its whole. For each number he does not see, two linear programs
# give the least and the greatest value it may have. Were they equal, he would know it.


class Attacker:
    """Linear programs over all numbers behind a table."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.equal: list[tuple[np.ndarray, float]] = []
        self.below: list[np.ndarray] = []  # each at most 0

    def form(self, **weights: Any) -> np.ndarray:
        row = np.zeros(self.n)
        for cell, weight in weights["of"]:
            row[cell] += weight
        return row

    def told(self, form: np.ndarray, value: int | None) -> None:
        if value is not None:
            self.equal.append((form, float(value)))

    def interval(self, form: np.ndarray) -> tuple[float, float]:
        facts: dict[str, Any] = {"bounds": (0, None)}
        if self.equal:
            facts["A_eq"] = np.array([row for row, _ in self.equal])
            facts["b_eq"] = [value for _, value in self.equal]
        if self.below:
            facts["A_ub"], facts["b_ub"] = np.array(self.below), np.zeros(len(self.below))
        low, high = (linprog(sign * form, **facts) for sign in (1, -1))
        least = low.fun if low.status == 0 else -np.inf
        return least, (-high.fun if high.status == 0 else np.inf)


@st.composite
def cross_tables(draw: st.DrawFn) -> pl.DataFrame:
    """Learners and passes by course and mode, with totals of both and of all."""
    size = st.integers(1, 4)
    courses, modes = range(draw(size)), range(draw(size))
    count = st.one_of(st.integers(0, 12), st.integers(0, 60))
    rows = []
    for course, mode in product(courses, modes):
        part, rest = draw(count), draw(count)
        rows.append((False, course, mode, part + rest, part))
    schema = ["is_total", "course", "mode", "n_learners", "n_reached"]
    table = pl.DataFrame(rows, schema=schema, orient="row")
    totals = [table.group_by(by).agg(pl.col("^n_.*$").sum()) for by in ("course", "mode")]
    totals.append(table.select(pl.col("^n_.*$").sum()))
    parts = [table, *(total.with_columns(is_total=pl.lit(value=True)) for total in totals)]
    rate = pl.col("n_reached") / pl.col("n_learners")
    whole = pl.concat(parts, how="diagonal")
    return whole.with_columns(rate=rate.fill_nan(None), group=pl.lit("all"))


@settings(max_examples=20, deadline=None)
@given(cross_tables())
def test_no_withheld_number_of_a_cross_table_can_be_computed(table: pl.DataFrame) -> None:
    safe = tk.protect(table)
    single = table.filter(~pl.col("is_total")).select("course", "mode").rows()
    learners = {key: i for i, key in enumerate(single)}
    passed = {key: i + len(single) for i, key in enumerate(single)}
    attacker = Attacker(2 * len(single))
    for key in single:
        attacker.below.append(attacker.form(of=[(passed[key], 1), (learners[key], -1)]))
    forms = []
    for exact, shown in zip(table.rows(named=True), safe.rows(named=True), strict=True):
        members = [
            key
            for key in single
            if exact["course"] in (None, key[0]) and exact["mode"] in (None, key[1])
        ]
        whole = attacker.form(of=[(learners[key], 1) for key in members])
        part = attacker.form(of=[(passed[key], 1) for key in members])
        attacker.told(whole, shown["n_learners"])
        attacker.told(part, shown["n_reached"])
        forms += [
            (whole, exact["n_learners"]),
            (part, exact["n_reached"]),
            (whole - part, exact["n_learners"] - exact["n_reached"]),
        ]
    for form, value in forms:
        if 0 < value < 10:
            low, high = attacker.interval(form)
            assert high - low > 0.5, f"{value} is known to lie in {low}–{high}"
    assert tk.protect(safe).equals(safe)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 12), st.integers(0, 60)), min_size=4, max_size=9))
def test_no_withheld_bin_of_a_distribution_can_be_computed(counts: list[int]) -> None:
    missing, *values = counts
    bins = len(values)
    grades: list[float | None] = [None] * missing
    for i, n in enumerate(values):
        grades += [(i + 0.5) / bins] * n
    pc = pl.DataFrame(
        {"in_enrollments": True, "percent_grade": grades},
        schema={"in_enrollments": pl.Boolean, "percent_grade": pl.Float64},
    )
    table = tk.grade_distribution(pc, bins=bins)
    safe = tk.protect(table)
    n = table.height
    attacker = Attacker(n)
    everyone = attacker.form(of=[(i, 1) for i in range(n)])
    valued = attacker.form(of=[(i, 1) for i in range(1, n - 1)])
    forms = [(everyone - valued, table["n_enrolled"][0] - table["n_valued"][0])] if n else []
    for i, (exact, shown) in enumerate(
        zip(table.rows(named=True), safe.rows(named=True), strict=True)
    ):
        attacker.told(everyone, shown["n_enrolled"])
        attacker.told(valued, shown["n_valued"])
        cell = attacker.form(of=[(i, 1)])
        attacker.told(cell, shown["n_learners"])
        forms.append((cell, exact["n_learners"]))
        if exact["n_up_to"] is not None:
            up_to = attacker.form(of=[(j, 1) for j in range(1, i + 1)])
            attacker.told(up_to, shown["n_up_to"])
            forms.append((up_to, exact["n_up_to"]))
    for form, value in forms:
        if 0 < value < 10:
            low, high = attacker.interval(form)
            assert high - low > 0.5, f"{value} is known to lie in {low}–{high}"
    assert tk.protect(safe).equals(safe)
