"""`QualityReport`: what was checked, what failed, and in which records."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.errors import QualityError, writing
from toolkit.quality import data_docs, rendering
from toolkit.quality.checks import SEVERITIES, Check, Severity
from toolkit.quality.frames import Checked
from toolkit.quality.gx.library import ExpectationSuiteValidationResult
from toolkit.quality.gx.rows import PLACE
from toolkit.quality.key_sums import key_sums, question_of
from toolkit.quality.outcome import Outcome, left_out, outcomes_of, worst_first
from toolkit.release.rounding import MIN_N
from toolkit.release.tables import SHOWN
from toolkit.results.output import Narrative, marked
from toolkit.results.registry import look_up
from toolkit.results.result import Result
from toolkit.schemas.arguments import a_path
from toolkit.schemas.outcome_results import FAILED_CHECKS
from toolkit.text.words import plural

RECORD = "record"
NO_FAILURE = pl.DataFrame(
    schema={
        **dict.fromkeys(("frame", "check", "severity"), pl.String),
        RECORD: pl.Int64,
        **dict.fromkeys(("username", "course_id"), pl.String),
    }
)


class QualityReport:
    """The outcome of every check; displayed as a table of what failed.

    Attributes:
        outcomes: One `Outcome` per check, in the order of `checks.toml`, with exact counts.
        results: Great Expectations' own results, one per frame, with exact counts.

    Examples:
        >>> import toolkit as tk
        >>> grades = pl.DataFrame({"username": ["ada"], "percent_grade": [80.0]})
        >>> report = tk.check(grades=grades.with_columns(course_id=pl.lit("course-v1:Org+CS+R1")))
        >>> report.failures.select("check", "record").rows()
        [('percent_grade_range', 0)]
    """

    def __init__(
        self,
        results: Sequence[ExpectationSuiteValidationResult],
        not_run: Iterable[tuple[Check, str]],
        frames: Sequence[Checked],
    ) -> None:
        self.results = list(results)
        self._frames = {frame.name: frame for frame in frames}
        found = [outcome for result in results for outcome in outcomes_of(result)]
        skipped = [left_out(check, reason) for check, reason in not_run]
        order = {name: place for place, name in enumerate(self._frames)}
        self.outcomes = sorted([*found, *skipped], key=lambda outcome: order[outcome.frame])

    @property
    def ok(self) -> bool:
        """Whether no check failed, of any severity."""
        return not self.failed()

    def failed(self, severity: Severity = "info") -> list[Outcome]:
        """Return the failed checks at or above a severity, the worst first.

        Raises:
            ArgumentError: There is no such severity.
        """
        return worst_first(self.outcomes, severity)

    def raise_for_failures(self, severity: Severity = "critical") -> None:
        """Raise an error if a check at or above the severity failed.

        Raises:
            QualityError: Names the checks and the number of records that break each.
            ArgumentError: There is no such severity.
        """
        failed = worst_first(self.released, severity)
        if failed:
            named = "; ".join(f"{o.frame}: {o.expects} – {o.amount}" for o in failed)
            raise QualityError(f"{plural(len(failed), 'check')} failed: {named}")

    @cached_property
    def released(self) -> list[Outcome]:
        """The outcomes as every text and file shows them: counts rounded, small ones withheld.

        For fewer than 10 records, neither the number nor the keys are shown. The exact numbers are
        in `outcomes` and `table`, the records in `failures`.
        """
        safe = _counts(self.outcomes, self._keys).release().frame
        return [
            outcome.released(n_unexpected, n_checked)
            for outcome, n_unexpected, n_checked in zip(
                self.outcomes, safe["n_unexpected"], safe["n_checked"], strict=True
            )
        ]

    @property
    def told(self) -> list[Outcome]:
        """Deprecated name of `released`."""
        text = "QualityReport.told is called QualityReport.released; 0.4.0 removes the old name"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return self.released

    @property
    def summary(self) -> str:
        """How many checks passed, failed by severity, and were not run."""
        return rendering.summary(self.outcomes)

    @property
    def table(self) -> pl.DataFrame:
        """One row per check: what it expects, its outcome, and what to do. No identities."""
        return _table(self.outcomes)

    @property
    def failed_checks(self) -> Result:
        """The failed checks, the worst first, as a result, whose counts are shown rounded."""
        failed = self.failed()
        places = [place for one in failed for place, o in enumerate(self.outcomes) if o is one]
        return _counts(failed, self._keys[places])

    @cached_property
    def _keys(self) -> pl.DataFrame:
        return key_sums(self.outcomes, self._frames)

    @cached_property
    def failures(self) -> pl.DataFrame:
        """Every failing record by check: `frame`, `check`, `severity`, `record`, and its key.

        `record` is its 0-based position in the frame; null in an engine that promises no order of
        rows, where they are in the order of their keys. **The keys are identities as they were
        loaded**: use them to look learners up, do not display them. Computed on first use.
        """
        failed = [outcome for outcome in self.failed() if outcome.n_unexpected]
        found: dict[int, pl.DataFrame] = {}
        for name, frame in self._frames.items():
            queries = {
                place: query
                for place, outcome in enumerate(failed)
                if outcome.frame == name and (query := _failing(outcome, frame)) is not None
            }
            collected = frame.rows.collect_all(list(queries.values()))
            for place, rows in zip(queries, collected, strict=True):
                found[place] = _with_check(rows, failed[place])
        in_order = [found[place] for place in sorted(found)]
        return pl.concat([NO_FAILURE, *in_order], how="diagonal_relaxed")

    def __repr__(self) -> str:
        return rendering.text(self.released)

    def _repr_html_(self) -> str:
        return rendering.html(self.released)

    def narrate(self) -> Narrative:
        """Say how many checks failed, and the worst of them."""
        if self.failed():
            return self.failed_checks.narrate()
        n_run = sum(outcome.status == "passed" for outcome in self.outcomes)
        return Narrative("The check passes." if n_run == 1 else f"All {n_run} checks pass.")

    def chart(self, *, min_n: int | None = MIN_N, **options: Any) -> Any:
        """Draw each failed check as a bar: the share of records that break the expectation.

        Args:
            min_n: The smallest number of records that is shown; None shows exact numbers.
            options: `title` and `source`, as for the charts of results.
        """
        safe = self.failed_checks.release(min_n=min_n)
        is_few = safe.frame["status"] != SHOWN
        few = pl.lit(f"fewer than {safe.min_n} records")
        rank = pl.col("severity").cast(pl.Enum(SEVERITIES))
        in_order = self.table.filter(status="failed").sort(rank, maintain_order=True)
        failed = in_order.with_columns(
            safe.frame["n_checked"],
            safe.frame["n_unexpected"],
            detail=pl.when(is_few).then(few).otherwise(pl.lit("")),
        )
        others = self.table.filter(pl.col("status") != "failed")
        drawn = look_up("charts.quality:quality")(pl.concat([failed, others]), **options)
        drawn.usermeta = {**drawn.usermeta, **marked(safe.min_n)[1]}
        return drawn

    def to_html(self, folder: str | Path) -> Path:
        """Write Great Expectations' Data Docs, which open without a network. No identities.

        Returns:
            The path of `index.html`; beside it is one page per frame.

        Raises:
            ArgumentError: The folder cannot be written, or holds other pages of these names.
        """
        pages = [(result, self._released_of(result)) for result in self.results]
        target = a_path(folder, name="folder")
        with writing(target):
            return data_docs.write(pages, rendering.html(self.released), target)

    def _released_of(self, result: ExpectationSuiteValidationResult) -> list[Outcome | None]:
        """Return the released outcome of each of GX's results of a frame, in order."""
        by_result = {id(outcome.result): outcome for outcome in self.released}
        return [by_result.get(id(one)) for one in result.results]

    def to_json(self) -> str:
        """Return every check with its outcome, as JSON. No identities."""
        return rendering.as_json(self.released, _table(self.released))

    def to_junit(self) -> str:
        """Return every check as a test case in JUnit XML, for CI systems. No identities."""
        return rendering.junit(self.released)


