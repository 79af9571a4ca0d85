from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.loading.ranges import is_read_by_row

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
REASONS = ["username", "duration", "event", "excluded"]


def learner(
    name: str, *, created: float | None = 0, day: float | None = None, **other: object
) -> dict[str, object]:
    """One learner, enrolled and passed on these days after 2026-01-01."""

    def at(day: float | None) -> datetime | None:
        return None if day is None else START + timedelta(days=day)

    row = {
        "username": name,
        "course_id": "course-v1:Org+CS101+2026",
        "in_enrollments": True,
        "created": at(created),
        "passed": day is not None,
        "passed_timestamp": at(day),
        "as_of": AS_OF,
    }
    return row | other


def person_course(*rows: dict[str, object]) -> pl.DataFrame:
    times = dict.fromkeys(["created", "passed_timestamp", "as_of"], pl.Datetime("us", "UTC"))
    return pl.DataFrame(rows, schema_overrides=times)


def test_a_pass_ends_the_duration_and_the_others_are_censored_at_as_of() -> None:
    pc = person_course(learner("ada", day=10.5), learner("bo", created=20))
    assert tk.time_to_pass(pc).select(REASONS).rows() == [
        ("ada", 10.5, True, None),
        ("bo", 39.0, False, None),
    ]


def test_each_reason_for_having_no_duration_is_named() -> None:
    pc = person_course(
        learner("in"),
        learner("stranger", created=None, in_enrollments=False),
        learner("undated", created=None),
        learner("early", created=5, day=2),
        learner("untimed", passed=True),
        learner("late", created=60),
    )
    durations = tk.time_to_pass(pc)
    assert durations.select(REASONS).rows() == [
        ("in", 59.0, False, None),
        ("stranger", None, None, "not enrolled"),
        ("undated", None, None, "no origin"),
        ("early", None, None, "passed before origin"),
        ("untimed", None, None, "passed without a pass time"),
        ("late", None, None, "origin after as_of"),
    ]
    assert tk.survival.exclusions(durations).frame.rows() == [
        ("no origin", 1, 6),
        ("not enrolled", 1, 6),
        ("origin after as_of", 1, 6),
        ("passed before origin", 1, 6),
        ("passed without a pass time", 1, 6),
    ]
    dated = durations.filter(pl.col("excluded").ne_missing("passed without a pass time"))
    assert tk.kaplan_meier(dated).frame["n_excluded"].unique().to_list() == [4]


def test_a_pass_after_an_earlier_as_of_is_not_yet_seen() -> None:
    pc = person_course(learner("ada", day=10))
    (row,) = tk.time_to_pass(pc, as_of=date(2026, 1, 6)).select("duration", "event").rows()
    assert row == (5.0, False)


def test_a_pass_at_the_origin_is_a_duration_of_0() -> None:
    (row,) = tk.time_to_pass(person_course(learner("ada", day=0))).select(REASONS).rows()
    assert row == ("ada", 0.0, True, None)


def test_a_date_for_each_course_may_be_the_origin() -> None:
    elsewhere = learner("bo", course_id="course-v1:Org+CS102+2026")
    pc = person_course(learner("ada", created=-3, day=10), elsewhere)
    durations = tk.time_to_pass(pc, {"course-v1:Org+CS101+2026": date(2026, 1, 2)})
    assert durations.select(REASONS).rows() == [
        ("ada", 9.0, True, None),
        ("bo", None, None, "no origin"),
    ]


def test_a_column_of_dates_may_be_the_origin() -> None:
    pc = person_course(learner("ada", day=10, opened=date(2026, 1, 4)))
    assert tk.time_to_pass(pc, "opened")["duration"].to_list() == [7.0]


def test_without_an_origin_it_refuses() -> None:
    with pytest.raises(ValueError, match="needs an origin"):
        tk.time_to_pass(person_course(learner("ada")), None)


def test_a_missing_column_and_a_column_of_another_type_are_refused() -> None:
    pc = person_course(learner("ada", day=10))
    with pytest.raises(tk.errors.SchemaError, match="no column `opened`"):
        tk.time_to_pass(pc, "opened")
    with pytest.raises(tk.errors.SchemaError, match="must be a column of dates"):
        tk.time_to_pass(pc, "username")


