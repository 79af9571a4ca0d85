"""Narratives of counted results. Nothing here computes a statistic.

Each function takes a released result, so a sentence can contain only what may be shown.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from toolkit.results.registry import NOBODY_MOVED
from toolkit.results.result import Released
from toolkit.schemas import Role
from toolkit.schemas.outcome_results import ANY_COURSE, PASSED_ASIDE
from toolkit.text import left_out, naming, words
from toolkit.text.losses import largest_losses, most_common
from toolkit.text.words import Row, count_text, interval, listed, percent, plural, share


def outcomes(released: Released) -> str:
    """Say how many enrolled, were active and passed; for several groups, the lowest and highest."""
    rate, every = "pass_rate_of_enrolled", naming.of_rows(released)
    frame = every.filter(~pl.col("is_total")) if "is_total" in released.by else every
    totals = every.filter(pl.col("is_total")) if "is_total" in released.by else frame
    others = left_out.sentence(totals["n_not_enrolled"], "without an enrollment", released)
    frame = totals if frame.is_empty() else frame
    if frame.height == 1:
        return f"{_one_outcome(frame.row(0, named=True), released)}{others}"
    return f"{extremes(frame, rate, released, 'The share of the enrolled who passed')}{others}"


def _one_outcome(row: Row, released: Released) -> str:
    n, min_n = row["n_enrolled"], released.min_n
    by = {*released.by} - {"is_total"}
    where = row["_name"] if by and not row.get("is_total") else ""
    if not n:
        return f"{where}: {words.NOTHING}." if where else words.too_few(released)
    rate = "pass_rate_of_enrolled"
    active = share(row, "pass_rate_of_active", released)
    text = (
        f"Of {plural(n, 'enrollment')}{f' in {where}' if where else ''}, "
        f"{count_text(row['n_active'], min_n)} "
        f"({share(row, 'active_rate_of_enrolled', released)}) were active and "
        f"{count_text(row['n_passed'], min_n)} led to a pass: {share(row, rate, released)} of the "
        f"enrolled{words.in_brackets(interval(row, rate, released), released)}"
    )
    text += f" and {active} of the active." if active != words.ABSENT else "."
    return text


def funnel(released: Released) -> str:
    """Say after which stage most learners are lost."""
    losses = largest_losses(released)
    if not losses:
        return words.too_few(released)
    if released.by:
        total = released.frame.select(released.by).n_unique()
        where = most_common(losses, released.by)
        return f"Most learners are lost between {where}.{words.hidden(total, len(losses))}"
    [loss] = losses.values()
    row = released.frame.row(by_predicate=pl.col("stage") == loss.stage, named=True)
    n = row["n_reached"]
    text = (
        f"Most learners are lost between {loss.before} and {loss.stage}: of "
        f"{row['n_previous']:,}, {count_text(n, released.min_n)} {'goes' if n == 1 else 'go'} on, "
        f"{share(row, 'rate_of_previous', released)}"
        f"{words.in_brackets(interval(row, 'rate_of_previous', released), released)}."
    )
    aside = released.frame.filter(stage=PASSED_ASIDE)["n_reached"].to_list()
    return text + (f" {aside[0]:,} {PASSED_ASIDE}." if aside and aside[0] else "")


def distribution(released: Released) -> str:
    """Say how many learners have no value or zero, and where most lie."""
    frame = released.frame
    what = "grade" if frame.item(0, "measure") == "percent_grade" else "completion"
    if released.by:
        zeros = naming.of_rows(released).filter(pl.col("part") == "zero")
        about = f"The share of the enrolled with a {what} of 0"
        return extremes(zeros, "share_of_enrolled", released, about)
    parts = {row["part"]: row for row in frame.iter_rows(named=True) if row["part"] != "bin"}
    n_enrolled = frame.item(0, "n_enrolled")
    if n_enrolled is None:
        return words.too_few(released)
    phrases = [
        f"{parts[part]['n_learners']:,} ({share(parts[part], 'share_of_enrolled', released)}) "
        f"have {words_of}"
        for part, words_of in (("missing", f"no {what}"), ("zero", f"a {what} of 0"))
        if part in parts and parts[part]["n_learners"]
    ]
    bins = frame.filter(pl.col("part") == "bin", pl.col("n_learners") > 0)
    if bins.height:
        top = bins.sort("n_learners", descending=True, maintain_order=True).row(0, named=True)
        span = words.between(percent(top["bin_low"]), percent(top["bin_high"]))
        phrases.append(f"the most common range above 0 is {span}, with {top['n_learners']:,}")
    if not phrases:
        return words.too_few(released)
    return f"Of {plural(n_enrolled, 'enrollment')}, {'; '.join(phrases)}."


def cohort_progress(released: Released) -> str:
    """Say how far apart the cohorts are at the same time since enrollment."""
    frame = released.frame
    outcome = frame.item(0, "outcome")
    seen = frame.filter(pl.col("reach_rate").is_not_null())
    if seen.is_empty():
        if frame["status"].str.starts_with("withheld").any():
            return f"{words.TOO_FEW}{_excluded(released)}"
        if frame["cohort"].null_count() == frame.height:
            return f"There are no cohorts, since no enrollment has a date.{_excluded(released)}"
        why = "No cohort has been observed for a whole period yet."
        return words.too_few(released, f"{why}{_excluded(released)}")
    # The longest time for which half of the cohorts have been observed.
    lengths = seen.group_by("days").len().sort("days")
    days = lengths.filter(pl.col("len") >= pl.col("len").max() / 2)["days"][-1]
    ranked = seen.filter(days=days).sort("reach_rate", maintain_order=True)
    names = naming.cohorts(released.whole["cohort"])
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    at = f"{plural(days, 'day')} after enrollment, "
    if ranked.height == 1:
        return (
            f"{at}{_rate(low, 'reach_rate', released)} of those enrolled from "
            f"{names[low['cohort']]} had {outcome}.{_excluded(released)}"
        )
    least, most = (
        f"{_rate(row, 'reach_rate', released)} of those enrolled from "
        f"{_cohort(row, names, released)}"
        for row in (low, high)
    )
    return (
        f"{at}the share who had {outcome} is lowest at {least} and highest at {most}."
        f"{_excluded(released)}"
    )


def _cohort(row: Row, names: dict[Any, str], released: Released) -> str:
    groups = [naming.name(row[name], name) for name in released.by]
    return ", ".join([names[row["cohort"]], *groups])


def _excluded(released: Released) -> str:
    once = released.frame.unique([*released.by, "cohort"], maintain_order=True)["n_excluded"]
    what = "whose time to the outcome is unknown"
    return left_out.sentence(once, what, released, group="cohort")


def repeats(released: Released) -> str:
    """Say in which course most learners enroll again, and how many of them pass in a later run."""
    seen = released.frame.filter(pl.col("n_repeaters") > 0)
    if seen.is_empty():
        return words.too_few(released, "Too few learners enroll again in any course to show.")
    row = seen.sort("n_repeaters", descending=True, maintain_order=True).row(0, named=True)
    later = count_text(row["n_passed_later"], released.min_n)
    what = "who enroll again, without a date of it"
    undated = left_out.sentence(released.frame["n_undated"], what, released, group="course")
    return (
        f"Most learners enroll again in {naming.name(row['course'])}: {row['n_repeaters']:,} of "
        f"{count_text(row['n_learners'], released.min_n)}; {later} of them passed in a later run, "
        f"not in their first.{undated}"
    )


def transitions(released: Released) -> str:
    """Say between which two courses the largest share of learners goes on."""
    named = pl.col("to_course") != ANY_COURSE
    seen = released.frame.filter(pl.col("move_rate").is_not_null(), named)
    if seen.is_empty():
        return words.too_few(released, NOBODY_MOVED)
    row = seen.sort("move_rate", descending=True, maintain_order=True).row(0, named=True)
    passed = f"{plural(row['n_passed'], 'learner')} who passed {naming.name(row['from_course'])}"
    went_on = f"went on to {naming.name(row['to_course'])}"
    return f"Of the {passed}, {_rate(row, 'move_rate', released)} {went_on}."


def match_counts(released: Released) -> str:
    """Say how many records the resources share, and which lack some."""
    parts = {"in_grades": "grades", "in_enrollments": "enrollments", "in_completion": "completion"}
    phrases = [
        f"{row['n_records']:,} in {listed([word for name, word in parts.items() if row[name]])}"
        for row in released.frame.sort("n_records", descending=True).iter_rows(named=True)
        if row["n_records"]
    ]
    if not phrases:
        return words.too_few(released)
    undated = int(released.frame["n_passes_undated"].sum())
    about = "" if released.min_n is None else "About "
    of_them = f" {about}{plural(undated, 'pass has', 'passes have')} no time." if undated else ""
    return f"Records, one per learner per course: {'; '.join(phrases)}.{of_them}"


def change_counts(released: Released) -> str:
    """Say what changed most often from one snapshot to the next."""
    totals = (
        released.frame.group_by("change")
        .agg(pl.col("n_learners").sum())
        .filter(pl.col("n_learners") > 0)
        .sort("n_learners", "change", descending=[True, False])
    )
    if totals.is_empty():
        return words.too_few(released, "Too few records changed in any course to show.")
    about = "" if released.min_n is None else "about "
    phrases = [f"{change} ({about}{n:,})" for change, n in totals.iter_rows()]
    return f"Changes, in the courses where they can be shown: {listed(phrases)}."


def user_result(released: Released) -> str:
    """Say how large a user's own counts are; for rates, name the lowest and highest."""
    rates = [name for name in released.schema.names if released.schema.interval_of(name)]
    frame = released.frame
    if rates:
        about = f"The share {rates[0].removesuffix('_rate').replace('_', ' ')}"
        return extremes(naming.of_rows(released), rates[0], released, about)
    counts = released.schema.of_role(Role.COUNT)
    about = "" if released.min_n is None else "about "
    phrases = [
        f"{about}{frame[name].sum():,} {name.removeprefix('n_').replace('_', ' ')}"
        for name in counts
        if frame[name].sum()
    ]
    if not phrases:
        return words.too_few(released)
    return f"Over {plural(frame.height, 'group')}: {listed(phrases)}."


def extremes(frame: pl.DataFrame, rate: str, released: Released, about: str) -> str:
    """Name a rate's lowest and highest group, with intervals; say how many cannot be shown."""
    ranked = frame.filter(pl.col(rate).is_not_null())
    ranked = ranked.sort(rate, "_name", descending=[False, True])  # as charts do
    hidden = words.hidden(frame.height, ranked.height)
    if ranked.is_empty():
        return words.too_few(released, f"{words.TOO_FEW}{hidden}")
    low, high = ranked.row(0, named=True), ranked.row(-1, named=True)
    if ranked.height == 1:
        return f"{about} is {_rate(low, rate, released)} in {low['_name']}.{hidden}"
    return (
        f"{about} ranges from {_rate(low, rate, released)} in {low['_name']} to "
        f"{_rate(high, rate, released)} in {high['_name']}, over {plural(ranked.height, 'group')}."
        f"{hidden}"
    )


def _rate(row: Row, rate: str, released: Released) -> str:
    return (
        f"{share(row, rate, released)}{words.in_brackets(interval(row, rate, released), released)}"
    )
