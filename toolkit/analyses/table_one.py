"""Table 1 of a paper: the enrolled by group, with missing values and differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from toolkit.analyses.counting import Frame, number, records
from toolkit.analyses.grouping import Groups, count_by, groups_of, refuse_ungroupable
from toolkit.analyses.stages import ENROLLED
from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.rounding import DIGITS, Floats
from toolkit.release.tables import UNLIKE, release_table
from toolkit.results.result import Result, refuse_names
from toolkit.schemas import PERSON_COURSE, require_columns
from toolkit.schemas.arguments import are_names, as_given
from toolkit.schemas.paper_results import COUNTS, MEAN, MEDIAN, TABLE_ONE

MOST_GROUPS, MOST_LEVELS = 30, 50
_DESCRIBED = ("mode", "is_active", "completion", "percent_grade", "passed")
_NUMBERS = ("mean", "sd", "q1", "median", "q3")


@dataclass(frozen=True, slots=True)
class _Variable:
    """A column and how it is summarized: as a number, as a Boolean, or by its levels."""

    name: str
    summary: str
    is_boolean: bool = False

    @property
    def value(self) -> nw.Expr:
        if self.summary != COUNTS:
            return number(self.name)
        return nw.col(self.name).cast(nw.Boolean if self.is_boolean else nw.String)


def table_one(
    pc: Frame,
    *,
    by: str | None = None,
    columns: Sequence[str] | None = None,
    medians: Sequence[str] = (),
) -> Result:
    """Describe the enrolled, and each group of them: the first table of a paper.

    Counts are records, one per learner per course. Text is counted by level, a Boolean by its
    true values; a number has its mean, standard deviation and quartiles (type 7). Shares, means
    and quartiles are of the records with a value; the others are counted as missing.

    Standardized differences do not grow with the number of learners, unlike test statistics. When
    shown, those of levels follow from the released counts, with withheld levels combined.

    Args:
        pc: A person_course frame of any engine.
        by: The column that makes the groups, or a calendar cohort (see `outcomes`).
        columns: What to describe, in this order. By default mode, is_active, completion,
            percent_grade and passed, and columns of your own with text, Booleans or numbers.
        medians: The columns that the displayed table shows as median and quartiles rather than
            as mean and standard deviation. The result has both.

    Returns:
        The group column, then those of `schemas.paper_results.TABLE_ONE`. With `by`, the first
        rows are over all groups, marked by the column `is_total`.

    Raises:
        SchemaError: A column is missing, or its values cannot be described.
        ArgumentError: There are more than 30 groups or 50 levels, or an argument is invalid.

    Source:
        Austin (2009), Statistics in Medicine 28, 3083–3107, for differences of means and shares.
        Yang and Dalton (2012), SAS Global Forum, paper 335, for several levels. Hyndman and Fan
        (1996), The American Statistician 50, 361–365, for quartiles.

    Examples:
        >>> pc = pl.DataFrame({"mode": ["audit", "audit", "verified", "verified"],
        ...     "age": [20, 30, 30, None], "in_enrollments": True})
        >>> found = table_one(pc, by="mode", columns=["age"])
        >>> found.frame.select("is_total", "mode", "n_known", "n_missing", "mean").rows()[1:]
        [(False, 'audit', 2, 0, 25.0), (False, 'verified', 1, 1, 30.0)]
    """
    if by is not None and not isinstance(by, str):
        raise ArgumentError(f"by must be one column's name, not {as_given(by)}")
    groups = groups_of(by, TABLE_ONE)
    rows = records(pc, ["in_enrollments"])
    variables = _variables(rows.collect_schema(), groups, columns, medians)
    counted = [_described(rows, groups, variable) for variable in variables]
    n, keys = pl.concat(n for n, _ in counted), None
    if all(key is not None for _, key in counted):
        keys = groups.named(pl.concat(key for _, key in counted if key is not None))
    n = groups.named(n)
    about = [*(["is_total"] if by else []), *groups.names]

    def protect(min_n: int) -> pl.DataFrame:
        refuse_names([variable.name for variable in variables])
        safe = release_table(
            n.select(*about, *_COUNTED, _UNLIKE), keys, TABLE_ONE, about, min_n=min_n
        )
        return _finished(safe, n, about, digits=DIGITS)

    return Result(TABLE_ONE, tuple(about), _finished(n, n, about), protect)


_DERIVED = ("share", "standardized_difference")
_COUNTED = [name for name in TABLE_ONE.names if name not in _DERIVED]
_UNLIKE = f"{UNLIKE}n_known"


def _variables(
    schema: Any, groups: Groups, columns: Sequence[str] | None, medians: Sequence[str]
) -> list[_Variable]:
    """Decide which columns are described, and how."""
    names = _names(columns, "columns", schema)
    shown = set(_names(medians, "medians", schema))
    if columns is None:
        own = [name for name in schema if name not in PERSON_COURSE.names]
        known = [name for name in _DESCRIBED if name in schema]
        names = [n for n in [*known, *own] if n not in groups.names and _is_described(schema[n])]
    refuse_ungroupable(schema, names)
    twice = [name for name in names if name in groups.names]
    if twice or len(set(names)) < len(names):
        raise ArgumentError(f"columns must name others than the groups, and each once: {names}")
    variables = [_variable(name, schema[name], is_median=name in shown) for name in names]
    numbers = {v.name for v in variables if v.summary != COUNTS}
    if not variables or shown - numbers:
        raise ArgumentError(
            f"medians must name described columns of numbers, not {', '.join(shown - numbers)}"
            if variables
            else "columns must name at least one column to describe"
        )
    return variables


def _names(value: object, argument: str, schema: Any) -> list[str]:
    if value is None and argument == "columns":
        return []
    if not are_names(value):
        raise ArgumentError(f"{argument} must be a list of columns' names, not {as_given(value)}")
    require_columns(list(schema), value, what="person_course")
    return list(value)


def _is_described(dtype: Any) -> bool:
    return bool(
        dtype.is_numeric() or dtype in (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Unknown)
    )


def _variable(name: str, dtype: Any, *, is_median: bool) -> _Variable:
    if not _is_described(dtype):
        raise SchemaError(
            f"`{name}` holds {dtype}; describe text, Booleans or numbers: instead of a date, for "
            "example, the days since another"
        )
    if dtype == nw.Unknown:  # all null: take the type it should have, else numbers
        dtype = PERSON_COURSE[name].dtype if name in PERSON_COURSE.names else pl.Float64
    if dtype.is_numeric():
        return _Variable(name, MEDIAN if is_median else MEAN)
    return _Variable(name, COUNTS, is_boolean=dtype in (nw.Boolean, pl.Boolean))


def _described(
    rows: nw.LazyFrame[Any], groups: Groups, variable: _Variable
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return counts and statistics by group and level, the rows over all groups first; and keys."""
    counted = count_by(rows, groups, {"n": ENROLLED}, within={"value": variable.value})
    per_value = counted.n.filter(pl.col("n") > 0)
    if per_value.select(groups.keys).n_unique() > MOST_GROUPS and groups.keys:
        raise ArgumentError(f"a table of more than {MOST_GROUPS} groups cannot be read; take fewer")
    levels = _levels(variable, per_value)
    n = _placed(per_value, groups, variable, levels)
    if counted.keys is None:
        return n, None
    # The same rows, with sums of keys instead of counts.
    sums = counted.keys.filter(counted.n["n"] > 0)
    return n, _placed(sums, groups, variable, levels, are_keys=True)


