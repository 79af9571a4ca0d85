"""The course explorer: every choice says something, and nothing that is withheld is drawn as 0."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import toolkit as tk
from toolkit.charts.basis import MOST
from toolkit.charts.explorer_panels import _ranked
from toolkit.errors import SchemaError
from toolkit.text.choices import NOBODY, RATE, UNDATED, statements
from toolkit.text.words import NOTHING

BY = ["course", "cohort"]


def learners(*groups: tuple[str, str, int, int], undated: str = "") -> pl.DataFrame:
    """A person_course of groups: course, cohort, how many, how many of them passed on day 40."""
    begin, as_of = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "username": f"{course}-{cohort}-{number}",
            "course_id": course,
            "course": course,
            "cohort": cohort,
            "in_enrollments": True,
            "created": begin,
            "passed": number < n_passed,
            "passed_timestamp": begin + timedelta(days=40)
            if number < n_passed and course != undated
            else None,
            "completion": 1.0 if number < n_passed else 0.2,
            "percent_grade": 0.9 if number < n_passed else 0.15,
            "as_of": as_of,
        }
        for course, cohort, n, n_passed in groups
        for number in range(n)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"passed_timestamp": pl.Datetime("us", "UTC")})
    return pl.concat([frame, frame.with_columns(cohort=pl.lit("all"))])


def explorer(frame: pl.DataFrame) -> dict[str, Any]:
    durations = tk.time_to_pass(frame, undated="leave_out")
    spec: dict[str, Any] = tk.charts.course_explorer(
        outcomes=tk.outcomes(frame, by=BY),
        funnel=tk.completion_funnel(frame, by=BY),
        grades=tk.grade_distribution(frame, by=BY, bins=10),
        curve=tk.kaplan_meier(durations, by=BY, times=range(0, 361, 30)),
    ).to_dict()
    return spec


def views(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every view of a chart and the views in it."""
    yield spec
    for name in ("vconcat", "concat", "layer"):
        for inner in spec.get(name, []):
            yield from views(inner)


def tables(spec: dict[str, Any], *columns: str) -> list[list[dict[str, Any]]]:
    """The tables that have these columns."""
    return [
        rows
        for rows in spec["datasets"].values()
        if rows and all(name in rows[0] for name in columns)
    ]


FRAME = learners(
    ("A", "2024", 100, 80),
    ("A", "2025", 60, 30),
    ("B", "2024", 100, 20),
    ("B", "2025", 6, 3),
    ("C", "2024", 100, 50),
    ("U", "2024", 100, 60),
    undated="U",
)


