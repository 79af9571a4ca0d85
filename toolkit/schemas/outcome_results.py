"""The result tables of outcomes, funnels, distributions, cohorts, paths and changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from toolkit.schemas.columns import Column, Role, Table


def count(name: str, description: str, within: str | None = None) -> Column:
    """Return a column that counts records, one per learner per course, within another count."""
    return Column(name, pl.Int64, description, Role.COUNT, unit="learners", low=0, within=within)


def statistic(
    name: str,
    description: str,
    *rests_on: str,
    unit: str | None = "fraction",
    of: str | None = None,
    role: Role = Role.STATISTIC,
) -> Column:
    """Return a column of numbers computed from the named counts, or an end of `of`'s interval."""
    return Column(name, pl.Float64, description, role, unit=unit, rests_on=rests_on, ci_of=of)


measure = partial(statistic, role=Role.MEASURE)
"""Return a column of numbers computed from the records themselves, such as means."""


def interval(of: str, *rests_on: str, unit: str = "fraction") -> list[Column]:
    """Return the columns of the ends of an estimate's interval."""
    return [
        statistic(
            f"{of}_ci_{end}",
            f"{end.title()} end of the interval of `{of}`.",
            *rests_on,
            unit=unit,
            of=of,
        )
        for end in ("low", "high")
    ]


def with_interval(name: str, description: str, k: str, n: str) -> tuple[Column, ...]:
    """Return the columns of the share k of n and its Wilson interval."""
    return (statistic(name, description, k, n), *interval(name, k, n))


def group(
    name: str, dtype: pl.DataType | type[pl.DataType], description: str, unit: str | None = None
) -> Column:
    """Return a column that tells the rows apart, such as a cohort, a bin or a time."""
    return Column(name, dtype, description, Role.GROUP, unit=unit)


