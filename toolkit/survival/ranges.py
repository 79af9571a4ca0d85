"""An event table in consecutive ranges of times, if there are too many for one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.copies import copied
from toolkit.analyses.counting import flag, grouped
from toolkit.analyses.grouping import Counted
from toolkit.survival.included import of_included
from toolkit.survival.risk_sets import GROUP, at_risk, still_at_risk

MOST_TIMES = 5_000_000
"""The most rows of an event table read at once; a longer one is read in ranges of times."""

MOST_IN_FULL = 1_000_000
"""The most rows of an event table whose curves keep every time."""

_CELLS = 4_096
_NARROWEST = 1e-9


def between(frame: nw.LazyFrame[Any], name: str, low: float, high: float) -> nw.LazyFrame[Any]:
    """Keep the rows whose time is above `low` and not above `high`."""
    time = nw.col(name).cast(nw.Float64)
    if low > -math.inf:
        frame = frame.filter(time > low)
    return frame.filter(time <= high) if high < math.inf else frame


def with_groups(table: pl.DataFrame, about: pl.DataFrame) -> pl.DataFrame:
    """Append the group columns and exclusions to rows with the groups' numbers."""
    of_group, left_out = table[GROUP], "^(n|key)_(excluded|undated)$"
    keys = about.select(pl.exclude(GROUP, "^(n|key)_.*$").gather(of_group))
    exclusions = about.select(pl.col(left_out).gather(of_group))
    return pl.concat([keys, table, exclusions], how="horizontal")


def common_end(longest: pl.Series) -> float:
    """Return the shortest of the groups' longest observations, without groups seen only at 0."""
    return min(longest.filter(longest > 0), default=0.0)


@dataclass(frozen=True)
class Cutting:
    """Where to cut an event table, so that no range has too many rows.

    The sizes are, by group, the number of learners, `n_learners`, of those whose times are whole
    numbers, `n_whole`, the most distinct times, `n_times`, and the last time, `longest`, null if
    there is nobody.
    """

    frame: nw.LazyFrame[Any]  # with `duration`, and perhaps `entry` and `excluded`
    sizes: pl.DataFrame
    is_held: bool  # whether the rows are in memory
    most: float | None = None  # rows of a range; by default `MOST_TIMES`

    @cached_property
    def rows(self) -> nw.LazyFrame[Any]:
        """The rows, computed once if they are read for several ranges."""
        is_read_once = self.is_held or self.n_times <= self.limit
        return self.frame if is_read_once else copied(self.frame)

    @property
    def limit(self) -> float:
        """The most rows of a range."""
        return MOST_TIMES if self.most is None else self.most

    @property
    def last(self) -> float:
        """The last time."""
        return max(self.sizes["longest"].drop_nulls(), default=0.0)

    @property
    def n_rows(self) -> int:
        """The number of rows that are counted."""
        return int(self.sizes["n_learners"].sum())

    @property
    def all_whole(self) -> bool:
        """Whether all times are whole numbers."""
        return int(self.sizes["n_whole"].sum()) == self.n_rows

    @property
    def n_times(self) -> int:
        """The most distinct durations there can be, added up over the groups."""
        return int(self.sizes["n_times"].sum())

    @property
    def ends(self) -> list[float]:
        """The last time of each range; each begins after the previous one."""
        if self.n_times <= self.limit:
            return [math.inf]
        found, filled, end = list[float](), 0, -math.inf
        for next_end, n_times in self._cells(-math.inf, self.last, self.sizes.height):
            if filled and filled + n_times > self.limit:
                found.append(end)
                filled = 0
            filled, end = filled + n_times, next_end
        return [*found, math.inf]

    def _cells(self, low: float, high: float, n_groups: int) -> Iterator[tuple[float, int]]:
        """Yield the end of each cell of times, in order, and the most rows that it can have.

        Whole times have at most one row per whole number and group: so whole days are read at
        once, however many learners there are.
        """
        start = max(low, 0.0)
        step = (high - start) / _CELLS
        counts = pl.concat(_counted(rows, start, step) for rows in self._times(low, high))
        cells = counts.group_by("cell").agg(pl.col("n", "n_whole").sum()).sort("cell")
        most_whole = n_groups * (math.floor(step) + 1)
        for cell, n, n_whole in cells.drop_nulls("cell").rows():
            n_times = n - n_whole + min(n_whole, most_whole)
            begins, ends = start + cell * step, min(start + (cell + 1) * step, high)
            if n_times > self.limit and step > _NARROWEST:
                yield from self._cells(low if cell <= 0 else begins, ends, n_groups)
            else:
                yield ends, n_times

    def _times(self, low: float, high: float) -> Iterator[nw.LazyFrame[Any]]:
        """Yield the durations, and the entries if there are any, as `_time`; null if excluded."""
        columns = self.rows.collect_schema().names()
        for name in ("duration", "entry"):
            if name in columns:
                time = of_included(nw.col(name).cast(nw.Float64), columns)
                yield between(self.rows, name, low, high).select(time.alias("_time"))


