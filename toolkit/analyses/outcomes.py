"""Outcome rates with their denominators, and the completion funnel."""

from __future__ import annotations

from functools import partial

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.clusters import count_clusters, of_clusters, with_effects
from toolkit.analyses.counting import Frame, records
from toolkit.analyses.grouping import GROUP, By, Counts, Groups, count_by, count_cells, groups_of
from toolkit.analyses.intervals import LEVEL, rate
from toolkit.analyses.stages import (
    ACTIVE,
    COMPLETED,
    ENROLLED,
    GRADED,
    HALF_WAY,
    NEEDED,
    PASSED,
    completed,
)
from toolkit.errors import ArgumentError
from toolkit.release.tables import UNLIKE
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_level
from toolkit.schemas.outcome_results import (
    COMPLETED_AND_PASSED,
    COMPLETION_FUNNEL,
    OUTCOMES,
    PASSED_ASIDE,
    RATES,
)

_RATES = {name: (rate.k, rate.n) for name, rate in RATES.items()}
ONE = 10_000  # a grade of 1, as grades are counted to 4 decimals


def outcomes(
    pc: Frame,
    *,
    by: By = None,
    completed_from: float = COMPLETED,
    totals: bool = False,
    cluster: str | None = None,
    level: float = LEVEL,
) -> Result:
    """Count outcomes per group, with rates and the distribution of grades.

    One row per group, ordered by group. Counts are records, one per learner per course: somebody
    in three courses adds three to `n_enrolled`. Only records with an enrollment are counted; the
    others are `n_not_enrolled`. The name of a rate says what it is a share of.

    Args:
        pc: A person_course frame of any engine.
        by: Columns to group by, or enrolled_week, enrolled_month, enrolled_quarter,
            enrolled_year. Null is a group of its own.
        completed_from: The completion, a fraction, from which a learner counts as completed.
        totals: Add a last row over all groups, marked by the column `is_total`.
        cluster: The column that says which records belong together, such as "username" if
            learners are in several courses. Records of a cluster are correlated, and intervals
            that treat them as independent are too narrow. At most 10 million records.
        level: The coverage of the intervals, a fraction.

    Returns:
        The group columns and those of `schemas.outcome_results.OUTCOMES`. Rates have Wilson's
        interval; with `cluster`, that of their effective sample size. Grades, to 4 decimals, are
        described by the mean and by the quartiles of Hyndman and Fan's type 7 (linear between
        neighbours), as in NumPy and R, exactly.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: `completed_from` is not a fraction above 0, or `by` is invalid.

    Source:
        Wilson (1927), JASA 22, 209–212. Hyndman and Fan (1996), Sample quantiles in statistical
        packages, The American Statistician 50, 361–365. With clusters: Dean and Pagano (2015), J.
        Surv. Stat. Methodol. 3, 484–503, with the linearized variance of R's `survey::svymean`.

    Examples:
        >>> pc = pl.DataFrame({"course_id": ["a", "a", "b"], "in_enrollments": True,
        ...     "completion": [0.9, 0.0, 0.3], "percent_grade": [0.8, None, 0.2],
        ...     "passed": [True, False, False]})
        >>> outcomes(pc, by="course_id").frame.select("course_id", "n_enrolled", "n_active",
        ...     "pass_rate_of_enrolled").rows()
        [('a', 2, 1, 0.5), ('b', 1, 1, 0.0)]
    """
    groups, done, level = groups_of(by, OUTCOMES), completed(completed_from), a_level(level)
    counts: Counts = {
        "n_not_enrolled": ~ENROLLED,
        "n_enrolled": ENROLLED,
        "n_active": ACTIVE,
        "n_completed": done,
        "n_passed": PASSED,
        "n_graded": GRADED,
        "n_graded_active": ("n_graded", "n_active"),
        "n_passed_active": ("n_passed", "n_active"),
        "n_passed_graded": ("n_passed", "n_graded"),
        "n_passed_completed": ("n_passed", "n_completed"),
    }
    rows = records(pc, NEEDED)
    # Counting each grade gives exact quantiles.
    grade = (nw.col("percent_grade") * ONE + 0.5).floor().cast(nw.Int64)
    cells = count_cells(rows, groups, counts, within={"grade": grade})
    grades = cells.per_cell(["n_graded", "n_graded_active"]).n
    described = partial(_per_group, grades=grades, totals=totals)
    table = cells.per_group().pipe(described).pipe(cells.named).pipe(groups.named)
    columns = [*(["is_total"] if totals else []), *groups.names]
    n, counted_as = table.n, OUTCOMES
    if cluster is not None:
        per_cluster = groups.named(count_clusters(rows, groups, counts, cluster))
        n, counted_as = _with_design(n, per_cluster, groups), of_clusters(OUTCOMES, _RATES)
    derive = partial(
        _with_rates,
        completed_from=float(completed_from),
        are_clusters=cluster is not None,
        level=level,
    )
    return Result.from_counts(
        OUTCOMES, columns, n, derive, keys=table.keys, counted_as=counted_as, level=level
    )


