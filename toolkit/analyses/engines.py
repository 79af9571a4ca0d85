"""The supported engines: how each wraps its rows and returns a small table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.exceptions import DuplicateError

from toolkit.errors import ArgumentError, SchemaError
from toolkit.loading.ranges import in_batches, is_read_by_row, is_read_in_parts

P = TypeVar("P", bound=pl.DataFrame | pl.LazyFrame, covariant=True)

SUPPORTED = (
    "Polars, lazy or not",
    "DuckDB",
    "Ibis over DuckDB, PostgreSQL or ClickHouse",
    "PySpark, classic or Connect",
    "pandas",
    "PyArrow",
)
_COUNTED_IN_PLACE = {
    nw.Implementation.POLARS,
    nw.Implementation.DUCKDB,
    nw.Implementation.IBIS,
    nw.Implementation.PYSPARK,
    nw.Implementation.PYSPARK_CONNECT,
}
OF_SPARK = {nw.Implementation.PYSPARK, nw.Implementation.PYSPARK_CONNECT}
MICROSECONDS_A_DAY = 86_400_000_000
_BACKENDS_OF_IBIS = {"duckdb", "postgres", "clickhouse"}
# Neither Narwhals nor DuckDB's own functions read these.
_ODD_TIMES_OF_DUCKDB = {"TIMESTAMP_S": "TIMESTAMP", "TIMESTAMPTZ_NS": "TIMESTAMPTZ"}


class HasPersonCourse(ABC, Generic[P]):
    """Accepted wherever a person_course frame is, such as a `Study`."""

    @property
    @abstractmethod
    def person_course(self) -> P:
        """One row per learner per course."""


def lazily(frame: Any) -> nw.LazyFrame[Any]:
    """Wrap a frame in Narwhals, uncollected, as analyses read it.

    pandas and PyArrow frames become Polars, which has only one kind of missing value: NaN in
    pandas is null. Over Ibis, NaN and infinity are null in ClickHouse and DuckDB too.
    """
    rows = as_stored(frame)
    if rows.implementation is nw.Implementation.IBIS:
        native = rows.to_native()
        if native.get_backend().name in {"clickhouse", "duckdb"}:
            return _wrapped(_finite(native))
    return rows


def as_stored(frame: Any) -> nw.LazyFrame[Any]:
    """Wrap a frame in Narwhals with the values its engine holds."""
    if isinstance(frame, HasPersonCourse):
        frame = frame.person_course
    try:
        known = nw.from_native(frame)
    except TypeError:
        raise _refused(frame) from None
    except DuplicateError as error:
        told = " ".join(str(error).split())
        raise SchemaError(f"the frame has several columns of one name: {told}") from None
    if known.implementation is nw.Implementation.PANDAS:
        return nw.from_native(_from_pandas(frame)).lazy()
    if known.implementation is nw.Implementation.PYARROW:
        return nw.from_native(pl.DataFrame(frame)).lazy()
    if known.implementation is nw.Implementation.DUCKDB:
        return _wrapped(_with_usual_times(known.to_native()))
    if known.implementation is nw.Implementation.IBIS:
        backend = known.to_native().get_backend().name
        if backend not in _BACKENDS_OF_IBIS:
            raise _refused(frame, f" over {backend}")
    if known.implementation in _COUNTED_IN_PLACE and not isinstance(known, nw.Series):
        rows: nw.LazyFrame[Any] = known.lazy()
        return rows
    raise _refused(frame)


def collected(rows: nw.LazyFrame[Any]) -> pl.DataFrame:
    """Collect the rows in Polars; whole numbers become Int64, whatever type the engine returns.

    A column with larger ones, such as hashes of usernames, stays as it is.
    """
    native = nw.to_native(rows)
    if isinstance(native, pl.LazyFrame):
        frame = native.collect()
    elif hasattr(native, "toArrow"):  # Spark, whose stream of Arrow fails on timestamps
        frame = pl.DataFrame(native.toArrow())
    else:  # DuckDB and Ibis pass Arrow columns: no copy, and DuckDB needs no PyArrow
        frame = pl.DataFrame(native)
    whole = [column.name for column in frame if _is_whole(column.dtype) and _fits(column)]
    return frame.with_columns(pl.col(whole).cast(pl.Int64))


def number_of_rows(rows: nw.LazyFrame[Any]) -> int:
    """Count the rows if Polars can read a slice without reading all rows before it; else 0."""
    native = rows.to_native()
    return int(native.select(pl.len()).collect().item()) if is_read_by_row(native) else 0


def slices_of(rows: nw.LazyFrame[Any], most: int) -> Iterator[nw.LazyFrame[Any]]:
    """Yield the rows, in Polars `most` at a time if they are read by row or joined in parts."""
    native, n = rows.to_native(), number_of_rows(rows)
    if n > most:
        yield from (_wrapped(native.slice(start, most)) for start in range(0, n, most))
    elif is_read_in_parts(native):
        yield from (_wrapped(batch.lazy()) for batch in in_batches(native, most))
    else:
        yield rows


def is_of_duckdb(rows: nw.LazyFrame[Any]) -> bool:
    """Whether the frame is a relation of DuckDB."""
    return rows.implementation is nw.Implementation.DUCKDB


def is_in_memory(frame: Any) -> bool:
    """Whether the frame holds its rows, as those of Polars (not lazy), pandas and PyArrow do."""
    return not isinstance(nw.from_native(frame), nw.LazyFrame)


def with_microseconds(rows: nw.LazyFrame[Any], moments: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """Append moments as whole microseconds since 1970 in UTC, by the engine's own functions.

    The time zones of columns and sessions make no difference. A date means its 00:00 UTC, and a
    moment without a zone is in UTC. `moments` names the columns of dates by those appended.
    """
    schema, native = rows.collect_schema(), rows.to_native()
    for name in moments.values():
        if schema[name] not in (nw.Date, nw.Datetime, nw.Unknown):
            raise SchemaError(
                f"an origin or an end must be a column of dates; `{name}` is of {schema[name]}"
            )
    if is_of_duckdb(rows):
        import duckdb

        epoch = (
            duckdb.FunctionExpression("epoch_us", duckdb.ColumnExpression(old)).alias(new)
            for new, old in moments.items()
        )
        return _wrapped(native.select(duckdb.StarExpression(), *epoch))
    if rows.implementation is nw.Implementation.IBIS:
        return _wrapped(
            native.mutate(**{new: _ibis_epoch(native[old]) for new, old in moments.items()})
        )
    if rows.implementation in OF_SPARK:
        epochs = {
            new: _spark_epoch(old, schema[old], rows.implementation) for new, old in moments.items()
        }
        return _wrapped(native.withColumns(epochs))
    return _wrapped(
        native.with_columns(
            pl.col(old)
            .cast(pl.Datetime("us", getattr(schema[old], "time_zone", None)))
            .dt.timestamp("us")
            .alias(new)
            for new, old in moments.items()
        )
    )


def with_part(rows: nw.LazyFrame[Any], name: str, n: int, part: str) -> nw.LazyFrame[Any]:
    """Append whole numbers from 0 to n − 1, the same for the same value of a column.

    They are of the engine's own hash, so each engine has others.
    """
    native = rows.to_native()
    if is_of_duckdb(rows):
        import duckdb

        hashed = duckdb.FunctionExpression("hash", duckdb.ColumnExpression(name))
        number = (hashed % duckdb.ConstantExpression(n)).cast("BIGINT").alias(part)
        return _wrapped(native.select(duckdb.StarExpression(), number))
    if rows.implementation is nw.Implementation.IBIS:  # null has no hash there
        return _wrapped(native.mutate(**{part: (native[name].hash() % n).abs().fill_null(0)}))
    if rows.implementation in OF_SPARK:
        functions = _functions_of_spark(rows.implementation)
        return _wrapped(native.withColumn(part, functions.abs(functions.xxhash64(name) % n)))
    return _wrapped(native.with_columns((pl.col(name).hash() % n).alias(part)))


def _with_usual_times(relation: Any) -> Any:
    import duckdb

    types = [_ODD_TIMES_OF_DUCKDB.get(str(dtype)) for dtype in relation.types]
    if not any(types):
        return relation
    columns = zip(
        map(duckdb.ColumnExpression, relation.columns), types, relation.columns, strict=True
    )
    return relation.select(
        *(column.cast(to).alias(name) if to else column for column, to, name in columns)
    )


def _finite(rows: Any) -> Any:
    """Make NaN and infinity null, even beneath a null, since ClickHouse casts those as well.

    Use the database's own function: DuckDB assumes that no value of a Parquet file is NaN, and
    would answer no to Ibis.
    """
    import ibis

    built_in = ibis.udf.scalar.builtin
    is_finite = built_in(_of_one, name="isFinite", signature=((None,), "boolean"))
    numbers = {name: rows[name] for name, dtype in rows.schema().items() if dtype.is_floating()}
    is_none = {name: ~is_finite(number) for name, number in numbers.items()}
    return rows.mutate(
        **{
            name: ibis.ifelse(is_none[name], None, ibis.ifelse(is_none[name], 0.0, number))
            for name, number in numbers.items()
        }
    )


def _ibis_epoch(column: Any) -> Any:
    """Use the database's own function: what Ibis generates depends on the session's zone."""
    import ibis

    built_in = ibis.udf.scalar.builtin
    if column.get_backend().name == "duckdb":
        if column.type().is_unknown():  # TIMESTAMPTZ_NS
            column = column.cast("timestamp('UTC', 6)")
        return built_in(_of_one, name="epoch_us", signature=((None,), "int64"))(column)
    if column.get_backend().name == "clickhouse":
        if column.type().is_date():
            days = built_in(_of_one, name="toInt32", signature=((None,), "int64"))
            return days(column) * MICROSECONDS_A_DAY
        exact = column.cast("timestamp('UTC', 6)")
        return built_in(_of_one, name="toUnixTimestamp64Micro", signature=((None,), "int64"))(exact)
    seconds = built_in(_of_two, name="date_part", signature=((str, None), "float64"))
    return (seconds("epoch", column) * 1_000_000).round().cast("int64")


def _of_one(moment: Any) -> Any:
    """The signature of a function of the database."""


def _of_two(field: Any, moment: Any) -> Any:
    """The signature of a function of the database."""


def _functions_of_spark(kind: nw.Implementation) -> Any:
    if kind is nw.Implementation.PYSPARK:
        from pyspark.sql import functions
    else:
        from pyspark.sql.connect import functions
    return functions


def _spark_epoch(name: str, dtype: Any, kind: nw.Implementation) -> Any:
    functions = _functions_of_spark(kind)
    if dtype == nw.Date:
        return functions.unix_date(name).cast("bigint") * MICROSECONDS_A_DAY
    if dtype.time_zone is None:
        raise SchemaError(
            f"`{name}` has no time zone, and Spark reads it in the session's: cast it to timestamp"
        )
    return functions.unix_micros(name)


def planned_apart(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return the same rows, which DuckDB plans separately.

    DuckDB 2.0 pushes the sums of an analysis below the joins beneath it, and copies the summed
    expressions at each step: planning then takes minutes. A volatile condition, always true here,
    prevents this at no cost.
    """
    if not is_of_duckdb(rows):
        return rows
    return _wrapped(rows.to_native().filter("random() < 2"))


