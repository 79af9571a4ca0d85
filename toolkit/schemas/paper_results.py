"""The result tables of a paper: who was studied."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from toolkit.schemas.columns import Column, Role, Table
from toolkit.schemas.outcome_results import count, group, measure, statistic

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
            replace(measure(name, f"{what} of the values; null for levels.", "n_known"), unit=None)
            for name, what in (
                ("mean", "Mean"),
                ("sd", "Standard deviation (n − 1)"),
                ("q1", "First quartile"),
                ("median", "Median"),
                ("q3", "Third quartile"),
            )
        ),
        replace(
            measure(
                "standardized_difference",
                "How far the groups are apart in the variable, in standard deviations; of several "
                "groups the mean over pairs. In the rows of all groups only.",
                "n_known",
            ),
            unit="SD",
        ),
    ),
)

PAPER_TABLES = (TABLE_ONE,)
