"""OULAD's learners with their traits, for R: python table_one_oulad.py OULAD_DIR traits.csv."""

import runpy
import sys
from pathlib import Path

import polars as pl

import toolkit as tk

MADE = runpy.run_path(str(Path(__file__).with_name("oulad_durations.py")))


def learners(folder: Path) -> pl.DataFrame:
    """The person_course with the traits of `TRAITS`; null where OULAD knows none."""
    with tk.sandbox(oulad=folder) as platform:
        pc = tk.load_study(platform).person_course
    key = ["course_id", "username"]
    traits = MADE["table"](folder, "studentInfo").select(*key, *MADE["TRAITS"])
    return pc.join(traits, on=key, how="left", maintain_order="left").with_columns(
        module="course_number"
    )


if __name__ == "__main__":
    kept = learners(Path(sys.argv[1])).filter("in_enrollments")
    kept.select(*MADE["TRAITS"], "percent_grade", "completion", "module").write_csv(sys.argv[2])
