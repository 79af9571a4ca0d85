"""The analyses of known rows that `verify` compares, and how their figures may differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit import survival
from toolkit.analyses.cohorts import cohort_progress, completion_progress
from toolkit.analyses.comparisons import compare_groups
from toolkit.analyses.counting import Frame
from toolkit.analyses.distributions import completion_distribution, grade_distribution
from toolkit.analyses.outcomes import completion_funnel, outcomes
from toolkit.analyses.paths import learner_paths
from toolkit.analyses.person_course import match_counts, person_course
from toolkit.analyses.table_one import table_one
from toolkit.engines.known_rows import (
    AS_OF,
    COURSES,
    NOW,
    clean_durations,
    clean_rows,
    earlier_rows,
    faulty_resources,
    late_durations,
    nasty_durations,
    nasty_resources,
    nasty_rows,
    resources,
)
from toolkit.reports.key_figures import key_figures
from toolkit.results.result import Result
from toolkit.survival.durations import time_to_pass

TOLERANCE = 1e-9
"""The largest difference from the figure of Polars, relative or, for numbers below 1, absolute."""

Put: TypeAlias = Callable[[pl.DataFrame], Frame]
"""Puts rows into an engine, and returns that engine's frame."""


@dataclass(frozen=True)
class Case:
    """An analysis of known rows.

    Keyed figures are released alike in every engine.
    """

    analysis: str
    kind: str
    rows: Callable[[], tuple[pl.DataFrame, ...]]
    call: Callable[..., tuple[Result, ...]]
    is_keyed: bool = True

    @property
    def name(self) -> str:
        """The analysis and its rows: "outcomes of nasty rows"."""
        return f"{self.analysis} of {self.kind}"

    @cached_property
    def in_polars(self) -> tuple[Result, ...]:
        """The results of eager Polars."""
        return self.call(*self.rows())

    def difference(self, put: Put) -> str | None:
        """Say how the figures of an engine, exact or released, first differ from Polars'."""
        results = self.call(*map(put, self.rows()))
        for there, here in zip(results, self.in_polars, strict=True):
            found = difference(there.frame, here.frame)
            if found is None and self.is_keyed:
                found = difference(there.release().frame, here.release().frame)
                found = found and f"released, {found}"
            if found:
                return f"{here.schema.name}: {found}"
        return None


def difference(there: pl.DataFrame, here: pl.DataFrame) -> str | None:
    """Say what first differs between an engine's table and that of Polars; None if nothing."""
    if there.schema != here.schema:
        return f"its columns are {there.schema}, not {here.schema}"
    if there.height != here.height:
        return f"it has {there.height:,} rows, not {here.height:,}"
    for name in here.columns:
        pairs = zip(there[name].to_list(), here[name].to_list(), strict=True)
        for row, (found, right) in enumerate(pairs):
            if not _equal(found, right):
                return f"`{name}` is {found!r} in row {row}, not {right!r}"
    return None


