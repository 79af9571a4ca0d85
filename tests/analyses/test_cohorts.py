from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.schemas.outcome_results import COHORT_PROGRESS

AS_OF = date(2026, 4, 1)
EPOCH = date(1970, 1, 1)


def person_course(*rows: tuple[date | None, float | None, bool], **more: object) -> pl.DataFrame:
    """Learners by day of enrollment, days to the pass, passed; observed until `AS_OF`."""
    days = [None if enrolled is None else (enrolled - EPOCH).days for enrolled, _, _ in rows]
    as_of = (AS_OF - EPOCH).days
    frame = pl.DataFrame(
        {
            "in_enrollments": [True] * len(rows),
            "enrolled_day": days,
            "days_to_pass": [to_pass for _, to_pass, _ in rows],
            "passed": [passed for _, _, passed in rows],
            "observed_days": [None if day is None else as_of - day for day in days],
        },
        schema={
            "in_enrollments": pl.Boolean,
            "enrolled_day": pl.Int32,
            "days_to_pass": pl.Float64,
            "passed": pl.Boolean,
            "observed_days": pl.Float64,
        },
    )
    return frame.with_columns(**{name: pl.lit(value) for name, value in more.items()})


JANUARY, MARCH = date(2026, 1, 1), date(2026, 3, 20)


def test_a_cell_counts_those_who_passed_of_those_observed_so_long() -> None:
    pc = person_course(
        (JANUARY, 30.0, True),  # on the last day of the first period
        (JANUARY, 30.5, True),
        (date(2026, 1, 31), None, False),  # observed for 60 days
        (date(2026, 1, 11), None, False),  # observed for 80 days
        (MARCH, 5.0, True),  # observed for 12 days only
    )
    table = tk.cohort_progress(pc, periods=4).frame
    assert table.schema == COHORT_PROGRESS.polars_schema
    assert table.select(
        "cohort", "period", "days", "n_members", "n_observed", "n_reached", "reach_rate", "status"
    ).rows() == [
        (JANUARY, 1, 30, 4, 4, 1, 0.25, "shown"),
        (JANUARY, 2, 60, 4, 4, 2, 0.5, "shown"),
        (JANUARY, 3, 90, 4, 2, 2, 1.0, "shown"),
        (JANUARY, 4, 120, 4, None, None, None, "not yet"),
        *((date(2026, 3, 1), k, 30 * k, 1, None, None, None, "not yet") for k in range(1, 5)),
    ]


def test_nobody_is_a_failure_for_want_of_time() -> None:
    table = tk.cohort_progress(person_course((MARCH, None, False)), step="1w", periods=2).frame
    assert table["reach_rate"].to_list() == [0.0, None]
    assert table["status"].to_list() == ["shown", "not yet"]


def test_unknown_and_negative_times_are_excluded_with_their_count() -> None:
    pc = person_course(
        (JANUARY, -1.0, True),
        (JANUARY, None, True),
        (JANUARY, 0.0, True),
        (JANUARY, None, False),
    )
    row = tk.cohort_progress(pc, periods=1).frame.row(0, named=True)
    counts = ("n_excluded", "n_members", "n_observed", "n_reached")
    assert tuple(row[name] for name in counts) == (2, 2, 2, 1)


def test_the_undated_are_one_row_of_no_cohort() -> None:
    table = tk.cohort_progress(
        person_course((None, None, True), (JANUARY, 1.0, True)), periods=2
    ).frame
    assert table.select("cohort", "period", "n_excluded", "n_members", "status").rows() == [
        (None, None, 1, 0, "in no cohort: no enrollment date"),
        (JANUARY, 1, 0, 1, "shown"),
        (JANUARY, 2, 0, 1, "shown"),
    ]


def test_records_that_enrollments_lack_belong_to_no_cohort() -> None:
    pc = person_course((JANUARY, 1.0, True)).with_columns(in_enrollments=False)
    assert tk.cohort_progress(pc).frame.is_empty()


def test_cohorts_are_weeks_months_quarters_or_years() -> None:
    pc = person_course((MARCH, 1.0, True))
    starts = {
        "1w": date(2026, 3, 16),
        "1mo": date(2026, 3, 1),
        "1q": date(2026, 1, 1),
        "1y": date(2026, 1, 1),
    }
    for span, start in starts.items():
        assert tk.cohort_progress(pc, cohort=span).frame["cohort"][0] == start  # type: ignore[arg-type]


