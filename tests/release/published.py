"""What a study publishes: every result of the toolkit on one set of learners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

import toolkit as tk
from toolkit.results.result import Result

SOURCES = ["300", "5000", "oulad"]


@cache
def learners(source: str, oulad_dir: Path | None = None) -> pl.DataFrame:
    """The person_course of a sandbox of so many learners, or of OULAD."""
    if source == "oulad":
        platform = tk.sandbox(oulad=oulad_dir)
    else:
        platform = tk.sandbox(learners=int(source), seed=11)
    with platform:
        return tk.load_study(platform).person_course


@dataclass(frozen=True)
class Published:
    """The counts and the curves of one set of learners, by a name."""

    tables: dict[str, Result]
    curves: dict[str, Result]


@cache
def published(source: str, oulad_dir: Path | None = None) -> Published:
    """Everything that a report and its appendix would show."""
    pc = learners(source, oulad_dir)
    undated = pl.col("passed_timestamp").is_null().filter("passed").mean().over("course_id")
    timed = tk.time_to_pass(pc.filter(undated.fill_null(0) <= 0.02))
    groups = ["course_id", "mode", "enrolled_quarter", ["course_id", "enrolled_quarter"]]
    tables = {f"outcomes by {by}": tk.outcomes(pc, by=by, totals=True) for by in groups}
    tables |= {f"funnel by {by}": tk.completion_funnel(pc, by=by) for by in (None, "course_id")}
    tables |= {
        f"{name} by {by}": analysis(pc, by=by, bins=10)
        for by in (None, "course_id", "mode")
        for name, analysis in (
            ("grades", tk.grade_distribution),
            ("completion", tk.completion_distribution),
        )
    }
    tables |= {f"cohorts by {by}": tk.cohort_progress(pc, by=by) for by in (None, "mode")}
    compared = tk.compare_groups(pc, by="course_id")
    paths = tk.learner_paths(pc)
    tables |= {
        "compared": compared.groups,
        "compared in pairs": compared.pairs,
        "repeats": paths.repeats,
        "transitions": paths.transitions,
        "matches": tk.match_counts(pc),
        "exclusions": tk.survival.exclusions(timed, by="course_id"),
        "log-rank": tk.logrank(timed, by="course_id"),
        "table one": tk.reports.table_one(pc, by="mode"),
        "table one by course": tk.reports.table_one(pc, by="course_id", columns=["mode"]),
        "sensitivity": tk.reports.sensitivity(pc, pass_rules=[0.5, 0.7]),
    }
    curves = {f"curve by {by}": tk.kaplan_meier(timed, by=by) for by in (None, "mode", "course_id")}
    curves["curve by mode, one mixture of courses"] = tk.kaplan_meier(
        timed.filter(pl.col("mode") != "honor"), by="mode", strata="display_name"
    )
    return Published(tables, curves)
