"""The first reading of durations, which is the only one if all times are small whole numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import counted_in_slices, flag, grouped, present_if
from toolkit.analyses.grouping import KEY, per_group
from toolkit.survival import ranges
from toolkit.survival.included import UNDATED, of_included

_SMALL = 10_000
"""Whole times below this, 27 years in days, are counted in the first reading."""

# These stand in place of all other times, so that rows need no second key.
_LARGE, _EXACT, _TIMELESS, _IMPOSSIBLE, _EVENTLESS, _UNDATED, _EXCLUDED = range(_SMALL, _SMALL + 7)


class FirstReading(NamedTuple):
    """What is known of durations after the first reading.

    The groups have, in order, the numbers of learners, events, excluded and invalid rows, of
    learners with whole times, `n_whole`, and of distinct times at most, `n_times`; and the last
    time, `longest`, null if there is nobody.
    """

    groups: pl.DataFrame
    leaving: pl.DataFrame | None  # who leaves and has an event, if all times are small and whole


def first_reading(frame: nw.LazyFrame[Any], by: list[str]) -> FirstReading:
    """Count all rows by group, and by time if all times are small whole numbers."""
    columns = frame.collect_schema().names()
    most = ranges.MOST_TIMES
    counts = _counted(frame, by, columns, below=_SMALL, up_to=most)
    if counts.height > most:
        counts = _counted(frame, by, columns, below=0)
    groups = _of_groups(counts, by)
    leaving = counts.filter(pl.col("duration") < _SMALL)
    if leaving["n_left"].sum() == groups["n_learners"].sum():
        return FirstReading(groups, leaving)
    return FirstReading(_with_last(groups, frame, by), None)


def leaving_counts(columns: list[str]) -> dict[str, nw.Expr]:
    """Return the columns that `sums_of` adds up: who has an event, and which end.

    Every row counts as one who leaves, so the caller leaves out the excluded ones.
    """
    happened = {"events": nw.col("event")}
    happened |= {name: nw.col(name) == 1 for name in columns if name.startswith("end_")}
    counts = {f"n_{name}": present_if(it) for name, it in happened.items()}
    if KEY in columns:
        counts["key_left"] = _keys_of()
        counts |= {f"key_{name}": _keys_of(it) for name, it in happened.items()}
    return counts


def sums_of(counts: Iterable[str]) -> list[nw.Expr]:
    """Return what counts all rows and those of each `n_…`, and adds up each `key_…`."""
    columns = {name: nw.col(name) for name in counts}  # not every engine sums an expression
    summed = [it.sum() if name.startswith("key_") else it.count() for name, it in columns.items()]
    return [nw.len().alias("n_left"), *summed]


def _keys_of(*conditions: nw.Expr) -> nw.Expr:
    """Return the record's key where all conditions hold, and 0 elsewhere, never null."""
    key = nw.col(KEY).cast(nw.Int64)
    return nw.when(flag(*conditions) == 1).then(key).otherwise(nw.lit(0)) if conditions else key


def _counted(
    frame: nw.LazyFrame[Any],
    by: list[str],
    columns: list[str],
    *,
    below: int,
    up_to: int | None = None,
) -> pl.DataFrame:
    """Count rows by group and by `_kind`, called `duration`."""
    time, entry = (nw.col(name).cast(nw.Float64) for name in ("duration", "entry"))
    counts = leaving_counts(columns)
    if any(name.startswith("end_") for name in columns):
        counts["n_passed"] = present_if(nw.col("passed"))
        counts["n_endless"] = present_if(nw.col("passed"), ~nw.col("event"))
    if "entry" in columns:
        known = entry.is_finite() & (entry >= 0)
        counts["n_no_entry"] = present_if(flag(known) == 0)  # true of nulls, too
        counts["n_late"] = present_if(known, (entry > 0) & (entry >= time))
        counts["n_start"] = present_if(entry <= 0)
        if KEY in columns:
            counts["key_start"] = _keys_of(entry <= 0)
    kind = _kind(columns, below).cast(nw.Int64).alias("duration")
    rows = frame.select(*by, kind, *(value.alias(name) for name, value in counts.items()))
    return grouped(
        rows, [*by, "duration"], sums_of(counts), n_values={"duration": _EXCLUDED + 1}, up_to=up_to
    )


