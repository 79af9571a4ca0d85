"""Result table → its finding in words. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from toolkit.errors import SchemaError
from toolkit.release import protect
from toolkit.schemas.outcome_results import PASSED_ASIDE
from toolkit.schemas.results import recognise

Row = dict[str, object]
STAGES = ("enrolled", "active", "half-way", "completed", "passed")


class Narrative(str):
    """A sentence or two; notebooks show it as a paragraph."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def narrate(table: pl.DataFrame, *, min_n: int = 10) -> Narrative:
    """Say what a result table found, so that it can be read without seeing the chart.

    Args:
        table: A result table of the toolkit, whole, as its function returned it.
        min_n: Smallest number of learners that is told, as in `protect`.

    Raises:
        SchemaError: The toolkit knows no words for this table; says for which it does.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": [True] * 40, "completion": 0.5,
        ...     "percent_grade": 0.7, "passed": [True] * 30 + [False] * 10})
        >>> from toolkit.analyses.outcomes import outcomes
        >>> print(narrate(outcomes(pc)))
        Of 40 enrollments, 40 (100.0 %) were active and 30 led to a pass: 75.0 % of the enrolled
        (95 % interval 59.8–85.8 %) and 75.0 % of the active.
    """
    known = recognise(table)
    tell = _TELLERS.get(known.name) if known is not None else None
    if known is None or tell is None:
        raise SchemaError(
            f"there are words for the tables {', '.join(sorted(_TELLERS))}; "
            f"this frame has {', '.join(table.columns)}"
        )
    if table.is_empty():
        return Narrative("There is nothing to tell: the table has no row.")
    groups = [name for name in table.columns if name not in [*known.names, "status"]]
    return Narrative(tell(protect(table, min_n=min_n), groups))


def _outcomes(table: pl.DataFrame, groups: list[str]) -> str:
    if table.height == 1:
        row = table.row(0, named=True)
        if row["pass_rate_of_enrolled"] is None:
            return _withheld(1, 1)
        return (
            f"Of {_n(row['n_enrolled'])} enrollments, {_n(row['n_active'])} "
            f"({_pc(row['active_rate_of_enrolled'])}) were active and {_n(row['n_passed'])} led to "
            f"a pass: {_rate(row, 'pass_rate_of_enrolled')} of the enrolled"
            f"{_interval(row, 'pass_rate_of_enrolled')} and {_pc(row['pass_rate_of_active'])} "
            "of the active."
        )
    shown = table.filter(pl.col("pass_rate_of_enrolled").is_not_null())
    if "is_total" in groups:
        shown = shown.filter(~pl.col("is_total"))
    if shown.is_empty():
        return _withheld(table.height, table.height)
    ranked = shown.sort("pass_rate_of_enrolled", maintain_order=True)
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    return (
        f"The share of the enrolled who passed goes from {_rate(low, 'pass_rate_of_enrolled')} "
        f"in {_name(low, groups)}{_interval(low, 'pass_rate_of_enrolled')} to "
        f"{_rate(high, 'pass_rate_of_enrolled')} in {_name(high, groups)}"
        f"{_interval(high, 'pass_rate_of_enrolled')}, over {_groups(shown.height)}."
        f"{_missing(table.height, shown.height)}"
    )


def _funnel(table: pl.DataFrame, groups: list[str]) -> str:
    steps = table.filter(pl.col("n_dropped").is_not_null(), pl.col("n_previous") > 0)
    if steps.is_empty():
        return _withheld(table.height, table.height)
    before = dict(zip(STAGES[1:], STAGES, strict=False))
    if groups:
        largest = pl.col("n_dropped") == pl.col("n_dropped").max().over(groups)
        worst = steps.filter(largest).unique(groups, keep="first", maintain_order=True)
        counted = worst["stage"].value_counts(sort=True)
        stage, n = counted.row(0)
        return (
            f"Most learners are lost between {before[stage]} and {stage} in "
            f"{'all' if n == worst.height else f'{n} of'} {_groups(worst.height)}."
        )
    row = steps.sort("n_dropped", descending=True, maintain_order=True).row(0, named=True)
    sentence = (
        f"Most learners are lost between {before[row['stage']]} and {row['stage']}: of "
        f"{_n(row['n_previous'])}, {_n(row['n_reached'])} ({_rate(row, 'rate_of_previous')}) go on."
    )
    n_beside = table.filter(stage=PASSED_ASIDE)["n_reached"].sum()
    return f"{sentence} {_n(n_beside)} {PASSED_ASIDE}." if n_beside else sentence