def test_impossible_arguments_are_refused() -> None:
    pc = person_course((JANUARY, 1.0, True))
    for step in ("1mo", "0d", "30", "-7d", "1.5w", "d"):
        with pytest.raises(tk.errors.ArgumentError, match="whole days or weeks"):
            tk.cohort_progress(pc, step=step)
    with pytest.raises(tk.errors.ArgumentError, match="cohort must be one of"):
        tk.cohort_progress(pc, cohort="2mo")  # type: ignore[arg-type]
    with pytest.raises(tk.errors.ArgumentError, match="periods"):
        tk.cohort_progress(pc, periods=0)
    with pytest.raises(tk.errors.SchemaError, match="no column `observed_days`"):
        tk.cohort_progress(pc.drop("observed_days"))


MEMBER = st.tuples(
    st.one_of(st.none(), st.dates(date(2025, 9, 1), AS_OF)),
    st.one_of(st.none(), st.floats(-5, 250)),
    st.booleans(),
)


@settings(max_examples=20)
@given(st.lists(MEMBER, min_size=1, max_size=15), st.lists(MEMBER, min_size=1, max_size=5))
def test_rows_may_be_shuffled_and_groups_added(
    rows: list[tuple[Any, ...]], others: list[tuple[Any, ...]]
) -> None:
    alone = tk.cohort_progress(person_course(*rows, mode="a"), by="mode").frame
    both = pl.concat([person_course(*others, mode="b"), person_course(*rows[::-1], mode="a")])
    together = tk.cohort_progress(both, by="mode").frame.filter(pl.col("mode") == "a")
    assert_frame_equal(alone, together, check_exact=True)


@settings(max_examples=20)
@given(st.lists(MEMBER, min_size=1, max_size=20))
def test_cells_agree_with_their_definition(rows: list[tuple[Any, ...]]) -> None:
    pc = person_course(*rows)
    kept = [
        (enrolled, to_pass if passed else None)  # a time without a pass is none
        for enrolled, to_pass, passed in rows
        if not passed or (to_pass is not None and to_pass >= 0)
    ]
    for cell in tk.cohort_progress(pc, step="20d", periods=6).frame.iter_rows(named=True):
        if cell["cohort"] is None:
            continue
        cohort = [
            ((AS_OF - enrolled).days, to_pass)
            for enrolled, to_pass in kept
            if enrolled is not None and enrolled.replace(day=1) == cell["cohort"]
        ]
        seen = [to_pass for observed, to_pass in cohort if observed >= cell["days"]]
        reached = [to_pass for to_pass in seen if to_pass is not None and to_pass <= cell["days"]]
        assert cell["n_members"] == len(cohort)
        assert (cell["n_observed"] or 0) == len(seen)
        assert (cell["n_reached"] or 0) == len(reached)


def test_every_engine_gives_the_same_progress(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [
        (AS_OF - timedelta(days=int(ago)), None if late > 150 else float(late), late <= 150)
        for ago, late in zip(rng.integers(0, 400, 500), rng.uniform(-5, 400, 500), strict=True)
    ]
    pc = person_course(*rows, mode="audit")
    pc.write_parquet(tmp_path / "pc.parquet")
    expected = tk.cohort_progress(pc, by="mode").frame
    assert_frame_equal(tk.cohort_progress(pc.lazy(), by="mode").frame, expected, check_exact=True)
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(tmp_path / "pc.parquet"))
        assert_frame_equal(
            tk.cohort_progress(relation, by="mode").frame, expected, check_exact=True
        )


def snapshot(moment: datetime, *learners: tuple[date, float]) -> pl.DataFrame:
    """What one snapshot says of learners by day of enrollment and completion."""
    enrolled = [day for day, _ in learners]
    noon = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in enrolled]
    return pl.DataFrame(
        {
            "in_enrollments": [True] * len(learners),
            "completion": [completion for _, completion in learners],
            "enrolled_day": pl.Series([(day - EPOCH).days for day in enrolled], dtype=pl.Int32),
            "observed_days": [(moment - start).total_seconds() / 86_400 for start in noon],
            "as_of": pl.Series([moment] * len(learners), dtype=pl.Datetime("us", "UTC")),
        }
    )