def test_a_landmark_keeps_only_those_still_at_risk() -> None:
    pc = person_course(
        learner("passed before", day=10),
        learner("passed at it", day=30),
        learner("later", day=40),
        learner("censored before", created=40),
        learner("waits"),
    )
    durations = tk.time_to_pass(pc, entry=30)
    gone = "no longer at risk at entry"
    assert durations["excluded"].to_list() == [gone, gone, None, gone, None]
    table = tk.kaplan_meier(durations).frame
    assert table.select("duration", "n_at_risk", "survival").rows() == [
        (0.0, 0, 1.0),
        (30.0, 0, 1.0),
        (40.0, 2, 0.5),
        (59.0, 1, 0.5),
    ]


def test_learners_may_be_at_risk_from_their_enrollment_on() -> None:
    pc = person_course(learner("before", created=-5), learner("after", created=12, day=20))
    durations = tk.time_to_pass(
        pc, {"course-v1:Org+CS101+2026": date(2026, 1, 1)}, entry="enrolled"
    )
    assert durations.select("duration", "entry").rows() == [(59.0, 0.0), (20.0, 12.0)]


def test_the_first_of_competing_ends_counts_and_a_pass_wins_a_tie() -> None:
    def left(day: float) -> dict[str, object]:
        return {"left_at": START + timedelta(days=day)}

    pc = person_course(
        learner("passes", day=10, **left(20)),
        learner("leaves", day=20, **left(10)),
        learner("both", day=10, **left(10)),
        learner("stays", left_at=None),
        learner("left early", created=5, **left(2)),
    )
    durations = tk.time_to_pass(pc, competing={"unenrolled": "left_at"})
    assert durations.select("duration", "event", "end", "excluded").rows() == [
        (10.0, True, "passed", None),
        (10.0, False, "unenrolled", None),
        (10.0, True, "passed", None),
        (59.0, False, None, None),
        (None, None, None, "unenrolled before origin"),
    ]


ENDS = ["look", "origin", "enrolled", "undated", "end", "Passed", "passed ", "PASSED", "", "0"]


@pytest.mark.parametrize("undated", ["refuse", "bounds", "leave_out"])
def test_an_end_may_have_any_name(undated: Any) -> None:
    columns = {f"left_{place}": [START + timedelta(days=5 + place)] for place in range(len(ENDS))}
    names = [*columns, "passed"]
    pc = (
        person_course(*(learner(name) for name in columns), learner("passed", day=30))
        .join(pl.DataFrame(columns), how="cross")
        .with_columns(pl.when(username=name).then(name).alias(name) for name in columns)
    )
    durations = tk.time_to_pass(
        pc,
        {"course-v1:Org+CS101+2026": START - timedelta(days=1)},
        entry="enrolled",
        competing=dict(zip(ENDS, columns, strict=True)),
        undated=undated,
    )
    assert durations.select("username", "duration", "entry", "end").unique().sort(
        "duration"
    ).rows() == [
        (name, 6.0 + place, 1.0, end)
        for place, (name, end) in enumerate(zip(names[:-1], ENDS, strict=True))
    ] + [("passed", 31.0, 1.0, "passed")]


@pytest.mark.parametrize(
    "name",
    ["entry", "end", "event", "bound", "duration_unit", "_look"],
)
def test_a_column_named_as_one_of_the_durations_is_refused(name: str) -> None:
    pc = person_course(learner("ada", day=10, **{name: "mine"}))
    with pytest.raises(tk.errors.SchemaError, match=f"column `{name}`.*rename or drop"):
        tk.time_to_pass(pc)


@pytest.mark.parametrize(("unit", "expected"), [("hours", 252.0), ("days", 10.5), ("weeks", 1.5)])
def test_the_unit_scales_the_duration_exactly(unit: str, expected: float) -> None:
    pc = person_course(learner("ada", day=10.5))
    assert tk.time_to_pass(pc, unit=unit)["duration"].to_list() == [expected]  # type: ignore[arg-type]


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="unit must be one of"):
        tk.time_to_pass(person_course(learner("ada")), unit="months")  # type: ignore[arg-type]


