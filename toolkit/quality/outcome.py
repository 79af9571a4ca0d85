"""The outcome of one check: passed, failed or not run, and for how many records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from toolkit.errors import QualityError
from toolkit.quality.checks import SEVERITIES, Check, Severity, checks
from toolkit.quality.gx.engine import PSEUDONYM
from toolkit.quality.gx.library import (
    ExpectationConfiguration,
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
    FailureSeverity,
)
from toolkit.release.rounding import DIGITS, MIN_N, release_number
from toolkit.schemas.arguments import one_of
from toolkit.text.naming import clean

EXAMPLES = "partial_unexpected_index_list"
LISTED = "listed in tk.check(…).failures"
NOTHING_CHECKED = "no record to check"
_FOUND = "found "
_OF_ONE = re.compile(r"_(min|max|quantile_values)_")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check."""

    frame: str  # the frame that was checked
    check: str  # its name
    severity: Severity  # how serious a failure is
    status: str  # "passed", "failed" or "not run"
    n_checked: int | None  # rows that were checked; null if the check is of the whole frame
    n_unexpected: int | None  # rows that break the expectation; null likewise
    expects: str  # what is true of clean data
    why: str  # what a failure means for the figures
    do: str  # what to do about it
    detail: str  # some of the failing keys, pseudonymous; or what was found; or why it was not run
    result: ExpectationValidationResult | None = None  # Great Expectations' own, if asked

    @property
    def amount(self) -> str:
        """How many rows break the expectation, of how many; otherwise what was found."""
        if self.result is None or "unexpected_count" not in (self.result.result or {}):
            return self.detail
        few = f"fewer than {MIN_N}"
        n, whole = ((few if n is None else f"{n:,}") for n in (self.n_unexpected, self.n_checked))
        return n if whole == few else f"{n} of {whole}"

    def released(self, n_unexpected: int | None, n_checked: int | None) -> Outcome:
        """Return it with released counts and, if these are withheld, without keys of records."""
        examples = (self.result.result or {}).get(EXAMPLES) if self.result else None
        detail = LISTED if n_unexpected is None and examples else self.detail
        if self.result is not None and detail.startswith(_FOUND):
            detail = f"{_FOUND}{observed(self.result)}"
        if self.status == "passed" and self.n_unexpected == 0:
            n_unexpected = 0
        return replace(
            self,
            n_unexpected=n_unexpected,
            n_checked=n_checked,
            expects=clean(self.expects),
            detail=clean(detail),
        )


def worst_first(outcomes: Iterable[Outcome], severity: Severity = "info") -> list[Outcome]:
    """Return the failed checks at or above a severity, the worst first."""
    one_of(severity, SEVERITIES, name="severity")
    levels = SEVERITIES[: SEVERITIES.index(severity) + 1]
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    return [outcome for level in levels for outcome in failed if outcome.severity == level]


def outcomes_of(result: ExpectationSuiteValidationResult) -> Iterator[Outcome]:
    """Yield the outcomes of a frame's suite, in the order of `checks.toml`."""
    frame = result.suite_name
    order = {check.name: place for place, check in enumerate(checks(frame))}
    found = [_outcome(frame, single) for single in result.results]
    yield from sorted(found, key=lambda outcome: order.get(outcome.check, len(order)))


def _outcome(frame: str, result: ExpectationValidationResult) -> Outcome:
    config, found = config_of(result), result.result or {}
    meta = config.meta or {}
    n_checked = found.get("element_count")
    is_run = n_checked != 0
    if n_checked:
        n_checked -= found.get("missing_count") or 0
    return Outcome(
        frame=frame,
        check=meta.get("check") or config.type.removeprefix("expect_"),
        severity=FailureSeverity(config.severity).value,
        status=("passed" if result.success else "failed") if is_run else "not run",
        n_checked=n_checked if is_run else None,
        n_unexpected=found.get("unexpected_count") if is_run else None,
        expects=config.description or _in_words(config),
        why=meta.get("why", ""),
        do=meta.get("do", ""),
        detail=("" if result.success else _detail(result)) if is_run else NOTHING_CHECKED,
        result=result,
    )


def config_of(result: ExpectationValidationResult) -> ExpectationConfiguration:
    """Return the expectation that a result belongs to."""
    if result.expectation_config is None:
        raise QualityError("Great Expectations returned a result without its expectation")
    return result.expectation_config


def _in_words(config: ExpectationConfiguration) -> str:
    said = {k: v for k, v in config.kwargs.items() if k != "batch_id" and v is not None}
    arguments = ", ".join(f"{name}={value!r}" for name, value in said.items())
    return f"{config.type.removeprefix('expect_').replace('_', ' ')} ({arguments})"


def _detail(result: ExpectationValidationResult) -> str:
    """Return examples, else what was observed, else why it could not be computed."""
    found = result.result or {}
    if examples := found.get(EXAMPLES):
        key = found.get("unexpected_index_column_names") or list(examples[0])
        return ", ".join(" ".join(_short(row[k]) for k in key if k in row) for row in examples)
    if details := found.get("details"):
        return ", ".join(f"{name}: {wrong['found']}" for name, wrong in details.items())
    if "observed_value" in found:
        return f"{_FOUND}{found['observed_value']}"
    raised = result.exception_info or {}  # of the expectation itself, or by its metrics
    messages = {
        info["exception_message"]
        for info in (raised, *raised.values())
        if isinstance(info, dict) and info.get("exception_message")
    }
    return "not computed: " + "; ".join(sorted(messages))


def observed(result: ExpectationValidationResult) -> Any:
    """Return what was found of a whole frame as it may be shown.

    A count is rounded, a mean or another statistic has two digits, and a minimum or maximum, which
    is one learner's value, is withheld.
    """
    found = (result.result or {}).get("observed_value")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return found
    if _OF_ONE.search(config_of(result).type):
        return "a value that is withheld"
    if isinstance(found, float):
        return float(f"{found:.{DIGITS}g}")
    shown = release_number(found)
    return f"fewer than {MIN_N}" if shown is None else f"about {shown:,}"


def _short(value: object) -> str:
    """Shorten a pseudonym to its first digits; leave anything else as it is."""
    text = str(value)
    return text[:10] if PSEUDONYM.fullmatch(text) else text


def left_out(check: Check, reason: str) -> Outcome:
    """Return the outcome of a check that was not run."""
    return Outcome(
        frame=check.frame,
        check=check.name,
        severity=check.severity,
        status="not run",
        n_checked=None,
        n_unexpected=None,
        expects=check.expects,
        why=check.why,
        do=check.do,
        detail=reason,
    )
