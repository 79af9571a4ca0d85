"""Filters of loads: keyword-only, checked, and told where they match nothing."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform
from toolkit.sandbox.start import SandboxPlatform


@pytest.mark.parametrize("name", ["course_id", "username"])
def test_a_filter_that_matches_nothing_is_told(platform: SandboxPlatform, name: str) -> None:
    load = tk.fetch(platform, "grades", **{name: "no such"})
    assert load.frame.is_empty()
    assert load.problems.select("column", "reason").rows() == [
        (name, "no record has the value asked for")
    ]
    with pytest.warns(UserWarning, match="no record has the value asked for"):
        tk.load_grades(platform, **{name: "no such"})


def test_of_several_values_only_the_missing_one_is_told(platform: SandboxPlatform) -> None:
    there = tk.load_grades(platform)["course_id"][0]
    load = tk.fetch(platform, "grades", course_id=[there, "course-v1:No+Such+Run"])
    assert load.frame["course_id"].unique().to_list() == [there]
    assert load.problems["raw"].to_list() == ["course-v1:No+Such+Run"]


def test_a_filter_is_named(platform: SandboxPlatform) -> None:
    with pytest.raises(TypeError):
        tk.load_grades(platform, "amber_badger_000000")  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong", [{"course_id": ""}, {"course_id": 7}, {"username": []}, {"days": 3}]
)
def test_a_wrong_filter_of_grades_is_refused(platform: SandboxPlatform, wrong: dict) -> None:
    with pytest.raises(tk.errors.ArgumentError):
        tk.fetch(platform, "grades", **wrong)


@pytest.mark.parametrize("days", [-1, 2.5, "7", True])
def test_days_is_a_whole_number(platform: SandboxPlatform, days: object) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="days"):
        tk.fetch(platform, "enrollments", days=days)  # type: ignore[arg-type]


def test_an_unknown_resource_is_told_with_those_there_are(platform: SandboxPlatform) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="grades, enrollments, completion"):
        tk.fetch(platform, "certificates")  # type: ignore[arg-type]


def test_a_study_is_loaded_from_the_folder_of_a_snapshot(
    platform: SandboxPlatform, tmp_path: Path
) -> None:
    tk.take_snapshot(platform, tmp_path / "now", identities="keep")
    study = tk.load_study(tmp_path / "now")
    assert study.grades.height == tk.load_grades(platform).height
    assert tk.load_study(str(tmp_path / "now")).as_of == study.as_of


def test_a_load_shows_without_naming_anybody(platform: SandboxPlatform) -> None:
    load = tk.fetch(platform, "grades")
    assert "records from sandbox" in repr(load)
    assert load.frame["username"][0] not in repr(load) + load._repr_html_()


def test_a_study_is_displayed_in_one_line_that_names_nobody() -> None:
    with tk.sandbox(learners=40) as platform:
        study = tk.load_study(platform)
    shown = repr(study) + study._repr_html_()
    assert "sandbox" in shown
    assert "about" in shown
    assert len(repr(study).splitlines()) == 1
    for name in (*study.grades["username"], *study.grades["email"].drop_nulls()):
        assert name not in shown


@pytest.mark.parametrize("days", [0, 1, 400, 100_000, 740_000, 10**6, 10**9, 10**12, 10**30])
def test_a_snapshot_takes_any_number_of_days_as_the_platform_does(
    platform: SandboxPlatform, tmp_path: Path, days: int
) -> None:
    saved = tk.take_snapshot(platform, tmp_path, identities="keep")
    asked = tk.load_enrollments(platform, days=days)
    assert_frame_equal(tk.load_enrollments(saved, days=days), asked, check_row_order=False)


@pytest.mark.parametrize("year", [1, 2, 999, 1000, 1001, 1970, 9998])
def test_a_scan_takes_any_lower_bound(platform: SandboxPlatform, year: int) -> None:
    later = pl.col("created") >= datetime(year, 1, 1, 5, tzinfo=UTC)
    asked = tk.scan(platform, "enrollments").filter(later).collect()
    assert_frame_equal(asked, tk.load_enrollments(platform).filter(later))


def without_filters(body: bytes, **headers: str) -> Platform:
    """A platform that sends the same whatever is asked for."""
    stream = httpx.ByteStream(body)
    answer = lambda _: httpx.Response(200, headers=headers, stream=stream)  # noqa: E731
    transport = httpx.MockTransport(answer)
    found = settings(base_url="https://platform.example.com", token="throw-away")
    return Platform(found, transport=transport)


def test_records_that_were_not_asked_for_are_left_out_and_counted() -> None:
    record = '{{"username": "{}", "email": null, "course_id": "{}", "completion": "{}"}}'
    rows = [("ada", "c", "1"), ("ada", "d", "x"), ("bob", "d", "y"), ("eve", "c", "z")]
    body = "[" + ",".join(record.format(*row) for row in rows) + "]"
    platform = without_filters(body.encode())

    load = tk.fetch(platform, "completion", course_id="d")
    scanned = tk.scan(platform, "completion").filter(pl.col("course_id").is_in(["c", "d"]))

    assert load.frame["username"].to_list() == ["ada", "bob"]
    assert load.provenance.records == 2
    assert load.problems.select("record", "raw", "reason").rows() == [
        (0, "x", "not a number or a percentage; taken as null"),
        (1, "y", "not a number or a percentage; taken as null"),
        (None, "d", "this filter does not match 2 of the records that came; left out"),
    ]
    with pytest.warns(UserWarning, match="does not match"):
        assert scanned.collect().height == 4
    assert tk.fetch(platform, "completion", username="Ada").frame.is_empty()


def test_older_enrollments_than_asked_for_are_left_out_and_counted() -> None:
    record = '{{"username": "ada", "course_id": "{}", "created": {}}}'
    created = ['"2026-01-10"', '"2026-01-09 06:00"', "null", '"2025-12-31"']
    body = "[" + ",".join(map(record.format, "abcd", created)) + "]"
    platform = without_filters(body.encode(), date="Sat, 10 Jan 2026 12:00:00 GMT")

    load = tk.fetch(platform, "enrollments", days=1)  # perhaps counted from midnight

    assert load.frame["course_id"].to_list() == ["a", "b", "c"]
    assert load.problems.filter(column="days")["reason"].to_list() == [
        "this filter does not match 1 of the records that came; left out"
    ]
    assert tk.fetch(platform, "enrollments", days=10**9).frame.height == 4