def _levels(variable: _Variable, per_value: pl.DataFrame) -> list[object]:
    """Return the levels that get a row: each text, a Boolean's true, one null for a number."""
    if variable.summary != COUNTS:
        return [None]
    if variable.is_boolean:
        return [True]
    found = per_value["value"].drop_nulls().unique().sort().to_list()
    if len(found) > MOST_LEVELS:
        raise ArgumentError(
            f"`{variable.name}` has {len(found):,} levels; describe at most {MOST_LEVELS}: "
            "combine some, or name other columns"
        )
    return found


def _placed(
    per_value: pl.DataFrame,
    groups: Groups,
    variable: _Variable,
    levels: list[object],
    *,
    are_keys: bool = False,
) -> pl.DataFrame:
    """Make one row per group and level, the rows over all groups first."""
    parts: list[tuple[dict[str, object], pl.DataFrame]] = []
    if groups.keys:
        [key] = groups.keys
        parts = [({"is_total": True, key: None}, per_value)]
        parts += [
            ({"is_total": False, key: of[key][0]}, of)
            for of in per_value.partition_by(key, maintain_order=True)
        ]
    else:
        parts = [({}, per_value)]
    rows = []
    for about, part in parts:
        known, total = part.filter(pl.col("value").is_not_null()), int(part["n"].sum())
        whole = {
            "variable": variable.name,
            "summary": variable.summary,
            "n_enrolled": total,
            "n_known": (n_known := int(known["n"].sum())),
            "n_missing": total - n_known,
        }
        if variable.summary != COUNTS:
            rows.append({**about, **whole, **({} if are_keys else _statistics(known))})
            continue
        rows += [
            {
                **about,
                **whole,
                "level": "yes" if variable.is_boolean else level,
                "n_level": known.filter(pl.col("value").eq_missing(level))["n"].sum(),
            }
            for level in levels or [None]
        ]
    schema = pl.Schema({"is_total": pl.Boolean} if groups.keys else {})
    schema.update({name: per_value.schema[name] for name in groups.keys})
    schema.update({name: TABLE_ONE.polars_schema[name] for name in _COUNTED})
    schema[_UNLIKE] = pl.Int64()
    return pl.DataFrame(rows, schema=schema)


