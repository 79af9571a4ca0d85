"""Curves of too many times to list: computed range by range, with rows at some of the times.

Each row that is kept has the exact estimate at its time, and counts what happened since the
previous one. The kept times include all that release, milestones and quantiles need, so these are
the same as with every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from toolkit.survival.ranges import EventRanges, with_groups
from toolkit.survival.risk_sets import GROUP, in_blocks

if TYPE_CHECKING:
    from toolkit.survival.standardization import Standardization

MOST_STEPS = 1_000_000
"""About how many rows are kept of a result's curves, if there are too many times.

Whole units of time are always kept, since a released curve has its steps there.
"""

ROWS_AT_ONCE = 250_000
"""The most rows of a range computed at once."""

BEFORE = " before"
SO_FAR = " so far"
"""The ending of columns that an estimate needs only to resume in the next range."""

_TOLERANCE = 1e-9  # as in release.curves and curve_statistics
Estimate = Callable[[pl.DataFrame], pl.DataFrame]


def before(name: str, rows: pl.DataFrame, start: float) -> pl.Expr:
    """Return a column's value in the last computed row of the curve; `start` if there is none."""
    known = pl.col(name + BEFORE) if name + BEFORE in rows.columns else pl.lit(None, pl.Float64)
    return known.fill_null(start)


def with_history(rows: pl.DataFrame, each: Sequence[str] = (GROUP,)) -> pl.DataFrame:
    """Append what the limits of an interval need of all rows so far.

    Returns:
        `_throughout`, the smallest number at risk so far: before the first event, none of so many
        has passed. Without late entry it is the number at risk; null until somebody is. And the
        mean and the mean square of Fay's product of betas, see `kaplan_meier.ends_at_0`.
    """
    n, d = pl.col("n_at_risk"), pl.col("n_events")
    mean = pl.when(d > 0).then((n - d + 1) / (n + 1)).otherwise(1.0)
    square = pl.when(d > 0).then((n - d + 1) * (n - d + 2) / ((n + 1) * (n + 2))).otherwise(1.0)
    least = observed_throughout(each)
    if "_throughout" + BEFORE in rows.columns:
        least = pl.min_horizontal(least, "_throughout" + BEFORE)
    return rows.with_columns(
        _throughout=least,
        _mean=mean.cum_prod().over(each) * before("_mean", rows, 1.0),
        _square=square.cum_prod().over(each) * before("_square", rows, 1.0),
    )


def observed_throughout(each: Sequence[str] = (GROUP,), per_row: pl.Expr | float = 1) -> pl.Expr:
    """Return the smallest number at risk so far, of so many per row; see `with_history`."""
    n = pl.col("n_at_risk") * per_row
    return pl.when(n > 0).then(n).cum_min().forward_fill().over(each)


def until_next(
    at_risk: pl.Expr, each: Sequence[str] = (GROUP,), per_row: pl.Expr | float = 1
) -> pl.Expr:
    """Return the smallest number at risk so far, after this time and before the next row's."""
    n = (pl.col("n_at_risk") * per_row).shift(-1).over(each)
    return pl.when(n > 0).then(pl.min_horizontal(at_risk, n)).otherwise(at_risk)


