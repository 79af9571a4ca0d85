"""One chart of charts with two selects: every part follows the chosen course and cohort."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import altair as alt
import polars as pl

from toolkit.charts.theme import MUTED, PALETTE, RULE, WITHHELD, finish
from toolkit.results.result import Result
from toolkit.schemas import require_columns

PAIR = ["course", "cohort"]
ALL = "all"  # the cohort of everybody; offered first
_CHOSEN = "datum.course === course && datum.cohort === cohort"
_PLOT_WIDTH = 330
_GAP = 60
_LINE = 105  # characters of a sentence on one line


def course_explorer(
    *,
    outcomes: Result,
    funnel: Result,
    grades: Result,
    curve: Result,
    sentences: Mapping[tuple[str, str], str],
    title: str = "Choose a course and a cohort: every chart follows",
    source: str | None = None,
    min_n: int = 10,
) -> alt.VConcatChart:
    """Show outcomes, funnel, grades and time to pass of a chosen course and cohort.

    The choice is made in two selects that also work in a page without Python. All tables have
    the group columns `course` and `cohort`, as text.

    Args:
        outcomes: What `outcomes` returns.
        funnel: What `completion_funnel` returns.
        grades: What `grade_distribution` returns.
        curve: What `kaplan_meier` returns, at a few `times`.
        sentences: What each course and cohort is told in words, by the pair of them.
        title: The chart's title.
        source: Whence the data come, for the subtitle.
        min_n: Fewest learners that are shown; 1 switches the protection off.

    Raises:
        SchemaError: A table lacks `course` or `cohort`.
    """
    tables = {"outcomes": outcomes, "funnel": funnel, "grades": grades, "curve": curve}
    safe = {name: table.release(min_n=min_n).frame for name, table in tables.items()}
    for name, frame in safe.items():
        require_columns(frame.columns, PAIR, what=name)
    courses = safe["outcomes"]["course"].unique().sort().to_list()
    cohorts = safe["outcomes"]["cohort"].unique().sort().to_list()
    cohorts.sort(key=lambda name: name != ALL)
    course = alt.param("course", value=courses[0], bind=_select(courses, "Course"))
    cohort = alt.param("cohort", value=cohorts[0], bind=_select(cohorts, "Cohort"))
    parts = alt.vconcat(
        _sentences(sentences),
        alt.hconcat(_funnel(safe["funnel"]), _grades(safe["grades"]), spacing=_GAP),
        alt.hconcat(_courses(safe["outcomes"]), _curve(safe["curve"]), spacing=_GAP),
        spacing=24,
    ).add_params(course, cohort)
    n = safe["outcomes"].filter(pl.col("cohort") == cohorts[0])["n_enrolled"].sum()
    return finish(
        parts,
        title=title,
        subtitle=f"n = {n:,} enrollments · {source}" if source else f"n = {n:,} enrollments",
        description=(
            "Four charts of one course and cohort: the funnel from enrolled to passed, the "
            "distribution of grades, the share passed among all courses, and the share passed by "
            "days since enrollment. Two selects choose course and cohort; a sentence tells the "
            "choice in words."
        ),
    )


def _select(options: list[str], name: str) -> alt.BindRadioSelect:
    return alt.binding_select(options=options, name=f"{name} ")


def _sentences(sentences: Mapping[tuple[str, str], str]) -> alt.Chart:
    rows = [
        {"course": course, "cohort": cohort, "text": "\n".join(textwrap.wrap(text, _LINE))}
        for (course, cohort), text in sentences.items()
    ]
    chart: alt.Chart = (
        alt.Chart(pl.DataFrame(rows), width=2 * _PLOT_WIDTH + _GAP, height=44)
        .mark_text(align="left", baseline="top", lineBreak="\n", fontSize=14, lineHeight=20)
        .encode(text="text:N", x=alt.value(0), y=alt.value(0))
        .transform_filter(_CHOSEN)
    )
    return chart


def _funnel(table: pl.DataFrame) -> alt.LayerChart:
    stages = table["stage"].unique(maintain_order=True).to_list()
    rows = table.select(*PAIR, "stage", "n_reached", pl.col("rate_of_enrolled").round(4))
    base = alt.Chart(rows, title="From enrollment to the pass", width=_PLOT_WIDTH - 110)
    base = base.transform_filter(_CHOSEN)
    y = alt.Y("stage:N", sort=stages, title=None, axis=alt.Axis(labelLimit=260))
    share = alt.X(
        "rate_of_enrolled:Q",
        title="Share of the enrolled",
        axis=alt.Axis(format=".0%", tickCount=5),
        scale=alt.Scale(domain=[0, 1]),
    )
    tooltip = [
        alt.Tooltip("stage:N", title="Stage"),
        alt.Tooltip("n_reached:Q", title="Learners", format=","),
        alt.Tooltip("rate_of_enrolled:Q", title="Of the enrolled", format=".1%"),
    ]
    bars = base.mark_bar(height={"band": 0.7}).encode(x=share, y=y, tooltip=tooltip)
    told = "datum.n_reached === null ? 'withheld' : format(datum.n_reached, ',')"
    labels = (
        base.transform_calculate(
            label=told, at="datum.rate_of_enrolled === null ? 0 : datum.rate_of_enrolled"
        )
        .mark_text(align="left", dx=5)
        .encode(x="at:Q", y=y, text="label:N")
    )
    return alt.LayerChart(layer=[bars, labels], height=170)


def _grades(table: pl.DataFrame) -> alt.Chart:
    part, low, high = pl.col("part"), pl.col("bin_low"), pl.col("bin_high")
    span = pl.format("{}–{} %", (low * 100).round().cast(int), (high * 100).round().cast(int))
    named = table.filter(part != "out of range").with_columns(
        grade=pl.when(part == "bin").then(span).otherwise(part)
    )
    order = named["grade"].unique(maintain_order=True).to_list()
    rows = named.select(*PAIR, "grade", "n_learners", pl.col("share_of_enrolled").round(4))
    chart: alt.Chart = (
        alt.Chart(rows, title="Grades", width=_PLOT_WIDTH, height=170)
        .mark_bar()
        .encode(
            x=alt.X("grade:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y(
                "share_of_enrolled:Q", title="Share of the enrolled", axis=alt.Axis(format="%")
            ),
            color=alt.condition(
                "datum.grade === 'missing' || datum.grade === 'zero'",
                alt.value(RULE),
                alt.value(PALETTE[0]),
            ),
            tooltip=[
                alt.Tooltip("grade:N", title="Grade"),
                alt.Tooltip("n_learners:Q", title="Learners", format=","),
                alt.Tooltip("share_of_enrolled:Q", title="Of the enrolled", format=".1%"),
            ],
        )
        .transform_filter(_CHOSEN)
    )
    return chart


def _courses(table: pl.DataFrame) -> alt.LayerChart:
    rate = "pass_rate_of_enrolled"
    rows = table.select(
        *PAIR,
        "n_enrolled",
        *(pl.col(name).round(4) for name in (rate, f"{rate}_ci_low", f"{rate}_ci_high")),
    )
    base = alt.Chart(
        rows, title="Passed, among all courses", width=_PLOT_WIDTH - 110, height=alt.Step(18)
    ).transform_filter("datum.cohort === cohort")
    colour = alt.condition("datum.course === course", alt.value(PALETTE[5]), alt.value(PALETTE[0]))
    y = alt.Y("course:N", title=None, axis=alt.Axis(labelLimit=260))
    x = alt.X(f"{rate}:Q", title="Passed of the enrolled", axis=alt.Axis(format=".0%", tickCount=5))
    interval = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(f"{rate}_ci_low:Q"), x2=f"{rate}_ci_high:Q", y=y, color=colour
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("course:N", title="Course"),
            alt.Tooltip("n_enrolled:Q", title="Enrolled", format=","),
            alt.Tooltip(f"{rate}:Q", title="Passed", format=".1%"),
        ],
    )
    return alt.LayerChart(layer=[interval, points])


def _curve(table: pl.DataFrame) -> alt.LayerChart:
    rows = table.select(
        *PAIR,
        pl.col("duration").alias("days"),
        passed=(1 - pl.col("survival")).round(4),
        low=(1 - pl.col("ci_high")).round(4),
        high=(1 - pl.col("ci_low")).round(4),
    ).drop_nulls("passed")
    base = alt.Chart(rows, title="Estimated to have passed", width=_PLOT_WIDTH, height=250)
    x = alt.X("days:Q", title="Days since enrollment")
    y = alt.Y("passed:Q", title="Share passed", axis=alt.Axis(format="%"))
    others = (
        base.transform_filter("datum.cohort === cohort && datum.course !== course")
        .mark_line(strokeWidth=1, color=WITHHELD, interpolate="step-after")
        .encode(x=x, y=y, detail="course:N")
    )
    chosen = base.transform_filter(_CHOSEN)
    band = chosen.mark_area(opacity=0.25, color=PALETTE[5], interpolate="step-after").encode(
        x=x, y=alt.Y("low:Q"), y2="high:Q"
    )
    line = chosen.mark_line(color=PALETTE[5], interpolate="step-after").encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("days:Q", title="Days"),
            alt.Tooltip("passed:Q", title="Passed", format=".1%"),
        ],
    )
    nothing = (
        alt.Chart(pl.DataFrame({"text": ["grey: the other courses"]}))
        .mark_text(align="left", baseline="top", color=MUTED)
        .encode(text="text:N", x=alt.value(6), y=alt.value(4))
    )
    return alt.LayerChart(layer=[others, band, line, nothing])
