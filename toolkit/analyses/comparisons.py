"""Compare groups in an outcome: tests, differences and ratios with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from scipy import stats

from toolkit.analyses.clusters import Moments, count_clusters, of_clusters, with_effects
from toolkit.analyses.counting import Frame, records
from toolkit.analyses.grouping import (
    By,
    Counted,
    Counts,
    Groups,
    compared_groups,
    count_by,
    groups_of,
    per_group,
)
from toolkit.analyses.intervals import LEVEL, rate
from toolkit.analyses.pairs import (
    CHI_SQUARED,
    DESIGN,
    FISHER,
    ROBUST,
    SMALL_EXPECTED,
    compared_pairs,
)
from toolkit.analyses.simultaneous import bonferroni, judged
from toolkit.analyses.stages import ACTIVE, COMPLETED, ENROLLED, GRADED, NEEDED, PASSED, completed
from toolkit.analyses.within import STRATUM, compared_within
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.tables import release_table
from toolkit.results.output import Narrative
from toolkit.results.registry import look_up
from toolkit.results.result import IDENTITIES, Displayed, Result
from toolkit.schemas import Role, Table
from toolkit.schemas.arguments import a_level, a_share, alpha_of, as_given, one_of
from toolkit.schemas.comparison_results import (
    AS_TEXT,
    COMPARED_GROUPS,
    COMPARISON_TEST,
    PAIRS,
    WITHIN_STRATA,
    with_equivalence,
)

MOST_GROUPS = 300
_RATE = {"rate": ("n_reached", "n_learners")}
_OUTCOMES = ("passed", "active", "completed")
Derive = Callable[[pl.DataFrame, Moments | None], pl.DataFrame]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Displayed):
    """What `compare_groups` found.

    Attributes:
        groups: One row per group: its count and rate (`COMPARED_GROUPS`).
        pairs: One row per pair of groups: difference, ratio and test (`PAIRS`).
        test: One row: the test over all groups (`COMPARISON_TEST`).
        within: One row per pair, compared within strata (`WITHIN_STRATA`); None without strata.
        by: The column that makes the groups.
        among: The learners of whom the share is taken.
    """

    groups: Result
    pairs: Result
    test: Result
    within: Result | None = None
    by: str = ""
    among: str = "enrolled"

    def narrate(self) -> Narrative:
        """Say what was found, from the released figures."""
        parts = [self.test, self.groups, *([self.pairs] if self.pairs.frame.height > 1 else [])]
        if "verdict" in self.pairs.schema.names:
            parts = [self.groups, self.pairs]
        parts += [self.within] if self.within else []
        caution = look_up("text.comparison_narratives:caution")(self.by, self.among)
        told: list[str] = []
        for part in parts:
            text = str(part.narrate())
            if not any(earlier.startswith(text) for earlier in told):
                told.append(text)
        return Narrative(" ".join([*told, caution]))

    def chart(self, **options: Any) -> Any:
        """Draw the groups' rates; `comparison.groups.chart.options` lists the options."""
        return self.groups.chart(**options)


