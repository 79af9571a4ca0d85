"""Results from users' own aggregates, with the protection and displays of the toolkit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import polars as pl

from toolkit.analyses.intervals import LEVEL, rate
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas import Table, require_columns
from toolkit.schemas.arguments import a_level
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
        SchemaError: A column is missing, or a count is not a whole number.
        ArgumentError: A count is within a column that is not a count, or a column has no role.

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
    shown = frame.select(*groups, *counts)
    sums = None if keys is None else frame.select(pl.col(keys[name]).alias(name) for name in counts)
    derive = partial(_with_rates, rates, level)
    return Result.from_counts(table, groups, shown, derive, keys=sums, caption=caption, level=level)


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
    if not isinstance(frame, pl.DataFrame):
        raise ArgumentError(f"frame must be a Polars DataFrame, not {type(frame).__name__}")
    if not isinstance(counts, Mapping) or not counts:
        raise ArgumentError('counts must name the columns of learners, such as {"n": None}')
    if isinstance(groups, str | bytes) or not isinstance(groups, Sequence):
        raise ArgumentError(f'groups must be a list of columns, such as ["course"], not {groups!r}')
    if keys is not None and (not isinstance(keys, Mapping) or set(keys) != set(counts)):
        raise ArgumentError(f"keys must name a column for each count, not be {keys!r}")
    require_columns(frame.columns, [*counts, *groups, *(keys or {}).values()], what="the frame")
    for name, within in counts.items():
        if not frame.schema[name].is_integer():
            raise SchemaError(f"`{name}` must count learners, it is {frame.schema[name]}")
        if within is not None and within not in counts:
            raise ArgumentError(
                f"`{name}` is within `{within}`, which is not one of the counts; add it: "
                f'{{"{within}": None}}'
            )
    unknown = set(frame.columns) - {*counts, *groups, *(keys or {}).values()}
    if unknown:
        raise ArgumentError(
            f"say what {', '.join(sorted(unknown))} is: name it in `counts` or `groups`, or drop it"
        )
