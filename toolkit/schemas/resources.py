"""The frames that come from the platform, the frame that joins them, and that of durations."""

from __future__ import annotations

import polars as pl

from toolkit.schemas.columns import TIMESTAMP, Column, Role, Table

_USERNAME = Column(
    "username", pl.String, "The learner's name on the platform.", Role.IDENTITY, required=True
)
_EMAIL = Column("email", pl.String, "The learner's email address.", Role.IDENTITY)
_COURSE = Column(
    "course_id", pl.String, "The course run, `course-v1:org+number+run`.", Role.KEY, required=True
)
_PERCENT = Column("percent_grade", pl.Float64, "The grade.", unit="fraction", low=0.0, high=1.0)
_LETTER = Column("letter_grade", pl.String, "The letter grade; null if none.")
_PASSED_AT = Column("passed_timestamp", TIMESTAMP, "When the learner first passed; null if not.")
_LAST_DATE = Column("last_date", pl.Date, "The platform's last date for the record.")
_DISPLAY = Column("display_name", pl.String, "The course's title.")
_ACTIVE = Column("is_active", pl.Boolean, "Whether the learner is still enrolled.")
_MODE = Column("mode", pl.String, "The enrollment's mode, such as audit or verified.")
_CREATED = Column("created", TIMESTAMP, "When the learner enrolled.")
_COMPLETION = Column(
    "completion",
    pl.Float64,
    "Share of the course's content completed.",
    unit="fraction",
    low=0.0,
    high=1.0,
)

_RECORD_KEY = ("username", "course_id")
_RECORD_GRAIN = "one row per learner per course"

GRADES = Table(
    "grades",
    _RECORD_GRAIN,
    (_USERNAME, _EMAIL, _COURSE, _DISPLAY, _PERCENT, _LETTER, _PASSED_AT, _LAST_DATE),
    _RECORD_KEY,
)
ENROLLMENTS = Table(
    "enrollments",
    _RECORD_GRAIN,
    (_USERNAME, _EMAIL, _COURSE, _ACTIVE, _MODE, _CREATED),
    _RECORD_KEY,
)
COMPLETION = Table(
    "completion", _RECORD_GRAIN, (_USERNAME, _EMAIL, _COURSE, _COMPLETION), _RECORD_KEY
)
RESOURCES: dict[str, Table] = {table.name: table for table in (GRADES, ENROLLMENTS, COMPLETION)}

PROBLEMS = Table(
    "problems",
    "one row per raw value that could not be read as received",
    (
        Column("resource", pl.String, "grades, enrollments or completion.", Role.GROUP),
        Column("record", pl.Int64, "0-based position of the record; null for the whole body."),
        Column("column", pl.String, "The field."),
        Column("raw", pl.String, "The value as received, as text.", Role.IDENTITY),
        Column("reason", pl.String, "What is wrong with it, and what the toolkit did."),
    ),
)

PERSON_COURSE = Table(
    "person_course",
    "one row per learner per course, from grades, enrollments and completion",
    (
        _USERNAME,
        _COURSE,
        Column("display_name", pl.String, "The course's title; its id where grades have none."),
        Column("org", pl.String, "Organisation in the course id; null if the id has another form."),
        Column("course_number", pl.String, "Course number in the course id."),
        Column("course_run", pl.String, "Run in the course id."),
        Column("in_grades", pl.Boolean, "Whether grades had the record."),
        Column("in_enrollments", pl.Boolean, "Whether enrollments had the record."),
        Column("in_completion", pl.Boolean, "Whether completion had the record."),
        _ACTIVE,
        _MODE,
        _CREATED,
        _PERCENT,
        _LETTER,
        Column("passed_timestamp", TIMESTAMP, "When the learner first passed; null if not a pass."),
        _LAST_DATE,
        _COMPLETION,
        Column("passed", pl.Boolean, "Whether the record is a pass by `pass_rule`."),
        Column("pass_time_unused", pl.Boolean, "Whether a record without a pass had a pass time."),
        Column("enrolled_day", pl.Int32, "Day of enrollment (UTC).", unit="days since 1970-01-01"),
        Column("passed_day", pl.Int32, "Day of the pass (UTC).", unit="days since 1970-01-01"),
        Column(
            "days_to_pass",
            pl.Float64,
            "From enrollment to the pass; negative if the pass came first.",
            unit="days",
        ),
        Column("observed_days", pl.Float64, "From enrollment to `as_of`.", unit="days"),
        Column("as_of", TIMESTAMP, "The moment the data describe, the same in every row."),
        Column("pass_rule", pl.String, "What counts as a pass, in words, the same in every row."),
        Column(
            "record_key",
            pl.Int64,
            "A random number from 0 to 2³² − 1 for learner and course; it keys the rounding.",
            Role.DRAW,
        ),
    ),
    _RECORD_KEY,
)

DURATIONS = Table(
    "durations",
    "one row per learner per course",
    (
        Column(
            "duration", pl.Float64, "From the origin to the event or the last look.", unit="days"
        ),
        Column("event", pl.Boolean, "Whether the duration ends in a pass; else it is censored."),
    ),
)