def _failing(outcome: Outcome, frame: Checked) -> nw.LazyFrame[Any] | None:
    """Return places and keys of the rows that break an expectation; None if not about rows."""
    question = question_of(outcome, frame.rows)
    if question is None:
        return None
    key = [name for name in frame.key if name in frame.rows.schema and name != RECORD]
    rows = frame.rows.reading({*key, *question.reads})
    if not rows.are_of_polars:
        return question.failing(rows).lazy.select(*key).sort(*key, nulls_last=True)
    rows = rows.with_places() if frame.is_given else rows
    place = nw.col(PLACE).cast(nw.Int64) if frame.is_given else nw.lit(None, nw.Int64)
    return question.failing(rows).lazy.select(place.alias(RECORD), *key)


def _with_check(rows: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    of_check = {"frame": outcome.frame, "check": outcome.check, "severity": outcome.severity}
    return rows.with_columns(pl.lit(said).alias(name) for name, said in of_check.items())


def _table(outcomes: Sequence[Outcome]) -> pl.DataFrame:
    names = {
        **dict.fromkeys(("frame", "check", "severity", "status"), pl.String),
        **dict.fromkeys(("n_checked", "n_unexpected"), pl.Int64),
        **dict.fromkeys(("expects", "why", "do", "detail"), pl.String),
    }
    rows = [[getattr(outcome, name) for name in names] for outcome in outcomes]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        share=pl.col("n_unexpected") / pl.col("n_checked")
    )


def _counts(outcomes: Sequence[Outcome], keys: pl.DataFrame) -> Result:
    counts = pl.DataFrame(
        [
            (o.severity, o.frame, o.expects, o.n_unexpected, o.n_checked, o.why, o.do)
            for o in outcomes
        ],
        schema={name: FAILED_CHECKS[name].dtype for name in FAILED_CHECKS.names if name != "share"},
        orient="row",
    )
    share = (pl.col("n_unexpected") / pl.col("n_checked")).alias("share")
    return Result.from_counts(FAILED_CHECKS, (), counts, lambda t: t.with_columns(share), keys=keys)
