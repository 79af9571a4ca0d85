"""The coverage of every interval, and the level of every test, over simulated learners.

Learners of known truth are simulated 2,000 times, with 15, 50 and 200 in a group. A 95% interval
should contain the truth in 95% of the runs; a test at the 5% level should reject in 5% of the runs
in which the groups are alike. 2,000 runs measure either to about one percentage point.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import exp, log
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

import toolkit as tk
from toolkit.analyses.clusters import CLUSTER, Moments
from toolkit.analyses.intervals import katz, wilson
from toolkit.analyses.simultaneous import Rates, quantile

RUNS = 2_000
CLUSTER_RUNS_FACTOR = 5  # times as many runs of tests with clusters, whose level varies most with n
SIZES = (15, 50, 200)
SEED = 20241124
RATE = 1 / 60  # passes a day; learners leave at half that rate
LEAVING = RATE / 2
HORIZON = 60.0
SPREAD = 1.5  # standard deviation of learners' random effects, on the log scale
PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"

Frame = pl.DataFrame


@dataclass(frozen=True)
class Measured:
    """One cell of the table: the share of covering or rejecting runs, of those with a figure."""

    what: str
    kind: str
    share: float
    share_with_figure: float


def main() -> None:
    """Simulate, print the table, and write it into the documentation."""
    lines = ["| | figure | " + " | ".join(f"n = {n}" for n in SIZES) + " |"]
    lines.append("|---|---|" + "---:|" * len(SIZES))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        columns = list(pool.map(_measured, SIZES[::-1]))[::-1]
    for row in sorted(zip(*columns, strict=True), key=lambda row: row[0].kind):
        cells = [f"{one.share:.1%}" + ("" if one.share_with_figure == 1 else " *") for one in row]
        lines.append(f"| {row[0].kind} | {row[0].what} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    PAGE.write_text(f"{_INTRODUCTION}\n" + "\n".join(lines) + f"\n\n{_CLOSING}", encoding="utf-8")
    print(f"written to {PAGE}")


def measure(n: int, runs: int = RUNS) -> Iterator[Measured]:
    """Yield all rows of the table for one size of a group."""
    rng = np.random.default_rng([SEED, n])
    yield from rates(rng, n, runs)
    yield from curves(learners(rng, n, runs, groups=1))
    different = learners(rng, n, runs, groups=2, slower=1.6)
    yield from differences(different, 1.6)
    yield from levels(learners(rng, n, runs, groups=3), rng)
    yield from repeaters(rng, n, runs)


def _measured(n: int) -> list[Measured]:
    return list(measure(n))


def learners(
    rng: np.random.Generator, n: int, runs: int, *, groups: int, slower: float = 1.0
) -> Frame:
    """Draw groups of n learners per run: exponential times to pass and leave, and a last look."""
    size = n * runs * groups
    group = np.tile(np.repeat(np.arange(groups), n), runs)
    passes = rng.exponential(np.where(group == 1, slower, 1.0) / RATE, size)
    leaves = rng.exponential(1 / LEAVING, size)
    seen = rng.uniform(0, 4 * HORIZON, size)
    duration = np.minimum(np.minimum(passes, leaves), seen)
    end = np.where(duration == passes, "passed", np.where(duration == leaves, "left", ""))
    return pl.DataFrame(
        {
            "run": np.repeat(np.arange(runs), n * groups),
            "group": group,
            "stratum": rng.integers(0, 2, size),
            "duration": duration,
            "event": end == "passed",
            "end": end,
        }
    ).with_columns(pl.col("end").replace("", None))


def rates(rng: np.random.Generator, n: int, runs: int) -> Iterator[Measured]:
    """Measure Wilson's interval, Newcombe's and Katz's."""
    p, q = 0.3, 0.45
    k = {"k": rng.binomial(n, p, runs), "other": rng.binomial(n, q, runs)}
    counts = pl.DataFrame(k).with_columns(n=pl.lit(n))
    a, b, m = pl.col("other"), pl.col("k"), pl.col("n")
    pairs = Rates(k["other"] / n, k["k"] / n, *np.full((2, runs), n))
    newcombe = map(pl.lit, map(pl.Series, pairs.ends(np.full(runs, quantile(0.05)))))
    for name, (low, high), truth in (
        ("Wilson, share of 30%", wilson(b, m), p),
        ("Newcombe, 45% minus 30%", newcombe, q - p),
        ("Katz, 45% over 30%", katz(a, m, b, m), q / p),
    ):
        yield coverage(name, counts.select(ci_low=low, ci_high=high), truth)


