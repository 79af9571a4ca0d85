"""Release step curves, with a step only after enough further learners reached an end.

A curve with a step per learner reveals the day on which each passed. So a released curve has a
step only where at least `min_n` further learners reached the end, at a whole unit of time. The
height of a step is the exact estimate times the learners, rounded to a neighbouring multiple of
5, over the released number of learners. At the ticks of an axis, and at requested times, the
height is rounded again, as a count by that time would be. Censoring never bends the curve. Between
two steps it lags behind the exact one by fewer than `min_n` learners.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from toolkit.release.rounding import release_counts, rounded

STEPS = [1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1460, 3650]
_TOLERANCE = 1e-9  # about the error of a product of fractions that should be a whole number


def ticks(longest: float, *, about: int = 8) -> list[float]:
    """Return round times from 0 to the longest, at most about `about` of them.

    Examples:
        >>> ticks(400)
        [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0]
    """
    fitting = (step for step in STEPS if longest // step <= about)
    step = next(fitting, longest / about)
    return [float(i * step) for i in range(int(longest // step) + 1)] if step else [0.0]


def release_curves(
    exact: pl.DataFrame, group: str, *, min_n: int, wanted: Sequence[float]
) -> pl.DataFrame:
    """Return the rows of each group's released curve, by group and time, one per end.

    There is a row at time 0, at each step, and at each wanted time as long as enough learners
    are at risk. All groups are released at once: thousands of small curves take no longer than
    one with as many rows.

    Args:
        exact: By group, end and time: `end` (null if there is one only), `duration`, `n_at_risk`,
            `n_events`, `n_censored`, the sums of keys behind these counts (`key_at_risk` and the
            like), and `incidence`, the estimated share that has reached the end. Sorted by time;
            every end of a group has all times of the group, from 0 on.
        group: The column with the number of the group.
        min_n: The fewest learners of a step, and at risk.
        wanted: Times that get a row, such as the ticks of a chart.

    Returns:
        `group`, `end` and `duration`; `n_at_risk` and `n_events` as released, null if withheld
        (events are given only at steps); `weight` and `share`, the learners at risk and events
        from which an estimator arrives at the released incidence; and `is_shown`, false as long
        as fewer than `min_n` have reached the end. A group with fewer than `min_n` learners has
        one row of nulls per end.
    """
    curves = exact.select(group, "end").unique(maintain_order=True).with_row_index("_curve")
    exact = exact.join(curves, on=[group, "end"], nulls_equal=True, maintain_order="left")
    of_first_end = pl.col("_curve") == pl.col("_curve").min().over(group)
    exact = exact.with_columns(_is_first=of_first_end)
    groups = _learners(exact, group, min_n)
    first = exact.filter("_is_first").join(groups, on=group, how="semi", maintain_order="left")
    times = _with_at_risk(_times(first, group, wanted), first, group, min_n)
    grid = times.join(curves, on=group).join(groups, on=group).sort("_curve", "duration")
    heights = _with_heights(grid, exact, min_n)
    is_shown = (pl.col("_is_wanted") & pl.col("n_at_risk").is_not_null()) | (
        pl.col("duration") == 0
    )
    is_row = pl.col("_is_step").any().over(group, "duration") | is_shown
    rows = heights.filter(is_row).sort(group, "duration", "_curve")
    nothing = curves.join(groups, on=group, how="anti").with_columns(duration=0.0)
    found = pl.concat([_with_shares(rows, group), nothing], how="diagonal")
    columns = ["end", "duration", "n_at_risk", "n_events", "weight", "share", "is_shown"]
    return found.sort(group, "duration", "_curve").select(group, *columns)


def _learners(exact: pl.DataFrame, group: str, min_n: int) -> pl.DataFrame:
    """Return the learners of each group that is large enough, exactly and as released."""

    def learners(what: str) -> pl.Expr:
        censored = pl.col(f"{what}_censored").filter("_is_first")  # they are in every end
        return pl.col(f"{what}_events").sum() + censored.sum()

    counted = exact.group_by(group).agg(n=learners("n"), key=learners("key"))
    large = counted.filter(pl.col("n") >= min_n)
    shown = release_counts(large["n"], large["key"], min_n=min_n)
    return large.select(group, _learners="n", _released=shown)


def _times(exact: pl.DataFrame, group: str, wanted: Sequence[float]) -> pl.DataFrame:
    """Return the whole times at which something happened in each group, 0, and the wanted times."""
    whole = (pl.col("duration") - _TOLERANCE).ceil().abs()  # no −0
    chosen = pl.DataFrame({"duration": [0.0, *wanted]}, schema={"duration": pl.Float64})
    chosen = chosen.with_columns(_is_wanted=pl.col("duration").is_in(list(wanted)))
    happened = exact.select(group, duration=whole, _is_wanted=pl.lit(value=False))
    everywhere = exact.select(group).unique().join(chosen, how="cross")
    times = pl.concat([happened, everywhere]).group_by(group, "duration")
    return times.agg(pl.col("_is_wanted").any()).sort(group, "duration")


def _with_at_risk(times: pl.DataFrame, exact: pl.DataFrame, group: str, min_n: int) -> pl.DataFrame:
    """Append the released numbers at risk at each time, and just after one unit earlier."""
    counts = exact.select(group, "duration", "n_at_risk", "key_at_risk")

    def released(time: pl.Expr, *, after: bool) -> pl.Series:
        found = times.select(group, _at=time).join_asof(
            counts,
            left_on="_at",
            right_on="duration",
            by=group,
            strategy="forward",
            allow_exact_matches=not after,
            check_sortedness=False,  # it is sorted by group
        )
        return release_counts(found["n_at_risk"], found["key_at_risk"], min_n=min_n)

    time = pl.col("duration")
    return times.with_columns(
        n_at_risk=released(time, after=False), weight=released(time - 1, after=True)
    )


def _with_heights(grid: pl.DataFrame, exact: pl.DataFrame, min_n: int) -> pl.DataFrame:
    """Append where the steps are, the events they show, and the learners at an end by each time."""
    so_far = exact.select(
        "_curve",
        "duration",
        pl.col("n_events", "key_events").cum_sum().over("_curve"),
        pl.col("incidence").fill_null(0.0),
    )
    at = grid.with_columns(_at=pl.col("duration") + _TOLERANCE).join_asof(
        so_far, left_on="_at", right_on="duration", by="_curve", check_sortedness=False
    )
    height = np.round((at["incidence"] * at["_learners"]).to_numpy(), 6)
    drawn = rounded(height, at["key_events"].to_numpy())
    is_step = pl.Series(
        _steps(at["_curve"].to_list(), at["n_events"].to_list(), min_n), dtype=pl.Boolean
    )
    is_drawn = is_step | (at["_is_wanted"] & (at["n_events"] >= min_n))
    return at.with_columns(
        n_events=_events_of_steps(at, is_step, min_n),
        _is_step=is_step,
        _height=pl.Series(drawn * is_drawn.to_numpy()),
    ).with_columns(pl.col("_height").cum_max().over("_curve"))


def _steps(curves: Iterable[int], events: Iterable[int], min_n: int) -> Iterator[bool]:
    """Yield whether enough further learners have reached the end since the curve's last step."""
    curve, last = -1, 0
    for curve_of_row, so_far in zip(curves, events, strict=True):
        if curve_of_row != curve:
            curve, last = curve_of_row, 0
        is_step = so_far - last >= min_n
        if is_step:
            last = so_far
        yield is_step


