"""Frames of person_course for tests of analyses."""

from __future__ import annotations

from pathlib import Path

import polars as pl

import toolkit as tk
from toolkit.sandbox.learners.records import Filters, Source

REFERENCES = Path(__file__).parents[1] / "references"


def enrolled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as enrollments without grades and completion."""
    nothing = pl.lit(None, pl.Float64)
    return rows.with_columns(in_enrollments=True, completion=nothing, percent_grade=nothing)


def passed_of(**groups: tuple[int, int]) -> pl.DataFrame:
    """Return enrollments by mode, with k passed of n enrolled in each."""
    rows = [(mode, place < k) for mode, (k, n) in groups.items() for place in range(n)]
    return enrolled(pl.DataFrame(rows, schema={"mode": str, "passed": bool}, orient="row"))


def clustered() -> pl.DataFrame:
    """Return learners in one to four courses, from R's data; passed within 40 days or not."""
    rows = pl.read_csv(REFERENCES / "clustered.csv")
    return enrolled(rows.with_columns(passed=(pl.col("event") == 1) & (pl.col("days") <= 40)))


def person_course_of(source: Source) -> pl.DataFrame:
    """Return the source's records, typed and joined, without HTTP."""
    utc = pl.col("created", "passed_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    texts = ["username", "course_id", "display_name", "letter_grade", "mode"]
    records = (
        pl.concat([frame.collect() for frame in source.chunks(Filters())])
        .with_columns(pl.col(*texts, "percent_grade", "completion").cast(pl.String))
        .with_columns(
            utc,
            pl.col("percent_grade", "completion").cast(pl.Float64),
            letter_grade=pl.when(pl.col("letter_grade") != "").then("letter_grade"),
        )
    )
    return tk.person_course(records, records, records, as_of=source.clock)
