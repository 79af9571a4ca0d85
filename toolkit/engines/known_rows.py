"""The known rows, clean and nasty, that `verify` puts into an engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from toolkit.analyses.person_course import person_course
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES
from toolkit.survival.durations import time_to_pass

AS_OF = datetime(2026, 1, 11, 3, tzinfo=UTC)  # still the day before in America
NOW = AS_OF + timedelta(days=1)
COURSES = [f"course-v1:Org+C{i % 3}+R{i // 3}" for i in range(6)]
LEARNERS = 800
DRAWS = 2_000


@cache
def resources() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return grades, enrollments and completion of 800 learners in six runs of three courses."""
    rng = np.random.default_rng(5)
    place = np.unique(rng.integers(0, LEARNERS * len(COURSES), DRAWS))
    key = {
        "username": [f"u{i // len(COURSES)}" for i in place],
        "course_id": [COURSES[i % len(COURSES)] for i in place],
    }
    n = len(place)
    ago, waited = rng.uniform(0, 900, n), rng.uniform(-2, 300, n)
    passed = (rng.random(n) < 0.4) & (waited < ago)
    created = [AS_OF - timedelta(days=float(days)) for days in ago]
    grades = {
        "percent_grade": rng.integers(0, 10_001, n) / 10_000,
        "letter_grade": [str(rng.choice(["Pass", "A"])) if p else "F" for p in passed],
        "passed_timestamp": [
            when + timedelta(days=float(days)) if p else None
            for when, days, p in zip(created, waited, passed, strict=True)
        ],
    }
    grades |= {
        "display_name": [f"Course {i % len(COURSES)}" for i in place],
        "last_date": [(when + timedelta(days=40)).date() for when in created],
    }
    enrollments = {
        "mode": rng.choice(["audit", "verified"], n),
        "created": created,
        "is_active": place % 5 > 0,
    }
    scores, enrolled, seen = (
        pl.DataFrame(
            {**{name: [None] * n for name in table.names}, **key, **columns},
            schema=table.polars_schema,
        )
        for table, columns in (
            (GRADES, grades),
            (ENROLLMENTS, enrollments),
            (COMPLETION, {"completion": rng.integers(0, 101, n) / 100}),
        )
    )
    return scores, enrolled, seen


@cache
def nasty_resources() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return resources with missing and repeated records, nulls, odd letters, ids and zones."""
    rng = np.random.default_rng(9)
    found = []
    for frame in resources():
        kept = frame.filter(pl.Series(rng.random(frame.height) < 0.8))
        drawn = rng.integers(0, kept.height, kept.height // 5)
        twice = pl.concat([kept, kept[drawn]])
        holes = [
            pl.when(pl.Series(rng.random(twice.height) < 0.1))
            .then(None)
            .otherwise(name)
            .alias(name)
            for name in twice.columns
            if name != "course_id"
        ]
        elsewhere = pl.col(pl.Datetime).dt.convert_time_zone("Pacific/Auckland")
        other = pl.col("course_id").replace(COURSES[0], "Org/CS/2020")
        found.append(twice.with_columns(holes).with_columns(elsewhere, other))
    letters = pl.Series(["Pass", " a\u00a0", "Not  Passing", "fail", "", None, "F"])
    of_key = pl.struct("username", "course_id").hash(9)  # the same where a key comes twice
    found[0] = found[0].with_columns(
        letter_grade=letters.gather(rng.integers(0, len(letters), found[0].height)),
        percent_grade=pl.when(of_key % 10 == 0).then(float("nan")).otherwise("percent_grade"),
    )
    return found[0], found[1], found[2]


@cache
def faulty_resources() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return resources in which every check of records fails: nulls, NaN, odd texts and times."""
    score, at = pl.col("percent_grade"), pl.col("passed_timestamp")
    early, late = datetime(1970, 1, 1, tzinfo=UTC), AS_OF + timedelta(days=2)
    odd = datetime(2025, 6, 1, 7, 0, 0, 1, tzinfo=UTC)  # where it comes often, a heap
    grades, enrollments, completion = resources()
    passed = at.is_not_null()
    grades = grades.with_columns(
        percent_grade=pl.when(passed).then(0.6 + 0.4 * score).otherwise(0.6 * score).round(4),
        email=pl.col("username") + "@example.com",
        letter_grade=pl.when(passed).then(pl.lit("Pass")),
        last_date=pl.min_horizontal("last_date", pl.lit(AS_OF - timedelta(days=40)).cast(pl.Date)),
    )
    texts: dict[str, list[Any]] = {
        "email": ["a b@c.de", "a@b.c\u00a0d", "a@b.cd\n", "a@b"],
        "course_id": ["Org/CS/2020", "ORG/CS/2020\u2003"],
        "username": [" Ada  L", "ada\u00a0l", "zoë ", "Zoë"],
    }
    numbers = [80.0, -0.5, float("nan"), float("inf")]
    faults: list[dict[str, list[Any]]] = [
        texts
        | {"percent_grade": numbers, "letter_grade": ["A", " \u2003", "Failed"]}
        | {"passed_timestamp": [early, late, odd, odd, odd, odd], "last_date": [early.date()]},
        {"created": [early, late, odd, odd, odd, odd], "mode": ["audti"], **texts},
        {"completion": numbers, **texts},
    ]
    found: list[pl.DataFrame] = []
    for frame, of_frame in zip((grades, enrollments, completion), faults, strict=True):
        kept = frame.filter(pl.int_range(pl.len()) % 29 != len(found))
        planted = kept.with_columns(_with_faults(kept, of_frame))
        found.append(pl.concat([planted, planted.head(60)]))
    return found[0], found[1], found[2]


