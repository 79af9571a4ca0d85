"""Kaplan–Meier curves of the time to pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

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
    standardization,
)
from toolkit.charts.step_curves import Plot, draw
from toolkit.charts.theme import finish
from toolkit.errors import ArgumentError
from toolkit.results.result import Released, Result
from toolkit.schemas.arguments import a_number, as_given, one_of
from toolkit.text import curves, words

_MEDIAN = 0.5
_SO_FAR = "in the time shown"  # a released curve ends where too few are at risk


def kaplan_meier(
    released: Released,
    *,
    show: Literal["passed", "survival"] = "passed",
    exclusions: Result | Released | None = None,
    test: Result | Released | None = None,
    breaks: Sequence[float] | None = None,
    time: str | None = None,
) -> alt.VConcatChart | alt.FacetChart:
    """Draw Kaplan–Meier curves as steps, with the numbers at risk below.

    Up to seven groups share a panel; more are side by side, each in its own panel. The curve rises
    when enough further learners have passed; a dot with lines to both axes marks the median, read
    off the curve.

    Args:
        released: What may be shown of `kaplan_meier`.
        show: The share that has passed (rising), or that has not (falling).
        exclusions: The result of `exclusions`, so that the subtitle names the reasons.
        test: The result of `logrank`, so that the subtitle gives its p.
        breaks: The ticks of the time axis, such as [0, 90, 180]. The number at risk is printed
            where it is known: in a released curve, at round times.
        time: The title of the time axis, such as "days since enrollment"; its first word is the
            unit.

    Raises:
        ArgumentError: `show` is invalid, `test` is not a log-rank test, `exclusions` is another
            result, or a break is not a time.
    """
    one_of(show, ("passed", "survival"), name="show")
    time = time or since_enrollment(released)
    rows, groups, hidden = in_panels(released, "survival")
    value, low, high = pl.col("survival"), pl.col("ci_low"), pl.col("ci_high")
    if show == "passed":
        value, low, high = 1 - value, 1 - high, 1 - low
    together = len(groups) <= MOST_OVERLAID
    series = pl.col("panel") if together else pl.lit("")
    lines = rows.select(
        "panel", "duration", "n_at_risk", "n_censored", value=value, low=low, high=high
    ).with_columns(series=series)
    medians = _medians(rows, groups)
    height = pl.col("survival") if show == "survival" else 1 - pl.col("survival")
    marks = medians.filter(~pl.col("is_late")).select(
        "panel", "duration", value=height, series=series
    )
    plot = Plot(
        is_small=not together,
        names=groups if together else [""],
        end=end_of(rows, "survival"),
        known=known_times(rows, released.min_n),
        breaks=_ticks(breaks),
        time=time,
        y_title="passed" if show == "passed" else "not yet passed",
        decimal=words.has_decimal(None, released.min_n),
    )
    numbers = numbers_at_risk(groups, plot.ticks, rows, released.min_n)
    seen = rows.filter(pl.col("duration") > 0, pl.col("survival").is_not_null())
    n_seen = seen["panel"].n_unique()
    unit = time.split()[0].removesuffix("s")
    finding = _finding(medians, n_seen, len(groups), unit, is_of_all=not released.by)
    reasons = _result_of("exclusions", exclusions, name="exclusions")
    notes = [] if released.min_n is None else [f"A step where {released.min_n} more have passed"]
    if released.min_n is None and rows["n_censored"].sum():
        notes = ["Short marks: censored learners"]
    notes += [*standardization(rows), *_tested(test)]
    return finish(
        draw(plot, lines, marks, numbers),
        title=finding,
        subtitle=basis(plot, released, rows, hidden, *notes, exclusions=reasons),
        description=f"Kaplan–Meier curves of the share that has {plot.y_title}, with number at "
        f"risk. {finding}.",
    )


def _ticks(breaks: object) -> tuple[float, ...]:
    if breaks is None:
        return ()
    if not isinstance(breaks, Iterable) or isinstance(breaks, str | bytes | Mapping):
        raise ArgumentError(
            f"breaks must be a list of times, such as [0, 90], not {as_given(breaks)}"
        )
    return tuple(a_number(each, name="each of breaks") for each in breaks)


def _result_of(table: str, given: object, *, name: str) -> Released | None:
    if given is None:
        return None
    if not isinstance(given, Result | Released) or given.schema.name != table:
        raise ArgumentError(f"{name} must be the result of {table}, not {as_given(given)}")
    return given.release()


def _tested(test: Result | Released | None) -> list[str]:
    """Return the p of a log-rank test, for the subtitle."""
    tested = _result_of("logrank", test, name="test")
    if tested is None:
        return []
    found = tested.frame["p_value"].drop_nulls().to_list()
    return [f"Log-rank test: {words.p_value(found[0], tested.alpha)}"] if found else []


def _medians(rows: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    """Return the first row of each curve at or below a half: a point of the curve as drawn.

    `is_late` if a curve comes so low only when few are at risk; it is then not marked.
    """
    found = []
    for panel in groups:
        own = rows.filter(panel=panel)
        time = curves.quantile(own, _MEDIAN)
        if time is not None:
            is_late = time > curves.supported_until(own, "survival")
            found.append((panel, time, curves.height(own, "survival", time), is_late))
    schema = {
        "panel": pl.String,
        "duration": pl.Float64,
        "survival": pl.Float64,
        "is_late": pl.Boolean,
    }
    return pl.DataFrame(found, schema=schema, orient="row")


def _finding(medians: pl.DataFrame, n_seen: int, n: int, unit: str, *, is_of_all: bool) -> str:
    """Say in a sentence what the curves show; those of n - n_seen groups have no step."""
    if not n_seen:
        return f"Time to pass: {words.NOTHING}"
    n_late, n_never = medians["is_late"].sum(), n_seen - medians.height
    unseen = [f"not shown for {n - n_seen} of {n} groups"] if n_seen < n else []
    medians = medians.filter(~pl.col("is_late"))
    if medians.height == 0 and n_late:
        where = f" in {n_late} of {n} groups," * (n_late < n)
        late = f"Half of the learners have passed{where} only where few are still at risk"
        return "; ".join([late, *unseen])
    if medians.height == 0:
        where = f" in {n_never} of {n} groups" if unseen else " in each group" * (n > 1)
        return "; ".join([f"Fewer than half of the learners have passed{where} {_SO_FAR}", *unseen])
    by_speed = medians.sort("duration", maintain_order=True)
    first, last = by_speed.row(0, named=True), by_speed.row(-1, named=True)
    if is_of_all:
        return f"Half of the learners have passed by {unit} {words.days(first['duration'])}"
    text = f"Half have passed by {unit} {words.days(first['duration'])} in {first['panel']}"
    if medians.height > 1:
        text += f", by {unit} {words.days(last['duration'])} in {last['panel']}"
    others = [
        f"{where} {n_groups} of {n} groups"
        for where, n_groups in (
            (f"not {_SO_FAR} in", n_never),
            ("only where few are still at risk in", n_late),
        )
        if n_groups
    ]
    return "; ".join([text, *others, *unseen])
