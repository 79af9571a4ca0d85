"""The tables of the time-to-pass analyses."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from toolkit.schemas.columns import Column, Role, Table
from toolkit.schemas.outcome_results import count

UNDATED_SHARE = 0.02
"""The largest share of a group's passers without a pass date for which its curve is shown.

These learners are left out although they passed, so the curve is too low by about that share.
"""

TIME_UNIT = "duration_unit"
"""The column that names the unit of durations that are not in days."""
TIME_UNITS = ("hours", "days", "weeks")

DURATIONS = Table(
    "durations",
    "one row per learner per course",
    (
        Column(
            "duration", pl.Float64, "From the origin to the event or the last look.", unit="days"
        ),
        Column("event", pl.Boolean, "Whether the duration ends in a pass; else it is censored."),
    ),
)

_DURATION = Column("duration", pl.Float64, "Time since the origin.", Role.GROUP, unit="days")
_AT_RISK = count("n_at_risk", "Learners observed until just before the time.")
_EVENTS = count("n_events", "Learners who passed at the time.")
_CENSORED = count("n_censored", "Learners last seen at the time.")
_LEARNERS = count("n_learners", "Learners in the analysis.")
_OTHERS = count("n_reference", "Learners in the reference group.")
_PASSED = count("n_events", "Learners among them who passed.")
_EXCLUDED = count("n_excluded", "Learners without a duration, or in a stratum that is left out.")
_OTHERS_EXCLUDED = count("n_reference_excluded", "Learners of the other group without a duration.")
_UNDATED = count("n_undated", "Of the excluded, those who passed without a pass date.")


def _statistics(
    *names: tuple[str, str], rests_on: tuple[str, ...], unit: str | None = None
) -> tuple[Column, ...]:
    """Return columns computed from counts; the first is the estimate, `ci_…` its interval."""
    return tuple(
        Column(
            name,
            pl.Float64,
            text,
            Role.STATISTIC,
            unit=unit,
            rests_on=rests_on,
            ci_of=names[0][0] if name.endswith(("_low", "_high")) else None,
        )
        for name, text in names
    )


_INTERVAL = (
    ("std_error", "Standard error of the estimate."),
    ("ci_low", "Lower end of the confidence interval."),
    ("ci_high", "Upper end of the confidence interval."),
)
_STEP = ("n_at_risk", "n_events")
_BOTH = ("n_learners", "n_reference")

_TEST = (
    *_statistics(("statistic", "The test's χ²."), rests_on=("n_events",), unit="χ²"),
    Column("df", pl.Int64, "Degrees of freedom."),
    *_statistics(
        ("p_value", "Probability of at least this statistic if the groups were alike."),
        rests_on=("n_events",),
        unit="p",
    ),
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
        *_statistics(
            ("survival", "Probability of not having passed by the time."),
            *_INTERVAL,
            rests_on=_STEP,
            unit="fraction",
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
        Column("statistic", pl.String, "What is estimated.", Role.GROUP),
        Column("at", pl.Float64, "The share or the time that it refers to.", Role.GROUP),
        *_statistics(
            ("estimate", "The estimate; null if it is not reached."),
            *_INTERVAL,
            rests_on=("n_learners",),
        ),
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
        *_statistics(
            ("expected_events", "Events expected if the groups were alike."),
            rests_on=("n_events",),
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
        Column("group", pl.String, "One group.", Role.GROUP),
        Column("other", pl.String, "The group it is compared with.", Role.GROUP),
        _LEARNERS,
        _OTHERS,
        *_statistics(
            ("statistic", "The χ² of the test of the pair, one degree of freedom."),
            rests_on=("n_learners", "n_reference"),
            unit="χ²",
        ),
        *_statistics(
            ("p_value", "Probability of at least this statistic if the two were alike."),
            ("p_adjusted", "The same, corrected for the number of pairs by Holm's method."),
            rests_on=("n_learners", "n_reference"),
            unit="p",
        ),
        _EXCLUDED,
        _OTHERS_EXCLUDED,
    ),
)
_DIFFERENCE_ENDS = (
    ("ci_low", "Lower end of the difference's interval, for the row by itself."),
    ("ci_high", "Upper end of the difference's interval, for the row by itself."),
    (
        "simultaneous_low",
        "Lower end of the difference's simultaneous interval: those of all rows hold together.",
    ),
    ("simultaneous_high", "Upper end of the difference's simultaneous interval."),
)
_DIFFERENCE_P = _statistics(
    ("p_value", "Probability of at least this difference if there were none."),
    ("p_adjusted", "The same, corrected for all rows by Bonferroni's method."),
    rests_on=_BOTH,
    unit="p",
)
_REFERENCE = Column("reference", pl.String, "The group compared with.", Role.GROUP)
RMST_DIFFERENCE = Table(
    "rmst_difference",
    "one row per group other than the reference",
    (
        _REFERENCE,
        _LEARNERS,
        _OTHERS,
        Column("horizon", pl.Float64, "Where the means end.", Role.GROUP, unit="days"),
        *_statistics(
            ("restricted_mean", "Mean time without a pass up to the horizon."),
            ("reference_mean", "The same in the reference group."),
            rests_on=_BOTH,
            unit="days",
        ),
        *_statistics(
            ("difference", "Mean minus reference mean."),
            *_DIFFERENCE_ENDS,
            rests_on=_BOTH,
            unit="days",
        ),
        *_DIFFERENCE_P,
        *_statistics(
            ("ratio", "Mean over reference mean."),
            ("ratio_ci_low", "Lower end of the ratio's interval, for the row by itself."),
            ("ratio_ci_high", "Upper end of the ratio's interval, for the row by itself."),
            rests_on=_BOTH,
            unit="ratio",
        ),
        *_statistics(
            ("ratio_p_value", "Probability of a ratio at least as far from 1 if it were 1."),
            rests_on=_BOTH,
            unit="p",
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
        Column("at", pl.Float64, "The time.", Role.GROUP, unit="days"),
        *_statistics(
            ("passed_share", "Share that has passed by the time."),
            ("reference_share", "The same in the reference group."),
            rests_on=_BOTH,
            unit="fraction",
        ),
        *_statistics(
            ("difference", "Share minus reference share."),
            *_DIFFERENCE_ENDS,
            rests_on=_BOTH,
            unit="points",
        ),
        *_DIFFERENCE_P,
        _EXCLUDED,
        _OTHERS_EXCLUDED,
    ),
)
CUMULATIVE_INCIDENCE = Table(
    "cumulative_incidence",
    "one row per end and distinct time, by group, beginning at 0",
    (
        Column("end", pl.String, "What the duration ends in.", Role.GROUP),
        _DURATION,
        _AT_RISK,
        count("n_events", "Learners who reached this end at the time."),
        _CENSORED,
        *_statistics(
            ("cumulative_incidence", "Probability of having reached this end by the time."),
            *_INTERVAL,
            rests_on=_STEP,
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
        *_statistics(
            ("cumulative_hazard", "Passes expected of a learner at risk until the time."),
            *_INTERVAL,
            rests_on=_STEP,
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)
SMOOTHED_HAZARD = Table(
    "smoothed_hazard",
    "one row per stretch of time, by group",
    (
        Column("duration", pl.Float64, "The stretch's middle.", Role.GROUP, unit="days"),
        count("n_at_risk", "Learners at risk at the start of the stretch."),
        count("n_events", "Learners who passed in the stretch."),
        *_statistics(
            ("hazard", "Passes per stretch per learner who has not yet passed, smoothed."),
            *_INTERVAL,
            rests_on=_STEP,
        ),
        _EXCLUDED,
        _UNDATED,
    ),
)
EXCLUSIONS = Table(
    "exclusions",
    "one row per reason, by group",
    (
        Column("reason", pl.String, "Why learners have no duration.", Role.GROUP),
        _EXCLUDED,
        count("n_records", "All learners of the group."),
    ),
)

SURVIVAL_TABLES = (
    KAPLAN_MEIER,
    SURVIVAL_SUMMARY,
    LOGRANK,
    LOGRANK_PAIRS,
    RMST_DIFFERENCE,
    MILESTONE_DIFFERENCE,
    CUMULATIVE_INCIDENCE,
    GRAY_TEST,
    NELSON_AALEN,
    SMOOTHED_HAZARD,
    EXCLUSIONS,
)
