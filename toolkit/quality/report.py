"""What was checked, what failed, and whose records: `QualityReport`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.registry import get_expectation_impl

from toolkit.errors import QualityError
from toolkit.quality import data_docs, rendering
from toolkit.quality.checks import SEVERITIES, Check, Severity, checks
from toolkit.quality.frames import Checked
from toolkit.quality.gx.conditions import map_question
from toolkit.quality.gx.engine import PSEUDONYM
from toolkit.results.registry import look_up

RECORD = "record"
NO_FAILURE = pl.DataFrame(
    schema={
        "frame": pl.String,
        "check": pl.String,
        "severity": pl.String,
        RECORD: pl.Int64,
        "username": pl.String,
        "course_id": pl.String,
    }
)


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        frame: The frame it was asked of.
        check: Its name.
        severity: How bad it is when it fails.
        status: "passed", "failed" or "not run".
        n_checked: Rows that were looked at; null where the check is of the whole frame.
        n_unexpected: Rows that are not as expected; null likewise.
        expects: What is true of clean data.
        why: What it means for the figures when it fails.
        do: What to do then.
        detail: Some of the failing keys, pseudonymous; or what was found; or why it was not run.
        result: What Great Expectations says of it, where it was run.
    """

    frame: str
    check: str
    severity: Severity
    status: str
    n_checked: int | None
    n_unexpected: int | None
    expects: str
    why: str
    do: str
    detail: str
    result: ExpectationValidationResult | None = None

    @property
    def amount(self) -> str:
        """How many rows are not as expected, of how many; else what was found."""
        if self.n_unexpected is None:
            return self.detail
        return f"{self.n_unexpected:,} of {self.n_checked:,}"


class QualityReport:
    """The outcome of every check; displays as a table of what failed.

    Attributes:
        outcomes: One `Outcome` a check, in the order of the table of checks.
        results: Great Expectations' own results, one a frame.
    """

    def __init__(
        self,
        results: Sequence[ExpectationSuiteValidationResult],
        not_run: Iterable[tuple[Check, str]],
        frames: Sequence[Checked],
    ) -> None:
        self.results = list(results)
        self._frames = {frame.name: frame for frame in frames}
        found = [outcome for result in results for outcome in _outcomes(result)]
        left_out = [_left_out(check, reason) for check, reason in not_run]
        order = {name: place for place, name in enumerate(self._frames)}
        self.outcomes = sorted([*found, *left_out], key=lambda outcome: order[outcome.frame])

    @property
    def ok(self) -> bool:
        """Whether nothing failed, of any severity."""
        return not self.failed()

    def failed(self, severity: Severity = "info") -> list[Outcome]:
        """The failed checks at or above a severity, the worst first."""
        worst_first = SEVERITIES[: SEVERITIES.index(severity) + 1]
        failed = [outcome for outcome in self.outcomes if outcome.status == "failed"]
        return [o for level in worst_first for o in failed if o.severity == level]

    def raise_for_failures(self, severity: Severity = "critical") -> None:
        """Stop where a check at or above the severity failed.

        Raises:
            QualityError: Names the checks and how many records each concerns.
        """
        failed = self.failed(severity)
        if failed:
            named = "; ".join(f"{o.frame}: {o.expects} – {o.amount}" for o in failed)
            raise QualityError(f"{len(failed)} checks failed: {named}")

    @property
    def summary(self) -> str:
        """How many checks passed, failed by severity, and were not run."""
        return rendering.summary(self)

    @property
    def table(self) -> pl.DataFrame:
        """One row a check: what it expects, what came of it, and what to do. No identities."""
        names = {
            "frame": pl.String,
            "check": pl.String,
            "severity": pl.String,
            "status": pl.String,
            "n_checked": pl.Int64,
            "n_unexpected": pl.Int64,
            "expects": pl.String,
            "why": pl.String,
            "do": pl.String,
            "detail": pl.String,
        }
        rows = [[getattr(outcome, name) for name in names] for outcome in self.outcomes]
        return pl.DataFrame(rows, schema=names, orient="row").with_columns(
            share=pl.col("n_unexpected") / pl.col("n_checked")
        )

    @cached_property
    def failures(self) -> pl.DataFrame:
        """Every failing record by check: `frame`, `check`, `severity`, `record`, and its key.

        `record` is its 0-based position in the frame. **The keys are identities as they were
        loaded**: look people up with it, do not display it. Fetched when first asked for.
        """
        queries = [
            query for outcome in self.failed() if (query := self._failing(outcome)) is not None
        ]
        return pl.concat([NO_FAILURE, *pl.collect_all(queries)], how="diagonal_relaxed")

    def _failing(self, outcome: Outcome) -> pl.LazyFrame | None:
        if outcome.result is None or not outcome.n_unexpected:
            return None
        config = _config(outcome.result)
        metric = getattr(get_expectation_impl(config.type), "map_metric", None)
        if metric is None:
            return None
        checked = self._frames[outcome.frame]
        rows = checked.data.lazy()
        schema = rows.collect_schema()
        question = map_question(metric, config.kwargs, schema)
        said = [
            pl.lit(value).alias(name)
            for name, value in (
                ("frame", outcome.frame),
                ("check", outcome.check),
                ("severity", outcome.severity),
            )
        ]
        position = pl.int_range(pl.len(), dtype=pl.Int64) if checked.is_given else pl.lit(None)
        position = position.cast(pl.Int64).alias("__row__")
        failing = question.failing(rows.with_columns(position))
        return failing.select(
            *said,
            pl.col("__row__").alias(RECORD),
            *(k for k in checked.key if k in schema and k != RECORD),
        )

    def __repr__(self) -> str:
        return rendering.text(self)

    def _repr_html_(self) -> str:
        return rendering.html(self)

    def chart(self, **options: Any) -> Any:
        """Draw each failed check as a bar: the share of records that are not as expected.

        Args:
            options: `title`, `source` and `min_n`, as for the charts of results.
        """
        return look_up("charts.quality:quality")(self.table, **options)

    def to_html(self, folder: str | Path) -> Path:
        """Write Great Expectations' Data Docs, which open without a network. No identities.

        Returns:
            The path of `index.html`; beside it is a page a frame.
        """
        return data_docs.write(self, Path(folder))

    def to_json(self) -> str:
        """Every check with its outcome, as JSON. No identities."""
        return rendering.as_json(self)

    def to_junit(self) -> str:
        """Every check as a test case of JUnit's XML, which CI systems show. No identities."""
        return rendering.junit(self)


