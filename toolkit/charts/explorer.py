"""The course explorer: a chart of charts that follow the chosen course and cohort."""

from __future__ import annotations

import textwrap
from itertools import product
from typing import Any

import altair as alt
import polars as pl

from toolkit.charts import explorer_panels as panels
from toolkit.charts.basis import how_many
from toolkit.charts.explorer_panels import CHOSEN, LABELS, LEFT, PAIR, RIGHT
from toolkit.charts.theme import finish
from toolkit.results.result import Result
from toolkit.schemas import require_columns
from toolkit.text.choices import ALL, RATE, statements, unknown

_LINE = 112  # characters of a sentence on one line


def course_explorer(
    *,
    outcomes: Result,
    funnel: Result,
    grades: Result,
    curve: Result,
    title: str = "Choose a course and a cohort: every chart follows",
    source: str | None = None,
    min_n: int | None = 10,
) -> alt.VConcatChart:
    """Show outcomes, funnel, grades and time to pass of a chosen course and cohort.

    The two selects also work in a page without Python. All tables have the group columns `course`
    and `cohort`, as text. The median of the courses is drawn beside the chosen one. A panel that
    cannot be shown says why.

    With more than about 50 courses, the tables exceed Altair's default limit, which
    `tk.use_offline_charts()` raises.

    Args:
        outcomes: What `outcomes` returns.
        funnel: What `completion_funnel` returns.
        grades: What `grade_distribution` returns.
        curve: What `kaplan_meier` returns, at a few `times`.
        title: The chart's title.
        source: Where the data come from, for the subtitle.
        min_n: The smallest count that is shown; None switches the protection off.

    Raises:
        SchemaError: A table lacks `course` or `cohort`.
    """
    tables = {"outcomes": outcomes, "funnel": funnel, "grades": grades, "curve": curve}
    for name, result in tables.items():
        require_columns(result.frame.columns, PAIR, what=name)
    safe = {name: result.release(min_n=min_n) for name, result in tables.items()}
    frame = safe["outcomes"].frame
    courses = frame["course"].unique().sort().to_list() or [""]
    cohorts = frame["cohort"].unique().sort().to_list() or [ALL]
    cohorts.sort(key=lambda name: name != ALL)
    first = _first(frame.filter(pl.col("cohort") == cohorts[0])) or courses[0]
    pairs = list(product(courses, cohorts))
    missing = unknown(safe["outcomes"], pairs)
    grid = alt.concat(
        panels.funnel(safe["funnel"], pairs, missing),
        panels.grades(safe["grades"], pairs, missing),
        panels.courses(safe["outcomes"]),
        panels.curve(safe["curve"], pairs, missing),
        columns=2,
        bounds="flush",
        spacing={"row": 124, "column": 96},
    )
    headline = _headline(statements(safe["outcomes"], safe["funnel"], pairs))
    parts = alt.vconcat(headline, grid, spacing=10).add_params(
        alt.param("course", value=first, bind=_select(courses, "Course")),
        alt.param("cohort", value=cohorts[0], bind=_select(cohorts, "Cohort")),
        # A page on a narrow screen sets it: names then stand above what they name.
        alt.param("narrow", value=False),
    )
    n = frame.filter(pl.col("cohort") == cohorts[0])["n_enrolled"]
    known = how_many(n, min_n, ("enrollment", "enrollments"), "course")
    return finish(
        parts,
        title=title,
        subtitle=" · ".join([known, *([source] if source else [])]),
        description=(
            "Four charts of one course and cohort: how many reached each stage from enrollment to "
            "the pass, the distribution of grades, the share passed among all courses, and the "
            "share passed by days since enrollment. Dashed lines are the median of the courses. "
            "Two selects choose course and cohort; a sentence states the choice in words."
        ),
    )


def _first(frame: pl.DataFrame) -> str | None:
    """Choose the course to begin with: the first with a pass rate, else the largest."""
    known = frame.filter(pl.col(RATE).is_not_null()).sort("course")
    largest = frame.drop_nulls("n_enrolled").sort("n_enrolled", "course", descending=[True, False])
    return next(iter([*known["course"], *largest["course"]]), None)


def _select(options: list[str], name: str) -> alt.BindRadioSelect:
    return alt.binding_select(options=options, name=f"{name} ")


def _headline(choices: list[dict[str, str]]) -> alt.LayerChart:
    rows = [{**row, "text": "\n".join(textwrap.wrap(row["text"], _LINE))} for row in choices]
    data = pl.DataFrame(rows, schema=dict.fromkeys([*PAIR, "headline", "text"], pl.String))
    base = alt.Chart(data, width=LEFT + RIGHT, height=48).transform_filter(CHOSEN)
    x = alt.value(-LABELS)
    line: dict[str, Any] = {"align": "left", "baseline": "top", "lineBreak": "\n"}
    headline = base.mark_text(fontSize=15, fontWeight=600, **line).encode(
        text="headline:N", x=x, y=alt.value(0)
    )
    text = base.mark_text(fontSize=13, lineHeight=19, **line).encode(
        text="text:N", x=x, y=alt.value(24)
    )
    return alt.LayerChart(layer=[headline, text], name="told")
