"""Whatever function is called wrongly: a ToolkitError that says what to do, and no figure."""

import inspect
import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import toolkit as tk
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES

AS_OF = datetime(2026, 1, 11, 12, tzinfo=UTC)


@cache
def resources() -> dict[str, pl.DataFrame]:
    """Sixty learners of two courses and modes; half of them passed."""
    n = 60
    key = {"username": [f"u{i}" for i in range(n)], "course_id": ["c1", "c2"] * (n // 2)}
    passed = [i % 4 < 2 for i in range(n)]
    enrolled = [datetime(2025, 10, 1 + i % 28, tzinfo=UTC) for i in range(n)]
    then = [datetime(2025, 11, 1 + i % 28, tzinfo=UTC) for i in range(n)]
    times = [when if p else None for when, p in zip(then, passed, strict=True)]
    rows = {
        "grades": {
            "percent_grade": [0.2 + 0.6 * p for p in passed],
            "letter_grade": ["Pass" if p else None for p in passed],
            "passed_timestamp": times,
        },
        "enrollments": {
            "is_active": [True] * n,
            "mode": ["audit"] * 20 + ["verified"] * 40,
            "created": enrolled,
        },
        "completion": {"completion": [0.1 + 0.8 * p for p in passed]},
    }
    tables = {"grades": GRADES, "enrollments": ENROLLMENTS, "completion": COMPLETION}
    return {
        name: pl.DataFrame(
            {**{c: [None] * n for c in tables[name].names}, **key, **columns},
            schema=tables[name].polars_schema,
        )
        for name, columns in rows.items()
    }


def study() -> tk.Study:
    problems = tk.schemas.PROBLEMS.empty()
    return tk.Study(**resources(), problems=problems, as_of=AS_OF, source="here")


@cache
def valid() -> dict[str, dict[str, Any]]:
    """A call of each function that is right."""
    pc = tk.person_course(**resources(), as_of=AS_OF)
    by = {"by": "mode"}
    left = (pl.col("created") + pl.duration(days=20)).alias("left_at")
    timed = tk.time_to_pass(pc.with_columns(left), competing={"left": "left_at"})
    durations = {"durations": timed, **by}
    return {
        "person_course": {**resources(), "as_of": AS_OF},
        "match_counts": {"pc": pc},
        "outcomes": {"pc": pc, **by},
        "completion_funnel": {"pc": pc, **by},
        "grade_distribution": {"pc": pc, **by},
        "completion_distribution": {"pc": pc, **by},
        "cohort_progress": {"pc": pc, **by},
        "completion_progress": {"history": [pc], **by},
        "compare_groups": {"pc": pc, **by},
        "learner_paths": {"pc": pc},
        "table_one": {"pc": pc, **by},
        "sensitivity": {"pc": pc},
        "key_figures": {"pc": pc},
        "result": {
            "frame": pl.DataFrame({"g": ["a"], "n": [40], "k": [20]}),
            "counts": {"n": None, "k": "n"},
            "groups": ["g"],
            "keys": {"n": "n", "k": "k"},
        },
        "check": resources(),
        "time_to_pass": {"pc": pc},
        "exclusions": durations,
        "person_period": {"durations": timed},
        "to_survival": {"durations": timed, "covariates": ["mode"]},
        "kaplan_meier": durations,
        "nelson_aalen": durations,
        "smoothed_hazard": durations,
        "survival_summary": durations,
        "cumulative_incidence": durations,
        "logrank": durations,
        "logrank_pairs": durations,
        "gray_test": durations,
        "rmst_difference": durations,
        "milestone_difference": {**durations, "at": 30},
    }


NO_FRAME = [7, "text", [], {}, [1, 2], pl.Series([1]), pl.DataFrame(), pl.DataFrame({"a": [1]})]
NO_NAME = [7, 1.5, object(), {"mode": 1}, ["mode", "mode"], [None], [["mode"]], "no such", b"mode"]
NO_NUMBER = ["text", math.nan, math.inf, -1, [], object()]
NO_SHARE = [*NO_NUMBER, 0, 1.5, True]
NO_COUNT = [*NO_NUMBER, 2.5, True]
NO_CHOICE = ["no such", 7, object(), ["30d"], ""]
NO_DATE = ["yesterday", "", 7, math.nan, [], "2026-13-01", "2999-01-01"]

# What is wrong for a parameter, whichever function has it; `None` where it is no default.
WRONG: dict[str, list[Any]] = {
    "pc": [None, *NO_FRAME],
    "history": [None, 7, "text", [], [7], [pl.DataFrame()], pl.DataFrame()],
    "study": NO_FRAME,
    "grades": NO_FRAME,
    "enrollments": NO_FRAME,
    "completion": NO_FRAME,
    "by": NO_NAME,
    "as_of": NO_DATE,
    "pass_rule": [None, "Pass", {}, 60, -0.1, math.nan, True, [1], {"c1": 0.5}],
    "duplicates": ["first", 7],
    "completed_from": [None, *NO_SHARE],
    "totals": [],
    "bins": [None, *NO_COUNT, 0, 1_001],
    "cohort": [None, *NO_CHOICE],
    "step": [None, *NO_CHOICE, "1mo", "0d", "-3d", 30],
    "periods": [None, *NO_COUNT, 0, 521],
    "outcome": [None, *NO_CHOICE, "mode"],
    "among": [None, *NO_CHOICE],
    "reference": ["no such", 1, object(), [], math.nan],
    "within_days": [None, *NO_COUNT],
    "min_n": [],
    "problems": NO_FRAME[:-2],
    "course_starts": [7, "text", {"c1": "yesterday"}, {5: "2025-10-01"}],
    "suites": [7, "no such file", [7]],
    "now": [],
    "durations": [None, *NO_FRAME],
    "curve": [None, *NO_FRAME],
    "origin": [None, 7, "no such", "mode", [], {"c1": "yesterday"}, {"c1": 7}, {5: "2025-10-01"}],
    "unit": [None, *NO_CHOICE],
    "entry": [*NO_NUMBER, "passed", True],
    "competing": [7, "left_at", ["left_at"], {"left": "no such"}, {"left": "mode"}, {"left": 7}],
    "undated": [None, *NO_CHOICE],
    "undated_by": NO_NAME,
    "whole": [None, "days", 2],
    "level": [None, *NO_SHARE, 1, 95],
    "ci": [None, *NO_CHOICE],
    "distribution": [None, *NO_CHOICE],
    "times": [7, "text", [], {}, *([wrong] for wrong in NO_NUMBER), [1, -1], [None]],
    "milestones": [None, 7, "text", {}, *([wrong] for wrong in NO_NUMBER), [1, -1], [None]],
    "horizon": [*NO_NUMBER, 0, True],
    "at": [None, *NO_NUMBER, True],
    "every": [None, *NO_NUMBER, 0, True, 1e-9],
    "bandwidth": [*NO_NUMBER, 0, True],
    "end": [None, 7, "no such", "", ["passed"]],
    "strata": [*NO_NAME, "mode"],
    "margin": NO_SHARE,
    "columns": [7, "text", b"mode", {}, [], [7], ["no such"], ["passed", "passed"], ["created"]],
    "covariates": [None, 7, "mode", b"mode", {}, [7], ["no such"], ["mode", "mode"], ["event"]],
    "headline": [None, *NO_CHOICE],
    "pass_rules": [None, 7, 0.6, "letter", [60], [None], [True]],
    "thresholds": [7, 0.5, "text", {}, [0.5]],  # a pass rate depends on none
    "origins": [None, 7, "enrolled", {}, ["enrolled"]],
    "excluding": [7, "mode", ["mode"], {"x": "mode"}, {7: pl.col("passed")}, {"x": pl.col("mode")}],
    "medians": [None, 7, "completion", [7], ["no such"], ["passed"]],
    "frame": [None, *NO_FRAME],
    "counts": [
        None,
        7,
        "n",
        ["n"],
        {},
        {"no such": None},
        {"n": None, "k": "no such"},
        {"n": None},
    ],
    "groups": [None, 7, "no such", ["no such"], [7], []],
    "keys": [7, "n", ["n"], {"n": "no such", "k": "k"}, {"n": "n"}],
    "caption": [],
    "cluster": [*NO_NAME[:-2], b"mode", "no such", ["mode"]],
}
OWN: dict[tuple[str, str], list[Any]] = {  # where a parameter means something of its own
    ("compare_groups", "by"): [*NO_NAME, None, ["mode"]],
    ("sensitivity", "as_of"): [7, "2025-01-01", {}, ["yesterday"], [7], ["2999-01-01"]],
    ("sensitivity", "among"): [7, "active", {}, ["no such"], [7], ["enrolled"]],
    ("table_one", "by"): [*NO_NAME, ["mode"], []],
    **{
        (name, "by"): [*NO_NAME, "n_excluded"]
        for name in (
            "exclusions",
            "kaplan_meier",
            "nelson_aalen",
            "smoothed_hazard",
            "survival_summary",
            "cumulative_incidence",
        )
    },
    **{
        (name, "by"): [*NO_NAME, None, []]
        for name in ("logrank", "logrank_pairs", "gray_test", "rmst_difference")
    },
    ("milestone_difference", "by"): [*NO_NAME, None, []],
    ("check", "grades"): NO_FRAME[:-2],  # a frame without its columns is what it reports
    ("check", "enrollments"): NO_FRAME[:-2],
    ("check", "completion"): NO_FRAME[:-2],
}


def function(name: str) -> Any:
    where = next(room for room in (tk, tk.survival, tk.reports) if name in room.__all__)
    return getattr(where, name)


def parameters(name: str) -> list[str]:
    return list(inspect.signature(function(name)).parameters)


CALLS = [
    pytest.param(name, parameter, wrong, id=f"{name}-{parameter}-{place}")
    for name in sorted(valid())
    for parameter in parameters(name)
    for place, wrong in enumerate(OWN.get((name, parameter), WRONG[parameter]))
]


@pytest.mark.parametrize("name", sorted(valid()))
def test_the_right_call_is_right(name: str) -> None:
    function(name)(**valid()[name])


def results_in(found: object) -> list[tk.Result]:
    """The results that a function gave, alone or as parts of what it gave."""
    if isinstance(found, tk.Result):
        return [found]
    parts = [getattr(found, name) for name in getattr(found, "__slots__", ())]
    return [part for part in parts if isinstance(part, tk.Result)]


@pytest.mark.parametrize("name", sorted(valid()))
def test_who_gives_an_interval_takes_its_level(name: str) -> None:
    given = results_in(function(name)(**valid()[name]))
    shown = any(column.ci_of for one in given for column in one.schema)
    assert shown == ("level" in parameters(name))


@pytest.mark.parametrize(("name", "parameter", "wrong"), CALLS)
def test_a_wrong_argument_is_a_toolkit_error(name: str, parameter: str, wrong: Any) -> None:
    with pytest.raises(tk.ToolkitError) as caught:
        function(name)(**{**valid()[name], parameter: wrong})
    assert len(str(caught.value)) > 20  # a sentence


FRAMES = {"pc", "history", "grades", "enrollments", "completion", "problems", "durations", "frame"}
NAMED = pl.DataFrame({"username": ["ada.lovelace"], "course_id": ["c1"]})


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        (name, p)
        for name in sorted(valid())
        for p in parameters(name)
        if WRONG[p] and p not in FRAMES
    ],
)
@pytest.mark.parametrize("wrong", [NAMED, NAMED.lazy(), [NAMED], {"x": NAMED}], ids=lambda _: "")
def test_a_frame_in_the_wrong_place_names_nobody(name: str, parameter: str, wrong: Any) -> None:
    with pytest.raises(tk.ToolkitError) as caught:
        function(name)(**{**valid()[name], parameter: wrong})
    assert "lovelace" not in str(caught.value)