def _events_of_steps(at: pl.DataFrame, is_step: pl.Series, min_n: int) -> pl.Series:
    """Return the released number of events since the previous step; null between steps."""
    so_far = pl.col("n_events", "key_events")
    since = so_far - so_far.shift(fill_value=0).over("_curve")
    steps = at.with_row_index("_row").filter(is_step).select("_row", since)
    shown = release_counts(steps["n_events"], steps["key_events"], min_n=min_n)
    return pl.repeat(None, at.height, dtype=pl.Int64, eager=True).scatter(steps["_row"], shown)


def _with_shares(rows: pl.DataFrame, group: str) -> pl.DataFrame:
    """Append the events among `weight` that lead an estimator from row to row, and `is_shown`."""
    height, is_start = pl.col("_height"), pl.col("duration") == 0
    heights = rows.select(group, "duration", "_curve", height / pl.col("_released"))
    rises = pl.DataFrame(
        list(_rises(heights.iter_rows())),
        schema={"rise": pl.Float64, "left": pl.Float64},
        orient="row",
    )
    n = pl.when(~is_start).then("weight").fill_null(pl.col("_released")).cast(pl.Float64)
    ratio = rises["rise"] / rises["left"]
    # If all are at the end, floating point alone would miss it on either side.
    part = pl.when(ratio > 1 - _TOLERANCE).then(1.0).otherwise(ratio)
    share = pl.when(rises["left"] > 0).then(n * part).otherwise(0.0)
    return rows.with_columns(weight=n, share=share, is_shown=is_start | (height > 0))


def _rises(heights: Iterable[tuple[int, float, int, float]]) -> Iterator[tuple[float, float]]:
    """Yield each curve's rise and the share under way before it; all ends sum to at most 1."""
    of_group, at = -1, -1.0
    under_way = left = 1.0
    before: dict[int, float] = {}
    for group, time, curve, height in heights:
        if group != of_group:
            of_group, at, before = group, -1.0, {}
        if time != at:
            at, under_way = time, 1 - sum(before.values())
            left = max(under_way, 0.0)
        previous = before.get(curve, 0.0)
        before[curve] = min(height, previous + left)
        rise = before[curve] - previous
        left -= rise
        yield rise, under_way
