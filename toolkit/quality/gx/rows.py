"""The rows of a frame in its engine, as the metrics read them.

One set of Narwhals expressions counts in every engine. Engines differ in how they treat a moment
(by the session's time zone), NaN, the order of texts and the sum of a Boolean; so columns are read
only here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from operator import and_
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.analyses.counting import flag
from toolkit.analyses.engines import OF_SPARK, as_stored, collected, is_in_memory, with_microseconds
from toolkit.quality.gx.patterns import portable
from toolkit.schemas import TIMESTAMP
from toolkit.schemas.moments import in_microseconds

_TIME = "time"
_MICROSECONDS = "__microseconds_of_"
PLACE = "__row__"


class Rows:
    """The rows of a frame of any engine that `analyses.engines` lists."""

    def __init__(
        self,
        lazy: nw.LazyFrame[Any],  # with the microseconds since 1970 of each date and moment
        schema: Mapping[str, pl.DataType],  # of other engines, moments are in UTC
        *,
        streamed: bool,  # whether Polars computes in bounded memory rather than at once
        timed: frozenset[str] = frozenset(),
        plain: Rows | None = None,  # the same before further columns were joined, if they were
    ) -> None:
        self.lazy, self.schema, self.streamed = lazy, schema, streamed
        self._timed, self.plain = timed, plain

    @classmethod
    def of(cls, frame: Any, plain: Any = None) -> Rows:
        """Read a frame.

        `plain` has the same rows in the same order, with columns that cost less to compute.
        """
        rows = as_stored(frame)
        schema, in_polars = types(rows), rows.implementation.is_polars()
        timed = [
            name
            for name, dtype in schema.items()
            if dtype == pl.Date
            or (isinstance(dtype, pl.Datetime) and (dtype.time_zone or in_polars))
        ]
        moments = {_MICROSECONDS + name: name for name in timed}
        with_times = with_microseconds(rows, moments) if moments else rows
        streamed = not is_in_memory(frame)
        before = None if plain is None else cls.of(plain)
        return cls(with_times, schema, streamed=streamed, timed=frozenset(timed), plain=before)

    def reading(self, names: Iterable[str]) -> Rows:
        """Return rows with these columns, before joins that do not concern them."""
        if self.plain is not None and self.plain.schema.keys() >= set(names):
            return self.plain
        return self

    @property
    def are_of_polars(self) -> bool:
        """Whether Polars computes, so that the rows have an order."""
        return self.lazy.implementation is nw.Implementation.POLARS

    @property
    def engine(self) -> str:
        """The engine's name for messages."""
        return str(self.lazy.implementation.value)

    @property
    def may_estimate(self) -> bool:
        """Whether a median may be an estimate, as it is in ClickHouse."""
        return self.lazy.implementation is nw.Implementation.IBIS

    def filter(self, *conditions: nw.Expr) -> Rows:
        """Keep the rows for which all conditions are true."""
        return self._with(self.lazy.filter(*conditions) if conditions else self.lazy)

    def with_columns(self, *columns: nw.Expr) -> Rows:
        """Append columns to compute with, which the schema does not list."""
        return self._with(self.lazy.with_columns(*columns))

    def with_places(self) -> Rows:
        """Append each row's 0-based place in the frame, in Polars."""
        if not self.are_of_polars:
            return self
        return self._with(nw.from_native(self.lazy.to_native().with_row_index(PLACE)))

    def with_shared_hash(self, columns: Sequence[str]) -> Rows:
        """Keep the rows, in Polars, that share their hash of the columns with another row."""
        shared = self.hash_of(columns).is_duplicated()
        return self._with(nw.from_native(self.lazy.to_native().filter(shared)))

    def hash_of(self, columns: Sequence[str]) -> pl.Expr:
        """Return a number that is the same for rows that agree in the columns, in Polars."""
        values = (
            pl.col(name).fill_nan(None) if self.dtype(name).is_float() else pl.col(name)
            for name in columns
        )
        return pl.sum_horizontal(value.hash(seed) for seed, value in enumerate(values))

    def with_native(self, column: pl.Expr) -> Rows:
        """Append a column of Polars."""
        return self._with(nw.from_native(self.lazy.to_native().with_columns(column)))

    def first(self, n: int, names: Sequence[str]) -> nw.LazyFrame[Any]:
        """Return the first rows, in their order, or without one in the order of the columns."""
        if self.are_of_polars:
            return self.lazy.select(PLACE, *names).head(n)
        return self.lazy.select(*names).sort(*names, nulls_last=True).head(n)

    def _with(self, lazy: nw.LazyFrame[Any]) -> Rows:
        return Rows(lazy, self.schema, streamed=self.streamed, timed=self._timed)

    def value(self, name: str) -> nw.Expr:
        """Return the column, with NaN as null."""
        column = nw.col(name)
        if not self.dtype(name).is_float():
            return column
        # By arithmetic, since DuckDB assumes that no value of a Parquet file is NaN.
        is_known = (column * 0 == 0) | (column == math.inf) | (column == -math.inf)
        return nw.when(is_known).then(column)

    def dtype(self, name: str) -> pl.DataType:
        """Return the column's type."""
        if name not in self.schema:
            raise KeyError(f"no column `{name}`; the frame has {', '.join(self.schema)}")
        return self.schema[name]

    def operand(self, name: str) -> nw.Expr:
        """Return the column for comparing: a date or moment as microseconds."""
        return nw.col(_MICROSECONDS + name) if name in self._timed else self.value(name)

    def orderly(self, name: str) -> nw.Expr:
        """Return the same for comparing by greater and less."""
        dtype = self.dtype(name)
        if not (self.are_of_polars or dtype.is_numeric() or name in self._timed):
            raise TypeError(f"`{name}` is {dtype}, which each engine sorts in its own way")
        return self.operand(name)

    def require_number(self, name: str) -> None:
        """Refuse to compute with a column that is not a number, in an engine other than Polars."""
        if not (self.are_of_polars or self.dtype(name).is_numeric()):
            raise TypeError(f"`{name}` is {self.dtype(name)}, not a number")

    def text(self, name: str) -> nw.Expr:
        """Return the column as text."""
        dtype = self.dtype(name)
        if dtype == pl.String:
            return nw.col(name)
        if not self.are_of_polars:
            raise TypeError(f"`{name}` is {dtype}, not text")
        return nw.col(name).cast(nw.String)

    def bound(self, name: str, given: Any) -> Any:
        """Return a value to compare with `operand`; JSON has no dates."""
        dtype = self.dtype(name)
        if name in self._timed:
            return in_microseconds(_moment(name, given, dtype))
        kinds = next((kinds for is_it, kinds in _KINDS if is_it(dtype)), None)
        is_like = isinstance(given, kinds or object) and isinstance(given, bool) == (kinds is bool)
        if not is_like and (kinds or not self.are_of_polars):
            raise TypeError(f"`{name}` is {dtype}, which is not compared with {given!r}")
        return given

    def members(self, name: str, given: Iterable[Any]) -> list[Any]:
        """Return values to look for with `is_in`, which compares no number of another type."""
        values = [self.bound(name, value) for value in given if value is not None]
        dtype = self.dtype(name)
        if dtype.is_float():
            return [float(value) for value in values]
        if dtype.is_integer():  # no whole number equals 0.5
            return [int(value) for value in values if value % 1 == 0]
        return [Decimal(str(value)) for value in values] if dtype.is_decimal() else values

    def require_alike(self, one: str, other: str) -> None:
        """Refuse to compare two columns of different kinds."""
        kinds = [self._kind(name) for name in (one, other)]
        if kinds[0] != kinds[1] and (not self.are_of_polars or _TIME in kinds):
            named = " and ".join(f"`{name}` is {self.dtype(name)}" for name in (one, other))
            raise TypeError(f"{named}, which are not compared")

    def _kind(self, name: str) -> Any:
        dtype = self.dtype(name)
        if name in self._timed:
            return _TIME
        return next((kinds for is_it, kinds in _KINDS if is_it(dtype)), dtype)

    def pattern(self, regex: str) -> str:
        """Translate a regular expression from Polars' language to the engine's."""
        if self.are_of_polars:
            return regex
        return portable(regex, end=r"\z" if self.lazy.implementation in OF_SPARK else "$")

    def count(self, conditions: Iterable[nw.Expr]) -> nw.Expr:
        """Count the rows for which all conditions are true."""
        asked = list(conditions)
        if not asked:
            return nw.len()
        return every(asked).sum() if self.are_of_polars else flag(*asked).sum()

    def collect(self, rows: nw.LazyFrame[Any]) -> pl.DataFrame:
        """Collect a few rows, in the types of the frame."""
        [found] = self.collect_all([rows])
        return found

    def collect_all(self, queries: Sequence[nw.LazyFrame[Any]]) -> list[pl.DataFrame]:
        """Collect several queries, at once if the engine can."""
        if self.are_of_polars:
            natives = [query.to_native() for query in queries]
            return pl.collect_all(natives, engine="streaming" if self.streamed else "auto")
        return [self._typed(collected(query)) for query in queries]

    def _typed(self, found: pl.DataFrame) -> pl.DataFrame:
        in_utc = found.with_columns(
            pl.selectors.datetime(time_zone="*").dt.convert_time_zone("UTC").cast(TIMESTAMP)
        )
        known = {name: self.schema[name] for name in found.columns if name in self.schema}
        return in_utc.cast(known)  # type: ignore[arg-type]


