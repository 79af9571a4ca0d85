"""The durations of OULAD's learners that R gets: python oulad_durations.py OULAD_DIR durations.csv.

Time from enrollment to the pass, where leaving the course is another end. Modules whose passes
lack dates (CCC and GGG) have no fair curve and are left out of the file.
"""

import sys
from pathlib import Path

import polars as pl

import toolkit as tk

TRAITS = ["gender", "disability", "age_band", "imd_band"]


def table(folder: Path, name: str) -> pl.DataFrame:
    file = next(folder.glob(f"{name}.*"))
    is_csv = file.suffix == ".csv"
    read = pl.read_csv(file, null_values="?") if is_csv else pl.read_parquet(file)
    return read.with_columns(
        course_id=pl.format("course-v1:OU+{}+{}", "code_module", "code_presentation"),
        username=pl.format("ou-{}", "id_student"),
    )


def durations(folder: Path) -> pl.DataFrame:
    """All learners with their traits, the excluded too."""
    with tk.sandbox(oulad=folder) as platform:
        pc = tk.load_study(platform).person_course
    key = ["course_id", "username"]
    days = pl.col("date_unregistration") - pl.col("date_registration")
    left = table(folder, "studentRegistration").select(*key, days=days.cast(pl.Int64))
    traits = table(folder, "studentInfo").select(*key, pl.col(TRAITS).fill_null("unknown"))
    pc = pc.join(left, on=key, how="left", maintain_order="left")
    pc = pc.join(traits, on=key, how="left", maintain_order="left")
    pc = pc.with_columns(left_at=pl.col("created") + pl.duration(days="days"))
    return tk.time_to_pass(pc, competing={"unenrolled": "left_at"})


def dated(rows: pl.DataFrame) -> pl.DataFrame:
    """Without the modules whose passes lack dates."""
    return rows.filter(~pl.col("course_number").is_in(["CCC", "GGG"]))


if __name__ == "__main__":
    kept = dated(durations(Path(sys.argv[1]))).filter(pl.col("excluded").is_null())
    kept.select(
        "duration",
        pl.col("event").cast(pl.Int8),
        pl.col("end").replace_strict({"passed": 1, "unenrolled": 2}, default=0),
        "username",
        *TRAITS,
        module="course_number",
        run="course_run",
    ).write_csv(sys.argv[2])
