"""`Result`: what every analysis returns, and `Released`: the part that may be shown.

A `Result` holds the exact frame in memory. Display, charts, narratives and files all go through
`release`, so nothing unprotected reaches a page by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import polars as pl

from toolkit.errors import DisclosureError, SchemaError
from toolkit.release.rounding import MIN_N
from toolkit.release.tables import SHOWN, release_table, with_status
from toolkit.results.output import Chart, Narrative, marked
from toolkit.results.registry import REGISTRY, look_up
from toolkit.schemas import RESOURCES, Role, Table
from toolkit.schemas.arguments import a_path, a_text, alpha_of, as_given

_SCREEN = 30  # rows of a table printed as text
IDENTITIES = {name for table in RESOURCES.values() for name in table.of_role(Role.IDENTITY)}
View = Callable[[pl.DataFrame], pl.DataFrame]
Protect = Callable[[int], pl.DataFrame]


class Shown:
    """The displays and exports that results and released results share, all of released figures."""

    schema: Table
    by: tuple[str, ...]
    level: float

    @property
    def alpha(self) -> float:
        """The level of the tests that agree with its intervals: 0.05 for 95% intervals."""
        return alpha_of(self.level)

    def release(self, *, min_n: int | None = MIN_N) -> Released:
        """Return what may be shown."""
        raise NotImplementedError

    def _with(self, view: View) -> Self:
        raise NotImplementedError

    def filter(self, *predicates: Any, **constraints: Any) -> Self:
        """Keep rows, as in `pl.DataFrame.filter`.

        What is shown is filtered by the released figures, `frame` of a `Result` by the exact ones.
        """
        return self._with(lambda frame: frame.filter(*predicates, **constraints))

    def sort(self, *by: Any, **options: Any) -> Self:
        """Order rows, as in `pl.DataFrame.sort`."""
        return self._with(lambda frame: frame.sort(*by, **options))

    def head(self, n: int = 5) -> Self:
        """Keep the first rows."""
        return self._with(lambda frame: frame.head(n))

    @property
    def chart(self) -> Chart:
        """Draw the released result; `result.chart.options` lists the options."""
        return Chart(self.schema.name, self.release)

    def narrate(self) -> Narrative:
        """Say what was found, from the released figures."""
        safe = self.release()
        entry = REGISTRY[self.schema.name]
        if safe.frame.is_empty() and entry.nothing is not None:
            return Narrative(entry.nothing)
        return Narrative(look_up(entry.words)(safe), safe.min_n)

    def table(self, columns: Sequence[str] | None = None, *, rows: int = 40) -> Any:
        """Return the released result as a table for reading, each estimate with its interval.

        Args:
            columns: Which columns to show; by default all but intervals and status.
            rows: The most rows to show; the rest are counted below the table.

        Raises:
            SchemaError: A requested column does not exist.
        """
        return look_up("text.tables:reading_table")(self.release(), columns, rows=rows)

    def describe(self) -> Any:
        """Return the type, unit, role and meaning of each column."""
        return look_up("text.dictionary:describe")(self.schema)

    def to_csv(self, path: str | Path) -> Path:
        """Write the released figures as CSV, safe to open in a spreadsheet."""
        return self._write("csv", path)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the released figures as Parquet."""
        return self._write("parquet", path)

    def to_excel(self, path: str | Path) -> Path:
        """Write the released figures as an Excel workbook; needs the extra `tables`."""
        return self._write("excel", path)

    def to_latex(self, path: str | Path | None = None, **options: Any) -> str:
        """Return the table for reading as LaTeX (booktabs), and write it if a path is given.

        The options are those of `table`, and a `label` for references.
        """
        return str(look_up("text.exports:latex")(self.release(), path, **options))

    def to_word(self, path: str | Path, **options: Any) -> Path:
        """Write the table for reading as a Word document (docx), with the options of `table`."""
        written: Path = look_up("text.word:word")(
            self.release(), a_path(path, name="path"), **options
        )
        return written

    def to_html(self, path: str | Path | None = None, **options: Any) -> str:
        """Return the table for reading as HTML, and write it if a path is given.

        The options are those of `table`.
        """
        return str(look_up("text.exports:html")(self.release(), path, **options))

    def to_great_table(self, **options: Any) -> Any:
        """Return the table for reading as a `great_tables.GT`, which has methods to style it.

        Needs the extra `tables`. The options are those of `table`.
        """
        return look_up("text.exports:great_table")(self.release(), **options)

    def _write(self, form: str, path: str | Path) -> Path:
        written: Path = look_up("text.exports:write")(
            self.release(), form, a_path(path, name="path")
        )
        return written

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return marked(self.release().min_n)

    def _repr_html_(self) -> str:
        return str(self.table()._repr_html_())

    def __repr__(self) -> str:
        return repr(self.table(rows=_SCREEN))


