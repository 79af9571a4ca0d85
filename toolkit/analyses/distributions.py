"""How grades and completion spread: a histogram of fixed bins and the distribution function."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from toolkit.analyses.counting import Frame, flag
from toolkit.analyses.grouping import count_by, names_of
from toolkit.analyses.stages import ENROLLED
from toolkit.errors import SchemaError
from toolkit.schemas.outcome_results import DISTRIBUTION

PARTS = ("missing", "zero", "bin", "out of range")


def grade_distribution(pc: Frame, by: str | Sequence[str] = (), *, bins: int = 20) -> pl.DataFrame:
    """Distribute the enrolled over bins of percent_grade.

    One row per group and part of the range. Missing grades and zeros are parts of their own, so
    is what lies outside of 0–1. Bins hold their lower edge, so that a learner exactly at a pass
    mark of 0.6 lies in the bin that begins there; the last bin holds 1 too.

    Args:
        pc: A person_course frame of any engine.
        by: Columns to group by, calendar cohorts included (see `outcomes`).
        bins: How many bins of equal width the range 0–1 has.

    Returns:
        The group columns and those of `schemas.outcome_results.DISTRIBUTION`. `ecdf` is the share
        of the values from 0 to 1 that lie below `bin_high`, zeros included: 1 − ecdf is the share
        of those who have `bin_high` or more.

    Raises:
        SchemaError: A column is missing, or `bins` is no number from 1 to 1,000.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "percent_grade": [0.0, None, 0.5, 1.0]})
        >>> grade_distribution(pc, bins=2).select("part", "bin_low", "n_learners", "ecdf").rows()
        [('missing', None, 1, None), ('zero', None, 1, None), ('bin', 0.0, 0, 0.33...),
         ('bin', 0.5, 2, 1.0), ('out of range', None, 0, None)]
    """
    return _distribution(pc, "percent_grade", by, bins)


def completion_distribution(
    pc: Frame, by: str | Sequence[str] = (), *, bins: int = 20
) -> pl.DataFrame:
    """Distribute the enrolled over bins of completion, as `grade_distribution` does for grades.

    One row per group and part of the range; arguments, columns and errors are the same.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "completion": [0.0, 0.25, 1.0]})
        >>> completion_distribution(pc, bins=1).select("part", "n_learners", "n_valued").rows()
        [('missing', 0, 3), ('zero', 1, 3), ('bin', 2, 3), ('out of range', 0, 3)]
    """
    return _distribution(pc, "completion", by, bins)


def _distribution(pc: Frame, measure: str, by: str | Sequence[str], bins: int) -> pl.DataFrame:
    if not 1 <= bins <= 1_000:
        raise SchemaError(f"bins must be from 1 to 1,000, not {bins}")
    groups = names_of(by)
    need = ["in_enrollments", measure]
    counted = count_by(pc, groups, {"n": flag(ENROLLED)}, within=[measure], need=need)
    value = pl.col(measure)
    # k / bins is the float nearest to the edge, as a parsed decimal is to itself: no value
    # that lies on an edge falls below it.
    edges = pl.Series([k / bins for k in range(bins)])
    placed = counted.with_columns(
        part=pl.when(value.is_null())
        .then(pl.lit("missing"))
        .when(value == 0)
        .then(pl.lit("zero"))
        .when(value.is_between(0, 1))
        .then(pl.lit("bin"))
        .otherwise(pl.lit("out of range")),
        bin=pl.lit(edges).search_sorted(value, side="right").cast(pl.Int64) - 1,
    ).with_columns(bin=pl.when(pl.col("part") == "bin").then("bin"))
    slots = pl.DataFrame(
        {
            "part": ["missing", "zero", *["bin"] * bins, "out of range"],
            "bin": [None, None, *range(bins), None],
        },
        schema={"part": pl.String, "bin": pl.Int64},
    ).with_row_index("slot")
    present = counted.select(groups).unique(maintain_order=True) if groups else pl.DataFrame([{}])
    key = [*groups, "part", "bin"]
    filled = present.join(slots, how="cross").join(
        placed.group_by(key).agg(n_learners=pl.col("n").sum()),
        on=key,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    n = pl.col("n_learners").fill_null(0)
    valued = pl.when(pl.col("part").is_in(["zero", "bin"])).then(n).otherwise(0)
    whole = groups or pl.lit(0)
    return (
        filled.with_columns(
            n_learners=n,
            n_enrolled=n.sum().over(whole),
            n_valued=valued.sum().over(whole),
            n_up_to=pl.when(pl.col("part") == "bin").then(valued.cum_sum().over(whole)),
            measure=pl.lit(measure),
            bin_low=pl.col("bin") / bins,
            bin_high=(pl.col("bin") + 1) / bins,
        )
        .with_columns(
            share_of_enrolled=(pl.col("n_learners") / pl.col("n_enrolled")).fill_nan(None),
            ecdf=(pl.col("n_up_to") / pl.col("n_valued")).fill_nan(None),
        )
        .select(*groups, *DISTRIBUTION.names)
    )
