"""What a snapshot must survive: kills, broken bodies, records that come twice, other's folders."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import toolkit as tk
from toolkit.config import Settings
from toolkit.loading.platform import Platform
from toolkit.snapshots import sorting

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
COURSE = "course-v1:O+C+R"

# Takes snapshots for ever, in turn of one course and of all, and says when it begins each.
WRITER = """
import sys, itertools
import toolkit as tk
from toolkit.snapshots.writer import take_snapshot
folder, course = sys.argv[1:]
platform = tk.connect()
for courses in itertools.cycle([course, None]):
    print("begins", flush=True)
    take_snapshot(platform, folder, course_id=courses)
"""


def kill_writers(folder: Path, times: int) -> set[bool]:
    """Kill so many writers at random moments; whether what was left then was of one course.

    Every second one has written a snapshot before, however slow the machine is.
    """
    left = set()
    moments = random.Random(7)  # noqa: S311
    with tk.sandbox(learners=400) as platform:
        course = tk.load_grades(platform)["course_id"][0]
        tk.take_snapshot(platform, folder, key=KEY)
        environment = {
            **os.environ,
            "SO2_BASE_URL": platform.base_url,
            "SO2_TOKEN": platform.token,
            "SO2_PSEUDONYM_KEY": KEY,
        }
        command = [sys.executable, "-c", WRITER, str(folder), course]
        for number in range(times):
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as writer:
                assert writer.stdout is not None
                for _ in range(1 + number % 2):
                    assert writer.stdout.readline() == b"begins\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    writer.wait(timeout=moments.uniform(0, 0.6))
                writer.kill()
            snapshot = tk.open_snapshot(folder)
            assert snapshot.grades().collect().height > 0
            left.add(snapshot.manifest.course_id is not None)
        tk.take_snapshot(platform, folder, key=KEY)
    assert len(list(folder.glob("data-*"))) <= 2, "what the killed left is cleared away"
    assert sorted(path.name for path in folder.glob(".*")) == [".lock"]
    return left


def test_a_killed_writer_leaves_a_whole_snapshot(tmp_path: Path) -> None:
    assert kill_writers(tmp_path, times=1)


@pytest.mark.slow
def test_many_killed_writers_each_leave_a_whole_snapshot(tmp_path: Path) -> None:
    assert kill_writers(tmp_path, times=25) == {True, False}, "old ones and new ones were left"


def answering(*records: dict[str, object]) -> Platform:
    """A platform that answers every request with these records."""
    body = json.dumps(records).encode()
    settings = Settings(base_url="https://platform.example.com", token="a-token")
    reply = httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(body)))
    return Platform(settings, transport=reply)


def record(name: str, **values: object) -> dict[str, object]:
    email = f"{name}@example.com"
    return {"username": name, "email": email, "course_id": COURSE, "completion": "0.5", **values}


def test_records_that_come_twice_are_told_as_loading_tells_them(tmp_path: Path) -> None:
    platform = answering(record("ada"), record("bo"), record("ada"))
    told = tk.take_snapshot(platform, tmp_path, identities="keep").problems()

    twice = told.filter(pl.col("reason").str.contains("same learner and course"))
    loaded = tk.fetch(platform, "completion").problems.filter(column="course_id")
    assert twice.filter(resource="completion").drop("record").equals(loaded.drop("record"))
    assert twice.filter(resource="completion")["record"].to_list() == [1], "ada, ada, bo"


def test_a_problem_names_the_place_of_its_record_in_the_snapshot(tmp_path: Path) -> None:
    records = [record(f"l{i:02}", completion="1.7" if i % 7 == 0 else "0.5") for i in range(40)]
    snapshot = tk.take_snapshot(answering(*records), tmp_path, key=KEY)
    told = snapshot.problems().filter(resource="completion", column="completion")
    stored = snapshot.completion().collect().with_row_index("record")
    assert told["record"].to_list() == stored.filter(pl.col("completion") > 1)["record"].to_list()
    assert told.height == 6
    assert stored["username"].is_sorted()


def test_rows_lie_in_another_order_than_the_platform_sends_them(tmp_path: Path) -> None:
    sent = [f"l{i:03}" for i in range(200)]
    snapshot = tk.take_snapshot(answering(*map(record, sent)), tmp_path, key=KEY)
    stored = snapshot.completion().collect()["username"].to_list()
    looked_up = dict(tk.release.reidentify(sent, KEY).iter_rows())
    assert stored == sorted(looked_up.values())
    assert stored != list(looked_up.values())


@pytest.mark.parametrize("n_rows", [0, 1, 10, 1000])
def test_sorting_in_pieces_is_sorting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    monkeypatch.setattr(sorting, "_RUN", 100)
    draws = random.Random(3)  # noqa: S311
    names = [f"l{draws.randrange(40):02}" for _ in range(n_rows)]
    frame = pl.DataFrame({"name": names, "n": range(n_rows)}, schema={"name": str, "n": int})
    rows = sorting.SortedRows(tmp_path / "runs", ["name", "n"])
    for part in frame.sample(fraction=1, shuffle=True, seed=1).iter_slices(30):
        rows.add(part)
    frames = list(rows.frames())
    assert pl.concat([frame.clear(), *frames]).equals(frame.sort("name", "n"))
    whole = [set(part["name"]) for part in frames]
    assert sum(map(len, whole)) == len(set(names)), "no name in two frames"


def test_a_body_that_keeps_changing_ends_the_snapshot_with_its_resource(tmp_path: Path) -> None:
    """Each download breaks off half-way, and what is sent then is of another moment."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        body = json.dumps([record(f"l{len(asked):06}") for _ in range(2000)]).encode()

        def broken() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            raise httpx.ReadError("broken off")

        class Stream(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                return broken()

        return httpx.Response(200, stream=Stream())

    settings = Settings(base_url="https://platform.example.com", token="a-token", retries=1)
    platform = Platform(settings, transport=httpx.MockTransport(answer))
    with pytest.raises(tk.errors.TransportError, match=r"^grades: https://"):
        tk.take_snapshot(platform, tmp_path, key=KEY)
    assert len(asked) <= 8
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_enrollments_and_passes_are_dated_to_the_day_unless_asked_otherwise(
    tmp_path: Path,
) -> None:
    at = {"created": "2024-03-09 20:15:31", "passed_timestamp": "2024-04-01 07:00:59.5"}
    platform = answering(record("ada", percent_grade="0.8", **at))
    for times, created, passed in (
        (None, datetime(2024, 3, 9, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)),
        ("month", datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)),
        (
            "exact",
            datetime(2024, 3, 9, 20, 15, 31, tzinfo=UTC),
            datetime(2024, 4, 1, 7, 0, 59, 500_000, tzinfo=UTC),
        ),
    ):
        snapshot = tk.take_snapshot(platform, tmp_path, times=times, key=KEY)
        assert snapshot.manifest.times == (times or "day")
        assert snapshot.enrollments().collect()["created"].item() == created
        assert snapshot.grades().collect()["passed_timestamp"].item() == passed
    kept = tk.take_snapshot(platform, tmp_path, identities="keep")
    assert kept.manifest.times == "exact"


