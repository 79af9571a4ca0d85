"""The form of a snapshot that is handed to others: coarse, and with its risk told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import toolkit as tk
from toolkit.cli.app import app

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> tk.Snapshot:
    with tk.sandbox(learners=400, seed=5) as platform:
        return tk.take_snapshot(platform, tmp_path_factory.mktemp("s"), key=KEY, times="exact")


def files(shared: tk.snapshots.SharedExport) -> dict[str, pl.DataFrame]:
    return {path.stem: pl.read_csv(path, try_parse_dates=True) for path in shared.files}


def test_dates_are_quarters_and_shares_tenths(snapshot: tk.Snapshot, tmp_path: Path) -> None:
    shared = files(tk.snapshots.export_for_sharing(snapshot, tmp_path))
    enrolled, grades = shared["enrollments"], shared["grades"]
    assert enrolled.columns == ["learner", "course_id", "is_active", "mode", "created"]
    assert set(enrolled["created"].dt.strftime("%m-%d")) <= {"01-01", "04-01", "07-01", "10-01"}
    tenths = {n / 10 for n in range(10)}
    assert set(grades["percent_grade"].drop_nulls()) <= tenths
    assert set(shared["completion"]["completion"].drop_nulls()) <= tenths
    exact = snapshot.enrollments().collect()
    assert enrolled.height == exact.height
    quarters = exact["created"].dt.truncate("1q").dt.date().value_counts(sort=True)["count"]
    assert enrolled["created"].value_counts(sort=True)["count"].equals(quarters)


def test_a_learner_has_one_number_in_all_files_and_another_the_next_time(
    snapshot: tk.Snapshot, tmp_path: Path
) -> None:
    one = files(tk.snapshots.export_for_sharing(snapshot, tmp_path / "1"))
    two = files(tk.snapshots.export_for_sharing(snapshot, tmp_path / "2"))
    exact = snapshot.enrollments().collect()
    per_learner = lambda frame, name: sorted(frame[name].value_counts()["count"])  # noqa: E731
    assert per_learner(one["enrollments"], "learner") == per_learner(exact, "username")
    assert not one["enrollments"].equals(two["enrollments"])
    joined = one["enrollments"].join(one["grades"], on=["learner", "course_id"], how="inner")
    assert (
        joined.height
        == exact.join(snapshot.grades().collect(), on=["username", "course_id"], how="inner").height
    )
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.csv"))
    assert "p_" not in written
    assert "@" not in written.replace("'@", "")


def test_the_risk_is_that_of_records_that_are_alike(snapshot: tk.Snapshot, tmp_path: Path) -> None:
    shared = tk.snapshots.export_for_sharing(snapshot, tmp_path)
    told = files(shared)
    both = told["enrollments"].join(told["grades"], on=["learner", "course_id"], how="left")
    quasi = both.select("course_id", "created", "passed_timestamp", "percent_grade").rows()
    sizes = [size for size in Counter(quasi).values() for _ in range(size)]
    before, after = shared.risk.rows(named=True)
    assert after == {
        "form": "as shared",
        "records": len(sizes),
        "smallest_k": min(sizes),
        "unique": pytest.approx(sizes.count(1) / len(sizes)),
        "below_5": pytest.approx(sum(size < 5 for size in sizes) / len(sizes)),
    }
    assert before["unique"] > 0.95
    assert after["unique"] < before["unique"] / 2


def test_the_command_tells_the_risk(snapshot: tk.Snapshot, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["export", str(snapshot.folder), str(tmp_path / "out"), "--for-sharing"]
    )
    assert done.exit_code == 0, done.output
    assert "as shared" in done.output
    assert "%" in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "completion.csv",
        "enrollments.csv",
        "grades.csv",
    ]


def test_a_value_outside_of_0_to_1_is_told_by_no_tenth() -> None:
    from toolkit.snapshots.sharing import _coarsened

    frame = pl.DataFrame({"completion": [-0.1, 0.0, 0.3, 0.29, 0.999, 1.0, 1.7, None]})
    expected = [None, 0.0, 0.3, 0.2, 0.9, 0.9, None, None]
    assert _coarsened(frame)["completion"].to_list() == expected
