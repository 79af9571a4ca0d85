"""Sums of record keys behind the counts of checks, so that they are rounded as in every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.quality.frames import Checked
from toolkit.quality.gx.conditions import MapQuestion, map_question
from toolkit.quality.gx.library import get_expectation_impl
from toolkit.quality.gx.rows import Rows, every
from toolkit.quality.outcome import Outcome, config_of
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.release.rounding import keys_of_groups

COUNTS = ("n_unexpected", "n_checked")
_KEY = "record_key"


def question_of(outcome: Outcome, rows: Rows) -> MapQuestion | None:
    """Return what a check asks of each record; None if it is about the frame or was not run."""
    if outcome.result is None:
        return None
    config = config_of(outcome.result)
    metric = getattr(get_expectation_impl(config.type), "map_metric", None)
    return None if metric is None else map_question(metric, config.kwargs, rows)


def key_sums(outcomes: Sequence[Outcome], frames: Mapping[str, Checked]) -> pl.DataFrame:
    """Return the sum of the keys behind each count of each outcome, one row per outcome.

    For records without keys, the draw depends on the frame and the number instead, so that the
    same number is shown in every check.
    """
    sums = {name: _by_number(outcomes, name) for name in COUNTS}
    rows = {name: keyed for name, frame in frames.items() if (keyed := _keyed(frame)) is not None}
    for name, keyed in rows.items():
        own = [(at, one) for at, one in enumerate(outcomes) if one.frame == name]
        for (count, place), sum_of_keys in _sums(own, keyed).items():
            sums[count][place] = sum_of_keys
    return pl.DataFrame(sums, schema=dict.fromkeys(COUNTS, pl.Int64))


def _sums(outcomes: list[tuple[int, Outcome]], rows: Rows) -> dict[tuple[str, int], int]:
    """Sum the keys of the records behind the counts of a frame, in one pass for most of them."""
    conditions: dict[tuple[str, int], nw.Expr] = {}
    apart: dict[tuple[str, int], nw.LazyFrame[Any]] = {}
    for place, outcome in outcomes:
        question = None if outcome.n_checked is None else question_of(outcome, rows)
        if question is None:
            continue
        conditions["n_checked", place] = every([*question.domain, *question.present])
        if outcome.n_unexpected and question.unexpected is not None:
            conditions["n_unexpected", place] = question.unexpected
        elif outcome.n_unexpected:
            apart["n_unexpected", place] = question.failing(rows).lazy.select(nw.col(_KEY).sum())
    if not conditions:
        return {}
    in_one_pass = rows.lazy.select(
        nw.when(condition).then(nw.col(_KEY)).otherwise(nw.lit(0)).sum().alias(f"{count} {place}")
        for (count, place), condition in conditions.items()
    )
    found = zip(conditions, rows.collect(in_one_pass).row(0), strict=True)
    alone = zip(apart, (one.item() for one in rows.collect_all([*apart.values()])), strict=True)
    return dict([*found, *alone])


def _by_number(outcomes: Sequence[Outcome], name: str) -> list[int]:
    numbers = [(outcome.frame, getattr(outcome, name)) for outcome in outcomes]
    groups = pl.DataFrame(numbers, schema={"frame": pl.String, "n": pl.Int64}, orient="row")
    return keys_of_groups(groups, "records").to_list()


def _keyed(frame: Checked) -> Rows | None:
    """Return the rows with the keys of their records; None if there are none.

    Only Polars computes the keys; other engines use those stored in the frame.
    """
    rows = frame.rows
    if _KEY in rows.schema:
        return rows
    of_text = all(rows.schema.get(name) == pl.String for name in ("username", "course_id"))
    if not (of_text and rows.are_of_polars):
        return None
    return rows.with_native(record_keys(release_secret()))
