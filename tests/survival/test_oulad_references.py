"""The time to pass of OULAD's learners beside R's figures; `references/oulad.R` made them."""

import runpy
from pathlib import Path

import polars as pl
import pytest

import toolkit as tk

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[1] / "references"


MADE = runpy.run_path(str(FOLDER / "oulad_durations.py"))


@pytest.fixture(scope="module")
def everybody(oulad_dir: Path) -> pl.DataFrame:
    durations: pl.DataFrame = MADE["durations"](oulad_dir)
    return durations


@pytest.fixture(scope="module")
def durations(everybody: pl.DataFrame) -> pl.DataFrame:
    """The modules whose passes are dated."""
    kept: pl.DataFrame = MADE["dated"](everybody)
    return kept


def test_exclusions_are_counted_by_reason(everybody: pl.DataFrame) -> None:
    assert tk.survival.exclusions(everybody).frame.drop("n_records").rows() == [
        ("no origin", 45),
        ("passed before origin", 1),
        ("passed without a pass time", 1_945),
    ]


def test_modules_whose_passes_lack_dates_have_no_curve(everybody: pl.DataFrame) -> None:
    with pytest.raises(tk.errors.SchemaError, match=r"of: GGG \(100\.0%\); CCC \(22\.7%\)\."):
        tk.kaplan_meier(everybody, by="course_number")


def test_r_gives_the_same_tests_on_groups_of_all_sizes(durations: pl.DataFrame) -> None:
    theirs = pl.read_csv(FOLDER / "oulad_withdrawals.csv")
    assert theirs.height == 68
    left = durations.with_columns(event=pl.col("end").eq_missing("unenrolled"))
    left = left.filter(pl.col("excluded").is_null())
    for row in theirs.iter_rows(named=True):
        own = left.filter(course_number=row["module"], course_run=row["run"])
        test = tk.logrank(own, by=row["trait"]).frame
        assert test["df"][0] == row["df"]
        assert test["statistic"][0] == pytest.approx(row["statistic"], rel=1e-8)
        assert test["p_value"][0] == pytest.approx(row["p_value"], rel=1e-8)


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
