"""The rates of outcomes in pictures."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.theme import INK, PALETTE, RULE, finish
from toolkit.errors import SchemaError
from toolkit.release import protect
from toolkit.schemas.outcome_results import OUTCOMES, RATES
from toolkit.text.words import basis, group_columns, percent, shown, with_labels, withheld_note


def chart_outcomes(
    table: pl.DataFrame,
    *,
    rate: str = "pass_rate_of_enrolled",
    title: str | None = None,
    source: str | None = None,
    min_n: int = 10,
) -> alt.LayerChart:
    """Draw one rate of `outcomes` per group: a dot with its 95% interval, highest first.

    Args:
        table: The result of `outcomes`.
        rate: A rate column of it.
        title: Instead of the finding that the table gives.
        source: Where the data are from, and as of when; goes into the subtitle.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Raises:
        SchemaError: There is no such rate.
        DisclosureError: The table is no result of `outcomes`.
    """
    safe = protect(table, min_n=min_n)
    known = {r.name: r for r in RATES}
    if rate not in known:
        raise SchemaError(f"no rate `{rate}`; there are {', '.join(known)}")
    of = known[rate]
    named = with_labels(_without_total(safe), group_columns(safe, OUTCOMES))
    rows = named.select(
        "group",
        "status",
        n=of.n,
        k=of.k,
        rate=rate,
        low=f"{rate}_ci_low",
        high=f"{rate}_ci_high",
    )
    seen = shown(rows, "rate").sort("rate", "group", descending=[True, False])
    hidden = rows.filter(pl.col("rate").is_null()).sort("group")
    order = [*seen["group"], *hidden["group"]]
    what = of.description.rstrip(".")
    y = alt.Y(
        "group:N", sort=order, title=None, axis=alt.Axis(grid=True, gridDash=[1, 3], labelPadding=8)
    )
    axis = alt.Axis(format=".0%", grid=True, tickMinStep=0.01)
    scale = alt.Scale(zero=False, nice=True)
    title_x = f"{what}, with 95% interval"
    x, low = (alt.X(f"{end}:Q", title=title_x, axis=axis, scale=scale) for end in ("rate", "low"))
    tooltip = [
        alt.Tooltip("group:N", title="group"),
        alt.Tooltip("rate:Q", title="rate", format=".1%"),
        alt.Tooltip("low:Q", title="interval from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("k:Q", title="learners counted", format=","),
        alt.Tooltip("n:Q", title="of", format=","),
    ]
    base = alt.Chart(seen).encode(y=y, tooltip=tooltip)
    layers = [
        base.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(x=low, x2="high:Q"),
        base.mark_point(size=70, filled=True, opacity=1, color=PALETTE[0]).encode(x=x),
    ]
    if hidden.height:
        layers.append(
            alt.Chart(hidden)
            .mark_text(align="left", color=RULE, fontStyle="italic")
            .encode(y=y, x=alt.value(4), text=alt.value("withheld: small number"))
        )
    total = safe.filter(pl.col("is_total")) if "is_total" in safe.columns else safe.clear()
    if total.height and total.item(0, rate) is not None:
        layers.append(_total_rule(total, rate))
    n = int(seen["n"].sum())
    return finish(
        alt.LayerChart(layer=layers).properties(width=460, height=alt.Step(24)),
        title=title or _outcomes_title(seen, what),
        subtitle=basis(n, source, *withheld_note(rows, "rate", "groups")),
        description=f"Dot plot of {len(order)} groups, sorted. {what} with 95% intervals. "
        + _outcomes_title(seen, what),
    )


def _without_total(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(~pl.col("is_total")) if "is_total" in table.columns else table


def _total_rule(total: pl.DataFrame, rate: str) -> alt.Chart:
    rule: alt.Chart = (
        alt.Chart(total.select(rate=rate).with_columns(group=pl.lit("all groups")))
        .mark_rule(strokeDash=[4, 3], color=INK)
        .encode(
            x="rate:Q",
            tooltip=[
                alt.Tooltip("group:N", title="group"),
                alt.Tooltip("rate:Q", title="rate", format=".1%"),
            ],
        )
    )
    return rule


def _outcomes_title(seen: pl.DataFrame, what: str) -> str:
    if seen.is_empty():
        return f"{what}: no group is large enough to be shown"
    best, worst = seen.row(0, named=True), seen.row(-1, named=True)
    if seen.height == 1:
        interval = f"{percent(best['low'])} to {percent(best['high'])}"
        return f"{what}: {percent(best['rate'])} (95% interval {interval})"
    return (
        f"{what}: from {percent(worst['rate'])} in {worst['group']} "
        f"to {percent(best['rate'])} in {best['group']}"
    )
