"""The panels of the course explorer; each shows the chosen course and cohort, or says why not."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts.basis import MOST, labelled, tips
from toolkit.charts.step_curves import percent_of
from toolkit.charts.theme import MUTED, PALETTE, RULE, WITHHELD
from toolkit.release.curves import ticks
from toolkit.results.result import Released
from toolkit.text import naming, words
from toolkit.text.choices import FEWEST, RATE, UNDATED, Pair

PAIR = ["course", "cohort"]
LABELS, LEFT, RIGHT = 210, 260, 330  # pixels
CHOSEN = "datum.course === course && datum.cohort === cohort"

_IN_COHORT = "datum.cohort === cohort"
_HERE, _ELSEWHERE, _MEDIAN = PALETTE[0], RULE, PALETTE[5]  # one meaning each, in all parts
_ENDS = {"at": RATE, "low": f"{RATE}_ci_low", "high": f"{RATE}_ci_high"}
_HEIGHT, _SLOT = 190, 18  # pixels
_NAME = 34  # letters of a course's name beside its dot
_HALF = MOST // 2


def funnel(released: Released, pairs: list[Pair], missing: dict[Pair, str]) -> alt.LayerChart:
    """Draw how many of the enrolled reach each stage, beside the median of the courses."""
    rate = "rate_of_enrolled"
    table = labelled(released, "n_reached", rate)
    stages = table["stage"].unique(maintain_order=True).to_list()
    rows = _without_empty(table, "n_reached").select(
        *PAIR,
        "stage",
        "text_n_reached",
        text=pl.when(pl.col("n_reached").is_null())
        .then(pl.lit(words.count(None, released.min_n)))
        .otherwise(
            # The share without its interval, which the tooltip has.
            pl.format(
                "{} ({})", pl.col(f"text_{rate}").str.replace(r" \(.*$", ""), "text_n_reached"
            )
        ),
        told=f"text_{rate}",
        at=pl.col(rate).round(4).fill_null(0.0),
    )
    base = alt.Chart(_with_zeros(rows, pairs, stage=stages[:1])).transform_filter(CHOSEN)
    y = alt.Y(
        "stage:N",
        sort=stages,
        title=None,
        axis=alt.Axis(labelLimit=220),
        scale=alt.Scale(domain=stages),
    )
    scale = alt.Scale(domain=[0, 1.7])  # with room for the labels of the bars
    x = alt.X(
        "at:Q",
        title="Share of the enrolled",
        axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1]),
        scale=scale,
    )
    tooltip = tips(stage="stage", text_n_reached="learners", told="of the enrolled")
    bars = base.mark_bar(height={"band": 0.7}).encode(x=x, y=y, tooltip=tooltip)
    labels = base.mark_text(align="right").encode(x=alt.value("width"), y=y, text="text:N")
    medians = (
        alt.Chart(_medians(table, rate, ["stage"]))
        .transform_filter(_IN_COHORT)
        .mark_tick(thickness=2.5, height=26, color=_MEDIAN, opacity=1)
        .encode(
            x=alt.X(f"{rate}:Q", title="Share of the enrolled", scale=scale),
            y=y,
            tooltip=[
                alt.Tooltip("stage:N", title="stage"),
                alt.Tooltip(f"{rate}:Q", title="median of the courses", format=".0%"),
            ],
        )
    )
    layers = [bars, medians, labels, _nothing(pairs, rows, missing)]
    return alt.LayerChart(
        layer=layers,
        title=_panel("From enrollment to the pass", "Line: the median of courses shown"),
        width=LEFT,
        height=_HEIGHT,
    )


def grades(released: Released, pairs: list[Pair], missing: dict[Pair, str]) -> alt.LayerChart:
    """Draw the distribution of grades; withheld bars are labelled, not drawn as 0."""
    table = labelled(released, "n_learners", "share_of_enrolled")
    part, low, high = pl.col("part"), pl.col("bin_low"), pl.col("bin_high")
    span = pl.format("{}–{}%", (low * 100).round().cast(int), (high * 100).round().cast(int))
    named = table.filter(part != "out of range").with_columns(
        grade=pl.when(part == "bin").then(span).otherwise(part)
    )
    order = named["grade"].unique(maintain_order=True).to_list()
    share = "share_of_enrolled"
    rows = _without_empty(named, "n_learners").select(
        *PAIR,
        "grade",
        text="text_n_learners",
        told=f"text_{share}",
        at=pl.col(share).round(4).fill_null(0.0),
        withheld=pl.when(pl.col("n_learners").is_null()).then(
            pl.lit(words.count(None, released.min_n))
        ),
    )
    # With this least upper end, the axis seldom changes with the choice.
    room = alt.Chart(pl.DataFrame({"top": [0.3]})).mark_point(opacity=0).encode(y="top:Q")
    base = alt.Chart(_with_zeros(rows, pairs, grade=order[:1])).transform_filter(CHOSEN)
    x = alt.X(
        "grade:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelAngle=-45),
        scale=alt.Scale(domain=order),
    )
    y = alt.Y("at:Q", title="Share of the enrolled", axis=alt.Axis(format=".0%", tickCount=5))
    bars = base.mark_bar().encode(
        x=x,
        y=y,
        color=alt.condition(
            "datum.grade === 'missing' || datum.grade === 'zero'", alt.value(RULE), alt.value(_HERE)
        ),
        tooltip=tips(grade="grade", text="learners", told="of the enrolled"),
    )
    few = (
        base.transform_filter("datum.withheld !== null")
        .mark_text(baseline="bottom", dy=-2, fontSize=11, color=MUTED)
        .encode(x=x, y=alt.value("height"), text="withheld:N")
    )
    fewer = f"Fewer than {released.min_n} learners are not drawn" if released.min_n else ""
    return alt.LayerChart(
        layer=[room, bars, few, _nothing(pairs, rows, missing)],
        title=_panel("Grades", fewer),
        width=RIGHT,
        height=_HEIGHT,
    )


def courses(released: Released) -> alt.LayerChart:
    """Draw the pass rate of every course of the cohort, the highest first."""
    ranked = _ranked(released)
    rows = ranked.select(
        *PAIR,
        "name",
        "slot",
        "is_shown",
        "text_n_enrolled",
        told=f"text_{RATE}",
        **{name: pl.col(column).round(4) for name, column in _ENDS.items()},
        unknown=pl.when(pl.col(RATE).is_null()).then(pl.lit(words.NOTHING)),
    )
    n_slots = 1 + max(rows["slot"].to_list(), default=0)
    is_long = max(ranked["n_courses"].to_list(), default=0) > MOST
    base = alt.Chart(rows).transform_filter(
        f"{_IN_COHORT} && (datum.is_shown || datum.course === course)"
    )
    y = alt.Y("slot:Q", axis=None, scale=alt.Scale(domain=[n_slots - 0.5, -0.5], nice=False))
    what = f"Passed of the enrolled, with {words.kind_of_interval(released)}"
    axis = alt.Axis(format=".0%", tickCount=5)
    scale = alt.Scale(domain=[0, _round_up(rows["high"])])
    x = alt.X("at:Q", title=what, axis=axis, scale=scale)
    colour = alt.condition("datum.course === course", alt.value(_HERE), alt.value(_ELSEWHERE))
    tooltip = tips(course="course", text_n_enrolled="enrolled", told="passed")
    known = base.transform_filter("datum.unknown === null")
    interval = known.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=what, axis=axis, scale=scale),
        x2="high:Q",
        y=y,
        color=colour,
        tooltip=tooltip,
    )
    points = known.mark_point(filled=True, size=80, opacity=1, cursor="pointer").encode(
        x=x, y=y, color=colour, tooltip=tooltip
    )
    beside: dict[str, Any] = {
        "align": alt.expr("narrow ? 'left' : 'right'"),
        "dx": alt.expr("narrow ? 0 : -8"),
        "dy": alt.expr("narrow ? -13 : 0"),
        "cursor": "pointer",
    }
    where: dict[str, Any] = {
        "x": alt.value(0),
        "y": y,
        "text": alt.Text("name:N"),
        "tooltip": tooltip,
    }
    others = base.transform_filter("datum.course !== course").mark_text(**beside).encode(**where)
    chosen = (
        base.transform_filter("datum.course === course")
        .mark_text(fontWeight="bold", **beside)
        .encode(**where)
    )
    unknown = (
        base.transform_filter("datum.unknown !== null")
        .mark_text(align="left", dx=4, color=MUTED, fontSize=11)
        .encode(x=alt.value(0), y=y, text="unknown:N", tooltip=tooltip)
    )
    medians = (
        alt.Chart(_medians(rows, "at", []))
        .transform_filter(_IN_COHORT)
        .mark_rule(strokeDash=[4, 3], color=_MEDIAN)
        .encode(x=x, tooltip=[alt.Tooltip("at:Q", title="median of the courses", format=".0%")])
    )
    note = ["Dashed: the median of those shown"]
    note[:0] = [f"The highest and the lowest {_HALF}"] * is_long
    return alt.LayerChart(
        layer=[medians, interval, points, others, chosen, unknown],
        title=_panel("Passed, among all courses", *note),
        width=LEFT,
        height=max(n_slots, 3) * _SLOT,
        name="courses",
    )


def _ranked(released: Released) -> pl.DataFrame:
    """Add `place` and `n_known` of a cohort's courses, and the `slot` of each row.

    The highest rate comes first, unknown ones last. If there are more courses than slots, the
    highest and the lowest get one; the chosen course takes the slot between them.
    """
    frame = labelled(released, "n_enrolled", RATE)
    seen = frame.filter(pl.col("n_enrolled").is_null() | (pl.col("n_enrolled") > 0))
    ranked = seen.sort(
        "cohort", RATE, "course", descending=[False, True, False], nulls_last=True
    ).with_columns(
        place=pl.int_range(pl.len()).over("cohort"),
        n_known=pl.col(RATE).count().over("cohort").cast(pl.Int64),
        n_courses=pl.len().over("cohort"),
    )
    place, n_known, is_known = pl.col("place"), pl.col("n_known"), pl.col(RATE).is_not_null()
    is_shown = (
        (pl.col("n_courses") <= MOST)
        | (is_known & ((place < _HALF) | (place >= n_known - _HALF)))
        | (~is_known & (place < MOST))
    )
    # Those after a gap are counted from the end of the known.
    gap = pl.max_horizontal(n_known - MOST, pl.lit(0))
    slot = pl.when(is_known & (place >= _HALF)).then(place - gap + 1).otherwise(place)
    slot = pl.when(~is_known).then(place - gap + 1).otherwise(slot)
    slot = pl.when(pl.col("n_courses") <= MOST).then(place).otherwise(slot)
    hidden = pl.when(is_known).then(_HALF).otherwise(MOST + 1)
    names = seen["course"].unique().sort().to_list()
    short = naming.distinct([naming.name(name) for name in names], _NAME)
    return ranked.with_columns(
        is_shown=is_shown,
        slot=pl.when(is_shown).then(slot).otherwise(hidden),
        name=pl.col("course").replace_strict(names, short, return_dtype=pl.String),
    )


def curve(released: Released, pairs: list[Pair], missing: dict[Pair, str]) -> alt.LayerChart:
    """Draw the share estimated to have passed by each day."""
    table = released.frame
    times = table.select(
        *PAIR,
        pl.col("duration").alias("days"),
        passed=(1 - pl.col("survival")).round(4),
        low=(1 - pl.col("ci_high")).round(4),
        high=(1 - pl.col("ci_low")).round(4),
    )
    rows = times.drop_nulls("passed")
    followed = set(table.filter(pl.col("n_at_risk").is_not_null()).select(PAIR).rows())
    undated = {pair: words.NOTHING if pair in followed else UNDATED for pair in pairs}
    end = max(rows["days"].to_list(), default=0.0) or 1.0
    base = alt.Chart(rows)
    x = alt.X(
        "days:Q",
        title="Days since enrollment",
        axis=alt.Axis(values=ticks(end, about=6), labelExpr="format(datum.value, '~g')"),
        scale=alt.Scale(domain=[0, end], nice=False),
    )
    y = alt.Y(
        "passed:Q",
        title="Share passed",
        axis=alt.Axis(format=".0%", tickCount=5),
        scale=alt.Scale(domain=[0, _round_up(rows["high"])]),
    )
    tooltip = [
        alt.Tooltip("days:Q", title="day", format=",.0f"),
        alt.Tooltip("told:N", title="passed"),
    ]
    layers: list[alt.Chart] = []
    if rows["course"].n_unique() <= MOST:
        layers.append(
            base.transform_filter(f"datum.course !== course && {_IN_COHORT}")
            .mark_line(strokeWidth=1, color=WITHHELD, interpolate="step-after")
            .encode(x=x, y=y, detail="course:N")
        )
    told = percent_of("passed", decimal=False)
    chosen = base.transform_filter(CHOSEN).transform_calculate(told=told)
    layers += [
        alt.Chart(_line_of_medians(times))
        .transform_filter(_IN_COHORT)
        .mark_line(strokeWidth=2, strokeDash=[4, 3], color=_MEDIAN, interpolate="step-after")
        .encode(x=x, y=y),
        chosen.mark_area(opacity=0.25, color=_HERE, interpolate="step-after").encode(
            x=x, y=alt.Y("low:Q"), y2="high:Q"
        ),
        chosen.mark_line(color=_HERE, interpolate="step-after").encode(x=x, y=y, tooltip=tooltip),
        _nothing(pairs, rows, missing, undated),
    ]
    return alt.LayerChart(
        layer=layers,
        title=_panel("Estimated to have passed", "Dashed: the median of courses shown"),
        width=RIGHT,
        height=260,
    )


def _nothing(
    pairs: list[Pair],
    shown: pl.DataFrame,
    missing: dict[Pair, str],
    otherwise: dict[Pair, str] | None = None,
) -> alt.Chart:
    """Draw the text of a panel that has nothing to show for a choice."""
    seen = set(shown.select(PAIR).rows())
    rows = [
        (*pair, missing.get(pair) or (otherwise or {}).get(pair, words.NOTHING))
        for pair in pairs
        if pair not in seen
    ]
    data = pl.DataFrame(rows, schema=dict.fromkeys([*PAIR, "text"], pl.String), orient="row")
    chart: alt.Chart = (
        alt.Chart(data)
        .transform_filter(CHOSEN)
        .mark_text(
            align="left",
            baseline="top",
            fontSize=13,
            color=MUTED,
            dy=alt.expr("narrow ? 14 : 0"),  # below the name of the first bar
        )
        .encode(text="text:N", x=alt.value(10), y=alt.value(4))
    )
    return chart


def _with_zeros(rows: pl.DataFrame, pairs: list[Pair], **column: list[str]) -> pl.DataFrame:
    """Add an invisible row for each choice without rows, because an axis needs one."""
    seen = set(rows.select(PAIR).rows())
    [(name, values)] = column.items()
    bare = [
        dict(zip(PAIR, pair, strict=True)) | {name: value, "at": 0.0, "text": ""}
        for pair in pairs
        if pair not in seen
        for value in values
    ]
    return pl.concat([rows, pl.DataFrame(bare, schema=dict(rows.schema))]) if bare else rows


def _medians(rows: pl.DataFrame, value: str, by: list[str]) -> pl.DataFrame:
    """Return the median of the courses in each cohort, if there are enough."""
    known = rows.drop_nulls(value).group_by("cohort", *by, maintain_order=True)
    medians = known.agg(pl.col(value).median().round(4), n=pl.len())
    # Of all courses or of none: a median that loses courses on its way would jump.
    everyone = pl.col("n") == pl.col("n").max().over("cohort")
    return medians.filter(everyone, pl.col("n") >= FEWEST)


def _line_of_medians(times: pl.DataFrame) -> pl.DataFrame:
    """Return the medians by day, null where one is unknown: there the line breaks."""
    days = times.select("cohort", "days").unique()
    known = _medians(times, "passed", ["days"])
    whole = days.join(known, on="cohort", how="semi").join(known, on=["cohort", "days"], how="left")
    return whole.sort("cohort", "days")


def _without_empty(table: pl.DataFrame, value: str) -> pl.DataFrame:
    """Keep the rows of groups of which something can be shown."""
    return table.filter(pl.col(value).is_not_null().any().over(PAIR))


def _panel(title: str, *notes: str) -> alt.TitleParams:
    return alt.TitleParams(
        text=title, subtitle=[*notes], fontSize=14, subtitleFontSize=12, offset=10, frame="group"
    )


def _round_up(values: pl.Series) -> float:
    """Round the largest share up to a tenth, so that the axis is the same for each choice."""
    largest = max(values.drop_nulls().to_list(), default=0.0)
    return min(1.0, max(0.1, math.ceil(largest * 10 - 1e-9) / 10))