OTHER_KINDS = [
    pl.lit("x"),
    pl.lit(1, pl.Int8),
    pl.duration(days=pl.lit(1)),
    pl.concat_list(pl.lit(1)),
    pl.lit(None),
]


READ_IF_THERE = {"record_key", "excluded", "entry"}


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        pytest.param(name, p, marks=[pytest.mark.slow] * (name == "sensitivity"))
        for name in sorted(valid())
        for p in ("pc", "durations")
        if p in valid()[name]
    ],
)
def test_a_column_of_another_kind_gives_figures_or_is_refused(name: str, parameter: str) -> None:
    rows = valid()[name][parameter]

    def is_refused(changed: pl.DataFrame) -> bool:
        try:
            function(name)(**{**valid()[name], parameter: changed})
        except tk.ToolkitError:  # and no error of Polars
            return True
        return False

    for column in rows.columns:
        if column in READ_IF_THERE or is_refused(rows.drop(column)):
            for kind in OTHER_KINDS:
                is_refused(rows.with_columns(kind.alias(column)))


def test_a_snapshot_is_loaded_before_it_is_checked(tmp_path: Path) -> None:
    with tk.sandbox(learners=20) as platform:
        snapshot = tk.take_snapshot(platform, tmp_path, key="9d04c1f7ab35e86287f0d1c3b94e6a5f")
    with pytest.raises(tk.errors.ArgumentError, match="load_study"):
        tk.check(snapshot)  # type: ignore[arg-type]


