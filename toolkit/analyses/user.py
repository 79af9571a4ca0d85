"""Results from users' own aggregates, with the protection and displays of the toolkit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.grouping import refuse_ungroupable
from toolkit.analyses.intervals import LEVEL, rate
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import Table, require_columns
from toolkit.schemas.arguments import a_frame, a_level, are_names, as_given
from toolkit.schemas.outcome_results import count, with_interval


def result(
    frame: pl.DataFrame,
    *,
    counts: Mapping[str, str | None],
    groups: Sequence[str] = (),
    keys: Mapping[str, str] | None = None,
    caption: str | None = None,
    level: float = LEVEL,
) -> Result:
    """Make a result from your own aggregate, by saying which of its columns count learners.

    Args:
        frame: One row per group.
        counts: Each column that counts learners, and the count that includes it: passed within
            enrolled. None if there is none.
        groups: The columns that name the group.
        keys: For each count, the column with the sum of its learners' `record_key`. With it,
            counts are rounded as in the toolkit's own tables; without, by a draw per group.
        caption: Where the data come from.
        level: The coverage of the intervals, a fraction.

    Returns:
        The groups and counts, and for each count within another its share with Wilson's
        interval: `n_passed` of `n_enrolled` gives `passed_rate`.

    Raises:
        SchemaError: A column is missing, has other values, or is larger than one it is within.
        ArgumentError: A count is within a column that is not a count, a column has no role, or two
            columns of the result would have one name.

    Examples:
        >>> own = pl.DataFrame({"age": ["-35", "35-"], "n": [120, 80], "n_passed": [61, 24]})
        >>> mine = result(own, counts={"n": None, "n_passed": "n"}, groups=["age"])
        >>> mine.frame.select("age", pl.col("passed_rate").round(3)).rows()
        [('-35', 0.508), ('35-', 0.3)]
    """
    _refuse(frame, counts, groups, keys)
    level = a_level(level)
    columns = [count(name, "Learners.", within) for name, within in counts.items()]
    rates = {
        f"{name.removeprefix('n_')}_rate": (name, within)
        for name, within in counts.items()
        if within is not None
    }
    for name, (k, n) in rates.items():
        columns += with_interval(name, f"{k} of {n}.", k, n)
    table = Table("user_result", "one row per group", tuple(columns))
    names = [*groups, *table.names, "status", "is_total"]  # the last two are the toolkit's own
    if twice := [name for name in names if names.count(name) > 1]:
        raise ArgumentError(f"the result would have two columns `{twice[0]}`; rename yours")
    shown = frame.select(*groups, *counts)
    sums = None if keys is None else frame.select(_key(frame, keys, name) for name in counts)
    derive = partial(_with_rates, rates, level)
    return Result.from_counts(table, groups, shown, derive, keys=sums, caption=caption, level=level)


def _key(frame: pl.DataFrame, keys: Mapping[str, str], name: str) -> pl.Expr:
    """Return the sum of the keys of a count; hashes may fill all 64 bits."""
    key = pl.col(keys[name])
    is_unsigned = frame.schema[keys[name]] == pl.UInt64
    return (key.reinterpret(signed=True) if is_unsigned else key.cast(pl.Int64)).alias(name)


def _with_rates(
    rates: Mapping[str, tuple[str, str]], level: float, table: pl.DataFrame
) -> pl.DataFrame:
    return table.with_columns(
        end for name, (k, n) in rates.items() for end in rate(name, k, n, level=level)
    )


def _refuse(
    frame: pl.DataFrame,
    counts: Mapping[str, str | None],
    groups: Sequence[str],
    keys: Mapping[str, str] | None,
) -> None:
    a_frame(frame, name="frame")
    if not isinstance(counts, Mapping) or not counts:
        raise ArgumentError('counts must name the columns of learners, such as {"n": None}')
    if not are_names(groups):
        raise ArgumentError(
            f'groups must be a list of columns, such as ["course"], not {as_given(groups)}'
        )
    if keys is not None and (not isinstance(keys, Mapping) or set(keys) != set(counts)):
        raise ArgumentError(f"keys must name a column for each count, not be {as_given(keys)}")
    require_columns(frame.columns, [*counts, *groups, *(keys or {}).values()], what="the frame")
    refuse_ungroupable(nw.from_native(frame).schema, groups)
    for name in (keys or {}).values():
        if not frame.schema[name].is_integer():
            raise SchemaError(f"`{name}` must be sums of record keys, but is {frame.schema[name]}")
    for name in counts:
        _refuse_count(frame, name, counts)
    unknown = set(frame.columns) - {*counts, *groups, *(keys or {}).values()}
    if unknown:
        raise ArgumentError(
            f"say what {', '.join(sorted(unknown))} is: name it in `counts` or `groups`, or drop it"
        )


def _refuse_count(frame: pl.DataFrame, name: str, counts: Mapping[str, str | None]) -> None:
    if not frame.schema[name].is_integer():
        raise SchemaError(f"`{name}` must count learners, but is {frame.schema[name]}")
    if frame[name].null_count() or (frame[name] < 0).any():
        raise SchemaError(f"`{name}` must count learners, and has nulls or numbers below 0")
    within = above = counts[name]
    below = {name}
    while above is not None:
        if above not in counts:
            raise ArgumentError(
                f"`{name}` is within `{above}`, which is not one of the counts; add it: "
                f'{{"{above}": None}}'
            )
        if above in below:
            raise ArgumentError(f"`{above}` cannot be within itself")
        below.add(above)
        above = counts[above]
    if within is not None and (frame[name] > frame[within]).any():
        raise SchemaError(f"`{name}` is larger than `{within}`, which it is within, in some rows")
