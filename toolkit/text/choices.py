"""Headlines with ranks, and sentences, for each choice of course and cohort."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

import polars as pl

from toolkit.results.result import Released
from toolkit.text import naming, words
from toolkit.text.losses import Loss, largest_losses

ALL = "all"  # the cohort of all learners
NOBODY = "no learners"
UNDATED = "too many dates missing to show"
RATE = "pass_rate_of_enrolled"
FEWEST = 3  # courses that a median needs

Pair = tuple[str, str]


def unknown(released: Released, pairs: list[Pair]) -> dict[Pair, str]:
    """Say why a course and cohort has nothing to show: no learners, or too few."""
    frame = released.frame
    known = dict(
        zip(frame.select("course", "cohort").rows(), frame["n_enrolled"].to_list(), strict=True)
    )
    return {
        pair: words.NOTHING if known.get(pair, 0) is None else NOBODY
        for pair in pairs
        if not known.get(pair)
    }


def statements(outcomes: Released, funnel: Released, pairs: list[Pair]) -> list[dict[str, str]]:
    """Write a headline and a sentence for each choice: `course`, `cohort`, `headline`, `text`."""
    missing, losses = unknown(outcomes, pairs), largest_losses(funnel)
    of_cohort: dict[object, list[float]] = defaultdict(list)
    for (_, cohort), loss in losses.items():
        of_cohort[cohort].append(loss.share)
    ranked = outcomes.frame.with_columns(
        n_known=pl.col(RATE).count().over("cohort"),
        better=pl.col(RATE).rank("min", descending=True).over("cohort") - 1,
        worse=pl.col(RATE).rank("min").over("cohort") - 1,
    )
    rows = {(row["course"], row["cohort"]): row for row in ranked.iter_rows(named=True)}
    found: list[dict[str, str]] = []
    for course, cohort in pairs:
        choice = {"course": course, "cohort": cohort}
        whom = naming.shortened(naming.name(course)) + ("" if cohort == ALL else f", {cohort}")
        row = rows.get((course, cohort))
        if row is None or (course, cohort) in missing:
            found.append({**choice, "headline": f"{whom}: {missing[(course, cohort)]}", "text": ""})
            continue
        rate = words.share(row, RATE, outcomes)
        passed = words.NOTHING if rate == words.ABSENT else f"{rate} passed"
        headline = f"{whom}: {passed}{_rank(row)}"
        interval = words.interval(row, RATE, outcomes)
        sentences = [
            f"Of {row['n_enrolled']:,} enrolled, "
            f"{words.share(row, 'active_rate_of_enrolled', outcomes)} were active and {rate} "
            f"passed{words.in_brackets(interval, outcomes)}.",
            _loss(losses.get((course, cohort)), of_cohort[cohort]),
        ]
        found.append({**choice, "headline": headline, "text": " ".join(filter(None, sentences))})
    return found


def _rank(row: dict[str, Any]) -> str:
    """Write the place of a course: ", lowest of 22"."""
    n = row["n_known"]
    if row[RATE] is None or n < 2:
        return ""
    better, worse = row["better"], row["worse"]
    if better == 0 and worse == 0:
        return f", as in all {n} courses"
    place = "highest" if better == 0 else "lowest" if worse == 0 else f"{_nth(better + 1)} highest"
    return f", {place} of {n}"


def _nth(n: int) -> str:
    last = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in {11, 12, 13} else "th"
    return f"{n}{last}"


def _loss(loss: Loss | None, shares: list[float]) -> str:
    """Say where the course loses most, and how that loss ranks among those of all courses."""
    if loss is None:
        return ""
    text = f"Largest loss: {loss.words}"
    if len(shares) < FEWEST:
        return f"{text}."
    typical = words.percent(median(shares))
    more = sum(share > loss.share for share in shares)
    rank = "largest" if more == 0 else f"{_nth(more + 1)} largest"
    return f"{text}, the {rank} of {len(shares)} courses; the median of them is {typical}."
