"""The chart and the narrative of each result table.

A new analysis adds one entry here. Entries are names, looked up when used, because charts and
narratives lie in layers above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from toolkit.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Entry:
    """The functions for one result table, each as "module:function" in the toolkit."""

    chart: str | None  # draws a released result; None if a table says it better
    words: str  # says in a sentence or two what a released result found
    nothing: str | None = "There are no learners to count."  # said of a table without rows


NO_PAIR = "There are no two groups to compare."
NOBODY_MOVED = "Too few learners go on from one course to another to show."

REGISTRY: dict[str, Entry] = {
    "outcomes": Entry("charts.outcomes:outcomes", "text.narratives:outcomes"),
    "completion_funnel": Entry("charts.funnel:completion_funnel", "text.narratives:funnel"),
    "distribution": Entry("charts.distributions:distribution", "text.narratives:distribution"),
    "cohort_progress": Entry("charts.cohorts:cohort_progress", "text.narratives:cohort_progress"),
    "compared_groups": Entry(
        "charts.outcomes:compared_groups", "text.comparison_narratives:groups"
    ),
    "pairs": Entry("charts.comparisons:pairs", "text.comparison_narratives:pairs", NO_PAIR),
    "within_strata": Entry(None, "text.comparison_narratives:within_strata", NO_PAIR),
    "repeats": Entry(None, "text.narratives:repeats"),
    "transitions": Entry(
        "charts.comparisons:transitions", "text.narratives:transitions", NOBODY_MOVED
    ),
    "comparison_test": Entry(None, "text.comparison_narratives:comparison_test"),
    "match_counts": Entry(None, "text.narratives:match_counts"),
    "change_counts": Entry(None, "text.narratives:change_counts", "No record has changed."),
    "exclusions": Entry(None, "text.curve_narratives:exclusions", None),
    "kaplan_meier": Entry("charts.kaplan_meier:kaplan_meier", "text.curve_narratives:kaplan_meier"),
    "survival_summary": Entry(None, "text.curve_narratives:survival_summary"),
    "logrank": Entry(None, "text.curve_differences:logrank"),
    "logrank_pairs": Entry(None, "text.curve_differences:logrank_pairs", NO_PAIR),
    "rmst_difference": Entry(
        "charts.differences:rmst", "text.curve_differences:rmst_difference", NO_PAIR
    ),
    "milestone_difference": Entry(
        "charts.differences:milestones", "text.curve_differences:milestone_difference", NO_PAIR
    ),
    "cumulative_incidence": Entry(
        "charts.incidence:cumulative_incidence", "text.curve_narratives:cumulative_incidence"
    ),
    "gray_test": Entry(None, "text.curve_differences:gray_test"),
    "nelson_aalen": Entry("charts.incidence:nelson_aalen", "text.curve_narratives:nelson_aalen"),
    "smoothed_hazard": Entry(
        "charts.incidence:smoothed_hazard", "text.curve_narratives:hazard", None
    ),
    "key_figures": Entry(None, "reports.key_figures:in_words"),
    "sensitivity": Entry("charts.sensitivity:sensitivity", "text.sensitivity:in_words"),
    "table_one": Entry(None, "text.table_one:in_words"),
    "failed_checks": Entry(None, "quality.rendering:in_words"),
    "user_result": Entry("charts.outcomes:user_result", "text.narratives:user_result"),
}


def look_up(name: str) -> Callable[..., Any]:
    """Return the function that an entry names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"toolkit.{module}"), function)
    return found


def chart_of(table: str) -> Callable[..., Any]:
    """Return the function that draws a table."""
    entry = REGISTRY.get(table)
    if entry is None or entry.chart is None:
        drawn = sorted(name for name, one in REGISTRY.items() if one.chart)
        raise SchemaError(f"{table} has no chart; these tables have one: {', '.join(drawn)}")
    return look_up(entry.chart)
