"""Narratives of counted results. Nothing here computes a statistic.

Each function takes a released result, so a sentence can contain only what may be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from toolkit.results.result import Released
from toolkit.schemas import Role
from toolkit.schemas.outcome_results import PASSED_ASIDE
from toolkit.text import words
from toolkit.text.words import interval, percent, plural, share, told_count

Row = dict[str, Any]
TOO_FEW = "Too few learners to show."
MOST_VERDICTS = 3
ONLY_CHANCE = (
    "differ by no more than chance alone could explain; with few learners in a group, "
    "a real difference could still be hidden"
)


def outcomes(released: Released) -> str:
    """Say how many enrolled, were active and passed; for several groups, the lowest and highest."""
    rate = "pass_rate_of_enrolled"
    frame = _without_totals(released)
    if frame.height == 1:
        return _one_outcome(frame.row(0, named=True), released)
    seen = frame.filter(pl.col(rate).is_not_null())
    told = _extremes(seen, rate, released, "The share of the enrolled who passed")
    return f"{told}{_hidden(frame.height, seen.height)}"


def _one_outcome(row: Row, released: Released) -> str:
    n, min_n = row["n_enrolled"], released.min_n
    by = [name for name in released.by if name != "is_total"]
    where = " · ".join(words.name(row[name], name) for name in by)
    if n is None:
        return f"{where}: {TOO_FEW[:1].lower()}{TOO_FEW[1:]}" if where else TOO_FEW
    rate = "pass_rate_of_enrolled"
    active = share(row, "pass_rate_of_active", released)
    text = (
        f"Of {n:,} enrollments{f' in {where}' if where else ''}, "
        f"{told_count(row['n_active'], min_n)} "
        f"({share(row, 'active_rate_of_enrolled', released)}) were active and "
        f"{told_count(row['n_passed'], min_n)} led to a pass: {share(row, rate, released)} of the "
        f"enrolled{_in_brackets(interval(row, rate, released))}"
    )
    text += f" and {active} of the active." if active != words.ABSENT else "."
    left_out = row["n_not_enrolled"]
    return text + (
        f" Left out: {plural(left_out, 'record')} without enrollment." if left_out else ""
    )


def funnel(released: Released) -> str:
    """Say after which stage most learners are lost."""
    steps = released.frame.filter(pl.col("n_dropped").is_not_null(), pl.col("n_previous") > 0)
    if steps.is_empty():
        return TOO_FEW
    stages = released.frame["stage"].unique(maintain_order=True).to_list()
    before = dict(zip(stages[1:], stages, strict=False))
    if released.by:
        return _funnels(released, steps, before)
    row = steps.sort("n_dropped", descending=True, maintain_order=True).row(0, named=True)
    text = (
        f"Most learners are lost between {before[row['stage']]} and {row['stage']}: of "
        f"{row['n_previous']:,}, {told_count(row['n_reached'], released.min_n)} go on, "
        f"{share(row, 'rate_of_previous', released)}"
        f"{_in_brackets(interval(row, 'rate_of_previous', released))}."
    )
    aside = released.frame.filter(stage=PASSED_ASIDE)["n_reached"].to_list()
    return text + (f" {aside[0]:,} {PASSED_ASIDE}." if aside and aside[0] else "")


def _funnels(released: Released, steps: pl.DataFrame, before: dict[str, str]) -> str:
    by = list(released.by)
    worst = steps.sort("n_dropped", descending=True, maintain_order=True).unique(
        by, keep="first", maintain_order=True
    )
    stage, n = worst["stage"].value_counts(sort=True).row(0)
    total = released.frame.select(by).n_unique()
    whom = "all" if n == worst.height else f"{n} of"
    return (
        f"Most learners are lost between {before[stage]} and {stage} in {whom} "
        f"{plural(worst.height, 'group')}.{_hidden(total, worst.height)}"
    )


def distribution(released: Released) -> str:
    """Say how many learners have no value or zero, and where most lie."""
    frame = released.frame
    what = "grade" if frame.item(0, "measure") == "percent_grade" else "completion"
    if released.by:
        zeros = frame.filter(pl.col("part") == "zero")
        seen = zeros.filter(pl.col("share_of_enrolled").is_not_null())
        told = _extremes(
            seen, "share_of_enrolled", released, f"The share of the enrolled with a {what} of 0"
        )
        return f"{told}{_hidden(zeros.height, seen.height)}"
    parts = {row["part"]: row for row in frame.iter_rows(named=True) if row["part"] != "bin"}
    if parts["missing"]["n_enrolled"] is None:
        return TOO_FEW
    said = [
        f"{parts[part]['n_learners']:,} ({share(parts[part], 'share_of_enrolled', released)}) "
        f"have {words_of}"
        for part, words_of in (("missing", f"no {what}"), ("zero", f"a {what} of 0"))
        if parts[part]["n_learners"]
    ]
    bins = frame.filter(pl.col("part") == "bin", pl.col("n_learners") > 0)
    if bins.height:
        top = bins.sort("n_learners", descending=True, maintain_order=True).row(0, named=True)
        span = words.between(percent(top["bin_low"]), percent(top["bin_high"]))
        said.append(f"the most common range above 0 is {span}, with {top['n_learners']:,}")
    return f"Of {parts['missing']['n_enrolled']:,} enrollments, {'; '.join(said) or 'none'}."


def cohort_progress(released: Released) -> str:
    """Say how far apart the cohorts are at the same time since enrollment."""
    frame = released.frame
    outcome = frame.item(0, "outcome")
    seen = frame.filter(pl.col("reach_rate").is_not_null())
    if seen.is_empty():
        is_withheld = frame["status"].str.starts_with("withheld").any()
        return TOO_FEW if is_withheld else "No cohort has been observed for a whole period yet."
    # The longest time for which half of the cohorts have been observed.
    lengths = seen.group_by("days").len().sort("days")
    days = lengths.filter(pl.col("len") >= pl.col("len").max() / 2)["days"][-1]
    ranked = seen.filter(days=days).sort("reach_rate", maintain_order=True)
    names = words.cohorts(ranked["cohort"])
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    at = f"{days} days after enrollment, "
    if ranked.height == 1:
        return (
            f"{at}{_rate(low, 'reach_rate', released)} of those enrolled from "
            f"{names[low['cohort']]} had {outcome}.{_excluded(frame)}"
        )
    least, most = (
        f"{_rate(row, 'reach_rate', released)} of those enrolled from "
        f"{_cohort(row, names, released)}"
        for row in (low, high)
    )
    return (
        f"{at}the share who had {outcome} is lowest at {least} and highest at {most}."
        f"{_excluded(frame)}"
    )


def _cohort(row: Row, names: dict[Any, str], released: Released) -> str:
    groups = [words.name(row[name], name) for name in released.by]
    return ", ".join([names[row["cohort"]], *groups])


def _excluded(frame: pl.DataFrame) -> str:
    once = frame.unique(frame.columns[: frame.columns.index("period")])
    n = once["n_excluded"].sum()
    return f" Left out: about {n:,} whose time to the outcome is unknown." if n else ""


def groups(released: Released) -> str:
    """Say which groups of a comparison have the lowest and highest share."""
    frame = released.frame
    seen = frame.filter(pl.col("rate").is_not_null())
    first = frame.row(0, named=True)
    about = f"The share of the {first['among']} who {_did(first['outcome'])}"
    return (
        f"{_extremes(seen, 'rate', released, about, ['group'])}{_hidden(frame.height, seen.height)}"
    )


def pairs(released: Released) -> str:
    """Say which pair of groups differs most, and how many differ by more than chance."""
    seen = released.frame.filter(pl.col("difference").is_not_null())
    if seen.is_empty():
        return TOO_FEW
    if "verdict" in seen.columns:
        return _verdicts(seen, released)
    most = seen.sort(pl.col("difference").abs(), descending=True, maintain_order=True)
    row = most.row(0, named=True)
    a, b = words.name(row["group_a"]), words.name(row["group_b"])
    text = (
        f"The largest difference is between {a} and {b}: {_points(row, released)}, "
        f"{words.p_value(row['p_adjusted'])}.{words.for_all(released.frame.height)}"
    )
    differ = seen.filter(pl.col("p_adjusted") < words.SIGNIFICANT).height
    if differ == 0:
        return f"{text} The groups {ONLY_CHANCE}."
    of = plural(seen.height, "pair")
    return f"{text} {differ} of {of} differ by more than chance alone would explain."


def _verdicts(seen: pl.DataFrame, released: Released) -> str:
    """Say which pairs are equivalent, different or undecided, with the figures of a few."""
    margin = words.points(seen["margin"][0], decimal=True, unit=False).lstrip("+")
    margin = margin.removesuffix(".0")
    told = []
    for verdict, as_told in (
        ("equivalent", f"equivalent within ±{margin} percentage points"),
        ("different", "different"),
        ("undecided", "undecided"),
    ):
        rows = seen.filter(verdict=verdict)
        named = [
            f"{words.name(row['group_a'])} and {words.name(row['group_b'])}, "
            f"{_points(row, released)}"
            for row in rows.head(MOST_VERDICTS).iter_rows(named=True)
        ]
        if named:
            of = (
                f"{rows.height} of {plural(seen.height, 'pair')}, among them "
                if (rows.height > MOST_VERDICTS)
                else ""
            )
            told.append(f"{as_told[:1].upper()}{as_told[1:]}: {of}{'; '.join(named)}.")
    return f"{' '.join(told)}{words.for_all(released.frame.height)}"


def within_strata(released: Released) -> str:
    """Say whether the differences of pairs reverse or vanish within strata."""
    seen = released.frame.filter(pl.col("difference").is_not_null())
    if seen.is_empty():
        return TOO_FEW
    pooled, p = pl.col("pooled_difference"), pl.col("p_value")
    clear = pl.col("pooled_p_value") < words.SIGNIFICANT
    turned = clear & (pooled.sign() * pl.col("difference").sign() < 0)
    lost = clear & (p.is_null() | (p >= words.SIGNIFICANT)) & ~turned
    where = f"Within the same {words.strata(seen['within'][0])}"
    if "verdict" in seen.columns:
        return f"{where}: {_verdicts(seen, released)}"
    most = seen.sort(pooled.abs(), descending=True, nulls_last=True, maintain_order=True)
    row = most.row(0, named=True)
    text = (
        f"{where}, {words.name(row['group_a'])} and {words.name(row['group_b'])} differ by "
        f"{_points(row, released)}, {words.p_value(row['p_adjusted'])}; "
        f"overall by {words.percentage_points(row['pooled_difference'])}."
        f"{words.for_all(released.frame.height)}"
    )
    for changed, how in (
        (turned, "reverses"),
        (lost, "is no larger than chance alone could explain"),
    ):
        n = seen.filter(changed).height
        if n:
            of = "" if seen.height == 1 else f" of {n} of {plural(seen.height, 'pair')}"
            text += (
                f" {where}, the overall difference{of} {how}; it comes from how the groups are "
                "distributed."
            )
    return text


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
    figures = words.p_value(row["p_value"])
    if row["statistic"] is not None:
        figures = f"χ² = {words.number(row['statistic'])}, {_degrees(row['df'])}, {figures}"
    if row["cramers_v"] is not None:
        figures += f", Cramér's V = {row['cramers_v']:.2f}"
    verdict = f"The {plural(row['n_groups'], 'group')} {_verdict(row['p_value'])}"
    return f"{verdict} ({row['test']} test: {figures})."


def repeats(released: Released) -> str:
    """Say in which course most learners enroll again, and how many of them pass in a later run."""
    seen = released.frame.filter(pl.col("n_repeaters") > 0)
    if seen.is_empty():
        return "Too few learners enroll again in any course to show."
    row = seen.sort("n_repeaters", descending=True, maintain_order=True).row(0, named=True)
    later = told_count(row["n_passed_later"], released.min_n)
    return (
        f"Most learners enroll again in {words.name(row['course'])}: {row['n_repeaters']:,} of "
        f"{told_count(row['n_learners'], released.min_n)}; {later} of them passed in a later run, "
        "not in their first."
    )


def transitions(released: Released) -> str:
    """Say between which two courses the largest share of learners goes on."""
    named = ~pl.col("to_course").str.starts_with("(")
    seen = released.frame.filter(pl.col("move_rate").is_not_null(), named)
    if seen.is_empty():
        return "Too few learners go on from one course to another to show."
    row = seen.sort("move_rate", descending=True, maintain_order=True).row(0, named=True)
    return (
        f"Of the {row['n_passed']:,} learners who passed {words.name(row['from_course'])}, "
        f"{_rate(row, 'move_rate', released)} went on to {words.name(row['to_course'])}."
    )


def match_counts(released: Released) -> str:
    """Say how many records the resources share, and which lack some."""
    parts = {"in_grades": "grades", "in_enrollments": "enrollments", "in_completion": "completion"}
    told = [
        f"{row['n_records']:,} in {_listed([word for name, word in parts.items() if row[name]])}"
        for row in released.frame.sort("n_records", descending=True).iter_rows(named=True)
        if row["n_records"]
    ]
    undated = released.frame["n_passes_undated"].sum()
    text = f"Records, one per learner per course: {'; '.join(told)}." if told else TOO_FEW
    return text + (f" About {undated:,} passes have no time." if undated else "")


def change_counts(released: Released) -> str:
    """Say what changed most often from one snapshot to the next."""
    totals = (
        released.frame.group_by("change")
        .agg(pl.col("n_learners").sum())
        .filter(pl.col("n_learners") > 0)
        .sort("n_learners", "change", descending=[True, False])
    )
    if totals.is_empty():
        return "Too few records changed in any course to show."
    told = [f"about {n:,} {change}" for change, n in totals.iter_rows()]
    return f"Changes, in the courses where they can be shown: {_listed(told)}."


def user_result(released: Released) -> str:
    """Say how large a user's own counts are; for rates, name the lowest and highest."""
    rates = [name for name in released.schema.names if released.schema.interval_of(name)]
    frame = released.frame
    if rates:
        seen = frame.filter(pl.col(rates[0]).is_not_null())
        about = f"The share {rates[0].removesuffix('_rate').replace('_', ' ')}"
        return f"{_extremes(seen, rates[0], released, about)}{_hidden(frame.height, seen.height)}"
    counts = released.schema.of_role(Role.COUNT)
    told = [
        f"about {frame[name].sum():,} {name.removeprefix('n_').replace('_', ' ')}"
        for name in counts
        if frame[name].sum()
    ]
    return f"Over {plural(frame.height, 'group')}: {_listed(told)}." if told else TOO_FEW