def test_an_address_is_one_in_capitals_too() -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="SO2_TOKEN"):
        tk.load_study("HTTPS://platform.example.com")


FRONT_DOORS: dict[str, Any] = {
    "load_study": tk.load_study,
    "scan": tk.Study.scan,
    "load_grades": tk.load_grades,
    "load_enrollments": tk.load_enrollments,
    "load_completion": tk.load_completion,
    "fetch": lambda source: tk.fetch(source, "grades"),
    "scan one": lambda source: tk.scan(source, "grades"),
    "read": lambda source: tk.read(source, "grades"),
    "open_snapshot": tk.open_snapshot,
    "list_snapshots": tk.snapshots.list_snapshots,
    "open_earlier": tk.snapshots.open_earlier,
    "compare_snapshots": lambda source: tk.compare_snapshots(source, source),
    "take_snapshot": lambda source: tk.take_snapshot(source, "nowhere"),
    "take_snapshot into": lambda source: tk.take_snapshot(PLATFORM, source),
    "export_csv": lambda source: tk.snapshots.export_csv(source, "nowhere"),
    "export_for_sharing": lambda source: tk.snapshots.export_for_sharing(source, "nowhere"),
    "check_snapshots": lambda source: tk.quality.check_snapshots(source, source),
    "write_report": lambda source: tk.write_report("nowhere", source=source),
    "write_report into": tk.write_report,
}
PLATFORM = tk.Platform.__new__(tk.Platform)  # is asked nothing