def _statistics(known: pl.DataFrame) -> dict[str, float | None]:
    """Return mean, standard deviation and quartiles of values with their counts."""
    per_value = known.group_by("value").agg(pl.col("n").sum()).sort("value")
    values, counts = per_value["value"].to_numpy(), per_value["n"].to_numpy()
    total = int(counts.sum())
    if total == 0:
        return dict.fromkeys(_NUMBERS)
    # From the smallest value on, so that equal values have it as their mean, and no spread.
    mean = float(values[0] + ((values - values[0]) * counts).sum() / total)
    spread = float((counts * (values - mean) ** 2).sum())
    quartiles = [_quantile(values, counts.cumsum(), share) for share in (0.25, 0.5, 0.75)]
    sd = (spread / (total - 1)) ** 0.5 if total > 1 else None
    found: dict[str, float | None] = dict(zip(_NUMBERS, [mean, sd, *quartiles], strict=True))
    return found | {_UNLIKE: total - int(counts.max())}


def _quantile(values: Floats, up_to: NDArray[np.int64], share: float) -> float:
    place = (int(up_to[-1]) - 1) * share
    below = int(place)
    ranks = [below, min(below + 1, int(up_to[-1]) - 1)]
    low, high = values[np.searchsorted(up_to, ranks, side="right")]
    return float(low + (high - low) * (place - below))


def _finished(
    table: pl.DataFrame, exact: pl.DataFrame, about: list[str], *, digits: int | None = None
) -> pl.DataFrame:
    """Append shares and standardized differences to counts, exact or released."""
    known = pl.col("n_known")
    shares = table.with_columns(share=pl.when(known > 0).then(pl.col("n_level") / known))
    is_withheld = known.is_not_null() & pl.col("mean").is_null() & exact["mean"].is_not_null()
    sd = pl.when(is_withheld).then(math.nan).otherwise(exact["sd"])
    numbered = shares.with_columns(exact["mean"].alias(" mean"), sd.alias(" sd"))
    found = {}
    for [name], part in numbered.group_by(["variable"], maintain_order=True):
        groups = part.filter(~pl.col("is_total")).partition_by(about) if about else []
        differences = [
            each
            for a, b in combinations(groups, 2)
            if (each := _standardized_difference(a, b)) is not None
        ]
        found[name] = sum(differences) / len(differences) if differences else None
    difference = pl.col("variable").replace_strict(found, default=None, return_dtype=pl.Float64)
    difference = difference.fill_nan(None)
    if digits is not None:
        difference = difference.round_sig_figs(digits)
    is_total = pl.col("is_total") if "is_total" in about else pl.lit(value=False)
    return shares.with_columns(standardized_difference=pl.when(is_total).then(difference)).select(
        *about, *TABLE_ONE.names
    )


def _standardized_difference(a: pl.DataFrame, b: pl.DataFrame) -> float | None:
    """Return two groups' standardized difference in a variable.

    None if a group has too few values. Infinite if the groups share no value. NaN if their levels
    or means are withheld: a mean over the other pairs would be of the groups that differ least.
    """
    n_a, n_b = a["n_known"][0], b["n_known"][0]
    if not n_a or not n_b:
        return None
    if a["summary"][0] != COUNTS:
        spread = [x[" sd"][0] for x in (a, b)]
        if None in spread:
            return None
        return _of_distance(a[" mean"][0] - b[" mean"][0], sum(sd**2 for sd in spread) / 2)
    levels = list(zip(a["n_level"], b["n_level"], strict=True))
    return _of_shares([pair for pair in levels if None not in pair], (n_a, n_b), of=len(levels))


def _of_distance(distance: float, variance: float) -> float:
    if variance > 0 or math.isnan(variance):
        return float(abs(distance) / variance**0.5)
    return 0.0 if distance == 0 else math.inf


def _of_shares(shown: list[tuple[int, int]], known: tuple[int, int], *, of: int) -> float:
    """Return Mahalanobis' distance of the shares of levels, from the counts in both groups."""
    if not shown:
        return math.nan
    cells = np.array(shown, dtype=np.float64)
    if of == 1 or len(shown) < of:  # a Boolean's false, or the withheld levels
        cells = np.vstack([cells, np.maximum(np.array(known) - cells.sum(axis=0), 0)])
    shares = cells[cells.sum(axis=1) > 0] / cells.sum(axis=0)
    differences = (shares[:, 0] - shares[:, 1])[1:]
    a, b = shares[1:].T
    variance = (np.diag(a) - np.outer(a, a) + np.diag(b) - np.outer(b, b)) / 2
    inverse = np.linalg.pinv(variance, hermitian=True)
    if not np.allclose(variance @ inverse @ differences, differences):  # the groups share no level
        return math.inf
    return float(max(differences @ inverse @ differences, 0.0) ** 0.5)
