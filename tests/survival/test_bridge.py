"""Durations handed to lifelines: its Cox model is R's, and nobody is lost unseen."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lifelines import CoxPHFitter

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
    found = tk.survival.to_survival(frame(entry=[5.0, 2.0, None]))
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