class Resumable:
    """An estimate that resumes from the previous rows; those of each curve must come in order."""

    def __init__(self, estimate: Estimate, each: Sequence[str] = (GROUP,)) -> None:
        self._estimate, self._each = estimate, list(each)
        self._last: pl.DataFrame | None = None

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Append the estimates to the next rows."""
        own = rows
        if self._last is not None:
            own = rows.join(self._last, on=self._each, how="left", maintain_order="left")
        known = _without(BEFORE, self._estimate(own))
        estimates = [name for name in known.columns if name not in rows.columns]
        self._carry(known.select(*self._each, "duration", *estimates))
        return _without(SO_FAR, known)

    def _carry(self, estimates: pl.DataFrame) -> None:
        last = estimates.unique(self._each, keep="last").rename(
            lambda name: name if name in self._each else name + BEFORE
        )
        if self._last is not None:
            last = pl.concat([self._last, last]).unique(self._each, keep="last")
        self._last = last


class CurveBuilder:
    """Build curves from an event table: all rows of a short one, some rows of a long one.

    Args:
        ranges: The event table.
        estimate: Appends the estimates to its rows, beginning from `before`.
        prepare: Transforms the rows beforehand.
        each: The columns that identify a curve.
        borders: Times whose neighbouring rows, before and after, must be kept.
        interval: Appends the interval, if means are needed: up to a border, or to the common
            horizon of the groups. It may also append the lower limit at another level,
            `SIMULTANEOUS`.
        levels: Heights whose first times must be kept, for the curve and its limits.
    """

    def __init__(
        self,
        ranges: EventRanges | Standardization,
        estimate: Estimate,
        *,
        prepare: Estimate | None = None,
        each: Sequence[str] = (GROUP,),
        borders: Sequence[float] = (),
        interval: Estimate | None = None,
        levels: Sequence[float] = (),
    ) -> None:
        self._prepare = prepare or (lambda rows: rows)
        self._estimate, self._interval = estimate, interval
        self._levels = levels
        self._each = list(each)
        self._about, self._is_short = ranges.about, not ranges.is_long
        self._parts: list[pl.DataFrame] = []
        self._onward = Resumable(partial(_with_all, estimate, interval, self._each), each)
        if not self._is_short:
            cells = max(MOST_STEPS / max(ranges.last, 1.0) / ranges.about.height, 1.0)
            self._fineness = 2.0 ** math.floor(math.log2(cells))  # so whole times are cells' ends
            if interval is not None:
                borders = [*borders, *ranges.ends_of_means]
        near = (t + away for t in borders for away in (0.0, -1.0, _TOLERANCE, -_TOLERANCE))
        self._borders = pl.Series(sorted({*near}), dtype=pl.Float64)

    def add(self, rows: pl.DataFrame) -> None:
        """Compute the next range."""
        if self._is_short:
            self._parts.append(
                in_blocks(rows, lambda some: _without(SO_FAR, self._estimate(self._prepare(some))))
            )
            return
        for some in rows.iter_slices(ROWS_AT_ONCE):
            self._parts.append(self._kept(self._onward(self._prepare(some))))

    def table(self) -> pl.DataFrame:
        """Return the rows that are kept, by curve and time."""
        table = pl.concat(self._parts)
        if not self._is_short:
            table = table.sort(*self._each, "duration")
        return with_groups(table, self._about)

    def _kept(self, known: pl.DataFrame) -> pl.DataFrame:
        """Keep some rows, with the counts and sums since the previous one kept."""
        is_kept = known.select(self._is_kept(known)).to_series()
        counts = pl.col("^(n|key)_(events|censored|any)$")
        kept = (
            known.with_columns(counts.cum_sum(), n_times=pl.int_range(1, pl.len() + 1))
            .filter(is_kept)
            .with_columns(
                column - column.shift(fill_value=0) for column in (counts, pl.col("n_times"))
            )
        )
        if self._interval is None:
            return kept
        row = is_kept.shift(1, fill_value=False).cum_sum()
        return kept.with_columns(_summed(known, row).get_columns())

    def _is_kept(self, known: pl.DataFrame) -> pl.Expr:
        time = pl.col("duration")
        units = [
            *map(pl.col, self._each),
            time.ceil(),
            (time - _TOLERANCE).ceil(),
            pl.lit(self._borders.search_sorted(known["duration"], side="left")),
            pl.lit(self._borders.search_sorted(known["duration"], side="right")),
        ]
        cells = [*units, (time * self._fineness).ceil()]
        events = pl.col("n_any" if "n_any" in known.columns else "n_events")
        all_end = (events == pl.col("n_at_risk")) & (events > 0)
        survival, bounds = pl.col("survival"), pl.col("ci_low", "ci_high")
        between = (survival > 0) & (survival < 1)
        down = [survival <= level + _TOLERANCE for level in self._levels]
        down += [between & (bounds <= level + _TOLERANCE) for level in self._levels]
        return pl.any_horizontal(
            all_end,
            *(_differs(one, 1) for one in units),
            *(_differs(one, -1) for one in cells),
            *(is_down & ~is_down.shift(1, fill_value=False) for is_down in down),
        ).fill_null(value=False)


def _with_all(
    estimate: Estimate, interval: Estimate | None, each: list[str], rows: pl.DataFrame
) -> pl.DataFrame:
    known = with_history(estimate(rows), each)
    return known if interval is None else _with_parts(interval(known))


def _without(suffix: str, table: pl.DataFrame) -> pl.DataFrame:
    return table.drop(name for name in table.columns if name.endswith(suffix))


def _differs(column: pl.Expr, by: int) -> pl.Expr:
    return column.ne_missing(column.shift(by))


AREAS, STEPS = ["_area", "_low_area"], ["_w", "_aw", "_aaw"]
SIMULTANEOUS, _SIMULTANEOUS_AREA = "_simultaneous", "_simultaneous_area"


def with_parts_of_mean(curve: pl.DataFrame) -> pl.DataFrame:
    """Append each row's contributions to the restricted mean and to its variance.

    Returns:
        `_area` and `_low_area`, the areas below the curve and below its lower limit since the
        previous row. And, with w = d / (n (n - d)) for a step and a the area from the step to the
        row that stands for it, Σ w, Σ a w and Σ a² w over the steps that the row stands for.
    """
    return curve if "_area" in curve.columns else in_blocks(curve, _with_parts)


def at_simultaneous_level(curve: pl.DataFrame) -> pl.DataFrame:
    """Use the area below the lower limit at the simultaneous level, if there is one."""
    if _SIMULTANEOUS_AREA not in curve.columns:
        return curve
    return curve.with_columns(pl.col(_SIMULTANEOUS_AREA).alias("_low_area"))


def _with_parts(curve: pl.DataFrame) -> pl.DataFrame:
    is_first, is_known = _differs(pl.col(GROUP), 1), pl.col("survival").is_not_null()
    n, d = pl.col("n_at_risk"), pl.col("n_events")

    def previous(name: str, start: float) -> pl.Expr:
        held = pl.when(is_known).then(pl.col(name).fill_null(start)).forward_fill()
        return pl.when(is_first).then(before(name, curve, start)).otherwise(held.shift(1))

    width = pl.col("duration") - previous("duration", 0.0)

    def low_area(name: str) -> pl.Expr:
        """Before the first event, as many are at risk since the previous row as at this one."""
        own = pl.when(pl.col("survival") == 1).then(name)
        return own.fill_null(previous(name, 1.0)) * width

    if SIMULTANEOUS in curve.columns:
        curve = curve.with_columns(low_area(SIMULTANEOUS).alias(_SIMULTANEOUS_AREA))
    return curve.with_columns(
        _area=previous("survival", 1.0) * width,
        _low_area=low_area("ci_low"),
        _w=pl.when((d > 0) & (n > d)).then(d / (n * (n - d))).otherwise(0.0),
        _aw=pl.lit(0.0),
        _aaw=pl.lit(0.0),
    )


def _summed(known: pl.DataFrame, row: pl.Series) -> pl.DataFrame:
    """Sum the contributions of the steps that the same kept row stands for, given its number."""
    so_far = pl.col("_area").cum_sum().over(GROUP)
    to_row, w = pl.col("_a").last() - pl.col("_a"), pl.col("_w")
    areas = [name for name in (*AREAS, _SIMULTANEOUS_AREA) if name in known.columns]
    found = (
        known.select(*areas, "_w", so_far.alias("_a"), row.alias("_row"))
        .group_by("_row", maintain_order=True)
        .agg(pl.col(*areas, "_w").sum(), _aw=(to_row * w).sum(), _aaw=(to_row**2 * w).sum())
    )
    return found.drop("_row")
