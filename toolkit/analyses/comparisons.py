"""Do groups differ in an outcome, by how much, and how sure is that?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from scipy import stats

from toolkit.analyses.counting import Frame, flag, records
from toolkit.analyses.grouping import Groups, count_by
from toolkit.analyses.intervals import holm, katz, newcombe
from toolkit.analyses.stages import ACTIVE, COMPLETED, ENROLLED, GRADED, NEEDED, PASSED, completed
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release import protect
from toolkit.schemas.arguments import one_of
from toolkit.schemas.outcome_results import PAIRS

SMALL_EXPECTED = 5
MOST_GROUPS = 300
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare_groups` found.

    Attributes:
        outcome: What was compared, such as "passed".
        among: The denominator, such as "enrolled".
        groups: One row per group: its count and rate (`COMPARED_GROUPS`).
        pairs: One row per pair of groups: difference, ratio and test (`PAIRS`).
        statistic: Pearson's χ² over all groups.
        degrees: Its degrees of freedom.
        p_value: That of the χ² test, of Fisher's exact test for two groups with few learners;
            null where there is one group, or all have the outcome, or none.
        cramers_v: Cramér's V, from 0, no association, to 1.
        smallest_expected: The smallest expected count; under 5 the χ² test of more than two
            groups is approximate.
    """

    outcome: str
    among: str
    groups: pl.DataFrame
    pairs: pl.DataFrame
    statistic: float | None
    degrees: int
    p_value: float | None
    cramers_v: float | None
    smallest_expected: float | None

    def sentence(self, *, min_n: int = 10) -> str:
        """What was found, in plain words, without any number about fewer than `min_n` learners."""
        groups = protect(self.groups, min_n=min_n)
        seen = groups.filter(pl.col("rate").is_not_null()).sort("rate")
        what = f"the share of the {self.among} who {_VERB.get(self.outcome, self.outcome)}"
        if self.p_value is None or self.cramers_v is None:
            return f"Whether {what} differs between groups cannot be tested here."
        test = f"p {_p(self.p_value)}, Cramér's V {self.cramers_v:.2f}"
        if self.p_value >= SIGNIFICANT:
            return (
                f"These data do not show that {what} differs between the "
                f"{self.groups.height} groups ({test}). That is no proof that it is the same."
            )
        said = [
            f"{what[0].upper()}{what[1:]} differs between the {self.groups.height} groups "
            f"({test}: {_strength(self.cramers_v)})."
        ]
        if seen.height > 1:
            low, high = seen.row(0, named=True), seen.row(-1, named=True)
            said.append(
                f"It is lowest in {low['group']} ({low['rate']:.1%}) and highest in "
                f"{high['group']} ({high['rate']:.1%})."
            )
        if self.pairs.height > 1:
            differ = self.pairs.filter(pl.col("p_adjusted") < SIGNIFICANT).height
            said.append(f"{differ} of {self.pairs.height} pairs differ after Holm's correction.")
        return " ".join([*said, "Groups that differ in this may differ in much else."])


_VERB = {"passed": "passed", "active": "were active", "completed": "completed"}


def compare_groups(
    pc: Frame,
    outcome: str = "passed",
    by: str = "mode",
    *,
    among: str = "enrolled",
    reference: object = None,
    completed_from: float = COMPLETED,
) -> Comparison:
    """Compare the share with an outcome between groups, all pairs or each with a reference.

    Differences have Newcombe's interval, ratios that of Katz, both 95 %. A pair is tested by
    Pearson's χ² without continuity correction, by Fisher's exact test where an expected count is
    below 5. p_adjusted is Holm's over all pairs of the result, so it alone depends on which
    groups there are. Learners are taken as independent; one in several courses is so only nearly.

    Args:
        pc: A person_course frame of any engine.
        outcome: passed, active, completed, or a Boolean column.
        by: The column that makes the groups, or a calendar cohort (see `outcomes`).
        among: Of whom: enrolled, active, graded or completed.
        reference: A group that each other is compared with; None compares all pairs.
        completed_from: The completion, a fraction, from which a learner counts as completed.

    Raises:
        SchemaError: A column is missing, or of another kind.
        ArgumentError: The reference is no group, there are more than 300 groups, or an argument
            is impossible.

    Source:
        Newcombe (1998), Statistics in Medicine 17, 873–890. Katz et al. (1978), Biometrics 34,
        469–474. Cochran (1954), Biometrics 10, 417–451, for the rule of 5. Holm (1979), Scand.
        J. Statist. 6, 65–70. Cramér (1946), Mathematical Methods of Statistics, p. 282.

    Examples:
        >>> pc = pl.DataFrame({"mode": ["audit"] * 80 + ["verified"] * 70, "passed": [True] * 48
        ...     + [False] * 32 + [True] * 56 + [False] * 14, "in_enrollments": True,
        ...     "completion": None, "percent_grade": None})
        >>> found = compare_groups(pc, "passed", "mode", reference="audit")
        >>> found.pairs.select(pl.col("difference", "ratio").round(4)).row(0)
        (0.2, 1.3333)
        >>> print(found.sentence())
        The share of the enrolled who passed differs between the 2 groups (p 0.008, Cramér's V 0.22:
        a weak link). It is lowest in audit (60.0%) and highest in verified (80.0%). Groups that
        differ in this may differ in much else.
    """
    done = completed(completed_from)
    whom = {"enrolled": ENROLLED, "active": ACTIVE, "graded": GRADED, "completed": done}
    one_of(among, whom, name="among")
    if not isinstance(by, str):
        raise ArgumentError(f"by must be one column's name, not {by!r}")
    if not isinstance(outcome, str):
        raise ArgumentError(f"outcome must be a name, not {outcome!r}")
    rows = records(pc, NEEDED)
    reached = {"passed": PASSED, "active": ACTIVE, "completed": done}.get(outcome, nw.col(outcome))
    if outcome not in _VERB and rows.collect_schema().get(outcome) != nw.Boolean:
        raise SchemaError(
            f"outcome must be {', '.join(_VERB)} or a Boolean column; {outcome!r} is none"
        )
    counts = {"n_learners": flag(whom[among]), "n_reached": flag(whom[among], reached)}
    groups = _named(count_by(rows, Groups((by,)), counts).filter(pl.col("n_learners") > 0), by)
    chosen = _reference(reference, groups["group"])
    return Comparison(outcome, among, groups, _pairs(groups, chosen), *_overall(groups))


