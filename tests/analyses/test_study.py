"""A study is taken wherever its person_course frame is."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk


@pytest.fixture(scope="module")
def study() -> tk.Study:
    with tk.sandbox(learners=120) as platform:
        return tk.load_study(platform)


@pytest.mark.parametrize(
    "analysis",
    [
        tk.match_counts,
        tk.outcomes,
        tk.completion_funnel,
        tk.grade_distribution,
        tk.completion_distribution,
        tk.cohort_progress,
        lambda pc: tk.compare_groups(pc, by="mode").pairs,
        lambda pc: tk.learner_paths(pc).transitions,
        tk.time_to_pass,
    ],
)
def test_a_study_gives_what_its_frame_gives(
    analysis: Callable[[object], tk.Result | pl.DataFrame], study: tk.Study
) -> None:
    of_study, of_frame = analysis(study), analysis(study.person_course)
    if isinstance(of_study, tk.Result):
        of_study, of_frame = of_study.frame, of_frame.frame
    assert_frame_equal(of_study, of_frame)


def test_a_study_is_checked_with_its_problems_and_its_clock(study: tk.Study) -> None:
    by_name = tk.check(
        grades=study.grades,
        enrollments=study.enrollments,
        completion=study.completion,
        problems=study.problems,
        as_of=study.as_of,
    )
    assert_frame_equal(tk.check(study).table, by_name.table)
    assert not tk.check(study, as_of="2020-01-01").table.equals(by_name.table)
    with pytest.raises(tk.errors.ArgumentError, match="check takes a study"):
        tk.check(study.grades)


def ages(study: Any, n: int | None = None) -> pl.DataFrame:
    names = study.enrollments.lazy().collect()["username"].unique().sort()
    names = names.head(n or names.len())
    return pl.DataFrame({"username": names, "age": [20 + i % 50 for i in range(len(names))]})


def test_own_columns_stand_beside_every_record_of_a_learner(study: tk.Study) -> None:
    own = ages(study, 60)
    joined = study.with_learners(own)
    pc = joined.person_course
    assert_frame_equal(pc.drop("age"), study.person_course)
    of_name = dict(own.iter_rows())
    assert pc["age"].to_list() == [of_name.get(name) for name in pc["username"]]
    assert tk.outcomes(joined, by="age").by == ("age",)


def test_coverage_counts_the_enrolled_who_are_matched(study: tk.Study) -> None:
    own = ages(study, 60)
    enrolled = study.person_course.filter("in_enrollments")
    row = study.with_learners(own).coverage.frame.row(0, named=True)
    assert row["n_enrolled"] == enrolled.height
    assert row["n_matched"] == enrolled.filter(pl.col("username").is_in(own["username"])).height
    whole = tk.outcomes(study).release().frame["n_enrolled"][0]
    assert study.with_learners(own).coverage.release().frame["n_enrolled"][0] == whole
    with pytest.raises(tk.errors.ArgumentError, match="no learners"):
        study.coverage  # noqa: B018


def test_own_columns_may_belong_to_learner_and_course(study: tk.Study) -> None:
    key = ["username", "course_id"]
    own = study.enrollments.select(key).head(7).with_columns(group=pl.lit("a"))
    joined = study.with_learners(own, on=key).person_course
    assert joined["group"].is_not_null().sum() == 7


def test_usernames_meet_the_pseudonyms_of_a_snapshot(tmp_path: Path) -> None:
    key = secrets.token_hex(32)
    with tk.sandbox(learners=40) as platform:
        own = ages(tk.load_study(platform))
        tk.take_snapshot(platform, tmp_path / "snapshot", key=key)
    hidden = tk.load_study(tmp_path / "snapshot")
    with pytest.raises(tk.errors.ArgumentError, match="key="):
        hidden.with_learners(own)
    joined = hidden.with_learners(own, key=key)
    assert joined.coverage.frame["matched_rate"].to_list() == [1.0]
    assert joined.learners is not None
    assert set(joined.learners["username"]).isdisjoint(own["username"])


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        (lambda own: pl.concat([own, own.head(2)]), {}, "2 rows of the frame repeat"),
        (lambda own: own.with_columns(mode=pl.lit("a")), {}, "`mode` is a column"),
        (lambda own: own.drop("username"), {}, "no column `username`"),
        (lambda own: own.with_columns(username=pl.lit("nobody")).head(1), {}, "no row of the"),
        (lambda own: own.to_dicts(), {}, "Polars DataFrame"),
        (lambda own: own, {"on": "age"}, "on must be"),
    ],
)
def test_own_learners_that_cannot_be_joined_are_refused(
    change: Callable[[pl.DataFrame], Any], arguments: dict[str, Any], match: str, study: tk.Study
) -> None:
    with pytest.raises(tk.ToolkitError, match=match):
        study.with_learners(change(ages(study)), **arguments)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tk.Snapshot:
    folder = tmp_path_factory.mktemp("stored")
    with tk.sandbox(learners=120) as platform:
        return tk.take_snapshot(platform, folder / "now", key=secrets.token_hex(32))


@pytest.mark.parametrize(
    "analysis",
    [
        tk.match_counts,
        tk.outcomes,
        tk.reports.key_figures,
        lambda study: tk.kaplan_meier(tk.time_to_pass(study, undated="leave_out"), by="mode"),
        lambda study: study.with_learners(ages(study, 60)).coverage,
    ],
)
def test_a_scanned_study_gives_what_one_in_memory_gives(
    analysis: Callable[[Any], tk.Result], stored: tk.Snapshot
) -> None:
    scanned, loaded = analysis(tk.Study.scan(stored)), analysis(tk.load_study(stored))
    assert_frame_equal(scanned.frame, loaded.frame)
    assert_frame_equal(scanned.release().frame, loaded.release().frame)


def test_a_scanned_study_is_checked_and_told_as_one_in_memory(stored: tk.Snapshot) -> None:
    courses = [stored.grades().collect()["course_id"][0], "course-v1:No+Such+Course"]
    for course in (None, courses):
        scanned = tk.Study.scan(stored, course_id=course)
        loaded = tk.load_study(stored, course_id=course)
        assert (repr(scanned), scanned.as_of) == (repr(loaded), loaded.as_of)
        assert_frame_equal(scanned.problems, loaded.problems)
        assert_frame_equal(scanned.person_course.collect(), loaded.person_course)
        assert_frame_equal(tk.check(scanned).table, tk.check(loaded).table)


def test_a_platform_is_loaded_once_and_scanned_in_memory() -> None:
    with tk.sandbox(learners=30) as platform:
        scanned, loaded = tk.Study.scan(platform), tk.load_study(platform)
    assert_frame_equal(scanned.person_course.collect(), loaded.person_course)
    assert_frame_equal(scanned.grades.collect(), loaded.grades)


def test_rows_are_joined_once_for_all_who_scan_with_a_folder(
    stored: tk.Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SO2_JOINS", str(tmp_path / "joins"))
    first = tk.Study.scan(stored).person_course.collect()
    [kept] = (tmp_path / "joins").iterdir()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    monkeypatch.setattr("toolkit.study.person_course", None)  # would fail if it were called
    assert_frame_equal(tk.Study.scan(stored).person_course.collect(), first)
    monkeypatch.undo()
    monkeypatch.setenv("SO2_JOINS", str(tmp_path / "joins"))
    course = first["course_id"][0]
    one = tk.Study.scan(stored, course_id=course).person_course.collect()
    assert_frame_equal(one, first.filter(course_id=course))
    monkeypatch.setenv("SO2_RELEASE_SECRET", secrets.token_hex(32))
    other = tk.Study.scan(stored).person_course.collect()
    assert other["record_key"].to_list() != first["record_key"].to_list()
    assert len([*(tmp_path / "joins").iterdir()]) == 3


def test_a_join_that_fails_leaves_no_file(
    stored: tk.Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> pl.LazyFrame:
        return pl.LazyFrame({"n": [1, 2]}).map_batches(lambda _: 1 / 0)  # type: ignore[arg-type,return-value]

    monkeypatch.setenv("SO2_JOINS", str(tmp_path / "joins"))
    monkeypatch.setattr("toolkit.study.person_course", broken)
    with pytest.raises((tk.ToolkitError, ZeroDivisionError)):
        tk.Study.scan(stored).person_course.collect()
    assert [*(tmp_path / "joins").iterdir()] == []


def test_a_scanned_study_outlives_one_newer_snapshot_and_says_so_after_two(tmp_path: Path) -> None:
    with tk.sandbox(learners=30) as platform:

        def take() -> tk.Snapshot:
            return tk.take_snapshot(platform, tmp_path / "now", key=secrets.token_hex(32))

        take()
        first, late = tk.Study.scan(tmp_path / "now"), tk.Study.scan(tmp_path / "now")
        expected = tk.load_study(tmp_path / "now").person_course
        take()
        assert_frame_equal(first.person_course.collect(), expected)
        take()
    assert_frame_equal(first.person_course.collect(), expected)
    with pytest.raises(tk.errors.SnapshotError, match="scan it again"):
        tk.outcomes(late)