@dataclass(frozen=True, repr=False, eq=False)
class Released(Shown):
    """The part of a result that may be shown.

    Attributes:
        schema: Which table it is: its columns, their units and roles.
        by: The columns it is grouped by.
        frame: The released figures, with `status`.
        min_n: The smallest count that is shown; None if the author asked for no protection.
        caption: Where the data come from and as of when; None if not given.
        level: The coverage of its intervals.
        before: The released figures before `filter`, `sort` and `head`; None if `frame` has them.
        compared: The groups that a comparison's columns name as text, with their values.

    Examples:
        >>> import toolkit as tk
        >>> frame = pl.DataFrame({"mode": ["audit", "honor"], "n": [200, 4]})
        >>> tk.result(frame, counts={"n": None}, groups=["mode"]).release().frame["n"].to_list()
        [200, None]
    """

    schema: Table
    by: tuple[str, ...]
    frame: pl.DataFrame
    min_n: int | None = MIN_N
    caption: str | None = None
    level: float = 0.95
    before: pl.DataFrame | None = None
    compared: pl.DataFrame | None = None

    @property
    def whole(self) -> pl.DataFrame:
        """All released rows in their original order, which statements about some may rest on."""
        return self.frame if self.before is None else self.before

    def release(self, *, min_n: int | None = MIN_N) -> Released:  # noqa: ARG002
        """Return itself, as it is already released."""
        return self

    def _with(self, view: View) -> Self:
        return replace(self, frame=_apply(view, self.frame, self.schema), before=self.whole)


