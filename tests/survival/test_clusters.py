"""Learners in several courses beside the robust tests of R; see `references/clustered.R`."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
TESTS = pl.read_csv(FOLDER / "clustered_logrank.csv").rows(named=True)


def learners(time: str = "days", *, late: bool = False) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / "clustered.csv")
    entry = [pl.col("entry").cast(pl.Float64)] if late else []
    return frame.select(
        "id",
        "mode",
        "course",
        "stratum",
        *entry,
        duration=pl.col(time).cast(pl.Float64),
        event=pl.col("event") == 1,
    )


@pytest.mark.parametrize("row", TESTS)
def test_r_gives_the_same_robust_logrank_tests(row: dict[str, object]) -> None:
    rows = learners(str(row["time"]), late=bool(row["late"]))
    strata = "stratum" if row["strata"] else None
    by = str(row["by"])
    ours = tk.logrank(rows, by=by, strata=strata, cluster="id").frame.row(0, named=True)
    assert ours["df"] == row["df"]
    assert ours["statistic"] == pytest.approx(row["statistic"], rel=1e-8)
    assert ours["p_value"] == pytest.approx(row["p_value"], rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_and_the_names_of_clusters_change_nothing(seed: int) -> None:
    rows = learners()
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    named = shuffled.with_columns(id=pl.format("learner {}", (pl.col("id") * 7919) % 1009))
    one, other = (
        tk.logrank(f, by="mode", cluster="id").frame["statistic"][0] for f in (rows, named)
    )
    assert one == pytest.approx(other, rel=1e-9)


def test_the_same_learners_twice_say_no_more_than_once() -> None:
    rows = learners("continuous").filter(pl.col("id").is_first_distinct())
    twice = pl.concat([rows, rows])
    once = tk.logrank(rows, by="course", cluster="id").frame["statistic"][0]
    assert tk.logrank(twice, by="course", cluster="id").frame["statistic"][0] == pytest.approx(once)
    assert tk.logrank(twice, by="course").frame["statistic"][0] > 1.5 * once


def test_too_few_clusters_give_no_test() -> None:
    rows = learners().filter(pl.col("id") <= 2).with_columns(id=pl.lit(1))
    found = tk.logrank(rows, by="course", cluster="id").frame.row(0, named=True)
    assert (found["df"], found["statistic"], found["p_value"]) == (1, None, None)


def test_a_row_without_a_cluster_is_refused() -> None:
    rows = learners().with_columns(pl.when(pl.col("id") > 1).then("id").alias("id"))
    with pytest.raises(tk.errors.SchemaError, match="rows have no `id`"):
        tk.logrank(rows, by="mode", cluster="id")


@pytest.mark.slow
def test_the_robust_test_keeps_its_level_where_the_other_does_not() -> None:
    # 70 learners in three courses each, groups of learners, no difference between them.
    rng = np.random.default_rng(1)
    plain, robust, runs = 0, 0, 600
    for _ in range(runs):
        frailty = np.exp(rng.normal(0, 1.5, 70))
        rows = pl.DataFrame(
            {
                "id": np.repeat(np.arange(70), 3),
                "mode": np.repeat(np.where(rng.random(70) < 0.5, "a", "b"), 3),
                "duration": rng.exponential(1 / np.repeat(frailty, 3)),
                "event": rng.random(210) < 0.8,
            }
        )
        plain += tk.logrank(rows, by="mode").frame["p_value"][0] < 0.05
        robust += tk.logrank(rows, by="mode", cluster="id").frame["p_value"][0] < 0.05
    assert plain / runs > 0.12
    assert 0.03 < robust / runs < 0.075
