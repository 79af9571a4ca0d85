"""Each check finds its fault, with count and keys, in clean simulated data, and nothing else."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import toolkit as tk
from toolkit.loading.normalize import normalize
from toolkit.sandbox.learners.oulad import Oulad
from toolkit.sandbox.learners.records import Filters, Source, rows
from toolkit.sandbox.learners.simulation import Simulation
from toolkit.schemas import RESOURCES

Frames = dict[str, Any]
KEY = ["username", "course_id"]


def typed(source: Source) -> Frames:
    """The three typed frames and the moment, without a server between."""
    frames: Frames = {"as_of": source.clock.replace(tzinfo=UTC)}
    for name, table in RESOURCES.items():
        raw = pl.concat(rows(source, name, Filters())).cast(pl.String)
        frames[name], problems = normalize(raw, table)
        assert problems.is_empty()
    return frames


@cache
def clean() -> Frames:
    return typed(Simulation(2_000, seed=7))


def failing(report: tk.quality.QualityReport) -> dict[tuple[str, str], int | None]:
    return {(o.frame, o.check): o.n_unexpected for o in report.failed()}


def put(name: str, column: str, value: Any, where: pl.Expr | None = None, n: int = 3) -> Any:
    """A fault: the value in a column, in records (those where) of n learners of one course."""

    def plant(frames: Frames) -> pl.DataFrame:
        frame = frames[name].with_row_index("at")
        able = frame if where is None else frame.filter(where)
        course = able["course_id"].mode().sort()[0]
        places = able.filter(pl.col("course_id") == course)["at"].tail(n)
        assert places.len() == n
        new = value if isinstance(value, pl.Expr) else pl.lit(value)
        there = pl.col("at").is_in(places.implode())
        put_in = pl.when(there).then(new).otherwise(column).cast(frame.schema[column])
        frames[name] = frame.with_columns(put_in.alias(column)).drop("at")
        return frames[name][places.to_list()].select(KEY)

    return plant


def drop(name: str, column: str) -> Any:
    def plant(frames: Frames) -> None:
        frames[name] = frames[name].drop(column)

    return plant


def repeat(name: str) -> Any:
    def plant(frames: Frames) -> pl.DataFrame:
        twice = frames[name].head(2)
        frames[name] = pl.concat([frames[name], twice])
        return pl.concat([twice, twice]).select(KEY)

    return plant


def without_enrollment(n: int) -> Any:
    """Take away enrollments of learners who have no activity, so that only the grade is left."""

    def plant(frames: Frames) -> pl.DataFrame:
        idle = frames["completion"].filter(pl.col("completion") == 0).head(n)
        assert idle.height == n
        frames["enrollments"] = frames["enrollments"].join(idle, on=KEY, how="anti")
        return idle.select(KEY)

    return plant


def active_without_enrollment(frames: Frames) -> pl.DataFrame:
    """Take away enrollments of active learners, and their grades too."""
    active = frames["completion"].filter(pl.col("completion") > 0.5).head(4)
    for name in ("enrollments", "grades"):
        frames[name] = frames[name].join(active, on=KEY, how="anti")
    return active.select(KEY)


def at_one_moment(name: str, column: str) -> Any:
    """Give 30 records of one course the same second."""

    def plant(frames: Frames) -> pl.DataFrame:
        frame = frames[name].filter(pl.col(column).is_not_null())
        course = frame["course_id"].mode().sort()[0]
        chosen = frame.filter(pl.col("course_id") == course).sort(column).head(30)
        assert chosen.height == 30
        moment = chosen[column].min()
        hit = chosen.select(*KEY, pl.lit(moment).alias("one"))
        frames[name] = (
            frames[name]
            .join(hit, on=KEY, how="left", maintain_order="left")
            .with_columns(pl.coalesce("one", column).alias(column))
            .drop("one")
        )
        return chosen.select(KEY)

    return plant


def spelt_otherwise(column: str) -> Any:
    """Keep three records with the name, and write it otherwise in one more."""

    def plant(frames: Frames) -> pl.DataFrame:
        frame = frames[GRADES]
        name = frame.group_by(column).len().filter(pl.col("len") > 3).sort(column)[column][0]
        own = frame.filter(pl.col(column) == name).head(4)
        last = pl.int_range(pl.len()) == 3
        new = pl.when(last).then(pl.lit(f"{name} ")).otherwise(column).alias(column)
        planted = own.with_columns(new)
        frames[GRADES] = pl.concat([frame.filter(pl.col(column) != name), planted])
        return planted.select(KEY)

    return plant


PASSED = pl.col("letter_grade").is_not_null()
TIMED = pl.col("passed_timestamp").is_not_null()
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
EARLY = datetime(2015, 1, 1, 0, 0, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
GRADES, ENROLLMENTS, COMPLETION = "grades", "enrollments", "completion"

# (frame, check): the fault, the number of unexpected rows, and the frames it needs.
FAULTS: dict[tuple[str, str], tuple[Callable[[Frames], Any], int | None]] = {
    (GRADES, "columns"): (drop(GRADES, "last_date"), 1),
    (GRADES, "rows"): (lambda f: f.update(grades=f[GRADES].clear()), None),
    (GRADES, "username_not_null"): (put(GRADES, "username", None), 3),
    (GRADES, "course_id_not_null"): (put(GRADES, "course_id", None), 3),
    (GRADES, "key_unique"): (repeat(GRADES), 4),
    (GRADES, "username_spellings"): (spelt_otherwise("username"), 4),
    (GRADES, "course_id_spellings"): (spelt_otherwise("course_id"), 4),
    (GRADES, "course_id_form"): (put(GRADES, "course_id", "course-v1:MOOCit-demo-1"), 3),
    (GRADES, "email_form"): (put(GRADES, "email", "someone at example"), 3),
    (GRADES, "percent_grade_range"): (put(GRADES, "percent_grade", 80.0, PASSED, n=2), 2),
    (GRADES, "percent_grade_not_null"): (put(GRADES, "percent_grade", None), 3),
    (GRADES, "letter_has_pass_time"): (put(GRADES, "passed_timestamp", None, TIMED), 3),
    (GRADES, "passed_in_time"): (put(GRADES, "passed_timestamp", LONG_AGO, TIMED), 3),
    (GRADES, "last_date_in_time"): (put(GRADES, "last_date", FUTURE.date()), 3),
    (GRADES, "last_date_not_before_pass"): (
        put(GRADES, "last_date", pl.col("passed_timestamp").dt.date() - timedelta(days=1), TIMED),
        3,
    ),
    (GRADES, "last_date_not_null"): (put(GRADES, "last_date", None), 3),
    (GRADES, "pass_above_usual_mark"): (put(GRADES, "percent_grade", 0.01, PASSED), 3),
    (GRADES, "mark_reached_is_passed"): (put(GRADES, "percent_grade", 0.99, ~PASSED & ~TIMED), 3),
    (GRADES, "passed_timestamp_heaps"): (at_one_moment(GRADES, "passed_timestamp"), 30),
    (ENROLLMENTS, "created_not_null"): (put(ENROLLMENTS, "created", None), 3),
    (ENROLLMENTS, "created_in_time"): (put(ENROLLMENTS, "created", LONG_AGO), 3),
    (ENROLLMENTS, "is_active_not_null"): (put(ENROLLMENTS, "is_active", None), 3),
    (ENROLLMENTS, "mode_known"): (put(ENROLLMENTS, "mode", "audti"), 3),
    (ENROLLMENTS, "created_heaps"): (at_one_moment(ENROLLMENTS, "created"), 30),
    (COMPLETION, "completion_range"): (put(COMPLETION, "completion", 80.0), 3),
    (COMPLETION, "completion_not_null"): (put(COMPLETION, "completion", None), 3),
}


@pytest.mark.parametrize("where", FAULTS, ids="-".join)
def test_a_planted_fault_is_found_alone(where: tuple[str, str]) -> None:
    plant, n = FAULTS[where]
    frame = where[0]
    frames = dict(clean())
    keys = plant(frames)
    report = tk.check(**{frame: frames[frame]}, as_of=frames["as_of"])
    assert failing(report) == {where: n}
    if keys is not None:
        found = report.failures.select(KEY).sort(KEY)
        assert found.equals(keys.sort(KEY))


@pytest.mark.parametrize(
    ("check", "plant", "n"),
    [
        ("grade_has_enrollment", without_enrollment(5), 5),
        ("activity_has_enrollment", active_without_enrollment, 4),
        ("pass_after_enrollment", put(GRADES, "passed_timestamp", EARLY, TIMED), 3),
    ],
)  # fmt: skip
def test_a_fault_between_the_resources_is_found_alone(check: str, plant: Any, n: int) -> None:
    frames = dict(clean())
    keys = plant(frames)
    report = tk.check(**frames)
    assert failing(report) == {("person_course", check): n}
    assert report.failures.select(KEY).sort(KEY).equals(keys.sort(KEY))


def test_a_stopped_export_is_found_alone() -> None:
    frames = dict(clean())
    report = tk.check(grades=frames["grades"], as_of=frames["as_of"] + timedelta(days=60))
    assert failing(report) == {("grades", "fresh"): None}


def test_a_pass_before_the_course_starts_is_found_alone() -> None:
    frames = dict(clean())
    starts = dict.fromkeys(frames["grades"]["course_id"].unique(), date(2015, 1, 1))
    late = frames["grades"].filter(TIMED)["course_id"][0]
    early = frames["grades"].filter(TIMED, pl.col("course_id") == late)
    report = tk.check(**frames, course_starts=starts | {late: date(2100, 1, 1)})
    assert failing(report) == {("person_course", "pass_after_course_start"): early.height}


def test_clean_learners_of_twenty_seeds_pass_every_check() -> None:
    parts = [typed(Simulation(250, seed)) for seed in range(20)]
    assert len({part["as_of"] for part in parts}) == 1
    frames: Frames = {"as_of": parts[0]["as_of"]}
    for name in RESOURCES:
        of_seed = pl.format("{}-{}", pl.col("username"), pl.col("seed"))
        run_of_seed = pl.format("{}-{}", pl.col("course_id"), pl.col("seed"))
        frames[name] = pl.concat(
            part[name]
            .with_columns(seed=pl.lit(seed))
            .with_columns(username=of_seed, course_id=run_of_seed)
            .drop("seed")
            for seed, part in enumerate(parts)
        )
    assert failing(tk.check(**frames)) == {}


def test_oulads_traps_are_found_with_their_counts(oulad_dir: Path) -> None:
    frames = typed(Oulad(oulad_dir))
    starts = {  # the convention of its calendar: B starts in February, J in October
        course: date(int(course[-5:-1]), 2 if course.endswith("B") else 10, 1)
        for course in frames["grades"]["course_id"].unique()
    }
    report = tk.check(**frames, course_starts=starts)
    found = failing(report)
    traps = {
        (ENROLLMENTS, "created_not_null"): 45,
        (GRADES, "last_date_not_null"): 3_365,
        (GRADES, "pass_time_has_letter"): 2_445,  # over the pass mark, and a blank letter
        (GRADES, "letter_has_pass_time"): 1_946,  # the reverse, in GGG above all
        (GRADES, "percent_grade_not_null"): 2_534,  # GGG has no weights
        (GRADES, "last_date_not_before_pass"): 70,
        ("person_course", "pass_after_enrollment"): 1,
        ("person_course", "pass_after_course_start"): 45,  # work carried over
    }
    assert {trap: found.get(trap) for trap in traps} == traps
    assert report.failed("critical") == []  # one learner in several presentations is no duplicate
    of_ggg = report.failures.filter(
        pl.col("course_id").str.contains("GGG"), check="letter_has_pass_time"
    )
    assert of_ggg.height == 1_514


class Saved:
    """What `check_snapshots` needs of a snapshot."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def grades(self) -> pl.LazyFrame:
        return self.frame.lazy()


