"""The headline under other choices: each row is the figure that the choice itself would give."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import toolkit as tk


@pytest.fixture(scope="module")
def study() -> tk.Study:
    with tk.sandbox(learners=600, seed=5) as platform:
        return tk.load_study(platform)


def of(study: tk.Study, choice: str, **arguments: Any) -> dict[str, Any]:
    rows = tk.reports.sensitivity(study, **arguments).frame.filter(choice=choice)
    assert rows.height == 1
    return rows.row(0, named=True)


def rate(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("n_learners", "n_reached", "rate", "rate_ci_low"))


def passing(outcomes: tk.Result, of: str = "enrolled") -> tuple[Any, ...]:
    row = outcomes.frame.row(0, named=True)
    k = {"enrolled": "n_passed"}.get(of, f"n_passed_{of}")
    name = f"pass_rate_of_{of}"
    return row[f"n_{of}"], row[k], row[name], row[f"{name}_ci_low"]


def test_the_first_row_is_what_outcomes_report(study: tk.Study) -> None:
    row = of(study, "as reported")
    assert rate(row) == passing(tk.outcomes(study))
    assert (row["rate_change"], row["n_left_out"]) == (0.0, 0)


def test_another_denominator_is_that_of_outcomes(study: tk.Study) -> None:
    assert rate(of(study, "among", among=["active"])) == passing(tk.outcomes(study), "active")


@pytest.mark.parametrize("rule", [0.5, 0.8, ["Pass"], ["A"]])
def test_another_pass_rule_is_that_of_person_course(study: tk.Study, rule: Any) -> None:
    frames = (study.grades, study.enrollments, study.completion)
    pc = tk.person_course(*frames, as_of=study.as_of, pass_rule=rule)
    row = of(study, "pass rule", pass_rules=[rule])
    assert rate(row) == passing(tk.outcomes(pc))
    assert row["value"] == pc["pass_rule"][0]


def test_an_earlier_look_is_the_platform_of_that_day() -> None:
    with tk.sandbox(learners=600, seed=5) as platform:
        now = tk.load_study(platform)
        look = platform.clock - timedelta(days=60)
        with platform.earlier(look) as before:
            then = tk.load_study(before)
    row = of(now, "as of", as_of=[look])
    assert rate(row) == passing(tk.outcomes(then))
    assert row["n_left_out"] == now.enrollments.height - then.enrollments.height
    timed = of(now, "as of", as_of=[look], headline="first quartile")
    summary = tk.survival_summary(tk.time_to_pass(then)).frame.filter(statistic="first quartile")
    assert timed["days"] == pytest.approx(summary["estimate"][0])


def test_who_is_excluded_is_counted(study: tk.Study) -> None:
    condition = pl.col("mode") == "audit"
    row = of(study, "excluding", excluding={"audit": condition})
    pc = study.person_course
    assert rate(row) == passing(tk.outcomes(pc.filter(~condition)))
    assert row["n_left_out"] == pc.filter(condition).height
    timed = of(study, "excluding", excluding={"audit": condition}, headline="first quartile")
    summary = tk.survival_summary(tk.time_to_pass(pc.filter(~condition))).frame
    assert timed["days"] == summary.filter(statistic="first quartile")["estimate"][0]
    assert (timed["n_learners"], timed["n_left_out"]) == (row["n_learners"], row["n_left_out"])


def test_a_condition_that_is_unknown_leaves_nobody_out(study: tk.Study) -> None:
    row = of(study, "excluding", excluding={"unknown": pl.lit(None, pl.Boolean)})
    assert row["n_left_out"] == 0


def test_another_threshold_is_that_of_outcomes(study: tk.Study) -> None:
    row = of(study, "completed from", headline="completion rate", thresholds=[0.25])
    counted = tk.outcomes(study, completed_from=0.25).frame.row(0, named=True)
    assert row["rate"] == counted["completion_rate_of_enrolled"]


def test_another_origin_is_that_of_time_to_pass(study: tk.Study) -> None:
    starts = dict.fromkeys(study.person_course["course_id"].unique(), "2024-01-01")
    row = of(study, "origin", headline="first quartile", origins=[starts])
    summary = tk.survival_summary(tk.time_to_pass(study, starts)).frame
    [expected] = summary.filter(statistic="first quartile")["estimate"]
    assert row["days"] == expected


def test_a_pass_without_a_date_is_left_out_of_an_earlier_look() -> None:
    pc = pl.DataFrame(
        {
            "in_enrollments": True,
            "completion": None,
            "percent_grade": None,
            "created": [datetime(2025, 1, 1, tzinfo=UTC)] * 4,
            "passed": [True, True, False, True],
            "passed_timestamp": [
                datetime(2025, 2, 1, tzinfo=UTC),
                None,
                None,
                datetime(2025, 6, 1, tzinfo=UTC),
            ],
            "as_of": datetime(2025, 7, 1, tzinfo=UTC),
        }
    )
    row = tk.reports.sensitivity(pc, as_of=["2025-03-01"]).frame.filter(choice="as of")
    assert row.select("n_learners", "n_reached", "n_left_out").row(0) == (3, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"headline": "median", "among": ["active"]}, "does not depend on among"),
        ({"headline": "completion rate", "as_of": ["2025-01-01"]}, "does not depend on as_of"),
        ({"origins": ["enrolled"]}, "does not depend on origins"),
        ({"as_of": ["2099-01-01"]}, "later than the data"),
        ({"excluding": {"x": pl.col("nope")}}, "nope"),
    ],
)
def test_a_choice_without_meaning_is_refused(
    study: tk.Study, arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises(tk.errors.ToolkitError, match=match):
        tk.reports.sensitivity(study, **arguments)


def test_the_sentence_names_the_ends(study: tk.Study) -> None:
    text = tk.reports.sensitivity(study, pass_rules=[0.9], among=["active"]).narrate()
    assert text.startswith("The pass rate is ")
    assert "(a pass being a grade of 90% or more)" in text
    assert "(among the active)" in text
    few = tk.reports.sensitivity(study.person_course.head(5)).narrate()
    assert few == "Too few learners to show, or the figure is not reached."


def test_the_chart_has_a_dot_for_each_choice_and_a_line_at_the_reported(study: tk.Study) -> None:
    result = tk.reports.sensitivity(study, pass_rules=[0.9])
    spec = result.chart().to_dict()
    rows = [row for data in spec["datasets"].values() for row in data]
    shown = result.release().frame["rate"].to_list()
    assert [row["value"] for row in rows if "value" in row] == shown
    assert {"rule": shown[0]} in rows
    days = tk.reports.sensitivity(study, headline="median").chart().to_dict()
    assert "too few learners to show" in str(days)