def _with_faults(frame: pl.DataFrame, of_column: dict[str, list[Any]]) -> list[pl.Expr]:
    """Put a null in one of 31 rows of each column, and its faults in others."""
    planted = []
    for nth, (name, dtype) in enumerate(frame.schema.items()):
        place = pl.int_range(pl.len()) + 7 * nth
        column: pl.Expr = pl.when(place % 31 > 0).then(name)
        for step, fault in enumerate(of_column.get(name, []), 2):
            column = pl.when(place % 31 == step).then(pl.lit(fault, dtype)).otherwise(column)
        planted.append(column.alias(name))
    return planted


@cache
def clean_rows() -> pl.DataFrame:
    """Return a flawless person_course."""
    return person_course(*resources(), as_of=AS_OF, now=NOW)


@cache
def earlier_rows() -> pl.DataFrame:
    """Return the same enrollments 60 days earlier, with half the completion."""
    days = timedelta(days=60)
    return (
        clean_rows()
        .with_columns(
            pl.col("completion") / 2,
            pl.col("observed_days") - days / timedelta(days=1),
            pl.col("as_of") - days,
        )
        .filter(pl.col("observed_days") >= 0)
    )


@cache
def nasty_rows() -> pl.DataFrame:
    """Return rows with nulls in every column but the keys, NaN, an empty course, another zone."""
    rng = np.random.default_rng(6)
    frame = clean_rows()
    kept = {"username", "course_id", "as_of", "pass_rule", "record_key"}

    def some(share: float) -> pl.Series:
        return pl.Series(rng.random(frame.height) < share)

    holes = [
        pl.when(some(0.1)).then(None).otherwise(pl.col(name)).alias(name)
        for name in frame.columns
        if name not in kept
    ]
    no_numbers = [
        pl.when(some(0.05)).then(float(no_number)).otherwise(pl.col(name)).alias(name)
        for name, no_number in (
            ("completion", "nan"),
            ("percent_grade", "nan"),
            ("days_to_pass", "nan"),
            ("observed_days", "inf"),
        )
    ]
    nobody = (
        pl.when(pl.col("course_id") == COURSES[-1])
        .then(pl.lit(value=False))
        .otherwise("in_enrollments")
    )
    elsewhere = pl.col("as_of", "created").dt.convert_time_zone("Pacific/Auckland")
    return frame.with_columns(holes).with_columns(*no_numbers, elsewhere, in_enrollments=nobody)


@cache
def clean_durations() -> pl.DataFrame:
    """Return durations in days, with competing ends and excluded learners."""
    columns = ["duration", "event", "excluded", "mode", "course_id", "username", "record_key"]
    frame = time_to_pass(clean_rows()).select(columns)
    ends = pl.when("event").then(pl.lit("passed"))
    return frame.with_columns(end=ends.when(pl.col("duration") > 400).then(pl.lit("left")))


@cache
def nasty_durations() -> pl.DataFrame:
    """Return whole weeks, with many ties; unknown modes; NaN for the excluded; an empty mode."""
    rng = np.random.default_rng(7)
    out, drawn = pl.col("excluded").is_not_null(), rng.integers(0, 4, clean_rows().height)
    modes = pl.Series([None, "audit", "honor", "verified"])
    return clean_durations().with_columns(
        duration=pl.when(out).then(float("nan")).otherwise((pl.col("duration") / 7).floor()),
        mode=pl.when(out).then(pl.lit("nobody")).otherwise(modes.gather(drawn)),
    )


@cache
def late_durations() -> pl.DataFrame:
    """Return durations of learners who enter observation later, some at 0."""
    rng = np.random.default_rng(8)
    share = pl.Series(rng.choice([0.0, 0.25, 0.5], clean_rows().height))
    return clean_durations().with_columns(entry=(pl.col("duration") * share).floor())
