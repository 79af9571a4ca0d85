"""Problems of loads as a whole: repeated keys, filters that match nothing, and the warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import polars as pl

from toolkit.loading.records import Problem, problem_rows
from toolkit.schemas import PROBLEMS, Table

_HASHED_AT_ONCE = 50_000
_LONGEST_NAME = 60  # characters of a field's name that a warning shows


def repeated(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a problem for each record whose learner and course occurred before.

    Distinct hashes prove distinct keys, and take less memory.
    """
    keys = frame.select(table.key)
    first, second = (pl.col(name).hash(seed) for seed, name in enumerate(table.key))
    parts = [part.select(first ^ second).to_series() for part in keys.iter_slices(_HASHED_AT_ONCE)]
    hashes = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    if np.all(hashes[1:] != hashes[:-1]):
        return PROBLEMS.empty()
    return repeated_keys(table, keys.with_row_index("record"))


def repeated_keys(table: Table, keys: pl.DataFrame) -> pl.DataFrame:
    """Return a problem for each key that occurred before.

    Args:
        table: The resource.
        keys: `record`, the record's number, and the columns of the resource's key.
    """
    return keys.filter(~pl.struct(table.key).is_first_distinct()).select(
        resource=pl.lit(table.name),
        record=pl.col("record").cast(pl.Int64),
        column=pl.lit("course_id"),
        raw=pl.col("course_id"),
        reason=pl.lit("an earlier record has the same learner and course; both kept"),
    )


def unmatched(
    resource: str, rows: pl.LazyFrame, filters: Mapping[str, list[str] | None]
) -> pl.DataFrame:
    """Return a problem for each value asked for that no record has."""
    problems: list[Problem] = []
    for name, asked in filters.items():
        found = set(rows.select(pl.col(name).unique()).collect()[name]) if asked else set()
        problems += [
            (None, name, value, "no record has the value asked for")
            for value in asked or ()
            if value not in found
        ]
    return problem_rows(resource, problems)


def warn_of_problems(problems: pl.DataFrame, advice: str) -> None:
    """Issue one warning for all problems, if there are any, with one of a whole body first."""
    if not problems.is_empty():
        of_bodies = problems.filter(pl.col("record").is_null())
        first = (problems if of_bodies.is_empty() else of_bodies).row(0, named=True)
        warnings.warn(
            f"{first['resource']}: {problems.height:,} problems, the first in "
            f"`{_shown(first['column'])}`: {first['reason']}. {advice}.",
            stacklevel=4,
        )


def _shown(name: str) -> str:
    """Make the name of a field, which may be anything, fit for a line on a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:_LONGEST_NAME])
