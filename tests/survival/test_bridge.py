"""Durations handed to lifelines: its Cox model is R's, and nobody is lost unseen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import multivariate_logrank_test

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
THEIRS = pl.read_csv(FOLDER / "cox.csv")
MODELS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "gehan": ("group", ["group"], {}),
    "pbc": ("group", ["group", "stratum"], {"strata": ["stratum"]}),
    "rossi": ("group + stratum", ["group", "stratum"], {}),
    "ties": ("group", ["group"], {"entry_col": "entry"}),
}
_BY_COURSE = {"strata": ["course"], "cluster_col": "username"}
for clustered in ("clustered", "continuous"):
    MODELS[clustered] = ("mode", ["mode", "course", "username"], _BY_COURSE)
# lifelines treats ties in robust errors as Breslow does.
ERRORS = {"clustered": 0.01}


def durations(name: str) -> pl.DataFrame:
    of_courses = name in {"clustered", "continuous"}
    rows = pl.read_csv(FOLDER / f"{'clustered' if of_courses else name}.csv")
    if of_courses:
        rows = rows.drop("entry").with_columns(duration="days" if name == "clustered" else name)
        rows = rows.with_columns(pl.format("learner {}", "id").alias("username"))
    return rows.with_columns(pl.col("duration").cast(pl.Float64), event=pl.col("event") == 1)


@pytest.mark.parametrize("name", MODELS)
def test_cox_of_lifelines_is_that_of_r(name: str) -> None:
    formula, covariates, options = MODELS[name]
    data = tk.survival.to_survival(durations(name), covariates=covariates)
    fit = CoxPHFitter().fit(
        data.frame,
        "duration",
        "event",
        formula=formula,
        fit_options={"precision": 1e-18, "r_precision": 1e-16},
        **options,
    )
    theirs = THEIRS.filter(set=name)
    assert fit.params_.to_list() == pytest.approx(theirs["coef"].to_list(), rel=1e-8)
    assert fit.standard_errors_.to_list() == pytest.approx(
        theirs["se"].to_list(), rel=ERRORS.get(name, 1e-6)
    )


def frame(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"duration": [5.0, 8.0, 9.0], "event": [True, False, True], **columns})


def test_each_kind_of_column_arrives_as_a_model_needs_it() -> None:
    rows = frame(
        verified=[True, False, True], age=[20, 30, 40], score=[0.5, 0.25, 1.0], mode=["b", "a", "b"]
    ).with_columns(pl.col("mode").cast(pl.Categorical).alias("kind"))
    covariates = ["verified", "age", "score", "mode", "kind"]
    found = tk.survival.to_survival(rows, covariates=covariates).frame
    assert list(found.columns) == ["duration", "event", *covariates]
    assert found["event"].tolist() == [1, 0, 1]
    assert found["verified"].tolist() == [1, 0, 1]
    assert found["age"].dtype.kind == "i"
    assert found["kind"].tolist() == ["b", "a", "b"]


def test_who_is_left_out_is_counted_by_reason() -> None:
    rows = frame(age=[None, float("nan"), 3.0], mode=[None, "a", "a"], excluded=[None, None, None])
    rows = pl.concat(
        [rows.cast({"excluded": pl.String}), rows.head(1).with_columns(
            duration=None, event=None, excluded=pl.lit("not enrolled"), age=1.0, mode=pl.lit("a")
        )]
    )  # fmt: skip
    found = tk.survival.to_survival(rows, covariates=["mode", "age"])
    assert found.frame["age"].tolist() == [3.0]
    assert found.dropped.frame.select("reason", "n_excluded").rows() == [
        ("no age", 1),
        ("no mode", 1),
        ("not enrolled", 1),
    ]
    assert found.dropped.frame["n_records"].unique().to_list() == [4]


def test_rows_and_reasons_add_up_on_the_sandbox() -> None:
    with tk.sandbox(learners=300, seed=3) as platform:
        study = tk.load_study(platform)
    timed = tk.time_to_pass(study)
    found = tk.survival.to_survival(timed, covariates=["mode", "username"])
    assert len(found.frame) + found.dropped.frame["n_excluded"].sum() == timed.height
    assert "username" not in repr(found)
    assert found._repr_html_() == found.dropped._repr_html_()


def test_who_is_never_at_risk_after_the_entry_is_left_out() -> None:
    rows = frame(entry=[0.0, 2.0, 0.0]).with_columns(duration=pl.Series([0.0, 8.0, 9.0]))
    found = tk.survival.to_survival(rows)
    assert found.frame["duration"].tolist() == [8.0, 9.0]
    assert found.dropped.frame["reason"].to_list() == ["no time at risk"]


@pytest.mark.parametrize(
    ("columns", "covariates", "match"),
    [
        ({}, ["mode"], "no column `mode`"),
        ({}, ["event"], "`event` holds"),
        ({"day": [None, None, None]}, ["day"], "holds Null"),
        ({"mode": [None, None, "a"], "age": [1, 2, None]}, ["mode", "age"], "no learner"),
        ({}, "mode", "list of columns"),
    ],
)
def test_what_no_model_can_take_is_refused(
    columns: dict[str, list[object]], covariates: Any, match: str
) -> None:
    with pytest.raises(tk.errors.ToolkitError, match=match):
        tk.survival.to_survival(frame(**columns), covariates=covariates)


def test_both_bounds_of_the_undated_are_refused() -> None:
    with pytest.raises(tk.errors.ArgumentError, match="bound"):
        tk.survival.to_survival(frame(bound=["at once", "at the last moment", "at once"]))


FLAWS: dict[str, dict[str, list[object]]] = {
    "none": {},
    "infinite": {"duration": [5.0, float("inf"), 9.0]},
    "negative": {"duration": [5.0, -1.0, 9.0]},
    "timeless": {"duration": [5.0, None, 9.0]},
    "no event": {"event": [True, None, False]},
    "no entry": {"entry": [1.0, None, 0.0]},
    "entry is no number": {"entry": [1.0, float("nan"), 0.0]},
    "entry before 0": {"entry": [1.0, -2.0, 0.0]},
    "entry at the end": {"entry": [5.0, 2.0, 0.0]},
    "undated": {"excluded": ["passed without a pass time", None, None]},
    "bounds": {"bound": ["at once", "at the last moment", "at once"]},
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_models_get_the_durations_that_curves_get_and_no_others(flaw: str) -> None:
    rows = frame().with_columns(pl.Series(name, values) for name, values in FLAWS[flaw].items())
    told = []
    for use in (tk.kaplan_meier, tk.survival.to_survival, tk.survival.person_period):
        try:
            use(rows)
        except tk.errors.ToolkitError as error:
            told.append(str(error))
    assert len(told) == (0 if flaw == "none" else 3)
    assert len(set(told)) <= 1
    assert " at 0x" not in "".join(told)


LATE = {"a": "2025-12-25", "b": "2026-01-10"}


def timed(kind: str) -> pl.DataFrame:
    """Durations with ties, passes at the enrollment and late entries."""
    rng = np.random.default_rng(7)
    n = 400
    start = datetime(2026, 1, 1, tzinfo=UTC)
    enrolled, took = rng.integers(0, 30, n), rng.integers(0, 120, n)
    passed = rng.random(n) < 0.6
    pc = pl.DataFrame(
        {
            "username": [f"u{place}" for place in range(n)],
            "course_id": rng.choice(["a", "b"], n),
            "mode": rng.choice(["audit", "honor", "verified"], n),
            "in_enrollments": [True] * n,
            "created": [start + timedelta(days=int(day)) for day in enrolled],
            "passed": passed,
            "passed_timestamp": [
                start + timedelta(days=int(day)) if does else None
                for day, does in zip(enrolled + took, passed, strict=True)
            ],
            "as_of": [start + timedelta(days=90)] * n,
        }
    )
    left = pl.col("created") + pl.duration(days=20)
    options: dict[str, Any] = {
        "plain": {},
        "whole weeks": {"unit": "weeks", "whole": True},
        "late": {"origin": LATE, "entry": "enrolled"},
        "landmark": {"entry": 20},
        "competing": {"competing": {"": "left"}},
    }[kind]
    return tk.time_to_pass(pc.with_columns(left=left), **options)


@pytest.mark.parametrize("kind", ["plain", "whole weeks", "late", "landmark", "competing"])
def test_the_exported_frame_gives_the_curves_and_the_test_of_the_toolkit(kind: str) -> None:
    rows = timed(kind)
    theirs = tk.survival.to_survival(rows, covariates=["mode"]).frame
    ours = tk.kaplan_meier(rows, by="mode").frame.filter(pl.col("duration") > 0)
    for (mode,), curve in ours.group_by("mode"):
        own = theirs[theirs["mode"] == mode]
        entry = own.get("entry", -1)
        share = 1.0 - ((own["duration"] == 0) & (own["event"] == 1)).mean()
        for time, at_risk, events, survival in curve.select(
            "duration", "n_at_risk", "n_events", "survival"
        ).iter_rows():
            n = ((own["duration"] >= time) & (entry < time)).sum()
            passed = ((own["duration"] == time) & (own["event"] == 1)).sum()
            share *= 1 - passed / n if n else 1
            assert (n, passed, share) == (at_risk, events, pytest.approx(survival))
    if "entry" not in theirs:
        test = multivariate_logrank_test(theirs["duration"], theirs["mode"], theirs["event"])
        found = tk.logrank(rows, by="mode").frame["statistic"][0]
        assert test.test_statistic == pytest.approx(found)
