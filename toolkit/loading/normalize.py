"""Turn records of text into the typed frame, and report each value that could not be read as it is.

Every value is read by rules, none by guessing: a value that no rule reads becomes null, one out
of its range is kept, and both are reported. Null and empty text count as no value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache

import polars as pl

from toolkit.schemas import PROBLEMS, RESOURCES, TIMESTAMP, Column, Table

# Polars reads more than its formats say ("20-3-28", "23:59:60"), so a pattern checks first.
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "[0-9]{2}:[0-9]{2}:[0-5][0-9]"
_DATE = f"^{_DAY}$", "%Y-%m-%d"
_EXACT_TIMESTAMP = rf"^{_DAY} {_CLOCK}\.[0-9]{{6}}$", "%Y-%m-%d %H:%M:%S.%6f"
_USUAL_TIMESTAMP = rf"^{_DAY} {_CLOCK}(?:\.[0-9]+)?$", "%Y-%m-%d %H:%M:%S%.f"
_ANY_TIMESTAMP = (
    rf"^\s*(?<day>{_DAY})"
    r"(?:[T ](?<minute>[0-9]{2}:[0-9]{2})(?<second>:[0-5][0-9](?:\.[0-9]+)?)?"
    r"\s?(?:[Zz]|(?<sign>[+-])(?<hours>[01][0-9]|2[0-3])(?::?(?<minutes>[0-5][0-9]))?)?)?\s*$"
)
_LENGTH_TO_MICROSECONDS = len("2020-03-28 23:21:24.354019")
_FINER_THAN_MICROSECONDS = r"\.[0-9]{6}[0-9]*[1-9]"
_ANY_NUMBER = (
    r"^\s*(?<digits>[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+))"
    r"(?:(?<power>[eE][+-]?[0-9]+)?\s*|\s*(?<percent>%)\s*)$"
)
_FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def normalize(raw: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the typed frame of some records, and the problems of their values.

    Args:
        raw: One String column per field of the table, one row per record.
        table: The resource.

    Examples:
        >>> from toolkit.schemas import COMPLETION
        >>> raw = pl.DataFrame({"username": ["ada", "bob"], "email": [None, None],
        ...                     "course_id": ["c", "c"], "completion": ["80 %", "1.2"]},
        ...                    schema=dict.fromkeys(COMPLETION.names, pl.String))
        >>> frame, problems = normalize(raw, COMPLETION)
        >>> frame["completion"].to_list(), problems["reason"].to_list()
        ([0.8, 1.2], ['outside 0–1; kept as it is'])
    """
    if raw.is_empty():
        return table.empty(), _no_problems()
    values = raw.select(_usual(table.name)).with_columns(_possible(table.name))
    problems = []
    for column in table:
        if column.dtype in _RULES:
            usual = values[column.name]
            value, found = _read(raw[column.name], usual, column)
            problems += _problems(found, column, table)
            values = values if value is usual else values.with_columns(value)
        elif column.required:
            problems += _problems(_empty(raw[column.name]), column, table)
    return values, pl.concat(problems) if problems else _no_problems()


@cache
def _no_problems() -> pl.DataFrame:
    return PROBLEMS.empty()


@cache
def _usual(resource: str) -> list[pl.Expr]:
    """Read every column in the form that nearly all its values have."""
    expressions = []
    for column in RESOURCES[resource]:
        text = pl.col(column.name)
        if column.dtype in _RULES:
            text = _RULES[column.dtype].forms[0](text).alias(column.name)
        elif column.name == "letter_grade":
            text = pl.when(text != "").then(text)
        expressions.append(text)
    return expressions


@cache
def _possible(resource: str) -> list[pl.Expr]:
    """Drop impossible values of every column, apart from the forms, lest each be read twice."""
    return [
        _RULES[column.dtype].possible(pl.col(column.name))
        for column in RESOURCES[resource]
        if column.dtype in _RULES
    ]


