from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.schemas.outcome_results import REPEATS, TRANSITIONS

AS_OF = datetime(1970, 4, 11, 15, tzinfo=UTC)  # day 100


def person_course(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Learner, course, run, day of enrollment, day of the pass, grade."""
    return pl.DataFrame(
        rows,
        schema={
            "username": pl.String,
            "course_number": pl.String,
            "course_run": pl.String,
            "enrolled_day": pl.Int32,
            "passed_day": pl.Int32,
            "percent_grade": pl.Float64,
        },
        orient="row",
    ).with_columns(
        course_id=pl.format("course-v1:Org+{}+{}", "course_number", "course_run"),
        org=pl.lit("Org"),
        in_enrollments=True,
        passed=pl.col("passed_day").is_not_null(),
        as_of=pl.lit(AS_OF, dtype=pl.Datetime("us", "UTC")),
    )


def test_repeaters_are_told_by_their_first_and_best_result() -> None:
    paths = tk.learner_paths(
        person_course(
            ("once", "A", "1", 0, 9, 0.9),
            ("first", "A", "1", 0, 9, 0.7),
            ("first", "A", "2", 50, None, 0.1),
            ("later", "A", "2", 50, 60, 0.8),
            ("later", "A", "1", 0, None, 0.2),
            ("never", "A", "1", 0, None, 0.3),
            ("never", "A", "2", 50, None, None),
            ("undated", "A", "1", None, 9, 0.6),
            ("undated", "A", "2", None, None, None),
            ("once", "B", "1", 0, None, None),
        )
    )
    assert paths.repeats.frame.schema == REPEATS.polars_schema
    assert paths.repeats.frame.rows() == [
        # course, learners, repeaters, undated, first, later, never, graded, mean first, mean best
        ("Org+A", 5, 4, 1, 1, 1, 1, 3, pytest.approx(0.4), pytest.approx(0.6)),
        ("Org+B", 1, 0, 0, 0, 0, 0, 0, None, None),
    ]


def test_a_transition_is_a_pass_followed_by_an_enrollment_in_time() -> None:
    paths = tk.learner_paths(
        person_course(
            ("same day", "A", "1", 0, 10, 0.9),
            ("same day", "B", "1", 10, None, None),
            ("last day", "A", "1", 0, 10, 0.9),
            ("last day", "B", "1", 40, None, None),
            ("too late", "A", "1", 0, 10, 0.9),
            ("too late", "B", "1", 41, None, None),
            ("before", "A", "1", 0, 10, 0.9),
            ("before", "B", "1", 9, None, None),
            ("again", "A", "1", 0, 10, 0.9),
            ("again", "A", "2", 20, None, None),
            ("both", "A", "1", 0, 10, 0.9),
            ("both", "B", "1", 20, None, None),
            ("both", "C", "1", 20, None, None),
            # The 100th day is not over, and who enrolls in its last hours is not yet seen.
            ("not long enough", "A", "1", 0, 70, 0.9),
            ("not long enough", "B", "1", 72, None, None),
            ("just long enough", "A", "1", 0, 69, 0.9),
        ),
        within_days=30,
    )
    assert paths.transitions.frame.schema == TRANSITIONS.polars_schema
    assert paths.transitions.frame.select(
        "from_course", "to_course", "n_passed", "n_moved"
    ).rows() == [
        ("Org+A", "(any other course)", 7, 3),
        ("Org+A", "Org+B", 7, 3),
        ("Org+A", "Org+C", 7, 1),
    ]


def test_the_first_pass_of_several_runs_counts_once() -> None:
    paths = tk.learner_paths(
        person_course(
            ("u", "A", "1", 0, 10, 0.9),
            ("u", "A", "2", 20, 30, 0.9),
            ("u", "B", "1", 15, None, None),
            ("u", "B", "2", 35, None, None),
        ),
        within_days=30,
    )
    assert paths.transitions.frame.select("to_course", "n_passed", "n_moved").rows() == [
        ("(any other course)", 1, 1),
        ("Org+B", 1, 1),
    ]


def test_a_course_id_of_another_form_is_a_course_of_its_own() -> None:
    pc = person_course(("u", "A", "1", 0, 10, 0.9), ("u", "A", "2", 20, None, 0.1))
    other = pc.with_columns(org=pl.lit(None, dtype=pl.String))
    assert tk.learner_paths(other).repeats.frame["n_repeaters"].to_list() == [0, 0]
    assert tk.learner_paths(pc).repeats.frame["n_repeaters"].to_list() == [1]


def test_nobody_has_no_path() -> None:
    paths = tk.learner_paths(person_course())
    assert_frame_equal(paths.repeats.frame, REPEATS.empty())
    assert_frame_equal(paths.transitions.frame, TRANSITIONS.empty())


def test_a_negative_time_and_a_missing_column_are_refused() -> None:
    with pytest.raises(tk.errors.ArgumentError, match="of 0 or more, not -1"):
        tk.learner_paths(person_course(), within_days=-1)
    with pytest.raises(tk.errors.SchemaError, match="no column `username`"):
        tk.learner_paths(person_course().drop("username"))


def test_every_engine_and_order_gives_the_same_paths(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = {
        (f"u{rng.integers(60)}", str(rng.choice(["A", "B", "C"])), str(rng.integers(1, 4)))
        for _ in range(300)
    }
    drawn = [
        (
            *key,
            int(rng.integers(0, 60)) if rng.random() < 0.95 else None,
            int(rng.integers(20, 90)) if rng.random() < 0.5 else None,
            round(float(rng.random()), 2) if rng.random() < 0.8 else None,
        )
        for key in sorted(rows)
    ]
    pc = person_course(*drawn)
    pc.write_parquet(tmp_path / "pc.parquet")
    here = tk.learner_paths(pc, within_days=20)
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(tmp_path / "pc.parquet"))
        for other in (pc.lazy(), pc.sample(fraction=1, shuffle=True, seed=1), relation):
            there = tk.learner_paths(other, within_days=20)
            assert_frame_equal(there.repeats.frame, here.repeats.frame, rel_tol=1e-12)
            assert_frame_equal(there.transitions.frame, here.transitions.frame, check_exact=True)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum([f"u{i}" for i in range(40)])])
def test_usernames_may_be_categories(dtype: pl.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"u{i % 40}", "A", str(i // 40), i, None, None) for i in range(60)]
    here = tk.learner_paths(pc := person_course(*rows))
    monkeypatch.setattr("toolkit.analyses.paths.MOST_AT_ONCE", 20)
    there = tk.learner_paths(pc.cast({"username": dtype}))
    assert_frame_equal(there.repeats.frame, here.repeats.frame)
    assert_frame_equal(there.transitions.frame, here.transitions.frame)


def test_the_same_learners_are_rounded_as_in_other_tables() -> None:
    """Two draws of one count would tell more of it than one."""
    with tk.sandbox(learners=2_000, seed=3) as platform:
        pc = tk.load_study(platform).person_course
    single = pc.filter(pl.col("course_run") == pl.col("course_run").min().over("course_number"))
    course = pl.concat_str("org", pl.lit("+"), "course_number").alias("course")
    outcomes = tk.outcomes(single.with_columns(course), by="course")
    repeats = tk.learner_paths(single).repeats
    both = repeats.release().frame.join(outcomes.release().frame, on="course")
    exact = repeats.frame.join(outcomes.frame, on="course")
    assert exact["n_learners"].equals(exact["n_enrolled"], check_names=False)
    assert both["n_learners"].equals(both["n_enrolled"], check_names=False, null_equal=True)
    assert both["n_learners"].is_not_null().sum() >= 5


def test_keys_are_summed_over_each_learner_once() -> None:
    """With the key 1 for every record, the sums of keys are the counts themselves."""
    with tk.sandbox(learners=500, seed=3) as platform:
        pc = tk.load_study(platform).person_course
    found = tk.learner_paths(pc.with_columns(record_key=pl.lit(1, pl.Int64)))
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "toolkit.release.tables.release_counts",
            lambda counts, keys, **_: drawn.append((counts, keys)) or counts,
        )
        found.repeats.release()
        found.transitions.release()
    assert len(drawn) >= 8
    for counts, keys in drawn:
        assert keys.cast(pl.Int64).to_list() == counts.to_list(), counts.name
