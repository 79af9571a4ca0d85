"""Person-period data: durations cut into periods, for discrete-time hazard models."""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from toolkit.errors import ArgumentError, SchemaError
from toolkit.schemas.arguments import a_number
from toolkit.survival.event_table import require_valid
from toolkit.survival.hazards import MOST_STRETCHES

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
_TOLERANCE = 1e-9


def person_period(durations: Frame, *, every: float = 7) -> Frame:
    """Cut each duration into periods of equal length, for a discrete-time hazard model.

    One row per learner per course and period observed to its end, or ended by a pass. A model of
    `event` on `period` (logistic, or cloglog for proportional hazards) then estimates the hazard of
    passing in each period. The frame has a row for every period of every learner.

    Args:
        durations: What `time_to_pass` returns, a DataFrame or a LazyFrame. Excluded learners are
            left out. With `entry` only periods that begin at or after it are kept.
        every: The length of a period, in the unit of the durations. Period 1 is (0, every].

    Returns:
        The columns of the durations without `entry` and `excluded`, and with `period`, a number
        from 1; `event` says whether the learner passed in the period. The period in which a
        learner is censored is not observed to its end, and has no row.

    Raises:
        SchemaError: As for `kaplan_meier` of all learners: a column is missing, a value is
            impossible, or too many passes lack a date.
        ArgumentError: The frame is not a Polars one, `every` is not above 0, or there are too many
            periods.

    Source:
        Allison (1982), Discrete-time methods for the analysis of event histories, Sociological
        Methodology 13, 61–98.

    Examples:
        >>> durations = pl.DataFrame({"duration": [10.0, 20.0], "event": [True, False]})
        >>> person_period(durations).select("duration", "period", "event").rows()
        [(10.0, 1, False), (10.0, 2, True), (20.0, 1, False), (20.0, 2, False)]
    """
    if not isinstance(durations, pl.DataFrame | pl.LazyFrame):
        raise ArgumentError(
            "person_period needs a Polars frame, as time_to_pass returns, not "
            f"{type(durations).__name__}"
        )
    every = a_number(every, name="every", above=0)
    require_valid(durations)
    frame = durations.lazy()
    schema = frame.collect_schema()
    if "period" in schema:
        raise SchemaError("durations has a column `period`; rename yours first")
    if "excluded" in schema:
        frame = frame.filter(pl.col("excluded").is_null())
    duration, event = pl.col("duration"), pl.col("event")
    entry = pl.col("entry").fill_null(0.0) if "entry" in schema else pl.lit(0.0)
    longest = frame.select(duration.max()).collect().item() or 0
    if longest / every > MOST_STRETCHES:
        raise ArgumentError(
            f"every = {every:g} cuts {longest:g} into more than {MOST_STRETCHES:,} periods"
        )
    # A quotient that should be a whole number may miss it by 1e-16.
    periods = duration / every
    begun, ended = (periods - _TOLERANCE).ceil().clip(1.0), (periods + _TOLERANCE).floor()
    last = pl.when(event).then(begun).otherwise(ended).cast(pl.Int64)
    first = (entry / every - _TOLERANCE).ceil().clip(0.0).cast(pl.Int64) + 1
    found = (
        frame.with_columns(period=pl.int_ranges(first, last + 1), _last=last)
        .filter(pl.col("period").list.len() > 0)
        .explode("period")
        .with_columns(event=event & (pl.col("period") == pl.col("_last")))
        .drop("_last", "entry", "excluded", strict=False)
    )
    return found.collect() if isinstance(durations, pl.DataFrame) else found
