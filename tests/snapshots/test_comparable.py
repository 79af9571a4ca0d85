"""Snapshots of other courses, keys or moments never show changes that nobody made."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import toolkit as tk

KEY = secrets.token_hex(32)
REQUESTS = {"all": None, "a": [0], "b": [1], "ab": [0, 1], "ba": [1, 0], "bc": [1, 2]}
PAIRS = list(itertools.product(REQUESTS, REQUESTS))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tk.Snapshot]]:
    folder = tmp_path_factory.mktemp("taken")
    with tk.sandbox(learners=300) as platform:
        courses = tk.load_grades(platform)["course_id"].unique().sort().to_list()
        yield {
            name: tk.take_snapshot(
                platform,
                folder / name,
                course_id=places and [courses[place] for place in places],
                key=KEY,
            )
            for name, places in REQUESTS.items()
        }


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_course_that_was_not_requested_is_not_removed(
    taken: dict[str, tk.Snapshot], first: str, second: str
) -> None:
    pair = taken[first], taken[second]
    if {first, second} in ({"a", "b"}, {"a", "bc"}):
        for compare in (tk.compare_snapshots, tk.quality.check_snapshots):
            with pytest.raises(tk.errors.SnapshotError, match="hold different courses"):
                compare(*pair)
        return
    changes = tk.compare_snapshots(*pair)
    assert changes.records.is_empty()
    assert tk.quality.check_snapshots(*pair).ok
    held = {name: set(taken[name].grades().collect()["course_id"]) for name in (first, second)}
    if first == second == "all":
        assert changes.course_id is None
    else:
        assert changes.course_id is not None
        assert set(changes.course_id) == held[first] & held[second]


def test_a_list_of_snapshots_names_the_courses_requested(taken: dict[str, tk.Snapshot]) -> None:
    listed = tk.snapshots.list_snapshots(taken["all"].folder.parent)  # type: ignore[arg-type]
    found = {Path(folder).name: courses for folder, courses in listed["folder", "course_id"].rows()}
    assert found == {name: snapshot.manifest.course_id for name, snapshot in taken.items()}


def test_a_partial_comparison_says_so(taken: dict[str, tk.Snapshot]) -> None:
    said = "requested for both"
    assert said in repr(tk.compare_snapshots(taken["all"], taken["ab"]))
    assert said not in repr(tk.compare_snapshots(taken["ab"], taken["ba"]))


def test_changes_in_a_course_of_both_are_those_of_the_whole(
    taken: dict[str, tk.Snapshot], tmp_path: Path
) -> None:
    with tk.sandbox(learners=300) as now, now.earlier(datetime(2024, 3, 1, tzinfo=UTC)) as past:
        earlier = tk.take_snapshot(past, tmp_path / "all", key=KEY)
    whole, part = (tk.compare_snapshots(earlier, taken[name]) for name in ("all", "ab"))
    of_both = pl.col("course_id").is_in(part.course_id or [])
    assert part.records.height > 0
    assert part.records.equals(whole.records.filter(of_both))
    assert part.outcomes.equals(whole.outcomes.filter(of_both))


def test_snapshots_in_the_wrong_order_are_refused(
    taken: dict[str, tk.Snapshot], tmp_path: Path
) -> None:
    with tk.sandbox(learners=300) as now, now.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as past:
        earlier = tk.take_snapshot(past, tmp_path, key=KEY)
    for compare in (tk.compare_snapshots, tk.quality.check_snapshots):
        with pytest.raises(tk.errors.SnapshotError, match="Swap them"):
            compare(taken["all"], earlier)


def test_a_check_of_snapshots_under_two_keys_is_refused(
    taken: dict[str, tk.Snapshot], tmp_path: Path
) -> None:
    with tk.sandbox(learners=300) as platform:
        other = tk.take_snapshot(platform, tmp_path, key=KEY[::-1])
    with pytest.raises(tk.errors.SnapshotError, match="name learners differently"):
        tk.quality.check_snapshots(taken["all"], other)


def test_two_discarded_keys_are_not_the_same_key(taken: dict[str, tk.Snapshot]) -> None:
    first, second = (
        replace(snapshot, manifest=snapshot.manifest.model_copy(update={"key_fingerprint": None}))
        for snapshot in (taken["all"], taken["ab"])
    )
    with pytest.raises(tk.errors.SnapshotError, match="name learners differently"):
        tk.compare_snapshots(first, second)
    assert tk.compare_snapshots(first, first).records.is_empty()


def of_platform(snapshot: tk.Snapshot, *, source: str, address: str) -> tk.Snapshot:
    """Return the snapshot as if taken from a platform of that name at that address."""
    resources = {
        name: one.model_copy(
            update={
                "received": [
                    part.model_copy(update={"url": f"{address}/{name}"}) for part in one.received
                ]
            }
        )
        for name, one in snapshot.manifest.resources.items()
    }
    update = {"source": source, "resources": resources}
    return replace(snapshot, manifest=snapshot.manifest.model_copy(update=update))


@pytest.mark.parametrize(
    ("earlier", "later", "said"),
    [
        (("a.org", "https://a.org/api"), ("b.org", "https://b.org/api"), "a.org/api"),
        (("LMS", "https://a.org/api"), ("LMS", "https://b.org/api"), "b.org/api"),
        (("a.org", "https://a.org/1/api"), ("a.org", "https://a.org/2/api"), "a.org/2/api"),
        (("a.org", "https://a.org/api"), ("a.org", "https://a.org:444/api"), "a.org:444/api"),
        (("sandbox: 5", "http://127.0.0.1:1/api"), ("sandbox: 6", "http://127.0.0.1:1"), "box: 6"),
        (("sandbox: 5", "http://127.0.0.1:1"), ("a.org", "https://a.org/api"), "sandbox: 5"),
        (("sandbox: 5", "http://127.0.0.1:1"), ("sandbox: 5", "http://127.0.0.1:2"), None),
        (("a.org", "http://a.org/api"), ("LMS", "https://a.org/api"), None),
    ],
)
def test_a_comparison_of_two_platforms_says_so(
    taken: dict[str, tk.Snapshot],
    earlier: tuple[str, str],
    later: tuple[str, str],
    said: str | None,
) -> None:
    pair = [
        of_platform(taken[name], source=source, address=address)
        for name, (source, address) in (("all", earlier), ("a", later))
    ]
    changes = tk.compare_snapshots(*pair)
    shown = changes.counts.release(min_n=None).caption or ""
    assert "requested for both" in shown
    assert ("two platforms" in shown) == (said is not None)
    assert (said or "") in shown
    assert shown in repr(changes)


def test_two_moments_of_one_sandbox_are_of_one_platform(tmp_path: Path) -> None:
    now = write_earlier(tmp_path)
    earlier = tk.open_snapshot(tmp_path / "old")
    assert "two platforms" not in repr(tk.compare_snapshots(earlier, now))


MOMENTS = {"old": "2025-01-01", "mid": "2025-04-01", "last": "2025-07-01"}


def write_earlier(folder: Path, **asked: dict[str, object]) -> tk.Snapshot:
    """Write three older snapshots, with these arguments, beside the one that is returned."""
    with tk.sandbox(learners=60) as platform:
        for name, moment in MOMENTS.items():
            with platform.earlier(moment) as past:
                given = {"key": KEY} | asked.get(name, {})
                tk.take_snapshot(past, folder / name, **given)  # type: ignore[arg-type]
        courses = sorted(set(tk.load_grades(platform)["course_id"]))
        return tk.take_snapshot(platform, folder / "now", course_id=courses[0], key=KEY)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "last"),
        ({"last": {"key": secrets.token_hex(32)}}, "mid"),
        ({"last": {"course_id": "another"}, "mid": {"identities": "keep"}}, "old"),
    ],
)
def test_the_earlier_snapshot_is_the_latest_that_can_be_compared(
    asked: dict[str, dict[str, object]], found: str, tmp_path: Path
) -> None:
    now = write_earlier(tmp_path, **asked)
    earlier = tk.snapshots.open_earlier(now)
    assert earlier is not None
    assert earlier.folder == tmp_path / found
    tk.compare_snapshots(earlier, now)


def break_manifest(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "manifest.json").write_text("{")


def break_file(folder: Path, _: pytest.MonkeyPatch) -> None:
    next(folder.glob("data-*/grades.parquet")).write_bytes(b"")


def close(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a folder one that this user may not enter, as mode 0 does not for root."""
    is_file = Path.is_file

    def refused(path: Path, *arguments: object) -> bool:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return is_file(path, *arguments)

    patch.setattr(Path, "is_file", refused)


@pytest.mark.parametrize("spoil", [break_manifest, break_file, close])
def test_an_earlier_snapshot_that_cannot_be_read_is_passed_over(
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = write_earlier(tmp_path)
    spoil(tmp_path / "last", monkeypatch)
    earlier = tk.snapshots.open_earlier(now)
    assert earlier is not None
    assert earlier.folder == tmp_path / "mid"


def test_folders_that_this_user_may_not_enter_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_earlier(tmp_path)
    close(tmp_path / "last", monkeypatch)
    listed = tk.snapshots.list_snapshots(tmp_path)["folder"]
    assert [Path(folder).name for folder in listed] == ["old", "mid", "now"]


def test_a_folder_that_cannot_be_searched_has_no_earlier_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = write_earlier(tmp_path)

    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    assert tk.snapshots.open_earlier(now) is None