def every(conditions: Sequence[nw.Expr]) -> nw.Expr:
    """Combine conditions by `and`; null if none is false and one is unknown."""
    return reduce(and_, conditions) if conditions else nw.lit(True)  # noqa: FBT003


def types(rows: nw.LazyFrame[Any]) -> dict[str, pl.DataType]:
    """Return the columns of any engine in Polars' types, moments of other engines in UTC."""
    native = rows.to_native()
    if isinstance(native, pl.LazyFrame):
        return dict(native.collect_schema())
    found = rows.collect_schema().to_polars()
    return {
        name: TIMESTAMP if isinstance(dtype, pl.Datetime) and dtype.time_zone else dtype
        for name, dtype in found.items()
    }


_KINDS: list[tuple[Any, Any]] = [
    (lambda dtype: dtype == pl.String, str),
    (lambda dtype: dtype == pl.Boolean, bool),
    (lambda dtype: dtype.is_numeric(), (int, float, Decimal)),
]


def _moment(name: str, given: Any, dtype: pl.DataType) -> datetime:
    if isinstance(given, str):
        given = datetime.fromisoformat(given)
    if not isinstance(given, date):
        raise TypeError(f"`{name}` is {dtype}, which is not compared with {given!r}")
    if not isinstance(given, datetime) or dtype == pl.Date:
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return given if given.tzinfo else given.replace(tzinfo=UTC)
