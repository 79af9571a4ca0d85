"""Release of count tables: parts, measures and status."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import DisclosureError
from toolkit.release.tables import release_table, with_status
from toolkit.schemas import Column, Role, Table
from toolkit.schemas.results import RESULTS

TABLE = Table(
    "tried",
    "one row per group",
    (
        Column("n", pl.Int64, "All.", Role.COUNT),
        Column("n_passed", pl.Int64, "Of them, passed.", Role.COUNT, within="n"),
        Column("mean", pl.Float64, "A mean.", Role.MEASURE, rests_on=("n_passed",)),
    ),
)


COUNTS = Table("counts", "one row per group", (Column("n", pl.Int64, "All.", Role.COUNT),))


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 2**50), st.integers(0, 2**50))
def test_a_part_is_never_larger_than_its_whole(n: int, share: float, key: int, other: int) -> None:
    counts = pl.DataFrame({"n": [n], "n_passed": [int(n * share)], "mean": [0.5]})
    key_sums = pl.DataFrame({"n": [key], "n_passed": [other]})
    shown = release_table(counts, key_sums, TABLE, [], min_n=10).row(0, named=True)
    if shown["n_passed"] is not None:
        assert shown["n_passed"] <= shown["n"]


def test_a_measure_has_two_digits_and_goes_with_its_count() -> None:
    counts = pl.DataFrame({"n": [100, 100], "n_passed": [50, 3], "mean": [0.73812, 0.5]})
    shown = release_table(counts, None, TABLE, [], min_n=10)
    assert shown["mean"].to_list() == [0.74, None]


def test_a_column_of_numbers_that_nobody_declared_is_refused() -> None:
    counts = pl.DataFrame({"n": [100], "n_passed": [50], "mean": [0.7], "age": [33]})
    with pytest.raises(DisclosureError, match="age"):
        release_table(counts, None, TABLE, [], min_n=10)


def test_the_status_tells_a_withheld_figure_from_one_that_does_not_exist() -> None:
    exact = pl.DataFrame({"n": [50, 3, None]})
    shown = with_status(pl.DataFrame({"n": [50, None, None]}), exact, COUNTS, 10)
    assert shown["status"].to_list() == ["shown", "withheld: fewer than 10 learners", "shown"]


@given(st.integers(10, 60), st.lists(st.integers(0, 2**40), min_size=3, max_size=3))
def test_a_part_of_a_part_is_never_larger_than_what_is_shown_of_it(n: int, keys: list[int]) -> None:
    chain = Table(
        "chain",
        "one row per group",
        tuple(
            Column(name, pl.Int64, "A count.", Role.COUNT, within=within)
            for name, within in (("n_all", None), ("n_some", "n_all"), ("n_few", "n_some"))
        ),
    )
    counts = pl.DataFrame({name: [n] for name in chain.names})
    drawn = pl.DataFrame(dict(zip(chain.names, ([key] for key in keys), strict=True)))
    n_all, n_some, n_few = release_table(counts, drawn, chain, []).row(0)
    assert n_few <= n_some <= n_all


@pytest.mark.parametrize("table", RESULTS.values(), ids=lambda table: table.name)
def test_a_table_names_a_part_that_is_a_whole_before_its_own_parts(table: Table) -> None:
    for place, column in enumerate(table):
        if column.within is not None and table[column.within].within is not None:
            assert column.within in table.names[:place], column.name
