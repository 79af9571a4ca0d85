"""The largest losses of funnels, by one rule for titles, narratives and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from toolkit.results.result import Released
from toolkit.text import naming, words

_THOSE = {"half-way": "those half-way", "completed": "those who completed"}


@dataclass(frozen=True)
class Loss:
    """The step of a funnel at which most learners are lost."""

    before: str  # the stage they had reached
    stage: str  # the stage they did not reach
    share: float  # the share lost of those who had reached the stage before
    percent: str  # the same as written; "over 90%" if those who went on are withheld
    interval: str  # the interval of that share as written, "40–50%"; empty if unknown

    @property
    def of_whom(self) -> str:
        """The share and of whom it is: "45% of the active"."""
        return f"{self.percent} of {_THOSE.get(self.before, f'the {self.before}')}"

    @property
    def words(self) -> str:
        """The loss in words: "45% of the active, before half-way"."""
        return f"{self.of_whom}, before {self.stage}"


def largest_losses(released: Released) -> dict[tuple[object, ...], Loss]:
    """Find, for each group of a released funnel, the step at which most learners are lost.

    A group is left out if too few learners are lost at every step to show.
    """
    stages = released.whole["stage"].unique(maintain_order=True).to_list()
    before = dict(zip(stages[1:], stages, strict=False))
    steps = released.frame.filter(pl.col("n_dropped").is_not_null(), pl.col("n_previous") > 0)
    worst = steps.sort("n_dropped", descending=True, maintain_order=True)
    found: dict[tuple[object, ...], Loss] = {}
    for row in worst.iter_rows(named=True):
        group = tuple(row[name] for name in released.by)
        if group in found:  # a smaller loss of the same group
            continue
        ends = row["rate_of_previous_ci_high"], row["rate_of_previous_ci_low"]
        # Counts are rounded one by one, so those lost and those who went on need not add up.
        kept = row["rate_of_previous"]
        share = row["n_dropped"] / row["n_previous"] if kept is None else 1 - kept
        percent = words.percent(share)
        if words.is_withheld(row, "n_reached", released):
            at_most = words.under(row["n_previous"], released.min_n or 0).strip("<%")
            percent = f"over {100 - int(at_most)}%"
        found[group] = Loss(
            before[row["stage"]],
            row["stage"],
            share,
            percent,
            words.written_interval(*ends, lambda end: words.percent(1 - end, plain=True)),
        )
    return found


def most_common(losses: Mapping[tuple[object, ...], Loss], by: Sequence[str]) -> str:
    """Say at which step most groups lose the most: "active and half-way in 3 of 5 groups"."""
    steps = Counter((loss.before, loss.stage) for loss in losses.values())
    [((before, stage), n)] = steps.most_common(1)
    groups = pl.DataFrame([*losses], schema=[*by], orient="row", infer_schema_length=None)
    return f"{before} and {stage} in {words.of_groups(n, naming.labels(groups, by))}"
