"""Records as text → the typed frame, and a row for each value that could not be taken as it is.

Every value is read by rules, none by guessing: a value that no rule reads becomes null, one out
of its range stays, and both are told in the problems. Null and the empty text are no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from toolkit.schemas import PROBLEMS, RESOURCES, TIMESTAMP, Column, Table

Problem = tuple[int | None, str, str | None, str]
"""Record, column, raw text, reason."""

# Polars reads more than its formats say ("20-3-28", "23:59:60"), so a pattern looks first.
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
_ANY_NUMBER = r"^\s*(?<number>[+-]?[0-9]*[.,]?[0-9]+)\s*(?<percent>%?)\s*$"


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
    if raw.is_empty():
        return table.empty(), PROBLEMS.empty()
    values = raw.select(_usual(table.name))
    columns, problems = {}, [PROBLEMS.empty()]
    for column in table:
        text, value = raw[column.name], values[column.name]
        if column.dtype in _RULES and not _is_well(text, value, column):
            read = _read(text, column)
            value = read["value"].alias(column.name)
            problems.append(_problems(read, column, table, before))
        columns[column.name] = value
    return pl.DataFrame(columns), pl.concat(problems)


@cache
def _usual(resource: str) -> list[pl.Expr]:
    """Every column read in the form that nearly all its values have."""
    expressions = []
    for column in RESOURCES[resource]:
        text = pl.col(column.name)
        if column.dtype in _RULES:
            expressions.append(_RULES[column.dtype].usual[0](text).alias(column.name))
        elif column.name == "letter_grade":
            expressions.append(pl.when(text != "").then(_own(text)))
        else:
            expressions.append(_own(text))
    return expressions


def _own(text: pl.Expr) -> pl.Expr:
    """The texts in memory of their own; raw ones may point into the body and would keep it."""
    return text.str.strip_prefix("")  # copies, unlike `slice`


def _is_well(text: pl.Series, value: pl.Series, column: Column) -> bool:
    """Whether the usual form was enough and no value needs a word; looked at cheaply."""
    if value.null_count() > text.null_count():
        empty = text == ""
        if value.null_count() > text.null_count() + (empty.sum() or 0):
            return False
    return not _RULES[column.dtype].suspicious(text, value, column)


def _given(text: pl.Expr) -> pl.Expr:
    return text.is_not_null() & (text != "")


def _read(text: pl.Series, column: Column) -> pl.DataFrame:
    """Columns text, value and reason, which is null where the value needs no word."""
    rule = _RULES[column.dtype]
    raw, value = pl.col("text"), pl.col("value")
    frame = text.alias("text").to_frame()
    for usual in rule.usual:
        frame = frame.with_columns(value=usual(raw))
        if _is_well(text, frame["value"], column):
            break
    else:
        frame = frame.with_columns(value=pl.coalesce(value, rule.any(raw)))
    return frame.with_columns(
        reason=pl.when(_given(raw) & value.is_null())
        .then(pl.lit(f"{rule.unread}; taken as null"))
        .when(rule.doubtful(raw, value, column))
        .then(pl.lit(rule.doubt))
    )


def _problems(read: pl.DataFrame, column: Column, table: Table, before: int) -> pl.DataFrame:
    return (
        read.with_row_index("record", offset=before)
        .filter(pl.col("reason").is_not_null())
        .select(
            resource=pl.lit(table.name),
            record=pl.col("record").cast(pl.Int64),
            column=pl.lit(column.name),
            raw=_own(pl.col("text")),
            reason=pl.col("reason"),
        )
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """How text becomes a value.

    Attributes:
        usual: Each reads a form that nearly every value of a body may have, fast; the later the
            more forms.
        any: Reads every accepted form; asked only where these left something to be looked at.
        unread: What is said of a text that neither reads.
        doubtful: From text, value and column, which values are read but need a word.
        doubt: That word.
        suspicious: Whether some value may be doubtful; cheap, and right when it says no.
    """

    usual: tuple[Callable[[pl.Expr], pl.Expr], ...]
    any: Callable[[pl.Expr], pl.Expr]
    unread: str
    doubtful: Callable[[pl.Expr, pl.Expr, Column], pl.Expr]
    doubt: str = ""
    suspicious: Callable[[pl.Series, pl.Series, Column], bool] = lambda *_: False


def _number(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _any_number(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(_ANY_NUMBER).struct
    number = _number(parts.field("number").str.replace(",", ".", literal=True))
    return pl.when(parts.field("percent") == "%").then(number / 100).otherwise(number)


def _date(text: pl.Expr) -> pl.Expr:
    pattern, form = _DATE
    return pl.when(text.str.contains(pattern)).then(text.str.to_date(form, strict=False))


def _exact_timestamp(text: pl.Expr) -> pl.Expr:
    return _timestamp(text, *_EXACT_TIMESTAMP)


def _usual_timestamp(text: pl.Expr) -> pl.Expr:
    return _timestamp(text, *_USUAL_TIMESTAMP)


def _timestamp(text: pl.Expr, pattern: str, form: str) -> pl.Expr:
    local = text.str.to_datetime(form, time_unit="us", strict=False)
    return pl.when(text.str.contains(pattern)).then(local.dt.replace_time_zone("UTC"))


def _any_timestamp(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(_ANY_TIMESTAMP).struct
    clock = parts.field("minute").fill_null("00:00") + parts.field("second").fill_null(":00")
    local = _usual_timestamp(parts.field("day") + " " + clock)
    offset = pl.duration(
        hours=parts.field("hours").cast(pl.Int64).fill_null(0),
        minutes=parts.field("minutes").cast(pl.Int64).fill_null(0),
    )
    east, west = parts.field("sign") == "+", parts.field("sign") == "-"
    return pl.when(east).then(local - offset).when(west).then(local + offset).otherwise(local)


def _boolean(text: pl.Expr) -> pl.Expr:
    return pl.when(text == "true").then(True).when(text == "false").then(False)  # noqa: FBT003


def _any_boolean(text: pl.Expr) -> pl.Expr:
    plain = text.str.strip_chars().str.to_lowercase()
    return _boolean(plain.replace({"1": "true", "0": "false"}))


def _out_of_range(_: pl.Expr, value: pl.Expr, column: Column) -> pl.Expr:
    return ~value.is_between(column.low, column.high)


def _finer_than_microseconds(text: pl.Expr, _: pl.Expr, __: Column) -> pl.Expr:
    long = text.str.len_bytes() > _LENGTH_TO_MICROSECONDS
    return pl.when(long).then(text).str.contains(_FINER_THAN_MICROSECONDS).fill_null(value=False)


def _lies_within(value: pl.Series, column: Column) -> bool:
    return bool(value.is_between(column.low, column.high).all())


def _longest(text: pl.Series) -> int:
    return int(text.str.len_bytes().max() or 0)  # type: ignore[arg-type]  # of a number column


def _never(_: pl.Expr, __: pl.Expr, ___: Column) -> pl.Expr:
    return pl.lit(value=False)


_RULES: dict[pl.DataType | type[pl.DataType], _Rule] = {
    pl.Float64: _Rule(
        (_number,),
        _any_number,
        "not a number or a percentage",
        _out_of_range,
        "outside 0–1; kept as it is",
        lambda _, value, column: not _lies_within(value, column),
    ),
    TIMESTAMP: _Rule(
        (_exact_timestamp, _usual_timestamp),
        _any_timestamp,
        "not a point in time",
        _finer_than_microseconds,
        "finer than a microsecond; the rest was cut off",
        lambda text, _, __: _longest(text) > _LENGTH_TO_MICROSECONDS,
    ),
    pl.Date: _Rule(
        (_date,),
        lambda text: _any_timestamp(text).dt.date(),
        "not a date",
        _never,
    ),
    pl.Boolean: _Rule((_boolean,), _any_boolean, "neither true nor false", _never),
}
