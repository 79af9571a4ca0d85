"""Where an interval of another level is shown, its level is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

import toolkit as tk

CASES: dict[str, Callable[..., tk.Result]] = {
    "kaplan_meier": lambda d, **o: tk.kaplan_meier(d, by="mode", **o),
    "survival_summary": lambda d, **o: tk.survival_summary(d, by="mode", **o),
    "cumulative_incidence": lambda d, **o: tk.survival.cumulative_incidence(d, by="mode", **o),
    "rmst_difference": lambda d, **o: tk.survival.rmst_difference(d, by="mode", **o),
    "milestone_difference": lambda d, **o: tk.survival.milestone_difference(
        d, by="mode", at=90, **o
    ),
    "nelson_aalen": lambda d, **o: tk.survival.nelson_aalen(d, by="mode", **o),
    "smoothed_hazard": lambda d, **o: tk.survival.smoothed_hazard(d, by="mode", **o),
}


@pytest.fixture(scope="module")
def durations() -> object:
    with tk.sandbox(learners=2_000) as platform:
        return tk.time_to_pass(tk.load_study(platform), competing={"left": "last_date"})


@pytest.mark.parametrize("name", CASES)
def test_no_text_and_no_chart_calls_an_interval_of_90_percent_otherwise(
    name: str, durations: object
) -> None:
    result = CASES[name](durations, level=0.9)
    said = [result.narrate(), result.table()._repr_html_()]
    if name != "survival_summary":  # which has no chart
        said.append(json.dumps(result.chart().to_dict()))
    assert [text for text in said if re.search("95 ?% interval", text)] == []
    if "95% interval" in CASES[name](durations).narrate():
        assert "90% interval" in said[0]
    assert any("90% interval" in text for text in said) or name == "smoothed_hazard"
