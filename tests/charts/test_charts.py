"""The finished chart is read back, and every number in it held against the released figures."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from html import unescape
from typing import Any

import altair as alt
import numpy as np
import polars as pl
import pytest
import vl_convert

import toolkit as tk
from toolkit.charts.basis import contrast, letter_colour
from toolkit.charts.step_curves import percent_of
from toolkit.charts.theme import DARK, FAINT, MUTED, RAMP
from toolkit.results.result import Released, Result
from toolkit.schemas import TIMESTAMP
from toolkit.survival.competing_risks import cumulative_incidence
from toolkit.survival.differences import milestone_difference, rmst_difference
from toolkit.survival.hazards import nelson_aalen, smoothed_hazard
from toolkit.text import naming, words

N = 4_000
ODD = [
    "<b>bold</b>",
    "=HYPERLINK(1)",
    "ש" * 30,
    "課程",
    "🎓",
    "x" * 200,
    "x" * 199 + "y",
    "",
    "\x1b[31m",
]


def drawn(n: int = N) -> pl.DataFrame:
    """Some courses, one of them with few learners."""
    rng = np.random.default_rng(4)
    names = [f"course-v1:Organisation+A-course-with-a-name+{run}" for run in ("2025", "2026", "x")]
    enrolled = rng.integers(20_000, 20_450, n)
    to_pass = rng.weibull(1.2, n) * 80
    passed = (rng.random(n) < 0.6) & (to_pass < 20_454 - enrolled)
    grade = np.where(rng.random(n) < 0.2, 0, rng.integers(0, 101, n)) / 100
    return pl.DataFrame(
        {
            "username": pl.Series(rng.integers(0, n // 2, n)).cast(pl.String),
            "course_id": rng.choice(names, n, p=[0.6, 0.398, 0.002]),
            "org": pl.Series(["Organisation"] * n, dtype=pl.String),
            "course_number": rng.choice(["A", "B", "C"], n),
            "mode": rng.choice(["audit", "verified"], n),
            "odd": rng.choice(ODD, n),
            "in_enrollments": pl.Series([True] * n, dtype=pl.Boolean),
            "completion": rng.integers(0, 101, n) / 100,
            "percent_grade": pl.Series(grade, dtype=pl.Float64),
            "passed": passed,
            "created": pl.Series(enrolled).cast(pl.Date).cast(TIMESTAMP),
            "passed_timestamp": pl.Series(enrolled + to_pass.astype(int))
            .cast(pl.Date)
            .cast(TIMESTAMP)
            .set(pl.Series(~passed, dtype=pl.Boolean), None),
            "enrolled_day": pl.Series(enrolled, dtype=pl.Int32),
            "passed_day": pl.Series(enrolled + to_pass.astype(int), dtype=pl.Int32).set(
                pl.Series(~passed, dtype=pl.Boolean), None
            ),
            "days_to_pass": pl.Series(to_pass).set(pl.Series(~passed, dtype=pl.Boolean), None),
            "observed_days": 20_454.5 - enrolled,
            "as_of": pl.Series([datetime(2026, 1, 1, 12, tzinfo=UTC)] * n, dtype=TIMESTAMP),
            "record_key": rng.integers(0, 2**32, n),
        }
    )


def durations(pc: pl.DataFrame) -> pl.DataFrame:
    """The times of the learners, with the end that each came to."""
    return pc.select(
        "mode",
        "course_id",
        "odd",
        "record_key",
        duration=pl.col("days_to_pass").fill_null(pl.col("observed_days")),
        event="passed",
        end=pl.when("passed").then(pl.lit("passed")),
    )


PC = drawn()
CHARTS: dict[str, Callable[[pl.DataFrame], Result]] = {
    "outcomes": lambda pc: tk.outcomes(pc, by="course_id", totals=True),
    "outcomes of odd names": lambda pc: tk.outcomes(pc, by="odd"),
    "funnel": tk.completion_funnel,
    "funnels": lambda pc: tk.completion_funnel(pc, by="course_id"),
    "grades": tk.grade_distribution,
    "grades by": lambda pc: tk.grade_distribution(pc, by="course_id"),
    "completion": tk.completion_distribution,
    "progress": tk.cohort_progress,
    "progress by": lambda pc: tk.cohort_progress(pc, by="mode"),
    "groups": lambda pc: tk.compare_groups(pc, by="course_id").groups,
    "pairs": lambda pc: tk.compare_groups(pc, by="course_id").pairs,
    "transitions": lambda pc: tk.learner_paths(pc).transitions,
    "curve": lambda pc: tk.kaplan_meier(durations(pc)),
    "curves": lambda pc: tk.kaplan_meier(durations(pc), by="course_id"),
    "many curves": lambda pc: tk.kaplan_meier(durations(pc), by="odd"),
    "ends": lambda pc: cumulative_incidence(durations(pc), by="mode"),
    "cumulative hazard": lambda pc: nelson_aalen(durations(pc)),
    "hazard": lambda pc: smoothed_hazard(durations(pc), by="mode"),
    "sensitivity": tk.reports.sensitivity,
    "sensitivity of a time": lambda pc: tk.reports.sensitivity(pc, headline="first quartile"),
    "own": lambda pc: tk.result(
        pc.group_by("mode", maintain_order=True).agg(
            n=pl.len().cast(pl.Int64), n_passed=pl.col("passed").sum().cast(pl.Int64)
        ),
        counts={"n": None, "n_passed": "n"},
        groups=["mode"],
    ),
}
DIFFERENCES: dict[str, Callable[[pl.DataFrame], Result]] = {
    "mean times": lambda pc: rmst_difference(durations(pc), by="course_id"),
    "milestones": lambda pc: milestone_difference(durations(pc), by="course_id", at=90),
}
ALL = CHARTS | DIFFERENCES


@cache
def released(name: str) -> Released:
    """What may be shown of some result."""
    return ALL[name](PC).release()


@cache
def spec_of(name: str) -> dict[str, Any]:
    """The finished chart."""
    spec: dict[str, Any] = released(name).chart(source="simulated").to_dict()
    return spec


def rows_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Every row that a chart carries."""
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


