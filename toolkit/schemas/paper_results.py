"""The result tables of a paper: who was studied, and how the headline depends on choices."""

from __future__ import annotations

import polars as pl

from toolkit.schemas.columns import Column, Role, Table
from toolkit.schemas.outcome_results import (
    count,
    group,
    interval,
    measure,
    statistic,
    with_interval,
)

COUNTS, MEAN, MEDIAN = "n (%)", "mean (SD)", "median [Q1, Q3]"

TABLE_ONE = Table(
    "table_one",
    "one row per group, variable and level; a number and a Boolean have one row",
    (
        group("variable", pl.String, "The column described."),
        group("level", pl.String, "The value counted; null for a number."),
        Column("summary", pl.String, f"How it is read: {COUNTS}, {MEAN} or {MEDIAN}.", Role.STATUS),
        count("n_enrolled", "Enrolled."),
        count("n_known", "Enrolled with a value.", "n_enrolled"),
        count("n_missing", "Enrolled without a value.", "n_enrolled"),
        count("n_level", "With a value of this level; null for a number.", "n_known"),
        statistic("share", "n_level of n_known.", "n_level", "n_known"),
        *(
            measure(name, f"{what} of the values; null for levels.", "n_known", unit=None)
            for name, what in (
                ("mean", "Mean"),
                ("sd", "Standard deviation (n − 1)"),
                ("q1", "First quartile"),
                ("median", "Median"),
                ("q3", "Third quartile"),
            )
        ),
        statistic(
            "standardized_difference",
            "How far apart the groups are in the variable, in standard deviations; infinite if "
            "they share no value. For several groups, the mean over pairs. Only in the rows over "
            "all groups.",
            "n_known",
            unit="SD",
        ),
    ),
)

AS_REPORTED = "as reported"

SENSITIVITY = Table(
    "sensitivity",
    "one row per alternative choice, below the choices as reported",
    (
        group("choice", pl.String, "The choice that differs, one at a time."),
        group("value", pl.String, "What is chosen instead."),
        Column("headline", pl.String, "The figure that depends on it.", Role.STATUS),
        count("n_learners", "In the denominator, or observed."),
        count("n_reached", "Of them, with the outcome.", "n_learners"),
        count("n_left_out", "Enrolled records that this choice leaves out."),
        *with_interval("rate", "n_reached of n_learners.", "n_reached", "n_learners"),
        statistic(
            "rate_change",
            "The rate minus that of the first row.",
            "n_reached",
            "n_learners",
            unit="points",
        ),
        statistic("days", "Days since the origin.", "n_learners", unit="days"),
        *interval("days", "n_learners", unit="days"),
        statistic(
            "days_change", "The days minus those of the first row.", "n_learners", unit="days"
        ),
    ),
)
