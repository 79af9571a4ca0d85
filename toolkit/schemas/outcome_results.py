"""The result tables of outcomes, funnels, distributions, cohorts, comparisons and paths."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from toolkit.schemas.columns import Column, Role, Table


def count(name: str, description: str) -> Column:
    """A count of records, one per learner per course."""
    return Column(name, pl.Int64, description, Role.COUNT, unit="learners", low=0)


def statistic(name: str, description: str, *rests_on: str, unit: str = "fraction") -> Column:
    """A number computed from the counts named."""
    return Column(name, pl.Float64, description, Role.STATISTIC, unit=unit, rests_on=rests_on)


def with_interval(name: str, description: str, k: str, n: str) -> tuple[Column, Column, Column]:
    """A share of k in n, and its 95 % Wilson interval."""
    return (
        statistic(name, description, k, n),
        statistic(f"{name}_ci_low", f"Low end of the 95 % interval of `{name}`.", k, n),
        statistic(f"{name}_ci_high", f"High end of the 95 % interval of `{name}`.", k, n),
    )


def group(name: str, dtype: pl.DataType | type[pl.DataType], description: str) -> Column:
    """What a row is about."""
    return Column(name, dtype, description, Role.GROUP)


STATUS = Column("status", pl.String, "shown, or why the row's figures are null.", Role.STATUS)


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of `outcomes`, named for what it counts and of whom."""

    name: str
    k: str
    n: str
    description: str


RATES = (
    Rate("active_rate_of_enrolled", "n_active", "n_enrolled", "Active of the enrolled."),
    Rate("completion_rate_of_enrolled", "n_completed", "n_enrolled", "Completed of the enrolled."),
    Rate("completion_rate_of_active", "n_completed", "n_active", "Completed of the active."),
    Rate("pass_rate_of_enrolled", "n_passed", "n_enrolled", "Passed of the enrolled."),
    Rate("pass_rate_of_active", "n_passed_active", "n_active", "Passed of the active."),
    Rate("pass_rate_of_graded", "n_passed_graded", "n_graded", "Passed of those with a grade."),
    Rate("pass_rate_of_completed", "n_passed_completed", "n_completed", "Passed of the completed."),
)
GRADE_STATISTICS = ("mean", "q1", "median", "q3")


def _grades(of: str, n: str, whom: str) -> tuple[Column, ...]:
    words = {"mean": "Mean", "q1": "First quartile", "median": "Median", "q3": "Third quartile"}
    return tuple(
        statistic(f"grade_{name}_of_{of}", f"{words[name]} of percent_grade of {whom}.", n)
        for name in GRADE_STATISTICS
    )


OUTCOMES = Table(
    "outcomes",
    "one row per group; counts are records, one per learner per course",
    (
        Column(
            "completed_from",
            pl.Float64,
            "The completion from which a learner counts as completed.",
            unit="fraction",
        ),
        count("n_not_enrolled", "Records that enrollments lack; in none of the other columns."),
        count("n_enrolled", "Enrolled."),
        count("n_active", "Enrolled with a completion or a grade above 0."),
        count("n_completed", "Enrolled with a completion of at least `completed_from`."),
        count("n_passed", "Enrolled with a passing letter grade."),
        count("n_graded", "Enrolled with a percent_grade, 0 included."),
        count("n_graded_active", "Active with a percent_grade."),
        count("n_passed_active", "Passed and active."),
        count("n_passed_graded", "Passed with a percent_grade."),
        count("n_passed_completed", "Passed and completed."),
        *(c for r in RATES for c in with_interval(r.name, r.description, r.k, r.n)),
        *_grades("graded", "n_graded", "the enrolled with a grade"),
        *_grades("active", "n_graded_active", "the active with a grade"),
    ),
)

COMPLETION_FUNNEL = Table(
    "completion_funnel",
    "one row per group and stage",
    (
        group(
            "stage", pl.String, "The stage; the last row is those who passed without completing."
        ),
        group("definition", pl.String, "The stage's condition."),
        count("n_enrolled", "Enrolled: the first stage."),
        count("n_previous", "At the stage before; null for the first and the last row."),
        count("n_reached", "Who meet the condition of this stage and of all before it."),
        count("n_dropped", "Of the stage before, who did not reach this one."),
        *with_interval("rate_of_enrolled", "Reached of the enrolled.", "n_reached", "n_enrolled"),
        *with_interval(
            "rate_of_previous", "Reached of the stage before.", "n_reached", "n_previous"
        ),
    ),
)

DISTRIBUTION = Table(
    "distribution",
    "one row per group and part of the range: missing, zero, each bin, out of range",
    (
        group("measure", pl.String, "The person_course column: percent_grade or completion."),
        group("part", pl.String, "missing, zero, bin or out of range."),
        group("bin_low", pl.Float64, "The bin holds values from here, included; 0 is apart."),
        group("bin_high", pl.Float64, "… to here, excluded, but in the last bin, where 1 is in."),
        count("n_enrolled", "Enrolled."),
        count("n_valued", "Enrolled with a value from 0 to 1."),
        count("n_learners", "In this part."),
        count("n_up_to", "With a value below bin_high, zeros included; at most 1 in the last bin."),
        statistic(
            "share_of_enrolled", "In this part, of the enrolled.", "n_learners", "n_enrolled"
        ),
        statistic("ecdf", "n_up_to of n_valued.", "n_up_to", "n_valued"),
    ),
)

COHORT_PROGRESS = Table(
    "cohort_progress",
    "one row per group, cohort and number of periods since enrollment",
    (
        group("outcome", pl.String, "passed or completed."),
        group("cohort", pl.Date, "First day of the cohort's week, month, quarter or year."),
        group("period", pl.Int64, "Periods since enrollment."),
        group("days", pl.Int64, "The same in days."),
        count("n_excluded", "Of the cohort, whose time to the outcome is unknown or negative."),
        count("n_members", "Of the cohort, all others."),
        count("n_observed", "Members observed for so long; null where there is none."),
        count("n_reached", "Of the observed, who reached the outcome by then."),
        *with_interval("reach_rate", "n_reached of n_observed.", "n_reached", "n_observed"),
        STATUS,
    ),
)

OUTCOME_TABLES = (OUTCOMES, COMPLETION_FUNNEL, DISTRIBUTION, COHORT_PROGRESS)