_Found = tuple[pl.Series, pl.Series, str]
"""Rows, their texts, and what is wrong with them."""


def _read(text: pl.Series, value: pl.Series, column: Column) -> tuple[pl.Series, list[_Found]]:
    """Try the other forms on what the first left unread; return values and problems."""
    rule, found, usual = _RULES[column.dtype], [], value
    for form in rule.forms[1:]:
        left = _unread(text, value)
        if left is None:
            break
        retried = text.gather(left).to_frame("value")
        retried = retried.select(form(pl.col("value")).alias("value"))
        retried = retried.select(rule.possible(pl.col("value")))
        value = value.clone().scatter(left, retried.to_series())
    left = _unread(text, value)
    if left is not None:
        found.append((left, text.gather(left), f"{rule.unread}; taken as null"))
    if rule.suspicious(value, column) if value is usual else rule.doubt:
        doubtful = pl.select(rule.doubtful(pl.lit(text), pl.lit(value), column)).to_series()
        rows = doubtful.fill_null(value=False).arg_true()
        found.append((rows, text.gather(rows), rule.doubt))
    return value, found


def _empty(text: pl.Series) -> list[_Found]:
    """Find empty keys, which all seem to be one learner or course."""
    if text.str.len_bytes().min() != 0:
        return []
    rows = (text == "").arg_true()
    return [(rows, text.gather(rows), "empty; kept as it is")]


def _unread(text: pl.Series, value: pl.Series) -> pl.Series | None:
    """Find the rows that have text but no value; None if there are none, checked cheaply."""
    nulls = text.null_count()
    if value.null_count() == nulls or value.null_count() == nulls + ((text == "").sum() or 0):
        return None
    return (value.is_null() & text.is_not_null() & (text != "")).arg_true()


def _problems(found: list[_Found], column: Column, table: Table) -> list[pl.DataFrame]:
    """Return the problems of one column, in the order of the records."""
    parts = [
        pl.DataFrame({"record": rows, "raw": texts}).select(
            resource=pl.lit(table.name),
            record=pl.col("record").cast(pl.Int64),
            column=pl.lit(column.name),
            raw=pl.col("raw").str.strip_prefix(""),  # copies, so that the batch is not kept
            reason=pl.lit(reason),
        )
        for rows, texts, reason in found
    ]
    return [pl.concat(parts).sort("record")] if parts else []


@dataclass(frozen=True, slots=True)
class _Rule:
    """How text becomes a value.

    Attributes:
        forms: Each reads some notations. The first is fast and reads what nearly every value is;
            the others are tried on what is left, and the last reads all that is accepted.
        possible: The value that a form read, null if it is impossible.
        unread: The problem of a text that no form reads.
        doubtful: From text, value and column: which values are read but have a problem.
        doubt: That problem.
        suspicious: Whether any value may be doubtful if the first form read all of them; cheap,
            and reliable when it says no.
    """

    forms: tuple[Callable[[pl.Expr], pl.Expr], ...]
    possible: Callable[[pl.Expr], pl.Expr]
    unread: str
    doubtful: Callable[[pl.Expr, pl.Expr, Column], pl.Expr] = lambda *_: pl.lit(value=False)
    doubt: str = ""
    suspicious: Callable[[pl.Series, Column], bool] = lambda *_: False