def coverage(name: str, intervals: Frame, truth: float) -> Measured:
    """Measure how often the intervals contain the truth; an end that is null is open."""
    known = intervals.drop_nulls("ci_low")
    inside = known.filter(
        (pl.col("ci_low") <= truth + 1e-12)
        & (pl.col("ci_high").fill_null(float("inf")) >= truth - 1e-12)
    )
    return Measured(name, "interval", inside.height / known.height, known.height / intervals.height)


def curves(rows: Frame) -> Iterator[Measured]:
    """Measure the intervals of one group, at a time before most first events and at later ones."""
    for survival in (0.95, 0.5):
        at = -log(survival) / RATE
        table = tk.kaplan_meier(rows, by="run", times=[at]).frame
        yield coverage(f"Kaplan–Meier, S = {survival:.0%}", table.drop_nulls("survival"), survival)
    for share in (0.05, 0.4):
        rate = RATE + LEAVING
        at = -log(1 - share * rate / RATE) / rate
        table = tk.survival.cumulative_incidence(rows, by="run").frame.filter(end="passed")
        last = table.filter(pl.col("duration") <= at).group_by("run").last()
        yield coverage(f"cumulative incidence, F = {share:.0%}", last, share)
    for survival in (0.95, 0.5):
        at = -log(survival) / RATE
        table = tk.survival.nelson_aalen(rows, by="run").frame
        last = table.filter(pl.col("duration") <= at).group_by("run").last()
        yield coverage(f"Nelson–Aalen, H = {-log(survival):.2f}", last, -log(survival))
    hazard = tk.survival.smoothed_hazard(rows, by="run", every=14).frame
    yield coverage("smoothed hazard, third stretch", hazard.filter(duration=35), 14 * RATE)
    summary = tk.survival_summary(rows, by="run", horizon=HORIZON, milestones=[]).frame
    yield coverage("median", summary.filter(statistic="median"), log(2) / RATE)
    mean = summary.filter(statistic="restricted mean")
    yield coverage("restricted mean", mean.drop_nulls("estimate"), mean_until(HORIZON, RATE))


def mean_until(horizon: float, rate: float) -> float:
    """Return the restricted mean of an exponential time."""
    return (1 - exp(-rate * horizon)) / rate


def differences(rows: Frame, slower: float) -> Iterator[Measured]:
    """Measure the intervals of a difference of two groups."""
    for survival in (0.95, 0.5):
        at = -log(survival) / RATE
        truth = survival - survival ** (1 / slower)
        found = each_run(
            rows, lambda part, at=at: tk.survival.milestone_difference(part, by="group", at=at)
        )
        name = f"milestone difference, {1 - survival:.0%} beside {1 - survival ** (1 / slower):.0%}"
        yield coverage(name, found.drop_nulls("difference"), truth)
    found = each_run(
        rows, lambda part: tk.survival.rmst_difference(part, by="group", horizon=HORIZON)
    ).drop_nulls("difference")
    means = mean_until(HORIZON, RATE / slower), mean_until(HORIZON, RATE)
    yield coverage("difference of restricted means", found, means[0] - means[1])
    ratios = found.select(ci_low="ratio_ci_low", ci_high="ratio_ci_high")
    yield coverage("ratio of restricted means", ratios, means[0] / means[1])


def each_run(rows: Frame, analysis: Callable[[Frame], tk.Result]) -> Frame:
    """Return what the analysis finds in each run, one row per run."""
    return pl.concat(
        analysis(part).frame.head(1) for part in rows.partition_by("run", maintain_order=True)
    )