@pytest.mark.parametrize("wrong", [{"identities": "names"}, {"times": "hour"}])
def test_an_impossible_wish_is_told_with_what_can_be(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="must be"):
        tk.take_snapshot(answering(), tmp_path, key=KEY, **wrong)  # type: ignore[arg-type]


def test_problems_at_rest_keep_numbers_and_no_names(tmp_path: Path) -> None:
    strange = record("zoe", completion="zoe@example.com")
    platform = answering(strange, record("bo", completion="1.7"))
    problems = tk.take_snapshot(platform, tmp_path, key=KEY).problems()

    raw = problems.filter(resource="completion", column="completion")["raw"].to_list()
    assert raw == ["(text of 15 characters, withheld)", "1.7"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"zoe" not in written  # its letters are not hexadecimal, as a digest is


def test_a_folder_that_only_looks_like_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data-2024").mkdir()
    with pytest.raises(tk.errors.SnapshotError, match="data-2024"):
        tk.take_snapshot(answering(record("ada")), tmp_path, key=KEY)
    assert (tmp_path / "data-2024").is_dir()


def test_no_course_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tk.errors.ArgumentError, match="course_id"):
        tk.take_snapshot(answering(record("ada")), tmp_path, course_id=[], key=KEY)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "＝1", " =1", "\n"])
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_a_formula_is_made_harmless_in_cells_and_headers(
    tmp_path: Path, text: str, dtype: Any
) -> None:
    frame = pl.DataFrame({"name": [text, "safe"], text: [1, 2]}, schema_overrides={"name": dtype})
    path = tk.snapshots.write_csv(frame, tmp_path / "t.csv")
    safe = "'" + text
    assert pl.read_csv(path).to_dict(as_series=False) == {"name": [safe, "safe"], safe: [1, 2]}


@pytest.mark.parametrize("text", ["a;=1+1", "a;;-1", "a; @sum", "a\n+1", 'a";=1', "a\n\n=1"])
def test_no_cell_is_a_formula_where_semicolons_separate_cells(tmp_path: Path, text: str) -> None:
    path = tk.snapshots.write_csv(pl.DataFrame({"name": [text], text: [1]}), tmp_path / "t.csv")
    lines = path.read_text(encoding="utf-8").split("\n")
    cells = [cell.strip(' "') for line in lines for cell in line.split(";")]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("control", ["\x1b[31m", "\x00", "\x9b", "\u202e"])
def test_a_control_character_does_not_reach_a_terminal(tmp_path: Path, control: str) -> None:
    path = tk.snapshots.write_csv(pl.DataFrame({"name": [f"a{control}b"]}), tmp_path / "t.csv")
    assert control not in path.read_text(encoding="utf-8")
