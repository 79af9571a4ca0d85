"""`tk.result`: a user's own aggregate, or a sentence about what is wrong with it."""

from datetime import time, timedelta
from typing import Any

import polars as pl
import pytest

import toolkit as tk

COUNTS = {"n": None, "n_passed": "n"}


def own(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"n": [40, 300], "n_passed": [12, 110], **columns})


@pytest.mark.parametrize(
    "columns",
    [
        {"n": [40, None]},
        {"n": [40, -300]},
        {"n_passed": [12, 301]},
        {"n": [40.0, 300.0]},
        {"g": [["a"], ["b"]]},
        {"g": [{"a": 1}, {"a": 2}]},
        {"g": [b"a", b"b"]},
        {"g": [timedelta(1), timedelta(2)]},
    ],
    ids=str,
)
def test_columns_that_cannot_be_counts_or_groups_are_refused(columns: Any) -> None:
    frame = own(**columns)
    with pytest.raises(tk.errors.SchemaError):
        tk.result(frame, counts=COUNTS, groups=[name for name in frame.columns if name == "g"])


@pytest.mark.parametrize(
    "groups",
    [["g", "g"], ["n"], ["status"], ["is_total"], ["passed_rate"], ["passed_rate_ci_low"]],
    ids=str,
)
def test_two_columns_of_one_name_are_refused(groups: list[str]) -> None:
    frame = own(**{name: ["a", "b"] for name in groups if name != "n"})
    with pytest.raises(tk.errors.ArgumentError, match="two columns"):
        tk.result(frame, counts=COUNTS, groups=groups)


@pytest.mark.parametrize(
    "counts",
    [
        {"n": "n"},
        {"n": "n_passed", "n_passed": "n"},
        {"n_passed": "n", "n": "m", "m": "n"},
        {"n_passed": "n"},
    ],
    ids=str,
)
def test_a_count_is_within_another_and_not_within_itself(counts: dict[str, str]) -> None:
    frame = own(m=[400, 400]).select(*counts)
    with pytest.raises(tk.errors.ArgumentError, match="within"):
        tk.result(frame, counts=counts)


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int32, pl.UInt32, pl.Int64, pl.UInt64])
def test_counts_of_every_kind_of_whole_number_are_taken(dtype: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"n": [40, 30], "n_passed": [12, 11]}, schema=dict.fromkeys(COUNTS, dtype))
    shown = tk.result(frame, counts=COUNTS).release().frame
    assert shown["n"].to_list() == [40, 30]


def test_keys_may_fill_64_bits() -> None:
    frame = pl.DataFrame({"n": [42], "key": pl.Series([2**64 - 5], dtype=pl.UInt64)})
    shown = tk.result(frame, counts={"n": None}, keys={"n": "key"}).release().frame["n"].item()
    assert shown in (40, 45)


@pytest.mark.parametrize("name", ["std_error", "days", "rate", "stage", "at", "a:Q", ""])
def test_a_group_is_shown_whatever_its_column_is_called(name: str) -> None:
    result = tk.result(own(**{name: ["a", "b"]}), counts=COUNTS, groups=[name])
    assert [row[0] for row in result.table().rows] == ["a", "b"]
    assert "in b" in result.narrate()


def test_names_that_vega_or_a_terminal_would_take_for_commands_are_drawn_and_shown() -> None:
    frame = pl.DataFrame({"g:Q\x1b[31m": ["a", "b"], "n.[0]": [400, 300], "k:Q\n": [120, 110]})
    counts = {"n.[0]": None, "k:Q\n": "n.[0]"}
    result = tk.result(frame, counts=counts, groups=["g:Q\x1b[31m"])
    assert result.chart().to_dict()
    assert "\x1b" not in repr(result) + str(result.narrate()) + result.to_latex()
    assert len(repr(result).splitlines()) == 4


@pytest.mark.parametrize("value", [time(3), True, None, 1.5, float("nan")], ids=str)
def test_groups_of_any_plain_value_are_told_drawn_and_written(value: object) -> None:
    frame = pl.DataFrame({"g": pl.Series([value]), "n": [40], "n_passed": [20]})
    result = tk.result(frame, counts=COUNTS, groups=["g"])
    assert result.chart().to_dict()
    assert "50%" in result.narrate()


def test_shares_of_ten_billion_have_their_interval() -> None:
    frame = pl.DataFrame({"n": [10**10], "n_passed": [5 * 10**9]})
    low, high = tk.result(frame, counts=COUNTS).frame.row(0)[-2:]
    assert (0.5 - low, high - 0.5) == pytest.approx([1.96 * 0.5 / 10**5] * 2, rel=1e-3)
