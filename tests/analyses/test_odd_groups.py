"""Groups of every type are told apart, each with its own figures, in tables, words and charts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

import toolkit as tk
from toolkit.text import naming

RNG = np.random.default_rng(3)
N, SIZES = 400, [0.4, 0.3, 0.2, 0.1]
CODE = RNG.choice(4, N, p=SIZES)
PASSED = RNG.random(N) < 0.2 + 0.15 * CODE
DAYS = RNG.integers(1, 90, N).astype(float)
ZONED = [datetime(2024, 10, 27, hour, 30, tzinfo=UTC) for hour in (0, 1)]
ODD: dict[str, pl.Series] = {
    "large floats": pl.Series([1234567.0, 1234568.0, 0.1, -0.0]),
    "close floats": pl.Series([0.1234567, 0.1234568, float("inf"), 1e-9]),
    "NaN": pl.Series([1.0, 2.0, float("nan"), 3.5]),
    "Booleans": pl.Series([True, False, None, None]),
    "dates": pl.Series([date(2024, 1, 1), date(2024, 1, 2), None, date(2025, 1, 1)]),
    "end of summer time": pl.Series(
        [*ZONED, None, datetime(2024, 1, 1, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")
    ).dt.convert_time_zone("Europe/Berlin"),
    "seconds": pl.Series([datetime(2024, 1, 1, 0, 0, second) for second in range(4)]),
    "parts of seconds": pl.Series([datetime(2024, 1, 1, 0, 0, 1, part) for part in (0, 1, 50, 9)]),
    "times": pl.Series([time(1), time(1, 0, 1), None, time(5)]),
    "enums": pl.Series(["b", "a", None, "c"], dtype=pl.Enum(["b", "c", "a"])),
    "names of totals": pl.Series(["All", "total", "all groups", "all learners"]),
    "names of nulls": pl.Series(["None", "(none)", None, "unknown"]),
    "blanks": pl.Series(["", " ", "a\nb", "a b"]),
    "long names": pl.Series([*("x" * 99 + end + "y" * 99 for end in "123"), "z"]),
}


def records(groups: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "username": [f"learner {number}" for number in range(N)],
            "g": groups[CODE.tolist()],
            "in_enrollments": True,
            "completion": 0.5,
            "percent_grade": 0.5,
            "passed": PASSED,
            "duration": DAYS,
            "event": PASSED,
        }
    )


ANALYSES: dict[str, Callable[[pl.DataFrame], tk.Result]] = {
    "outcomes": lambda pc: tk.outcomes(pc, by="g"),
    "totals": lambda pc: tk.outcomes(pc, by="g", totals=True),
    "clusters": lambda pc: tk.outcomes(pc, by="g", cluster="username"),
    "funnel": lambda pc: tk.completion_funnel(pc, by="g"),
    "grades": lambda pc: tk.grade_distribution(pc, by="g", bins=2),
    "table one": lambda pc: tk.reports.table_one(pc, by="g", columns=["passed"]),
    "compared": lambda pc: tk.compare_groups(pc, by="g").groups,
    "Kaplan–Meier": lambda pc: tk.kaplan_meier(pc, by="g"),
    "robust": lambda pc: tk.kaplan_meier(pc, by="g", cluster="username"),
    "summary": lambda pc: tk.survival_summary(pc, by="g", milestones=[30]),
    "hazard": lambda pc: tk.survival.nelson_aalen(pc, by="g"),
    "log-rank": lambda pc: tk.logrank(pc, by="g"),
}


def plain(groups: pl.Series) -> pl.Series:
    """The same groups called "0", "1" and so on; what is no number is missing."""
    values = groups.fill_nan(None) if groups.dtype.is_float() else groups
    finite = values.is_infinite().not_() if groups.dtype.is_float() else values.is_not_null()
    return pl.select(pl.when(finite).then(values.rank("dense").cast(pl.String))).to_series()


def figures(result: tk.Result) -> list[str]:
    told = result.frame.drop("g", "group", strict=False)
    return sorted(map(repr, told.with_columns(cs.float().round(9) + 0.0).rows()))


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("kind", ODD)
def test_odd_groups_have_the_figures_of_plain_ones_and_names_of_their_own(
    kind: str, analysis: str
) -> None:
    known = plain(ODD[kind])
    odd, usual = (ANALYSES[analysis](records(g)) for g in (ODD[kind], known))
    assert figures(odd) == figures(usual)
    by = [name for name in ("is_total", "g", "group") if name in odd.frame.columns]
    n = known.n_unique() + (odd.frame["is_total"].any() if "is_total" in by else 0)
    assert odd.frame.select(by).n_unique() == n
    assert len(set(naming.labels(odd.frame, by))) == n
    if analysis == "Kaplan–Meier":
        drawn = next(iter(odd.release(min_n=None).chart().to_dict()["datasets"].values()))
        assert len({row["panel"] for row in drawn}) == n


@pytest.mark.parametrize("kind", ODD)
def test_pairs_of_odd_groups_are_named_apart(kind: str) -> None:
    pc, n = records(ODD[kind]), plain(ODD[kind]).n_unique()
    pairs = tk.survival.logrank_pairs(pc, by="g").frame
    compared = tk.compare_groups(pc, by="g").pairs.frame
    named = {*pairs["group"], *pairs["other"]}
    assert named == {*compared["group_a"], *compared["group_b"]}
    assert len(named) == n
    against = tk.survival.rmst_difference(pc, by="g", horizon=60)
    assert against.frame["reference"].unique().to_list() == [pairs["group"][0]]
    told = naming.labels(against.frame, ["g"])
    assert len(set(told)) == n - 1
    assert "nan" not in "".join(told)


@pytest.mark.parametrize(
    "values",
    [pl.Series([b"a", b"b", b"c", b"d"]), pl.Series([1, 2, 3, 4], dtype=pl.Duration("us"))],
    ids=["bytes", "spans"],
)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_what_has_no_name_makes_no_groups(analysis: str, values: pl.Series) -> None:
    with pytest.raises(tk.ToolkitError, match=r"`g` holds (Binary|Duration).*cannot form groups"):
        ANALYSES[analysis](records(values))


def test_a_group_that_is_called_so_is_not_the_total() -> None:
    pc = records(pl.Series(["all groups", "a", "b", "c"]))
    told = str(tk.outcomes(pc, by="g", totals=True).release(min_n=None).table())
    assert "“all groups”" in told
    assert "all groups (2)" not in told


def test_a_group_is_numbered_alike_in_sentence_table_and_chart() -> None:
    own = pl.DataFrame({"g": ["", " ", "  "], "n": [3, 100, 200], "n_passed": [1, 20, 80]})
    released = tk.result(own, counts={"n": None, "n_passed": "n"}, groups=["g"]).release()
    title = released.chart().to_dict()["title"]["text"]
    for said in (str(released.narrate()), title if isinstance(title, str) else " ".join(title)):
        assert "in “” (2) to" in said
        assert "in “” (3)" in said
    assert [row[0] for row in released.table().rows] == ["“”", "“” (2)", "“” (3)"]


def test_a_moment_is_written_with_its_seconds_and_zone() -> None:
    assert naming.name(datetime(2024, 1, 1, 0, 0, 2, 5000)) == "1 Jan 2024 00:00:02.005"
    [moment] = ODD["end of summer time"][:1]
    assert naming.name(moment) == "27 Oct 2024 02:30 CEST"
    assert naming.name(20241101.0) == "20241101"
    assert naming.name(0.1) == "0.1"