def _named(counted: pl.DataFrame, by: str) -> pl.DataFrame:
    """The groups by name, with their rates."""
    if counted.height > MOST_GROUPS:
        raise ArgumentError(
            f"`{by}` makes {counted.height:,} groups, and every pair of them would be tested; "
            f"compare {MOST_GROUPS} or fewer: leave out the small ones, or put several together"
        )
    names, unnamed = counted.to_series(0).cast(pl.String), "(none)"
    while unnamed in names.to_list():
        unnamed = f"({unnamed})"  # a group that is called so is another than that of the nulls
    return counted.select(
        names.fill_null(unnamed).alias("group"),
        "n_learners",
        "n_reached",
        rate=pl.col("n_reached") / pl.col("n_learners"),
    )


def _reference(reference: object, groups: pl.Series) -> str | None:
    """The group to compare with, as it is called in the table."""
    if reference is None:
        return None
    try:
        name = pl.Series([reference], strict=False).cast(pl.String).item()
    except (pl.exceptions.PolarsError, TypeError):
        name = None
    if name not in groups.to_list():
        few = ", ".join(groups.head(10)) + (", …" if len(groups) > 10 else "")
        raise ArgumentError(f"no group {reference!r}; there are {few or 'none'}")
    return str(name)


def _overall(
    groups: pl.DataFrame,
) -> tuple[float | None, int, float | None, float | None, float | None]:
    """χ² over all groups, degrees, p, Cramér's V, the smallest expected count."""
    table = groups.select("n_reached", missed=pl.col("n_learners") - pl.col("n_reached")).to_numpy()
    degrees = max(groups.height - 1, 0)
    if degrees == 0 or (table.sum(axis=0) == 0).any():
        return None, degrees, None, None, None
    chi = stats.chi2_contingency(table, correction=False)
    smallest = float(chi.expected_freq.min())
    exact = degrees == 1 and smallest < SMALL_EXPECTED
    p = stats.fisher_exact(table).pvalue if exact else chi.pvalue
    # With two outcomes, the smaller side of the table less one is 1.
    v = (chi.statistic / table.sum()) ** 0.5
    return float(chi.statistic), degrees, float(p), float(v), smallest


def _pairs(groups: pl.DataFrame, reference: str | None) -> pl.DataFrame:
    numbered = groups.with_row_index("place")
    a = numbered.rename(lambda name: f"{name}_a")
    b = numbered.rename(lambda name: f"{name}_b")
    if reference is None:
        wanted = pl.col("place_a") < pl.col("place_b")
    else:
        wanted = (pl.col("group_b") == reference) & (pl.col("group_a") != reference)
    k_a, n_a, k_b, n_b = (pl.col(f"n_{of}_{x}") for x in "ab" for of in ("reached", "learners"))
    low, high = newcombe(k_a, n_a, k_b, n_b)
    ratio_low, ratio_high = katz(k_a, n_a, k_b, n_b)
    share = (k_a + k_b) / (n_a + n_b)
    pairs = (
        a.join(b, how="cross")
        .filter(wanted)
        .with_columns(
            difference=k_a / n_a - k_b / n_b,
            difference_ci_low=low,
            difference_ci_high=high,
            ratio=pl.when(k_b > 0).then((k_a / n_a) / (k_b / n_b)),
            ratio_ci_low=ratio_low,
            ratio_ci_high=ratio_high,
            smallest_expected=pl.min_horizontal(n_a, n_b) * pl.min_horizontal(share, 1 - share),
            statistic=(k_a / n_a - k_b / n_b) ** 2 / (share * (1 - share) * (1 / n_a + 1 / n_b)),
        )
        .with_columns(
            # Where all have the outcome, or none, there is nothing to test.
            pl.when(share.is_between(0, 1, closed="none")).then(pl.col("statistic")),
            test=pl.when(pl.col("smallest_expected") < SMALL_EXPECTED)
            .then(pl.lit("Fisher's exact"))
            .otherwise(pl.lit("χ²")),
        )
    )
    p = pl.Series("p_value", [_p_of(row) for row in pairs.iter_rows(named=True)], pl.Float64)
    return pairs.with_columns(p, p_adjusted=holm(p)).select(PAIRS.names)


def _p_of(pair: dict[str, Any]) -> float | None:
    """P of a 2 × 2 table, by the test that its `test` names."""
    if pair["statistic"] is None:
        return None
    if pair["test"] == "χ²":
        return float(stats.chi2.sf(pair["statistic"], 1))
    reached = [pair["n_reached_a"], pair["n_reached_b"]]
    missed = [pair["n_learners_a"] - reached[0], pair["n_learners_b"] - reached[1]]
    return float(stats.fisher_exact([reached, missed]).pvalue)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def _strength(v: float) -> str:
    """Cohen's (1988) words for an effect of this size with one degree of freedom."""
    steps = ((0.1, "hardly a link"), (0.3, "a weak link"), (0.5, "a moderate link"))
    return next((words for end, words in steps if v < end), "a strong link")