@pytest.mark.parametrize(
    "door",
    [
        lambda wrong: tk.describe(wrong),
        lambda wrong: tk.fetch(PLATFORM, wrong),
        lambda wrong: tk.fetch(PLATFORM, "grades", course_id=wrong),
        lambda wrong: tk.fetch(PLATFORM, "enrollments", days=wrong),
        lambda wrong: tk.read(wrong, "grades"),
        lambda wrong: tk.result(pl.DataFrame({"n": [1]}), counts={"n": None}).release(min_n=wrong),
        lambda wrong: tk.take_snapshot(PLATFORM, "nowhere", identities=wrong),
        *FRONT_DOORS.values(),
    ],
)
@pytest.mark.parametrize("wrong", [NAMED, [NAMED]], ids=["frame", "list"])
def test_no_front_door_names_who_is_in_a_wrong_argument(
    door: Any, wrong: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tk.ToolkitError) as caught:
        door(wrong)
    assert "lovelace" not in str(caught.value)


def assert_refused(
    door: Callable[[Any], object], wrong: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence, and with nothing written."""
    monkeypatch.chdir(folder)
    with pytest.raises(tk.ToolkitError) as caught:
        door(wrong)
    assert len(str(caught.value)) > 20
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("door", FRONT_DOORS)
@pytest.mark.parametrize(
    "wrong", [7, [], {}, object(), tk.Study, pl.DataFrame()], ids=lambda one: type(one).__name__
)
def test_no_front_door_takes_what_is_no_source(
    door: str, wrong: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(FRONT_DOORS[door], wrong, tmp_path, monkeypatch)


KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
HELPERS: dict[str, Any] = {
    "write_csv": lambda wrong: tk.snapshots.write_csv(wrong, "nowhere.csv"),
    "write_csv into": lambda wrong: tk.snapshots.write_csv(NAMED, wrong),
    "pseudonymize": lambda wrong: tk.release.pseudonymize(wrong, KEY),
    "pseudonymize with": lambda wrong: tk.release.pseudonymize(NAMED, wrong),
    "reidentify": lambda wrong: tk.release.reidentify(wrong, KEY),
    "reidentify with": lambda wrong: tk.release.reidentify(["ada"], wrong),
    "to_html": lambda wrong: tk.check(grades=NAMED).to_html(wrong),
    "failed": lambda wrong: tk.check(grades=NAMED).failed(wrong),
    "raise_for_failures": lambda wrong: tk.check(grades=NAMED).raise_for_failures(wrong),
}


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("wrong", [7, 1.5, object(), [7]], ids=lambda one: type(one).__name__)
def test_no_helper_takes_an_argument_of_another_kind(
    helper: str, wrong: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(HELPERS[helper], wrong, tmp_path, monkeypatch)


def test_a_severity_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(tk.errors.ArgumentError, match="'critical', 'warning', 'info'"):
        tk.check(grades=NAMED).raise_for_failures("error")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "door",
    [
        lambda frame: study().with_learners(frame),
        lambda frame: tk.release.pseudonymize(frame, KEY),
        lambda frame: tk.result(frame, counts={"n": None}),
        tk.reports.sensitivity,
        tk.survival.to_survival,
    ],
)
@pytest.mark.parametrize("given", ["LazyFrame", "pandas DataFrame"])
def test_who_needs_a_frame_of_polars_says_how_to_make_one(
    door: Callable[[Any], object], given: str
) -> None:
    made = NAMED.lazy() if given == "LazyFrame" else pd.DataFrame(NAMED.to_dict(as_series=False))
    with pytest.raises(tk.errors.ArgumentError, match=f"not a {given}; .* makes one"):
        door(made)
