"""Every released number is recomputed from the learners and lies within the rule's tolerance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from published import SOURCES, Published, published

from toolkit.release.rounding import BASE, MIN_N
from toolkit.results.result import Result
from toolkit.schemas import Role


@pytest.fixture(scope="module", params=SOURCES)
def shown(request: pytest.FixtureRequest) -> Published:
    folder: Path | None = None
    if request.param == "oulad":
        folder = request.getfixturevalue("oulad_dir")
    return published(request.param, folder)


def rows(result: Result) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each exact row beside the released one; both in the order of the analysis."""
    exact, released = result.exact, result.protect(MIN_N)
    assert exact.height == released.height
    return list(zip(exact.to_dicts(), released.to_dicts(), strict=True))


def test_a_count_is_withheld_where_it_is_small_and_else_within_4(shown: Published) -> None:
    for name, result in shown.tables.items():
        counts = result.schema.of_role(Role.COUNT)
        for exact, released in rows(result):
            for column in counts:
                n, told = exact[column], released[column]
                if n is None or n < MIN_N:
                    assert told is None, (name, column, exact)
                else:
                    assert told is not None, (name, column, exact)
                    whole = result.schema[column].within
                    is_capped = whole is not None and told == released.get(whole)
                    assert told % BASE == 0
                    assert abs(told - n) < (2 * BASE if is_capped else BASE), (name, column)


def test_a_share_follows_from_the_counts_beside_it(shown: Published) -> None:
    for name, result in shown.tables.items():
        shares = [
            column
            for column in result.schema
            if column.role is Role.STATISTIC and column.unit == "fraction" and not column.ci_of
        ]
        for _, released in rows(result):
            for column in shares:
                k, n = (released[count] for count in column.rests_on)
                if k is None or n is None:
                    assert released[column.name] is None, (name, column.name)
                elif n:
                    assert released[column.name] == pytest.approx(k / n), (name, column.name)


def test_a_share_keeps_within_a_few_learners_of_the_exact_one(shown: Published) -> None:
    for name, result in shown.tables.items():
        for exact, released in rows(result):
            for column in result.schema:
                if column.unit == "fraction" and column.role is Role.STATISTIC:
                    told, true = released[column.name], exact[column.name]
                    if told is not None and not column.ci_of:
                        n = exact[column.rests_on[-1]]
                        assert abs(told - true) <= 10 / n, (name, column.name)


def test_a_measure_has_two_digits(shown: Published) -> None:
    for result in shown.tables.values():
        for exact, released in rows(result):
            for name in result.schema.of_role(Role.MEASURE):
                if released[name] is not None:
                    unit = 10.0 ** (math.floor(math.log10(abs(exact[name]) or 1)) - 1)
                    assert abs(released[name] - exact[name]) <= 0.5001 * unit, (name, exact)


def test_groups_that_differ_for_certain_keep_their_order(shown: Published) -> None:
    for name, result in shown.tables.items():
        if "pass_rate_of_enrolled" not in result.schema.names:
            continue
        known = [pair for pair in rows(result) if pair[1]["pass_rate_of_enrolled"] is not None]
        for exact, released in known:
            for other, other_released in known:
                low, high = exact["pass_rate_of_enrolled_ci_low"], other
                if low > high["pass_rate_of_enrolled_ci_high"]:
                    assert (
                        released["pass_rate_of_enrolled"] >= other_released["pass_rate_of_enrolled"]
                    ), name


def test_a_released_curve_keeps_to_the_exact_one(shown: Published) -> None:
    n_told = n_outside = 0
    for name, result in shown.curves.items():
        released = result.release().frame
        keys = list(result.by)
        exact = dict(_parts(result.exact, keys))
        for key, part in _parts(released, keys):
            curve = exact[key]
            assert part["survival"].drop_nulls().is_sorted(descending=True)
            for row in part.drop_nulls("survival").iter_rows(named=True):
                at = curve.filter(pl.col("duration") <= row["duration"] + 1e-9).row(-1, named=True)
                ahead = curve.filter(pl.col("duration") >= row["duration"] - 1e-9)["n_at_risk"]
                n = ahead[0] if ahead.len() else 0
                if row["n_at_risk"] is not None:
                    assert abs(row["n_at_risk"] - n) < BASE, (name, key, row)
                    assert abs(row["survival"] - at["survival"]) <= 15 / n, (name, key, row)
                    n_told += 1
                    low, high = at["ci_low"] or 0.0, 1.0 if at["ci_high"] is None else at["ci_high"]
                    n_outside += not low - 1e-9 <= row["survival"] <= high + 1e-9
    assert n_told > 0
    assert n_outside <= 0.005 * n_told


def test_releasing_is_deterministic(shown: Published) -> None:
    for result in [*shown.tables.values(), *shown.curves.values()]:
        assert result.protect(MIN_N).equals(result.protect(MIN_N), null_equal=True)


def _parts(frame: pl.DataFrame, keys: list[str]) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    if not keys:
        return [((), frame)]
    return list(frame.partition_by(keys, as_dict=True, maintain_order=True).items())
