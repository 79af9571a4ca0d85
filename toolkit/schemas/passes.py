"""What counts as a pass: one definition for every table and every analysis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.errors import ArgumentError
from toolkit.schemas.arguments import as_given

PassRule: TypeAlias = Literal["letter"] | Collection[str] | float | Mapping[str, float]
"""See `passes`."""

FAILING = ("F", "Fail", "Failed", "Not Passing", "Not Passed")
# Unicode's white space, spelt out: `\s` differs between engines.
SPACES = "".join(
    map(chr, [9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028])
) + "".join(map(chr, [0x2029, 0x202F, 0x205F, 0x3000]))


def passes(rule: PassRule = "letter") -> nw.Expr:
    """Decide from `letter_grade` or `percent_grade` whether a record is a pass; never null.

    Args:
        rule: "letter": any letter grade but F, Fail, Failed, Not Passing and Not Passed. A
            collection of letters: any of these. A number: a percent_grade of at least this mark,
            a fraction. A mapping: a mark for each course_id. Case and spaces in letters make no
            difference. An empty letter counts as none.

    Examples:
        >>> import polars as pl
        >>> grades = pl.DataFrame({"letter_grade": ["A", "not passing", " ", None]})
        >>> nw.from_native(grades).with_columns(passed=passes()).to_native()["passed"].to_list()
        [True, False, False, False]
    """
    checked = _checked(rule)
    letter = nw.col("letter_grade").str.replace_all(f"[{SPACES}]+", "").str.to_lowercase()
    if checked == "letter":
        passed = ~letter.is_in(["", *map(_folded, FAILING)])
    elif isinstance(checked, frozenset):
        passed = letter.is_in(sorted(map(_folded, checked)))
    elif isinstance(checked, float):
        passed = _reaches(checked)
    else:
        of_mark: dict[float, list[str]] = {}
        for course, mark in checked.items():
            of_mark.setdefault(mark, []).append(course)
        passed = nw.any_horizontal(
            *(nw.col("course_id").is_in(c) & _reaches(m) for m, c in of_mark.items()),
            ignore_nulls=False,
        )
    return nw.when(passed).then(nw.lit(True)).otherwise(nw.lit(False))  # noqa: FBT003


def with_passed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Append `passed` to a frame of grades; leave frames of other resources as they are."""
    if "letter_grade" not in frame.collect_schema():
        return frame
    return nw.from_native(frame).with_columns(passed=passes()).to_native()


def pass_rule_in_words(rule: PassRule) -> str:
    """Say what counts as a pass, for captions: "Passed: …".

    Examples:
        >>> pass_rule_in_words(0.6)
        'a grade of 60% or more'
    """
    checked = _checked(rule)
    if checked == "letter":
        return f"a letter grade other than {', '.join(FAILING[:-1])} or {FAILING[-1]}"
    if isinstance(checked, frozenset):
        *others, last = sorted(checked)
        return f"the letter grade {', '.join(others)}{' or ' if others else ''}{last}"
    if isinstance(checked, float):
        return f"a grade of {percent_of(checked)} or more"
    marks = sorted(set(checked.values()))
    span = " to ".join(percent_of(mark) for mark in dict.fromkeys([marks[0], marks[-1]]))
    return f"a grade of the course's mark or more ({span})"


def _checked(rule: object) -> Literal["letter"] | frozenset[str] | float | dict[str, float]:
    if isinstance(rule, str) and rule == "letter":
        return "letter"
    if isinstance(rule, Mapping) and rule and all(isinstance(course, str) for course in rule):
        return {course: _mark(mark) for course, mark in rule.items()}
    if isinstance(rule, int | float) and not isinstance(rule, bool):
        return _mark(rule)
    if isinstance(rule, Collection) and not isinstance(rule, str | bytes | Mapping):
        letters = list(rule)
        if letters and all(isinstance(letter, str) and _folded(letter) for letter in letters):
            return frozenset(letters)
    raise ArgumentError(
        'pass_rule must be "letter", a set of letters such as {"A", "B"}, a mark such as 0.6, or '
        f"a mark for each course_id, not {as_given(rule)}"
    )


def _mark(mark: object) -> float:
    if isinstance(mark, int | float) and not isinstance(mark, bool) and 0 < mark <= 1:
        return float(mark)
    raise ArgumentError(
        f"a pass mark is a fraction above 0 and at most 1, such as 0.6, not {as_given(mark)}"
    )


def _folded(letter: str) -> str:
    return "".join(character for character in letter if character not in SPACES).lower()


def _reaches(mark: float) -> nw.Expr:
    grade = nw.col("percent_grade").cast(nw.Float64)
    return (grade >= mark) & grade.is_finite()  # NaN is greater than every mark in some engines


def percent_of(mark: float) -> str:
    """Write a threshold as it was given, in percent: 0.125 is "12.5%"."""
    return f"{mark * 100:.6g}%"