def levels(rows: Frame, rng: np.random.Generator) -> Iterator[Measured]:
    """Measure how often tests reject if the groups are alike."""
    two = rows.filter(pl.col("group") < 2)
    tests: dict[str, tuple[Frame, Callable[[Frame], tk.Result]]] = {
        "log-rank, two groups": (two, lambda part: tk.logrank(part, by="group")),
        "log-rank, three groups": (rows, lambda part: tk.logrank(part, by="group")),
        "log-rank, two groups in two strata": (
            two,
            lambda part: tk.logrank(part, by="group", strata="stratum"),
        ),
        "Gray, three groups": (rows, lambda part: tk.survival.gray_test(part, by="group")),
        "milestone difference": (
            two,
            lambda part: tk.survival.milestone_difference(part, by="group", at=40),
        ),
        "difference of restricted means": (
            two,
            lambda part: tk.survival.rmst_difference(part, by="group", horizon=HORIZON),
        ),
    }
    for name, (part, test) in tests.items():
        yield rejected(name, each_run(part, test)["p_value"])
    reached = rows.with_columns(
        passed=pl.Series(rng.random(rows.height) < 0.4),
        in_enrollments=True,
        completion=pl.lit(None, pl.Float64),
        percent_grade=pl.lit(None, pl.Float64),
        group=pl.col("group").cast(pl.String),
    )
    found = each_run(reached, lambda part: tk.compare_groups(part, by="group").test)
    yield rejected("χ², three groups", found["p_value"])


def repeaters(rng: np.random.Generator, n: int, runs: int) -> Iterator[Measured]:
    """Measure intervals and tests of learners who are alike in their three courses."""
    yield from repeated_rates(rng, n, runs)
    all_runs = CLUSTER_RUNS_FACTOR * runs
    pace = np.repeat(np.exp(rng.normal(0, SPREAD, 2 * n * all_runs)), 3)
    passes, seen = rng.exponential(1 / (RATE * pace)), rng.uniform(0, 4 * HORIZON, len(pace))
    rows = pl.DataFrame(
        {
            "run": np.repeat(np.arange(all_runs), 6 * n),
            "username": np.repeat(np.arange(2 * n * all_runs), 3),
            "group": np.tile(np.repeat([0, 1], 3 * n), all_runs),
            "duration": np.minimum(passes, seen),
            "event": passes <= seen,
        }
    )
    found = each_run(rows, lambda part: tk.logrank(part, by="group", cluster="username"))
    yield rejected("log-rank, clusters of three", found["p_value"])
    rows = rows.filter(pl.col("run") < runs)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    of_pace = weights / weights.sum()
    paces = RATE * np.exp(SPREAD * nodes)
    at = HORIZON / 2
    one = rows.filter(group=0)
    table = tk.kaplan_meier(one, by="run", times=[at], cluster="username").frame
    survival = float(of_pace @ np.exp(-paces * at))
    yield coverage("Kaplan–Meier, clusters of three", table.drop_nulls("survival"), survival)
    options = {"horizon": HORIZON, "milestones": []}
    summary = tk.survival_summary(one, by="run", cluster="username", **options).frame
    mean = summary.filter(statistic="restricted mean").drop_nulls("estimate")
    until = float(of_pace @ ((1 - np.exp(-paces * HORIZON)) / paces))
    yield coverage("restricted mean, clusters of three", mean, until)
    found = each_run(
        rows,
        lambda part: tk.survival.rmst_difference(
            part, by="group", horizon=HORIZON, cluster="username"
        ),
    )
    yield coverage("difference of restricted means, clusters of three", found, 0.0)


