"""Grouped counts in the engine that holds the rows: the first step of every analysis.

The frame may be a Polars DataFrame or LazyFrame, a DuckDB relation, or any other that `engines`
lists. Only the small count table comes back, as a Polars DataFrame: rows about single learners
never leave their engine, and every engine gives the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import accumulate
from operator import and_
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.engines import collected, number_of_rows, slices_of
from toolkit.analyses.engines import lazily as lazily
from toolkit.analyses.packing import PACKED, Packing, sorted_by
from toolkit.errors import SchemaError
from toolkit.schemas import PERSON_COURSE, TIMESTAMP, require_columns

Frame: TypeAlias = Any
"""A person_course frame, a durations frame and so on, of any engine that `engines` lists."""

KEY = "record_key"
"""The column of the keys by which released counts are rounded alike, if there is one."""
MOST_AT_ONCE = 10_000_000
"""The most rows that Polars groups at once."""
PACKED_FROM = 100_000
"""The fewest rows that Polars groups by one packed number; for fewer, packing costs more."""
ALIKE = 5
"""Packing also costs more if so many rows, on average, are in the same group."""


def flag(*conditions: nw.Expr) -> nw.Expr:
    """Return 1 where all conditions hold and 0 elsewhere, never null, so that the sum counts."""
    return nw.when(reduce(and_, conditions)).then(nw.lit(1)).otherwise(nw.lit(0))


def present_if(*conditions: nw.Expr) -> nw.Expr:
    """Return 1 where all conditions hold and null elsewhere: engines count faster than they add."""
    return nw.when(reduce(and_, conditions)).then(nw.lit(1))


def whole_steps(value: nw.Expr, step: int) -> nw.Expr:
    """Return the number of whole steps in a value, exactly: some engines divide with an error."""
    n = (value / step).floor()
    over = nw.when(value >= (n + 1) * step).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
    under = nw.when(value < n * step).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
    return n + over - under


def number(name: str) -> nw.Expr:
    """Return a column with null in place of NaN and infinity: engines order NaN differently.

    The test is `is_finite`, since DuckDB assumes that no value of a Parquet file is NaN and that
    all are less than infinity, and skips tests of that.
    """
    value = nw.col(name).cast(nw.Float64)
    return nw.when(value.is_finite()).then(value)


def records(frame: Frame, need: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return the rows of a person_course, after checking the types of the needed columns.

    Numbers become Float64, null if not finite; Booleans become false if unknown.
    """
    rows = lazily(frame)
    schema = rows.collect_schema()
    require_person_course(schema, need)
    readable = []
    for name in dict.fromkeys(need):
        wanted = PERSON_COURSE[name].dtype
        if wanted == pl.Boolean:
            known = nw.col(name).cast(nw.Boolean)
            readable.append(nw.when(known).then(nw.lit(True)).otherwise(nw.lit(False)).alias(name))  # noqa: FBT003
        elif wanted.is_numeric():
            readable.append(number(name).alias(name))
        elif wanted == pl.String and schema[name] == nw.Unknown:  # nulls only
            readable.append(nw.col(name).cast(nw.String))
    return rows.with_columns(*readable)


def require_person_course(schema: Mapping[str, Any], need: Sequence[str]) -> None:
    """Raise if a needed column is missing, or one that is read has values of another kind."""
    require_columns(schema, need, what="person_course")
    read = [name for name in (*need, KEY) if name in PERSON_COURSE.names]
    refuse_other_kinds(
        schema, {name: PERSON_COURSE[name].dtype for name in read}, what="person_course"
    )


def refuse_other_kinds(schema: Mapping[str, Any], wanted: Mapping[str, Any], *, what: str) -> None:
    """Raise if one of these columns is there and holds values of another kind."""
    for name, dtype in wanted.items():
        if name not in schema or schema[name] == nw.Unknown:  # a column of nulls only
            continue
        kind, is_kind = _kind(dtype)
        if not is_kind(schema[name]):
            raise SchemaError(f"`{name}` of {what} must be {kind}, not {schema[name]}")


def _kind(wanted: Any) -> tuple[str, Callable[[Any], bool]]:
    """Return what a column of this type holds, in words, and whether a type of Narwhals does."""
    if wanted == pl.Boolean:
        return "Boolean", lambda found: bool(found == nw.Boolean)
    if wanted == pl.Int64:  # a float would change large ones
        return "a whole number", lambda found: bool(found.is_integer())
    if wanted.is_numeric():
        return "a number", lambda found: bool(found.is_numeric())
    if wanted == pl.String:
        return "text", lambda found: found in (nw.String, nw.Categorical, nw.Enum)
    return "a date or a moment", lambda found: found in (nw.Date, nw.Datetime)


