"""A quality report as text, HTML, JSON and JUnit XML."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from xml.sax.saxutils import quoteattr

import polars as pl

from toolkit.quality.outcome import Outcome, worst_first
from toolkit.release.rounding import MIN_N
from toolkit.results.result import Released
from toolkit.text.words import plural

_WIDTH, _INDENT, _MOST = 80, 10, 12  # of text: it fits 40 lines of 80 letters
HEADER = ("severity", "data", "failed expectation", "records", "share", "examples")


def summary(outcomes: Sequence[Outcome]) -> str:
    """Say in one line how many checks passed, failed by severity, and were not run."""
    status = Counter(outcome.status for outcome in outcomes)
    said = [f"{plural(len(outcomes), 'check')}: {status['passed']} passed"]
    levels = _levels(outcome.severity for outcome in worst_first(outcomes))
    said.append(f"{status['failed']} failed" + (f" ({levels})" if levels else ""))
    if status["not run"]:
        said.append(f"{status['not run']} not run")
    return ", ".join(said)


def in_words(released: Released) -> str:
    """Say how many checks failed, and the worst of them; the table gives the counts."""
    failed = released.frame
    worst = failed.row(0, named=True)
    return (
        f"{plural(failed.height, 'check')} failed: {_levels(failed['severity'])}. The first "
        f"({worst['severity']}, {worst['data']}) expects: {worst['expects']}."
    )


def _levels(severities: Iterable[str]) -> str:
    return ", ".join(f"{n} {severity}" for severity, n in Counter(severities).items())


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return the cells of a failed check, as in `HEADER`."""
    share, amount = "", "" if outcome.amount == outcome.detail else outcome.amount
    if outcome.n_unexpected is not None and outcome.n_checked:
        percent = 100 * outcome.n_unexpected / outcome.n_checked
        share = "< 0.1%" if percent < 0.1 else f"{percent:.1f}%"
    return outcome.severity, outcome.frame, outcome.expects, amount, share, outcome.detail


def text(outcomes: Sequence[Outcome]) -> str:
    """Write the summary and the failed checks, the worst first, on one screen."""
    failed = worst_first(outcomes)
    if not failed:
        return summary(outcomes)
    blocks = [_block(outcome) for outcome in failed[:_MOST]]
    if len(failed) > _MOST:
        more = plural(len(failed) - _MOST, "further check")
        blocks.append(f"{more} failed; `failed_checks` lists all.")
    return "\n".join([summary(outcomes), "", *blocks])


def _block(outcome: Outcome) -> str:
    """Write a failed check in three lines at most: what was expected, how many broke it, which."""
    severity, frame, expects, amount, share, detail = cells(outcome)
    numbers = f"{amount} ({share})" if share else amount
    told = ": ".join(part for part in (numbers, detail) if part)
    head = _lines(f"{severity:<{_INDENT}}{frame}: {expects}", _WIDTH, 1)
    return "\n".join([*head, *(" " * _INDENT + line for line in _lines(told, _WIDTH - _INDENT, 2))])


def _lines(text: str, width: int, most: int) -> list[str]:
    return textwrap.wrap(text, width, max_lines=most, placeholder=" …")


def html(outcomes: Sequence[Outcome]) -> str:
    """Write the summary, a table of the failed checks, and the others folded away."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in HEADER)
    body = "".join(_row(outcome) for outcome in worst_first(outcomes))
    parts = [f"<p><strong>{escape(summary(outcomes))}</strong></p>"]
    if body:
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    for status in ("passed", "not run"):
        listed = [outcome for outcome in outcomes if outcome.status == status]
        if listed:
            items = "".join(f"<li>{escape(_line(outcome))}</li>" for outcome in listed)
            parts.append(
                f"<details><summary>{len(listed)} {status}</summary><ul>{items}</ul></details>"
            )
    return f"<div class='so2-quality'>{''.join(parts)}</div>"


def _row(outcome: Outcome) -> str:
    severity, frame, expects, *others = map(escape, cells(outcome))
    advice = escape(f"{outcome.why} {outcome.do}")
    told = f"<td>{frame}</td><td>{expects}<br><small>{advice}</small></td>"
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f"<tr><th scope='row'>{severity}</th>{told}{rest}</tr>"


def _line(outcome: Outcome) -> str:
    reason = f" ({outcome.detail})" if outcome.detail else ""
    return f"{outcome.frame}: {outcome.expects}{reason}"


def as_json(outcomes: Sequence[Outcome], table: pl.DataFrame) -> str:
    """Write `ok`, the summary's counts, and the table of checks; withheld counts are null."""
    status = Counter(outcome.status for outcome in outcomes)
    return json.dumps(
        {
            "ok": not worst_first(outcomes),
            "n_passed": status["passed"],
            "n_failed": status["failed"],
            "n_not_run": status["not run"],
            "withheld_below": MIN_N,
            "checks": table.to_dicts(),
        },
        ensure_ascii=False,
        indent=2,
    )


def junit(outcomes: Sequence[Outcome]) -> str:
    """Write a test suite per frame and a test case per check."""
    frames = dict.fromkeys(outcome.frame for outcome in outcomes)
    suites = [_junit_suite(frame, [o for o in outcomes if o.frame == frame]) for frame in frames]
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return "\n".join([head, '<testsuites name="quality">', *suites, "</testsuites>"])


def _junit_suite(frame: str, outcomes: list[Outcome]) -> str:
    status = Counter(outcome.status for outcome in outcomes)
    opening = (
        f'<testsuite name={quoteattr(frame)} tests="{len(outcomes)}" '
        f'failures="{status["failed"]}" skipped="{status["not run"]}">'
    )
    return "\n".join([opening, *map(_junit_case, outcomes), "</testsuite>"])


def _junit_case(outcome: Outcome) -> str:
    opening = f"<testcase classname={quoteattr(outcome.frame)} name={quoteattr(outcome.check)}"
    if outcome.status == "passed":
        return f"{opening}/>"
    if outcome.status == "not run":
        return f"{opening}><skipped message={quoteattr(outcome.detail)}/></testcase>"
    message = quoteattr(f"{outcome.expects}: {outcome.amount}")
    told = escape("\n".join([outcome.detail, outcome.why, outcome.do]))
    failure = f"<failure type={quoteattr(outcome.severity)} message={message}>{told}</failure>"
    return f"{opening}>{failure}</testcase>"
