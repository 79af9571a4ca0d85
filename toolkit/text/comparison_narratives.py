"""Narratives of comparisons of groups. Nothing here computes a statistic."""

from __future__ import annotations

from functools import partial

import polars as pl

from toolkit.results.result import Released
from toolkit.text import left_out, naming, words
from toolkit.text.narratives import extremes
from toolkit.text.words import Row, plural

MOST_VERDICTS = 3
_HIDDEN = "chance alone could explain; with few learners, a real difference could still be hidden"
ONLY_CHANCE, NO_MORE = f"differ by no more than {_HIDDEN}", f"is no larger than {_HIDDEN}"


def groups(released: Released) -> str:
    """Say which groups of a comparison have the lowest and highest share."""
    first = released.frame.row(0, named=True)
    outcome = first["outcome"]
    did = "were active" if outcome == "active" else outcome.replace("_", " ")
    about = f"The share of the {first['among']} who {did}"
    names = pl.col("group").replace_strict(naming.compared(released))
    return extremes(released.frame.with_columns(_name=names), "rate", released, about)


def pairs(released: Released) -> str:
    """Say which pair of groups differs most, and how many differ by more than chance."""
    seen = released.frame.filter(pl.col("difference").is_not_null())
    if seen.is_empty():
        return words.too_few(released)
    if "verdict" in seen.columns:
        return _verdicts(seen, released)
    most = seen.sort(pl.col("difference").abs(), descending=True, maintain_order=True)
    row = most.row(0, named=True)
    name_of = naming.compared(released)
    a, b = name_of[row["group_a"]], name_of[row["group_b"]]
    which = "largest difference is" if seen.height > 1 else "difference is"
    text = (
        f"The {which} between {a} and {b}: {_points(row, released)}, "
        f"{words.p_value(row['p_adjusted'], released.alpha)}.{words.for_all(released)}"
    )
    if not seen["p_adjusted"].count():
        return f"{text} Whether the groups differ by more than chance cannot be tested."
    differ = seen.filter(pl.col("p_adjusted") < released.alpha).height
    if differ == 0:
        return f"{text} The groups {ONLY_CHANCE}."
    return f"{text} {differing(differ, plural(seen.height, 'pair'))}."


def differing(n: int, of: str) -> str:
    """Write how many differ: "1 of 3 pairs differs by more than chance alone would explain"."""
    return f"{n} of {of} differ{'s' * (n == 1)} by more than chance alone would explain"


def _verdicts(seen: pl.DataFrame, released: Released) -> str:
    """Say which pairs are equivalent, different or undecided, with the figures of a few."""
    margin = words.points(seen["margin"][0], decimal=True, is_end=True).lstrip("+")
    margin = margin.removesuffix(".0")
    sentences, name_of = [], naming.compared(released)
    for name, label in (
        ("equivalent", f"Equivalent within ±{margin} percentage points"),
        ("different", "Different"),
        ("undecided", "Undecided"),
    ):
        rows = seen.filter(verdict=name)
        named = [
            f"{name_of[row['group_a']]} and {name_of[row['group_b']]}, {_points(row, released)}"
            for row in rows.head(MOST_VERDICTS).iter_rows(named=True)
        ]
        if named:
            of = (
                f"{rows.height} of {plural(seen.height, 'pair')}, among them "
                if (rows.height > MOST_VERDICTS)
                else ""
            )
            sentences.append(f"{label}: {of}{'; '.join(named)}.")
    return f"{' '.join(sentences)}{words.for_all(released)}"