def _without_totals(released: Released) -> pl.DataFrame:
    frame = released.frame
    return frame.filter(~pl.col("is_total")) if "is_total" in frame.columns else frame


def _extremes(
    seen: pl.DataFrame, rate: str, released: Released, about: str, by: Sequence[str] | None = None
) -> str:
    """Name a rate's lowest and highest group, with intervals."""
    if seen.is_empty():
        return TOO_FEW
    by = [name for name in (released.by if by is None else by) if name != "is_total"]
    ranked = seen.with_columns(_name=pl.Series(words.labels(seen, by))).sort(
        rate, maintain_order=True
    )
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    if ranked.height == 1:
        return f"{about} is {_rate(low, rate, released)} in {low['_name']}."
    return (
        f"{about} ranges from {_rate(low, rate, released)} in {low['_name']} to "
        f"{_rate(high, rate, released)} in {high['_name']}, over {plural(ranked.height, 'group')}."
    )


def _rate(row: Row, rate: str, released: Released) -> str:
    return f"{share(row, rate, released)}{_in_brackets(interval(row, rate, released))}"


def _points(row: Row, released: Released) -> str:
    """A difference of shares with its interval, in percentage points."""
    decimal = words.supports_decimal(row, "difference", released)
    difference = words.percentage_points(row["difference"], decimal=decimal)
    ends = released.schema.interval_of("difference")
    if ends is None or row[ends[0]] is None or row[ends[1]] is None:
        return difference
    low, high = (words.points(row[end], decimal=decimal, unit=False) for end in ends)
    return f"{difference} (95% interval {words.between(low, high)})"


def _in_brackets(interval: str) -> str:
    return f" (95% interval {interval})" if interval else ""


def _verdict(p: float) -> str:
    return (
        "differ by more than chance alone would explain" if p < words.SIGNIFICANT else ONLY_CHANCE
    )


def _degrees(df: int) -> str:
    return plural(df, "degree of freedom", "degrees of freedom")


def _did(outcome: str) -> str:
    return "were active" if outcome == "active" else outcome.replace("_", " ")


def _hidden(total: int, seen: int) -> str:
    return f" {total - seen:,} of {plural(total, 'group')} cannot be shown." if seen < total else ""


def _listed(parts: Sequence[str]) -> str:
    """Join parts as in a sentence: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
