from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES, PERSON_COURSE

AS_OF = datetime(2026, 1, 11, 12, tzinfo=UTC)
COURSE = "course-v1:Org+CS101+2025_T1"


def grades(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=GRADES.polars_schema)


def enrollments(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=ENROLLMENTS.polars_schema)


def completion(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=COMPLETION.polars_schema)


def test_one_learner_in_all_three_resources_is_one_row() -> None:
    pc = tk.person_course(
        grades(
            {
                "username": "u1",
                "email": "u1@example.com",
                "course_id": COURSE,
                "display_name": "Computing",
                "percent_grade": 0.8,
                "letter_grade": "Pass",
                "passed_timestamp": datetime(2026, 1, 4, 6, tzinfo=UTC),
                "last_date": date(2026, 1, 9),
            }
        ),
        enrollments(
            {
                "username": "u1",
                "email": "u1@example.com",
                "course_id": COURSE,
                "is_active": True,
                "mode": "audit",
                "created": datetime(2026, 1, 1, 18, tzinfo=UTC),
            }
        ),
        completion({"username": "u1", "email": None, "course_id": COURSE, "completion": 0.5}),
        as_of=AS_OF,
    )
    expected = pl.DataFrame(
        [
            {
                "username": "u1",
                "course_id": COURSE,
                "display_name": "Computing",
                "org": "Org",
                "course_number": "CS101",
                "course_run": "2025_T1",
                "in_grades": True,
                "in_enrollments": True,
                "in_completion": True,
                "is_active": True,
                "mode": "audit",
                "created": datetime(2026, 1, 1, 18, tzinfo=UTC),
                "percent_grade": 0.8,
                "letter_grade": "Pass",
                "passed_timestamp": datetime(2026, 1, 4, 6, tzinfo=UTC),
                "last_date": date(2026, 1, 9),
                "completion": 0.5,
                "passed": True,
                "enrolled_day": 20454,
                "passed_day": 20457,
                "days_to_pass": 2.5,
                "observed_days": 9.75,
                "as_of": AS_OF,
                "record_key": pc["record_key"].item(),
            }
        ],
        schema=PERSON_COURSE.polars_schema,
    )
    assert_frame_equal(pc, expected)


def test_records_without_a_partner_are_kept_and_counted() -> None:
    pc = tk.person_course(
        grades({"username": "g", "course_id": COURSE, "display_name": "Computing"}),
        enrollments({"username": "e", "course_id": COURSE}),
        completion({"username": "e", "course_id": COURSE}, {"username": "c", "course_id": "other"}),
        as_of=AS_OF,
    )
    assert pc.select("username", "in_grades", "in_enrollments", "in_completion").rows() == [
        ("g", True, False, False),
        ("e", False, True, True),
        ("c", False, False, True),
    ]
    assert pc["display_name"].to_list() == ["Computing", "Computing", None]
    assert tk.match_counts(pc).rows() == [
        (False, False, True, 1),
        (False, True, True, 1),
        (True, False, False, 1),
    ]


def test_a_course_id_of_another_form_has_no_parts() -> None:
    ids = ["course-v1:MOOCit-demo-1", "Org/CS/2020", "course-v1:a+b", "course-v1:a+b+c+d", ""]
    pc = tk.person_course(
        None,
        None,
        completion(*({"username": "u", "course_id": name} for name in ids)),
        as_of=AS_OF,
    )
    assert pc["course_id"].to_list() == ids
    assert pc.select("org", "course_number", "course_run").null_count().row(0) == (5, 5, 5)


def test_lazy_frames_stay_lazy_and_give_the_same() -> None:
    parts = (
        grades(*({"username": f"u{i}", "course_id": COURSE} for i in range(0, 9, 2))),
        enrollments(*({"username": f"u{i}", "course_id": COURSE} for i in range(0, 9, 3))),
        None,
    )
    eager = tk.person_course(*parts, as_of=AS_OF)
    lazy = tk.person_course(*(p if p is None else p.lazy() for p in parts), as_of=AS_OF)
    assert isinstance(lazy, pl.LazyFrame)
    assert_frame_equal(lazy.collect(), eager)