def busiest(frame: pl.DataFrame) -> str:
    return str(frame.filter(PASSED)["course_id"].mode().sort()[0])


def regraded(frame: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Change the records of the busiest course."""
    of_course = pl.col("course_id") == busiest(frame)
    return frame.with_columns(
        pl.when(of_course).then(new).otherwise(name).cast(frame.schema[name]).alias(name)
        for name, new in columns.items()
    )


def extra(frame: pl.DataFrame) -> pl.DataFrame:
    """Thirty times as many learners without a pass in the busiest course."""
    some = frame.filter(pl.col("course_id") == busiest(frame), pl.col("letter_grade").is_null())
    copies = [some.with_columns(pl.col("username") + f"-{i}") for i in range(30)]
    return pl.concat([frame, *copies])


MARK = pl.col("percent_grade")
SHIFTS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "records_kept": lambda f: f.filter(
        (pl.col("course_id") != busiest(f)) | (pl.int_range(pl.len()) % 10 > 0)
    ),
    "no_sudden_growth": extra,
    "passes_kept": lambda f: regraded(
        f, letter_grade=pl.when(pl.int_range(pl.len()) % 20 > 0).then("letter_grade")
    ),
    "pass_share_steady": lambda f: regraded(f, letter_grade=pl.lit("Pass")),
    "grades_steady": lambda f: regraded(f, percent_grade=MARK.sqrt()),
}


@pytest.mark.parametrize("check", SHIFTS)
def test_a_shift_between_snapshots_is_found_alone(check: str) -> None:
    before = clean()["grades"]
    after = SHIFTS[check](before)
    report = tk.quality.check_snapshots(Saved(before), Saved(after))
    assert failing(report) == {("course_changes", check): 1}
    assert report.failures["course_id"].to_list() == [busiest(before)]


def test_a_running_platform_shifts_nothing() -> None:
    source = Simulation(3_000, seed=11)
    later = typed(source)["grades"]
    for days in (0, 14, 180):
        earlier = typed(source.earlier(source.clock - timedelta(days=days)))["grades"]
        assert failing(tk.quality.check_snapshots(Saved(earlier), Saved(later))) == {}


@pytest.mark.parametrize(
    "place", [(GRADES, "passed_timestamp"), (ENROLLMENTS, "created")], ids="-".join
)
def test_moments_counted_in_parts_are_those_of_all(
    place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = dict(clean())
    at_one_moment(*place)(frames)
    given: Frames = {name: frames[name].lazy() for name in (GRADES, ENROLLMENTS)}
    given["as_of"] = frames["as_of"]
    whole = tk.check(**given).outcomes
    monkeypatch.setattr("toolkit.quality.frames.MOST_AT_ONCE", 100)
    parts = tk.check(**given).outcomes
    assert [(o.check, o.n_checked, o.n_unexpected) for o in parts] == [
        (o.check, o.n_checked, o.n_unexpected) for o in whole
    ]
    assert any(o.check == f"{place[1]}_heaps" and o.n_unexpected == 30 for o in whole)


def test_days_without_a_time_are_no_shared_moments_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toolkit.quality.frames.MOST_AT_ONCE", 100)
    days = clean()[ENROLLMENTS].with_columns(pl.col("created").dt.truncate("1d"))
    outcomes = tk.check(enrollments=days.lazy()).outcomes
    assert {o.status for o in outcomes if o.check == "created_heaps"} == {"passed"}
