"""Real learners: the Open University Learning Analytics Dataset as records of the platform.

OULAD is published under CC BY 4.0. Cite: Kuzilek, Hlosta, Zdrahal (2017), "Open University
Learning Analytics dataset", Scientific Data 4:170171, doi:10.1038/sdata.2017.171. The toolkit
ships this converter, not the data.

Published days count from the start of a presentation; calendar dates are not published. By
convention a `B` presentation starts on 1 February and a `J` one on 1 October of its year.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path

import polars as pl

from toolkit.errors import ConfigurationError
from toolkit.sandbox.learners.records import Filters
from toolkit.sandbox.learners.truth import Truth

PASS_MARK = 40
_Columns = dict[str, type[pl.DataType]]

_COURSE = ["code_module", "code_presentation"]
_LEARNER = [*_COURSE, "id_student"]

# The columns read from each table; days count from the start of the presentation.
_TABLES: dict[str, _Columns] = {
    "studentInfo": {"id_student": pl.Int64, "final_result": pl.String},
    "studentRegistration": {
        "id_student": pl.Int64,
        "date_registration": pl.Int64,
        "date_unregistration": pl.Int64,
    },
    "assessments": {
        "id_assessment": pl.Int64,
        "assessment_type": pl.String,
        "date": pl.Int64,
        "weight": pl.Float64,
    },
    "studentAssessment": {
        "id_assessment": pl.Int64,
        "id_student": pl.Int64,
        "date_submitted": pl.Int64,
        "score": pl.Float64,
    },
}
_OF_A_COURSE: _Columns = {"code_module": pl.String, "code_presentation": pl.String}


class Oulad:
    """The learners in a folder of OULAD tables; a `Source`.

    The folder holds studentInfo, studentRegistration, assessments and studentAssessment as .parquet
    or as the published .csv, and the click log as studentActivity (one row per learner and
    presentation with its last_day) or as the published studentVle. Only what was on record before
    the clock, naive UTC, is shown.
    """

    label = "OULAD, real learners (CC BY 4.0)"
    remark: str | None
    truth: Truth | None = None

    def __init__(self, folder: Path, clock: datetime | None = None) -> None:
        self._folder = folder
        self._records = convert(folder, clock or datetime.max)
        self.remark = _remark_on_scores(folder)
        self.clock = clock or _day_after(self._records)

    def chunks(self, filters: Filters) -> Iterator[pl.LazyFrame]:  # noqa: ARG002
        """Yield one record frame with all learners."""
        yield self._records.lazy()

    def earlier(self, clock: datetime) -> Oulad:
        """Return the same learners at an earlier moment, naive UTC."""
        return Oulad(self._folder, clock)


def convert(folder: Path, before: datetime) -> pl.DataFrame:
    """Convert OULAD tables to a record frame, one row per learner per presentation.

    What happened at `before` or later is left out. A final result counts as published when the
    presentation's last assessment is due.
    """
    graded = _assessments(folder)
    submissions = _submissions(folder, graded).filter(_moment_of("date_submitted") < before)
    of_course = graded.group_by(_COURSE).agg(
        weights=pl.col("weight").sum(),
        n_assessments=pl.len().cast(pl.Float64),
        final_day=pl.col("date").max(),
    )
    learners = (
        _read(folder, "studentInfo")
        .join(_read(folder, "studentRegistration"), on=_LEARNER, how="left")
        .join(_last_days(folder), on=_LEARNER, how="left")
        .join(_results(submissions), on=_LEARNER, how="left")
        .join(of_course, on=_COURSE, how="left")
        .filter(_moment_of("date_registration").fill_null(_moment_of(0)) < before)
    )
    return learners.sort(_LEARNER).select(**_records(before)).collect()


def _records(before: datetime) -> dict[str, pl.Expr]:
    module, presentation = pl.col("code_module"), pl.col("code_presentation")
    username = pl.format("ou-{}", "id_student")
    final = pl.col("final_result")
    published = (_moment_of("final_day") < before).fill_null(value=True)
    last_day = _moment_of("last_day")
    left = (_moment_of("date_unregistration") < before).fill_null(value=False)
    return {
        "username": username,
        "email": username + "@example.invalid",
        "course_id": pl.format("course-v1:OU+{}+{}", module, presentation),
        "display_name": pl.format("OU module {} ({})", module, presentation),
        "percent_grade": pl.when(pl.col("weights") > 0).then(
            _four_decimals(pl.col("score_sum").fill_null(0) / 100)
        ),
        "letter_grade": pl.when(final.is_in(["Pass", "Distinction"]) & published)
        .then(final)
        .otherwise(pl.lit("")),
        "passed_timestamp": _moment_of("passed_day"),
        # If a learner was active later, the last active day before the clock is not known.
        "last_date": pl.when(last_day < before).then(last_day).dt.date(),
        "is_active": ~left,
        "mode": pl.lit("audit"),
        "created": _moment_of("date_registration"),
        "completion": _four_decimals(
            pl.min_horizontal(pl.col("n_submitted").fill_null(0) / pl.col("n_assessments"), 1.0)
        ),
    }


def _moment_of(day: str | int) -> pl.Expr:
    """Convert a day counted from the start of the presentation to a moment."""
    presentation = pl.col("code_presentation")
    month = pl.when(presentation.str.ends_with("B")).then(2).otherwise(10)
    start = pl.datetime(presentation.str.slice(0, 4).cast(pl.Int32), month, 1)
    return start + pl.duration(days=day)


def _four_decimals(share: pl.Expr) -> pl.Expr:
    in_parts = (share * 10_000).round().cast(pl.Int64)
    whole, rest = in_parts // 10_000, in_parts % 10_000
    return pl.format("{}.{}", whole, rest.cast(pl.String).str.zfill(4))


def _assessments(folder: Path) -> pl.LazyFrame:
    """Return the assessments except exams, which have hardly any published scores."""
    return _read(folder, "assessments").filter(pl.col("assessment_type") != "Exam")


def _submissions(folder: Path, graded: pl.LazyFrame) -> pl.LazyFrame:
    return _read(folder, "studentAssessment").join(graded, on="id_assessment")


def _remark_on_scores(folder: Path) -> str | None:
    """Say how submissions without a score were counted, if there are any."""
    scores = _submissions(folder, _assessments(folder)).select("score").collect()["score"]
    without = scores.null_count()
    if not without:
        return None
    return f"{without:,} of {len(scores):,} graded submissions have no score and count as 0 points"


def _results(submissions: pl.LazyFrame) -> pl.LazyFrame:
    """Return weighted scores, assessments submitted, and the day the running score is a pass."""
    points = pl.col("score").fill_null(0) * pl.col("weight") / 100
    running = points.cum_sum().over(_LEARNER, order_by=["date_submitted", "id_assessment"])
    # Sums such as 0.1 + 0.2 must not miss the mark by a rounding error.
    reached = pl.col("running") >= PASS_MARK
    return (
        submissions.with_columns(running=running.round(9))
        .group_by(_LEARNER)
        .agg(
            score_sum=pl.col("running").max(),
            n_submitted=pl.col("id_assessment").n_unique(),
            passed_day=pl.col("date_submitted").filter(reached).min(),
        )
    )


def _last_days(folder: Path) -> pl.LazyFrame:
    """Return the last day each learner clicked, from the click log or its summary."""
    columns: _Columns = {**_OF_A_COURSE, "id_student": pl.Int64}
    if _file(folder, "studentActivity") is not None:
        return _read_columns(folder, "studentActivity", {**columns, "last_day": pl.Int64})
    clicks = _read_columns(folder, "studentVle", {**columns, "date": pl.Int64})
    return clicks.group_by(_LEARNER).agg(last_day=pl.col("date").max())


def _read(folder: Path, table: str) -> pl.LazyFrame:
    course = {} if table == "studentAssessment" else _OF_A_COURSE
    return _read_columns(folder, table, course | _TABLES[table])


def _read_columns(folder: Path, table: str, columns: _Columns) -> pl.LazyFrame:
    path = _file(folder, table)
    if path is None:
        raise ConfigurationError(
            f"{folder} has neither {table}.parquet nor {table}.csv. Download OULAD from the Open "
            "University's page analyse.kmi.open.ac.uk/open-dataset."
        )
    if path.suffix == ".parquet":
        frame = pl.scan_parquet(path)
    else:
        frame = pl.scan_csv(path, infer_schema=False, null_values=["", "?"])
    missing = set(columns) - set(frame.collect_schema().names())
    if missing:
        raise ConfigurationError(f"{path.name} lacks {', '.join(sorted(missing))}")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in columns.items())


def _file(folder: Path, table: str) -> Path | None:
    files = (folder / f"{table}{suffix}" for suffix in (".parquet", ".csv"))
    return next((file for file in files if file.exists()), None)


def _day_after(records: pl.DataFrame) -> datetime:
    """Return midnight after the last day in any record."""
    last = records.select(
        pl.max_horizontal(
            pl.col("created").max(), pl.col("passed_timestamp").max(), pl.col("last_date").max()
        )
    ).item()
    return datetime.combine(last, time()) + timedelta(days=1)