def _wrapped(native: Any) -> nw.LazyFrame[Any]:
    rows: nw.LazyFrame[Any] = nw.from_native(native).lazy()
    return rows


def _is_whole(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)


def _fits(whole: pl.Series) -> bool:
    """Whether all whole numbers of a column can be Int64."""
    if whole.dtype.is_integer() and whole.dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
        return True
    return whole.cast(pl.Int64, strict=False).null_count() == whole.null_count()


def _refused(frame: object, where: str = "") -> ArgumentError:
    kind = type(frame)
    return ArgumentError(
        f"a frame of {', '.join(SUPPORTED)} is needed, not {kind.__module__.partition('.')[0]}."
        f"{kind.__qualname__}{where}; other engines are not tested to give the right "
        "figures. Write it to Parquet, and pass polars.scan_parquet(…)"
    )


def _from_pandas(frame: Any) -> pl.DataFrame:
    """Convert a pandas frame to Polars without PyArrow; what pandas counts as missing is null."""
    return pl.DataFrame([_series(str(name), frame[name]) for name in frame.columns])


def _series(name: str, column: Any) -> pl.Series:
    values = column.array
    if hasattr(column.dtype, "pyarrow_dtype"):
        return pl.Series(name, values.__arrow_array__())
    if hasattr(values, "categories"):
        values = values.astype(values.categories.dtype)
    if column.dtype.kind in "biuf" and not column.isna().any():
        return pl.Series(name, column.to_numpy())
    if column.dtype.kind == "M":
        zone = getattr(column.dtype, "tz", None)
        in_utc = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        read = pl.Series(name, in_utc.to_numpy().astype("datetime64[us]"))
        return read if zone is None else read.dt.replace_time_zone("UTC")
    missing = column.isna().to_numpy()
    plain = [None if gone else value for value, gone in zip(values, missing, strict=True)]
    return pl.Series(name, plain, strict=False)
