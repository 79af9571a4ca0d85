"""Read panels, numbers at risk and the subtitle of curves from a released result."""

from __future__ import annotations

import polars as pl

from toolkit.charts.basis import subtitle
from toolkit.charts.step_curves import Plot
from toolkit.results.result import Released
from toolkit.text import curves, left_out, naming, words

MOST_OVERLAID = 7  # more curves than well visible colours get a panel each
MOST_PANELS = 30


def in_panels(released: Released, value: str) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Name each group in one column `panel`, and separate the groups with a curve from the others.

    Returns:
        The rows of the groups that have a curve; their names, in order; the other names.
    """
    released = curves.from_the_start(released)
    named = naming.of_rows(released, "panel")
    known = pl.col(value).is_not_null().any().over("panel")
    drawn = named.filter(known)
    panels = drawn["panel"].unique(maintain_order=True).to_list()
    hidden = named.filter(~known)["panel"].unique(maintain_order=True).to_list()
    kept = panels[:MOST_PANELS]
    return drawn.filter(pl.col("panel").is_in(kept)), kept, [*hidden, *panels[MOST_PANELS:]]


def since_enrollment(released: Released) -> str:
    """The title of the time axis, if none is given: its first word is the unit."""
    return f"{released.schema.time} since enrollment"


def end_of(rows: pl.DataFrame, value: str) -> float:
    """Return the end of the longest curve."""
    known = rows.drop_nulls(value)["duration"].to_list()
    return max(known, default=0.0) or 1.0


def known_times(rows: pl.DataFrame, min_n: int | None) -> frozenset[float]:
    """Return the times that were requested of every released curve; none if rows are exact.

    A released curve has rows at its steps, and at requested times as long as enough are at risk. A
    row without events is at a requested time; a row at a step may be, if all curves have it.
    """
    if min_n is None:
        return frozenset()
    asked = rows.filter(pl.col("n_events").is_null()) if "n_events" in rows.columns else rows
    own: list[set[float]] = [set(part["duration"]) for part in rows.partition_by("panel")]
    later = {time for time in asked["duration"] if all(time in t or time > max(t) for t in own)}
    return frozenset(later | set.intersection(*own)) if own else frozenset()


def numbers_at_risk(
    panels: list[str], ticks: list[float], rows: pl.DataFrame, min_n: int | None
) -> pl.DataFrame:
    """Return the number at risk at each tick; no text where the released curve lacks it."""
    numbers = []
    for panel in panels:
        own = rows.filter(panel=panel)
        times: set[float] = set(own["duration"])
        for tick in ticks:
            n = curves.at_risk(own, tick)
            text = words.count(n, min_n) if n is not None or min_n is not None else "0"
            is_known = min_n is None or tick in times or tick > max(times, default=0.0)
            numbers.append((panel, tick, text if is_known else ""))
    schema = {"panel": pl.String, "duration": pl.Float64, "text": pl.String}
    return pl.DataFrame(numbers, schema=schema, orient="row")


def basis(
    plot: Plot,
    released: Released,
    rows: pl.DataFrame,
    hidden: list[str],
    *notes: str,
    exclusions: Released | None = None,
) -> str:
    """Say how many learners the curves rest on, how many are left out, and the source."""
    first = rows.group_by("panel", maintain_order=True).first()
    n_out = int(first["n_excluded"].sum())
    about = "about " if released.by and released.min_n is not None else ""
    remarks = list(notes)
    reasons = _reasons(exclusions)
    if reasons:
        remarks.append(f"Left out: {reasons}")
    elif n_out:
        undated = words.undated_passers(first)
        remarks.append(f"Left out: {about}{n_out:,} {left_out.why(first)}{undated}")
    if hidden:
        remarks.append(f"{words.plural(len(hidden), 'group')} not drawn")
    remarks.append(f"Bands are {words.kind_of_interval(released)}s, time by time")
    if plot.is_small:
        remarks.append(f"Below each axis ({plot.time}): number at risk")
    parts = rows.partition_by("panel")
    at_most = "" if all(map(curves.is_whole, parts)) else " at risk at most"
    return subtitle(
        released,
        [max(part["n_at_risk"].drop_nulls(), default=None) for part in parts],
        *remarks,
        unit=(f"enrollment{at_most}", f"enrollments{at_most}"),
    )


def standardization(rows: pl.DataFrame) -> list[str]:
    """Say by which strata the groups are standardized, if by any."""
    if "within" not in rows.columns or rows.is_empty():
        return []
    return [f"Standardized by {naming.strata(rows['within'][0])}"]


def _reasons(exclusions: Released | None) -> str:
    if exclusions is None:
        return ""
    sums = exclusions.frame.group_by("reason").agg(pl.col("n_excluded").sum()).sort("reason")
    return ", ".join(f"{n:,} {reason}" for reason, n in sums.iter_rows() if n)
