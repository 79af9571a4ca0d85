"""Columns packed into one number keep their values and their order, and groups are the same."""

from datetime import date

import narwhals.stable.v2 as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from toolkit.analyses.counting import counted
from toolkit.analyses.packing import Packing, sorted_by

VALUES = {
    "text": (pl.String, st.text(max_size=2)),
    "whole": (pl.Int64, st.integers(-(2**40), 2**40)),
    "small": (pl.UInt8, st.integers(0, 255)),
    "known": (pl.Boolean, st.booleans()),
    "day": (pl.Date, st.dates(date(1960, 1, 1), date(2060, 1, 1))),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Frames of some of the columns, with nulls, and with rows that are alike."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    n = draw(st.integers(0, 8))
    columns = {
        name: draw(st.lists(st.none() | VALUES[name][1], min_size=n, max_size=n)) for name in names
    }
    frame = pl.DataFrame(columns, schema={name: VALUES[name][0] for name in names})
    return pl.concat([frame, frame.head(3)])


@given(frames())
def test_a_number_has_the_values_and_the_order_of_its_columns(frame: pl.DataFrame) -> None:
    packing = Packing.of(frame.lazy(), frame.columns)
    assert packing is not None
    values = frame.cast({pl.UInt8: pl.Int64})
    assert_frame_equal(packing.unpacked(frame.select(packing.packed())), values)
    assert_frame_equal(sorted_by(frame, frame.columns), frame.sort(frame.columns))


@given(frames())
def test_groups_by_one_number_are_those_by_its_columns(frame: pl.DataFrame) -> None:
    plain = counted(frame, frame.columns, [nw.len().alias("n")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.analyses.counting.PACKED_FROM", 0)
        patch.setattr("toolkit.analyses.counting.MOST_AT_ONCE", 4)
        packed = counted(frame, frame.columns, [nw.len().alias("n")])
    assert_frame_equal(packed, plain, check_row_order=False)


@pytest.mark.parametrize(
    "columns",
    [
        {"share": [0.5, None]},
        {"words": pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"]))},
        {"least": [-(2**62), 2**62]},
        {"one": [0, 2**31], "other": [0, 2**31]},
        {"large": pl.Series([2**64 - 1], dtype=pl.UInt64)},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_what_makes_no_number_is_sorted_as_it_is(columns: dict[str, list[object]]) -> None:
    frame = pl.DataFrame(columns)
    assert Packing.of(frame.lazy(), frame.columns) is None
    assert_frame_equal(sorted_by(frame, frame.columns), frame.sort(frame.columns))


def test_many_different_texts_make_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.analyses.packing.MOST_TEXTS", 2)
    assert Packing.of(pl.LazyFrame({"text": ["a", "b", "c"]}), ["text"]) is None


@pytest.mark.parametrize(("each", "packed"), [(1, 1), (2, 1), (5, 1), (6, 0)])
def test_rows_are_packed_only_into_many_groups(
    each: int, packed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("toolkit.analyses.counting.PACKED_FROM", 30)
    monkeypatch.setattr(Packing, "of", lambda rows, *_: asked.append(rows))
    numbers = [place // each for place in range(60)]
    rows = pl.DataFrame({"course": "a", "grade": numbers})
    assert counted(rows, ["course", "grade"], [nw.len().alias("n")])["n"].sum() == 60
    assert len(asked) == packed