def _number(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _if_finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _any_number(text: pl.Expr) -> pl.Expr:
    """Also read spaces, a comma or a percent sign, which becomes an exponent: no division."""
    parts = text.str.extract_groups(_ANY_NUMBER).struct
    digits = parts.field("digits").str.replace(",", ".", literal=True)
    shifted = pl.when(parts.field("percent") == "%").then(pl.lit("e-2"))
    return _number(digits + pl.coalesce(shifted, parts.field("power"), pl.lit("")))


def _date(text: pl.Expr) -> pl.Expr:
    pattern, form = _DATE
    return pl.when(text.str.contains(pattern)).then(text.str.to_date(form, strict=False))


def _if_in_calendar(day: pl.Expr) -> pl.Expr:
    return pl.when(day.is_between(date.min, date.max)).then(day)


def _exact_timestamp(text: pl.Expr) -> pl.Expr:
    return _timestamp(text, *_EXACT_TIMESTAMP)


def _usual_timestamp(text: pl.Expr) -> pl.Expr:
    return _timestamp(text, *_USUAL_TIMESTAMP)


def _timestamp(text: pl.Expr, pattern: str, form: str) -> pl.Expr:
    local = text.str.to_datetime(form, time_unit="us", strict=False, cache=False)
    return pl.when(text.str.contains(pattern)).then(local.dt.replace_time_zone("UTC"))


def _if_in_time(moment: pl.Expr) -> pl.Expr:
    return pl.when(moment.is_between(_FIRST_MOMENT, _LAST_MOMENT)).then(moment)


def _any_timestamp(text: pl.Expr) -> pl.Expr:
    return text.map_batches(_any_timestamps, return_dtype=TIMESTAMP)


def _any_timestamps(text: pl.Series) -> pl.Series:
    """Read the parts of each text once, which one expression would do for each of its terms."""
    clock = pl.col("minute").fill_null("00:00") + pl.col("second").fill_null(":00")
    parts = text.str.extract_groups(_ANY_TIMESTAMP).struct.unnest()
    parts = parts.with_columns(text=pl.col("day") + " " + clock)
    parts = parts.with_columns(local=_usual_timestamp(pl.col("text")))
    local, sign = _if_in_time(pl.col("local")), pl.col("sign")
    offset = pl.duration(
        hours=pl.col("hours").cast(pl.Int64).fill_null(0),
        minutes=pl.col("minutes").cast(pl.Int64).fill_null(0),
    )
    east, west = local - offset, local + offset
    moments = parts.select(
        pl.when(sign == "+")
        .then(east)
        .when(sign == "-")
        .then(west)
        .otherwise(local)
        .alias("moment")
    )
    return moments.select(_if_in_time(pl.col("moment"))).to_series()


def _boolean(text: pl.Expr) -> pl.Expr:
    return pl.when(text == "true").then(True).when(text == "false").then(False)  # noqa: FBT003


def _any_boolean(text: pl.Expr) -> pl.Expr:
    plain = text.str.strip_chars().str.to_lowercase()
    return _boolean(plain.replace({"1": "true", "0": "false"}))


def _out_of_range(_: pl.Expr, value: pl.Expr, column: Column) -> pl.Expr:
    return ~value.is_between(column.low, column.high)


def _finer_than_microseconds(text: pl.Expr, value: pl.Expr, _: Column) -> pl.Expr:
    long = value.is_not_null() & (text.str.len_bytes() > _LENGTH_TO_MICROSECONDS)
    return pl.when(long).then(text).str.contains(_FINER_THAN_MICROSECONDS)


def _lies_within(value: pl.Series, column: Column) -> bool:
    low, high = value.min(), value.max()  # faster than an expression
    return low is None or bool(column.low <= low and high <= column.high)  # type: ignore[operator]


_RULES: dict[pl.DataType | type[pl.DataType], _Rule] = {
    pl.Float64: _Rule(
        (_number, _any_number),
        _if_finite,
        "not a number or a percentage",
        _out_of_range,
        "outside 0–1; kept as it is",
        lambda value, column: not _lies_within(value, column),
    ),
    TIMESTAMP: _Rule(
        (_exact_timestamp, _usual_timestamp, _any_timestamp),
        _if_in_time,
        "not a point in time",
        _finer_than_microseconds,
        "finer than a microsecond; the rest was cut off",
    ),
    pl.Date: _Rule(
        (_date, lambda text: _any_timestamp(text).dt.date()),
        _if_in_calendar,
        "not a date",
    ),
    pl.Boolean: _Rule((_boolean, _any_boolean), lambda value: value, "neither true nor false"),
}
