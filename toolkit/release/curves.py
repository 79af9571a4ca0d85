"""Coarsening of step curves: fewer steps, none resting on a small number of learners.

A Kaplan–Meier curve shows the very time at which each learner passed. So times are merged until
the learners who passed, and those who were censored, between one kept time and the next are none
or at least the threshold, and so are those who go on. The curve's values at the times kept are
the original ones; the counts are those of the whole step.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.schemas import Role, Table
from toolkit.schemas.survival_results import MILESTONE_DIFFERENCE

Row = dict[str, Any]


COUNTS = ("n_at_risk", "n_events", "n_censored")
CURVES = frozenset({"kaplan_meier", "passed_share", "nelson_aalen", "cumulative_incidence"})


def coarsen(table: pl.DataFrame, known: Table, min_n: int, reason: str) -> pl.DataFrame:
    """Keep of each curve the times that end a step of enough learners.

    `n_at_risk` of a kept row is at the beginning of its step. Curves of several ends of the same
    learners keep the same times. A curve of which nothing can be shown keeps its first row, all
    null. `status` speaks of the step, not of `n_excluded`.

    Raises:
        DisclosureError: A curve does not begin at time 0, so its risk set is not known.
    """
    by = [name for name in table.columns if name not in (*known.names, "status")]
    statistics = known.of_role(Role.STATISTIC)
    rows: list[Row] = []
    for part in table.partition_by(by, maintain_order=True) if by else [table]:
        ends = part.partition_by("end", maintain_order=True) if "end" in part.columns else [part]
        if part.height:
            rows += _coarsened([end.rows(named=True) for end in ends], statistics, min_n, reason)
    frame = pl.DataFrame(rows, schema={**table.schema, "status": pl.String})
    excluded = pl.col("n_excluded")
    may_be_known = (excluded >= min_n) | (excluded == 0)
    return frame.with_columns(n_excluded=pl.when(may_be_known).then(excluded))


def _coarsened(
    curves: list[list[Row]], statistics: list[str], min_n: int, reason: str
) -> list[Row]:
    """The rows kept of curves, one for each end, whose rows are at the same times."""
    withheld = {**dict.fromkeys((*COUNTS, *statistics)), "status": reason}
    blank = [{**rows[0], **withheld} for rows in curves]
    first = curves[0]
    if first[0]["n_at_risk"] is None:
        return blank
    if first[0]["duration"] != 0:
        raise DisclosureError("a curve can be protected from time 0 on: ask for that time too")
    flows = [[row["n_censored"] for row in first]]
    flows += [[row["n_events"] for row in rows] for rows in curves]
    at_risk = _at_risk(
        [row["n_at_risk"] for row in first], [sum(f) for f in zip(*flows, strict=True)]
    )
    steps = _steps(flows, at_risk, min_n)
    if not steps:
        return blank
    kept: list[Row] = []
    for rows, empty in zip(curves, blank, strict=True):
        if steps[0].stop > 1:  # few left at once: they are part of the first step
            kept.append({**empty, "n_at_risk": at_risk[0], "n_events": 0, "n_censored": 0})
        for step in steps:
            last = rows[step.stop - 1]
            unknown = step.stop == 1 and last[statistics[0]] is None
            counts = {name: sum(row[name] for row in rows[step]) for name in COUNTS[1:]}
            counts |= {"n_at_risk": at_risk[step.start]}
            kept.append({**last, **counts, "status": reason if unknown else "shown"})
    return kept


def _steps(flows: list[list[int]], at_risk: list[int], min_n: int) -> list[slice]:
    """The stretches of rows in which none or enough leave by each way, and enough go on."""
    left = [sum(leaving) for leaving in zip(*flows, strict=True)]
    goes_on = [n - leaving for n, leaving in zip(at_risk, left, strict=True)]
    entered = [0, *(n - stayed for n, stayed in zip(at_risk[1:], goes_on, strict=False))]
    steps: list[slice] = []
    start = 0
    for end in range(len(left)):
        step = slice(start, end + 1)
        ways = [sum(way[step]) for way in (*flows, entered)]
        enough = all(n == 0 or n >= min_n for n in ways)
        # The end of a curve where all have left shows that none was censored, or enough were.
        over = end == len(left) - 1 and goes_on[end] == 0 and ways[0] > 0
        if enough and (end == 0 or any(ways[:-1])) and (goes_on[end] >= min_n or over):
            steps.append(step)
            start = end + 1
    return steps


def _at_risk(given: list[int], left: list[int]) -> list[int]:
    """Who is at risk when the step to each row begins.

    A table of all times says it. One of chosen times gives those at risk just before each, while
    its counts go back to the time before; so there they are taken from the beginning.
    """
    stayed = [n - leaving for n, leaving in zip(given, left, strict=True)]
    if all(later >= stays for later, stays in zip(given[1:], stayed, strict=False)):
        return given
    gone = [0, *accumulate(left)][: len(given)]
    return [given[0] - n for n in gone]


def thin_summary(table: pl.DataFrame, by: list[str], min_n: int, reason: str) -> pl.DataFrame:
    """Withhold estimates of a survival summary that rest on, or differ by, few learners.

    A quantile needs `min_n` learners on either side of it. A share "passed by" a time, times the
    learners, is taken for the number that passed, which it is but for censoring; such numbers
    must lie `min_n` apart, the latest kept first. A mean needs a number of passes that is shown.
    """
    n, at = pl.col("n_learners"), pl.col("at")
    is_milestone = pl.col("statistic") == "passed by"
    is_share = at.is_between(0, 1) & pl.col("statistic").is_in(
        ["first quartile", "median", "third quartile", "median follow-up"]
    )
    few = (
        pl.when(is_share)
        .then(pl.min_horizontal(at, 1 - at) * n < min_n)
        .otherwise(~is_milestone & pl.col("n_events").is_null())
    )
    rows = table.with_row_index("_row").with_columns(
        _few=few, _k=pl.when(is_milestone).then(pl.col("estimate") * n)
    )
    close: list[int] = []
    for part in rows.partition_by(by) if by else [rows]:
        close += _too_close(part.drop_nulls("_k").sort("at", descending=True), min_n)
    estimates = ["estimate", "std_error", "ci_low", "ci_high"]
    goes = pl.Series(rows["_row"].is_in(close)) | rows["_few"].fill_null(value=False)
    is_new = goes & rows["estimate"].is_not_null()
    return table.with_columns(
        *(pl.when(~goes).then(pl.col(name)).alias(name) for name in estimates),
        pl.when(is_new).then(pl.lit(reason)).otherwise("status").alias("status"),
    )


def _too_close(milestones: pl.DataFrame, min_n: int) -> list[int]:
    """The rows, of those sorted from late to early, whose number is small or close to a later."""
    close: list[int] = []
    later: float | None = None
    for row in milestones.rows(named=True):
        k = round(row["_k"], 6)
        apart = later is None or later == k or later - k >= min_n
        if apart and min_n <= k <= row["n_learners"] - min_n:
            later = k
        else:
            close.append(row["_row"])
    return close


def thin_milestone_differences(table: pl.DataFrame, min_n: int, reason: str) -> pl.DataFrame:
    """Withhold differences of shares that stand for few learners who passed, or did not."""
    few = pl.lit(value=False)
    for share, n in (("passed_share", "n_learners"), ("reference_share", "n_reference")):
        passed = (pl.col(share) * pl.col(n)).round(6)
        few |= (passed < min_n) | (pl.col(n) - passed < min_n)
    names = MILESTONE_DIFFERENCE.of_role(Role.STATISTIC)
    goes = few.fill_null(value=False)
    return table.with_columns(
        *(pl.when(~goes).then(pl.col(name)).alias(name) for name in names),
        pl.when(goes).then(pl.lit(reason)).otherwise("status").alias("status"),
    )