def _outcomes(result: ExpectationSuiteValidationResult) -> Iterator[Outcome]:
    frame = result.suite_name
    order = {check.name: place for place, check in enumerate(checks(frame))}
    found = [_outcome(frame, single) for single in result.results]
    yield from sorted(found, key=lambda outcome: order.get(outcome.check, len(order)))


def _outcome(frame: str, result: ExpectationValidationResult) -> Outcome:
    config, found = _config(result), result.result or {}
    meta = config.meta or {}
    n_checked = found.get("element_count")
    if n_checked is not None:
        n_checked -= found.get("missing_count") or 0
    return Outcome(
        frame=frame,
        check=meta.get("check") or config.type.removeprefix("expect_"),
        severity=FailureSeverity(config.severity).value,
        status="passed" if result.success else "failed",
        n_checked=n_checked,
        n_unexpected=found.get("unexpected_count"),
        expects=config.description or _in_words(config),
        why=meta.get("why", ""),
        do=meta.get("do", ""),
        detail="" if result.success else _detail(result),
        result=result,
    )


def _config(result: ExpectationValidationResult) -> ExpectationConfiguration:
    if result.expectation_config is None:
        raise QualityError("Great Expectations returned a result without its expectation")
    return result.expectation_config


def _in_words(config: ExpectationConfiguration) -> str:
    said = {k: v for k, v in config.kwargs.items() if k != "batch_id" and v is not None}
    arguments = ", ".join(f"{name}={value!r}" for name, value in said.items())
    return f"{config.type.removeprefix('expect_').replace('_', ' ')} ({arguments})"


def _detail(result: ExpectationValidationResult) -> str:
    """Examples, else what was observed, else why it could not be computed."""
    found = result.result or {}
    if examples := found.get("partial_unexpected_index_list"):
        key = found.get("unexpected_index_column_names") or list(examples[0])
        return ", ".join(" ".join(_short(row[k]) for k in key if k in row) for row in examples)
    if details := found.get("details"):
        return ", ".join(f"{name}: {wrong['found']}" for name, wrong in details.items())
    if "observed_value" in found:
        return f"found {found['observed_value']}"
    messages = {
        info["exception_message"]
        for info in (result.exception_info or {}).values()
        if isinstance(info, dict)
    }
    return "not computed: " + "; ".join(sorted(messages))


def _short(value: object) -> str:
    """A pseudonym by its first digits; anything else as it is."""
    text = str(value)
    return text[:10] if PSEUDONYM.fullmatch(text) else text


def _left_out(check: Check, reason: str) -> Outcome:
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
