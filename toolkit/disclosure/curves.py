"""Coarsening of step curves: fewer steps, none resting on a small number of learners.

A Kaplan–Meier curve shows the very time at which each learner passed. So times are merged until
the learners who passed, and those who were censored, between one kept time and the next are none
or at least the threshold, and so are those who go on. The curve's values at the times kept are
the original ones; the counts are those of the whole step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.schemas import Role, Table

Row = dict[str, Any]


@dataclass(frozen=True)
class CurveRule:
    """Which counts of a curve's table are what.

    Attributes:
        flows: Counts of those who leave the risk set at a time, by how they leave.
        constant: Counts that are the same in all rows of a curve.
    """

    flows: tuple[str, ...] = ("n_events", "n_censored")
    constant: tuple[str, ...] = ("n_excluded",)


CURVES = {"kaplan_meier": CurveRule(), "passed_share": CurveRule()}


def coarsen(
    table: pl.DataFrame, known: Table, rule: CurveRule, min_n: int, reason: str
) -> pl.DataFrame:
    """Keep of each curve the times that end a step of enough learners.

    `n_at_risk` of a kept row is at the beginning of its step. A curve of which nothing can be
    shown keeps its first row, all null. `status` speaks of the step, not of `n_excluded`.

    Raises:
        DisclosureError: A curve does not begin at time 0, so its risk set is not known.
    """
    by = [name for name in table.columns if name not in (*known.names, "status")]
    parts = table.partition_by(by, maintain_order=True) if by else [table]
    statistics = known.of_role(Role.STATISTIC)
    rows: list[Row] = []
    for part in parts:
        if part.height:
            rows += _coarsened(part.rows(named=True), rule, statistics, min_n, reason)
    frame = pl.DataFrame(rows, schema={**table.schema, "status": pl.String})
    enough = {name: pl.col(name) >= min_n for name in rule.constant}
    return frame.with_columns(pl.when(is_).then(name).alias(name) for name, is_ in enough.items())


def _coarsened(
    rows: list[Row], rule: CurveRule, statistics: list[str], min_n: int, reason: str
) -> list[Row]:
    withheld = dict.fromkeys(("n_at_risk", *rule.flows, *statistics))
    blank = [{**rows[0], **withheld, "status": reason}]
    if rows[0]["n_at_risk"] is None:
        return blank
    if rows[0]["duration"] != 0:
        raise DisclosureError("a curve can be protected from time 0 on: ask for that time too")
    left = [sum(row[name] for name in rule.flows) for row in rows]
    before = _at_risk(rows, left)
    after = [n - leaving for n, leaving in zip(before, left, strict=True)]
    entered = [0, *(n - stayed for n, stayed in zip(before[1:], after, strict=False))]

    def enough(numbers: Iterable[int]) -> bool:
        return all(n == 0 or n >= min_n for n in numbers)

    kept: list[Row] = []
    first = 0
    for end, row in enumerate(rows):
        step = slice(first, end + 1)
        flows = {name: sum(r[name] for r in rows[step]) for name in rule.flows}
        is_last = end == len(rows) - 1 and after[end] == 0 and flows[rule.flows[-1]] > 0
        if (
            (end == 0 or any(flows.values()))
            and enough([*flows.values(), sum(entered[step])])
            and (after[end] >= min_n or is_last)
        ):
            known = end > 0 or row[statistics[0]] is not None
            status = "shown" if known else reason
            kept.append({**row, **flows, "n_at_risk": before[first], "status": status})
            first = end + 1
    if not kept:
        return blank
    if kept[0]["duration"] != 0:  # few left at once: they are part of the first step
        start = {**dict.fromkeys(rule.flows, 0), "n_at_risk": before[0]}
        kept.insert(0, {**blank[0], **start})
    return kept


def _at_risk(rows: list[Row], left: list[int]) -> list[int]:
    """Who is at risk when the step to each row begins.

    A table of all times says it. One of chosen times gives those at risk just before each, while
    its counts go back to the time before; so there they are taken from the beginning.
    """
    given = [row["n_at_risk"] for row in rows]
    stayed = [n - leaving for n, leaving in zip(given, left, strict=True)]
    if all(later >= stays for later, stays in zip(given[1:], stayed, strict=False)):
        return given
    gone = [0, *accumulate(left)][: len(rows)]
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
