"""Charts of outcome rates, one dot per group."""

from __future__ import annotations

import altair as alt
import polars as pl

from toolkit.charts.basis import fewest_and_most, labelled, subtitle
from toolkit.charts.dots import Axis, dots
from toolkit.charts.theme import finish
from toolkit.errors import SchemaError
from toolkit.results.result import Released
from toolkit.schemas import Role
from toolkit.schemas.outcome_results import RATES
from toolkit.text import naming, words


def outcomes(released: Released, *, rate: str = "pass_rate_of_enrolled") -> alt.LayerChart:
    """Draw one rate of `outcomes` per group: a dot with its interval, highest first.

    Args:
        released: What may be shown of `outcomes`.
        rate: One of its rate columns.

    Raises:
        SchemaError: There is no such rate.
    """
    if rate not in RATES:
        raise SchemaError(f"no rate `{rate}`; there are {', '.join(RATES)}")
    of = RATES[rate]
    what = of.description.rstrip(".")
    return _rates(released, rate, (of.k, of.n), what)


def compared_groups(released: Released) -> alt.LayerChart:
    """Draw the rates of `compare_groups`: a dot with its interval per group, highest first."""
    first = released.frame.row(0, named=True) if released.frame.height else {}
    outcome = str(first.get("outcome", "passed")).replace("_", " ")
    what = f"{words.capitalized(outcome)} of the {first.get('among', 'enrolled')}"
    return _rates(released, "rate", ("n_reached", "n_learners"), what)


def user_result(released: Released) -> alt.LayerChart:
    """Draw the first rate of a user's own result, or its first count if it has no rate."""
    rates = [name for name in released.schema.names if released.schema.interval_of(name)]
    if not rates:
        raise SchemaError(
            f"{released.schema.name} has no rate to draw; it has "
            f"{', '.join(released.schema.of_role(Role.COUNT))}"
        )
    counts = words.counts_of(rates[0], released) or ("", "")
    what = words.capitalized(rates[0].replace("_", " "))
    return _rates(released, rates[0], counts, what)


def _rates(released: Released, rate: str, counts: tuple[str, str], what: str) -> alt.LayerChart:
    k, n = counts
    ends = released.schema.interval_of(rate) or ("", "")
    # A user's own column may be called as Vega-Lite could not read it.
    texts = {
        f"text_{name}": f"text_{name if name.isidentifier() else place}"
        for place, name in enumerate((k, n, rate))
    }
    told_k, told_n, told_rate = texts.values()
    named = labelled(released, k, n, rate).rename(texts)
    if "group" in released.schema.names:
        named = named.with_columns(pl.col("group").replace_strict(naming.compared(released)))
    is_total = pl.col("is_total") if "is_total" in named.columns else pl.lit(value=False)
    rows = named.filter(~is_total).with_columns(
        value=pl.col(rate), low=pl.col(ends[0]), high=pl.col(ends[1])
    )
    seen = rows.filter(pl.col("value").is_not_null())
    ranked = seen.sort("value", "group", descending=[True, False])
    drawn, notes = fewest_and_most(ranked)
    hidden = rows.filter(pl.col("value").is_null()).sort("group")
    told = hidden.select("group", text=told_rate)
    few = words.NOTHING if released.min_n is not None else "nobody to observe"
    told = told.with_columns(pl.col("text").replace(words.ABSENT, few))
    if notes and hidden.height:
        notes.append(f"{words.plural(hidden.height, 'group')} cannot be shown")
        told = told.clear()
    all_groups = named.filter(is_total)[rate].to_list()
    finding, level = _finding(ranked, rate, what, released), words.kind_of_interval(released)
    columns = ["group", "value", "low", "high", told_k, told_n, told_rate]
    tooltip = [
        *([alt.Tooltip("group:N", title="group")] if rows.height > 1 else []),
        alt.Tooltip(f"{told_rate}:N", title=f"rate ({level})"),
        alt.Tooltip(f"{told_k}:N", title="learners counted"),
        alt.Tooltip(f"{told_n}:N", title="of"),
    ]
    if all_groups and all_groups[0] is not None:
        notes = ["The dashed line is all groups together", *notes]
    of = "enrollment" if released.schema.name == "outcomes" else "learner"
    return finish(
        dots(
            drawn.select(columns),
            Axis(f"{what}, with {level}"),
            tooltip,
            hidden=told,
            rule=all_groups[0] if all_groups else None,
        ),
        title=finding,
        subtitle=subtitle(released, rows[n], *notes, unit=(of, f"{of}s")),
        description=f"Dot plot of {words.plural(rows.height, 'group')}, highest first: {what}, "
        f"with {level}s. {finding}.",
    )


def _finding(ranked: pl.DataFrame, rate: str, what: str, released: Released) -> str:
    if ranked.is_empty():
        return f"{what}: {words.NOTHING}"
    best, worst = ranked.row(0, named=True), ranked.row(-1, named=True)
    if ranked.height == 1:
        interval = words.in_brackets(words.interval(best, rate, released), released)
        where = f" in {best['group']}" if set(released.by) - {"is_total"} else ""
        return f"{what}: {words.share(best, rate, released)}{interval}{where}"
    return (
        f"{what}: from {words.share(worst, rate, released)} in {worst['group']} "
        f"to {words.share(best, rate, released)} in {best['group']}"
    )