def said(spec: dict[str, Any]) -> str:
    """All that the chart's head says."""
    return " ".join([*spec["title"]["text"], *spec["title"]["subtitle"], spec["description"]])


@pytest.mark.parametrize("name", ALL)
def test_a_chart_has_a_finding_a_basis_and_a_description_and_can_be_drawn(name: str) -> None:
    spec = spec_of(name)
    assert "".join(spec["title"]["text"])
    assert "".join(spec["title"]["subtitle"]).startswith("n = ")
    assert "simulated" in "".join(spec["title"]["subtitle"])
    assert len(spec["description"]) > 20
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    assert svg.startswith("<svg")
    assert not {"NaN", "null", "undefined"} & set(re.findall(r">\W*(\w+)%?<", svg))


@pytest.mark.parametrize("name", ALL)
def test_every_count_of_a_chart_is_one_that_is_released(name: str) -> None:
    frame = released(name).frame
    shown = {
        value
        for column in frame.columns
        if frame.schema[column].is_integer()
        for value in frame[column].drop_nulls()
    }
    counts = [
        value
        for row in rows_of(spec_of(name))
        for column, value in row.items()
        if column.startswith("n_") and value is not None
    ]
    basis = re.match(r"n = (?:<10–)?((?:[\d,]+–)?[\d,]+)", spec_of(name)["title"]["subtitle"][0])
    assert basis
    counts += [int(n.replace(",", "")) for n in basis[1].split("–")]
    assert set(counts) <= shown | {0}
    assert not set(range(1, 10)) & set(counts)


