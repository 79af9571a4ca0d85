"""Progress of enrollment cohorts by time since enrollment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import Frame, flag, latest_moment, records, whole_steps
from toolkit.analyses.grouping import (
    COHORTS,
    By,
    Groups,
    count_by,
    first_day,
    groups_of,
    per_group,
    with_spans,
)
from toolkit.analyses.intervals import LEVEL, rate
from toolkit.analyses.stages import COMPLETED, DAYS_TO_PASS, ENROLLED, completed
from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_level, a_whole_number, as_given, one_of
from toolkit.schemas.outcome_results import COHORT_PROGRESS

Cohort = Literal["1w", "1mo", "1q", "1y"]
UNDATED = "in no cohort: no enrollment date"
NOT_YET = "not yet"
NO_SNAPSHOT = "no snapshot of this period"
SECONDS_A_DAY = 86_400
# Unlike the name of any column of person_course.
COHORT, UNSEEN = " cohort", " unseen"


def cohort_progress(
    pc: Frame,
    *,
    cohort: Cohort = "1mo",
    step: str = "30d",
    periods: int = 12,
    by: By = None,
    level: float = LEVEL,
) -> Result:
    """Estimate the share who passed by time since enrollment, for each enrollment cohort.

    One row per group, cohort and number of periods k. The denominator of a cell is the members
    observed for at least k periods at `as_of`; the numerator, those of them who passed within k
    periods. So nobody counts as a failure for lack of time. A cell that nobody has reached is null,
    with status "not yet". Because later cells lose the youngest members, a share may fall.

    Args:
        pc: A person_course frame of any engine.
        cohort: Span of enrollment that makes a cohort: "1w" (from Monday), "1mo", "1q" or "1y".
        step: Length of a period in days or weeks, such as "30d" or "4w".
        periods: How many periods to follow.
        by: Further columns to group by.
        level: The coverage of the intervals, a fraction.

    Returns:
        The group columns and those of `schemas.outcome_results.COHORT_PROGRESS`. n_excluded
        counts passes before enrollment and passes whose time is unknown. The enrolled without a
        date of enrollment are one row without cohort and period.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: An argument is invalid.

    Source:
        Wilson (1927), JASA 22, 209–212, for the intervals.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "passed": [True, False, True],
        ...     "enrolled_day": [20454, 20455, 20490], "days_to_pass": [40.0, None, 5.0],
        ...     "observed_days": [65.5, 64.5, 29.5]})
        >>> cohort_progress(pc, periods=2).frame.select("cohort", "period", "n_observed",
        ...     "n_reached", "reach_rate", "status").rows()
        [(datetime.date(2026, 1, 1), 1, 2, 0, 0.0, 'shown'),
         (datetime.date(2026, 1, 1), 2, 2, 1, 0.5, 'shown'),
         (datetime.date(2026, 2, 1), 1, None, None, None, 'not yet'),
         (datetime.date(2026, 2, 1), 2, None, None, None, 'not yet')]
    """
    days = _days_of(step)
    groups, level = _checked(cohort, periods, by), a_level(level)
    need = ["in_enrollments", "passed", "enrolled_day", "days_to_pass", "observed_days"]
    rows = with_spans(records(pc, need), {COHORT: cohort})
    excluded = (DAYS_TO_PASS < 0) | (nw.col("passed") & DAYS_TO_PASS.is_null())
    within = {
        "cohort": nw.col(COHORT),
        "seen": _at_most(whole_steps(nw.col("observed_days"), days), periods),
        # One more than the last period stands for "not within the periods".
        "reached": _at_most(_period(DAYS_TO_PASS, days), periods + 1),
        "excluded": flag(excluded),
    }
    cells = (
        count_by(rows, groups, {"n": ENROLLED}, within=within)
        .pipe(partial(_dated, cohort=cohort))
        .pipe(partial(_cells, groups=groups, periods=periods))
    )
    derive = partial(_table, outcome="passed", days=days, level=level)
    return Result.from_counts(
        COHORT_PROGRESS, groups.names, cells.n, derive, keys=cells.keys, level=level
    )


def _cells(counted: pl.DataFrame, *, groups: Groups, periods: int) -> pl.DataFrame:
    """Count, per cohort and period, those observed that long and those who had passed by then."""
    member = pl.col("excluded") == 0
    n = pl.col("n")
    cells = (
        counted.join(pl.DataFrame({"period": range(1, periods + 1)}), how="cross")
        .with_columns(is_seen=member & (pl.col("seen") >= pl.col("period")).fill_null(value=False))
        .pipe(
            per_group,
            [*groups.keys, "cohort", "period"],
            [
                n.filter(~member).sum().alias("n_excluded"),
                n.filter(member).sum().alias("n_members"),
                n.filter("is_seen").sum().alias("n_observed"),
                n.filter("is_seen", pl.col("reached") <= pl.col("period")).sum().alias("n_reached"),
            ],
        )
    )
    return _one_undated_row(cells.with_columns(pl.lit(NOT_YET).alias(UNSEEN)), groups)


def completion_progress(
    history: Sequence[Frame],
    *,
    cohort: Cohort = "1mo",
    step: str = "30d",
    periods: int = 12,
    by: By = None,
    completed_from: float = COMPLETED,
    level: float = LEVEL,
) -> Result:
    """Estimate the share who completed by time since enrollment, per cohort, from snapshots.

    One row per group, cohort and number of periods k. The platform says how much of a course is
    completed, not since when; a history of snapshots does. A cell counts the members that a
    snapshot saw in their k-th period, at the last such snapshot. Completions later in the period
    appear in the next, so the share is at most that at the period's end.

    Args:
        history: person_course frames of several moments, in any order and of any engine.
        cohort: Span of enrollment that makes a cohort: "1w" (from Monday), "1mo", "1q" or "1y".
        step: Length of a period in days or weeks, such as "30d" or "4w".
        periods: How many periods to follow.
        by: Further columns to group by.
        completed_from: The completion, a fraction, from which a learner counts as completed.
        level: The coverage of the intervals, a fraction.

    Returns:
        The table of `cohort_progress`. n_members are those of the latest snapshot. A cell is null
        if no member was enrolled that long, "not yet", or no snapshot falls into the period.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: There is no snapshot, or two of the same moment, or an argument is invalid.

    Examples:
        >>> from datetime import datetime
        >>> early, late = (pl.DataFrame({"in_enrollments": True, "completion": done,
        ...     "enrolled_day": 20454, "observed_days": age, "as_of": datetime(2026, 1, day)})
        ...     for done, age, day in (([0.1, 0.9], 5.0, 6), ([0.8, 0.9], 9.0, 10)))
        >>> completion_progress([early, late], step="1w", periods=3).frame.select("period",
        ...     "n_observed", "n_reached", "status").rows()
        [(1, 2, 1, 'shown'), (2, 2, 2, 'shown'), (3, None, None, 'not yet')]
    """
    days = _days_of(step)
    groups, level = _checked(cohort, periods, by), a_level(level)
    done = completed(completed_from)
    need = ["in_enrollments", "completion", "enrolled_day", "observed_days", "as_of"]
    seen = []
    snapshots = _in_time(history, need, cohort)
    for (moment, rows), later in zip(snapshots, [*snapshots[1:], None], strict=True):
        age = nw.col("observed_days")
        period = _period(age, days)
        last = age > 0
        if later is not None:
            gap = (later[0] - moment).total_seconds() / SECONDS_A_DAY
            last = last & (_period(age + gap, days) > period)
        counts = {"n": ENROLLED, "n_observed": ENROLLED & last, "n_reached": done & last}
        within = {"cohort": nw.col(COHORT), "period": _at_most(period, periods + 1)}
        counted = count_by(rows, groups, counts, within=within)
        seen.append(counted.pipe(partial(_dated, cohort=cohort)))
    cells = partial(_cells_of_snapshots, groups=groups, periods=periods)
    key_sums = [one.keys for one in seen if one.keys is not None]
    return Result.from_counts(
        COHORT_PROGRESS,
        groups.names,
        cells([one.n for one in seen]),
        partial(_table, outcome="completed", days=days, level=level),
        keys=cells(key_sums) if len(key_sums) == len(seen) else None,
        level=level,
    )


def _cells_of_snapshots(seen: list[pl.DataFrame], *, groups: Groups, periods: int) -> pl.DataFrame:
    """Combine the snapshots: members from the latest, those who reached from each period."""
    key = [*groups.keys, "cohort"]
    parts = [one.with_columns(is_last=pl.lit(one is seen[-1])) for one in seen]
    try:
        # A column may have another type in an older snapshot, such as that of nulls only.
        every = pl.concat(parts, how="vertical_relaxed")
    except pl.exceptions.SchemaError as error:
        of = ", ".join(groups.names)
        raise SchemaError(f"{of} has types in these snapshots that do not fit: {error}") from error
    members = (
        every.filter("is_last")
        .group_by(key)
        .agg(n_members=pl.col("n").sum(), oldest=pl.col("period").max().fill_null(0))
    )
    reached = every.group_by(*key, "period").agg(pl.col("n_observed", "n_reached").sum())
    cells = (
        members.join(pl.DataFrame({"period": range(1, periods + 1)}), how="cross")
        .join(reached, on=[*key, "period"], how="left", nulls_equal=True)
        .with_columns(
            pl.when(pl.col("period") > pl.col("oldest"))
            .then(pl.lit(NOT_YET))
            .otherwise(pl.lit(NO_SNAPSHOT))
            .alias(UNSEEN),
            pl.col("n_observed", "n_reached").fill_null(0),
            n_excluded=pl.lit(0, dtype=pl.Int64),
        )
    )
    return _one_undated_row(cells, groups)


def _in_time(
    history: Sequence[Frame], need: Sequence[str], cohort: Cohort
) -> list[tuple[datetime, nw.LazyFrame[Any]]]:
    """Return the snapshots with their moments, oldest first, without empty ones."""
    if isinstance(history, str | bytes) or not isinstance(history, Sequence):
        raise ArgumentError(
            f"history must be a list of person_course frames, not {type(history).__name__}"
        )
    moments: dict[datetime, nw.LazyFrame[Any]] = {}
    for frame in history:
        rows = with_spans(records(frame, need), {COHORT: cohort})
        moment = latest_moment(rows)
        if moment in moments:
            raise ArgumentError(f"two snapshots are of the same moment, {moment}")
        if moment is not None:
            moments[moment] = rows
    if not moments:
        raise ArgumentError("completion_progress needs at least one snapshot with learners")
    return sorted(moments.items())


def _period(days: nw.Expr, step: int) -> nw.Expr:
    """Return the number, from 1, of the period that ends at or after this time."""
    return whole_steps(days * -1, step) * -1


def _at_most(value: nw.Expr, largest: int) -> nw.Expr:
    """Cap a whole number at `largest`; null stays null."""
    capped = nw.when(value > largest).then(nw.lit(float(largest))).otherwise(value)
    return capped.cast(nw.Int64)


def _dated(counted: pl.DataFrame, *, cohort: Cohort) -> pl.DataFrame:
    """Return the count table of the enrolled, with the first day of each cohort."""
    return counted.filter(pl.col("n") > 0).with_columns(cohort=first_day(pl.col("cohort"), cohort))


def _one_undated_row(cells: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Keep a single row of the undated, not one per period; sort."""
    kept = cells.filter(pl.col("cohort").is_not_null() | (pl.col("period") == 1))
    return groups.named(kept.drop("oldest", strict=False).sort(*groups.keys, "cohort", "period"))


