import json

import pytest

import toolkit as tk

JOHN = {
    "username": "johndoe",
    "email": "john@example.com",
    "course_id": "course-v1:MOOCit-demo-1",
    "display_name": "MOOCit demonstration Course #1",
    "percent_grade": "0.80",
    "letter_grade": "Pass",
    "passed_timestamp": "2020-03-28 23:21:24.354019",
    "last_date": "2020-11-26",
}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([JOHN]),
        json.dumps(JOHN),
        json.dumps(JOHN) + ",\n" + json.dumps(JOHN),
        json.dumps({"results": [JOHN], "next": None}),
    ],
)
def test_each_framing_is_read(body: str) -> None:
    frame = tk.read(body.encode(), "grades")
    assert frame["percent_grade"].to_list() == [0.8] * frame.height
    assert frame.height in {1, 2}


def test_a_sandbox_is_loaded_over_http() -> None:
    with tk.sandbox(learners=500) as platform:
        study = tk.load_study(platform)
    assert study.person_course.height == study.grades.height
    assert study.problems.is_empty()
    assert study.as_of == platform.clock