def compare_groups(
    pc: Frame,
    *,
    by: str,
    outcome: str = "passed",
    among: str = "enrolled",
    reference: object = None,
    completed_from: float = COMPLETED,
    cluster: str | None = None,
    strata: By = None,
    margin: float | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Compare the share with an outcome between groups: all pairs, or each with a reference.

    Differences have Newcombe's interval, ratios that of Katz. A pair is tested by
    Pearson's χ² without continuity correction, or by Fisher's exact test if an expected count is
    below 5. p_adjusted and the simultaneous intervals beside it are Bonferroni's over all pairs of
    the result, so only they depend on which groups there are. An interval excludes 0 exactly if
    its p is below 1 − level. Records are independent unless `cluster` says which belong together.

    Args:
        pc: A person_course frame of any engine.
        outcome: passed, active, completed, or a Boolean column.
        by: The column that makes the groups, or a calendar cohort (see `outcomes`).
        among: The denominator: enrolled, active, graded or completed.
        reference: A group that each other is compared with; None compares all pairs.
        completed_from: The completion, a fraction, from which a learner counts as completed.
        cluster: The column that says which records belong together, such as "username" if
            learners are in several courses. Intervals then have the variance of the clusters and
            Student's t, and the tests are robust score tests. At most 10 million records.
        strata: Compare within the values of these columns too, such as "course_id": `within` has
            the differences of rates standardized with the same weights of strata, and shows where
            a difference reverses.
        margin: The smallest difference of shares that matters, such as 0.05 for 5 percentage
            points. Each pair then has a `verdict`: equivalent within ±margin, different, or
            undecided.
        level: The coverage of the intervals, a fraction. A difference counts as more than chance
            if p is below 1 − level.

    Raises:
        SchemaError: A column is missing, or of the wrong type.
        ArgumentError: The reference is not a group, there are more than 300 groups, or an argument
            is invalid.

    Source:
        Newcombe (1998), Statistics in Medicine 17, 873–890. Katz et al. (1978), Biometrics 34,
        469–474. Cochran (1954), Biometrics 10, 417–451, for the rule of 5. Dunn (1961), JASA 56,
        52–64, for all pairs together; Miettinen (1976), Am. J. Epidemiol. 103, 226–235, for
        intervals that agree with tests. Cramér (1946), Mathematical Methods of Statistics, p. 282.
        With clusters: Zou and Donner (2008), Statistics in Medicine 27, 1693–1702, for differences;
        Boos (1992), The American Statistician 46, 327–333, for tests. Schuirmann (1987), Journal of
        Pharmacokinetics and Biopharmaceutics 15, 657–680, for equivalence.

    Examples:
        >>> pc = pl.DataFrame({"mode": ["audit"] * 80 + ["verified"] * 70, "passed": [True] * 48
        ...     + [False] * 32 + [True] * 56 + [False] * 14, "in_enrollments": True,
        ...     "completion": None, "percent_grade": None})
        >>> found = compare_groups(pc, by="mode", reference="audit")
        >>> found.pairs.frame.select(pl.col("difference", "ratio").round(4)).row(0)
        (0.2, 1.3333)
        >>> found.test.frame.select("df", pl.col("p_value").round(3)).row(0)
        (1, 0.008)
    """
    done = completed(completed_from)
    whom = {"enrolled": ENROLLED, "active": ACTIVE, "graded": GRADED, "completed": done}
    one_of(among, whom, name="among")
    if not isinstance(by, str):
        raise ArgumentError(f"by must be one column's name, not {as_given(by)}")
    if not isinstance(outcome, str):
        raise ArgumentError(f"outcome must be a name, not {as_given(outcome)}")
    if margin is not None:
        margin = a_share(margin, name="margin")
    level = a_level(level)
    rows = records(pc, NEEDED)
    reached = {"passed": PASSED, "active": ACTIVE, "completed": done}.get(outcome, nw.col(outcome))
    if outcome not in _OUTCOMES and rows.collect_schema().get(outcome) != nw.Boolean:
        raise SchemaError(
            f"outcome must be {', '.join(_OUTCOMES)} or a Boolean column, not {as_given(outcome)}"
        )
    counts: Counts = {"n_learners": whom[among], "n_reached": whom[among] & reached}
    groups, cells_by = Groups((by,)), _with_strata(by, strata)
    cells = count_by(rows, cells_by, counts)
    summed = [pl.col(name).sum() for name in counts]
    plain = cells.pipe(partial(per_group, by=groups.keys, aggregations=summed))
    plain = plain.pipe(partial(_with_learners, plain.n["n_learners"], by=by))
    present = plain.n.select(groups.keys)
    named = compared_groups(groups.named(present))
    texts = named.select(group=AS_TEXT)
    counted = plain.pipe(lambda found: texts.hstack(found.select(*counts)))
    counted_as, moments = COMPARED_GROUPS, None
    if cluster is not None:
        per_cluster = count_clusters(rows, groups, counts, cluster)
        moments = Moments.of(per_cluster, present[groups.keys[0]], groups.keys[0], *_RATE["rate"])
        designed = with_effects(plain.n, per_cluster, groups.keys, _RATE).select(DESIGN)
        counted = replace(counted, n=counted.n.hstack(designed))
        counted_as = of_clusters(COMPARED_GROUPS, _RATE)
    chosen = _reference(reference, counted.n["group"])
    about = {"outcome": pl.lit(outcome), "among": pl.lit(among)}

    def result(table: Table, derive: Derive) -> Result:
        def described(groups: pl.DataFrame, moments: Moments | None) -> pl.DataFrame:
            return derive(groups, moments).with_columns(**about).select(table.names)

        def protect(min_n: int) -> pl.DataFrame:
            safe = release_table(counted.n, counted.keys, counted_as, [], min_n=min_n)
            of_safe = moments and moments.released(safe["n_reached"], safe["n_learners"])
            return described(safe, of_safe)

        exact = described(counted.n, moments)
        return Result(table, (), exact, protect, level=level, compared=named)

    within = None
    if strata is not None:
        in_strata = None if cluster is None else count_clusters(rows, cells_by, counts, cluster)
        found = _of_strata(cells, in_strata, cells_by, present.hstack(texts))
        adjusted = _within(
            partial(compared_within, *found, chosen, margin, level=level),
            {**about, "within": pl.lit(" and ".join(cells_by.names[1:]))},
            margin,
            are_learners=not IDENTITIES.isdisjoint(cells_by.names[1:]),
            has_keys=plain.keys is not None,
            level=level,
        )
        within = replace(adjusted, compared=named)
    return Comparison(
        groups=result(COMPARED_GROUPS, partial(_rates, level=level)),
        pairs=result(
            PAIRS if margin is None else with_equivalence(PAIRS),
            partial(compared_pairs, reference=chosen, margin=margin, level=level),
        ),
        test=result(COMPARISON_TEST, _overall),
        within=within,
        by=by,
        among=among,
    )


def _with_strata(by: str, strata: By) -> Groups:
    """Return the groups of the cells that are compared, each group within each stratum."""
    if strata is None:
        return Groups((by,))
    within = groups_of(strata, None, argument="strata").names
    if not within or by in within:
        raise ArgumentError(f"strata must name other columns than `{by}`")
    return Groups((by, *within))


def _of_strata(
    cells: Counted, per_cluster: pl.DataFrame | None, cells_by: Groups, names: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Name the groups and number the strata of the cells, and of those of clusters."""
    keys = cells.n if cells.keys is None else cells.keys  # placeholders if there are none
    found = cells.n.with_columns(key_learners=keys["n_learners"], key_reached=keys["n_reached"])
    group, *strata = cells_by.keys
    numbers = found.select(strata).unique(maintain_order=True).with_row_index(STRATUM)

    def named(table: pl.DataFrame) -> pl.DataFrame:
        known = table.join(numbers, on=strata, nulls_equal=True, maintain_order="left")
        return names.join(known, on=group, nulls_equal=True, maintain_order="left")

    return named(found), None if per_cluster is None else named(per_cluster)


def _within(
    compare: Callable[..., pl.DataFrame],
    about: dict[str, pl.Expr],
    margin: float | None,
    *,
    are_learners: bool,
    has_keys: bool,
    level: float,
) -> Result:
    """Return the pairs compared within strata, as `compare` does from exact or released counts.

    If the strata are learners, their number is released like any other number of learners.
    """
    alpha, pairs = alpha_of(level), compare()

    def derive(counts: pl.DataFrame) -> pl.DataFrame:
        rates = (pl.col(f"n_reached_{x}") / pl.col(f"n_learners_{x}") for x in "ab")
        pooled = next(rates) - next(rates)
        rows = counts.with_columns(
            # Without a shared stratum nobody is compared, and 0 / 0 is not a difference.
            pooled_difference=pooled.fill_nan(None),
            p_adjusted=bonferroni(counts["p_value"]),
            **about,
        ).with_columns(
            _on_side_of_interval("p_value", "difference_ci", alpha),
            _on_side_of_interval("p_adjusted", "simultaneous", alpha),
        )
        rows = rows if margin is None else judged(rows, margin, alpha)
        return rows.select(table.names)

    names = [name for name in pairs.columns if name.startswith("key_")]
    keys = pairs.select(pl.col(name).alias(f"n_{name[4:]}") for name in names)
    table = WITHIN_STRATA if margin is None else with_equivalence(WITHIN_STRATA)
    if are_learners:
        counted = replace(table["n_strata"], role=Role.COUNT)
        columns = (counted if column.name == counted.name else column for column in table)
        table = replace(table, columns=tuple(columns))
        keys = keys.with_columns(n_strata=pairs["key_learners_a"])

    def released(counts: pl.DataFrame, min_n: int) -> pl.DataFrame:
        return release_table(counts.drop(names), keys if has_keys else None, table, [], min_n=min_n)

    def protect(min_n: int) -> pl.DataFrame:
        return derive(released(compare(released=released(pairs, min_n)), min_n))

    return Result(table, (), derive(pairs), protect, level=level)


def _on_side_of_interval(p: str, interval: str, alpha: float) -> pl.Expr:
    """Keep p on the side of alpha that its interval implies, however two digits round it."""
    excludes = (pl.col(f"{interval}_low") > 0) | (pl.col(f"{interval}_high") < 0)
    below, value = 0.99 * alpha, pl.col(p)
    kept = pl.when(excludes & (value >= alpha)).then(below)
    return kept.when(~excludes & (value < alpha)).then(alpha).otherwise(value).alias(p)


def _with_learners(n: pl.Series, counted: pl.DataFrame, *, by: str) -> pl.DataFrame:
    """Return the groups with learners, of whom there are n in each."""
    counted = counted.filter(n > 0)
    if counted.height > MOST_GROUPS:
        raise ArgumentError(
            f"`{by}` makes {counted.height:,} groups, and every pair of them would be tested; "
            f"compare {MOST_GROUPS} or fewer: leave out the small ones, or combine some"
        )
    return counted


def _rates(groups: pl.DataFrame, moments: Moments | None, *, level: float) -> pl.DataFrame:
    of_clusters = moments is not None
    return groups.with_columns(rate("rate", *_RATE["rate"], level=level, of_clusters=of_clusters))


def _reference(reference: object, groups: pl.Series) -> str | None:
    """Return the group to compare with, by its name in the table."""
    if reference is None:
        return None
    try:
        name = pl.Series([reference], strict=False).cast(pl.String).item()
    except (pl.exceptions.PolarsError, TypeError):
        name = None
    if name not in groups.to_list():
        few = ", ".join(groups.head(10)) + (", …" if len(groups) > 10 else "")
        raise ArgumentError(f"no group {as_given(reference)}; there are {few or 'none'}")
    return str(name)


def _overall(groups: pl.DataFrame, moments: Moments | None) -> pl.DataFrame:
    """Test all groups whose counts are known: χ², degrees of freedom, p and Cramér's V.

    For two groups with few learners, p is Fisher's; if rows come in clusters, the test is the
    robust one. All null if there is nothing to test.
    """
    known = groups.with_row_index("place").drop_nulls(["n_learners", "n_reached"])
    is_told = not known.is_empty() or groups.is_empty()  # not 0 where all groups are withheld
    table = known.select("n_reached", missed=pl.col("n_learners") - pl.col("n_reached")).to_numpy()
    row: dict[str, Any] = {
        "n_groups": groups.height,
        "n_learners": known["n_learners"].sum() if is_told else None,
        "n_reached": known["n_reached"].sum() if is_told else None,
        "df": max(known.height - 1, 0),
    }
    if row["df"] > 0 and table.sum(axis=0).all():
        chi = stats.chi2_contingency(table, correction=False)
        smallest = float(chi.expected_freq.min())
        exact = row["df"] == 1 and smallest < SMALL_EXPECTED
        row |= {
            "test": FISHER if exact else CHI_SQUARED,
            "statistic": float(chi.statistic),
            "p_value": float(stats.fisher_exact(table).pvalue if exact else chi.pvalue),
            # With two outcomes, V's divisor min(rows, columns) − 1 is 1.
            "cramers_v": float((chi.statistic / table.sum()) ** 0.5),
            "smallest_expected": smallest,
        }
        if moments is not None:
            statistic, p_value = moments.score_test(known["place"].to_list())
            row |= {"test": ROBUST, "statistic": statistic, "p_value": p_value}
    return pl.DataFrame([row], schema=COMPARISON_TEST.polars_schema)
