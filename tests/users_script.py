"""What a user writes: every public name once, checked by mypy --strict and executed by a test."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

import toolkit as tk

KEY = "5d1f0c3e9a7b42d68e4b7ac91f20d3586e"


def load(platform: tk.Platform, folder: Path) -> tk.Study:
    """All ways to the data give the same learners."""
    load: tk.Load = tk.fetch(platform, "grades")
    frames = [tk.load_grades(platform), tk.load_enrollments(platform), tk.load_completion(platform)]
    lazily: pl.LazyFrame = tk.scan(platform, "grades").filter(pl.col("percent_grade") > 0.5)
    saved: Path = tk.snapshots.write_csv(load.frame, folder / "grades.csv")
    body = b'[{"username": "a", "course_id": "c", "percent_grade": "50%"}]'
    assert tk.read(body, "grades").columns == load.frame.columns
    assert saved.is_file()
    assert lazily.collect().height <= frames[0].height
    tk.schemas.require_columns(frames[0].columns, ["username", "course_id"], what="grades")

    snapshot: tk.Snapshot = tk.take_snapshot(platform, folder / "snapshot")
    assert tk.open_snapshot(folder / "snapshot").as_of == snapshot.as_of
    assert tk.snapshots.list_snapshots(folder).height == 1
    assert tk.snapshots.open_earlier(snapshot) is None
    changes: tk.snapshots.Changes = tk.compare_snapshots(snapshot, snapshot)
    print(changes, tk.snapshots.export_csv(snapshot, folder / "csv"))
    shared: tk.snapshots.SharedExport = tk.snapshots.export_for_sharing(snapshot, folder / "shared")
    print(shared.risk)
    report: tk.quality.QualityReport = tk.quality.check_snapshots(snapshot, snapshot)
    assert report.ok

    hidden = tk.release.pseudonymize(frames[0], KEY)
    assert "email" not in hidden.columns
    names = tk.release.reidentify(frames[0]["username"].to_list(), KEY)
    assert names.height == frames[0].height
    return tk.load_study(platform)


def analyse(study: tk.Study) -> list[tk.Result]:
    """Every analysis of the learners and of their time to a pass."""
    pc = tk.person_course(study.grades, study.enrollments, study.completion, as_of=study.as_of)
    durations = tk.time_to_pass(study, undated="leave_out", undated_by=["course_id", "mode"])
    ends = tk.time_to_pass(study, competing={"last seen": "last_date"})
    ages = study.enrollments.select("username").unique().with_columns(age=pl.lit(30))
    print(study.with_learners(ages).coverage, study.count("enrollments"))
    periods: pl.DataFrame = tk.survival.person_period(durations, every=7)
    assert "period" in periods.columns
    data: tk.survival.SurvivalData = tk.survival.to_survival(durations, covariates=["mode"])
    print(data.dropped)
    own = pc.group_by("course_run").agg(n=pl.len(), n_passed=pl.col("passed").sum())
    return [
        tk.match_counts(pc),
        tk.outcomes(study, by="course_id"),
        tk.completion_funnel(study),
        tk.grade_distribution(study),
        tk.completion_distribution(study),
        tk.cohort_progress(study),
        tk.completion_progress([pc]),
        tk.compare_groups(study, by="mode", reference="audit").pairs,
        tk.learner_paths(study).repeats,
        tk.kaplan_meier(durations, by="mode"),
        tk.survival_summary(durations, by="mode"),
        tk.logrank(durations, by="mode"),
        tk.survival.logrank_pairs(durations, by="mode"),
        tk.survival.milestone_difference(durations, by="mode", at=60),
        tk.survival.rmst_difference(durations, by="mode"),
        tk.survival.rmst_difference(durations, by="mode", strata="course_number"),
        tk.survival.cumulative_incidence(ends, by="mode"),
        tk.survival.gray_test(ends, by="mode"),
        tk.survival.nelson_aalen(durations, by="mode"),
        tk.survival.smoothed_hazard(durations),
        tk.survival.exclusions(durations),
        tk.reports.key_figures(study),
        tk.reports.table_one(study, by="mode"),
        tk.reports.sensitivity(study, pass_rules=[0.6]),
        tk.result(own, counts={"n": None, "n_passed": "n"}, groups=["course_run"]),
    ]


def publish(study: tk.Study, results: list[tk.Result], folder: Path) -> None:
    """What leaves the machine: released tables, charts, words, a report."""
    tk.use_offline_charts()
    for result in results:
        released: tk.Released = result.release()
        columns = tk.describe(result).rows
        assert {row[0] for row in columns} <= set(result.frame.columns)
        print(released.narrate(), released.table())
    assert results[0].to_word(folder / "table.docx").is_file()
    chart = tk.charts.finish(
        results[1].chart(), title="Outcomes", subtitle="By course", description="Rates by course"
    )
    assert chart.to_dict()
    assert len(tk.charts.PALETTE) > 1
    tk.check(study).raise_for_failures()
    print(tk.engines.verify(pl.DataFrame.lazy, analyses=["outcomes"]).height)
    copied, _ = tk.reports.copy_notebooks(folder / "notebooks")
    report: tk.reports.Report = tk.write_report(folder / "report", notebooks=copied[:1])
    print(report.index, tk.cite())


def main(folder: Path) -> None:
    try:
        tk.connect(base_url="not an address", token="example-token")
    except tk.ToolkitError as error:
        print(error)
    print(tk.connect_or_sandbox())
    with tk.sandbox(learners=300) as platform:
        study = load(platform, folder)
        publish(study, analyse(study), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
