"""OULAD's learners as notebook 08 has them, for R: python adjusted_oulad.py OULAD_DIR learners.csv.

Early is who enrolls before the median day of the course.
"""

import sys
from pathlib import Path

import polars as pl

import toolkit as tk


def learners(folder: Path) -> pl.DataFrame:
    """One row per learner per course, with a duration where there is one."""
    with tk.sandbox(oulad=folder) as platform:
        pc = tk.load_study(platform).person_course
    pc = pc.filter("in_enrollments", pl.col("created").is_not_null())
    day = pl.col("created").dt.date()
    middle = day.cast(pl.Int32).median().over("course_id")
    start = pl.when(day.cast(pl.Int32) < middle).then(pl.lit("early")).otherwise(pl.lit("late"))
    return tk.time_to_pass(pc.with_columns(start=start), undated="leave_out")


if __name__ == "__main__":
    columns = ["username", "start", "passed", "duration", "event"]
    learners(Path(sys.argv[1])).select(*columns, course="course_id").write_csv(sys.argv[2])