def _distribution(table: pl.DataFrame, groups: list[str]) -> str:
    what = "grade" if table["measure"][0] == "percent_grade" else "completion"
    if groups:
        n_groups = table.select(groups).n_unique()
        zeros = table.filter(pl.col("part") == "zero", pl.col("share_of_enrolled").is_not_null())
        if zeros.is_empty():
            return _withheld(n_groups, n_groups)
        ranked = zeros.sort("share_of_enrolled", maintain_order=True)
        low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
        return (
            f"A {what} of 0 is had by {_pc(low['share_of_enrolled'])} of the enrolled in "
            f"{_name(low, groups)} and by {_pc(high['share_of_enrolled'])} in "
            f"{_name(high, groups)}, the extremes of {_groups(n_groups)}."
        )
    parts = {row["part"]: row for row in table.iter_rows(named=True) if row["part"] != "bin"}
    bins = table.filter(pl.col("part") == "bin", pl.col("n_learners").is_not_null())
    said = [f"Of {_n(table['n_enrolled'].max())} enrollments"]
    said += [
        f"{_n(parts[part]['n_learners'])} ({_pc(parts[part]['share_of_enrolled'])}) have {words}"
        for part, words in (("missing", f"no {what}"), ("zero", f"a {what} of 0"))
        if part in parts and parts[part]["n_learners"]
    ]
    if bins.is_empty():
        return f"{', '.join(said)}."
    top = bins.sort("n_learners", descending=True, maintain_order=True).row(0, named=True)
    said.append(
        f"and the fullest bin above 0 is {_pc(top['bin_low'], 0)} to {_pc(top['bin_high'], 0)} "
        f"with {_n(top['n_learners'])}"
    )
    return f"{', '.join(said)}."


def _cohort_progress(table: pl.DataFrame, groups: list[str]) -> str:
    outcome = "completed" if table["outcome"][0] == "completed" else "passed"
    seen = table.filter(pl.col("reach_rate").is_not_null())
    if seen.is_empty():
        return "No cohort has been observed for a whole period yet."
    # The longest time for which half of the cohorts have been observed.
    lengths = seen.group_by("days").len().sort("days")
    days = lengths.filter(pl.col("len") >= pl.col("len").max() / 2)["days"][-1]
    ranked = seen.filter(days=days).sort("reach_rate", maintain_order=True)
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    names = ["cohort", *groups]
    return (
        f"{days} days after enrollment, between {_rate(low, 'reach_rate')} "
        f"({_name(low, names)}) and {_rate(high, 'reach_rate')} ({_name(high, names)}) of a cohort "
        f"had {outcome}. Cells that no member has been observed for are empty, not zero."
    )


def _curve(column: str) -> Callable[[pl.DataFrame, list[str]], str]:
    passed: Callable[[float], float] = (lambda s: 1 - s) if column == "survival" else (lambda s: s)

    def tell(table: pl.DataFrame, groups: list[str]) -> str:
        shown = table.filter(pl.col(column).is_not_null())
        if shown.is_empty():
            return _withheld(1, 1)
        parts = shown.partition_by(groups, maintain_order=True) if groups else [shown]
        # The furthest day to which all curves go, and no further than a year.
        day = min([365.0, *(float(str(part["duration"].max())) for part in parts)])
        ends = []
        for part in parts:
            row = part.filter(pl.col("duration") <= day).row(-1, named=True)
            ends.append((passed(row[column]), _name(row, groups)))
        ends.sort()
        if len(ends) == 1:
            n = shown["n_at_risk"][0]
            return (
                f"Within {day:.0f} days of the origin, {_pc(ends[0][0])} of {_n(n)} enrollments "
                "are estimated to pass, those not yet observed so long accounted for."
            )
        return (
            f"Within {day:.0f} days of the origin, between {_pc(ends[0][0])} ({ends[0][1]}) and "
            f"{_pc(ends[-1][0])} ({ends[-1][1]}) are estimated to pass, over "
            f"{_groups(len(ends))}; those not yet observed so long are accounted for."
        )

    return tell


