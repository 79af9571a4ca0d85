"""The result table of a comparison of two snapshots."""

from __future__ import annotations

import polars as pl

from toolkit.schemas.columns import Column, Role, Table

CHANGE_COUNTS = Table(
    "change_counts",
    "one row per course and kind of change that occurs",
    (
        Column("course_id", pl.String, "The course run.", Role.GROUP),
        Column("change", pl.String, "What happened, such as newly passed.", Role.GROUP),
        Column("n_learners", pl.Int64, "Learners affected.", Role.COUNT, unit="learners", low=0),
    ),
    ("course_id", "change"),
)
CHANGE_TABLES = (CHANGE_COUNTS,)