@pytest.mark.parametrize("name", ALL)
def test_every_height_of_a_chart_is_one_that_is_released(name: str) -> None:
    frame = released(name).frame
    floats = [frame[c].drop_nulls() for c, dtype in frame.schema.items() if dtype == pl.Float64]
    known = np.concatenate([*(values.to_numpy() for values in floats), [0.0, 1.0]])
    known = np.concatenate([known, 1 - known])
    heights = [
        row[column]
        for row in rows_of(spec_of(name))
        for column in ("value", "low", "high", "at", "rule", "share_of_enrolled", "ecdf")
        if row.get(column) is not None
    ]
    for height in heights:
        assert np.abs(known - height).min() < 1e-9


@pytest.mark.parametrize("name", ALL)
def test_a_chart_of_nobody_or_of_few_says_so_in_words(name: str) -> None:
    spec = ALL[name](drawn(6)).release().chart().to_dict()
    vl_convert.vegalite_to_svg(json.dumps(spec))
    assert not re.search(r"\b[1-9]%|NaN|None", said(spec).replace("95%", ""))
    assert re.search("too few|nothing|fewer than|not in|No ", said(spec), re.IGNORECASE)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_no_learner_can_be_drawn(name: str) -> None:
    spec = ALL[name](drawn(0)).release().chart().to_dict()
    assert "".join(spec["title"]["text"])
    vl_convert.vegalite_to_svg(json.dumps(spec))


@pytest.mark.parametrize("name", ["outcomes", "funnels", "progress", "curves", "mean times"])
def test_a_chart_without_protection_says_so(name: str) -> None:
    exact = ALL[name](PC).release(min_n=None)
    assert "unprotected" in said(exact.chart().to_dict())
    assert "unprotected" not in said(spec_of(name))


def test_the_caption_of_a_result_is_the_source_of_its_chart() -> None:
    spec = tk.outcomes(PC, by="mode").captioned("sandbox; as of today").chart().to_dict()
    assert "sandbox; as of today" in said(spec)


def test_a_title_of_ones_own_replaces_the_finding() -> None:
    spec = tk.outcomes(PC, by="mode").chart(title="Our modes").to_dict()
    assert spec["title"]["text"] == ["Our modes"]


def test_the_rates_of_outcomes_can_be_chosen() -> None:
    result = tk.outcomes(PC, by="mode")
    spec = result.chart(rate="completion_rate_of_active").to_dict()
    assert "Completed of the active" in said(spec)
    with pytest.raises(
        tk.errors.SchemaError, match="no rate `grade`; there are active_rate_of_enrolled"
    ):
        result.chart(rate="grade")


def test_odd_names_stay_apart_and_on_one_line() -> None:
    names = {row["group"] for row in rows_of(spec_of("outcomes of odd names")) if "group" in row}
    assert len(names) == len(ODD)
    assert all(len(name) < 60 and "\x1b" not in name for name in names)


def test_a_cell_of_few_passers_says_below_which_share_they_are() -> None:
    rows = rows_of(tk.cohort_progress(PC, periods=18).chart().to_dict())
    small = [row for row in rows if row["kind"] == "small"]
    assert small
    for row in small:
        assert row["reach_rate"] is None
        assert float(row["text"].strip("<%")) / 100 >= 9 / row["n_observed"] * 0.8


def test_times_that_have_not_come_are_told_apart_from_what_is_withheld() -> None:
    rows = rows_of(tk.cohort_progress(PC, periods=18).chart().to_dict())
    assert {"share", "small", "not yet"} <= {row["kind"] for row in rows}
    assert all(row["text"] == "" for row in rows if row["kind"] == "not yet")


def test_most_cells_with_enough_observed_show_something() -> None:
    rows = rows_of(tk.cohort_progress(PC, periods=12).chart().to_dict())
    enough = [row for row in rows if row["n_observed"] is not None]
    assert all(row["kind"] in {"share", "small"} for row in enough)