def headlines(frame: pl.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    outcomes = tk.outcomes(frame, by=BY).release()
    funnel = tk.completion_funnel(frame, by=BY).release()
    pairs = [(a, b) for a in ("A", "B", "C", "U") for b in ("all", "2024", "2025")]
    return {(row["course"], row["cohort"]): row for row in statements(outcomes, funnel, pairs)}


def test_a_headline_says_the_pass_rate_and_the_place_among_the_courses() -> None:
    said = headlines(FRAME)
    assert said["B", "2024"]["headline"] == "B, 2024: 20% passed, lowest of 4"
    assert said["A", "2024"]["headline"] == "A, 2024: 80% passed, highest of 4"
    assert said["C", "all"]["headline"].endswith("passed, 3rd highest of 4")
    assert said["A", "2025"]["headline"].endswith("% passed")
    assert (
        "Largest loss: 80% of the active, before half-way, the largest of 4 courses; the median"
        in (said["B", "2024"]["text"])
    )


def test_a_headline_says_why_there_is_nothing() -> None:
    said = headlines(FRAME)
    assert said["B", "2025"]["headline"] == f"B, 2025: {NOTHING}"
    assert said["C", "2025"]["headline"] == f"C, 2025: {NOBODY}"
    assert said["C", "2025"]["text"] == ""


def test_every_panel_shows_something_or_says_why_not() -> None:
    spec = explorer(FRAME)
    wanted = {(a, b) for a in "ABCU" for b in ("all", "2024", "2025")}
    funnel, grades, curve = (
        next(rows for rows in tables(spec, "course", name) if "slot" not in rows[0])
        for name in ("stage", "grade", "days")
    )
    reasons = [rows for rows in tables(spec, "text") if set(rows[0]) == {*BY, "text"}]
    for drawn in (funnel, grades, curve):
        seen = {(row["course"], row["cohort"]) for row in drawn if row.get("text") != ""}
        filling = [
            {(row["course"], row["cohort"]): row["text"] for row in rows}
            for rows in reasons
            if {(row["course"], row["cohort"]) for row in rows} == wanted - seen
        ]
        assert filling, "a choice leaves a panel empty without a word"
        assert filling[0]["C", "2025"] == NOBODY
        assert filling[0]["B", "2025"] == NOTHING
    of_u = [
        row["text"]
        for rows in reasons
        for row in rows
        if (row["course"], row["cohort"]) == ("U", "all")
    ]
    assert of_u == [UNDATED]


def test_a_withheld_bin_is_written_and_an_empty_one_is_not() -> None:
    grades = next(rows for rows in tables(explorer(learners(("A", "2024", 50, 4))), "grade"))
    of = {row["grade"]: row for row in grades if row["cohort"] == "all"}
    assert (of["90–100%"]["withheld"], of["90–100%"]["at"]) == ("<10", 0)
    assert (of["10–20%"]["withheld"], of["10–20%"]["text"]) == (None, "45")


def test_a_bar_is_told_its_share_and_count_or_that_it_is_withheld() -> None:
    spec = explorer(learners(("A", "2024", 3000, 12), ("B", "2024", 40, 4)))
    funnel = next(rows for rows in tables(spec, "stage", "text") if rows[0]["course"] == "A")
    last = {
        row["course"]: row["text"]
        for row in funnel
        if row["cohort"] == "all" and row["stage"].endswith("passed")
    }
    assert last["A"] in {"under 1% (10)", "under 1% (15)"}
    assert last["B"] == "<10"


def test_no_table_holds_an_exact_count() -> None:
    spec = explorer(learners(*(("ABCDEF"[i], "2024", 43 + 7 * i, 11 + 3 * i) for i in range(6))))
    for rows in spec["datasets"].values():
        for row in rows:
            counts = [row[name] for name in row if name.startswith(("n_", "text_n_"))]
            assert all(
                str(count).startswith(("<", "fewer")) or int(count) % 5 == 0 for count in counts
            )


@pytest.mark.parametrize("n_known", [3, MOST, MOST + 1, 50])
@pytest.mark.parametrize("n_unknown", [0, 2, 40])
def test_each_course_has_a_row_of_its_own_and_the_chosen_one_always_fits(
    n_known: int, n_unknown: int
) -> None:
    frame = learners(
        *((f"K{n:02}", "2024", 40, 10 + n % 30) for n in range(n_known)),
        *((f"U{n:02}", "2024", 5, 1) for n in range(n_unknown)),
    ).filter(cohort="all")
    ranked = _ranked(tk.outcomes(frame, by=BY).release())
    shown, hidden = ranked.filter("is_shown"), ranked.filter(~pl.col("is_shown"))
    assert shown["slot"].is_unique().all()
    assert set(hidden["slot"]).isdisjoint(shown["slot"])
    by_slot = shown.sort("slot")
    rates = by_slot[RATE].drop_nulls().to_list()
    assert rates == sorted(rates, reverse=True)
    assert by_slot[RATE].to_list() == [*rates, *[None] * (by_slot.height - len(rates))]
    assert shown.height <= MOST
    # One that is chosen stands where it belongs: between the known, or at the end.
    for slot, rate in hidden.select("slot", RATE).rows():
        above = shown.filter(pl.col("slot") < slot, pl.col(RATE).is_not_null())
        if rate is None:
            assert slot > shown["slot"].max()
        else:
            assert above[RATE].min() >= rate


def test_courses_of_the_same_beginning_are_told_apart() -> None:
    names = [f"{'Introduction to ' * 6}{n}" for n in ("one", "two")]
    spec = explorer(learners(*((name, "2024", 40, 20) for name in names)))
    [rows] = tables(spec, "name", "slot")
    assert len({row["name"] for row in rows}) == 2


def test_a_large_catalogue_is_drawn() -> None:
    tk.use_offline_charts()
    spec = explorer(learners(*((f"C{n:03}", "2024", 40, 20) for n in range(230))))
    assert max(map(len, spec["datasets"].values())) > 5000


def test_a_table_without_course_is_refused() -> None:
    frame = learners(("A", "2024", 40, 20))
    with pytest.raises(SchemaError, match="course"):
        tk.charts.course_explorer(
            outcomes=tk.outcomes(frame),
            funnel=tk.completion_funnel(frame, by=BY),
            grades=tk.grade_distribution(frame, by=BY, bins=10),
            curve=tk.kaplan_meier(tk.time_to_pass(frame), by=BY, times=[0, 30]),
        )


def test_the_line_of_medians_breaks_where_a_course_is_withheld() -> None:
    frame = learners(("A", "2024", 100, 80), ("B", "2024", 100, 60), ("C", "2024", 100, 40))
    number = pl.col("username").str.extract(r"(\d+)$").cast(pl.Int64)
    day = pl.when(number < 5).then(20).otherwise(130)  # fewer than 10 of B pass until day 130
    later = pl.datetime(2025, 1, 1, time_zone="UTC") + pl.duration(days=day)
    is_later = pl.col("course").eq("B") & pl.col("passed")
    late = pl.when(is_later).then(later).otherwise("passed_timestamp")
    [rows] = tables(explorer(frame.with_columns(passed_timestamp=late)), "days", "n")
    drawn = {row["days"]: row["passed"] for row in rows if row["cohort"] == "all"}
    assert [*drawn][:6] == [0, 30, 60, 90, 120, 150]
    assert [drawn[day] for day in (30, 60, 90, 120)] == [None] * 4
    assert drawn[0] == 0
    assert drawn[150] == pytest.approx(0.6, abs=0.05)
