"""What is told of the end of a curve is told where enough learners are at risk."""

import re
from collections.abc import Callable

import polars as pl
import pytest

import toolkit as tk
from toolkit.results.registry import REGISTRY


def late_pass(mode: str = "a") -> pl.DataFrame:
    """Thirty of a hundred pass within 30 days; one of the last two at risk passes on day 300."""
    days = [*range(1, 31), *[60.0] * 68, 300.0, 400.0]
    event = [True] * 30 + [False] * 68 + [True, False]
    end = ["passed" if passed else None for passed in event]
    return pl.DataFrame({"duration": days, "event": event, "end": end}, strict=False).with_columns(
        pl.col("duration").cast(pl.Float64), mode=pl.lit(mode)
    )


def test_the_last_learner_at_risk_does_not_make_the_share_in_the_end() -> None:
    rows = late_pass()
    bare = tk.kaplan_meier(rows).release(min_n=None)
    assert bare.narrate().startswith("Within 60 days, an estimated 30.0% of 100 enrollments pass")
    ends = tk.survival.cumulative_incidence(rows).release(min_n=None)
    # On the log-log scale: 0.7 to the power of exp(±1.96 · 0.0458 / (0.7 log 0.7)).
    assert "100 enrollments pass (95% interval 22.0–40.0%)." in bare.narrate()
    assert ends.narrate().startswith(
        "By day 60, an estimated 30.0% end as passed (95% interval 22.0–40.0%)."
    )
    title = str(ends.chart().to_dict()["title"])
    assert "By day 60, 30% passed" in title
    hazard = tk.survival.nelson_aalen(rows).release(min_n=None)
    assert "by day 60" in hazard.narrate()


def test_incidences_of_groups_are_told_at_one_day() -> None:
    short = late_pass("b").with_columns(pl.col("duration").clip(0, 40))
    rows = pl.concat([late_pass(), short])
    told = tk.survival.cumulative_incidence(rows, by="mode").release(min_n=None).narrate()
    assert told.startswith("By day 40, estimated shares are: passed from 30.0% in a (95% interval ")
    assert " to 31.0% in b (95% interval " in told


def test_a_curve_of_few_learners_ends_where_it_is_known_to() -> None:
    rows = late_pass().tail(5)
    bare = tk.kaplan_meier(rows).release(min_n=None)
    assert bare.narrate().startswith("Within 365 days, an estimated")