def _summary(table: pl.DataFrame, groups: list[str]) -> str:
    medians = table.filter(statistic="median")
    reached = medians.filter(pl.col("estimate").is_not_null()).sort("estimate")
    if reached.is_empty():
        return "Nowhere have half of the learners passed yet, so no median time to pass exists."
    low, high = reached.row(0, named=True), reached.row(-1, named=True)
    if medians.height == 1:
        return f"Half of the learners pass within {_days(low)}."
    others = medians.height - reached.height
    ending = f" In {_groups(others)} the median is not reached." if others else ""
    if reached.height == 1:
        return f"Half of the learners pass within {_days(low)} in {_name(low, groups)}.{ending}"
    return (
        f"Half of the learners pass within {_days(low)} in {_name(low, groups)}, and within "
        f"{_days(high)} in {_name(high, groups)}.{ending}"
    )


def _logrank(table: pl.DataFrame, _by: list[str]) -> str:
    row = table.row(0, named=True)
    if row["p_value"] is None:
        return "The curves cannot be compared: nothing happened, or figures are withheld."
    test = f"log-rank χ² = {row['chi_squared']:.1f}, {row['degrees']} degrees of freedom, "
    p = "p < 0.001" if row["p_value"] < 0.001 else f"p = {row['p_value']:.3f}"
    verdict = (
        "differ by more than chance alone would explain"
        if row["p_value"] < 0.05
        else "differ by no more than chance alone could explain"
    )
    return f"The curves of the {_groups(table.height)} {verdict} ({test}{p})."


def _exclusions(table: pl.DataFrame, _by: list[str]) -> str:
    told = [
        f"{_n(row['n_excluded'])} ({row['reason']})"
        for row in table.iter_rows(named=True)
        if row["n_excluded"] is not None
    ]
    if not told:
        return "Fewer learners are excluded than may be told."
    return f"Left out of the time to pass, each for a reason: {', '.join(told[:6])}."


_TELLERS: dict[str, Callable[[pl.DataFrame, list[str]], str]] = {
    "outcomes": _outcomes,
    "completion_funnel": _funnel,
    "distribution": _distribution,
    "cohort_progress": _cohort_progress,
    "kaplan_meier": _curve("survival"),
    "passed_share": _curve("passed_share"),
    "survival_summary": _summary,
    "logrank": _logrank,
    "exclusions": _exclusions,
}


def _n(count: object) -> str:
    return "a withheld number" if count is None else f"{count:,}"


def _pc(share: object, digits: int = 1) -> str:
    return (
        "a withheld share"
        if share is None
        else f"{float(str(share)):.{digits}%}".replace("%", " %")
    )


def _rate(row: Row, name: str) -> str:
    return _pc(row[name])


def _interval(row: Row, name: str) -> str:
    low, high = row[f"{name}_ci_low"], row[f"{name}_ci_high"]
    return "" if low is None else f" (95 % interval {_pc(low).removesuffix(' %')}–{_pc(high)})"


def _days(row: Row) -> str:
    estimate = f"{float(str(row['estimate'])):.0f} days"
    if row["ci_low"] is None or row["ci_high"] is None:
        return estimate
    return f"{estimate} (95 % interval {row['ci_low']:.0f}–{row['ci_high']:.0f})"


def _name(row: Row, groups: list[str]) -> str:
    return ", ".join("unknown" if row[name] is None else str(row[name]) for name in groups)


def _groups(n: int) -> str:
    return "1 group" if n == 1 else f"{n} groups"


def _missing(n_all: int, n_shown: int) -> str:
    return f" {_withheld(n_all - n_shown, n_all)}" if n_shown < n_all else ""


def _withheld(n: int, of: int) -> str:
    if of == 1:
        return "Too few learners to tell."
    return f"Withheld for too few learners: {n} of {of}."