def latest_moment(rows: nw.LazyFrame[Any]) -> datetime | None:
    """Return the latest `as_of`, in UTC; None if there are no rows."""
    [found] = collected(rows.select(nw.col("as_of").max()))["as_of"].cast(TIMESTAMP)
    # An engine may return it in its session's time zone.
    moment: datetime | None = found
    return moment


def grouped(
    frame: Frame,
    by: Sequence[str],
    aggregations: Iterable[nw.Expr],
    *,
    need: Sequence[str] = (),
    n_values: Mapping[str, int] | None = None,
    up_to: int | None = None,
) -> pl.DataFrame:
    """Aggregate per group in the frame's own engine, and collect.

    One row per group, ordered by group, nulls first; a single row if `by` is empty. Integers are
    Int64, whatever type the engine sums into. The `aggregations` are sums or lengths, and `need`
    names what they read. `n_values` says which columns of `by` hold whole numbers from 0 to n − 1,
    which saves a scan. If there are more groups than `up_to`, the table is incomplete.

    Examples:
        >>> people = pl.DataFrame({"course": ["a", "a", "b"], "passed": [True, None, False]})
        >>> passed = flag(nw.col("passed")).sum().alias("n_passed")
        >>> grouped(people, ["course"], [nw.len().alias("n"), passed]).rows()
        [('a', 2, 1), ('b', 1, 0)]
    """
    found, packing = _counted(frame, by, aggregations, need, n_values, up_to)
    if packing is not None:
        return packing.unpacked(found.sort(PACKED))
    return sorted_by(found, by) if by else found


def counted(
    frame: Frame, by: Sequence[str], aggregations: Iterable[nw.Expr], *, need: Sequence[str] = ()
) -> pl.DataFrame:
    """Return what `grouped` does, unordered: sorting many groups takes longer than counting."""
    found, packing = _counted(frame, by, aggregations, need)
    return found if packing is None else packing.unpacked(found)


def _counted(
    frame: Frame,
    by: Sequence[str],
    aggregations: Iterable[nw.Expr],
    need: Sequence[str],
    n_values: Mapping[str, int] | None = None,
    up_to: int | None = None,
) -> tuple[pl.DataFrame, Packing | None]:
    """Return the counts, and how the columns of `by` are packed in them, if they are."""
    rows, computed = lazily(frame), list(aggregations)
    require_columns(rows.collect_schema().names(), [*by, *need], what="the frame")
    packing = _packing(rows, by, n_values or {})
    if packing is None:
        slices = counted_in_slices(rows, by, computed, need=need, up_to=up_to)
        return _combined(slices, by, up_to), None
    packed = nw.from_native(rows.to_native().with_columns(packing.packed())).lazy()
    slices = counted_in_slices(packed, [PACKED], computed, up_to=up_to)
    return _combined(slices, [PACKED], up_to), packing


def _packing(
    rows: nw.LazyFrame[Any], by: Sequence[str], n_values: Mapping[str, int]
) -> Packing | None:
    """Return how to pack `by` into one number; None if that is no faster, or impossible.

    It is faster if a text is one of several columns, since Polars would group by their encoded
    rows, and there are many groups, as the first rows show.
    """
    schema = rows.collect_schema()
    is_slow = len(by) > 1 and any(schema[name] == nw.String for name in by)
    if not is_slow or number_of_rows(rows) < PACKED_FROM:
        return None
    first = collected(rows.select(*by).head(PACKED_FROM))
    if first.n_unique() * ALIKE < PACKED_FROM:
        return None
    return Packing.of(rows.to_native(), by, n_values)


def _combined(slices: Iterable[pl.DataFrame], by: Sequence[str], up_to: int | None) -> pl.DataFrame:
    def both(one: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
        return (
            pl.concat([one, more], how="vertical_relaxed").group_by(by).agg(pl.exclude(*by).sum())
        )

    found = pl.DataFrame()
    for found in accumulate(slices, both):
        if up_to is not None and found.height > up_to:
            break
    return found


def counted_in_slices(
    frame: Frame,
    by: Sequence[str],
    aggregations: Iterable[nw.Expr],
    *,
    need: Sequence[str] = (),
    most: int | None = None,
    up_to: int | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the counts of each slice of the rows, for the caller to add up.

    Polars' group-by needs memory for nearly every row if there are many groups, so it gets at most
    `most` rows at a time. Other engines count all rows at once. If a slice has more groups than
    `up_to`, the rest are left out.
    """
    rows = lazily(frame)
    require_columns(rows.collect_schema().names(), [*by, *need], what="the frame")
    computed = list(aggregations)
    if not by:
        yield collected(rows.select(*computed))
        return
    for part in slices_of(rows, most or MOST_AT_ONCE):
        counts = part.group_by(list(by), drop_null_keys=False).agg(*computed)
        yield collected(counts if up_to is None else counts.head(up_to + 1))
