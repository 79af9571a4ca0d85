"""The keys of the records behind a report's counts, so that they are rounded as in every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.quality.frames import Checked
from toolkit.quality.gx.conditions import MapQuestion, map_question
from toolkit.quality.gx.library import get_expectation_impl
from toolkit.quality.gx.rows import Rows
from toolkit.quality.outcome import Outcome, config_of
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.release.rounding import keys_of_groups

COUNTS = ("n_unexpected", "n_checked")
_KEY = "record_key"


def question_of(outcome: Outcome, rows: Rows) -> MapQuestion | None:
    """Return what a check asks of each record; None if it is of the whole frame or was not run."""
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
    asked: dict[str, list[tuple[str, int, nw.LazyFrame[Any]]]] = {name: [] for name in rows}
    for place, outcome in enumerate(outcomes):
        if outcome.frame not in rows or outcome.n_checked is None:
            continue
        keyed = rows[outcome.frame]
        question = question_of(outcome, keyed)
        if question is not None:
            found = {"n_checked": question.checked(keyed)}
            if outcome.n_unexpected:
                found["n_unexpected"] = question.failing(keyed)
            total = nw.col(_KEY).sum()
            asked[outcome.frame] += [(n, place, f.lazy.select(total)) for n, f in found.items()]
    for frame, queries in asked.items():
        collected = rows[frame].collect_all([query for _, _, query in queries])
        for (name, place, _), sum_of_keys in zip(queries, collected, strict=True):
            sums[name][place] = sum_of_keys.item()
    return pl.DataFrame(sums, schema=dict.fromkeys(COUNTS, pl.Int64))


def _by_number(outcomes: Sequence[Outcome], name: str) -> list[int]:
    told = [(outcome.frame, getattr(outcome, name)) for outcome in outcomes]
    groups = pl.DataFrame(told, schema={"frame": pl.String, "n": pl.Int64}, orient="row")
    return keys_of_groups(groups, "records").to_list()


def _keyed(frame: Checked) -> Rows | None:
    """Return the rows with the keys of their records; None if they do not say whose they are.

    The keys are computed in Polars alone; in another engine they are read where they are stored.
    """
    rows = frame.rows
    if _KEY in rows.schema:
        return rows
    of_text = all(rows.schema.get(name) == pl.String for name in ("username", "course_id"))
    if not (of_text and rows.are_of_polars):
        return None
    return rows.with_native(record_keys(release_secret()))
