"""Table 1: beside R, worked by hand, and what it shows of small groups."""

import math
import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import toolkit as tk

FOLDER = Path(__file__).parents[1] / "references"
ALL = "(all)"


def enrolled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(in_enrollments=True)


def expected(set_: str, file: str = "table_one.csv") -> pl.DataFrame:
    numbers = ("mean", "sd", "q1", "median", "q3", "difference")
    types = {"level": pl.String, "group": pl.String, **dict.fromkeys(numbers, pl.Float64)}
    return pl.read_csv(FOLDER / file, schema_overrides=types).filter(set=set_)


def equals_r(pc: pl.DataFrame, by: str, theirs: pl.DataFrame) -> None:
    columns = theirs["variable"].unique(maintain_order=True).to_list()
    ours = tk.reports.table_one(pc, by=by, columns=columns).frame
    assert ours.height == theirs.height
    whole = pl.col("is_total").cast(pl.String).replace({"true": ALL, "false": None})
    ours = ours.with_columns(group=whole.fill_null(pl.col(by)))
    for row in theirs.iter_rows(named=True):
        level = pl.col("level").eq_missing(pl.lit(row["level"], pl.String))
        [own] = ours.filter(
            level, pl.col("variable") == row["variable"], pl.col("group") == row["group"]
        ).rows(named=True)
        assert (own["n_enrolled"], own["n_missing"]) == (row["n"], row["missing"])
        assert own["n_level"] == row["n_level"]
        numbers = ["mean", "sd", "q1", "median", "q3"] if row["level"] is None else []
        for name in numbers:
            assert own[name] == pytest.approx(row[name], rel=1e-10), name
        difference = own["standardized_difference"]
        if row["group"] == ALL:
            assert difference == pytest.approx(row["difference"], rel=1e-8)
        else:
            assert difference is None


@pytest.mark.parametrize(("set_", "by"), [("pbc", "trt"), ("pbc by stage", "stage")])
def test_r_gives_the_same_table_of_a_trial(set_: str, by: str) -> None:
    texts = {"stage": pl.String, "edema": pl.String, "hepato": pl.String, "ascites": pl.String}
    trial = pl.read_csv(FOLDER / "table_one_pbc.csv", schema_overrides=texts)
    equals_r(enrolled(trial), by, expected(set_))


def test_r_gives_the_same_table_of_prisoners() -> None:
    rossi = pl.read_csv(FOLDER / "rossi.csv").cast({"group": pl.String, "stratum": pl.String})
    equals_r(enrolled(rossi), "group", expected("rossi"))


@pytest.mark.slow
def test_r_gives_the_same_table_of_oulad(oulad_dir: Path) -> None:
    made = runpy.run_path(str(FOLDER / "table_one_oulad.py"))
    theirs = expected("oulad", "table_one_oulad.csv")
    equals_r(made["learners"](oulad_dir), "disability", theirs)


def groups_of(*values: tuple[str, Any, int]) -> pl.DataFrame:
    """Records of a group and a value, so many of each."""
    rows = [(group, value) for group, value, n in values for _ in range(n)]
    return enrolled(
        pl.DataFrame(rows, schema=["group", "x"], orient="row", infer_schema_length=None)
    )


def apart(pc: pl.DataFrame, *, min_n: int | None = None) -> float | None:
    found = tk.reports.table_one(pc, by="group", columns=["x"]).release(min_n=min_n)
    difference: float | None = found.frame["standardized_difference"][0]
    return difference


def test_a_boolean_has_the_difference_of_two_shares_by_hand() -> None:
    pc = groups_of(("a", True, 30), ("a", False, 70), ("b", True, 50), ("b", False, 50))
    expected = 0.2 / ((0.3 * 0.7 + 0.5 * 0.5) / 2) ** 0.5
    assert apart(pc) == pytest.approx(expected)
    assert apart(pc.with_columns(pl.col("x").cast(pl.String))) == pytest.approx(expected)


def test_of_three_groups_the_difference_is_the_mean_over_pairs() -> None:
    pc = groups_of(
        *((group, float(i), 1) for group, n in (("a", 9), ("b", 5), ("c", 3)) for i in range(n))
    )
    pairs = [apart(pc.filter(pl.col("group") != left_out)) for left_out in "abc"]
    assert apart(pc) == pytest.approx(sum(pair for pair in pairs if pair is not None) / 3)


@pytest.mark.parametrize(("one", "other"), [(True, False), ("x", "y"), (1.0, 2.0)])
def test_groups_that_share_no_value_are_infinitely_apart(one: object, other: object) -> None:
    assert apart(groups_of(("a", one, 20), ("b", other, 20))) == math.inf
    assert apart(groups_of(("a", one, 20), ("b", one, 20), ("c", other, 20))) == math.inf


@pytest.mark.parametrize("alike", [True, "x", 1.0, 0.3533])
def test_groups_with_one_value_are_not_apart(alike: object) -> None:
    assert apart(groups_of(("a", alike, 1626), ("b", alike, 2))) == 0


