"""Durations as a pandas frame for models of lifelines and statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from toolkit.errors import ArgumentError, SchemaError
from toolkit.results.result import Displayed, Result
from toolkit.schemas import require_columns
from toolkit.schemas.arguments import a_frame, are_names, as_given
from toolkit.survival.durations import exclusions
from toolkit.survival.event_table import require_valid

_OWN = ("duration", "entry", "event")
NO_TIME = "no time at risk"


@dataclass(frozen=True, repr=False)
class SurvivalData(Displayed):
    """Durations for a model, and who was left out.

    In a notebook it displays the counts of those left out.

    Attributes:
        frame: A pandas frame: `duration` in the unit of the durations, `entry` if they have one,
            `event` as 1 or 0, and the covariates. One row per learner per course.
        dropped: One row per reason (`EXCLUSIONS`): the exclusions of `time_to_pass`, and missing
            covariates.

    Examples:
        >>> durations = pl.DataFrame({"duration": [5.0, 8.0], "event": [True, False]})
        >>> data = to_survival(durations)
        >>> data.frame["event"].to_list(), data.dropped.frame.height
        ([1, 0], 0)
    """

    frame: Any
    dropped: Result


def to_survival(durations: pl.DataFrame, *, covariates: Sequence[str] = ()) -> SurvivalData:
    """Convert durations to a pandas frame for lifelines or statsmodels, and count who is left out.

    Booleans become 1 and 0; text stays text, which a formula turns into levels; numbers stay
    numbers. Rows without a duration or a covariate are left out, since models refuse them or drop
    them silently; so are, if there is an `entry`, learners who enter and pass at 0, whom
    `kaplan_meier` counts. Of competing ends, only a pass is an event.

    Args:
        durations: What `time_to_pass` returns.
        covariates: The columns that the model needs: covariates, strata, clusters.

    Raises:
        SchemaError: A column is missing or cannot be a covariate, nobody is left, or, as for
            `kaplan_meier` of all learners, a value is impossible or too many passes lack a date.
        ArgumentError: The frame is not a Polars DataFrame, or holds both bounds of undated passes.

    Examples:
        >>> durations = pl.DataFrame({"duration": [5.0, 8.0, None], "event": [True, False, None],
        ...     "mode": ["audit", None, "audit"], "excluded": [None, None, "no origin"]})
        >>> data = to_survival(durations, covariates=["mode"])
        >>> data.frame.to_dict("list")
        {'duration': [5.0], 'event': [1], 'mode': ['audit']}
        >>> data.dropped.frame.select("reason", "n_excluded").rows()
        [('no mode', 1), ('no origin', 1)]
    """
    a_frame(durations, name="durations")
    names = _names(covariates, durations)
    require_valid(durations)
    rows = durations
    if "excluded" not in rows.columns:
        rows = rows.with_columns(excluded=pl.lit(None, pl.String))
    reasons = [
        pl.when(_is_missing(pl.col(name), rows.schema[name])).then(pl.lit(f"no {name}"))
        for name in names
    ]
    if "entry" in rows.columns:
        never = pl.col("duration") <= pl.col("entry")
        reasons.append(pl.when(never).then(pl.lit(NO_TIME)))
    marked = rows.with_columns(excluded=pl.coalesce("excluded", *reasons))
    kept = marked.filter(pl.col("excluded").is_null())
    if kept.is_empty():
        raise SchemaError("no learner has a duration and all covariates")
    columns = [name for name in _OWN if name in kept.columns] + names
    return SurvivalData(_pandas(kept.select(columns)), exclusions(marked))


def _names(covariates: object, durations: pl.DataFrame) -> list[str]:
    if not are_names(covariates) or len(set(covariates)) < len(covariates):
        raise ArgumentError(
            f"covariates must be a list of columns, each once, not {as_given(covariates)}"
        )
    require_columns(durations.columns, covariates, what="durations")
    for name in covariates:
        dtype = durations.schema[name]
        is_text = dtype in (pl.String, pl.Categorical, pl.Enum)
        if name in _OWN or not (is_text or dtype.is_numeric() or dtype == pl.Boolean):
            raise SchemaError(f"`{name}` holds {dtype}; covariates are text, Booleans or numbers")
    return list(covariates)


def _is_missing(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return value.is_null() | value.is_nan() if dtype.is_float() else value.is_null()


def _pandas(frame: pl.DataFrame) -> Any:
    import pandas as pd  # Great Expectations brings it

    columns: dict[str, Any] = {}
    for column in frame:
        if column.dtype == pl.Boolean:
            columns[column.name] = column.cast(pl.Int64).to_numpy()
        elif column.dtype.is_numeric():
            columns[column.name] = column.to_numpy()
        else:
            columns[column.name] = column.cast(pl.String).to_list()
    return pd.DataFrame(columns)
