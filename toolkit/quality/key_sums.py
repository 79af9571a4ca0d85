"""The keys of the records behind a report's counts, so that they are rounded as in every table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from toolkit.quality.frames import Checked
from toolkit.quality.gx.conditions import MapQuestion, map_question
from toolkit.quality.gx.library import get_expectation_impl
from toolkit.quality.outcome import Outcome, config_of
from toolkit.release.keys import release_secret
from toolkit.release.pseudonyms import record_keys
from toolkit.release.rounding import keys_of_groups

COUNTS = ("n_unexpected", "n_checked")
_KEY = "record_key"


def question_of(outcome: Outcome, schema: pl.Schema) -> MapQuestion | None:
    """Return what a check asks of each record; None if it is of the whole frame or was not run."""
    if outcome.result is None:
        return None
    config = config_of(outcome.result)
    metric = getattr(get_expectation_impl(config.type), "map_metric", None)
    return None if metric is None else map_question(metric, config.kwargs, schema)


def key_sums(outcomes: Sequence[Outcome], frames: Mapping[str, Checked]) -> pl.DataFrame:
    """Return the sum of the keys behind each count of each outcome, one row per outcome.

    Records without a key of learner and course are drawn by the frame and the number instead, so
    that one number is shown alike in every check.
    """
    sums = {name: _by_number(outcomes, name) for name in COUNTS}
    queries: list[pl.LazyFrame] = []
    places: list[tuple[str, int]] = []
    rows = {name: keyed for name, frame in frames.items() if (keyed := _keyed(frame)) is not None}
    schemas = {name: frame.collect_schema() for name, frame in rows.items()}
    for place, outcome in enumerate(outcomes):
        if outcome.frame not in rows or outcome.n_checked is None:
            continue
        question = question_of(outcome, schemas[outcome.frame])
        if question is not None:
            keyed = rows[outcome.frame]
            queries.append(question.checked(keyed))
            places.append(("n_checked", place))
            if outcome.n_unexpected:
                queries.append(question.failing(keyed))
                places.append(("n_unexpected", place))
    for (name, place), total in zip(places, _sums(queries), strict=True):
        sums[name][place] = total
    return pl.DataFrame(sums, schema=dict.fromkeys(COUNTS, pl.Int64))


def _sums(queries: Iterable[pl.LazyFrame]) -> list[int]:
    found = pl.collect_all([query.select(pl.col(_KEY).sum()) for query in queries])
    return [frame.item() for frame in found]


def _by_number(outcomes: Sequence[Outcome], name: str) -> list[int]:
    told = [(outcome.frame, getattr(outcome, name)) for outcome in outcomes]
    groups = pl.DataFrame(told, schema={"frame": pl.String, "n": pl.Int64}, orient="row")
    return keys_of_groups(groups, "records").to_list()


def _keyed(frame: Checked) -> pl.LazyFrame | None:
    """Return the frame with the keys of its records; None if it does not say whose they are."""
    rows = frame.data.lazy()
    schema = rows.collect_schema()
    if _KEY in schema:
        return rows
    if any(schema.get(name) != pl.String for name in ("username", "course_id")):
        return None
    return rows.with_columns(record_keys("username", "course_id", release_secret()))
