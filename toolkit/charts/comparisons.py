"""Comparisons of groups, and ways between courses, in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PALETTE, PAPER, WITHHELD, finish
from toolkit.release import protect
from toolkit.text.words import basis, percent, shown, withheld_note

MOST_PAIRS = 30
SIGNIFICANT = 0.05


def chart_comparison(
    pairs: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart:
    """Draw the differences of `compare_groups` with their 95% intervals, largest first.

    A filled dot is a pair that differs after Holm's correction. At most 30 pairs are drawn, those
    of the largest differences; the subtitle says so.

    Args:
        pairs: `compare_groups(…).pairs`.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        DisclosureError: The table is no result of `compare_groups`.
    """
    safe = protect(pairs, min_n=min_n)
    seen = shown(safe, "difference")
    drawn = (
        seen.sort(pl.col("difference").abs(), descending=True)
        .head(MOST_PAIRS)
        .with_columns(
            pair=pl.format("{} − {}", "group_a", "group_b"),
            finding=pl.when(pl.col("p_adjusted") < SIGNIFICANT)
            .then(pl.lit("differs"))
            .otherwise(pl.lit("not shown to differ")),
        )
        .sort("difference", descending=True)
    )
    words = ["differs", "not shown to differ"]
    axis = alt.Axis(format="+.0%", grid=True, tickCount=7)
    name = "Difference of the shares, with 95% interval"
    base = alt.Chart(drawn).encode(
        y=alt.Y(
            "pair:N",
            sort=drawn["pair"].to_list(),
            title=None,
            axis=alt.Axis(grid=True, gridDash=[1, 3], labelPadding=8, labelLimit=520),
        ),
        tooltip=[
            alt.Tooltip("pair:N", title="groups"),
            alt.Tooltip("difference:Q", title="difference", format="+.1%"),
            alt.Tooltip("difference_ci_low:Q", title="interval from", format="+.1%"),
            alt.Tooltip("difference_ci_high:Q", title="to", format="+.1%"),
            alt.Tooltip("ratio:Q", title="ratio", format=".2f"),
            alt.Tooltip("test:N", title="test"),
            alt.Tooltip("p_value:Q", title="p", format=".2g"),
            alt.Tooltip("p_adjusted:Q", title="p after Holm", format=".2g"),
        ],
    )
    x = alt.X("difference:Q", title=name, axis=axis)
    low = alt.X("difference_ci_low:Q", title=name, axis=axis)
    fill = alt.Fill(
        "finding:N",
        title="After Holm's correction",
        scale=alt.Scale(domain=words, range=[PALETTE[0], PAPER]),
        legend=alt.Legend(symbolStrokeColor=PALETTE[0], symbolStrokeWidth=2),
    )
    zero = alt.Chart(pl.DataFrame({"zero": [0]})).mark_rule(color=INK).encode(x="zero:Q")
    layers = [
        zero,
        base.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(x=low, x2="difference_ci_high:Q"),
        base.mark_point(size=70, opacity=1, stroke=PALETTE[0]).encode(x=x, fill=fill),
    ]
    differ = seen.filter(pl.col("p_adjusted") < SIGNIFICANT).height
    finding = f"{differ} of {seen.height} pairs of groups differ after Holm's correction"
    some = [f"the {MOST_PAIRS} largest differences"] if seen.height > MOST_PAIRS else []
    learners = pl.concat(
        [seen.select(group=f"group_{side}", n=f"n_learners_{side}") for side in ("a", "b")]
    ).unique("group")
    notes = [*some, *withheld_note(safe, "difference", "pairs")]
    return finish(
        alt.LayerChart(layer=layers).properties(width=380, height=alt.Step(24)),
        title=title or finding,
        subtitle=basis(int(learners["n"].sum()), source, *notes),
        description=f"Dot plot of differences between groups with 95% intervals. {finding}.",
    )


def chart_transitions(
    transitions: pl.DataFrame,
    *,
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart:
    """Draw which course follows which: a row per course passed, a column per course begun next.

    Args:
        transitions: `learner_paths(…).transitions`.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        DisclosureError: The table is no result of `learner_paths`.
    """
    safe = protect(transitions, min_n=min_n)
    base = alt.Chart(safe).encode(
        x=alt.X(
            "to_course:N",
            title="Enrolled in next",
            axis=alt.Axis(orient="top", labelAngle=-40, labelPadding=6),
        ),
        y=alt.Y("from_course:N", title="Passed", axis=alt.Axis(labelPadding=8)),
        tooltip=[
            alt.Tooltip("from_course:N", title="passed"),
            alt.Tooltip("to_course:N", title="enrolled in next"),
            alt.Tooltip("n_moved:Q", title="learners", format=","),
            alt.Tooltip("n_passed:Q", title="of", format=","),
            alt.Tooltip("move_rate:Q", title="share", format=".1%"),
            alt.Tooltip("status:N", title="status"),
        ],
    )
    seen = shown(safe, "move_rate")
    top = seen["move_rate"].max()
    dark = 0.55 * top if isinstance(top, float) else 1.0
    known = base.transform_filter("isValid(datum.move_rate)")
    share = alt.Color(
        "move_rate:Q",
        title="Share of those who passed",
        scale=alt.Scale(domainMin=0),
        legend=alt.Legend(format=".0%"),
    )
    letters = alt.condition(f"datum.move_rate > {dark}", alt.value(PAPER), alt.value(INK))
    layers = [
        known.mark_rect().encode(color=share),
        known.mark_text().encode(text=alt.Text("move_rate:Q", format=".0%"), color=letters),
    ]
    if seen.height < safe.height:
        hidden = base.transform_filter("!isValid(datum.move_rate)")
        layers += [
            hidden.mark_rect(color=WITHHELD),
            hidden.mark_text(color=INK).encode(text=alt.value("withheld")),
        ]
    finding = _way(seen.filter(~pl.col("to_course").str.starts_with("(")))
    passed = safe.group_by("from_course").agg(pl.col("n_passed").first())["n_passed"].sum()
    return finish(
        alt.LayerChart(layer=layers).properties(width=alt.Step(72), height=alt.Step(26)),
        title=title or finding,
        subtitle=basis(
            int(passed), source, *withheld_note(safe, "move_rate", "cells"), unit="passes"
        ),
        description=f"Heat map of the course enrolled in after each course passed. {finding}.",
    )


def _way(seen: pl.DataFrame) -> str:
    if seen.is_empty():
        return "From course to course: too few learners to be shown"
    best = seen.sort("move_rate", "from_course", "to_course").row(-1, named=True)
    share = percent(best["move_rate"])
    return f"{share} of those who passed {best['from_course']} went on to {best['to_course']}"
