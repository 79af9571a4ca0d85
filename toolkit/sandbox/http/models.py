"""Requests and responses in the sandbox's OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Documented(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OneCourseOrLearner(_Documented):
    """Filters of every resource."""

    course_id: Name | None = Field(
        None, description="Only this course.", examples=["course-v1:DemoX+STAT101+2024_T1"]
    )
    username: Name | None = Field(
        None, description="Only this learner.", examples=["amber_badger_000000"]
    )


class EnrollmentFilters(OneCourseOrLearner):
    """Filters of enrollments."""

    days: int | None = Field(
        None, ge=0, description="Only those created within the last n days.", examples=[30]
    )


class _Record(_Documented):
    username: str
    email: str
    course_id: str


class Grade(_Record):
    """A learner's grade in a course."""

    display_name: str
    percent_grade: str | None = Field(examples=["0.80"])
    letter_grade: str = Field(description="Empty if the learner has not passed.")
    passed_timestamp: str | None = Field(examples=["2020-03-28 23:21:24.354019"])
    last_date: str | None = Field(examples=["2020-11-26"])


class Enrollment(_Record):
    """A learner's enrollment in a course."""

    is_active: bool
    mode: str = Field(examples=["audit"])
    created: str | None = Field(examples=["2021-03-09 20:15"])


class Completion(_Record):
    """The share of a course's content that a learner completed."""

    completion: str | None = Field(examples=["0.80"])


class Refusal(_Documented):
    """Why a request was refused."""

    detail: str
