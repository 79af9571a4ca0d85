from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"


def test_a_snapshot_holds_what_the_platform_says(platform, tmp_path: Path) -> None:
    snapshot = tk.take_snapshot(platform, tmp_path / "s", identities="keep")

    for resource in ("grades", "enrollments", "completion"):
        assert_frame_equal(
            snapshot.scan(resource).collect(),
            tk.fetch(platform, resource).frame.sort("username", "course_id"),
        )
    assert snapshot.as_of == platform.clock


def test_at_rest_a_snapshot_names_nobody(platform, tmp_path: Path) -> None:
    tk.take_snapshot(platform, tmp_path, key=KEY)

    names = tk.load_grades(platform)["username"].unique().to_list()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    parquet = [pl.read_parquet(path) for path in tmp_path.rglob("*.parquet")]
    texts = {str(v) for frame in parquet for c in frame for v in c.unique().to_list()}
    assert platform.token.encode() not in written
    assert b"@example.com" not in written
    assert not texts & set(names)
    assert not any(name.encode() in written for name in names)


def test_analyses_run_from_a_snapshot_as_from_the_platform(platform, tmp_path: Path) -> None:
    saved = tk.load_study(tk.take_snapshot(platform, tmp_path, key=KEY))
    live = tk.load_study(platform)

    assert saved.as_of == live.as_of
    assert_frame_equal(
        tk.outcomes(saved.person_course, by="course_id").frame,
        tk.outcomes(live.person_course, by="course_id").frame,
    )


def test_a_cut_off_file_is_named(platform, tmp_path: Path) -> None:
    tk.take_snapshot(platform, tmp_path, key=KEY)
    (path,) = tmp_path.rglob("grades.parquet")
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(tk.errors.SnapshotError, match=r"grades\.parquet.*bytes instead of"):
        tk.open_snapshot(tmp_path)


def test_a_folder_without_a_snapshot_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(tk.errors.SnapshotError, match="holds no snapshot"):
        tk.open_snapshot(tmp_path)


def test_a_folder_of_other_things_is_left_alone(platform, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(tk.errors.SnapshotError, match=r"thesis\.txt"):
        tk.take_snapshot(platform, tmp_path, key=KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failed_run_leaves_the_earlier_snapshot(platform, tmp_path: Path) -> None:
    before = tk.take_snapshot(platform, tmp_path, key=KEY)
    with (
        tk.sandbox(learners=300, faults="login-page") as broken,
        pytest.raises(tk.errors.AuthenticationError),
    ):
        tk.take_snapshot(broken, tmp_path, key=KEY)

    assert tk.open_snapshot(tmp_path).manifest == before.manifest
    assert not list(tmp_path.glob(".partial-*"))


def test_a_second_writer_is_refused(platform, tmp_path: Path) -> None:
    from filelock import FileLock

    tk.take_snapshot(platform, tmp_path, key=KEY)
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(tk.errors.SnapshotError, match="another run is writing"),
    ):
        tk.take_snapshot(platform, tmp_path, key=KEY)


def test_snapshots_in_a_folder_are_listed_by_date(platform, tmp_path: Path) -> None:
    with platform.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as before:
        tk.take_snapshot(before, tmp_path / "b", key=KEY)
    tk.take_snapshot(platform, tmp_path / "a", key=KEY)

    listed = tk.snapshots.list_snapshots(tmp_path)
    assert [Path(folder).name for folder in listed["folder"]] == ["b", "a"]
    assert listed["grades"].is_sorted()


def test_changes_between_two_dates_are_told(platform, tmp_path: Path) -> None:
    with platform.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as earlier:
        a = tk.take_snapshot(earlier, tmp_path / "a", key=KEY)
    b = tk.take_snapshot(platform, tmp_path / "b", key=KEY)

    changes = tk.compare_snapshots(a, b)

    added = changes.records.filter(pl.col("resource") == "grades", pl.col("change") == "added")
    assert added.height == b.manifest.resources["grades"].file.rows - (
        a.manifest.resources["grades"].file.rows
    )
    n_passed = [s.grades().filter(pl.col("letter_grade").is_not_null()).collect() for s in (a, b)]
    newly = changes.outcomes.filter(pl.col("outcome") == "newly passed").height
    assert newly == n_passed[1].height - n_passed[0].height
    assert changes.outcomes.filter(pl.col("outcome") == "pass withdrawn").is_empty()


def test_snapshots_of_two_exactnesses_are_compared_by_the_day(platform, tmp_path: Path) -> None:
    a = tk.take_snapshot(platform, tmp_path / "a", key=KEY, times="exact")
    b = tk.take_snapshot(platform, tmp_path / "b", key=KEY)
    assert tk.compare_snapshots(a, b).values.is_empty()


def test_a_display_names_nobody(platform, tmp_path: Path) -> None:
    with platform.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as earlier:
        a = tk.take_snapshot(earlier, tmp_path / "a", identities="keep")
    b = tk.take_snapshot(platform, tmp_path / "b", identities="keep")
    names = set(b.grades().collect()["username"])
    for display in (repr(a), repr(b), repr(tk.compare_snapshots(a, b))):
        assert not {name for name in names if name in display}
    assert len(repr(a)) < 300


def test_snapshots_under_two_keys_are_not_compared(platform, tmp_path: Path) -> None:
    a = tk.take_snapshot(platform, tmp_path / "a", key=KEY)
    b = tk.take_snapshot(platform, tmp_path / "b", key=KEY[::-1])

    with pytest.raises(tk.errors.SnapshotError, match="name learners differently"):
        tk.compare_snapshots(a, b)


def test_a_csv_runs_no_formula(platform, tmp_path: Path) -> None:
    snapshot = tk.take_snapshot(platform, tmp_path / "s", key=KEY)

    files = tk.snapshots.export_csv(snapshot, tmp_path / "csv")

    assert sorted(path.name for path in files) == [
        "completion.csv",
        "enrollments.csv",
        "grades.csv",
        "problems.csv",
    ]
    assert pl.read_csv(tmp_path / "csv" / "grades.csv").height == (
        snapshot.manifest.resources["grades"].file.rows
    )