def within_strata(released: Released) -> str:
    """Say whether the differences of pairs reverse or vanish within strata."""
    seen = released.frame.filter(pl.col("difference").is_not_null())
    if (released.whole["n_strata"] == 0).fill_null(value=False).all():
        stratum = naming.strata(released.whole["within"][0])
        return f"No {stratum} has learners of two groups."
    if seen.is_empty():
        return words.too_few(released)
    pooled, p = pl.col("pooled_difference"), pl.col("p_value")
    clear = pl.col("pooled_p_value") < released.alpha
    reversed_ = clear & (pooled.sign() * pl.col("difference").sign() < 0)
    vanished = clear & (p.is_null() | (p >= released.alpha)) & ~reversed_
    where = f"Within the same {naming.strata(seen['within'][0])}"
    if "verdict" in seen.columns:
        return f"{where}: {_verdicts(seen, released)}"
    most = seen.sort(pooled.abs(), descending=True, nulls_last=True, maintain_order=True)
    row = most.row(0, named=True)
    decimal = words.supports_decimal(row, "pooled_difference", released)
    name_of = naming.compared(released)
    text = (
        f"{where}, {name_of[row['group_a']]} and {name_of[row['group_b']]} differ by "
        f"{_points(row, released)}, {words.p_value(row['p_adjusted'], released.alpha)}; "
        f"overall by {words.percentage_points(row['pooled_difference'], decimal=decimal)}."
        f"{words.for_all(released)}"
    )
    for changed, how in ((reversed_, "reverses. It comes"), (vanished, f"{NO_MORE}. It may come")):
        n = seen.filter(changed).height
        if n:
            of = "" if seen.height == 1 else f" of {n} of {plural(seen.height, 'pair')}"
            text += (
                f" {where}, the overall difference{of} {how} from how the groups are distributed."
            )
    return f"{text}{_alone(row, released)}"


def _alone(row: Row, released: Released) -> str:
    """Say how many of two groups are in strata without the other."""
    counts = pl.Series([row["n_excluded_a"], row["n_excluded_b"]], dtype=pl.Int64)
    where = f"of these two in a {naming.strata(row['within'])} without the other"
    return left_out.sentence(counts, where, released)


def caution(by: str, among: str) -> str:
    """Say what to bear in mind about the groups of a comparison, and of whom they are made."""
    text = f"Groups that differ in this may differ in much else.{words.formed_later([by])}"
    if among == "enrolled":
        return text
    return (
        f"{text} Who is {among} is known only later, and all who soon passed are among them: the "
        "share is not the chance of a learner who has just enrolled."
    )


def comparison_test(released: Released) -> str:
    """Say whether the groups of a comparison differ by more than chance."""
    row = released.frame.row(0, named=True)
    if row["p_value"] is None:
        return "The groups cannot be tested: too few learners, or no difference in outcome to see."
    figures = words.p_value(row["p_value"], released.alpha)
    if row["statistic"] is not None:
        figures = f"χ² = {words.number(row['statistic'])}, {degrees(row['df'])}, {figures}"
    if row["cramers_v"] is not None:
        figures += f", Cramér's V = {row['cramers_v']:.2f}"
    n = row["df"] + 1
    found = f"The {plural(n, 'group')} {verdict(row['p_value'], released.alpha)}"
    return f"{found} ({row['test']} test: {figures}).{untested(row['n_groups'] - n)}"


def untested(n: int) -> str:
    """Say how many groups a test leaves out: " 2 groups could not be compared."."""
    return f" {plural(n, 'group')} could not be compared." if n else ""


def _points(row: Row, released: Released) -> str:
    """Write a difference of shares with its interval, in percentage points."""
    decimal = words.supports_decimal(row, "difference", released)
    difference = words.percentage_points(row["difference"], decimal=decimal)
    ends = released.schema.interval_of("difference")
    low, high = (row[end] for end in ends) if ends else (None, None)
    write = partial(words.points, decimal=decimal, is_end=True)
    return f"{difference}{words.in_brackets(words.written_interval(low, high, write), released)}"


def verdict(p: float, alpha: float) -> str:
    """Say whether groups differ: by more than chance, or by what may be chance or be hidden."""
    return "differ by more than chance alone would explain" if p < alpha else ONLY_CHANCE


def degrees(df: int) -> str:
    """Write degrees of freedom: "1 degree of freedom"."""
    return plural(df, "degree of freedom", "degrees of freedom")
