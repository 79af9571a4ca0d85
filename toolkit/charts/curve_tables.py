"""What the charts of curves read from their tables: panels, numbers at risk, the subtitle."""

from __future__ import annotations

import polars as pl

from toolkit.charts.step_curves import Plot
from toolkit.schemas import Table

TOGETHER = 7  # more curves than well visible colours stand side by side


def in_panels(table: pl.DataFrame, known: Table) -> pl.DataFrame:
    """Name each group in one column `panel`."""
    by = [name for name in table.columns if name not in (*known.names, "status")]
    parts = [pl.col(name).cast(pl.String).fill_null("unknown") for name in by]
    name = pl.concat_str(parts, separator=" · ") if by else pl.lit("all learners")
    return table.with_columns(name.alias("panel")).select("panel", *known.names)


def end_of(curves: pl.DataFrame) -> float:
    """Where the longest curve ends."""
    known = curves.drop_nulls("value")["duration"].to_list()
    return max(known, default=0.0) or 1.0


def numbers_at_risk(
    panels: list[str], ticks: list[float], curves: pl.DataFrame, min_n: int
) -> pl.DataFrame:
    """Who is at risk at each tick: what the first row at or after it counts."""
    unknown = "0" if min_n == 1 else "–"
    rows = []
    for panel in panels:
        own = curves.filter(panel=panel)
        for tick in ticks:
            ahead = own.filter(pl.col("duration") >= tick)["n_at_risk"].head(1).to_list()
            text = f"{ahead[0]:,}" if ahead and ahead[0] is not None else unknown
            rows.append((panel, tick, text))
    schema = {"panel": pl.String, "duration": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def basis(
    plot: Plot,
    learners: int,
    left_out: int,
    exclusions: pl.DataFrame | None,
    min_n: int,
    source: str | None,
) -> str:
    """Tell how many learners the curves rest on, who is left out, and whence they come."""
    parts = [f"n = {_people(learners, min_n)} enrollments"]
    if exclusions is not None and exclusions.height:
        reasons = exclusions.group_by("reason").agg(pl.col("n_excluded").sum()).sort("reason")
        told = [f"{_people(n, min_n)} {reason}" for reason, n in reasons.iter_rows()]
        parts.append(f"left out: {', '.join(told)}")
    elif left_out:
        parts.append(f"{_people(left_out, min_n)} left out")
    line = " · ".join([*parts, *([source] if source else [])])
    marks = "" if plot.interpolate == "monotone" else ", short marks censored learners"
    if plot.interpolate == "linear":
        marks += (
            f"\nStraight lines join the times between which no fewer than {min_n} learners left"
        )
    note = f"\nBelow each axis ({plot.time}) stands the number at risk" if plot.is_small else ""
    return f"{line}\nBands are pointwise confidence intervals{marks}{note}"


def _people(count: int, min_n: int) -> str:
    return f"{count:,}" if count == 0 or count >= min_n else f"fewer than {min_n}"


def left_out_of(curves: pl.DataFrame) -> int:
    """How many learners all groups leave out."""
    return int(curves.unique("panel").select(pl.sum("n_excluded")).item())