def test_a_lazy_frame_stays_lazy_and_gives_the_same() -> None:
    pc = person_course(learner("ada", day=10), learner("bo"))
    lazy = tk.time_to_pass(pc.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert_frame_equal(lazy.collect(), tk.time_to_pass(pc))
    assert_frame_equal(tk.kaplan_meier(lazy).frame, tk.kaplan_meier(tk.time_to_pass(pc)).frame)


def test_the_other_columns_stay_to_group_by() -> None:
    durations = tk.time_to_pass(person_course(learner("ada", day=10, mode="audit")))
    assert durations.columns[:5] == ["username", "course_id", "duration", "event", "excluded"]
    assert durations["mode"].to_list() == ["audit"]


def test_a_pass_time_without_a_pass_is_no_event() -> None:
    # The pass rule decides `passed`; the platform's own time may date what is no pass by it.
    pc = person_course(learner("ada", day=10, passed=False), learner("bo", day=10, passed=None))
    assert tk.time_to_pass(pc).select(REASONS).rows() == [
        ("ada", 59.0, False, None),
        ("bo", 59.0, False, None),
    ]


def undated_beside(n_dated: int, n_undated: int) -> pl.DataFrame:
    """Passers with and without a date, and as many who did not pass."""
    dated = [learner(f"a{i}", day=10) for i in range(n_dated)]
    undated = [learner(f"b{i}", passed=True) for i in range(n_undated)]
    others = [learner(f"c{i}") for i in range(n_dated + n_undated)]
    return person_course(*dated, *undated, *others).with_columns(mode=pl.lit("audit"))


CURVES = [
    tk.kaplan_meier,
    tk.survival_summary,
    tk.survival.nelson_aalen,
    tk.survival.smoothed_hazard,
    tk.logrank,
    tk.survival.logrank_pairs,
    tk.survival.rmst_difference,
    lambda durations, by: tk.survival.milestone_difference(durations, by=by, at=20).frame,
    lambda durations, by: tk.survival.cumulative_incidence(with_end(durations), by=by).frame,
    lambda durations, by: tk.survival.gray_test(with_end(durations), by=by).frame,
]


def with_end(durations: pl.DataFrame) -> pl.DataFrame:
    return durations.with_columns(end=pl.when("event").then(pl.lit("passed")))


@pytest.mark.parametrize("curve", CURVES)
def test_a_group_whose_passes_lack_dates_is_refused_by_name(curve: Callable[..., object]) -> None:
    few = undated_beside(98, 2)
    many = undated_beside(97, 3).with_columns(mode=pl.lit("verified"))
    durations = tk.time_to_pass(pl.concat([few, many]))
    with pytest.raises(
        tk.errors.SchemaError, match=r"by mode of: verified \(3.0%\)\. .*undated=\"bounds\""
    ):
        curve(durations, by="mode")
    curve(durations.filter(mode="audit"), by="mode")


def test_a_group_that_is_refused_has_its_own_name_even_if_it_is_empty_or_none() -> None:
    pc = undated_beside(97, 3)
    for value, name in (("", "“”"), (None, r"\(none\)")):
        durations = tk.time_to_pass(pc.with_columns(mode=pl.lit(value, pl.String)))
        with pytest.raises(tk.errors.SchemaError, match=rf"by mode of: {name} \(3.0%\)"):
            tk.kaplan_meier(durations, by="mode")
    with pytest.raises(tk.errors.SchemaError, match=r"no curve of: all learners \(3.0%\)"):
        tk.kaplan_meier(tk.time_to_pass(pc))


def test_a_small_share_of_undated_passes_is_told_in_the_table() -> None:
    table = tk.kaplan_meier(tk.time_to_pass(undated_beside(98, 2))).frame
    assert table.select("n_excluded", "n_undated").unique().rows() == [(2, 2)]
    hazard = tk.survival.smoothed_hazard(tk.time_to_pass(undated_beside(98, 2))).frame
    assert hazard.select("n_excluded", "n_undated").unique().rows() == [(2, 2)]


def test_the_bounds_take_all_undated_passes_at_once_or_at_the_last_moment() -> None:
    durations = tk.time_to_pass(undated_beside(2, 2), undated="bounds")
    curves = tk.kaplan_meier(durations, by="bound").frame.filter(pl.col("n_events") > 0)
    assert curves.select("bound", "duration", "survival").rows() == [
        ("at once", 0.0, 0.75),
        ("at once", 10.0, 0.5),
        ("at the last moment", 10.0, 0.75),
        ("at the last moment", 59.0, 0.5),
    ]


def test_a_course_of_undated_passes_is_left_out_whole_and_counted() -> None:
    few = undated_beside(98, 2)
    many = undated_beside(97, 3).with_columns(course_id=pl.lit("course-v1:Org+CS102+2026"))
    durations = tk.time_to_pass(pl.concat([few, many]), undated="leave_out")
    assert_frame_equal(
        durations.filter(course_id=few["course_id"][0]), tk.time_to_pass(few), check_row_order=False
    )
    reason = "in a course whose passes lack a time"
    assert tk.survival.exclusions(durations).frame.rows() == [
        (reason, 200, 400),
        ("passed without a pass time", 2, 400),
    ]
    assert_frame_equal(
        tk.kaplan_meier(durations).frame.drop("n_excluded"),
        tk.kaplan_meier(tk.time_to_pass(few)).frame.drop("n_excluded"),
    )
    nothing = durations.filter(excluded=reason)
    assert nothing.select("duration", "event").null_count().row(0) == (200, 200)
    for curve in CURVES:
        curve(durations, by="course_id")


def test_an_earlier_look_leaves_a_course_out_by_the_passes_seen_until_then() -> None:
    late = {"passed": True, "passed_timestamp": START + timedelta(days=50)}
    seen = undated_beside(48, 2)
    later = person_course(*(learner(f"later {i}", **late) for i in range(50)))
    pc = pl.concat([seen.drop("mode"), later])
    assert tk.time_to_pass(pc, undated="leave_out")["duration"].null_count() == 2
    look = tk.time_to_pass(pc, as_of=START + timedelta(days=40), undated="leave_out")
    # 2 of the 50 passers seen by then lack a date: without them, the curve would be too low.
    assert set(look["excluded"]) == {"in a course whose passes lack a time"}
    tk.kaplan_meier(look, by="course_id")


def test_a_course_is_left_out_by_the_passes_that_end_a_time() -> None:
    """A pass after another end ends no time, so a curve does not count it among the passers."""
    pc = undated_beside(98, 2).with_columns(
        left=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit(START + timedelta(days=1)))
    )
    durations = tk.time_to_pass(pc, competing={"left": "left"}, undated="leave_out")
    tk.kaplan_meier(durations, by="course_id")