def test_equal_numbers_do_not_spread() -> None:
    frame = tk.reports.table_one(groups_of(("a", 0.3533, 1626)), columns=["x"]).frame
    assert frame.select("mean", "sd").row(0) == (0.3533, 0.0)


def test_the_groups_that_can_be_shown_do_not_stand_for_those_that_differ_more() -> None:
    """Where nobody, or nearly nobody, is at a level, its count is withheld."""
    middle = [(group, value, 20) for group in ("b", "c") for value in (True, False)]
    pc = groups_of(("a", False, 40), *middle, ("d", True, 40))
    assert apart(pc) == math.inf
    assert apart(pc, min_n=10) is None


def test_missing_values_are_counted_and_in_no_share() -> None:
    pc = groups_of(("a", "x", 30), ("a", None, 10), ("b", "y", 20))
    row = tk.reports.table_one(pc, by="group", columns=["x"]).frame.filter(group="a", level="x")
    assert row.select("n_enrolled", "n_known", "n_missing", "share").row(0) == (40, 30, 10, 1.0)


def test_nan_is_missing_and_a_column_of_nulls_has_no_value() -> None:
    pc = groups_of(("a", float("nan"), 3), ("a", 2.0, 1))
    pc = pc.with_columns(y=None, z=pl.lit(None, pl.String))
    found = tk.reports.table_one(pc, columns=["x", "y", "z"]).frame
    assert found.select("n_known", "n_missing", "n_level", "mean", "sd").rows() == [
        (1, 3, None, 2.0, None),
        (0, 4, None, None, None),
        (0, 4, 0, None, None),
    ]


def test_who_is_not_enrolled_is_not_described() -> None:
    pc = groups_of(("a", 1.0, 3)).with_columns(in_enrollments=pl.Series([True, True, False]))
    assert tk.reports.table_one(pc, columns=["x"]).frame["n_enrolled"].to_list() == [2]


def test_a_difference_from_a_withheld_group_is_not_shown() -> None:
    pc = groups_of(("a", 1.0, 20), ("a", 2.0, 20), ("b", 5.0, 4), ("b", 6.0, 4))
    assert apart(pc) is not None
    assert apart(pc, min_n=10) is None


def test_a_released_difference_does_not_tell_a_withheld_level() -> None:
    """Whoever moves between two withheld levels changes nothing that is shown."""

    def shown(n: int) -> float | None:
        levels = [("a", "x", 60), ("a", "y", 40), ("b", "x", 30), ("b", "y", 50)]
        rare = [("a", "z", n), ("a", "w", 9 - n), ("b", "z", 3), ("b", "w", 4)]
        return apart(groups_of(*levels, *rare), min_n=10)

    assert shown(2) == shown(7)
    assert shown(2) == pytest.approx(0.5, abs=0.2)


def test_released_numbers_have_two_digits() -> None:
    pc = groups_of(
        *(("a", 1.23456 * i, 1) for i in range(40)), *(("b", 0.777 * i, 1) for i in range(40))
    )
    frame = tk.reports.table_one(pc, by="group", columns=["x"]).release().frame
    numbers = frame.select("mean", "sd", "q1", "median", "q3", "standardized_difference")
    assert all(v == float(f"{v:.1e}") for v in numbers.unpivot()["value"].drop_nulls())


def test_own_columns_are_described_without_being_named() -> None:
    pc = groups_of(("a", 1, 3)).with_columns(
        mode=pl.lit("audit"), when=pl.date(2026, 1, 1), course_id=pl.lit("c")
    )
    found = tk.reports.table_one(pc, by="group").frame["variable"].unique(maintain_order=True)
    assert found.to_list() == ["mode", "x"]


def test_calendar_cohorts_are_groups() -> None:
    pc = groups_of(("a", 1, 3)).with_columns(enrolled_day=pl.Series([20_000, 20_100, 20_200]))
    found = tk.reports.table_one(pc, by="enrolled_quarter", columns=["x"])
    assert found.frame["enrolled_quarter"].null_count() == 1
    assert found.frame.height == 4


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"columns": []}, "at least one column"),
        ({"columns": ["x", "x"]}, "each once"),
        ({"columns": ["x"], "by": "x"}, "others than the groups"),
        ({"columns": ["x"], "medians": ["group"]}, "not group"),
        ({"columns": ["u"]}, "51 levels"),
        ({"columns": ["x"], "by": "u"}, "more than 30 groups"),
        ({"columns": ["day"]}, "holds Date"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: dict[str, Any], match: str) -> None:
    pc = groups_of(*(("a", i, 1) for i in range(51))).with_columns(
        u=pl.col("x").cast(pl.String), day=pl.date(2026, 1, 1)
    )
    with pytest.raises(tk.errors.ToolkitError, match=match):
        tk.reports.table_one(pc, **arguments)
