"""Distributions of grades and completion: a histogram of fixed bins and the cumulative share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import Frame, records
from toolkit.analyses.grouping import By, Groups, count_by, groups_of
from toolkit.analyses.stages import ENROLLED
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_whole_number
from toolkit.schemas.outcome_results import DISTRIBUTION

# Before the first bin, and after the last.
MISSING, ZERO, OUT_OF_RANGE = -2, -1, "out of range"
ON_THE_EDGE = 1e-4
"""How far below an edge a value still counts as on it, in bin widths: room for single precision."""


def grade_distribution(pc: Frame, *, by: By = None, bins: int = 20) -> Result:
    """Distribute the enrolled over bins of percent_grade.

    One row per group and part of the range. Missing grades, zeros and values outside 0–1 are
    separate parts. Bins include their lower edge, so a learner exactly at a pass mark of 0.6 is
    in the bin that begins there; the last bin also includes 1.

    Args:
        pc: A person_course frame of any engine.
        by: Columns to group by, calendar cohorts included (see `outcomes`).
        bins: How many bins of equal width the range 0–1 has.

    Returns:
        The group columns and those of `schemas.outcome_results.DISTRIBUTION`. `ecdf` is the share
        of the values from 0 to 1 that are below `bin_high`, including zeros: 1 − ecdf is the share
        at `bin_high` or above.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: `bins` is not a whole number from 1 to 1,000, or `by` is invalid.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "percent_grade": [0.0, None, 0.5, 1.0]})
        >>> grades = grade_distribution(pc, bins=2).frame
        >>> grades.select("part", "bin_low", "n_learners", "ecdf").rows()
        [('missing', None, 1, None), ('zero', None, 1, None), ('bin', 0.0, 0, 0.33...),
         ('bin', 0.5, 2, 1.0), ('out of range', None, 0, None)]
    """
    return _distribution(pc, "percent_grade", by, bins)


def completion_distribution(pc: Frame, *, by: By = None, bins: int = 20) -> Result:
    """Distribute the enrolled over bins of completion, as `grade_distribution` does for grades.

    One row per group and part of the range; arguments, columns and errors are the same.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "completion": [0.0, 0.25, 1.0]})
        >>> found = completion_distribution(pc, bins=1).frame
        >>> found.select("part", "n_learners", "n_valued").rows()
        [('missing', 0, 3), ('zero', 1, 3), ('bin', 2, 3), ('out of range', 0, 3)]
    """
    return _distribution(pc, "completion", by, bins)


def _distribution(pc: Frame, measure: str, by: By, bins: int) -> Result:
    a_whole_number(bins, name="bins", least=1, most=1_000)
    groups = groups_of(by, DISTRIBUTION)
    counted = count_by(
        records(pc, ["in_enrollments", measure]),
        groups,
        {"n_learners": ENROLLED},
        within={"slot": _slot(nw.col(measure), bins)},
    )
    table = counted.pipe(partial(_in_parts, measure=measure, groups=groups, bins=bins))
    derive = partial(_shares, by=groups.names)
    return Result.from_counts(DISTRIBUTION, groups.names, table.n, derive, keys=table.keys)


def _in_parts(counted: pl.DataFrame, *, measure: str, groups: Groups, bins: int) -> pl.DataFrame:
    """Give every part of every group a row, with its count and the cumulative count."""
    slots = _slots(bins)
    present = counted.select(groups.keys).unique(maintain_order=True)
    filled = (present.join(slots, how="cross") if groups.keys else slots).join(
        counted, on=[*groups.keys, "slot"], how="left", nulls_equal=True, maintain_order="left"
    )
    n = pl.col("n_learners").fill_null(0)
    valued = pl.when(pl.col("part").is_in(["zero", "bin"])).then(n).otherwise(0)
    whole = groups.keys or pl.lit(0)
    table = filled.drop("slot").with_columns(
        n_learners=n,
        n_enrolled=n.sum().over(whole),
        n_valued=valued.sum().over(whole),
        n_up_to=pl.when(pl.col("part") == "bin").then(valued.cum_sum().over(whole)),
        measure=pl.lit(measure),
    )
    return groups.named(table)


def _shares(table: pl.DataFrame, *, by: Sequence[str]) -> pl.DataFrame:
    # Released counts are rounded one by one, so that a cumulative one could fall.
    rising = pl.col("n_up_to").cum_max().over(by or pl.lit(0))
    return table.with_columns(rising).with_columns(
        share_of_enrolled=(pl.col("n_learners") / pl.col("n_enrolled")).fill_nan(None),
        ecdf=(pl.col("n_up_to") / pl.col("n_valued")).fill_nan(None),
    )


def _slot(value: nw.Expr, bins: int) -> nw.Expr:
    """Return the number of the part that contains a value: a bin, or one before or after them."""
    bin_ = (value * bins + ON_THE_EDGE).floor()
    inside = nw.when(bin_ < bins).then(bin_).otherwise(nw.lit(float(bins - 1)))
    other = nw.when(value == 0).then(nw.lit(float(ZERO))).otherwise(nw.lit(float(bins)))
    other = nw.when(value.is_null()).then(nw.lit(float(MISSING))).otherwise(other)
    # Most values are in a bin, and DuckDB computes the other parts for the rest alone.
    known = nw.when((value > 0) & (value <= 1)).then(inside).otherwise(other)
    return known.cast(nw.Int64)


def _slots(bins: int) -> pl.DataFrame:
    """Return the parts of the range in order, one row each."""
    edges = [k / bins for k in range(bins + 1)]
    parts = [
        (MISSING, "missing", None, None),
        (ZERO, "zero", None, None),
        *((k, "bin", edges[k], edges[k + 1]) for k in range(bins)),
        (bins, OUT_OF_RANGE, None, None),
    ]
    schema = {"slot": pl.Int64, "part": pl.String, "bin_low": pl.Float64, "bin_high": pl.Float64}
    return pl.DataFrame(parts, schema=schema, orient="row")
