"""Notebook 08 on OULAD beside R's figures; `references/adjusted.R` made them."""

import io
import json
from contextlib import redirect_stdout
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import optimize

from toolkit.reports.library import find_notebooks

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[1] / "references"
THEIRS = dict(pl.read_csv(FOLDER / "adjusted.csv").iter_rows())


@pytest.fixture(scope="module")
def found(oulad_dir: Path) -> dict[str, Any]:
    """The variables of the notebook after its last cell, on OULAD."""
    return executed(str(oulad_dir))


def executed(oulad: str) -> dict[str, Any]:
    [notebook] = find_notebooks(["08"])
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        for variable in ("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT"):
            patch.setenv(variable, "")
        patch.setenv("SO2_OULAD", oulad)
        for cell in code:
            exec(cell, names)  # noqa: S102
    names.pop("source").close()
    return names


def test_r_gives_the_same_difference_within_courses(found: dict[str, Any]) -> None:
    row = found["comparison"].within.frame.row(0, named=True)
    assert (row["group_a"], row["group_b"]) == ("early", "late")
    assert row["difference"] == pytest.approx(THEIRS["difference"], rel=1e-8)
    alone = found["tk"].compare_groups(
        found["learners"], by="start", reference="late", strata="course_id"
    )
    row = alone.within.frame.row(0, named=True)
    assert row["mantel_haenszel_p_value"] == pytest.approx(THEIRS["p_within"], rel=1e-6)
    width = row["difference_ci_high"] - row["difference_ci_low"]
    assert width / 2 == pytest.approx(1.959964 * THEIRS["variance"] ** 0.5, rel=1e-3)


def test_r_gives_the_same_cox_model(found: dict[str, Any]) -> None:
    frame, cox = found["data"].frame, found["cox"]
    assert (len(frame), frame["event"].sum()) == (THEIRS["n"], THEIRS["events"])
    assert cox.params_["early"] == pytest.approx(THEIRS["cox"], rel=1e-6)
    # lifelines treats ties in robust errors as Breslow does
    assert cox.standard_errors_["early"] == pytest.approx(THEIRS["cox_robust"], rel=2e-3)


def test_r_gives_the_same_test_of_proportional_hazards(found: dict[str, Any]) -> None:
    robust = found["cox"].standard_errors_["early"]
    theirs = THEIRS["schoenfeld"] * (THEIRS["cox_naive"] / robust) ** 2
    assert found["statistic"] == pytest.approx(theirs, rel=1e-5)


def test_r_gives_the_same_model_in_discrete_time(found: dict[str, Any]) -> None:
    assert found["cells"].height == THEIRS["cells"]
    assert found["cloglog"].params["early"] == pytest.approx(THEIRS["cloglog"], rel=1e-6)
    assert found["cloglog"].bse["early"] == pytest.approx(THEIRS["cloglog_error"], rel=1e-5)
    assert log(found["in_periods"]) == pytest.approx(THEIRS["cloglog"], rel=1e-6)


def cured_share(duration: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    """The cure fraction of the largest likelihood and its error, with no help from lifelines."""

    def loss(values: np.ndarray) -> float:
        never, scale, shape = 1 / (1 + np.exp(-values[0])), np.exp(values[1]), np.exp(values[2])
        hazard = (duration / scale) ** shape
        density = np.log((1 - never) * shape / duration) + np.log(hazard) - hazard
        still = never + (1 - never) * np.exp(-hazard)
        return -float(np.sum(np.where(event == 1, density, np.log(still))))

    start = np.array([0.0, np.log(np.median(duration)), 0.0])
    options = {"xatol": 1e-9, "fatol": 1e-9, "maxiter": 5_000}
    best = optimize.minimize(loss, start, method="Nelder-Mead", options=options).x
    step = 1e-4 * np.eye(3)
    bend = [
        [
            (
                loss(best + one + two)
                - loss(best + one - two)
                - loss(best - one + two)
                + loss(best - one - two)
            )
            / 4e-8
            for two in step
        ]
        for one in step
    ]
    never = 1 / (1 + np.exp(-best[0]))
    return float(never), float(np.linalg.inv(bend)[0, 0] ** 0.5 * never * (1 - never))


def assert_same_cure_fraction(found: dict[str, Any]) -> None:
    frame = found["data"].frame
    days = np.maximum(np.ceil(frame["duration"].to_numpy()), 1)
    for is_early, group in ((1, "early"), (0, "late")):
        own = frame["early"].to_numpy() == is_early
        never, error = cured_share(days[own], frame["event"].to_numpy()[own])
        mixture = found["cured"][group]
        assert mixture.cured_fraction_ == pytest.approx(never, rel=1e-5)
        theirs = mixture.summary.loc["cured_fraction_", "se(coef)"]
        assert theirs == pytest.approx(error, rel=1e-3)


def test_another_fit_gives_the_same_cure_fraction(found: dict[str, Any]) -> None:
    assert_same_cure_fraction(found)


def test_another_fit_gives_the_same_cure_fraction_in_the_sandbox() -> None:
    assert_same_cure_fraction(executed(""))
