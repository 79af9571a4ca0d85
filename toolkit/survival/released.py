"""Released curves: an event table whose estimates are those that may be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import polars as pl

from toolkit.release.curves import End, Group, Row, release_group, ticks
from toolkit.release.rounding import keys_of_groups, release_counts
from toolkit.release.tables import SHOWN, release_table, withheld
from toolkit.schemas import Table
from toolkit.survival.event_table import GROUP, sizes

_SHOWN_COUNTS = {"n_at_risk": "_n_at_risk", "n_events": "_n_events"}
_ROWS = {
    "duration": pl.Float64,
    "end": pl.String,
    "n_at_risk": pl.Int64,
    "n_events": pl.Int64,
    "weight": pl.Float64,
    "share": pl.Float64,
    "is_told": pl.Boolean,
}
TOLD = "_is_told"


def released_table(
    steps: pl.DataFrame, by: list[str], *, min_n: int, times: Sequence[float] | None = None
) -> pl.DataFrame:
    """Make the event table from which an estimator computes what may be shown.

    One row per group (and end) and time: 0, each released step, and each of `times` or of the
    ticks of an axis. A group with too few learners has one row of nulls.

    Args:
        steps: An event table with the `incidence` of its end, or of each `end`.
        by: The group columns.
        min_n: The fewest learners of a step, and at risk.
        times: Times that get a row; by default round ones.

    Returns:
        The columns of an event table: numbers at risk and events that lead an estimator to the
        released estimates. `shown` replaces them by the counts to be shown.
    """
    # A curve, and the axis of its chart, goes no further than enough learners are at risk.
    longest = steps.filter(pl.col("n_at_risk") >= min_n)["duration"].max()
    wanted = list(times) if times is not None else ticks(float(str(longest or 0)))
    keyed = steps if "key_events" in steps.columns else _keyed_by_group(steps, by)
    rows: list[Row] = []
    for group in _groups(keyed):
        found = release_group(group, min_n=min_n, wanted=wanted)
        nothing: list[Row] = [{"duration": 0.0, "end": end.name} for end in group.ends]
        rows += [row | {GROUP: group.number} for row in found or nothing]
    ends = ["end"] if "end" in keyed.columns else []
    return (
        pl.DataFrame(rows, schema=_ROWS | {GROUP: keyed.schema[GROUP]})
        .join(_about(keyed, by, min_n), on=GROUP, how="left", maintain_order="left")
        .select(
            *[*by, GROUP, "duration", *ends, "n_excluded", "n_undated"],
            *(pl.col(name).alias(kept) for name, kept in _SHOWN_COUNTS.items()),
            n_at_risk="weight",
            n_events="share",
            n_censored=pl.lit(0.0),
            **{TOLD: "is_told"},
        )
    )


def _about(keyed: pl.DataFrame, by: list[str], min_n: int) -> pl.DataFrame:
    """Each group's values, and its exclusions as released."""
    one = keyed.group_by(GROUP, maintain_order=True).first()
    left_out = [
        release_counts(one[f"n_{why}"], one[f"key_{why}"], min_n=min_n).alias(f"n_{why}")
        for why in ("excluded", "undated")
    ]
    return one.select(*by, GROUP).with_columns(left_out)


def only_told(table: pl.DataFrame, *estimates: str) -> pl.DataFrame:
    """Withhold the estimates as long as too few learners have come to the end."""
    return table.with_columns(pl.when(TOLD).then(pl.col(estimates)))


def shown(table: pl.DataFrame, min_n: int) -> pl.DataFrame:
    """Put the counts to be shown in their places, and append `status`."""
    too_few = pl.col("n_at_risk").is_null() | ~pl.col(TOLD).fill_null(value=False)
    return table.with_columns(
        *(pl.col(kept).alias(name) for name, kept in _SHOWN_COUNTS.items()),
        n_censored=pl.lit(None, pl.Int64),
        status=pl.when(too_few).then(pl.lit(withheld(min_n))).otherwise(pl.lit(SHOWN)),
    )


def at_times(table: pl.DataFrame, by: list[str], times: Sequence[float]) -> pl.DataFrame:
    """Keep the rows at these times; where too few are at risk there is a row of nulls."""
    wanted = pl.DataFrame({"duration": sorted({float(time) for time in times})})
    curve = [*by, GROUP, *(["end"] if "end" in table.columns else [])]
    grid = table.select(curve).unique(maintain_order=True).join(wanted, how="cross")
    on = [*curve, "duration"]
    return grid.join(table, on=on, how="left", nulls_equal=True, maintain_order="left")


def released_sizes(steps: pl.DataFrame, by: list[str], table: Table, *, min_n: int) -> pl.DataFrame:
    """The learners, events and exclusions of each group, as released."""
    counted = sizes(steps, by)
    return release_table(counted.n, counted.keys, table, by, min_n=min_n)


def _groups(keyed: pl.DataFrame) -> Iterator[Group]:
    """The groups of an event table, in its order, each cut out of whole columns."""
    names = ["n_at_risk", "key_at_risk", "n_events", "key_events", "n_censored", "key_censored"]
    columns = {name: keyed[name].to_numpy() for name in ["duration", *names]}
    columns["incidence"] = keyed["incidence"].fill_null(0.0).to_numpy()
    end = keyed["end"] if "end" in keyed.columns else pl.repeat("", keyed.height, eager=True)
    runs = keyed.select(GROUP, end=end).with_row_index("rows")
    cuts = runs.group_by(GROUP, "end", maintain_order=True).agg("rows").select(GROUP, "end", "rows")
    for number, own in groupby(cuts.iter_rows(), key=itemgetter(0)):
        names_of_ends, places = zip(*((end_, rows) for _, end_, rows in own), strict=True)
        parts = [{name: values[one] for name, values in columns.items()} for one in places]
        first = parts[0]
        totals = {
            what: int(first[f"{what}_censored"].sum())
            + sum(int(part[f"{what}_events"].sum()) for part in parts)
            for what in ("n", "key")
        }
        yield Group(
            number=number,
            times=first["duration"],
            at_risk=first["n_at_risk"].astype(float),
            keys=first["key_at_risk"],
            learners=totals["n"],
            learners_key=totals["key"],
            ends=[
                End(
                    name or None,
                    part["n_events"].astype(float),
                    part["key_events"],
                    part["incidence"],
                )
                for name, part in zip(names_of_ends, parts, strict=True)
            ],
        )


def _keyed_by_group(steps: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Key the counts of learners without record keys by the values of their group."""
    about = steps.select(pl.lit("curve"), *by)
    start = keys_of_groups(about, "curve")
    counts = ("at_risk", "events", "censored", "excluded", "undated")
    return steps.with_columns((start // 2**24 * pl.col(f"n_{n}")).alias(f"key_{n}") for n in counts)
