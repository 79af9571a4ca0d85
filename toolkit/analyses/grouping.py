"""Group columns of an analysis, calendar cohorts included.

Engines truncate dates differently, and a session's time zone shifts them. So the engine counts per
number of the week, month, quarter or year, computed from `enrolled_day`; the number becomes a date
afterwards, in the small count table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl
import polars.selectors as cs

from toolkit.analyses.counting import KEY as KEY
from toolkit.analyses.counting import grouped, require_person_course
from toolkit.errors import ArgumentError, SchemaError
from toolkit.schemas import Table, require_columns
from toolkit.schemas.arguments import as_given
from toolkit.schemas.comparison_results import AS_TEXT, BETWEEN, NO_GROUP

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
    """The group columns.

    During the count they are called "group 1" and so on, so that one named like a column of the
    analysis ("period", "n") is not mistaken for it.
    """

    names: tuple[str, ...]  # the columns as the user named them

    @property
    def keys(self) -> list[str]:
        """Return the names of the columns during the count."""
        return [f"group {place}" for place, _ in enumerate(self.names, 1)]

    def named(self, table: pl.DataFrame) -> pl.DataFrame:
        """Give the columns of the table their own names again."""
        return table.rename(dict(zip(self.keys, self.names, strict=True)))


def groups_of(by: By, result: Table | None, *, argument: str = "by") -> Groups:
    """Return the group columns that `by` names.

    Refuses the columns of the `result`, unless the groups have other names there.
    """
    names = (by,) if isinstance(by, str) else () if by is None else by
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"{argument} must be a column's name or several, not {as_given(by)}")
    if len(set(names)) < len(names):
        raise ArgumentError(f"{argument} names a column twice: {', '.join(names)}")
    reserved = set() if result is None else {*result.names, "is_total", "status"}
    taken = [name for name in names if name in reserved]
    if taken:
        raise ArgumentError(
            f"{argument} names `{taken[0]}`, which is a column of the result; rename yours first"
        )
    return Groups(tuple(names))


def with_spans(rows: nw.LazyFrame[Any], spans: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """Append the number of the week, month, quarter or year of `enrolled_day`.

    `spans` are those of `COHORTS`, by the name of the new column.

    Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    """
    day = nw.col("enrolled_day").cast(nw.Float64)
    columns = {}
    if set(spans.values()) - {"1w"}:
        # In steps, since a single expression would be repeated wherever it is used.
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
    """Divide a whole number by another and round down, in floats: integer division is slow.

    The added half keeps the quotient away from whole numbers, so rounding errors are harmless.
    """
    return ((number + 0.5) / by).floor() if by > 1 else number


def first_day(number: pl.Expr, span: str) -> pl.Expr:
    """Return the first day of the span with this number; see `with_spans`."""
    if span == "1w":
        return (number * 7 - 3).cast(pl.Int32).cast(pl.Date)
    months = number * _MONTHS[span]
    return pl.date(months // 12, months % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Counted:
    """A table of counts and, for each count, the sum of the keys of its records."""

    n: pl.DataFrame  # group columns and counts
    keys: pl.DataFrame | None  # key sums in place of counts; None without `record_key`

    def pipe(self, build: Callable[[pl.DataFrame], pl.DataFrame]) -> Counted:
        """Apply `build` to counts and to key sums, which is valid for sums and differences."""
        return Counted(build(self.n), None if self.keys is None else build(self.keys))


GROUP, FLAGS, N = "group", "flags", "n_alike"


@dataclass(frozen=True, slots=True)
class Cells:
    """The numbers of records by group, combination of `within`, and set of counts they are in."""

    groups: pl.DataFrame  # one row per group, in order: the group columns, and its number, `GROUP`
    cells: pl.DataFrame  # the records, `N`, and sum of keys, `KEY`, by `GROUP`, `within`, `FLAGS`
    counts: Mapping[str, int]  # for each count, the bits of `FLAGS` that its records have set
    within: tuple[str, ...]  # the columns that subdivide a group

    def per_group(self) -> Counted:
        """Return the counts of each group, by its number."""
        flags = 2 ** max(self.counts.values()).bit_length()
        alike = (
            self.cells.group_by((pl.col(GROUP) * flags + pl.col(FLAGS)).alias(GROUP))
            .agg(pl.col(_SUMMED).sum())
            .sort(GROUP)
            .with_columns(pl.col(GROUP) // flags, (pl.col(GROUP) % flags).alias(FLAGS))
        )
        every = self.groups.select(GROUP)
        return _added_up(alike, self.counts, [GROUP]).pipe(
            lambda found: every.join(found, on=GROUP, how="left", maintain_order="left").fill_null(
                0
            )
        )

    def per_cell(self, counts: Sequence[str]) -> Counted:
        """Return these counts per group and combination of `within`, by the group's number."""
        bits = {name: self.counts[name] for name in counts}
        return _added_up(self.cells, bits, [GROUP, *self.within])

    def named(self, table: pl.DataFrame) -> pl.DataFrame:
        """Replace the number of the group by the group columns."""
        named = table.join(self.groups, on=GROUP, how="left", maintain_order="left")
        keys = [name for name in self.groups.columns if name != GROUP]
        return named.select(*keys, pl.exclude(GROUP, *keys))


_SUMMED = f"^({N}|{KEY})$"