def _table(cells: pl.DataFrame, *, outcome: str, days: int, level: float) -> pl.DataFrame:
    """Append rates and status to the counted cells."""
    dated = pl.col("cohort").is_not_null()
    return cells.with_columns(
        *rate("reach_rate", "n_reached", "n_observed", level=level),
        pl.when(pl.col("n_observed") > 0).then(pl.col("n_observed", "n_reached")),
        outcome=pl.lit(outcome),
        period=pl.when(dated).then("period"),
        days=pl.when(dated).then(pl.col("period") * days),
        status=pl.when(~dated)
        .then(pl.lit(UNDATED))
        .when(pl.col("n_observed") == 0)
        .then(UNSEEN)
        .otherwise(pl.lit("shown")),
    )


def _checked(cohort: str, periods: int, by: By) -> Groups:
    one_of(cohort, COHORTS.values(), name="cohort")
    a_whole_number(periods, name="periods", least=1, most=520)
    return groups_of(by, COHORT_PROGRESS)


def _days_of(step: str) -> int:
    """Return the days in a step like "30d" or "4w"; months have no fixed length."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dw])", step) if isinstance(step, str) else None
    if not match:
        raise ArgumentError(
            f'step must be whole days or weeks, such as "30d" or "4w", not {as_given(step)}'
        )
    return int(match[1]) * (7 if match[2] == "w" else 1)