def test_completion_is_followed_through_snapshots() -> None:
    early, late = date(2026, 1, 1), date(2026, 1, 11)
    history = [
        # The older is 15 days old, the younger 5; then 20 and 10; then 55 and 45.
        snapshot(datetime(2026, 1, 16, tzinfo=UTC), (early, 0.5), (late, 0.0)),
        snapshot(datetime(2026, 1, 21, tzinfo=UTC), (early, 0.8), (late, 0.1)),
        snapshot(datetime(2026, 2, 25, tzinfo=UTC), (early, 1.0), (late, 0.9)),
    ]
    table = tk.completion_progress(history[::-1], step="10d", periods=7).frame
    assert table.schema == COHORT_PROGRESS.polars_schema
    assert table.select("period", "n_members", "n_observed", "n_reached", "status").rows() == [
        (1, 2, 1, 0, "shown"),
        (2, 2, 1, 1, "shown"),
        (3, 2, None, None, "no snapshot of this period"),
        (4, 2, None, None, "no snapshot of this period"),
        (5, 2, 1, 1, "shown"),
        (6, 2, 1, 1, "shown"),
        (7, 2, None, None, "not yet"),
    ]
    assert table["outcome"].unique().to_list() == ["completed"]


def test_a_history_needs_distinct_moments() -> None:
    one = snapshot(datetime(2026, 1, 16, tzinfo=UTC), (JANUARY, 0.5))
    with pytest.raises(tk.errors.ArgumentError, match="same moment"):
        tk.completion_progress([one, one])
    with pytest.raises(tk.errors.ArgumentError, match="at least one snapshot with learners"):
        tk.completion_progress([])
    with pytest.raises(tk.errors.ArgumentError, match="at least one snapshot with learners"):
        tk.completion_progress([one.clear(), one.clear()])


@pytest.mark.parametrize(
    ("before", "now"), [(pl.Null, pl.String), (pl.Categorical, pl.String), (pl.Int32, pl.Float64)]
)
def test_a_group_column_may_have_another_type_in_an_older_snapshot(before: Any, now: Any) -> None:
    value = 1 if now == pl.Float64 else "x"
    history = [
        snapshot(datetime(2026, 1, day, tzinfo=UTC), (date(2026, 1, 1), 0.9)).with_columns(
            group=pl.Series([None if of == pl.Null else value], dtype=of)
        )
        for day, of in ((6, before), (20, now))
    ]
    table = tk.completion_progress(history, step="1w", periods=3, by="group").frame
    assert table.schema["group"] == now
    assert table["n_reached"].to_list() == [None if before == pl.Null else 1, None, 1]


def test_group_columns_of_types_that_do_not_fit_are_refused() -> None:
    one, other = (
        snapshot(datetime(2026, 1, day, tzinfo=UTC), (date(2026, 1, 1), 0.9)).with_columns(
            group=pl.Series(["x"], dtype=pl.Enum(levels))
        )
        for day, levels in ((6, ["x"]), (20, ["x", "y"]))
    )
    with pytest.raises(tk.errors.SchemaError, match="group has types"):
        tk.completion_progress([one, other], by="group")


def test_a_period_of_49_days_is_reached_on_its_last_day() -> None:
    # Polars divides by a constant with its reciprocal: 98 / 49 comes out below 2 there.
    enrolled = [AS_OF - timedelta(days=49 * k) for k in range(1, 21)]
    pc = person_course(*((day, None, False) for day in enrolled))
    table = tk.cohort_progress(pc, step="7w", periods=20, cohort="1y").frame
    observed = table.group_by("period").agg(pl.col("n_observed").sum()).sort("period")
    assert observed["n_observed"].to_list() == list(range(20, 0, -1))


def test_a_group_column_may_be_called_like_a_column_of_the_counting() -> None:
    pc = person_course((JANUARY, 3.0, True), (JANUARY, None, False))
    for name in ("seen", "reached", "excluded", "n", "unseen"):
        table = tk.cohort_progress(pc.with_columns(pl.lit("x").alias(name)), by=name, periods=1)
        assert table.frame.select(name, "n_members", "n_reached").rows() == [("x", 2, 1)]


@pytest.mark.parametrize("name", ["cohort", "period", "status", "n_members"])
def test_a_group_column_called_like_one_of_the_result_is_refused(name: str) -> None:
    pc = person_course((JANUARY, None, False)).with_columns(pl.lit("x").alias(name))
    with pytest.raises(
        tk.errors.ArgumentError, match=f"by names `{name}`, which is a column of the res"
    ):
        tk.cohort_progress(pc, by=name)
