import polars as pl
import pytest

import toolkit as tk
from toolkit import schemas
from toolkit.schemas import Column, Role, Table, results

SHARES = Table(
    "test_shares",
    "one row per group",
    (
        Column("n_enrolled", pl.Int64, "Enrolled.", Role.COUNT),
        Column("n_passed", pl.Int64, "Passed.", Role.COUNT),
        Column("pass_rate", pl.Float64, "Share.", Role.STATISTIC, rests_on=("n_passed",)),
    ),
)


@pytest.fixture(autouse=True)
def shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(results.RESULTS, SHARES.name, SHARES)


def table(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_a_small_count_and_its_rate_are_withheld() -> None:
    frame = table(course=["a", "b"], n_enrolled=[50, 60], n_passed=[3, 30], pass_rate=[0.06, 0.5])
    safe = tk.protect(frame)
    assert safe["n_passed"].to_list() == [None, 30]
    assert safe["pass_rate"].to_list() == [None, 0.5]
    assert safe["status"].to_list()[1] == "shown"
    assert safe["status"].to_list()[0].startswith("withheld: fewer than 10")


def test_protecting_twice_changes_nothing() -> None:
    frame = table(course=["a", "b"], n_enrolled=[50, 60], n_passed=[3, 30], pass_rate=[0.06, 0.5])
    once = tk.protect(frame)
    assert tk.protect(once).equals(once)


def test_a_threshold_of_one_shows_everything() -> None:
    frame = table(course=["a"], n_enrolled=[5], n_passed=[3], pass_rate=[0.6])
    safe = tk.protect(frame, min_n=1)
    assert safe.drop("status").equals(frame)


def test_a_frame_that_is_no_result_table_is_refused() -> None:
    with pytest.raises(tk.DisclosureError, match="only a result table"):
        tk.protect(pl.DataFrame({"username": ["x"]}))


def test_a_threshold_under_one_is_refused() -> None:
    with pytest.raises(tk.DisclosureError, match="at least 1"):
        tk.protect(schemas.PROBLEMS.empty(), min_n=0)
