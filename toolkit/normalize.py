"""Records as text → the typed frame, and a row for each value that could not be taken as it is.

Every value is read by rules, none by guessing: a value that no rule reads becomes null, one out
of its range stays, and both are told in the problems. Null and the empty text are no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from toolkit.schemas import PROBLEMS, TIMESTAMP, Column, Table

Problem = tuple[int | None, str, str | None, str]
"""Record, column, raw text, reason."""

_TEXT = pl.col("text")
_VALUE = pl.col("value")
_GIVEN = _TEXT.is_not_null() & (_TEXT != "")

_USUAL_TIMESTAMP = "%Y-%m-%d %H:%M:%S%.f"
_ANY_TIMESTAMP = (
    r"^\s*(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d+)?)?"
    r"\s?(?:[Zz]|(?<sign>[+-])(?<hours>[01]\d|2[0-3])(?::?(?<minutes>[0-5]\d))?)?)?\s*$"
)
_FINER_THAN_MICROSECONDS = r"\.\d{6}\d*[1-9]"
_ANY_NUMBER = r"^\s*(?<number>[+-]?\d*[.,]?\d+)\s*(?<percent>%?)\s*$"


def problem_rows(resource: str, rows: Sequence[Problem]) -> pl.DataFrame:
    """A problems frame of these rows."""
    return pl.DataFrame(
        [(resource, *row) for row in rows], schema=PROBLEMS.polars_schema, orient="row"
    )


def normalize(
    raw: pl.DataFrame, table: Table, *, before: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The typed frame of some records, and the problems of their values.

    Args:
        raw: One String column per field of the table, one row per record.
        table: The resource.
        before: Number of records that came before these.

    Examples:
        >>> from toolkit.schemas import COMPLETION
        >>> raw = pl.DataFrame({"username": ["ada", "bob"], "email": [None, None],
        ...                     "course_id": ["c", "c"], "completion": ["80 %", "1.2"]},
        ...                    schema=dict.fromkeys(COMPLETION.names, pl.String))
        >>> frame, problems = normalize(raw, COMPLETION)
        >>> frame["completion"].to_list(), problems["reason"].to_list()
        ([0.8, 1.2], ['outside 0–1; kept as it is'])
    """
    typed = []
    problems = [PROBLEMS.empty()]
    for column in table:
        text = raw[column.name]
        if column.dtype == pl.String:
            typed.append(text.replace("", None) if column.name == "letter_grade" else text)
            continue
        read = _read(text, column)
        typed.append(read["value"].alias(column.name))
        if "reason" in read.columns:
            problems.append(_problems(read, column, table, before))
    return pl.DataFrame(typed), pl.concat(problems)


def _read(text: pl.Series, column: Column) -> pl.DataFrame:
    """Columns text, value and, where some value needs a word, reason."""
    rule = _RULES[column.dtype]
    frame = text.alias("text").to_frame().with_columns(rule.usual.alias("value"))
    if frame.select((_GIVEN & _VALUE.is_null()).any()).item():
        frame = frame.with_columns(value=pl.coalesce(_VALUE, rule.any))
    doubtful, doubt = rule.doubt(column)
    reason = (
        pl.when(_GIVEN & _VALUE.is_null())
        .then(pl.lit(f"{rule.unread}; taken as null"))
        .when(doubtful)
        .then(pl.lit(doubt))
    )
    reasons = frame.select(reason=reason).to_series()
    return frame if reasons.null_count() == len(reasons) else frame.with_columns(reasons)


def _problems(read: pl.DataFrame, column: Column, table: Table, before: int) -> pl.DataFrame:
    return (
        read.with_row_index("record", offset=before)
        .filter(pl.col("reason").is_not_null())
        .select(
            resource=pl.lit(table.name),
            record=pl.col("record").cast(pl.Int64),
            column=pl.lit(column.name),
            raw=_TEXT,
            reason=pl.col("reason"),
        )
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """How `text` becomes `value`.

    Attributes:
        usual: Reads the form that nearly every value has, fast.
        any: Reads every accepted form; asked only where `usual` left something unread.
        unread: What is said of a text that neither reads.
        doubt: For a column, which values are read but need a word, and that word.
    """

    usual: pl.Expr
    any: pl.Expr
    unread: str
    doubt: Callable[[Column], tuple[pl.Expr, str]]


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _any_number() -> pl.Expr:
    parts = _TEXT.str.extract_groups(_ANY_NUMBER).struct
    number = _finite(
        parts.field("number").str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    )
    return pl.when(parts.field("percent") == "%").then(number / 100).otherwise(number)


def _any_timestamp() -> pl.Expr:
    parts = _TEXT.str.extract_groups(_ANY_TIMESTAMP).struct
    clock = parts.field("minute").fill_null("00:00") + parts.field("second").fill_null(":00")
    local = (parts.field("day") + " " + clock).str.to_datetime(
        _USUAL_TIMESTAMP, time_unit="us", strict=False
    )
    offset = pl.duration(
        hours=parts.field("hours").cast(pl.Int64).fill_null(0),
        minutes=parts.field("minutes").cast(pl.Int64).fill_null(0),
    )
    east = parts.field("sign") == "+"
    west = parts.field("sign") == "-"
    utc = pl.when(east).then(local - offset).when(west).then(local + offset).otherwise(local)
    return utc.dt.replace_time_zone("UTC")


def _out_of_range(column: Column) -> tuple[pl.Expr, str]:
    outside = ~_VALUE.is_between(column.low, column.high)
    return outside, f"outside {column.low:g}–{column.high:g}; kept as it is"


def _cut_to_microseconds(_: Column) -> tuple[pl.Expr, str]:
    long = _TEXT.str.len_bytes() > len("2020-03-28 23:21:24.354019")
    finer = pl.when(long).then(_TEXT).str.contains(_FINER_THAN_MICROSECONDS)
    return finer, "finer than a microsecond; the rest was cut off"


def _no_doubt(_: Column) -> tuple[pl.Expr, str]:
    return pl.lit(value=False), ""


_RULES: dict[pl.DataType | type[pl.DataType], _Rule] = {
    pl.Float64: _Rule(
        usual=_finite(_TEXT.cast(pl.Float64, strict=False)),
        any=_any_number(),
        unread="not a number or a percentage",
        doubt=_out_of_range,
    ),
    TIMESTAMP: _Rule(
        usual=_TEXT.str.to_datetime(
            _USUAL_TIMESTAMP, time_unit="us", strict=False
        ).dt.replace_time_zone("UTC"),
        any=_any_timestamp(),
        unread="not a point in time",
        doubt=_cut_to_microseconds,
    ),
    pl.Date: _Rule(
        usual=_TEXT.str.to_date("%Y-%m-%d", strict=False),
        any=_any_timestamp().dt.date(),
        unread="not a date",
        doubt=_no_doubt,
    ),
    pl.Boolean: _Rule(
        usual=_TEXT.replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        ),
        any=_TEXT.str.strip_chars()
        .str.to_lowercase()
        .replace_strict(
            {"true": True, "false": False, "1": True, "0": False},
            default=None,
            return_dtype=pl.Boolean,
        ),
        unread="neither true nor false",
        doubt=_no_doubt,
    ),
}
