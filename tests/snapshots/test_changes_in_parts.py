"""Many records are compared in ranges of learners, which must not be seen in the changes."""

import secrets
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import toolkit as tk


def test_snapshots_compared_in_parts_have_the_same_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = secrets.token_hex(32)
    with tk.sandbox(learners=150) as now:
        later = tk.take_snapshot(now, tmp_path / "later", key=key)
        with now.earlier(later.as_of.replace(year=2025, month=10)) as past:
            earlier = tk.take_snapshot(past, tmp_path / "earlier", key=key)
    whole = tk.compare_snapshots(earlier, later)
    assert whole.values.height > 10
    monkeypatch.setattr("toolkit.snapshots.changes.MOST_COMPARED", 50)
    parts = tk.compare_snapshots(earlier, later)
    for name in ("records", "values", "outcomes"):
        assert_frame_equal(getattr(parts, name), getattr(whole, name))
    assert_frame_equal(parts.counts.frame, whole.counts.frame)
