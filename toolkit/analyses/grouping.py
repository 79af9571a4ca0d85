"""The groups an analysis may be asked for, calendar cohorts among them.

No engine truncates dates alike, and a session's time zone moves them. So the engine counts per
number of the week, month, quarter or year, which plain arithmetic finds from `enrolled_day`; the
number becomes a date afterwards, on the small count table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import counted
from toolkit.errors import ArgumentError, SchemaError
from toolkit.schemas import Table, require_columns

By: TypeAlias = str | Sequence[str] | None

COHORTS = {
    "enrolled_week": "1w",
    "enrolled_month": "1mo",
    "enrolled_quarter": "1q",
    "enrolled_year": "1y",
}
_MONTHS = {"1mo": 1, "1q": 3, "1y": 12}


@dataclass(frozen=True, slots=True)
class Groups:
    """The columns that make the groups.

    While it is counted, a group column has a name of its own, "group 1", so that one called like
    a column of the analysis ("period", "n") is not mistaken for it.

    Attributes:
        names: The columns, as they were asked for.
    """

    names: tuple[str, ...]

    @property
    def keys(self) -> list[str]:
        """The columns' names while they are counted."""
        return [f"group {place}" for place, _ in enumerate(self.names, 1)]

    def named(self, table: pl.DataFrame) -> pl.DataFrame:
        """The table with the columns' own names."""
        return table.rename(dict(zip(self.keys, self.names, strict=True)))


def groups_of(by: By, result: Table | None, *, argument: str = "by") -> Groups:
    """The groups that `by` asks for.

    Args:
        by: A column, several, or None.
        result: What the analysis returns; a group column cannot be called like one of it. None
            where the columns do not come back under their own names.
        argument: How the message calls the argument.

    Raises:
        ArgumentError: `by` is no name, names a column twice, or one of the result.
    """
    names = (by,) if isinstance(by, str) else () if by is None else by
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"{argument} must be a column's name or several, not {by!r}")
    if len(set(names)) < len(names):
        raise ArgumentError(f"{argument} names a column twice: {', '.join(names)}")
    reserved = set() if result is None else {*result.names, "is_total"}
    taken = [name for name in names if name in reserved]
    if taken:
        raise ArgumentError(
            f"{argument} names `{taken[0]}`, which is a column of the result; rename yours first"
        )
    return Groups(tuple(names))


def with_spans(rows: nw.LazyFrame[Any], spans: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """Add the number of the week, month, quarter or year that `enrolled_day` lies in.

    Args:
        rows: Rows with `enrolled_day`.
        spans: Each span, as in `COHORTS`, by the name of its column.

    Source:
        Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    """
    day, era, year = nw.col("enrolled_day").cast(nw.Int64), nw.col(" era"), nw.col(" year")
    of_era, of_year = nw.col(" day of era"), nw.col(" day of year")
    columns = {}
    if set(spans.values()) - {"1w"}:
        # Step by step, as an expression with all of it would be copied wherever it is named.
        years = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
        rows = (
            rows.with_columns(((day + 719_468) // 146_097).alias(" era"))  # 400 years, from March
            .with_columns((day + 719_468 - era * 146_097).alias(" day of era"))
            .with_columns(years.alias(" year"))
            .with_columns((of_era - year * 365 - year // 4 + year // 100).alias(" day of year"))
        )
        months = (era * 400 + year) * 12 + (of_year * 5 + 2) // 153 + 2  # since January of year 0
        rows = rows.with_columns(months.alias(" month"))
    for name, span in spans.items():
        columns[name] = (
            (day + 3) // 7  # 1970-01-01 was a Thursday, weeks begin on Monday
            if span == "1w"
            else nw.col(" month") // _MONTHS[span]
        )
    return rows.with_columns(**columns) if columns else rows


def first_day(number: pl.Expr, span: str) -> pl.Expr:
    """The first day of the span of that number, see `with_spans`."""
    if span == "1w":
        return (number * 7 - 3).cast(pl.Int32).cast(pl.Date)
    months = number * _MONTHS[span]
    return pl.date(months // 12, months % 12 + 1, 1)


KEY = "record_key"


@dataclass(frozen=True, slots=True)
class Counted:
    """A count table, and beside each count the sum of the keys of its records.

    Attributes:
        n: Group columns and counts.
        keys: The same rows and columns with key sums in place of counts; None where the records
            have no `record_key`.
    """

    n: pl.DataFrame
    keys: pl.DataFrame | None

    def pipe(self, build: Callable[[pl.DataFrame], pl.DataFrame]) -> Counted:
        """Do the same to counts and key sums, which is right for sums and differences of them."""
        return Counted(build(self.n), None if self.keys is None else build(self.keys))


def count_by(
    rows: nw.LazyFrame[Any],
    groups: Groups,
    counts: Mapping[str, nw.Expr],
    *,
    within: Mapping[str, nw.Expr] | None = None,
) -> Counted:
    """Sum each of `counts` per group, calendar cohorts included, and the keys of the counted.

    One row per group and combination of `within`, ordered by them, nulls first. A cohort column
    holds the first day of its week, month, quarter or year. Groups are called `groups.keys`.

    Args:
        rows: What `records` gives.
        groups: Columns, or names in `COHORTS`.
        counts: Expressions of 0 and 1 that are summed, by the name of the sum.
        within: What to tell apart inside a group, by its name.

    Raises:
        SchemaError: A column does not exist, or has values that make no groups.
    """
    schema = rows.collect_schema()
    spans = {
        key: COHORTS[name]
        for key, name in zip(groups.keys, groups.names, strict=True)
        if name in COHORTS and name not in schema
    }
    plain = [name for name in groups.names if name not in COHORTS or name in schema]
    days = ["enrolled_day"] if spans else []
    require_columns(schema.names(), [*days, *plain], what="person_course")
    refuse_nested(schema, plain)
    key_columns = {
        key: nw.col(key if key in spans else name)
        for key, name in zip(groups.keys, groups.names, strict=True)
    }
    keys = {**key_columns, **(within or {})}
    sums = dict(counts)
    if KEY in schema:
        sums |= {
            f"{KEY} {name}": value * nw.col(KEY).cast(nw.Int64) for name, value in counts.items()
        }
    # Columns first, then sums of columns: not every engine sums what it has yet to compute.
    columns = with_spans(rows, spans).select(
        *(value.alias(name) for name, value in {**keys, **sums}.items())
    )
    found = counted(columns, list(keys), [nw.col(name).sum() for name in sums])
    dated = [first_day(pl.col(key), span).alias(key) for key, span in spans.items()]
    found = found.with_columns(*dated, pl.col(list(sums)).fill_null(0))
    found = found.sort(list(keys)) if keys else found
    key_sums = [pl.col(f"{KEY} {name}").alias(name) for name in counts]
    return Counted(
        found.select(*keys, *counts), found.select(*keys, *key_sums) if KEY in schema else None
    )


def refuse_nested(schema: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise where a column's values are lists, structs or objects, which make no groups."""
    for name in names:
        if schema[name].is_nested() or schema[name] == nw.Object:
            raise SchemaError(f"`{name}` holds {schema[name]}, whose values make no groups")


def per_group(
    table: pl.DataFrame, by: Sequence[str], aggregations: Sequence[pl.Expr]
) -> pl.DataFrame:
    """Aggregate a count table per group in order of appearance; one row where `by` is empty."""
    if not by:
        return table.select(aggregations)
    return table.group_by(by, maintain_order=True).agg(aggregations)
