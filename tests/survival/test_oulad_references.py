"""The time to pass of OULAD's learners beside R's figures; `references/oulad.R` made them."""

from pathlib import Path

import polars as pl
import pytest

import toolkit as tk

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[1] / "references"


@pytest.fixture(scope="module")
def durations(oulad_dir: Path) -> pl.DataFrame:
    """Time from enrollment to the pass, where leaving the course is another end."""
    with tk.sandbox(oulad=oulad_dir) as platform:
        pc = tk.load_study(platform).person_course
    file = next(oulad_dir.glob("studentRegistration.*"))
    is_csv = file.suffix == ".csv"
    table = pl.read_csv(file, null_values="?") if is_csv else pl.read_parquet(file)
    days = pl.col("date_unregistration") - pl.col("date_registration")
    left = table.select(
        course_id=pl.format("course-v1:OU+{}+{}", "code_module", "code_presentation"),
        username=pl.format("ou-{}", "id_student"),
        days=days.cast(pl.Int64),
    )
    pc = pc.join(left, on=["course_id", "username"], how="left", maintain_order="left")
    pc = pc.with_columns(left_at=pl.col("created") + pl.duration(days="days"))
    return tk.time_to_pass(pc, competing={"unenrolled": "left_at"})


def test_exclusions_are_counted_by_reason(durations: pl.DataFrame) -> None:
    assert tk.survival.exclusions(durations).frame.drop("n_records").rows() == [
        ("no origin", 45),
        ("passed before origin", 4),
        ("passed without a pass time", 1_945),
    ]


def test_r_gives_the_same_medians_and_restricted_means(durations: pl.DataFrame) -> None:
    theirs = pl.read_csv(FOLDER / "oulad_modules.csv")
    summary = tk.survival_summary(durations, by="course_number", horizon=365).frame
    for row in theirs.iter_rows(named=True):
        own = summary.filter(course_number=row["module"])
        median = own.filter(statistic="median").row(0, named=True)
        assert (median["n_learners"], median["n_events"]) == (row["n"], row["events"])
        assert median["estimate"] == row["median"]
        assert (median["ci_low"], median["ci_high"]) == (row["low"], row["high"])
        mean = own.filter(statistic="restricted mean").row(0, named=True)
        assert mean["estimate"] == pytest.approx(row["rmean"], rel=1e-10)
        assert mean["std_error"] == pytest.approx(row["se"], rel=1e-10)


def test_r_gives_the_same_tests(durations: pl.DataFrame) -> None:
    theirs = pl.read_csv(FOLDER / "oulad_tests.csv")
    by = "course_number"
    ours = [
        tk.logrank(durations, by=by).frame,
        tk.logrank(durations, by=by, strata="course_run").frame,
        tk.survival.gray_test(durations, by=by, end="passed").frame,
        tk.survival.gray_test(durations, by=by, end="unenrolled").frame,
    ]
    assert [test["df"][0] for test in ours] == theirs["df"].to_list()
    found = [test["statistic"][0] for test in ours]
    assert found == pytest.approx(theirs["statistic"].to_list(), rel=1e-9)


def test_cmprsk_gives_the_same_cumulative_incidence(durations: pl.DataFrame) -> None:
    theirs = pl.read_csv(FOLDER / "oulad_incidence.csv").cast({"at": pl.Float64})
    ours = tk.survival.cumulative_incidence(durations).frame
    for end, at, incidence in theirs.iter_rows():
        until = ours.filter(pl.col("end") == end, pl.col("duration") <= at)
        assert until["cumulative_incidence"][-1] == pytest.approx(incidence, rel=1e-10)
