"""Release a count table: round its counts, and shorten its measures to two digits."""

from __future__ import annotations

import polars as pl

from toolkit.errors import DisclosureError
from toolkit.release.rounding import DIGITS, MIN_N, keys_of_counts, release_counts
from toolkit.schemas import Role, Table

SHOWN = "shown"
UNLIKE = "unlike "
"""Begins the name of a column beside a count: of how many the value is not the most common one.

With few of them, a mean or a quantile would count them: 0.083 of ten to fourteen is 1 of 12.
"""
_WHOSE = ("group", "course", "course_id", "cohort")  # whom the counts of a row are about


def withheld(min_n: int) -> str:
    """Return the status of a row in which a figure is withheld."""
    return f"withheld: fewer than {min_n} learners"


def release_table(
    counts: pl.DataFrame,
    keys: pl.DataFrame | None,
    table: Table,
    by: list[str],
    *,
    min_n: int = MIN_N,
) -> pl.DataFrame:
    """Round the counts of a count table, and shorten its measures.

    `keys` are the sums of the keys of the records behind each count.

    Returns:
        The same rows. A count is null below `min_n`, else a multiple of 5 and no larger than the
        count that includes it. A measure has two significant digits, and is null if a count that
        it rests on is withheld, or if fewer than `min_n` of these have values `UNLIKE` the others.
    """
    _require_roles(counts, table, by)
    named = [name for name in table.of_role(Role.COUNT) if name in counts.columns]
    whose = [*by, *(name for name in _WHOSE if name in table.names and name in counts.columns)]
    groups = counts.select(pl.lit("all"), *whose)

    def keys_of(name: str) -> pl.Series:
        if keys is None or name not in keys.columns:
            return keys_of_counts(groups, counts[name])
        return keys[name]

    drawn = [release_counts(counts[name], keys_of(name), min_n=min_n) for name in named]
    safe = counts.with_columns(drawn)
    # In the table's order, since a part is capped by the whole as shown, itself already capped.
    for part, whole in ((name, table[name].within) for name in named):
        if whole in named:
            # A withheld part stays null, not the whole; a withheld whole caps nothing.
            bound = pl.when(pl.col(part) > pl.col(whole)).then(pl.col(whole))
            safe = safe.with_columns(bound.otherwise(pl.col(part)).alias(part))
    measures = [table[name] for name in table.of_role(Role.MEASURE) if name in counts.columns]

    def is_shown(count: str) -> pl.Expr:
        is_counted = UNLIKE + count in counts.columns
        enough = pl.col(UNLIKE + count) >= min_n if is_counted else pl.lit(value=True)
        return pl.col(count).is_not_null() & enough.fill_null(value=True)

    return safe.with_columns(
        pl.when(pl.all_horizontal(is_shown(n) for n in measure.rests_on))
        .then(pl.col(measure.name).round_sig_figs(DIGITS))
        .alias(measure.name)
        for measure in measures
    )


def _require_roles(counts: pl.DataFrame, table: Table, by: list[str]) -> None:
    """Refuse an undeclared column of numbers, because it would be shown unprotected."""
    declared = {*by, *table.names}
    unknown = [
        name
        for name, dtype in counts.schema.items()
        if dtype.is_numeric() and name.removeprefix(UNLIKE) not in declared
    ]
    if unknown:
        raise DisclosureError(f"{table.name} does not say what {', '.join(unknown)} counts")


def with_status(
    released: pl.DataFrame, exact: pl.DataFrame, table: Table, min_n: int
) -> pl.DataFrame:
    """Append `status`: "shown", or that an estimate of the row is withheld.

    Both frames have the same rows. In a table without estimates, counts decide. A
    status that the analysis gave, such as "not yet", stays.
    """
    shared = table.of_role(Role.STATISTIC, Role.MEASURE) or table.of_role(Role.COUNT)
    hidden = [(released[name].is_null() & exact[name].is_not_null()).alias(name) for name in shared]
    is_hidden = pl.DataFrame(hidden).select(pl.any_horizontal(pl.all())).to_series()
    status_given = pl.col("status") if "status" in exact.columns else pl.lit(SHOWN)
    status = released if "status" not in exact.columns else released.with_columns(exact["status"])
    return status.with_columns(
        status=pl.when(is_hidden & (status_given == SHOWN))
        .then(pl.lit(withheld(min_n)))
        .otherwise(status_given)
    )
