"""Read dates as a person writes them, as moments in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from toolkit.errors import ArgumentError
from toolkit.schemas.arguments import as_given

When: TypeAlias = str | date
"""A date or a datetime, or one written as text: "2024-06-01", "2024-06-01T12:00Z"."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""How far a moment may be ahead of the clock: clocks differ, and days begin in the east."""


def moment(when: When, *, name: str) -> datetime:
    """Read a moment in UTC.

    A date means its beginning, 00:00 UTC. A time without a zone is in UTC.

    Examples:
        >>> print(moment("2024-06-01T12:00+02:00", name="as_of"))
        2024-06-01 10:00:00+00:00
    """
    try:
        read = datetime.fromisoformat(when) if isinstance(when, str) else when
        if isinstance(read, datetime):
            # A datetime of another library, such as pandas' Timestamp or NaT, ends here as well.
            plain = datetime.combine(read.date(), read.time(), read.tzinfo or UTC)
            return plain.astimezone(UTC)
        if isinstance(read, date):
            return datetime(read.year, read.month, read.day, tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(
        f'{name} must be a date or a datetime, such as "2024-06-01" or "2024-06-01T12:00Z", '
        f"not {as_given(when)}"
    )


def in_microseconds(when: datetime) -> int:
    """Return the whole microseconds from 1970 to a moment.

    Examples:
        >>> in_microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (when - EPOCH) // timedelta(microseconds=1)


def moment_observed(when: When, *, now: datetime | None = None) -> datetime:
    """Read the moment the data describe, which cannot be in the future.

    With a moment next year, every learner would count as observed without a pass for a year that
    has not happened.

    Examples:
        >>> moment_observed("2034-06-01", now=datetime(2024, 6, 1, tzinfo=UTC))
        Traceback (most recent call last):
        toolkit.errors.ArgumentError: as_of is 2034-06-01, which is in the future (today is
        2024-06-01); pass the moment the data were loaded
    """
    read = moment(when, name="as_of")
    clock = datetime.now(UTC) if now is None else now
    if read > clock + AHEAD:
        raise ArgumentError(
            f"as_of is {read:%Y-%m-%d}, which is in the future (today is {clock:%Y-%m-%d}); "
            "pass the moment the data were loaded"
        )
    return read


def dates(of: object, *, name: str) -> dict[str, date]:
    """Read dates by name, such as a date for each course.

    Examples:
        >>> dates({"course-v1:Org+CS+R1": "2024-02-01"}, name="course_starts")
        {'course-v1:Org+CS+R1': datetime.date(2024, 2, 1)}
    """
    if not isinstance(of, Mapping) or not all(isinstance(key, str) for key in of):
        raise ArgumentError(f"{name} must be a mapping of names to dates, not {as_given(of)}")
    return {key: moment(when, name=f"{name} of {key}").date() for key, when in of.items()}
