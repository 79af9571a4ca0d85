"""Charts of cumulative incidence and hazards."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.curve_tables import (
    MOST_OVERLAID,
    basis,
    end_of,
    in_panels,
    known_times,
    numbers_at_risk,
    since_enrollment,
)
from toolkit.charts.step_curves import Plot, draw
from toolkit.charts.theme import finish
from toolkit.results.result import Released
from toolkit.text import curves, naming, words

_NO_POINTS = pl.DataFrame(
    schema={"panel": pl.String, "series": pl.String, "duration": pl.Float64, "value": pl.Float64}
)
# A curve is reliable until a tenth of its group is left; later it jumps about.
_MANY_LEFT = (
    pl.col("n_at_risk") >= curves.MANY_LEFT * pl.col("n_at_risk").max().over("panel")
).fill_null(value=False)
_KEPT = ("panel", "duration", "n_at_risk")


def cumulative_incidence(
    released: Released, *, time: str | None = None
) -> alt.VConcatChart | alt.FacetChart:
    """Draw the share that has reached each end, with the numbers at risk below.

    One panel per group, one curve per end.

    Args:
        released: What may be shown of `cumulative_incidence`.
        time: The title of the time axis; its first word is the unit.
    """
    time, value = time or since_enrollment(released), "cumulative_incidence"
    rows, groups, hidden = in_panels(released, value)
    named = naming.ends(rows["end"])
    rows = rows.with_columns(pl.col("end").replace_strict(named, return_dtype=pl.String))
    lines = rows.select(
        *_KEPT, "n_censored", series="end", value=value, low="ci_low", high="ci_high"
    )
    together = len(groups) <= 1
    plot = Plot(
        is_small=not together,
        names=[*named.values()],
        each="end",
        end=end_of(rows, value),
        known=known_times(rows, released.min_n),
        time=time,
        y_title="have reached the end",
        decimal=words.has_decimal(None, released.min_n),
    )
    one_end = rows.filter(pl.col("end") == pl.col("end").first().over("panel"))
    numbers = numbers_at_risk(groups, plot.ticks, one_end, released.min_n)
    passed = named.get("passed", "")
    finding = _ends_reached(rows, time.split()[0], released.schema.time, passed)
    return finish(
        draw(plot, lines, _NO_POINTS, numbers),
        title=finding,
        subtitle=basis(plot, released, rows, hidden),
        description=f"Cumulative incidence of each end, with numbers at risk. {finding}.",
    )


def nelson_aalen(
    released: Released, *, time: str | None = None
) -> alt.VConcatChart | alt.FacetChart:
    """Draw the cumulative hazard of passing as steps, with the numbers at risk below.

    Args:
        released: What may be shown of `nelson_aalen`.
        time: The title of the time axis; its first word is the unit.
    """
    return _hazards(released, "cumulative_hazard", time)


def smoothed_hazard(
    released: Released, *, time: str | None = None
) -> alt.VConcatChart | alt.FacetChart:
    """Draw how likely learners without a pass are to pass, with the numbers at risk below.

    Up to seven groups share a panel; more are side by side, each in its own panel.

    Args:
        released: What may be shown of `smoothed_hazard`.
        time: The title of the time axis; its first word is the unit.
    """
    return _hazards(released, "hazard", time)


def _hazards(released: Released, value: str, time: str | None) -> alt.VConcatChart | alt.FacetChart:
    time = time or since_enrollment(released)
    rows, groups, hidden = in_panels(released, value)
    unit, notes, is_smooth = time.split()[0], [], value == "hazard"
    if is_smooth:
        what, finding = "Smoothed hazard", _peaks(rows, unit.removesuffix("s"))
        y_title = f"passes in {_stretch(rows):g} {unit} per learner left"
        if rows[value].null_count() and released.min_n is not None:
            notes = ["Gaps: too few learners to show; longer stretches show more"]
    else:
        what, y_title = "Cumulative hazard", "cumulative hazard"
        finding = "Cumulative hazard of passing" + ("" if groups else f": {words.NOTHING}")
    together = len(groups) <= MOST_OVERLAID
    lines = rows.select(
        *_KEPT,
        n_censored=pl.lit(0, pl.Int64),
        series=pl.col("panel") if together else pl.lit(""),
        value=value,
        low="ci_low",
        high="ci_high",
    )
    plot = Plot(
        is_small=not together,
        names=groups if together else [""],
        end=end_of(rows, value),
        known=known_times(rows, released.min_n),
        time=time,
        y_title=y_title,
        top=_top(lines),
        interpolate="monotone" if is_smooth else "step-after",
    )
    numbers = numbers_at_risk(groups, plot.ticks, rows, released.min_n)
    return finish(
        draw(plot, lines, _NO_POINTS, numbers),
        title=finding,
        subtitle=basis(plot, released, rows, hidden, *notes),
        description=f"{what} of passing, with numbers at risk. {finding}.",
    )


def _ends_reached(rows: pl.DataFrame, named: str, unit: str, passed: str) -> str:
    """Say what share has reached each end by the last time with enough learners at risk.

    Of several groups, it compares who passed, or the first end.
    """
    value = "cumulative_incidence"
    parts = [
        part
        for part in rows.partition_by("panel", maintain_order=True)
        if curves.end(part, value) > 0 or part.select((pl.col(value) > 0).any()).item()
    ]
    if not parts:
        return f"Cumulative incidence: {words.NOTHING}"
    day = curves.common_day(parts, value, unit)
    last = (
        pl.concat(part for part in parts if curves.end(part, value) >= day)
        .filter(pl.col("duration") <= day)
        .group_by("panel", "end", maintain_order=True)
        .agg(pl.col(value).last())
        .drop_nulls(value)  # fewer have reached the end than can be shown
    )
    by = f"By {named.removesuffix('s')} {words.days(day)}, "
    if last.is_empty():
        return f"Cumulative incidence {by.lower()}{words.NOTHING}"
    if rows["panel"].n_unique() == 1:
        shares = (f"{words.percent(share)} {end}" for _, end, share in last.iter_rows())
        return f"{by}{', '.join(shares)}"
    end = passed if passed in last["end"] else last["end"][0]
    by_share = last.filter(end=end).sort(value, maintain_order=True)
    (low, _, least), (high, _, most) = by_share.row(0), by_share.row(-1)
    highest = f", {words.percent(most)} in {high}" if by_share.height > 1 else ""
    return f"{by}{words.percent(least)} {end} in {low}{highest}"


def _peaks(rows: pl.DataFrame, unit: str) -> str:
    """Say in a sentence when each curve is highest."""
    parts = rows.partition_by("panel", maintain_order=True)
    found = [(peak, part["panel"][0]) for part in parts if (peak := curves.peak(part)) is not None]
    if not found:
        return f"When learners pass: {words.NOTHING}"
    (early, first), (late, last) = min(found), max(found)
    if len(found) == 1:
        where = "" if first == naming.ALL else f" in {first}"
        return f"Learners are most likely to pass around {unit} {early:,.0f}{where}"
    return f"Passing peaks around {unit} {early:,.0f} in {first}, {unit} {late:,.0f} in {last}"


def _stretch(rows: pl.DataFrame) -> float:
    """Return the length of a stretch: twice the time to the middle of the first."""
    return 2 * float(rows["duration"].to_list()[0]) if rows.height else 1.0


def _top(lines: pl.DataFrame) -> float:
    """Return the end of the axis: above all curves and the bands near them, not the widest band."""
    steady = lines.filter(_MANY_LEFT)
    highest = max(steady["value"].drop_nulls().to_list(), default=0.0)
    bands = max(steady["high"].drop_nulls().to_list(), default=0.0)
    return min(1.6 * highest, bands) or 1.0