STATUS = Column("status", pl.String, "“shown”, or why the row's figures are null.", Role.STATUS)


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of `outcomes`, named for its numerator and denominator."""

    name: str
    k: str
    n: str
    description: str


_RATES = (
    Rate("active_rate_of_enrolled", "n_active", "n_enrolled", "Active of the enrolled."),
    Rate("completion_rate_of_enrolled", "n_completed", "n_enrolled", "Completed of the enrolled."),
    Rate("completion_rate_of_active", "n_completed", "n_active", "Completed of the active."),
    Rate("pass_rate_of_enrolled", "n_passed", "n_enrolled", "Passed of the enrolled."),
    Rate("pass_rate_of_active", "n_passed_active", "n_active", "Passed of the active."),
    Rate("pass_rate_of_graded", "n_passed_graded", "n_graded", "Passed of those with a grade."),
    Rate("pass_rate_of_completed", "n_passed_completed", "n_completed", "Passed of the completed."),
)
RATES = {rate.name: rate for rate in _RATES}
GRADE_STATISTICS = ("mean", "q1", "median", "q3")


def _grades(of: str, n: str, whom: str) -> tuple[Column, ...]:
    words = {"mean": "Mean", "q1": "First quartile", "median": "Median", "q3": "Third quartile"}
    return tuple(
        measure(f"grade_{name}_of_{of}", f"{words[name]} of percent_grade of {whom}.", n)
        for name in GRADE_STATISTICS
    )


OUTCOMES = Table(
    "outcomes",
    "one row per group; counts are records, one per learner per course",
    (
        Column(
            "completed_from",
            pl.Float64,
            "The completion at which a learner counts as completed.",
            unit="fraction",
        ),
        count("n_not_enrolled", "Records without an enrollment; in none of the other columns."),
        count("n_enrolled", "Enrolled."),
        count("n_active", "Enrolled with a completion or a grade above 0.", "n_enrolled"),
        count(
            "n_completed", "Enrolled with a completion of at least `completed_from`.", "n_enrolled"
        ),
        count("n_passed", "Enrolled with a passing letter grade.", "n_enrolled"),
        count("n_graded", "Enrolled with a percent_grade, including 0.", "n_enrolled"),
        count("n_graded_active", "Active with a percent_grade.", "n_active"),
        count("n_passed_active", "Passed and active.", "n_active"),
        count("n_passed_graded", "Passed with a percent_grade.", "n_graded"),
        count("n_passed_completed", "Passed and completed.", "n_completed"),
        *(c for r in RATES.values() for c in with_interval(r.name, r.description, r.k, r.n)),
        *_grades("graded", "n_graded", "the enrolled with a grade"),
        *_grades("active", "n_graded_active", "the active with a grade"),
    ),
)

COMPLETED_AND_PASSED = "completed and passed"  # the last stage that a funnel leads to
PASSED_ASIDE = "passed without completing"  # the row beside the stages of a funnel

COMPLETION_FUNNEL = Table(
    "completion_funnel",
    "one row per group and stage",
    (
        group("stage", pl.String, "The stage; the last row counts passes without completion."),
        group("definition", pl.String, "The stage's condition."),
        count("n_enrolled", "Enrolled: the first stage."),
        count("n_previous", "At the stage before; null in the first and last row.", "n_enrolled"),
        count("n_reached", "Learners who reached this stage and all before it.", "n_previous"),
        count("n_dropped", "Learners at the stage before who did not reach it.", "n_previous"),
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
        group(
            "bin_low",
            pl.Float64,
            "The lower end of the bin, included; 0 has its own row.",
            "fraction",
        ),
        group(
            "bin_high",
            pl.Float64,
            "The upper end of the bin, excluded; the last bin includes 1.",
            "fraction",
        ),
        count("n_enrolled", "Enrolled."),
        count("n_valued", "Enrolled with a value from 0 to 1.", "n_enrolled"),
        count("n_learners", "In this part.", "n_enrolled"),
        count("n_up_to", "With a value below bin_high, or 1 in the last bin.", "n_valued"),
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
        count("n_excluded", "Enrolled whose time to the outcome is unknown or negative."),
        count("n_members", "All others enrolled in the cohort."),
        count("n_observed", "Members observed for that long; null if there are none.", "n_members"),
        count("n_reached", "Observed members who had reached the outcome by then.", "n_observed"),
        *with_interval("reach_rate", "n_reached of n_observed.", "n_reached", "n_observed"),
        STATUS,
    ),
)

REPEATS = Table(
    "repeats",
    "one row per course over all its runs",
    (
        group("course", pl.String, "org+number, or the course id if it has another form."),
        count("n_learners", "Learners enrolled in at least one run."),
        count("n_repeaters", "Of them, in two runs or more.", "n_learners"),
        count("n_undated", "Repeaters without an enrollment date.", "n_repeaters"),
        count("n_passed_first", "Repeaters who passed in their first run.", "n_repeaters"),
        count("n_passed_later", "Repeaters who passed, but not in their first run.", "n_repeaters"),
        count("n_never_passed", "Repeaters who passed in no run.", "n_repeaters"),
        count("n_graded_first", "Repeaters with a grade in their first run.", "n_repeaters"),
        measure("grade_mean_first", "Mean of that grade.", "n_graded_first"),
        measure("grade_mean_best", "Mean of their best grade in any run.", "n_graded_first"),
    ),
)

ANY_COURSE = "(any other course)"  # the row of all courses that learners go on to

TRANSITIONS = Table(
    "transitions",
    "one row per course passed and course enrolled in afterwards",
    (
        group("from_course", pl.String, "The course passed, over all its runs."),
        group("to_course", pl.String, f"The next course; {ANY_COURSE} counts a learner once."),
        count("n_passed", "Learners who passed and were observed for the whole period since."),
        count("n_moved", "Of them, enrolled in the next course within the period.", "n_passed"),
        *with_interval("move_rate", "n_moved of n_passed.", "n_moved", "n_passed"),
    ),
)

MATCH_COUNTS = Table(
    "match_counts",
    "one row per combination of resources that have a record",
    (
        group("in_grades", pl.Boolean, "Whether grades had the record."),
        group("in_enrollments", pl.Boolean, "Whether enrollments had the record."),
        group("in_completion", pl.Boolean, "Whether completion had the record."),
        count("n_records", "Records, one per learner per course."),
        count("n_passes_undated", "Of them, passes without a pass time.", "n_records"),
        count("n_pass_times_unused", "Of them, no pass but a pass time.", "n_records"),
    ),
)

KEY_FIGURES = Table(
    "key_figures",
    "one row per figure of all enrollments",
    (
        group("figure", pl.String, "The name of the figure."),
        group("meaning", pl.String, "What it is, or what it is a share of."),
        count("n_learners", "The enrollments counted.", "n_whole"),
        count("n_whole", "The enrollments they are a share of."),
        *with_interval("rate", "n_learners of n_whole.", "n_learners", "n_whole"),
        statistic("days", "Days since enrollment.", "n_whole", unit="days"),
        *interval("days", "n_whole", unit="days"),
    ),
)

FAILED_CHECKS = Table(
    "failed_checks",
    "one row per check of the data that failed",
    (
        group("severity", pl.String, "critical, warning or info."),
        group("data", pl.String, "Which data were checked."),
        group("expects", pl.String, "What was expected."),
        count("n_unexpected", "Records that break the expectation.", "n_checked"),
        count("n_checked", "Records checked."),
        statistic("share", "n_unexpected of n_checked.", "n_unexpected", "n_checked"),
        group("why", pl.String, "What it does to the figures."),
        group("do", pl.String, "What to do."),
    ),
)

CHANGE_COUNTS = Table(
    "change_counts",
    "one row per course and kind of change that occurs",
    (
        group("course_id", pl.String, "The course run."),
        group("change", pl.String, "What happened, such as newly passed."),
        count("n_learners", "Learners affected."),
    ),
    ("course_id", "change"),
)