def test_duplicate_keys_are_refused_without_naming_anyone() -> None:
    twice = completion(
        *({"username": "secret", "course_id": COURSE, "completion": c} for c in (0.1, 0.4, 0.2)),
        {"username": "other", "course_id": COURSE, "completion": 0.9},
    )
    with pytest.raises(tk.SchemaError, match=r"3 records where 1 would do .* courses: 1") as caught:
        tk.person_course(None, None, twice, as_of=AS_OF)
    assert "secret" not in str(caught.value)
    with pytest.raises(tk.SchemaError, match="completion has 3 records"):
        tk.person_course(None, None, twice.lazy(), as_of=AS_OF)


def test_the_latest_of_duplicates_is_taken_when_asked_for() -> None:
    key = {"username": "u", "course_id": COURSE}
    older, newer = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    pc = tk.person_course(
        grades(
            {**key, "last_date": None, "percent_grade": 0.9},
            {**key, "last_date": newer.date(), "percent_grade": 0.3},
            {**key, "last_date": older.date(), "percent_grade": 0.5},
        ),
        enrollments(
            {**key, "created": newer, "is_active": False, "mode": "audit"},
            {**key, "created": newer, "is_active": True, "mode": "audit"},
            {**key, "created": older, "is_active": True, "mode": "verified"},
        ),
        completion({**key, "completion": 0.7}, {**key, "completion": None}),
        as_of=AS_OF,
        duplicates="latest",
    )
    assert pc.select("percent_grade", "created", "is_active", "mode", "completion").rows() == [
        (0.3, newer, True, "audit", 0.7)
    ]


def test_as_of_without_a_zone_is_utc_and_a_date_is_no_moment() -> None:
    row = completion({"username": "u", "course_id": COURSE})
    naive = tk.person_course(None, None, row, as_of=AS_OF.replace(tzinfo=None))
    assert naive["as_of"].to_list() == [AS_OF]
    east = AS_OF.astimezone(timezone(timedelta(hours=5)))
    assert tk.person_course(None, None, row, as_of=east)["as_of"].to_list() == [AS_OF]
    with pytest.raises(tk.SchemaError, match="a datetime; got date"):
        tk.person_course(None, None, row, as_of=date(2026, 1, 1))  # type: ignore[arg-type]


def test_what_cannot_be_joined_is_refused() -> None:
    row = completion({"username": "u", "course_id": COURSE})
    with pytest.raises(tk.SchemaError, match="one at least"):
        tk.person_course(None, None, None, as_of=AS_OF)
    with pytest.raises(tk.SchemaError, match="one kind"):
        tk.person_course(None, enrollments().lazy(), row, as_of=AS_OF)  # type: ignore[type-var]
    with pytest.raises(tk.SchemaError, match="completion has no column `completion`"):
        tk.person_course(None, None, row.drop("completion"), as_of=AS_OF)


def test_no_record_at_all_is_an_empty_frame() -> None:
    pc = tk.person_course(grades(), enrollments(), completion(), as_of=AS_OF)
    assert_frame_equal(pc, PERSON_COURSE.empty())
    assert tk.match_counts(pc).is_empty()


KEYS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "course-v1:O+N+R"])), unique=True
)


@settings(max_examples=50, deadline=None)
@given(st.tuples(KEYS, KEYS, KEYS))
def test_every_record_is_in_exactly_one_row(keys: tuple[list[tuple[str, str]], ...]) -> None:
    parts = [
        frame(*({"username": user, "course_id": course} for user, course in some))
        for frame, some in zip((grades, enrollments, completion), keys, strict=True)
    ]
    pc = tk.person_course(*parts, as_of=AS_OF)
    # In the order of grades, then of what only enrollments had, then of what only completion had.
    expected = list(dict.fromkeys(key for some in keys for key in some))
    assert pc.select("username", "course_id").rows() == expected
    for name, some in zip(("grades", "enrollments", "completion"), keys, strict=True):
        flagged = pc.filter(f"in_{name}").select("username", "course_id").rows()
        assert sorted(flagged) == sorted(some)