@given(
    seen=st.integers(0, 120),
    later=st.integers(0, 120),
    left=st.integers(0, 120),
    undated=st.integers(0, 3),
    entry=st.sampled_from([None, 12, "enrolled"]),
)
@settings(max_examples=40, deadline=None)
def test_every_course_that_is_not_left_out_has_a_curve(
    seen: int, later: int, left: int, undated: int, entry: Any
) -> None:
    """Whoever passes at a time that a curve cannot show is none of its passers."""
    learners = [learner("censored"), *[learner("undated", passed=True)] * undated]
    for name, n, day in (("seen", seen, 10), ("later", later, 50), ("left", left, 30)):
        learners += [learner(name, day=day)] * n
    gone = pl.when(username="left").then(pl.lit(START + timedelta(days=20)))
    pc = person_course(*learners).with_columns(left=gone)
    for competing in (None, {"left": "left"}):
        for look in (START + timedelta(days=40), None):
            durations = tk.time_to_pass(
                pc, as_of=look, entry=entry, competing=competing, undated="leave_out"
            )
            tk.kaplan_meier(durations, by="course_id")


BY = [None, "course_id", "mode", "year", ["course_id", "mode"], ["mode", "year", "course_id"]]
GROUPS = [(f"c{i}", mode, year) for i in "12" for mode in ("a", None) for year in (1.0, None)]


