"""The courses of a report's first page: one row each, best first, all from released results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import polars as pl

from toolkit.analyses.outcomes import completion_funnel, outcomes
from toolkit.release.tables import SHOWN
from toolkit.reports.figures import drawable
from toolkit.reports.language import Language, read_language
from toolkit.results.result import Released
from toolkit.snapshots.snapshot import Snapshot, open_earlier
from toolkit.study import LazyStudy, Study, scan_study
from toolkit.survival.durations import time_to_pass
from toolkit.survival.kaplan_meier import kaplan_meier
from toolkit.survival.summary import survival_summary
from toolkit.text import naming, words
from toolkit.text.choices import RATE
from toolkit.text.curves import end
from toolkit.text.losses import Loss, largest_losses

HORIZON = 540  # days after enrollment at which the small curves end
EACH = 15  # of many courses, only as many highest and lowest are shown; search finds the others
MANY = 40


@dataclass(frozen=True)
class Figure:
    """A cell of the table: how it is written, and what it is sorted by."""

    text: str  # the figure as written, or why there is none
    value: float | None = None  # what it is sorted by; None goes last


@dataclass(frozen=True)
class Course:
    """One course of the first page."""

    name: str  # its title, cut in the middle if it is long
    full: str  # its whole title, which identifies it in the explorer
    learners: Figure  # how many are enrolled
    rate: Figure  # the share of them who passed, with its interval
    low: float | None  # the lower end of that interval
    high: float | None  # the upper end
    loss: Figure  # the step at which most learners are lost
    days: Figure  # the median of days to pass
    curve: Sequence[tuple[float, float]]  # days since enrollment, and who passed by then
    drift: Figure | None = None  # of the pass rate since the previous snapshot, if there is one
    say: Language = field(default_factory=read_language, repr=False)  # the language of its texts

    @property
    def anchor(self) -> str:
        """The fragment of the explorer's address that chooses the course."""
        return f"#course={quote(drawable(self.full), safe='')}"

    @property
    def curve_in_words(self) -> str:
        """The curve in words, for readers who cannot see it."""
        if not self.curve:
            return self.days.text
        day, share = self.curve[-1]
        return self.say("courses.by_day", share=words.percent(share), day=words.days(day))


@dataclass(frozen=True)
class Courses:
    """All courses, best first; those whose pass rate is not known last."""

    rows: list[Course]
    answer: str  # which course loses most learners, where, and how that compares
    since: str  # the date of the snapshot that pass rates are compared with, or nothing
    min_n: int | None  # the smallest count that is shown

    @cached_property
    def top(self) -> float:
        """The right end of the axis that all pass rates share: a round share."""
        most = max((row.high for row in self.rows if row.high is not None), default=1.0)
        return _round_up(most)

    @cached_property
    def median(self) -> float | None:
        """The median of the pass rates."""
        return _median([row.rate.value for row in self.rows])

    @cached_property
    def top_of_curves(self) -> float:
        """The upper end of the axis that all small curves share."""
        return _round_up(max((share for row in self.rows for _, share in row.curve), default=1.0))

    @property
    def median_in_words(self) -> str:
        """The median of the pass rates as written."""
        return "" if self.median is None else words.percent(self.median)

    @property
    def n_unknown(self) -> int:
        """How many courses have too few learners for a pass rate."""
        return sum(row.rate.value is None for row in self.rows)

    @property
    def shown_first(self) -> set[int]:
        """The places shown before a search: all, or of many the first and last that are known."""
        if len(self.rows) <= MANY:
            return set(range(len(self.rows)))
        known = len(self.rows) - self.n_unknown
        return {*range(min(EACH, known)), *range(max(0, known - EACH), known)}


def read_courses(
    study: Study | LazyStudy,
    *,
    before: Study | LazyStudy | None = None,
    say: Language | None = None,
) -> Courses:
    """Summarize each course; runs of the same title are one course, as in the course explorer.

    Pass rates are compared with those of an earlier study of the same learners.
    """
    say = say or read_language()
    too_few = Figure(say("courses.too_few"))
    learners = study.person_course.with_columns(course="display_name")
    rates = outcomes(learners, by="course").release()
    losses = largest_losses(completion_funnel(learners, by="course").release())
    of_title = ["course_id", "course"]  # a course that was renamed has two
    durations = time_to_pass(learners, undated="leave_out", undated_by=of_title)
    timed = survival_summary(durations, by="course", milestones=()).filter(statistic="median")
    medians = {row["course"]: row for row in timed.release().frame.iter_rows(named=True)}
    curves = _curves(
        kaplan_meier(durations, by="course", times=range(0, HORIZON + 1, 30)).release()
    )
    drifts = {} if before is None else _drifts(rates, before, say)

    known = rates.sort(
        [RATE, "n_enrolled", "course"], descending=[True, True, False], nulls_last=True
    )
    names = naming.distinct([naming.name(name) for name in known.frame["course"]])
    rows = []
    for row, name in zip(known.frame.iter_rows(named=True), names, strict=True):
        title = row["course"]
        loss = losses.get((title,))
        rows.append(
            Course(
                name,
                title,
                Figure(words.count(row["n_enrolled"], rates.min_n), row["n_enrolled"]),
                _rate(row, rates, say),
                row[f"{RATE}_ci_low"],
                row[f"{RATE}_ci_high"],
                too_few if loss is None else Figure(lost(loss, say), loss.share),
                too_few if row["n_enrolled"] is None else _days(medians.get(title), say),
                curves.get(title, []),
                None if before is None else drifts.get(title, too_few),
                say,
            )
        )
    since = "" if before is None else words.day(before.as_of.date())
    in_order = {row.full: losses[(row.full,)] for row in rows if (row.full,) in losses}
    return Courses(rows, most_lost(in_order), since, rates.min_n)