CURVES: dict[str, Callable[[pl.DataFrame], tk.Result]] = {
    "kaplan_meier": tk.kaplan_meier,
    "kaplan_meier by": lambda rows: tk.kaplan_meier(rows, by="mode"),
    "survival_summary": tk.survival_summary,
    "cumulative_incidence": tk.survival.cumulative_incidence,
    "nelson_aalen": tk.survival.nelson_aalen,
    "rmst_difference": lambda rows: tk.survival.rmst_difference(rows, by="mode"),
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("seen", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("passes", [0.0, 0.01, None])
def test_nothing_is_told_to_take_0_days(name: str, seen: float, passes: float | None) -> None:
    """All enrolled at one moment, up to a day before."""
    n = 30
    has_passed = passes is not None and passes <= seen
    rows = pl.DataFrame(
        {
            "mode": ["a", "b"] * 2 * n,
            "event": [has_passed] * 2 * n + [False] * 2 * n,
            "duration": [passes if has_passed else seen] * 2 * n + [seen] * 2 * n,
            "end": ["passed" if has_passed else None] * 2 * n + [None] * 2 * n,
        },
        schema_overrides={"end": pl.String, "duration": pl.Float64},
    )
    for min_n in (10, None):
        view = CURVES[name](rows).release(min_n=min_n)
        told = [str(view.narrate())]
        if REGISTRY[view.schema.name].chart is not None:
            told.append(str(view.chart().to_dict()["title"]))
        for text in told:
            assert not re.search(r"(?i)within 0 |within 0\.0", text)
            assert 0 in (passes, seen) or not re.search(r"(?i)by day 0(?!\.)", text)


def test_a_median_that_hangs_on_few_learners_is_not_marked() -> None:
    rows = late_pass()
    rest = pl.when(pl.col("duration") == 60).then(59.0).otherwise("duration")
    low = rows.with_columns(duration=rest, event=pl.col("event") & True)
    falls = pl.concat([low, low.tail(1).with_columns(event=True, duration=pl.lit(500.0))])
    chart = tk.kaplan_meier(falls).release(min_n=None).chart().to_dict()
    assert "Half of the learners have passed only where few are still at risk" in str(
        chart["title"]
    )
    assert '"kind": "median"' not in str(chart).replace("'", '"')
    early = rows.with_columns(event=True)
    assert "Half of the learners have passed by day 60" in str(
        tk.kaplan_meier(early).release(min_n=None).chart().to_dict()["title"]
    )


def test_a_hazard_peaks_where_enough_are_at_risk() -> None:
    days = [*[10.0] * 40, *[20.0] * 20, *[90.0] * 138, 200.0, 201.0]
    event = [True] * 60 + [False] * 138 + [True, False]
    rows = pl.DataFrame({"duration": days, "event": event})
    hazard = tk.survival.smoothed_hazard(rows, every=10, bandwidth=10).release(min_n=None)
    assert hazard.frame.sort("hazard", nulls_last=True)["duration"].last() > 190
    told = "most likely to pass around day 15"
    assert told in str(hazard.narrate())
    assert told in str(hazard.chart().to_dict()["title"])


def test_ends_of_any_name_are_told_apart_in_table_chart_and_narrative() -> None:
    ends = ["passed", "passed ", "Passed", "", "\x1b[31mleft\u202e", "left", " left", "0", "x" * 90]
    rows = pl.DataFrame(
        {
            "duration": [float(day) for day in range(1, 91)] * len(ends),
            "event": [end == "passed" for end in ends for _ in range(90)],
            "end": [end for end in ends for _ in range(90)],
        }
    )
    released = tk.survival.cumulative_incidence(rows).release(min_n=None)
    table = released.table(rows=10_000)
    place = list(table.headings).index("End")
    in_table = {row[place] for row in table.rows}
    chart = released.chart().to_dict()
    data = [row for rows in chart["datasets"].values() for row in rows]
    in_chart = {row["series"] for row in data if row.get("kind") == "step"}
    assert in_table == in_chart
    assert len(in_table) == len(ends)
    for name in in_table:
        assert name.isprintable()
        assert name.strip()
        assert len(name) <= 48
        assert f" end as {name}" in released.narrate()


def curve(name: str, *steps: tuple[range, bool]) -> pl.DataFrame:
    """One learner for each day of the ranges, who passes then or is last seen."""
    rows = [(float(day), passes) for days, passes in steps for day in days]
    schema = {"duration": pl.Float64, "event": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        end=pl.when("event").then(pl.lit("passed")), group=pl.lit(name)
    )


LATE = curve("late", (range(500, 540), True), (range(900, 940), False))
EARLY = curve("early", (range(1, 31), True), (range(300, 360), False))


@pytest.mark.parametrize("by", [None, "group"])
def test_a_group_in_which_hardly_anybody_has_passed_yet_is_not_said_to_have_passed(
    by: str | None,
) -> None:
    where = "" if by is None else " in late"
    assert (
        tk.kaplan_meier(LATE, by=by)
        .narrate()
        .startswith(f"Within 365 days, fewer than 10 pass{where}. ")
    )
    ends = tk.survival.cumulative_incidence(LATE, by=by)
    assert ends.narrate().startswith(f"By day 365, fewer than 10 end as passed{where}. ")
    assert "0%" not in str(ends.chart().to_dict()["title"])


def test_groups_with_hardly_any_passes_stand_beside_those_that_have_some() -> None:
    rows = pl.concat([LATE, EARLY, LATE.with_columns(group=pl.lit("later"))])
    told = tk.kaplan_meier(rows, by="group").narrate()
    assert "365 days, fewer than 10 pass in each of 2 groups. Too few are at risk for so" in told
    told = tk.kaplan_meier(rows.filter(pl.col("group") != "later"), by="group").narrate()
    assert re.match(r"Within \d+ days, an estimated \d\d% pass in early \(95% interval", told)
    assert " Fewer than 10 pass by then in 1 other group. " in told


def test_an_end_that_hardly_anybody_has_reached_has_no_share() -> None:
    left = pl.col("event") & (pl.col("duration") % 5 == 0) & (pl.col("group") == "early")
    end = pl.when(left).then(pl.lit("left")).otherwise("end")
    rows = pl.concat([LATE, EARLY]).with_columns(end=end)
    found = tk.survival.cumulative_incidence(rows, by="group")
    assert re.search(
        r"left fewer than 10 in each of 2 groups; passed \d\d% in early \(95% interval "
        r"\d\d–\d\d%\), fewer than 10 in 1 other group\. ",
        found.narrate(),
    )
    assert re.search(r"By day \d+, \d\d% passed in early'", str(found.chart().to_dict()["title"]))
    alone = tk.survival.cumulative_incidence(rows.filter(group="early"))
    assert re.search(
        r"an estimated \d\d% end as passed \(.*\) and fewer than 10 end as left\. ", alone.narrate()
    )
    assert "left" not in str(alone.chart().to_dict()["title"])


def test_one_learner_is_one_enrollment() -> None:
    alone = tk.kaplan_meier(LATE.tail(1)).release(min_n=None).narrate()
    assert "0.0% of 1 enrollment pass" in alone


@pytest.mark.parametrize("min_n", [None, 10])
@pytest.mark.parametrize(
    ("times", "day", "share"),
    [([530, 930], 530, r"(38|39|4\d)(\.\d)?%"), ([930], 930, r"50(\.0)?%")],
)
def test_curves_at_times_after_a_year_are_told_at_the_first(
    times: list[float], day: int, share: str, min_n: int | None
) -> None:
    for curves, at in (
        (tk.kaplan_meier, "Within"),
        (tk.survival.cumulative_incidence, "By day"),
    ):
        told = curves(LATE, times=times).release(min_n=min_n).narrate()
        assert re.match(rf"{at} {day}( days)?, an estimated {share}", told)


def test_a_part_of_the_ends_is_told_as_it_is() -> None:
    """Of one group the rows of an end, of the other no row of it."""
    rows = (pl.col("end") == "left") | (pl.col("group") == "early")
    left = pl.when(pl.col("duration") % 2 == 1).then(pl.lit("left")).otherwise("end")
    both = pl.concat([LATE, EARLY]).with_columns(end=pl.when("event").then(left))
    found = tk.survival.cumulative_incidence(both, by="group").release(min_n=None).filter(rows)
    assert "None" not in found.narrate()