@given(
    by=st.sampled_from(BY),
    sizes=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 120)),
        min_size=len(GROUPS),
        max_size=len(GROUPS),
    ),
)
@settings(max_examples=60, deadline=None)
def test_a_group_has_a_curve_just_if_few_of_its_own_passes_are_undated(
    by: Any, sizes: list[tuple[int, int]]
) -> None:
    rows: list[dict[str, object]] = []
    for (course_id, mode, year), (n_undated, n_dated) in zip(GROUPS, sizes, strict=True):
        of_group = {"course_id": course_id, "mode": mode, "year": year}
        rows += [learner("undated", passed=True, **of_group)] * n_undated
        rows += [learner("dated", day=10, **of_group)] * n_dated
        rows += [learner("censored", **of_group), learner("no origin", created=None, **of_group)]
    pc = person_course(*rows)
    names = [by] if isinstance(by, str) else by or []
    durations = tk.time_to_pass(pc, undated="leave_out", undated_by=by)

    def n(group: tuple[object, ...], name: str) -> int:
        return sum(
            row["username"] == name and tuple(row[one] for one in names) == group for row in rows
        )

    for group in {tuple(row[name] for name in names) for row in rows}:
        is_own = [pl.col(name).eq_missing(one) for name, one in zip(names, group, strict=True)]
        own = durations.filter(pl.lit(value=True), *is_own)["excluded"].value_counts().rows()
        is_few = 50 * n(group, "undated") <= n(group, "undated") + n(group, "dated")
        what = "course" if by == "course_id" else "group"
        assert dict(own) == {
            why: count
            for why, count in [
                (None, is_few * (n(group, "dated") + n(group, "censored"))),
                ("no origin", n(group, "no origin")),
                ("passed without a pass time", is_few * n(group, "undated")),
                (
                    f"in a {what} whose passes lack a time",
                    (not is_few) * sum(n(group, one) for one in ("undated", "dated", "censored")),
                ),
            ]
            if count
        }
    for coarser in [[], *([name] for name in names), names]:
        tk.kaplan_meier(durations, by=coarser)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "1:b"), ("a1:", "b")),
        (("-", "b"), (None, "b")),
        (("1", "2"), ("12", "")),
        ((None, None), ("-", "-")),
    ],
)
def test_groups_are_told_apart_whatever_their_names(one: Any, other: Any) -> None:
    def of(name: str, group: Any, **known: Any) -> dict[str, object]:
        return learner(name, mode=group[0], year=group[1], **known)

    rows = [of("undated", one, passed=True), *[of("dated", other, day=10)] * 300]
    durations = tk.time_to_pass(
        person_course(*rows), undated="leave_out", undated_by=["mode", "year"]
    )
    left = durations.filter(pl.col("excluded").str.starts_with("in a group"))
    assert left["username"].to_list() == ["undated"]


@pytest.mark.parametrize("dated", [0, 300])
@pytest.mark.parametrize(
    "way",
    [
        {"undated": "leave_out", "undated_by": ["course_id", "mode"]},
        {"undated": "leave_out", "undated_by": None},
        {"as_of": START + timedelta(days=40), "entry": 4, "unit": "weeks"},
        {"entry": "enrolled", "whole": True},
        {"competing": {"left": "created"}, "origin": {"c1": START}},
    ],
)
def test_durations_of_files_are_read_in_parts(dated: int, way: Any, tmp_path: Path) -> None:
    """Curves of more rows than fit in memory are computed range by range."""
    rows = [
        learner("undated", passed=True, mode="a"),
        *[learner("dated", day=10, mode="b")] * dated,
    ]
    person_course(*rows).write_parquet(tmp_path / "rows.parquet")
    durations = tk.time_to_pass(pl.scan_parquet(tmp_path / "rows.parquet"), **way)
    assert is_read_by_row(durations)


def test_the_refusal_of_a_curve_names_a_way_that_gives_it() -> None:
    pc = pl.concat(
        [undated_beside(398, 2), undated_beside(17, 3).with_columns(mode=pl.lit("paid"))]
    )
    left_out = tk.time_to_pass(pc, undated="leave_out")
    with pytest.raises(tk.errors.SchemaError, match=r"undated_by=\['course_id', 'mode'\]"):
        tk.kaplan_meier(left_out, by="mode")
    by = ["course_id", "mode"]
    curves = tk.kaplan_meier(
        tk.time_to_pass(pc, undated="leave_out", undated_by=by), by="mode", times=[20]
    )
    assert curves.frame.select("mode", "n_excluded", "n_undated").rows() == [
        ("audit", 2, 2),
        ("paid", 40, 0),
    ]


def test_bounds_that_are_not_told_apart_are_refused() -> None:
    durations = tk.time_to_pass(undated_beside(2, 2), undated="bounds")
    for function in (tk.kaplan_meier, tk.survival.exclusions):
        with pytest.raises(tk.errors.ArgumentError, match='add "bound" to `by`'):
            function(durations)
        function(durations.filter(bound="at once"))