def _with_design(table: pl.DataFrame, per_cluster: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Append the design effects of each group and of all groups together."""
    if "is_total" not in table.columns:
        return with_effects(table, per_cluster, groups.names, _RATES)
    of_groups, of_all = (table.filter(pl.col("is_total") == total) for total in (False, True))
    return pl.concat(
        [
            with_effects(of_groups, per_cluster, groups.names, _RATES),
            with_effects(of_all, per_cluster, (), _RATES),
        ]
    )


def _per_group(counted: pl.DataFrame, *, grades: pl.DataFrame, totals: bool) -> pl.DataFrame:
    """Describe the grades of each group, and add a row over all groups if requested."""
    table = _described(counted, grades)
    if not totals:
        return table
    nobody = pl.lit(None, pl.Int64).alias(GROUP)
    of_all = grades.group_by("grade").agg(pl.exclude(GROUP).sum()).sort("grade")
    summed = counted.select(pl.exclude(GROUP).sum()).with_columns(nobody)
    total = _described(summed, of_all.with_columns(nobody))
    flagged = [part.with_columns(is_total=pl.lit(value=part is total)) for part in (table, total)]
    return pl.concat(flagged, how="diagonal")


def _with_rates(
    table: pl.DataFrame, *, completed_from: float, are_clusters: bool, level: float
) -> pl.DataFrame:
    rates = [
        expr
        for r in RATES.values()
        for expr in rate(r.name, r.k, r.n, level=level, of_clusters=are_clusters)
    ]
    return table.with_columns(*rates, completed_from=pl.lit(completed_from))


def _described(table: pl.DataFrame, grades: pl.DataFrame) -> pl.DataFrame:
    """Append statistics of the grades to the counts of each group."""
    for whom, weight in (("graded", "n_graded"), ("active", "n_graded_active")):
        statistics = _grade_statistics(grades.filter(pl.col(weight) > 0), weight)
        named = statistics.select(
            GROUP,
            pl.col("unlike").alias(UNLIKE + weight),
            pl.exclude(GROUP, "unlike").name.suffix(f"_of_{whom}"),
        )
        table = table.join(named, on=GROUP, how="left", nulls_equal=True, maintain_order="left")
    return table


def _grade_statistics(grades: pl.DataFrame, weight: str) -> pl.DataFrame:
    """Return mean and quartiles of the grades of each group, weighted by the counts in `weight`.

    And `unlike`, how many have another grade than the most common one.

    Rows are in order of group and grade, so all learners together have one sequence of ranks.
    """
    grade, n = pl.col("grade"), pl.col(weight)
    groups = grades.group_by(GROUP, maintain_order=True).agg(
        total=n.sum(), unlike=n.sum() - n.max(), grade_mean=(grade * n).sum() / (n.sum() * ONE)
    )
    up_to, total = grades[weight].cum_sum(), groups["total"]
    last = total.cum_sum() - 1
    first = last - total + 1

    def of_rank(rank: pl.Series) -> pl.Series:
        return grades["grade"].gather(up_to.search_sorted(rank, side="right"))

    found = []
    for quarter, name in ((1, "q1"), (2, "median"), (3, "q3")):
        rank = (total - 1) * quarter  # in quarters of a rank, so whole and exact
        below = of_rank(first + rank // 4)
        above = of_rank(pl.select(pl.min_horizontal(first + rank // 4 + 1, last)).to_series())
        between = below * 4 + (above - below) * (rank % 4)
        # Polars divides by a constant inexactly; a quarter of 4 decimals has 6.
        found.append((between / (4 * ONE)).round(6).alias(f"grade_{name}"))
    return groups.drop("total").with_columns(found)


def completion_funnel(
    pc: Frame, *, by: By = None, completed_from: float = COMPLETED, level: float = LEVEL
) -> Result:
    """Follow the enrolled through active, half-way, completed, and completed and passed.

    One row per group and stage, in that order. A learner is at a stage if its condition and those
    of all stages before are met. The platform lets learners pass without completing, so a last
    row per group, "passed without completing", counts those whom the stages leave out.

    Args:
        pc: A person_course frame of any engine.
        by: Columns to group by, calendar cohorts included (see `outcomes`).
        completed_from: The completion, a fraction of at least one half, that counts as completed.
        level: The coverage of the intervals, a fraction.

    Returns:
        The group columns and those of `schemas.outcome_results.COMPLETION_FUNNEL`.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: `completed_from` is not between one half and 1, or `by` is invalid.

    Examples:
        >>> pc = pl.DataFrame({"in_enrollments": True, "completion": [0.9, 0.6, 0.0, 0.1],
        ...     "percent_grade": [0.8, None, 0.9, 0.2], "passed": [True, False, True, False]})
        >>> completion_funnel(pc).frame.select("stage", "n_reached", "rate_of_previous").rows()
        [('enrolled', 4, None), ('active', 4, 1.0), ('half-way', 2, 0.5), ('completed', 1, 0.5),
         ('completed and passed', 1, 1.0), ('passed without completing', 1, None)]
    """
    groups, done = groups_of(by, COMPLETION_FUNNEL), completed(completed_from)
    level = a_level(level)
    if completed_from < HALF_WAY:
        raise ArgumentError(f"the funnel needs completed_from of {HALF_WAY} or more")
    stages = {
        "enrolled": ("in enrollments", ENROLLED),
        "active": ("completion or grade above 0", ACTIVE),
        "half-way": (f"completion of at least {HALF_WAY:.0%}", completed(HALF_WAY)),
        "completed": (f"completion of at least {completed_from:.0%}", done),
        COMPLETED_AND_PASSED: ("a pass, and completed", PASSED & done),
        PASSED_ASIDE: (f"a pass at a completion below {completed_from:.0%}", PASSED),
    }
    counts = {name: condition for name, (_, condition) in stages.items()}
    definitions = {name: definition for name, (definition, _) in stages.items()}
    counted = count_by(records(pc, NEEDED), groups, counts)
    table = counted.pipe(partial(_stages, groups=groups, definitions=definitions))
    derive = partial(_funnel_rates, level=level)
    return Result.from_counts(
        COMPLETION_FUNNEL, groups.names, table.n, derive, keys=table.keys, level=level
    )


def _stages(counted: pl.DataFrame, *, groups: Groups, definitions: dict[str, str]) -> pl.DataFrame:
    """Make one row per group and stage, with the count of the stage before."""
    counted = counted.with_columns(
        pl.col(PASSED_ASIDE) - pl.col(COMPLETED_AND_PASSED), n_enrolled=pl.col("enrolled")
    )
    names = list(definitions)
    before = dict(zip(names[1:-1], names, strict=False))
    rows = [
        counted.select(
            *groups.keys,
            pl.lit(name).alias("stage"),
            pl.lit(definition).alias("definition"),
            "n_enrolled",
            (pl.col(before[name]) if name in before else pl.lit(None, pl.Int64)).alias(
                "n_previous"
            ),
            pl.col(name).alias("n_reached"),
            pl.lit(position).alias("position"),
        )
        for position, (name, definition) in enumerate(definitions.items())
    ]
    table = pl.concat(rows).sort(*groups.keys, "position").drop("position")
    return groups.named(table.with_columns(n_dropped=pl.col("n_previous") - pl.col("n_reached")))


def _funnel_rates(table: pl.DataFrame, *, level: float) -> pl.DataFrame:
    # Only counts with a previous stage are capped on release; cap the others by the enrolled.
    reached, enrolled = pl.col("n_reached"), pl.col("n_enrolled")
    capped = pl.when(reached > enrolled).then(enrolled).otherwise(reached)
    rated = table.with_columns(n_reached=capped).with_columns(
        *rate("rate_of_enrolled", "n_reached", "n_enrolled", level=level),
        *rate("rate_of_previous", "n_reached", "n_previous", level=level),
    )
    low = "rate_of_enrolled_ci_low"  # the first stage is all of them, by definition
    is_all = pl.col("stage") == "enrolled"
    return rated.with_columns(pl.when(is_all).then("rate_of_enrolled").otherwise(low).alias(low))
