"""`protect`: withhold, in a result table, the counts under a threshold and what reveals them."""

from __future__ import annotations

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.release.curves import CURVES, coarsen, thin_milestone_differences, thin_summary
from toolkit.release.rules import RULES, Board
from toolkit.schemas import Role, Table
from toolkit.schemas.results import RESULTS, recognise

SHOWN = "shown"
_ALL_OR_NONE = {"logrank": ("expected_events",)}  # they add up to the events of all groups


def withheld(min_n: int) -> str:
    """The status of a row in which a cell is withheld."""
    return f"withheld: fewer than {min_n} learners, or would reveal such a number"


def protect(table: pl.DataFrame, *, min_n: int = 10) -> pl.DataFrame:
    """Withhold the counts under `min_n`, what is computed from them, and what reveals them.

    The grain stays, but in survival curves, whose times are merged into steps of at least `min_n`.
    A withheld cell is null. Withheld are

    - counts from 1 to `min_n` − 1, printed or computable from those printed: a rest (48 of 50
      passed: 2 did not), a difference between rows, a total less its members;
    - 0 % and 100 % of a verdict on learners, such as a pass: they say it of everyone. Any other 0
      names no one and is shown;
    - further counts, where a sum, in one dimension or two, would reveal those;
    - every rate, interval, mean and quantile that rests on a withheld count.

    It does not see other tables, but takes the number of passes as known in a funnel. So do not
    publish margins of the same learners in a table of their own, but as the table's totals. It
    bounds what arithmetic tells, not what one knows already, and a withheld count may be bracketed
    by its neighbours. Counts are of records: over several courses, ten records may be fewer
    learners.

    Args:
        table: A result table of the toolkit.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Returns:
        The table with `status`: "shown", or why a row has withheld cells, whichever they are; a
        status such as "not yet" stays.

    Raises:
        DisclosureError: The frame is no result table the toolkit knows, or `min_n` is under 1.

    Source:
        NCES 2011-603 (2010), Statistical Methods for Protecting Personally Identifiable
        Information in Aggregate Reporting: 10 is the states' most common threshold; rests and
        0 and 100 % disclose as well. Complementary cells: see `disclosure.suppression`.

    Examples:
        >>> counts = {"group": ["a", "b"], "n_learners": [50, 60], "n_reached": [48, 30]}
        >>> shares = pl.DataFrame(counts).with_columns(rate=pl.col("n_reached") / 60)
        >>> protect(shares).select("group", "n_reached", "rate").rows()
        [('a', None, None), ('b', 30, 0.5)]
    """
    if min_n < 1:
        raise DisclosureError(f"min_n must be at least 1, not {min_n}")
    known = recognise(table)
    if known is None:
        raise DisclosureError(
            "only a result table of the toolkit can be protected: one of "
            f"{', '.join(sorted(RESULTS))}. This frame has {', '.join(table.columns)}"
        )
    if "status" not in table.columns:
        table = table.with_columns(status=pl.lit(SHOWN))
    if min_n == 1:
        return table
    if known.name in CURVES:
        return coarsen(table, known, min_n, withheld(min_n))
    safe, before = _withhold(table, known, min_n), table
    while not safe.equals(before):  # what is withheld now may tie cells together anew
        safe, before = _withhold(safe, known, min_n), safe
    if known.name == "survival_summary":
        by = [name for name in table.columns if name not in (*known.names, "status")]
        return thin_summary(safe, by, min_n, withheld(min_n))
    if known.name == "milestone_difference":
        return thin_milestone_differences(safe, min_n, withheld(min_n))
    return safe


def _withhold(table: pl.DataFrame, known: Table, min_n: int) -> pl.DataFrame:
    board = Board(table, known, RULES[known.name])
    hidden = board.cells.withheld(min_n)
    counts = {
        name: pl.Series(
            name,
            [row[name] is not None and board.cell(i, name) in hidden for i, row in board.numbered],
            dtype=pl.Boolean,
        )
        for name in board.counts
    }
    masked = table.with_columns(
        pl.when(~goes).then(pl.col(name)).alias(name) for name, goes in counts.items()
    )
    any_goes = pl.DataFrame(counts).select(pl.any_horizontal(pl.all())).to_series()
    statistics = {
        column.name: pl.all_horizontal(pl.col(name).is_not_null() for name in column.rests_on)
        for column in known
        if column.role is Role.STATISTIC
    }
    for name in _ALL_OR_NONE.get(known.name, ()):
        statistics[name] = ~pl.lit(any_goes.any() or masked["n_events"].null_count() > 0)
    return masked.with_columns(
        pl.when(any_goes & (pl.col("status") == SHOWN))
        .then(pl.lit(withheld(min_n)))
        .otherwise("status")
        .alias("status"),
        *(pl.when(rests).then(pl.col(name)).alias(name) for name, rests in statistics.items()),
    )
