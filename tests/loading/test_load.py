import json

import pytest
from hostile import Connection, serving

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform

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


@pytest.mark.parametrize(
    ("pages", "missing"),
    [
        ([(2, ["a", "b"])], None),
        ([(5, ["a", "b"])], "says there are 5 records; 2 came"),
        ([(3, ["a", "b"]), (3, ["c"])], None),
        ([(4, ["a", "b"]), (3, ["d"])], "says there are 4 records; 3 came"),  # "a" went
        ([(2, ["a", "b"]), (1, ["c"])], None),  # each page counts its own
        ([("5", ["a"])], "says there are 5 records; 1 came"),
        ([(None, ["a"])], None),
        ([(-3, ["a"])], None),
        ([([9], ["a"])], None),
    ],
)
def test_fewer_records_than_the_pages_announce_are_told(
    pages: list[tuple[object, list[str]]], missing: str | None
) -> None:
    bodies = [
        json.dumps(
            {
                "count": count,
                "results": [{**JOHN, "username": name} for name in names],
                "next": f"?page={place + 2}" if place + 1 < len(pages) else None,
            }
        ).encode()
        for place, (count, names) in enumerate(pages)
    ]

    def talk(connection: Connection) -> None:
        for body in bodies:
            connection.answer(body)
            connection.request()

    with serving(talk) as server:
        given = settings(base_url=server.base_url, token="throw-away", retries=0)
        with Platform(given) as platform:
            found = tk.fetch(platform, "grades")
    assert found.frame["username"].to_list() == [name for _, names in pages for name in names]
    reasons = [f"the platform {missing}"] if missing else []
    assert found.problems.select("column", "reason").rows() == [("count", one) for one in reasons]


def test_a_sandbox_is_loaded_over_http() -> None:
    with tk.sandbox(learners=500) as platform:
        study = tk.load_study(platform)
    assert study.person_course.height == study.grades.height
    assert study.problems.is_empty()
    assert study.as_of == platform.clock