def _added_up(cells: pl.DataFrame, counts: Mapping[str, int], by: list[str]) -> Counted:
    """Sum consecutive cells that have the same values of `by`."""
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in by)
    cells = cells.with_columns(is_other.cum_sum().set_sorted().alias("cell"))

    def summed(what: str) -> pl.DataFrame:
        has = {name: (pl.col(FLAGS) & bits) == bits for name, bits in counts.items()}
        each = [pl.when(all_).then(what).otherwise(0).alias(name) for name, all_ in has.items()]
        rows = cells.select("cell", *by, *each).group_by("cell", maintain_order=True)
        return rows.agg(pl.col(by).first(), pl.col(*counts).sum()).drop("cell")

    return Counted(summed(N), summed(KEY) if KEY in cells.columns else None)


Counts: TypeAlias = Mapping[str, nw.Expr | tuple[str, ...]]
"""What to count, by name: a condition, or the names of conditions that all hold."""


def count_by(
    rows: nw.LazyFrame[Any],
    groups: Groups,
    counts: Counts,
    *,
    within: Mapping[str, nw.Expr] | None = None,
) -> Counted:
    """Count records per group, calendar cohorts included, and sum their keys.

    One row per group and combination of `within`, ordered by them, nulls first. A cohort column
    holds the first day of its week, month, quarter or year. The group columns are called
    `groups.keys`. A condition that is null does not hold.
    """
    cells = count_cells(rows, groups, counts, within=within)
    return (cells.per_cell(list(counts)) if within else cells.per_group()).pipe(cells.named)


def count_cells(
    rows: nw.LazyFrame[Any],
    groups: Groups,
    counts: Counts,
    *,
    within: Mapping[str, nw.Expr] | None = None,
) -> Cells:
    """Count the cells that `count_by` sums, for analyses that sum them in several ways.

    Counting per set of flags is faster than summing many columns, and reads the records once.
    """
    schema = rows.collect_schema()
    spans = {
        key: COHORTS[name]
        for key, name in zip(groups.keys, groups.names, strict=True)
        if name in COHORTS and name not in schema
    }
    plain = [name for name in groups.names if name not in COHORTS or name in schema]
    days = ["enrolled_day"] if spans else []
    require_columns(schema, plain, what="person_course")
    require_person_course(schema, days)
    refuse_ungroupable(schema, plain)
    key_columns = {
        key: nw.col(key) if key in spans else group_value(schema, name)
        for key, name in zip(groups.keys, groups.names, strict=True)
    }
    conditions = {name: it for name, it in counts.items() if not isinstance(it, tuple)}
    bits = {name: 2**place for place, name in enumerate(conditions)}
    flags = [
        nw.when(holds).then(nw.lit(bits[name])).otherwise(nw.lit(0))
        for name, holds in conditions.items()
    ]
    keys = {**key_columns, **(within or {}), FLAGS: reduce(add, flags)}
    record_key = {KEY: nw.col(KEY).cast(nw.Int64)} if KEY in schema else {}
    # Compute columns before summing them: not every engine sums an expression.
    columns = with_spans(rows, spans).select(
        *(value.alias(name) for name, value in {**keys, **record_key}.items())
    )
    sums = [nw.len().alias(N), *(nw.col(name).sum() for name in record_key)]
    found = grouped(columns, list(keys), sums, n_values={FLAGS: 2 ** len(bits)})
    found, of_groups = _numbered(found.with_columns(pl.col(_SUMMED).fill_null(0)), groups.keys)
    dated = [first_day(pl.col(key), span).alias(key) for key, span in spans.items()]
    of_count = {
        name: sum(bits[one] for one in it) if isinstance(it, tuple) else bits[name]
        for name, it in counts.items()
    }
    return Cells(of_groups.with_columns(dated), found, of_count, tuple(within or ()))


def _numbered(found: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Replace the group columns of sorted rows by the number of the group; also return the groups.

    Without group columns there is one group, even if there are no rows.
    """
    if not keys:
        return found.with_columns(pl.lit(0, pl.Int64).alias(GROUP)), pl.DataFrame({GROUP: [0]})
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in keys)
    numbered = found.with_columns(is_other.cum_sum().cast(pl.Int64).alias(GROUP))
    of_groups = numbered.group_by(GROUP, maintain_order=True).agg(pl.col(keys).first())
    return numbered.drop(keys), of_groups


def group_value(schema: Mapping[str, Any], name: str) -> nw.Expr:
    """Return a column that makes groups: as in measures, NaN and infinity are null."""
    value = nw.col(name)
    return nw.when(value.is_finite()).then(value) if schema[name].is_float() else value


def group_names(groups: pl.DataFrame) -> list[str]:
    """Write each group as a text. A null is "(none)"; a group called so is in further brackets."""
    groups = groups.with_columns(cs.float().cast(pl.String).replace("-0.0", "0.0"))
    names = groups.select(pl.all().cast(pl.String).str.replace(r"^(\(+none\)+)$", "(${1})"))
    return [BETWEEN.join(row) for row in names.fill_null(NO_GROUP).iter_rows()]


def compared_groups(groups: pl.DataFrame) -> pl.DataFrame:
    """Return the groups of a comparison with the text that names each in its columns."""
    return groups.with_columns(pl.Series(AS_TEXT, group_names(groups), pl.String))


def refuse_ungroupable(schema: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise if a column holds lists, structs, objects, bytes or spans, which cannot form groups."""
    for name in names:
        if schema[name].is_nested() or schema[name] in (nw.Object, nw.Binary, nw.Duration):
            raise SchemaError(f"`{name}` holds {schema[name]}, whose values cannot form groups")


def per_group(
    table: pl.DataFrame, by: Sequence[str], aggregations: Sequence[pl.Expr]
) -> pl.DataFrame:
    """Aggregate a count table per group, in order of appearance; one row if `by` is empty."""
    if not by:
        return table.select(aggregations)
    return table.group_by(by, maintain_order=True).agg(aggregations)