def study_before(
    source: object, course_id: str | None = None, joins: Path | None = None
) -> LazyStudy | None:
    """Return the study of the latest older snapshot beside a snapshot; None if there is none."""
    before = open_earlier(source) if isinstance(source, Snapshot) else None
    return None if before is None else scan_study(before, course_id=course_id, joins=joins)


def most_lost(losses: dict[str, Loss]) -> str:
    """Say which course loses most learners, where, and how that compares with the others.

    Examples:
        >>> half = Loss("active", "half-way", 0.5, "50%", "")
        >>> third = Loss("active", "half-way", 0.3, "30%", "")
        >>> print(most_lost({"Algebra": half, "Botany": third}))
        Algebra loses most learners at one step: 50% of the active, before half-way. Next is
        Botany: 30% of the active, before half-way. The median of the largest losses of 2 courses
        is 40%.
    """
    ranked = sorted(losses.items(), key=lambda pair: -pair[1].share)
    if not ranked:
        return ""
    worst, loss = ranked[0]
    interval = f" (95% interval {loss.interval})" if loss.interval else ""
    course = naming.shortened(naming.name(worst))
    if len(ranked) == 1:
        return f"Most learners are lost in {course}: {loss.words}{interval}."
    alike = sum(other.share == loss.share for _, other in ranked)
    text = f"{course} loses most learners at one step: {loss.words}{interval}."
    if alike > 1:
        others = words.plural(alike - 1, "other course loses", "other courses lose")
        text = f"{text} {others} as many."
    elif alike < len(ranked):
        second, next_loss = ranked[1]
        text = f"{text} Next is {naming.shortened(naming.name(second))}: {next_loss.words}."
    middle = words.percent(_median([one.share for one in losses.values()]) or 0.0)
    return (
        f"{text} The median of the largest losses of {words.plural(len(ranked), 'course')} "
        f"is {middle}."
    )


def lost(loss: Loss, say: Language) -> str:
    """Write a loss in the report's language."""
    before, stage = say.named("those", loss.before), say.named("stages", loss.stage)
    return say("courses.lost", share=loss.percent, before=before, stage=stage)


def _rate(row: dict[str, Any], rates: Released, say: Language) -> Figure:
    text, interval = words.share(row, RATE, rates), words.interval(row, RATE, rates)
    if row["n_enrolled"] is None or text == words.ABSENT:
        return Figure(say("courses.too_few"))
    return Figure(words.with_interval(text, interval), row[RATE])


def _days(row: dict[str, Any] | None, say: Language) -> Figure:
    if row is None or row["n_learners"] is None:
        is_few = row is None or row["n_excluded"] is None
        return Figure(say("courses.too_few" if is_few else "courses.undated"))
    if row["estimate"] is None:
        is_shown = row["status"] == SHOWN
        return Figure(say("courses.not_reached" if is_shown else "courses.too_few_left"))
    interval = words.written_interval(row["ci_low"], row["ci_high"], words.days)
    return Figure(words.with_interval(words.days(row["estimate"]), interval), row["estimate"])


def _curves(released: Released) -> dict[str, list[tuple[float, float]]]:
    seen = released.frame.filter(pl.col("survival").is_not_null())
    parts = seen.partition_by("course", as_dict=True, maintain_order=True)
    return {
        str(title): [
            (day, 1 - survival)
            for day, survival in part.select("duration", "survival").rows()
            if day <= end(part, "survival")
        ]
        for (title,), part in parts.items()
        if (part["survival"] < 1).any()  # else a line along the axis would say that nobody passed
    }


def _drifts(now: Released, before: Study | LazyStudy, say: Language) -> dict[str, Figure]:
    """Return how each course's pass rate changed, from the released rates of both moments."""
    then = outcomes(before.person_course.with_columns(course="display_name"), by="course").release()
    earlier = dict(then.frame.select("course", RATE).iter_rows())
    found = {}
    for title, rate in now.frame.select("course", RATE).iter_rows():
        if title not in earlier:
            found[title] = Figure(say("courses.new"))
        elif rate is not None and earlier[title] is not None:
            difference = rate - earlier[title]
            found[title] = Figure(words.points(difference), difference)
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _round_up(share: float) -> float:
    """Round up to a tenth, at most 1."""
    return min(1.0, -(-round(share * 100) // 10) / 10) or 0.1