def test_the_median_of_a_curve_is_a_point_of_the_curve() -> None:
    rows = rows_of(spec_of("curves"))
    medians = [row for row in rows if row.get("kind") == "median"]
    steps = {
        (row["panel"], row["duration"], round(row["value"], 9))
        for row in rows
        if row.get("kind") == "step" and row["value"] is not None
    }
    assert medians
    assert all((m["panel"], m["duration"], round(m["value"], 9)) in steps for m in medians)


def test_a_released_curve_is_drawn_as_steps_without_marks_of_single_learners() -> None:
    text = json.dumps(spec_of("curves"))
    assert '"interpolate": "step-after"' in text
    assert '"interpolate": "linear"' not in text
    assert not any(row.get("n_censored") for row in rows_of(spec_of("curves")))


def test_the_number_at_risk_is_the_one_of_the_row_at_that_time() -> None:
    frame = released("curve").frame
    texts = [row for row in rows_of(spec_of("curve")) if "text" in row and "duration" in row]
    assert len(texts) > 3
    for row in texts:
        at = frame.filter(duration=row["duration"])["n_at_risk"].to_list()
        assert row["text"] == (f"{at[0]:,}" if at and at[0] is not None else "<10")


@pytest.mark.parametrize("by", [None, "display_name", ["display_name", "mode"]])
@pytest.mark.parametrize("learners", [300, 700, 5000])
def test_the_number_at_risk_at_every_tick_is_within_4(learners: int, by: object) -> None:
    with tk.sandbox(learners=learners, seed=learners) as platform:
        timed = tk.time_to_pass(tk.load_study(platform)).drop_nulls("duration")
    spec = tk.kaplan_meier(timed, by=by).chart().to_dict()
    names = [by] if isinstance(by, str) else by or []
    label = pl.concat_str(names, separator=" · ") if names else pl.lit("all learners")
    timed = timed.with_columns(panel=label)
    told = [row for row in rows_of(spec) if row.get("duration") is not None and row.get("text")]
    assert len(told) >= 4
    for row in told:
        n = timed.filter(pl.col("panel") == row["panel"], pl.col("duration") >= row["duration"])
        if row["text"] == "<10":
            assert n.height < 10, row
        else:
            assert abs(int(row["text"].replace(",", "")) - n.height) < 5, (row, n.height)


def test_an_unknown_view_of_a_curve_is_refused() -> None:
    with pytest.raises(tk.errors.ArgumentError, match="passed"):
        tk.kaplan_meier(durations(PC)).chart(show="both")


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_letters_in_cells_can_be_read(paper: str) -> None:
    def seen(colour: str) -> list[float]:
        shown = DARK[colour] if paper == "dark" else colour
        return [int(shown[place : place + 2], 16) / 255 for place in (1, 3, 5)]

    assert contrast(seen(MUTED), seen(FAINT)) >= 4.5
    for share in np.linspace(0, 1, 101):
        place = share * (len(RAMP) - 1)
        low = int(place)
        high = min(low + 1, len(RAMP) - 1)
        pairs = zip(seen(RAMP[low]), seen(RAMP[high]), strict=True)
        fill = [a + (b - a) * (place - low) for a, b in pairs]
        ink = letter_colour(float(share), 1.0)
        assert contrast(seen(ink), fill) >= 4.5, share


def test_a_curve_gives_the_p_of_its_test_and_the_ticks_asked_for() -> None:
    timed = durations(PC)
    curve = tk.kaplan_meier(timed, by="mode")
    test = tk.logrank(timed, by="mode")
    spec = curve.chart(test=test, breaks=[100, 0, 200, 9_999]).to_dict()
    assert "Log-rank test: p " in said(spec)
    assert '"values": [0.0, 100.0, 200.0]' in json.dumps(spec)
    vl_convert.vegalite_to_svg(json.dumps(spec))
    for wrong in ({"test": curve}, {"test": 0.05}, {"breaks": [-1]}):
        with pytest.raises(tk.errors.ArgumentError):
            curve.chart(**wrong)


