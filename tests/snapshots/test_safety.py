"""What a snapshot must survive: kills, broken bodies, records that come twice, other's folders."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import httpx
import polars as pl
import pytest

import toolkit as tk
from toolkit.config import Settings
from toolkit.loading.platform import Platform

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
COURSE = "course-v1:O+C+R"

# Takes snapshots for ever, in turn of one course and of all, and says when it begins.
WRITER = """
import sys, itertools
import toolkit as tk
from toolkit.snapshots.writer import take_snapshot
folder, course = sys.argv[1:]
platform = tk.connect()
print("ready", flush=True)
for courses in itertools.cycle([course, None]):
    take_snapshot(platform, folder, course_id=courses)
"""


def kill_writers(folder: Path, times: int) -> set[bool]:
    """Kill so many writers at random moments; whether what was left then was of one course."""
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
        for _ in range(times):
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as writer:
                assert writer.stdout is not None
                assert writer.stdout.readline() == b"ready\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    writer.wait(timeout=moments.uniform(0, 0.6))
                writer.kill()
            snapshot = tk.open_snapshot(folder, verify=True)
            assert snapshot.grades().collect().height > 0
            left.add(snapshot.manifest.course_id is not None)
        tk.take_snapshot(platform, folder, key=KEY)
    assert len(list(folder.glob("data-*"))) == 1, "what the killed left is cleared away"
    assert not list(folder.glob(".partial-*"))
    return left


def test_a_killed_writer_leaves_a_whole_snapshot(tmp_path: Path) -> None:
    assert kill_writers(tmp_path, times=1)


@pytest.mark.slow
def test_fifty_killed_writers_each_leave_a_whole_snapshot(tmp_path: Path) -> None:
    assert kill_writers(tmp_path, times=50) == {True, False}, "old ones and new ones were left"


@pytest.mark.slow
def test_no_file_that_the_demo_writes_names_a_learner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    token = "a-token-that-must-not-be-seen"
    command = "import sys; from toolkit.cli.app import main; sys.argv[0] = 'so2'; main()"
    subprocess.run(
        [sys.executable, "-c", command, "demo", "--learners", "1000"],
        env={**os.environ, "SO2_TOKEN": token, "SO2_BASE_URL": "https://platform.example.com"},
        check=True,
    )
    with tk.sandbox(learners=1000) as platform:
        names = tk.load_grades(platform)["username"].unique().to_list()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    assert "index.html" in {path.name for path in files}
    assert token not in written
    assert not [name for name in names if name in written]


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
    loaded = tk.fetch_completion(platform).problems
    assert twice.filter(resource="completion").equals(loaded.filter(column="course_id"))
    assert twice.filter(resource="completion")["record"].to_list() == [2]


def test_problems_at_rest_keep_numbers_and_no_names(tmp_path: Path) -> None:
    strange = record("ada", completion="ada@example.com")
    platform = answering(strange, record("bo", completion="1.7"))
    problems = tk.take_snapshot(platform, tmp_path, key=KEY).problems()

    raw = problems.filter(resource="completion", column="completion")["raw"].to_list()
    assert raw == ["(text of 15 characters, withheld)", "1.7"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ada" not in written.replace(b"metadata", b"")


def test_a_folder_that_only_looks_like_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data-2024").mkdir()
    with pytest.raises(tk.SnapshotError, match="data-2024"):
        tk.take_snapshot(answering(record("ada")), tmp_path, key=KEY)
    assert (tmp_path / "data-2024").is_dir()


def test_a_manifest_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    tk.take_snapshot(answering(record("ada")), tmp_path / "s", key=KEY)
    path = tmp_path / "s" / "manifest.json"
    told = json.loads(path.read_text())
    told["problems"]["name"] = "../elsewhere/problems.parquet"
    path.write_text(json.dumps(told))
    with pytest.raises(tk.SnapshotError, match="is no manifest"):
        tk.open_snapshot(tmp_path / "s")


def test_no_course_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tk.ConfigurationError, match="course_id"):
        tk.take_snapshot(answering(record("ada")), tmp_path, course_id=[], key=KEY)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "＝1"])
def test_a_formula_is_made_harmless(tmp_path: Path, text: str) -> None:
    path = tk.snapshots.write_csv(
        pl.DataFrame({"display_name": [text, "safe"]}), tmp_path / "t.csv"
    )
    assert pl.read_csv(path)["display_name"].to_list() == ["'" + text, "safe"]
