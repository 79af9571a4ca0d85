"""The result tables of comparisons of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from toolkit.schemas.columns import Column, Role, Table
from toolkit.schemas.outcome_results import count, group, measure, statistic, with_interval

NO_GROUP, BETWEEN = "(none)", " · "  # a null, and what is between the values of several columns
COMPARED = frozenset({"group", "group_a", "group_b", "other", "reference"})
"""Columns whose texts name groups; one that is really called "(none)" has further brackets."""
AS_TEXT = " text"  # in a table of the groups that were compared, the text of each in `COMPARED`

_ABOUT = (
    Column("outcome", pl.String, "What was compared, such as passed.", Role.STATUS),
    Column("among", pl.String, "Of whom, such as the enrolled.", Role.STATUS),
)

COMPARED_GROUPS = Table(
    "compared_groups",
    "one row per group of a comparison",
    (
        group("group", pl.String, "The group, as text."),
        count("n_learners", "In the denominator."),
        count("n_reached", "Of them, with the outcome.", "n_learners"),
        *with_interval("rate", "n_reached of n_learners.", "n_reached", "n_learners"),
        *_ABOUT,
    ),
)

COMPARISON_TEST = Table(
    "comparison_test",
    "one row: the test over all groups of a comparison",
    (
        Column("n_groups", pl.Int64, "The number of groups."),
        count("n_learners", "In the denominators of the groups tested."),
        count("n_reached", "Of them, with the outcome.", "n_learners"),
        Column("test", pl.String, "χ², or Fisher's exact for two groups with few learners."),
        statistic("statistic", "Pearson's χ² without continuity correction.", unit="χ²"),
        Column("df", pl.Int64, "Its degrees of freedom.", Role.STATISTIC),
        statistic("p_value", "p of the test; null if nothing can be tested.", unit="p"),
        statistic("cramers_v", "Cramér's V, from 0 (no association) to 1.", unit="ratio"),
        statistic("smallest_expected", "The smallest expected count.", unit="learners"),
        *_ABOUT,
    ),
)

_GROUPS = (
    group("group_a", pl.String, "The first group, as text."),
    group("group_b", pl.String, "The second, or the reference."),
)
_PAIR = ("n_reached_a", "n_learners_a", "n_reached_b", "n_learners_b")


def _of_pair(name: str, description: str, unit: str) -> Column:
    return statistic(name, description, *_PAIR, unit=unit)


def _ends(
    name: str, of: str, text: str, kind: Callable[..., Column], unit: str = "points"
) -> list[Column]:
    return [
        kind(f"{name}_{end}", f"{end.title()} end of {text}", *_PAIR, unit=unit, of=of)
        for end in ("low", "high")
    ]


def _pointwise(of: str, kind: Callable[..., Column], unit: str = "points") -> list[Column]:
    """Return the ends of the interval of each row by itself."""
    return _ends(f"{of}_ci", of, f"the interval of `{of}`, for the row by itself.", kind, unit)


def _simultaneous(kind: Callable[..., Column]) -> list[Column]:
    """Return the ends of the simultaneous intervals of `difference`."""
    text = (
        "the simultaneous interval of `difference`: those of all rows hold together, and exclude 0 "
        "where `p_adjusted` is below 1 − level."
    )
    return _ends("simultaneous", "difference", text, kind)


_ADJUSTED = "p after Bonferroni's correction for all rows."

PAIRS = Table(
    "pairs",
    "one row per pair of groups a, b",
    (
        *_GROUPS,
        count("n_learners_a", "In the denominator of a."),
        count("n_reached_a", "Of them, with the outcome.", "n_learners_a"),
        count("n_learners_b", "In the denominator of b."),
        count("n_reached_b", "Of them, with the outcome.", "n_learners_b"),
        _of_pair("difference", "Rate of a minus rate of b.", "points"),
        *_pointwise("difference", statistic),
        *_simultaneous(statistic),
        _of_pair("ratio", "Rate of a over rate of b; null if the rate of b is 0.", "ratio"),
        *_pointwise("ratio", statistic, "ratio"),
        Column("test", pl.String, "χ², or Fisher's exact if an expected count is below 5."),
        _of_pair("statistic", "Pearson's χ² without continuity correction.", "χ²"),
        _of_pair("p_value", "Two-sided p of the test.", "p"),
        _of_pair("p_adjusted", _ADJUSTED, "p"),
        *_ABOUT,
    ),
)

WITHIN_STRATA = Table(
    "within_strata",
    "one row per pair of groups a, b, from the strata in which both have learners",
    (
        *_GROUPS,
        Column("n_strata", pl.Int64, "Strata in which both groups have learners."),
        count("n_learners_a", "In the denominator of a, in these strata."),
        count("n_reached_a", "Of them, with the outcome.", "n_learners_a"),
        count("n_learners_b", "In the denominator of b, in these strata."),
        count("n_reached_b", "Of them, with the outcome.", "n_learners_b"),
        count("n_excluded_a", "In the denominator of a, in strata without b."),
        count("n_excluded_b", "In the denominator of b, in strata without a."),
        _of_pair("pooled_difference", "Rate of a minus rate of b, without strata.", "points"),
        measure("pooled_p_value", "p of the test without strata.", *_PAIR, unit="p"),
        measure(
            "difference",
            "Rate of a minus rate of b, both standardized to the strata of a and b together.",
            *_PAIR,
            unit="points",
        ),
        *_pointwise("difference", measure),
        *_simultaneous(measure),
        measure("p_value", "p of the difference, as its interval implies.", *_PAIR, unit="p"),
        _of_pair("p_adjusted", _ADJUSTED, "p"),
        measure(
            "mantel_haenszel_p_value",
            "p of the Mantel–Haenszel test of a common odds ratio of 1 within strata.",
            *_PAIR,
            unit="p",
        ),
        *_ABOUT,
        Column("within", pl.String, "The columns that define the strata.", Role.STATUS),
    ),
)


def with_equivalence(table: Table) -> Table:
    """Return the table of pairs with the columns of the test of equivalence."""
    kind = measure if table is WITHIN_STRATA else statistic
    rule = "that the difference is `margin` or more, to either side"
    columns = (
        Column("margin", pl.Float64, "The smallest difference that matters.", unit="points"),
        kind("equivalence_p_value", f"p of the two one-sided tests {rule}.", *_PAIR, unit="p"),
        _of_pair("equivalence_p_adjusted", _ADJUSTED, "p"),
        Column(
            "verdict",
            pl.String,
            "equivalent: `equivalence_p_adjusted` is below 1 − level. different: else, "
            "`p_adjusted` is. undecided: neither.",
            Role.STATUS,
        ),
    )
    place = table.names.index("outcome")
    return replace(table, columns=(*table.columns[:place], *columns, *table.columns[place:]))