def tooltips_of(spec: dict[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield the fields of each tooltip with a row that it may be of."""

    def marks(part: Any, data: str, kind: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
        if isinstance(part, list):
            for one in part:
                yield from marks(one, data, kind)
        elif isinstance(part, dict):
            data = part.get("data", {}).get("name", data)
            told = str([step.get("filter", "") for step in part.get("transform", [])])
            kind = ([kind, *re.findall(r"datum\.kind ===? '(.+?)'", told)])[-1]
            tips = part.get("encoding", {}).get("tooltip", [])
            for row in spec["datasets"].get(data, []) if "mark" in part else ():
                if not kind or row.get("kind") == kind:
                    yield [tip["field"] for tip in tips], row
            for key, inner in part.items():
                if key not in {"data", "datasets", "encoding", "transform", "config"}:
                    yield from marks(inner, data, kind)

    yield from marks(spec, "", "")


def says(text: str, row: dict[str, Any], column: str) -> bool:
    """Whether a text is that of a figure: its first number, rounded, or a bound above it."""
    value = row[column]
    number = re.search(r"[\d,]+(\.\d+)?", text)
    if number is None:
        return value is None and text in {"–", ""}
    told = float(number[0].replace(",", ""))
    if value is None:
        return bool(re.match("<|fewer|under", text))
    if isinstance(value, int):
        return told == value
    digits = len((number[1] or ".")[1:])
    shown = value * 100
    if text.startswith(("under", "<")):
        return 0 < shown < told
    if text.startswith("over"):
        return told < shown < 100
    return abs(told - shown) <= 0.5 * 10**-digits + 1e-6


@pytest.mark.parametrize("min_n", [10, None])
@pytest.mark.parametrize("name", ALL)
def test_every_tooltip_says_what_a_row_of_the_table_says(name: str, min_n: int | None) -> None:
    shown = ALL[name](PC).release(min_n=min_n)
    frame = shown.frame.with_columns(
        pl.Series("_label", naming.labels(shown.frame, shown.by), pl.String)
    )
    rows = frame.to_dicts()
    by_label = {label: [r for r in rows if r["_label"] == label] for label in frame["_label"]}
    n_compared = 0
    for fields, row in tooltips_of(shown.chart().to_dict()):
        columns = {f: f.removeprefix("text_") for f in fields if f.startswith("text_")}
        assert all(row[field] is not None for field in columns)
        own = rows
        if shown.by and (label := row.get("panel") or row.get("group")):
            own = by_label[label]
        for key in ("stage", "enrolled", "days", "from_course", "to_course", "bin_low"):
            if key in fields and key in frame.columns:
                own = [one for one in own if one[key] == row[key]]
        if "duration" in fields:
            own = [one for one in own if one["duration"] == row["duration"]] or own
        told = [
            one for one in own if all(says(row[f], one, column) for f, column in columns.items())
        ]
        assert told, row
        if "duration" in fields:
            heights = {"survival", "cumulative_incidence", "cumulative_hazard", "hazard"}
            (height,) = heights.intersection(frame.columns)
            at = [
                one[height]
                for one in told
                if one["duration"] == row["duration"]
                and ("end" not in one or one["end"] == row["series"])
            ]
            drawn = [
                1 - value if height == "survival" else value for value in at if value is not None
            ]
            assert drawn == pytest.approx([row["value"]] * len(drawn))
            assert len(drawn) == 1 or row["value"] is None
        n_compared += len(columns) + ("duration" in fields)
    assert n_compared or name in {"pairs", "sensitivity", "sensitivity of a time"}


@pytest.mark.parametrize("decimal", [False, True])
def test_a_tooltip_writes_a_share_as_the_table_does(decimal: bool) -> None:
    shares = [0.0, 1e-6, 0.0004, 0.0005, 0.004, 0.005, 0.015, 0.125, 0.285, 0.5, 0.9949]
    shares += [0.995, 0.9994, 0.9995, 0.999999, 1.0]
    chart = (
        alt.Chart(pl.DataFrame({"share": shares, "y": range(len(shares))}))
        .transform_calculate(told=percent_of("share", decimal=decimal))
        .mark_text()
        .encode(y=alt.Y("y:O", axis=None), text="told:N")
    )
    svg = vl_convert.vegalite_to_svg(chart.to_json())
    told = [unescape(text) for text in re.findall(r"<text[^>]*>(.+?)</text>", svg)]
    assert told == [words.percent(share, decimal=decimal) for share in shares]


@pytest.mark.parametrize("min_n", [10, None])
@pytest.mark.parametrize("name", ALL)
def test_no_figure_is_minus_zero(name: str, min_n: int | None) -> None:
    shown = ALL[name](PC).release(min_n=min_n)
    assert "-0.0" not in re.split(r"[,\n]", shown.frame.write_csv())
    assert not re.search(r"[ \[]-0\.0[,}\]]", shown.chart().to_json(indent=None))


def test_a_cohort_of_a_year_is_not_named_as_its_first_month() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "passed": [True, False] * 100,
            "enrolled_day": [19_800] * 200,  # 18 Mar 2024
            "days_to_pass": [5.0, None] * 100,
            "observed_days": 90.5,
        }
    )
    chart = tk.cohort_progress(pc, cohort="1y").chart().to_dict()
    assert "50% of those enrolled from 1 Jan 2024 had passed" in " ".join(chart["title"]["text"])
    assert "Enrolled from" in str(chart)


def test_of_equal_groups_chart_and_narrative_name_the_same() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "percent_grade": [0.0, 0.5] * 120,
            "mode": [mode for mode in "abcd" for _ in range(60)],
        }
    )
    grades = tk.grade_distribution(pc, by="mode").release(min_n=None)
    told = re.findall(r"in ([abcd])\b", grades.narrate())
    assert re.findall(r"in ([abcd])\b", str(grades.chart().to_dict()["title"])) == told


def title_of(view: Released | Result) -> str:
    title = view.chart().to_dict()["title"]["text"]
    return title if isinstance(title, str) else " ".join(title)


def test_a_title_is_about_one_group_or_choice_as_about_several() -> None:
    days = [*(float(i % 10 + 1) for i in range(200)), *(float(i % 10 + 5) for i in range(200))]
    times = pl.DataFrame({"group": ["a"] * 200 + ["b"] * 200, "duration": days, "event": True})
    assert title_of(rmst_difference(times, by="group")) == "Of 1 group, 1 passes later than a"
    share = milestone_difference(times, by="group", at=8)
    assert title_of(share) == "Of 1 group, 1 has a smaller share passed than a"
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "passed": [True, False] * 100,
            "created": datetime(2025, 1, 1, tzinfo=UTC),
            "passed_timestamp": datetime(2025, 2, 1, tzinfo=UTC),
            "as_of": datetime(2026, 1, 1, tzinfo=UTC),
        }
    ).with_columns(completion=None, percent_grade=None)
    rare = {"all but 5": pl.int_range(pl.len()) >= 5}
    found = tk.reports.sensitivity(pc, among=[], as_of=[], excluding=rare)
    assert title_of(found) == "Pass rate: 50%"


def test_a_course_may_be_called_in_brackets() -> None:
    day = pl.date(2025, 1, 1).cast(pl.Int32)
    pc = pl.DataFrame({"username": [f"u{i}" for i in range(60) for _ in "ab"]}).with_columns(
        course_id=pl.Series(["(first)", "(second)"] * 60),
        **{name: pl.lit(None, pl.String) for name in ("org", "course_number")},
        in_enrollments=pl.lit(value=True),
        passed=pl.lit(value=True),
        enrolled_day=day + pl.Series([0, 40] * 60),
        passed_day=day + pl.Series([30, 70] * 60),
        percent_grade=0.9,
        as_of=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)),
    )
    moves = tk.learner_paths(pc).transitions
    assert "100% of those who passed (first) went on to (second)" in title_of(moves)
    assert "who passed (first), 100%" in moves.narrate()
