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
                "pass_time_unused": False,
                "enrolled_day": 20454,
                "passed_day": 20457,
                "days_to_pass": 2.5,
                "observed_days": 9.75,
                "as_of": AS_OF,
                "pass_rule": "a letter grade other than F, Fail, Failed, Not Passing or Not Passed",
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
    assert pc["display_name"].to_list() == ["Computing", "Computing", "other"]
    assert tk.match_counts(pc).frame.rows() == [
        (False, False, True, 1, 0, 0),
        (False, True, True, 1, 0, 0),
        (True, False, False, 1, 0, 0),
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
    with pytest.raises(
        tk.errors.SchemaError, match=r"3 records where 1 would do .* courses: 1"
    ) as caught:
        tk.person_course(None, None, twice, as_of=AS_OF)
    assert "secret" not in str(caught.value)
    with pytest.raises(tk.errors.SchemaError, match="completion has 3 records"):
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


def test_as_of_is_taken_as_a_person_writes_it_and_means_utc() -> None:
    row = completion({"username": "u", "course_id": COURSE})

    def as_of(when: Any) -> datetime:
        read: datetime = tk.person_course(None, None, row, as_of=when)["as_of"].item()
        return read

    east = AS_OF.astimezone(timezone(timedelta(hours=5)))
    for when in (AS_OF, AS_OF.replace(tzinfo=None), east, "2026-01-11T12:00Z", "2026-01-11 12:00"):
        assert as_of(when) == AS_OF
    for day in (date(2026, 1, 11), "2026-01-11"):
        assert as_of(day) == datetime(2026, 1, 11, tzinfo=UTC)
    for wrong in ("11/01/2026", "", None, 20_260_111, float("nan"), b"2026-01-11"):
        with pytest.raises(tk.errors.ArgumentError, match="as_of must be a date or a datetime"):
            as_of(wrong)


def test_an_as_of_still_to_come_is_refused() -> None:
    row = completion({"username": "u", "course_id": COURSE})
    tk.person_course(None, None, row, as_of=AS_OF, now=AS_OF - timedelta(hours=23))
    with pytest.raises(tk.errors.ArgumentError, match=r"is in the future \(today is 2025-12-22"):
        tk.person_course(None, None, row, as_of=AS_OF, now=AS_OF - timedelta(days=20))


def test_what_cannot_be_joined_is_refused() -> None:
    row = completion({"username": "u", "course_id": COURSE})
    with pytest.raises(tk.errors.ArgumentError, match="one kind; got none"):
        tk.person_course(None, None, None, as_of=AS_OF)
    with pytest.raises(tk.errors.ArgumentError, match="one kind"):
        tk.person_course(None, enrollments().lazy(), row, as_of=AS_OF)  # type: ignore[type-var]
    with pytest.raises(tk.errors.SchemaError, match="completion has no column `completion`"):
        tk.person_course(None, None, row.drop("completion"), as_of=AS_OF)


def test_no_record_at_all_is_an_empty_frame() -> None:
    pc = tk.person_course(grades(), enrollments(), completion(), as_of=AS_OF)
    assert_frame_equal(pc, PERSON_COURSE.empty())
    assert tk.match_counts(pc).frame.is_empty()


LETTERS = ["Pass", "A", "F", " fail", "FAILED", "Not  Passing", "not\u00a0passed", "", " ", None]


def graded(*marks: tuple[str | None, float | None], course: str = COURSE) -> pl.DataFrame:
    """A learner for each letter and grade, who all have a pass time."""
    return grades(
        *(
            {
                "username": f"u{i}",
                "course_id": course,
                "letter_grade": letter,
                "percent_grade": grade,
                "passed_timestamp": datetime(2026, 1, 4, 6, tzinfo=UTC),
            }
            for i, (letter, grade) in enumerate(marks)
        )
    )


def test_every_letter_but_the_failing_words_is_a_pass() -> None:
    pc = tk.person_course(graded(*((x, None) for x in LETTERS)), None, None, as_of=AS_OF)
    assert pc["passed"].to_list() == [True, True, *[False] * 8]
    assert pc["pass_rule"].unique().to_list() == [
        "a letter grade other than F, Fail, Failed, Not Passing or Not Passed"
    ]


def test_passing_letters_can_be_named() -> None:
    rows = graded(*((x, None) for x in LETTERS))
    pc = tk.person_course(rows, None, None, as_of=AS_OF, pass_rule={"a", "f"})
    assert pc.filter("passed")["letter_grade"].to_list() == ["A", "F"]
    assert pc["pass_rule"][0] == "the letter grade a or f"


def test_a_mark_decides_on_the_grade_alone() -> None:
    rows = graded(("F", 0.6), ("A", 0.599), ("A", None), (None, 1.0), ("A", float("nan")))
    pc = tk.person_course(rows, None, None, as_of=AS_OF, pass_rule=0.6)
    assert pc["passed"].to_list() == [True, False, False, True, False]
    assert pc["pass_rule"][0] == "a grade of 60% or more"


def test_each_course_can_have_its_mark_and_none_may_lack_one() -> None:
    rows = pl.concat([graded(("A", 0.5), course=name) for name in ("x", "y", "z")])
    marks = {"x": 0.5, "y": 0.55, "z": 0.4, "elsewhere": 0.9}
    pc = tk.person_course(rows, None, None, as_of=AS_OF, pass_rule=marks)
    assert pc["passed"].to_list() == [True, False, True]
    assert pc["pass_rule"][0] == "a grade of the course's mark or more (40% to 90%)"
    with pytest.raises(tk.errors.ArgumentError, match=r"pass_rule has no mark for y, z; give one"):
        tk.person_course(rows, None, None, as_of=AS_OF, pass_rule={"x": 0.5})


@pytest.mark.parametrize(
    "rule", ["Pass", "", (), {}, {""}, True, 0, 60, -0.1, float("nan"), None, {"x": 60}, {1: 0.5}]
)
def test_what_is_no_pass_rule_is_refused(rule: Any) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="pass"):
        tk.person_course(graded(), None, None, as_of=AS_OF, pass_rule=rule)


def test_the_time_of_a_pass_follows_the_rule_and_what_is_set_aside_is_counted() -> None:
    rows = graded(("Pass", 0.8), ("F", 0.2), (None, 0.1)).vstack(
        grades({"username": "undated", "course_id": COURSE, "letter_grade": "Pass"})
    )
    enrolled = enrollments(
        {"username": "u0", "course_id": COURSE, "created": AS_OF},
        {"username": "u1", "course_id": COURSE, "created": AS_OF},
    )
    pc = tk.person_course(rows, enrolled, None, as_of=AS_OF)
    for name in ("passed_timestamp", "passed_day"):
        assert pc[name].is_not_null().to_list() == [True, False, False, False]
    assert pc["days_to_pass"].is_not_null().to_list() == [True, False, False, False]
    assert pc["pass_time_unused"].to_list() == [False, True, True, False]
    assert tk.match_counts(pc).frame.rows() == [
        # in grades, enrollments, completion: records, passes undated, pass times unused
        (True, False, False, 2, 1, 1),
        (True, True, False, 2, 0, 1),
    ]


KEYS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "course-v1:O+N+R"])), unique=True
)


@settings(max_examples=25)
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
