"""Charts of quality checks."""

from __future__ import annotations

from typing import cast

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, MUTED, PALETTE, finish
from toolkit.text.words import plural

SEVERITIES = {"critical": PALETTE[5], "warning": PALETTE[1], "info": PALETTE[4]}


def quality(
    table: pl.DataFrame, *, title: str | None = None, source: str | None = None
) -> alt.LayerChart:
    """Draw each failed check as a bar: the share of records that break the expectation.

    The worst severity is on top, and within it the largest share. If nothing failed, the bars are
    the numbers of checks that passed, by frame.

    Args:
        table: The `table` of a quality report, its counts released; `detail` says what a bar
            without a number stands for.
        title: A title to replace the finding.
        source: Where the data come from, and as of when, for the subtitle.
    """
    failed = _labelled(table.filter(status="failed"))
    n_run = table.filter(pl.col("status") != "not run").height
    said = title or _finding(failed, n_run)
    subtitle = f"n = {plural(n_run, 'check')}" + (f" · {source}" if source else "")
    chart = _failed(failed) if failed.height else _passed(table)
    lines = [f"{row['expects']}: {row['label']}" for row in failed.iter_rows(named=True)]
    return finish(chart, title=said, subtitle=subtitle, description="; ".join([said, *lines]))


def _finding(failed: pl.DataFrame, n_run: int) -> str:
    if failed.is_empty():
        return "The check passes" if n_run == 1 else f"All {n_run} checks pass"
    critical = failed.filter(severity="critical").height
    worst = f"{critical} of them critical" if critical else "none of them critical"
    fail = "fails" if failed.height == 1 else "fail"
    return f"{failed.height} of {plural(n_run, 'check')} {fail}, {worst}"


def _labelled(failed: pl.DataFrame) -> pl.DataFrame:
    """Return the bars, in order from the top, with the text beside each."""
    rank = pl.col("severity").replace_strict(
        list(SEVERITIES), list(range(len(SEVERITIES))), return_dtype=pl.Int8
    )
    beside = [
        detail if n is None else f"{n:,} of {of:,} ({n / of:.2%})"
        for n, of, detail in failed.select("n_unexpected", "n_checked", "detail").iter_rows()
    ]
    return failed.select(
        pl.format("{}: {}", "frame", "expects").alias("check"),
        "severity",
        "expects",
        share=pl.col("n_unexpected") / pl.col("n_checked"),
        label=pl.Series(beside, dtype=pl.String),
        rank=rank,
    ).sort("rank", "share", descending=[False, True], nulls_last=True)


def _failed(bars: pl.DataFrame) -> alt.LayerChart:
    y = alt.Y(
        "check:N",
        sort=bars["check"].to_list(),
        title=None,
        axis=alt.Axis(labelLimit=460, labelPadding=8),
    )
    # Room on the right for the text beside the longest bar.
    most = max([0.01, *bars["share"].drop_nulls()])
    x = alt.X(
        "share:Q",
        title="Share of the records checked that break the expectation",
        axis=alt.Axis(format="%", tickCount=4),
        scale=alt.Scale(domain=[0, most * 1.9], nice=False),
    )
    colour = alt.Color(
        "severity:N",
        scale=alt.Scale(domain=list(SEVERITIES), range=list(SEVERITIES.values())),
        legend=alt.Legend(title="severity", orient="top"),
    )
    base = alt.Chart(bars).encode(y=y)
    bar = base.mark_bar(size=16).encode(x=x, color=colour, tooltip=["check", "severity", "label"])
    written = base.mark_text(align="left", dx=5, color=INK, fontSize=12).encode(
        x=alt.X("at:Q"), text="label:N"
    )
    labelled = written.transform_calculate(at="isValid(datum.share) ? datum.share : 0")
    return cast("alt.LayerChart", alt.layer(bar, labelled, height=alt.Step(26), width=420))


def _passed(table: pl.DataFrame) -> alt.LayerChart:
    counts = (
        table.filter(status="passed").group_by("frame", maintain_order=True).agg(n_passed=pl.len())
    )
    y = alt.Y("frame:N", sort=counts["frame"].to_list(), title=None)
    x = alt.X("n_passed:Q", title="checks passed", axis=alt.Axis(tickCount=5, tickMinStep=1))
    base = alt.Chart(counts).encode(y=y, x=x)
    bar = base.mark_bar(size=16, color=PALETTE[2])
    written = base.mark_text(align="left", dx=5, color=MUTED).encode(text="n_passed:Q")
    return cast("alt.LayerChart", alt.layer(bar, written, height=alt.Step(26), width=420))