def test_a_pass_at_once_lies_just_after_a_landmark_or_a_late_enrollment() -> None:
    pc = person_course(learner("ada", created=12, passed=True))
    start = {"course-v1:Org+CS101+2026": "2026-01-01"}
    landmark = tk.time_to_pass(pc, start, entry=5, undated="bounds")
    assert landmark["bound"].to_list() == ["at once", "at the last moment"]
    assert landmark["duration"].to_list() == pytest.approx([5.0, 59.0], abs=1e-9)
    assert landmark["excluded"].to_list() == [None, None]
    unseen = tk.time_to_pass(pc, start, entry=59, undated="bounds")
    assert unseen["excluded"].to_list() == ["no longer at risk at entry"] * 2
    late = tk.time_to_pass(pc, start, entry="enrolled", undated="bounds")
    assert late["entry"].to_list() == [12.0, 12.0]
    assert late["duration"].to_list() == pytest.approx([12.0, 59.0], abs=1e-9)
    assert late["excluded"].to_list() == [None, None]


@settings(max_examples=20)
@given(
    days=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    known=st.lists(st.booleans(), min_size=40, max_size=40),
    at=st.integers(0, 59),
    entry=st.sampled_from([None, 0, 10]),
)
def test_the_truth_lies_between_the_bounds(
    days: list[int], known: list[bool], at: int, entry: int | None
) -> None:
    truth = person_course(*(learner(f"{i}", day=day) for i, day in enumerate(days)))
    seen = truth.with_columns(
        pl.when(pl.Series(known[: len(days)])).then("passed_timestamp").alias("passed_timestamp")
    )
    durations = tk.time_to_pass(truth, entry=entry)
    bounds = tk.time_to_pass(seen, undated="bounds", entry=entry)
    (share,) = tk.kaplan_meier(durations, times=[at]).frame["survival"]
    low, high = tk.kaplan_meier(bounds, by="bound", times=[at]).frame["survival"]
    assert share is None or low - 1e-12 <= share <= high + 1e-12  # None if all passed before


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry": -1},
        {"entry": float("nan")},
        {"entry": "passed"},
        {"undated": "drop"},
        {"competing": {"passed": "left_at"}},
        {"competing": "left_at"},
        {"as_of": "2999-01-01"},
        {"as_of": AS_OF + timedelta(minutes=1)},
        {"as_of": "yesterday"},
        {"origin": 7},
        {"origin": {"course-v1:Org+CS101+2026": "yesterday"}},
    ],
)
def test_impossible_arguments_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(tk.errors.ArgumentError):
        tk.time_to_pass(person_course(learner("ada", day=10)), **wrong)  # type: ignore[arg-type]


def test_a_curve_that_leaves_undated_passers_out_says_so() -> None:
    days, undated = [float(day) for day in range(100)], "passed without a pass time"
    rows = pl.DataFrame({"duration": days * 10, "event": True})
    left_out = pl.DataFrame({"duration": None, "event": None, "excluded": [undated] * 20})
    both = pl.concat([rows, left_out], how="diagonal_relaxed")
    said = "of whom passed (at most 2% of a group's passers)"
    for analysis in (tk.kaplan_meier, tk.survival_summary):
        assert said in analysis(both).release().narrate()
        assert said not in analysis(rows).release().narrate()
    subtitle = tk.kaplan_meier(both).release().chart().to_dict()["title"]["subtitle"]
    assert said in " ".join(subtitle)


def test_whole_days_round_up_and_entries_down() -> None:
    rows = frame_of_days([0, 0.25, 1, 1.5])
    assert tk.time_to_pass(rows, whole=True)["duration"].to_list() == [0.0, 1.0, 1.0, 2.0]
    start = {"c": "2025-12-31T18:00"}
    late = tk.time_to_pass(rows, start, whole=True, entry="enrolled")
    assert late.select("entry", "duration").rows() == [
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 2.0),
        (0.0, 2.0),
    ]


@settings(max_examples=25)
@given(st.lists(st.floats(0, 90), min_size=1), st.integers(0, 90))
def test_as_many_have_passed_by_each_whole_day_as_by_the_exact_moments(
    days: list[float], day: int
) -> None:
    rows = frame_of_days(days)
    exact, whole = (
        tk.time_to_pass(rows, whole=whole).filter(pl.col("duration") <= day)["event"].sum()
        for whole in (False, True)
    )
    assert exact == whole


def frame_of_days(days: list[float]) -> pl.DataFrame:
    """Learners who enrolled on 1 January 2026 and passed so many days later."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "username": [f"u{i}" for i, _ in enumerate(days)],
            "course_id": "c",
            "in_enrollments": True,
            "created": begun,
            "passed": True,
            "passed_timestamp": [begun + timedelta(days=one) for one in days],
            "as_of": begun + timedelta(days=100),
        }
    )