@dataclass(frozen=True, repr=False, eq=False)
class Result(Shown):
    """The result of an analysis.

    In a notebook it is displayed as a protected table. `frame` holds the exact figures.

    Attributes:
        schema: Which table it is; `describe()` explains its columns.
        by: The columns it is grouped by.
        exact: The exact figures, before `filter`, `sort` and `head`.
        protect: Makes the released figures for a threshold; with `status`, or it is added.
        caption: Where the data come from and as of when; None if not given.
        views: What `filter`, `sort` and `head` do to a frame, exact or released.
        level: The coverage of its intervals.
        compared: The groups that a comparison's columns name as text, with their values.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=200) as platform:
        ...     result = tk.outcomes(tk.load_study(platform), by="mode")
        >>> result.by, result.frame.height, result.release().min_n
        (('mode',), 3, 10)
    """

    schema: Table
    by: tuple[str, ...]
    exact: pl.DataFrame
    protect: Protect
    caption: str | None = None
    views: tuple[View, ...] = ()
    level: float = 0.95
    compared: pl.DataFrame | None = None

    @classmethod
    def from_counts(
        cls,
        table: Table,
        by: Sequence[str],
        counts: pl.DataFrame,
        derive: View,
        *,
        keys: pl.DataFrame | None = None,
        counted_as: Table | None = None,
        caption: str | None = None,
        level: float = 0.95,
    ) -> Result:
        """Make a result whose statistics follow from a count table.

        The exact frame is `derive(counts)`; the released one is `derive` of the released counts,
        so every rate, interval and test that is shown comes from counts that are shown.

        Args:
            table: Which table `derive` makes.
            by: The group columns.
            counts: The group columns, counts and measures, one row per group.
            derive: Computes statistics from counts; further columns are dropped.
            keys: For each count, the sum of the keys of its records, in the same rows.
            counted_as: The table of `counts`, if it differs from the one `derive` makes.
            caption: Where the data come from.
            level: The coverage of the intervals that `derive` computes.
        """
        groups = tuple(by)

        def finished(table_of_counts: pl.DataFrame) -> pl.DataFrame:
            return derive(table_of_counts).select(*groups, *table.names)

        def protect(min_n: int) -> pl.DataFrame:
            return finished(
                release_table(counts, keys, counted_as or table, [*groups], min_n=min_n)
            )

        return cls(table, groups, finished(counts), protect, caption, level=level)

    @property
    def frame(self) -> pl.DataFrame:
        """The exact figures, unprotected: for computing, not for showing."""
        return self._viewed(self.exact)

    def release(self, *, min_n: int | None = MIN_N) -> Released:
        """Return what may be shown: counts below `min_n` withheld, all others rounded.

        Every count of at least `min_n` is rounded to a neighbouring multiple of 5, by a draw keyed
        with the records behind it; rates, intervals and tests follow from the released counts.
        Totals are rounded separately, so sums may differ by a few. See docs/privacy.

        Args:
            min_n: The smallest count that is shown. None switches the protection off.

        Raises:
            DisclosureError: `min_n` is under 5, too small for rounding to multiples of 5, or the
                groups are learners, by username or email address.

        Source:
            NCES 2011-603 (2010), for a threshold of 10; the cell-key method of Fraser & Wooton
            (2005), for the rounding.
        """
        if min_n is None:
            frame = self.exact
            if "status" not in frame.columns:
                frame = frame.with_columns(status=pl.lit(SHOWN))
        elif isinstance(min_n, bool) or not isinstance(min_n, int) or min_n < 5:
            raise DisclosureError(
                f"min_n must be a whole number of at least 5, or None for no protection, "
                f"not {as_given(min_n)}"
            )
        else:
            refuse_names([*self.by, *([] if self.compared is None else self.compared.columns)])
            frame = self.protect(min_n)
            if "status" not in frame.columns or "status" in self.exact.columns:
                frame = with_status(frame, self.exact, self.schema, min_n)
        # As 64 bits, 0.1 of 32 bits would be displayed as 0.10000000149011612.
        frame = frame.with_columns(pl.col(pl.Float32).cast(pl.String).cast(pl.Float64))
        return Released(
            self.schema,
            self.by,
            self._viewed(frame),
            min_n,
            self.caption,
            self.level,
            before=frame,
            compared=self.compared,
        )

    def captioned(self, caption: str) -> Result:
        """Say where the data come from, for charts and exported tables."""
        return replace(self, caption=a_text(caption, name="caption"))

    def _with(self, view: View) -> Self:
        _apply(view, self.frame, self.schema)  # so that a wrong column fails here, not when shown
        return replace(self, views=(*self.views, view))

    def _viewed(self, frame: pl.DataFrame) -> pl.DataFrame:
        for view in self.views:
            frame = view(frame)
        return frame


def refuse_names(columns: Sequence[str]) -> None:
    """Raise a DisclosureError if a table that shows the values of these columns names learners."""
    if named := IDENTITIES.intersection(columns):
        raise DisclosureError(
            f"a table by `{named.pop()}` names learners; group by something else. `frame` has "
            "the exact figures, for computing"
        )


def _apply(view: View, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Apply a view; turn an error of Polars into one that names the columns."""
    try:
        return view(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        said = str(error).partition("\n")[0]  # then, Polars quotes its query
        raise SchemaError(f"{table.name}: {said}. It has {', '.join(frame.columns)}") from error


@dataclass(frozen=True, slots=True, repr=False)
class Displayed:
    """Base of dataclasses that are displayed by their fields that are results."""

    def _results(self) -> list[Result]:
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, Result)]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._results()[0]._repr_mimebundle_()

    def _repr_html_(self) -> str:
        return "".join(result._repr_html_() for result in self._results())

    def __repr__(self) -> str:
        results = self._results()
        return "\n\n".join(repr(one.table(rows=_SCREEN // len(results))) for one in results)
