"""Groups are computed some at a time, where there are many rows."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.engines.known_rows import nasty_durations


@pytest.mark.parametrize("block", [1, 50, 400])
def test_blocks_of_groups_give_what_all_groups_do(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[pl.DataFrame]:
        rows = nasty_durations()
        results = (
            tk.survival.kaplan_meier(rows, by=["mode", "course_id"]),
            tk.survival.kaplan_meier(rows),
            tk.survival.cumulative_incidence(rows, by="mode"),
            tk.survival.gray_test(rows, by="mode"),
        )
        return [table for one in results for table in (one.frame, one.release().frame)]

    whole = found()
    monkeypatch.setattr("toolkit.survival.risk_sets.BLOCK", block)
    for one, other in zip(found(), whole, strict=True):
        assert_frame_equal(one, other)
