"""Kaplan–Meier of fifty courses: the toolkit compared with a loop over lifelines, in one run.

Each starts from the frame it works on, Polars or pandas. The two take turns, so that other load
slows both alike; the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from lifelines import KaplanMeierFitter

import toolkit as tk
from benchmarks import Bar

COURSES = 50


def main() -> list[Bar]:
    """Measure whole days and continuous times, in memory and from a file; print the table."""
    print(f"Kaplan–Meier with errors and intervals, {COURSES} courses (medians)")
    bars = [
        measure("1 million, whole days", learners(1_000_000), limit=8, runs=7),
        measure("1 million, continuous", learners(1_000_000, whole=False), limit=3, runs=5),
        measure("10 million, whole days", learners(10_000_000), limit=8, runs=3),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "durations.parquet"
        learners(10_000_000).write_parquet(path)
        seconds = timed(lambda: tk.kaplan_meier(pl.scan_parquet(path), by="course_id").frame)
        print(f"  {'10 million, streamed from Parquet':34} toolkit {seconds:7.3f} s")
    return bars


def learners(n: int, *, whole: bool = True) -> pl.DataFrame:
    """Draw durations with a Weibull time to pass and uniform censoring."""
    rng = np.random.default_rng(7)
    passed = rng.weibull(1.3, n) * 150
    censored = rng.uniform(0, 700, n)
    duration = np.minimum(passed, censored)
    courses = pl.Series([f"course-v1:Org+CS{i}+2025" for i in range(COURSES)])
    return pl.DataFrame(
        {
            "course_id": courses.gather(pl.Series(rng.integers(0, COURSES, n))),
            "duration": np.floor(duration) if whole else duration,
            "event": passed <= censored,
        }
    )


def lifelines_loop(frame: pd.DataFrame) -> dict[str, KaplanMeierFitter]:
    """Fit each course as the documentation of lifelines does, on pandas."""
    return {
        str(course): KaplanMeierFitter().fit(part["duration"], part["event"])
        for course, part in frame.groupby("course_id")
    }


def measure(label: str, frame: pl.DataFrame, *, limit: float, runs: int) -> Bar:
    """Let both take turns; compare the medians and the curves."""
    ours, theirs = [], []
    in_pandas = pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
    for _ in range(runs):
        ours.append(timed(lambda: tk.kaplan_meier(frame, by="course_id").frame))
        theirs.append(timed(lambda: lifelines_loop(in_pandas)))
    our_median, their_median = statistics.median(ours), statistics.median(theirs)
    print(f"  {label:34} toolkit {our_median:7.3f} s  lifelines {their_median:7.3f} s")
    course = str(frame["course_id"][0])
    curve = tk.kaplan_meier(frame, by="course_id").frame.filter(course_id=course)
    fit = lifelines_loop(in_pandas[in_pandas["course_id"] == course])[course]
    expected = fit.survival_function_["KM_estimate"].loc[curve["duration"]].to_numpy()
    np.testing.assert_allclose(curve["survival"], expected, rtol=1e-9, atol=1e-12)
    return Bar(f"faster than lifelines, {label}", their_median / our_median, "≥", limit)


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
