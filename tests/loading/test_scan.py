"""Lazy frames: what goes to the server, and that the result is that of load and query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.loading.body import Body
from toolkit.loading.network import Patience
from toolkit.loading.scan import Wanted, wanted
from toolkit.sandbox.start import SandboxPlatform

COURSE, LEARNER, CREATED = pl.col("course_id"), pl.col("username"), pl.col("created")
DAY = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def enrollments(platform: SandboxPlatform) -> pl.DataFrame:
    return tk.load_enrollments(platform)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (COURSE == "a", Wanted({"course_id": ["a"]})),
        (pl.lit("a") == COURSE, Wanted({"course_id": ["a"]})),
        (COURSE.is_in(["a", "b", "a"]), Wanted({"course_id": ["a", "b"]})),
        (COURSE.is_in(["a", "b"]) & (COURSE == "b"), Wanted({"course_id": ["b"]})),
        ((COURSE == "a") & (COURSE == "b"), Wanted({"course_id": []})),
        (
            (COURSE == "a") & (LEARNER == "x") & (pl.col("mode") == "audit"),
            Wanted({"course_id": ["a"], "username": ["x"]}),
        ),
        (CREATED >= DAY, Wanted(since=DAY)),
        (pl.lit(DAY) < CREATED, Wanted(since=DAY)),
        ((CREATED > DAY) & (DAY - timedelta(days=1) <= CREATED), Wanted(since=DAY)),
        (CREATED <= DAY, Wanted()),
        ((COURSE == "a") | (LEARNER == "x"), Wanted()),
        (~(COURSE == "a"), Wanted()),
        (COURSE != "a", Wanted()),
        (COURSE.str.to_lowercase() == "a", Wanted()),
        (COURSE.is_in(["a", None]), Wanted()),
        (COURSE.eq_missing("a"), Wanted()),
        (None, Wanted()),
    ],
)
def test_only_what_a_predicate_surely_implies_is_asked(
    predicate: pl.Expr | None, expected: Wanted
) -> None:
    assert wanted(predicate) == expected


def test_too_many_values_are_one_request_for_everything() -> None:
    assert Wanted({"username": [f"u{n}" for n in range(51)]}).queries() == [{}]


QUERIES = {
    "all": lambda frame, _: frame,
    "one course": lambda frame, course: frame.filter(course == COURSE),
    "one of two learners": lambda frame, _: frame.filter(LEARNER.is_in(["learner-1", "nobody"])),
    "nothing": lambda frame, _: frame.filter(COURSE.is_in([])),
    "late ones": lambda frame, _: frame.filter(CREATED > DAY),
    "of a course, late": lambda frame, course: frame.filter((course == COURSE) & (CREATED > DAY)),
    "columns": lambda frame, _: frame.filter(CREATED > DAY).select("mode", "is_active"),
    "head": lambda frame, _: frame.head(7),
    "grouped": lambda frame, _: frame.group_by("course_id").len().sort("course_id"),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_scan_gives_what_load_and_query_give(
    name: str, platform: SandboxPlatform, enrollments: pl.DataFrame
) -> None:
    query, course = QUERIES[name], enrollments["course_id"][0]

    scanned = query(tk.scan(platform, "enrollments"), course).collect()

    assert_frame_equal(scanned, query(enrollments, course))


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[Body]:
    """Every body that is asked for."""
    asked: list[Body] = []
    original = tk.Platform.body

    def body(self: tk.Platform, url: str, patience: Patience) -> Body:
        asked.append(original(self, url, patience))
        return asked[-1]

    monkeypatch.setattr(tk.Platform, "body", body)
    return asked


def test_a_filter_is_asked_of_the_server(
    platform: SandboxPlatform, enrollments: pl.DataFrame, bodies: list[Body]
) -> None:
    course = enrollments["course_id"][0]

    tk.scan(platform, "enrollments").filter(course == COURSE, CREATED > DAY).collect()

    (body,) = bodies
    assert "course_id=course-v1%3A" in body.url
    assert "%2B" in body.url
    assert "days=" in body.url


def test_head_ends_the_download(bodies: list[Body]) -> None:
    with tk.sandbox(learners=20_000) as platform:
        assert tk.scan(platform, "grades").head(5).collect().height == 5
        whole = tk.fetch(platform, "grades").provenance.bytes

    assert bodies[0].size < whole / 2


def test_an_error_of_the_platform_is_raised_as_it_is() -> None:
    with tk.sandbox(learners=50) as platform:
        wrong = tk.connect(platform.base_url, token="wrong")
        with pytest.raises(tk.errors.AuthenticationError):
            tk.scan(wrong, "grades").collect()