def _kind(columns: list[str], below: int) -> nw.Expr:
    """Return an included time if it is a whole number below this, else why it is not.

    With late entry, both times must be whole.
    """
    time = nw.col("duration").cast(nw.Float64)
    entry_is_whole = [_is_whole("entry", 2**53)] if "entry" in columns else []
    event_is_known = ~nw.col("event").is_null()
    kinds: list[tuple[nw.Expr | int, list[nw.Expr]]] = [
        (time, [event_is_known, _is_whole("duration", below), *entry_is_whole]),
        (_TIMELESS, [time.is_null()]),
        (_EVENTLESS, [nw.col("event").is_null()]),
        (_LARGE, [_is_whole("duration", 2**53), *entry_is_whole]),
        (_EXACT, [time.is_finite(), time >= 0]),
    ]
    if "excluded" in columns:
        reason = nw.col("excluded")
        kinds = [(_UNDATED, [reason == UNDATED]), (_EXCLUDED, [~reason.is_null()]), *kinds]
    found = nw.lit(float(_IMPOSSIBLE))
    for kind, conditions in reversed(kinds):
        value = nw.lit(float(kind)) if isinstance(kind, int) else kind
        found = nw.when(*conditions).then(value).otherwise(found)
    return found


def _is_whole(name: str, below: int) -> nw.Expr:
    """Whether a time is a whole number below this; all floats from 2⁵³ on are whole."""
    time = nw.col(name).cast(nw.Float64)
    known = nw.when(time.is_finite(), time >= 0, time < below).then(time)
    return known.floor() == time  # `floor` returns an integer in some engines


def _of_groups(counts: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Add up the counts of each group."""
    kind = pl.col("duration")
    small, included, excluded = kind < _SMALL, kind < _UNDATED, kind >= _UNDATED

    def of(name: str, rows: pl.Expr = included, *, otherwise: str = "") -> pl.Expr:
        there = name if name in counts.columns else otherwise
        return pl.col(there).filter(rows).sum() if there else pl.lit(0, pl.Int64)

    found = {
        "n_learners": of("n_left"),
        "n_timeless": of("n_left", kind == _TIMELESS),
        "n_no_time": of("n_left", kind == _IMPOSSIBLE),
        "n_eventless": of("n_left", kind == _EVENTLESS),
        "n_endless": of("n_endless"),
        "n_no_entry": of("n_no_entry"),
        "n_late": of("n_late"),
        "n_passed": of("n_passed", otherwise="n_events"),
        "n_events": of("n_events"),
        "n_excluded": of("n_left", excluded),
        "n_undated": of("n_left", kind == _UNDATED),
        "n_start": of("n_start", otherwise="n_left"),
        "n_whole": of("n_left", kind <= _LARGE),
        "n_times": small.sum().cast(pl.Int64),
        "longest": kind.filter(small).max().cast(pl.Float64),
    }
    if "key_left" in counts.columns:
        found |= {
            "key_learners": of("key_left"),
            "key_events": of("key_events"),
            "key_start": of("key_start", otherwise="key_left"),
            "key_excluded": of("key_left", excluded),
            "key_undated": of("key_left", kind == _UNDATED),
        }
    named = [value.alias(name) for name, value in found.items()]
    return per_group(counts, by, named).head(counts.height)


def _with_last(groups: pl.DataFrame, frame: nw.LazyFrame[Any], by: list[str]) -> pl.DataFrame:
    """Read the last time of each group, which limits how many whole times there are."""
    time = of_included(nw.col("duration").cast(nw.Float64), frame.collect_schema().names())
    rows = frame.select(*by, time.alias("longest"))
    parts = [groups.select(*by, "longest")]  # first, so that the groups keep their order
    parts += counted_in_slices(rows, by, [nw.col("longest").max()])
    longest = per_group(pl.concat(parts), by, [pl.col("longest").max()])["longest"]
    n_whole = pl.col("n_whole")
    most_whole = pl.min_horizontal(n_whole, longest.fill_null(0).floor() + 1)
    n_times = pl.col("n_learners") - n_whole + most_whole
    return groups.with_columns(longest).with_columns(n_times=n_times)
