"""Many rows of files are joined a range of learners at a time, which must not be seen in them."""

import secrets
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.schemas import RESOURCES

AS_OF = datetime(2026, 1, 11, tzinfo=UTC)
KEY = ["username", "course_id"]
MOMENTS = st.none() | st.integers(0, 9).map(lambda day: AS_OF - timedelta(days=day))
USERS = st.none() | st.sampled_from(["", "a", "b", "c", "ß", "z"])
COURSES = st.none() | st.sampled_from(["course-v1:O+N+R", "course-v1:O+N+S", "other"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "username": USERS,
    "course_id": COURSES,
    "display_name": st.none() | st.sampled_from(["One", "Two"]),
    "percent_grade": st.none() | st.sampled_from([0.0, 0.5, 0.9, float("nan")]),
    "letter_grade": st.none() | st.sampled_from(["Pass", "F"]),
    "passed_timestamp": MOMENTS,
    "last_date": MOMENTS.map(lambda moment: moment and moment.date()),
    "is_active": st.none() | st.booleans(),
    "mode": st.none() | st.sampled_from(["audit", "verified"]),
    "created": MOMENTS,
    "completion": st.none() | st.sampled_from([0.0, 0.4, 1.0]),
}


@st.composite
def resources(draw: st.DrawFn, *, keys_once: bool) -> list[pl.DataFrame | None]:
    """Some of the three, one at least."""
    there = draw(st.sets(st.sampled_from([*RESOURCES]), min_size=1))
    unique = (lambda row: (row["username"], row["course_id"])) if keys_once else None
    frames = {}
    for name in there:
        columns = [column for column in RESOURCES[name].names if column != "email"]
        row = st.fixed_dictionaries({column: VALUES[column] for column in columns})
        rows = draw(st.lists(row, max_size=12, unique_by=unique))
        schema = {column: RESOURCES[name][column].dtype for column in columns}
        frames[name] = pl.DataFrame(rows, schema=schema)
    return [frames.get(name) for name in RESOURCES]


def joined(frames: list[pl.DataFrame | None], most: int, **arguments: Any) -> pl.LazyFrame:
    lazy = [None if frame is None else frame.lazy() for frame in frames]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.analyses.person_course.MOST_JOINED", most)
        return tk.person_course(*lazy, as_of=AS_OF, **arguments)  # type: ignore[type-var]


def in_one_order(rows: pl.LazyFrame) -> pl.DataFrame:
    return rows.collect().sort(pl.all())


@settings(max_examples=15)
@given(resources(keys_once=True), st.integers(1, 12))
def test_a_join_in_parts_is_the_join_at_once(frames: list[pl.DataFrame | None], most: int) -> None:
    right = in_one_order(joined(frames, 10**6))
    assert_frame_equal(in_one_order(joined(frames, most)), right)
    marks = dict.fromkeys(("course-v1:O+N+R", "course-v1:O+N+S", "other"), 0.5)
    parts = joined(frames, most, pass_rule=marks)
    assert_frame_equal(in_one_order(parts), in_one_order(joined(frames, 10**6, pass_rule=marks)))


@settings(max_examples=15)
@given(resources(keys_once=False), st.integers(1, 12))
def test_duplicates_are_told_and_mended_in_parts_as_at_once(
    frames: list[pl.DataFrame | None], most: int
) -> None:
    said = []
    for each in (most, 10**6):
        try:
            said.append(in_one_order(joined(frames, each)))
        except tk.errors.SchemaError as error:
            said.append(str(error))
    if isinstance(said[1], str):
        assert said[0] == said[1]
    else:
        assert_frame_equal(*said)
    latest = [in_one_order(joined(frames, each, duplicates="latest")) for each in (most, 10**6)]
    assert_frame_equal(*latest)


def some(learners: int) -> list[pl.DataFrame | None]:
    """Grades of every second learner and the completion of all."""
    names = [f"u{number * 7 % learners:03}" for number in range(learners)]
    grades = pl.DataFrame({"username": names[::2], "course_id": "other"})
    columns = (column for column in RESOURCES["grades"] if column.name not in KEY)
    missing = [pl.lit(None, column.dtype).alias(column.name) for column in columns]
    told = pl.DataFrame({"username": names, "course_id": "other", "completion": 0.5})
    return [grades.with_columns(missing), None, told]


def test_each_range_is_in_the_order_of_the_resources() -> None:
    rows = joined(some(100), 50).collect()
    names = rows["username"].to_list()
    borders = [at for at in range(1, 100) if max(names[:at]) < min(names[at:])]
    assert 2 <= len(borders) <= 4
    for low, high in pairwise([0, *borders, 100]):
        assert rows["in_grades"][low:high].is_sorted(descending=True)
    assert_frame_equal(rows.sort(KEY), joined(some(100), 10**6).collect().sort(KEY))


def test_columns_filters_and_the_first_rows_are_taken_of_each_part() -> None:
    rows = joined(some(100), 50)
    whole = rows.collect()
    asked = rows.filter(pl.col("in_grades")).select("username", "completion")
    assert_frame_equal(asked.collect(), whole.filter("in_grades").select("username", "completion"))
    assert_frame_equal(rows.head(60).collect(), whole.head(60))
    assert rows.select(pl.len()).collect().item() == 100


def test_a_large_snapshot_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tk.sandbox(learners=200) as platform:
        snapshot = tk.take_snapshot(platform, tmp_path, key=secrets.token_hex(32))
    three = (snapshot.grades(), snapshot.enrollments(), snapshot.completion())
    whole = tk.person_course(*three, as_of=snapshot.as_of).collect()
    monkeypatch.setattr("toolkit.analyses.person_course.MOST_JOINED", 100)
    parts = tk.person_course(*three, as_of=snapshot.as_of)
    assert "parts" in parts.explain()
    assert_frame_equal(parts.collect().sort(KEY), whole.sort(KEY))
    at_once = tk.outcomes(whole, by="course_id").frame
    assert tk.outcomes(parts, by="course_id").frame.equals(at_once)
    monkeypatch.setattr("toolkit.analyses.counting.MOST_AT_ONCE", 150)
    assert tk.outcomes(parts, by="course_id").frame.equals(at_once)
    nobody = parts.filter(pl.col("username") == "nobody")
    assert tk.outcomes(nobody, by="course_id").frame.is_empty()


def test_frames_in_memory_are_joined_at_once_in_the_order_of_grades(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toolkit.analyses.person_course.MOST_JOINED", 2)
    completion = pl.DataFrame(
        {"username": list("cabd"), "course_id": ["course-v1:O+N+R"] * 4, "completion": [0.5] * 4}
    )
    pc = tk.person_course(None, None, completion, as_of=AS_OF)
    assert pc["username"].to_list() == list("cabd")
