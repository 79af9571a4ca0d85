"""A study is taken wherever its person_course frame is."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import toolkit as tk


@pytest.fixture(scope="module")
def study() -> tk.Study:
    with tk.sandbox(learners=120) as platform:
        return tk.load_study(platform)


@pytest.mark.parametrize(
    "analysis",
    [
        tk.match_counts,
        tk.outcomes,
        tk.completion_funnel,
        tk.grade_distribution,
        tk.completion_distribution,
        tk.cohort_progress,
        lambda pc: tk.compare_groups(pc, by="mode").pairs,
        lambda pc: tk.learner_paths(pc).transitions,
        tk.time_to_pass,
    ],
)
def test_a_study_gives_what_its_frame_gives(
    analysis: Callable[[object], tk.Result | pl.DataFrame], study: tk.Study
) -> None:
    of_study, of_frame = analysis(study), analysis(study.person_course)
    if isinstance(of_study, tk.Result):
        of_study, of_frame = of_study.frame, of_frame.frame
    assert_frame_equal(of_study, of_frame)


def test_a_study_is_checked_with_its_problems_and_its_clock(study: tk.Study) -> None:
    by_name = tk.check(
        grades=study.grades,
        enrollments=study.enrollments,
        completion=study.completion,
        problems=study.problems,
        as_of=study.as_of,
    )
    assert_frame_equal(tk.check(study).table, by_name.table)
    assert not tk.check(study, as_of="2020-01-01").table.equals(by_name.table)
    with pytest.raises(tk.errors.ArgumentError, match="check takes a study, or frames by name"):
        tk.check(study.grades)
