"""Incidences of learners in several courses beside R's; see `clustered_incidence.R`."""

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
THEIRS = pl.read_csv(FOLDER / "clustered_incidence.csv")
ENDS = {1: "passed", 2: "left"}


def learners(name: str) -> pl.DataFrame:
    if name == "ties":
        rows = pl.read_csv(FOLDER / "ties.csv").filter(pl.col("duration") > 0)
        return rows.drop("entry").with_columns(
            pl.col("end").replace_strict(ENDS, default=None),
            event=pl.col("end") == 1,
            id=pl.int_range(pl.len()) // 4,
        )
    third = pl.int_range(1, pl.len() + 1) % 3 == 0
    rows = pl.read_csv(FOLDER / "clustered.csv").with_columns(
        pl.col("entry").cast(pl.Float64),
        event=pl.col("event") == 1,
        end=pl.when(pl.col("event") == 1).then(
            pl.when(third).then(pl.lit("left")).otherwise(pl.lit("passed"))
        ),
        group="course",
        duration=pl.col("continuous" if name == "continuous" else "days").cast(pl.Float64),
    )
    return rows if name == "late" else rows.drop("entry")


def assert_same(rows: pl.DataFrame, name: str, by: str, cluster: str) -> None:
    found = tk.survival.cumulative_incidence(rows, by=by, cluster=cluster).frame
    for row in THEIRS.filter(set=name).iter_rows(named=True):
        at = (pl.col("duration") <= row["time"]) & (pl.col("end") == row["end"])
        own = found.filter(at, pl.col(by).cast(pl.String) == str(row["group"])).row(-1, named=True)
        assert own["cumulative_incidence"] == pytest.approx(row["incidence"], rel=1e-8, abs=1e-12)
        assert own["std_error"] == pytest.approx(row["std_error"], rel=1e-8, abs=1e-12), row


@pytest.mark.parametrize("name", ["continuous", "days", "late", "ties"])
def test_r_gives_the_same_robust_errors_of_incidences(name: str) -> None:
    assert_same(learners(name), name, "group", "id")


@pytest.mark.slow
def test_r_gives_the_same_robust_errors_of_real_incidences(oulad_dir: Path) -> None:
    made = runpy.run_path(str(FOLDER / "oulad_durations.py"))
    rows = made["dated"](made["durations"](oulad_dir)).filter(pl.col("excluded").is_null())
    rows = rows.with_columns(pl.col("end").replace("unenrolled", "left"))
    assert_same(rows, "oulad", "gender", "username")


def test_one_end_has_the_robust_interval_of_the_curve() -> None:
    rows = learners("days").with_columns(end=pl.when("event").then(pl.lit("passed")))
    curve = tk.kaplan_meier(rows, by="group", cluster="id").frame
    found = tk.survival.cumulative_incidence(rows, by="group", cluster="id").frame
    for name, other in (("ci_low", "ci_high"), ("ci_high", "ci_low")):
        np.testing.assert_allclose(found[name], 1 - curve[other], rtol=1e-9, atol=1e-12)


def test_the_same_learners_twice_say_no_more_than_once() -> None:
    rows = learners("days").filter(pl.col("id").is_first_distinct())
    twice = pl.concat([rows, rows])
    once, doubled, naive = (
        tk.survival.cumulative_incidence(frame, cluster=cluster).frame["std_error"][-1]
        for frame, cluster in ((rows, "id"), (twice, "id"), (twice, None))
    )
    assert doubled == pytest.approx(once)
    assert naive < 0.8 * once


def test_what_is_shown_has_the_design_effect_in_two_digits() -> None:
    rows = pl.concat([learners("days")] * 3)
    robust, plain = (
        tk.survival.cumulative_incidence(rows, cluster=cluster) for cluster in ("id", None)
    )
    shown, other = robust.release().frame, plain.release().frame
    assert_frame_equal(
        shown.drop("std_error", "ci_low", "ci_high"), other.drop("std_error", "ci_low", "ci_high")
    )
    both = (
        shown.filter(pl.col("std_error") > 0)["std_error"]
        / other.filter(pl.col("std_error") > 0)["std_error"]
    )
    assert both.min() > 1.3  # type: ignore[operator]
    ends = robust.frame.filter(pl.col("cumulative_incidence") > 0)
    assert (ends["ci_low"] < ends["cumulative_incidence"]).all()


def test_a_row_without_a_cluster_is_refused() -> None:
    rows = learners("days").with_columns(pl.when(pl.col("id") > 1).then("id").alias("id"))
    with pytest.raises(tk.errors.SchemaError, match="rows have no `id`"):
        tk.survival.cumulative_incidence(rows, cluster="id")