def _equal(found: object, right: object) -> bool:
    if isinstance(found, float) and isinstance(right, float) and not math.isnan(right):
        return math.isclose(found, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return found == right or (found != found and right != right)  # NaN


def _paths(pc: Frame) -> tuple[Result, ...]:
    found = learner_paths(pc)
    return found.repeats, found.transitions


def _comparison(pc: Frame) -> tuple[Result, ...]:
    alone, of_learners = (
        compare_groups(pc, by="course_id", cluster=cluster) for cluster in (None, "username")
    )
    within = compare_groups(pc, by="course_id", strata="mode", cluster="username").within
    found = [result for one in (alone, of_learners) for result in (one.groups, one.pairs, one.test)]
    return (*found, within) if within is not None else tuple(found)


def _timed(pc: Frame) -> tuple[Result, ...]:
    """Compute durations from each origin, with each option for entries, other ends and passes."""
    starts = {course: f"2024-0{i + 1}-01" for i, course in enumerate(COURSES)}
    ways: list[dict[str, Any]] = [
        {},
        {"unit": "weeks", "entry": 4, "as_of": AS_OF - timedelta(days=100)},
        {"origin": starts, "entry": "enrolled", "undated": "bounds"},
        {"competing": {"last seen": "last_date"}},
        {"origin": "last_date", "unit": "hours"},
        {"undated_by": ["course_id", "mode", "completion"]},
        {"origin": starts, "entry": "enrolled", "whole": True},
    ]
    found: list[Result] = []
    for way in ways:
        by = ["course_id", "bound"] if way.get("undated") == "bounds" else ["course_id"]
        durations = _kept(time_to_pass(pc, undated=way.pop("undated", "leave_out"), **way))
        found += [survival.exclusions(durations, by=by), survival.kaplan_meier(durations, by=by)]
        if "competing" in way:
            found.append(survival.cumulative_incidence(durations))
    return tuple(found)


_BY = ["course_id", "mode", "enrolled_month"]
_OF_RECORDS: dict[str, Callable[[Any], tuple[Result, ...]]] = {
    "match_counts": lambda pc: (match_counts(pc),),
    "outcomes": lambda pc: (
        outcomes(pc, by=_BY, totals=True),
        outcomes(pc),
        outcomes(pc, by="mode", cluster="username"),
    ),
    "completion_funnel": lambda pc: (completion_funnel(pc, by=["mode", "enrolled_week"]),),
    "grade_distribution": lambda pc: (grade_distribution(pc, by="course_id", bins=7),),
    "completion_distribution": lambda pc: (completion_distribution(pc, by="enrolled_year"),),
    "cohort_progress": lambda pc: (cohort_progress(pc, by="mode", step="7w", cohort="1q"),),
    "compare_groups": _comparison,
    "learner_paths": _paths,
    "table_one": lambda pc: (
        table_one(pc, by="mode", columns=["course_run", "passed", "completion", "days_to_pass"]),
        table_one(pc, by="enrolled_year"),
    ),
    "time_to_pass": _timed,
    "key_figures": lambda pc: (key_figures(pc),),
}
_WITHIN: Any = {"by": "course_id", "strata": "mode"}
_OF_DURATIONS: dict[str, Callable[[Any], tuple[Result, ...]]] = {
    "exclusions": lambda d: (survival.exclusions(d, by="mode"),),
    "kaplan_meier": lambda d: (
        survival.kaplan_meier(d, by="mode"),
        survival.kaplan_meier(d),
        survival.kaplan_meier(d, by="mode", cluster="username"),
    ),
    "survival_summary": lambda d: (survival.survival_summary(d, by="mode"),),
    "logrank": lambda d: (
        survival.logrank(d, by="course_id", strata="mode"),
        survival.logrank(d, by="mode", cluster="username"),
    ),
    "logrank_pairs": lambda d: (survival.logrank_pairs(d, by="course_id"),),
    "cumulative_incidence": lambda d: (survival.cumulative_incidence(d, by="mode"),),
    "gray_test": lambda d: (survival.gray_test(d, by="mode"),),
    "nelson_aalen": lambda d: (survival.nelson_aalen(d, by="mode"),),
    "smoothed_hazard": lambda d: (survival.smoothed_hazard(d, by="mode"),),
    "milestone_difference": lambda d: (survival.milestone_difference(d, by="mode", at=30),),
    "rmst_difference": lambda d: (survival.rmst_difference(d, by="mode"),),
    "kaplan_meier within strata": lambda d: (survival.kaplan_meier(d, **_WITHIN),),
    "gray_test within strata": lambda d: (survival.gray_test(d, **_WITHIN),),
    "milestone_difference within strata": lambda d: (
        survival.milestone_difference(d, at=30, **_WITHIN),
        survival.milestone_difference(d, at=30, cluster="username", **_WITHIN),
    ),
    "rmst_difference within strata": lambda d: (
        survival.rmst_difference(d, **_WITHIN),
        survival.rmst_difference(d, cluster="username", **_WITHIN),
    ),
}


def _kept(frame: Any) -> Any:
    """Compute a frame of Spark once, though several analyses read it."""
    return frame.cache() if hasattr(frame, "unpersist") else frame


def _from_resources(joined: Any) -> tuple[Result, ...]:
    """Count a joined frame, reading all of its columns."""
    pc = _kept(
        nw.from_native(joined).drop("record_key", strict=False).to_native()
    )  # only Polars has it
    return (
        match_counts(pc),
        outcomes(pc, by=["org", "course_number", "course_run", "display_name"]),
        outcomes(pc, by=["course_id", "mode", "is_active", "enrolled_week"]),
        cohort_progress(pc, step="7w"),
        *_paths(pc),
    )


def _joined(grades: Frame, enrollments: Frame, completion: Frame) -> tuple[Result, ...]:
    return _from_resources(
        person_course(grades, enrollments, completion, as_of=AS_OF, now=NOW, duplicates="latest")
    )


def _parts_joined(grades: Frame, enrollments: Frame, completion: Frame) -> tuple[Result, ...]:
    """Count joins that lack a resource, the first with a mark for each course."""
    options: dict[str, Any] = {"as_of": AS_OF, "now": NOW, "duplicates": "latest"}
    marks = {course: 0.4 + i / 10 for i, course in enumerate([*COURSES, "Org/CS/2020"])}
    return (
        *_from_resources(person_course(grades, enrollments, None, pass_rule=marks, **options)),
        *_from_resources(person_course(None, enrollments, completion, **options)),
    )


def _checks(grades: Frame, enrollments: Frame, completion: Frame) -> tuple[Result, ...]:
    """Check the data; an engine without record keys rounds counts by other draws."""
    from toolkit.quality import check  # it takes seconds to import

    starts = {COURSES[0]: "2025-10-01", COURSES[1]: "2024-02-01", "nowhere": "2024-02-01"}
    resources = {"grades": grades, "enrollments": enrollments, "completion": completion}
    return (check(**resources, as_of=AS_OF, course_starts=starts).failed_checks,)


def _rows(*makers: Callable[[], pl.DataFrame]) -> Callable[[], tuple[pl.DataFrame, ...]]:
    return lambda: tuple(make() for make in makers)


_ROWS = {"clean rows": clean_rows, "nasty rows": nasty_rows}
_DURATIONS = {"clean durations": clean_durations, "nasty durations": nasty_durations}
CASES = [
    *(
        Case(name, kind, _rows(rows), call)
        for kind, rows in _ROWS.items()
        for name, call in _OF_RECORDS.items()
    ),
    *(
        Case(
            "completion_progress",
            kind,
            _rows(earlier_rows, rows),
            lambda *pcs: (completion_progress(pcs, step="7w", by="mode"),),
        )
        for kind, rows in _ROWS.items()
    ),
    *(
        Case(name, kind, _rows(rows), call)
        for kind, rows in _DURATIONS.items()
        for name, call in _OF_DURATIONS.items()
    ),
    *(
        Case(name, kind, rows, call)
        for kind, rows in (("clean resources", resources), ("nasty resources", nasty_resources))
        for name, call in (
            ("person_course", _joined),
            ("person_course without a resource", _parts_joined),
        )
    ),
    *(
        Case("check", kind, rows, _checks, is_keyed=False)
        for kind, rows in (("clean resources", resources), ("nasty resources", faulty_resources))
    ),
    Case("kaplan_meier", "late durations", _rows(late_durations), _OF_DURATIONS["kaplan_meier"]),
]
"""Every analysis that counts where the rows are, on clean and on nasty rows."""