def repeated_rates(rng: np.random.Generator, n: int, runs: int) -> Iterator[Measured]:
    """Measure shares of learners with a random chance of passing, in three courses each."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    chances = 1 / (1 + np.exp(-SPREAD * nodes + 0.5))
    share = float(chances @ weights / weights.sum())
    all_runs = CLUSTER_RUNS_FACTOR * runs
    chance = 1 / (1 + np.exp(-rng.normal(0, SPREAD, 2 * n * all_runs) + 0.5))
    rows = pl.DataFrame(
        {
            "run": np.repeat(np.arange(all_runs), 6 * n),
            "username": np.repeat(np.arange(2 * n * all_runs), 3),
            "group": np.tile(np.repeat(["a", "b"], 3 * n), all_runs),
            "course": np.tile(["x", "y", "z"], 2 * n * all_runs),
            "passed": rng.random(6 * n * all_runs) < np.repeat(chance, 3),
        }
    )
    for by, part in (("group", rows), ("course", rows.filter(group="a"))):
        yield rejected(f"robust score, {by}s, clusters of three", score_tests(part, by))
    rows = rows.filter(pl.col("run") < runs).with_columns(
        in_enrollments=True,
        completion=pl.lit(None, pl.Float64),
        percent_grade=pl.lit(None, pl.Float64),
    )
    table = tk.outcomes(rows.filter(group="a"), by="run", cluster="username").frame
    ends = {f"ci_{end}": f"pass_rate_of_enrolled_ci_{end}" for end in ("low", "high")}
    yield coverage("share of 41%, clusters of three", table.select(**ends), share)
    for name, by, part in (
        ("difference of groups, clusters of three", "group", rows),
        ("difference of courses, clusters of three", "course", rows.filter(group="a")),
    ):
        pairs = pl.concat(
            tk.compare_groups(one, by=by, cluster="username").pairs.frame.head(1)
            for one in part.partition_by("run", maintain_order=True)
        )
        ends = {f"ci_{end}": f"difference_ci_{end}" for end in ("low", "high")}
        yield coverage(name, pairs.select(**ends), 0.0)


def score_tests(rows: Frame, by: str) -> pl.Series:
    """Return the p-values of the test of all groups of each run, as `compare_groups` tests them."""
    counts = rows.group_by("run", by, pl.col("username").alias(CLUSTER), maintain_order=True).agg(
        k=pl.col("passed").sum(), n=pl.len()
    )
    numbered = counts.with_columns(pl.col(CLUSTER).rank("dense").over("run") - 1)
    groups = rows[by].unique().sort()
    places = range(len(groups))
    return pl.Series(
        [
            Moments.of(one, groups, by, "k", "n").score_test(places)[1]
            for one in numbered.partition_by("run", maintain_order=True)
        ],
        dtype=pl.Float64,
    )


def rejected(name: str, p_values: pl.Series) -> Measured:
    """Measure how often the test rejects, of the runs in which it gives a p-value."""
    known = p_values.drop_nulls()
    return Measured(name, "test", (known < 0.05).sum() / len(known), len(known) / len(p_values))


_INTRODUCTION = """# How often intervals and tests are right

Made by `python -m benchmarks coverage`. Learners of known truth are simulated 2,000 times, with
15, 50 and 200 in a group. A 95% interval should contain the truth in 95% of the runs; a test at
the 5% level should reject in 5% of the runs in which the groups are alike. Two thousand runs
measure either to about one percentage point.
"""
_CLOSING = """A star marks cells in which some runs give no interval or no p-value: a curve that
ends before the time in question, a ratio with a numerator of 0, a share of 0 or 1 that is not
tested. Coverage and level are measured over the runs that give an interval or a p-value.

With few learners, few counts are possible, and whether an interval contains the truth depends
on the count: Wilson's interval for 15 learners covers 95% on average over all shares, but a
share of 30% only when the count is 2 to 7, which happens in 91.5% of the runs. Where hardly
anyone passes, the intervals are conservative: two groups of 15 with shares of 5% and 3% have
about one pass in all, and the interval of their difference is wide. Before the first event,
intervals are mid-p intervals, and means have Student's t ([methods](methods/survival.md));
Clopper and Pearson's interval would cover 98% with 50 learners, and the normal test of
restricted means would reject in 7% with 15.

"Clusters of three" are n learners in three courses each, who are alike in all of them: their pace
is lognormal, or their chance logistic, with a standard deviation of 1.5. They are analysed with
`cluster="username"`. Without it their records count as independent: Wilson's interval of their
share covers 88%, and the log-rank test rejects about three times as often as it should. The tests
of these rows run 10,000 times. The log-rank test of χ², which is R's, would reject in 7% with 15
learners a group ([methods](methods/survival-tests.md)).
"""


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
