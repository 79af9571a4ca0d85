"""The groups an analysis may be asked for, calendar cohorts among them.

No engine truncates dates alike, and a session's time zone moves them. So the engine counts per
number of the week, month, quarter or year, which plain arithmetic finds from `enrolled_day`; the
number becomes a date afterwards, on the small count table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import grouped
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
    day = nw.col("enrolled_day").cast(nw.Float64)
    columns = {}
    if set(spans.values()) - {"1w"}:
        # Step by step, as an expression with all of it would be copied wherever it is named.
        since, century, year = day + 719_468, nw.col(" century"), nw.col(" year")  # from March
        of_century, of_year = nw.col(" day of century"), nw.col(" day of year")
        months = (century * 100 + year) * 12 + _whole(of_year * 5 + 2, 153) + 2
        rows = (
            rows.with_columns(_whole(since * 4 + 3, 146_097).alias(" century"))
            .with_columns((since - century * 36_524 - _whole(century, 4)).alias(" day of century"))
            .with_columns(_whole(of_century * 4 + 3, 1_461).alias(" year"))
            .with_columns((of_century - year * 365 - _whole(year, 4)).alias(" day of year"))
            .with_columns(months.alias(" month"))  # since January of year 0
        )
    for name, span in spans.items():
        columns[name] = (
            _whole(day + 3, 7)  # 1970-01-01 was a Thursday, weeks begin on Monday
            if span == "1w"
            else _whole(nw.col(" month"), _MONTHS[span])
        ).cast(nw.Int64)
    return rows.with_columns(**columns) if columns else rows


def _whole(number: nw.Expr, by: int) -> nw.Expr:
    """How often `by` goes into a whole number, by floats: whole numbers divide slowly.

    The half makes the quotient lie so far from a whole number that no error of it matters.
    """
    return ((number + 0.5) / by).floor() if by > 1 else number


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


GROUP, FLAGS, N = "group", "flags", "n_alike"


@dataclass(frozen=True, slots=True)
class Cells:
    """How many records there are in each group that are alike in all that is counted.

    Attributes:
        groups: One row per group, in order: the group columns, and its number as `GROUP`.
        cells: One row per `GROUP`, combination of what is told apart within it, and `FLAGS`, in
            order: how many records, `N`, and the sum of their keys, `KEY`, if they have any.
        counts: What is counted: that of place i where bit i of `FLAGS` is set.
        within: What is told apart inside a group.
    """

    groups: pl.DataFrame
    cells: pl.DataFrame
    counts: tuple[str, ...]
    within: tuple[str, ...]

    def per_group(self) -> Counted:
        """The counts of each group, by its number."""
        flags = 2 ** len(self.counts)
        alike = (
            self.cells.group_by((pl.col(GROUP) * flags + pl.col(FLAGS)).alias(GROUP))
            .agg(pl.col(_SUMMED).sum())
            .sort(GROUP)
            .with_columns(pl.col(GROUP) // flags, (pl.col(GROUP) % flags).alias(FLAGS))
        )
        every = self.groups.select(GROUP)
        return _added_up(alike, self.counts, self.counts, [GROUP]).pipe(
            lambda found: every.join(found, on=GROUP, how="left", maintain_order="left").fill_null(
                0
            )
        )

    def per_cell(self, counts: Sequence[str]) -> Counted:
        """Some counts of each combination within each group, by the group's number."""
        return _added_up(self.cells, self.counts, counts, [GROUP, *self.within])

    def named(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table by number of group with the group columns in its place."""
        named = table.join(self.groups, on=GROUP, how="left", maintain_order="left")
        keys = [name for name in self.groups.columns if name != GROUP]
        return named.select(*keys, pl.exclude(GROUP, *keys))


_SUMMED = f"^({N}|{KEY})$"


def _added_up(
    cells: pl.DataFrame, all_counts: Sequence[str], counts: Sequence[str], by: list[str]
) -> Counted:
    """Add up cells that are alike in `by`, beside which they lie."""
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in by)
    cells = cells.with_columns(is_other.cum_sum().set_sorted().alias("cell"))

    def summed(what: str) -> pl.DataFrame:
        has = {name: pl.col(FLAGS) & 2 ** all_counts.index(name) for name in counts}
        each = [pl.when(bit > 0).then(what).otherwise(0).alias(name) for name, bit in has.items()]
        rows = cells.select("cell", *by, *each).group_by("cell", maintain_order=True)
        return rows.agg(pl.col(by).first(), pl.col(counts).sum()).drop("cell")

    return Counted(summed(N), summed(KEY) if KEY in cells.columns else None)


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
    cells = count_cells(rows, groups, counts, within=within)
    return (cells.per_cell(list(counts)) if within else cells.per_group()).pipe(cells.named)


def count_cells(
    rows: nw.LazyFrame[Any],
    groups: Groups,
    counts: Mapping[str, nw.Expr],
    *,
    within: Mapping[str, nw.Expr] | None = None,
) -> Cells:
    """What `count_by` adds up, for analyses that add it up in several ways.

    An engine counts records that are alike faster than it sums many columns, and reads them once.
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
    bits = [value * 2**place for place, value in enumerate(counts.values())]
    keys = {**key_columns, **(within or {}), FLAGS: reduce(add, bits)}
    record_key = {KEY: nw.col(KEY).cast(nw.Int64)} if KEY in schema else {}
    # Columns first, then sums of columns: not every engine sums what it has yet to compute.
    columns = with_spans(rows, spans).select(
        *(value.alias(name) for name, value in {**keys, **record_key}.items())
    )
    sums = [nw.len().alias(N), *(nw.col(name).sum() for name in record_key)]
    found = grouped(columns, list(keys), sums, n_values={FLAGS: 2 ** len(counts)})
    found, of_groups = _numbered(found.with_columns(pl.col(_SUMMED).fill_null(0)), groups.keys)
    dated = [first_day(pl.col(key), span).alias(key) for key, span in spans.items()]
    return Cells(of_groups.with_columns(dated), found, tuple(counts), tuple(within or ()))


def _numbered(found: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The number of its group in place of the group columns, by which it is sorted; and the groups.

    Where there are no group columns, all is one group, also if nobody is in it.
    """
    if not keys:
        return found.with_columns(pl.lit(0, pl.Int64).alias(GROUP)), pl.DataFrame({GROUP: [0]})
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in keys)
    numbered = found.with_columns(is_other.cum_sum().cast(pl.Int64).alias(GROUP))
    of_groups = numbered.group_by(GROUP, maintain_order=True).agg(pl.col(keys).first())
    return numbered.drop(keys), of_groups


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
