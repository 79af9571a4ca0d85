"""Compare an engine's figures for known rows with those of eager Polars."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from toolkit.engines.cases import CASES, Case, Put
from toolkit.errors import ArgumentError
from toolkit.schemas.arguments import one_of


def verify(engine: Any, *, analyses: Sequence[str] | None = None) -> pl.DataFrame:
    """Compare an engine's figures with those of Polars, for every analysis, on known rows.

    Each analysis that counts where the rows are is computed in the engine and in eager Polars, from
    flawless rows and from rows with nulls in every column, NaN, ties, empty groups and times of
    another zone. The figures, exact and released, must agree to 1e-9. An engine listed in
    `docs/scale.md` agrees in the locked version; this shows whether yours does, with its settings
    and its time zone.

    Args:
        engine: A function that puts a Polars DataFrame into the engine and returns its frame; or
            a DuckDB connection, an Ibis backend or a SparkSession, which read the rows from
            temporary Parquet files (PostgreSQL: from temporary tables).
        analyses: The analyses to compare, such as `["outcomes"]`; by default all.

    Returns:
        One row per analysis and kind of rows that was compared, all of them equal: `analysis` and
        `rows`. All analyses take from ten seconds (DuckDB) to some minutes (Spark).

    Raises:
        ArgumentError: A figure differs, or an analysis fails: names the analysis, the figure and
            both values. Or the engine is not supported, or `analyses` names an unknown one.

    Examples:
        >>> verify(pl.DataFrame.lazy, analyses=["outcomes"]).rows()
        [('outcomes', 'clean rows'), ('outcomes', 'nasty rows')]
    """
    cases = _cases_of(analyses)
    with placing(engine) as put:
        for case in cases:
            try:
                found = case.difference(put)
            except Exception as error:
                raise ArgumentError(
                    f"this engine cannot compute {case.name} ({type(error).__name__}: {error}). "
                    "Do not count there: write the rows to Parquet, and pass polars.scan_parquet(…)"
                ) from error
            if found:
                raise ArgumentError(
                    f"this engine's figures for {case.name} differ from Polars': {found}. Do "
                    "not count there: write the rows to Parquet, and pass polars.scan_parquet(…)"
                )
    compared = [(case.analysis, case.kind) for case in cases]
    return pl.DataFrame(compared, schema=["analysis", "rows"], orient="row")


def _cases_of(analyses: Sequence[str] | None) -> list[Case]:
    if analyses is None:
        return CASES
    known = dict.fromkeys(case.analysis for case in CASES)
    if isinstance(analyses, str) or not analyses:
        raise ArgumentError(f"analyses must be a list of some of {', '.join(known)}")
    names = [one_of(name, known, name="each of analyses") for name in analyses]
    return [case for case in CASES if case.analysis in names]


@contextmanager
def placing(engine: Any) -> Iterator[Put]:
    """Yield the function that puts rows into an engine; its temporary files exist until the end."""
    read = getattr(engine, "read_parquet", None)  # a connection of DuckDB or Ibis
    read = read or getattr(getattr(engine, "read", None), "parquet", None)  # a SparkSession
    if read is None:
        if not callable(engine):
            raise ArgumentError(
                "engine must be a function that puts a Polars DataFrame into an engine, or a "
                "DuckDB connection, an Ibis backend or a SparkSession, not "
                f"{type(engine).__name__}"
            )
        yield engine
        return
    with tempfile.TemporaryDirectory(prefix="so2-verify-") as folder:
        number = count()

        def put(frame: pl.DataFrame) -> Any:
            name = f"so2_verify_{next(number)}"
            if getattr(engine, "name", None) == "postgres":  # Ibis cannot read files with it
                return engine.create_table(name, frame.to_arrow(), temp=True)
            path = Path(folder) / f"{name}.parquet"
            frame.write_parquet(path)
            return read(str(path))

        yield put