def _counted(rows: nw.LazyFrame[Any], start: float, step: float) -> pl.DataFrame:
    """Count the times in each cell, and the whole numbers among them."""
    time = nw.col("_time")
    cell = ((time - start) / step).floor() if step > 0 else time * 0
    rows = rows.select(cell.alias("cell"), flag(time == time.floor()).alias("is_whole"))
    sums = [nw.len().alias("n"), nw.col("is_whole").sum().alias("n_whole")]
    return grouped(rows, ["cell"], sums)


@dataclass(frozen=True)
class EventRanges:
    """An event table: one table, or ranges of times that are read one after another.

    `read` counts who leaves, has an event and enters after one time and up to another; every
    group also has rows at the times given.
    """

    about: pl.DataFrame  # each group's number, columns and counts, and `n_start`, first at risk
    read: Callable[[float, float, Sequence[float]], pl.DataFrame]
    cutting: Cutting

    @cached_property
    def ends(self) -> list[float]:
        """The last time of each range."""
        return self.cutting.ends

    @property
    def longest(self) -> pl.DataFrame:
        """The last time of each group, by its number."""
        return self.cutting.sizes.select(GROUP, pl.col("longest").fill_null(0.0))

    @property
    def last(self) -> float:
        """The last time of all."""
        return self.cutting.last

    @property
    def is_split(self) -> bool:
        """Whether there are several ranges."""
        return len(self.ends) > 1

    def at_once(self) -> EventRanges:
        """Return the same as one table that keeps every time."""
        return replace(self, cutting=replace(self.cutting, most=math.inf))

    @property
    def is_long(self) -> bool:
        """Whether curves have too many times to keep all of them."""
        if self.is_split:
            return True
        return self.cutting.limit < math.inf and self._only.height > MOST_IN_FULL

    @property
    def only(self) -> pl.DataFrame:
        """The table, if it is a single one."""
        return self.with_groups(self._only)

    @cached_property
    def _only(self) -> pl.DataFrame:
        return at_risk(self.read(-math.inf, math.inf, [0.0]), self.about)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the table of each range, without what `with_groups` appends."""
        return (table for table, _ in self.with_rest())

    def closed(self) -> Iterator[pl.DataFrame]:
        """Yield the table of each range, in which each group has a row at the last time."""
        at = [*self.ends[:-1], self.last] if self.is_split else []
        return (self.with_groups(table) for table, _ in self.with_rest(at))

    def with_groups(self, table: pl.DataFrame) -> pl.DataFrame:
        """Append the group columns and exclusions to rows with the groups' numbers."""
        return with_groups(table, self.about)

    def with_rest(self, also: Sequence[float] = ()) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Yield the table of each range, and the numbers at risk after it, `n_start`."""
        if not self.is_split:
            yield self._only, self._nobody
            return
        start = self.about
        for low, high in pairwise([-math.inf, *self.ends]):
            at = [time for time in (0.0, *also) if low < time <= high]
            steps = self.read(low, high, at)
            both = at_risk(steps, start), still_at_risk(steps, start)
            start = both[1]
            del steps  # as is what is yielded, so that two ranges are never in memory at once
            yield both
            del both

    @property
    def _nobody(self) -> pl.DataFrame:
        return self.about.with_columns(pl.col("^(n|key)_start$") * 0)

    @property
    def ends_of_means(self) -> list[float]:
        """The time up to which the means of all groups can be compared."""
        return [common_end(self.longest["longest"])]

    def sizes(self, by: list[str]) -> Counted:
        """Count the learners, events and exclusions of each group, over its strata."""

        def summed(what: str) -> pl.DataFrame:
            names = ("learners", "events", "excluded", "undated")
            sums = {f"n_{name}": pl.col(f"{what}_{name}").sum() for name in names}
            if by:
                return self.about.group_by(by).agg(**sums).sort(by)
            return self.about.select(**sums).head(self.about.height)

        return Counted(summed("n"), summed("key") if "key_events" in self.about.columns else None)
