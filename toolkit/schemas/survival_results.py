"""The tables of the time-to-pass analyses."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from toolkit.schemas.columns import Column, Role, Table
from toolkit.schemas.outcome_results import count, group, statistic

UNDATED_SHARE = 0.02
"""The largest share of a group's passers without a pass date for which its curve is shown.

These learners are left out although they passed, so the curve is too low by about that share.
"""

TIME_UNIT = "duration_unit"
"""The column that names the unit of durations that are not in days."""
TIME_UNITS = ("hours", "days", "weeks")

_STEP = ("n_at_risk", "n_events")
_BOTH = ("n_learners", "n_reference")
_DURATION = group("duration", pl.Float64, "Time since the origin.", "days")
_AT_RISK = count("n_at_risk", "Learners observed until just before the time.")
_EVENTS = count("n_events", "Learners who passed at the time.")
_CENSORED = count("n_censored", "Learners last seen at the time.")
_LEARNERS = count("n_learners", "Learners in the analysis.")
_OTHERS = count("n_reference", "Learners in the reference group.")
_PASSED = count("n_events", "Learners among them who passed.")
_EXCLUDED = count("n_excluded", "Learners without a duration, or in a stratum that is left out.")
_OTHERS_EXCLUDED = count("n_reference_excluded", "Learners of the other group without a duration.")
_UNDATED = count("n_undated", "Of the excluded, those who passed without a pass date.")
_REFERENCE = group("reference", pl.String, "The group compared with.")


def _estimate(
    name: str, description: str, *rests_on: str, unit: str | None = None
) -> tuple[Column, ...]:
    """Return the columns of an estimate, its standard error and its interval."""
    return (
        statistic(name, description, *rests_on, unit=unit),
        statistic("std_error", "Standard error of the estimate.", *rests_on, unit=unit),
        *(
            statistic(
                end, f"{which} end of the confidence interval.", *rests_on, unit=unit, of=name
            )
            for end, which in (("ci_low", "Lower"), ("ci_high", "Upper"))
        ),
    )


def _of_both(name: str, description: str, unit: str, of: str | None = None) -> Column:
    return statistic(name, description, *_BOTH, unit=unit, of=of)


def _difference(description: str, unit: str) -> tuple[Column, ...]:
    """Return the columns of a difference from the reference, its intervals and its p."""
    alone = "end of the difference's interval, for the row by itself."
    simultaneous = "end of the difference's simultaneous interval"
    ends = {
        "ci_low": f"Lower {alone}",
        "ci_high": f"Upper {alone}",
        "simultaneous_low": f"Lower {simultaneous}: those of all rows hold together.",
        "simultaneous_high": f"Upper {simultaneous}.",
    }
    return (
        _of_both("difference", description, unit),
        *(_of_both(end, text, unit, "difference") for end, text in ends.items()),
        _p_value("Probability of at least this difference if there were none.", *_BOTH),
        _of_both("p_adjusted", "The same, corrected for all rows by Bonferroni's method.", "p"),
    )


def _p_value(description: str, *rests_on: str) -> Column:
    return statistic("p_value", description, *rests_on, unit="p")


_TEST = (
    statistic("statistic", "The test's χ².", "n_events", unit="χ²"),
    Column("df", pl.Int64, "Degrees of freedom."),
    _p_value("Probability of at least this statistic if the groups were alike.", "n_events"),
    Column(
        "is_compared",
        pl.Boolean,
        "Whether the group was ever at risk at the same time as another; if not, it is not tested.",
    ),
)

KAPLAN_MEIER = Table(
    "kaplan_meier",
    "one row per distinct time, by group, beginning at 0",
    (
        _DURATION,
        _AT_RISK,
        _EVENTS,
        _CENSORED,
        *_estimate(
            "survival", "Probability of not having passed by the time.", *_STEP, unit="fraction"
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)


def standardized(table: Table) -> Table:
    """Return the table of standardized groups, with the columns of their strata."""
    text = "The columns by which the groups are standardized."
    within = Column("within", pl.String, text, Role.STATUS)
    return replace(table, columns=(*table.columns, within))


def in_unit(table: Table, unit: str) -> Table:
    """Return the table with its times in another unit than days."""
    columns = (replace(c, unit=unit) if c.unit == "days" else c for c in table.columns)
    return replace(table, columns=tuple(columns), time=unit)


def thinned(table: Table) -> Table:
    """Return the table of a curve with too many times to list each."""
    text = "The distinct times that the row covers: its own, and those since the row before."
    n_times = Column("n_times", pl.Int64, text, Role.STATUS)
    return replace(table, columns=(*table.columns, n_times))


SURVIVAL_SUMMARY = Table(
    "survival_summary",
    "one row per statistic, by group",
    (
        group("statistic", pl.String, "What is estimated."),
        group("at", pl.Float64, "The share or the time that it refers to."),
        *_estimate("estimate", "The estimate; null if it is not reached.", "n_learners"),
        Column(
            "is_well_observed",
            pl.Boolean,
            "Whether enough learners are at risk at the time of a quantile or milestone: 10, and "
            "5% of those at the start. Null for the other statistics.",
        ),
        _LEARNERS,
        _PASSED,
        _EXCLUDED,
        _UNDATED,
    ),
)
LOGRANK = Table(
    "logrank",
    "one row per group; the columns of the test are the same in all of them",
    (
        _LEARNERS,
        _PASSED,
        statistic(
            "expected_events",
            "Events expected if the groups were alike.",
            "n_events",
            unit="learners",
        ),
        _EXCLUDED,
        _UNDATED,
        *_TEST,
    ),
)
LOGRANK_PAIRS = Table(
    "logrank_pairs",
    "one row per pair of groups",
    (
        group("group", pl.String, "One group."),
        group("other", pl.String, "The group it is compared with."),
        _LEARNERS,
        _OTHERS,
        _of_both("statistic", "The χ² of the test of the pair, one degree of freedom.", "χ²"),
        _p_value("Probability of at least this statistic if the two were alike.", *_BOTH),
        _of_both(
            "p_adjusted", "The same, corrected for the number of pairs by Holm's method.", "p"
        ),
        _EXCLUDED,
        _OTHERS_EXCLUDED,
    ),
)
RMST_DIFFERENCE = Table(
    "rmst_difference",
    "one row per group other than the reference",
    (
        _REFERENCE,
        _LEARNERS,
        _OTHERS,
        group("horizon", pl.Float64, "Where the means end.", "days"),
        _of_both("restricted_mean", "Mean time without a pass up to the horizon.", "days"),
        _of_both("reference_mean", "The same in the reference group.", "days"),
        *_difference("Mean minus reference mean.", "days"),
        _of_both("ratio", "Mean over reference mean.", "ratio"),
        *(
            _of_both(
                f"ratio_ci_{end}",
                f"{which} end of the ratio's interval, for the row by itself.",
                "ratio",
                "ratio",
            )
            for end, which in (("low", "Lower"), ("high", "Upper"))
        ),
        _of_both(
            "ratio_p_value", "Probability of a ratio at least as far from 1 if it were 1.", "p"
        ),
        _EXCLUDED,
        _OTHERS_EXCLUDED,
    ),
)
MILESTONE_DIFFERENCE = Table(
    "milestone_difference",
    "one row per group other than the reference",
    (
        _REFERENCE,
        _LEARNERS,
        _OTHERS,
        group("at", pl.Float64, "The time.", "days"),
        statistic("passed_share", "Share that has passed by the time.", *_BOTH),
        statistic("reference_share", "The same in the reference group.", *_BOTH),
        *_difference("Share minus reference share.", "points"),
        _EXCLUDED,
        _OTHERS_EXCLUDED,
    ),
)
CUMULATIVE_INCIDENCE = Table(
    "cumulative_incidence",
    "one row per end and distinct time, by group, beginning at 0",
    (
        group("end", pl.String, "What the duration ends in."),
        _DURATION,
        _AT_RISK,
        count("n_events", "Learners who reached this end at the time."),
        _CENSORED,
        *_estimate(
            "cumulative_incidence",
            "Probability of having reached this end by the time.",
            *_STEP,
            unit="fraction",
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)
GRAY_TEST = Table(
    "gray_test",
    "one row per group; the columns of the test are the same in all of them",
    (
        _LEARNERS,
        count("n_events", "Learners who reached the end compared."),
        count("n_other_ends", "Learners who reached another end."),
        _EXCLUDED,
        _UNDATED,
        *_TEST,
    ),
)
NELSON_AALEN = Table(
    "nelson_aalen",
    "one row per distinct time, by group, beginning at 0",
    (
        _DURATION,
        _AT_RISK,
        _EVENTS,
        _CENSORED,
        *_estimate(
            "cumulative_hazard", "Passes expected of a learner at risk until the time.", *_STEP
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)
SMOOTHED_HAZARD = Table(
    "smoothed_hazard",
    "one row per stretch of time, by group",
    (
        group("duration", pl.Float64, "The stretch's middle.", "days"),
        count("n_at_risk", "Learners at risk at the start of the stretch."),
        count("n_events", "Learners who passed in the stretch."),
        *_estimate(
            "hazard", "Passes per stretch per learner who has not yet passed, smoothed.", *_STEP
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)
EXCLUSIONS = Table(
    "exclusions",
    "one row per reason, by group",
    (
        group("reason", pl.String, "Why learners have no duration."),
        _EXCLUDED,
        count("n_records", "All learners of the group."),
    ),
)
