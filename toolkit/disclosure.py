"""Disclosure control: which cells of a result table may be shown."""

from __future__ import annotations

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.schemas import Role, Table
from toolkit.schemas.results import RESULTS, recognise

SHOWN = "shown"


def withheld(min_n: int) -> str:
    """The status of a row in which a cell is withheld."""
    return f"withheld: fewer than {min_n} learners, or would reveal such a number"


def protect(table: pl.DataFrame, *, min_n: int = 10) -> pl.DataFrame:
    """Withhold the counts under `min_n` and all that is computed from them.

    The grain stays. A withheld cell is null, and the column `status` says why.

    Args:
        table: A result table of the toolkit.
        min_n: Smallest number of learners that may be shown; 1 shows everything.

    Returns:
        The same rows and columns, and `status`: "shown", or why a cell is null.

    Raises:
        DisclosureError: The frame is no result table the toolkit knows, or `min_n` is under 1.
    """
    if min_n < 1:
        raise DisclosureError(f"min_n must be at least 1, not {min_n}")
    known = recognise(table)
    if known is None:
        raise DisclosureError(
            "only a result table of the toolkit can be protected: one of "
            f"{', '.join(sorted(RESULTS)) or 'none'}. This frame has {', '.join(table.columns)}"
        )
    return _withhold(table, known, min_n)


def _withhold(table: pl.DataFrame, known: Table, min_n: int) -> pl.DataFrame:
    small = {name: pl.col(name) < min_n for name in known.of_role(Role.COUNT)}
    for column in known:
        if column.role is Role.STATISTIC:
            small[column.name] = pl.any_horizontal(
                pl.lit(value=False), *(small[name] for name in column.rests_on)
            )
    earlier = pl.col("status") if "status" in table.columns else pl.lit(SHOWN)
    return table.with_columns(
        pl.when(pl.any_horizontal(pl.lit(value=False), *small.values()).fill_null(value=False))
        .then(pl.lit(withheld(min_n)))
        .otherwise(earlier)
        .alias("status"),
        *(pl.when(~is_small).then(pl.col(name)).alias(name) for name, is_small in small.items()),
    )
