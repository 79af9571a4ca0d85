"""Dates as a person writes them, read as moments in UTC: the one place that does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from toolkit.errors import ArgumentError

When: TypeAlias = str | date
"""A date or a datetime, or one written as text: "2024-06-01", "2024-06-01T12:00Z"."""

AHEAD = timedelta(days=1)
"""How far a moment may lie ahead of the clock: clocks differ, and days begin in the east."""


def moment(when: When, *, name: str) -> datetime:
    """Read a moment in UTC.

    A date means its beginning, 00:00 UTC. A time without a zone is UTC.

    Args:
        when: A date, a datetime, or either as text in the form of ISO 8601.
        name: How the message calls the argument.

    Raises:
        ArgumentError: It is none of them.

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
        f"not {when!r}"
    )


def moment_observed(when: When, *, name: str = "as_of", now: datetime | None = None) -> datetime:
    """Read the moment that data speak of, which cannot be still to come.

    With a moment of next year every learner would count as observed, and not passing, for a year
    that nobody has seen.

    Args:
        when: As in `moment`.
        name: How the message calls the argument.
        now: The time it is; by default the computer's clock.

    Raises:
        ArgumentError: It is no moment, or lies more than a day ahead of the clock.

    Examples:
        >>> moment_observed("2034-06-01", now=datetime(2024, 6, 1, tzinfo=UTC))
        Traceback (most recent call last):
        toolkit.errors.ArgumentError: as_of is 2034-06-01, which is still to come (today is
        2024-06-01); give the moment the data were loaded
    """
    read = moment(when, name=name)
    clock = datetime.now(UTC) if now is None else now
    if read > clock + AHEAD:
        raise ArgumentError(
            f"{name} is {read:%Y-%m-%d}, which is still to come (today is {clock:%Y-%m-%d}); "
            "give the moment the data were loaded"
        )
    return read


def dates(of: object, *, name: str) -> dict[str, date]:
    """Read a date for each course, or for whatever else has a name.

    Args:
        of: Dates as in `moment`, by name.
        name: How the message calls the argument.

    Raises:
        ArgumentError: It is no mapping of names to dates.

    Examples:
        >>> dates({"course-v1:Org+CS+R1": "2024-02-01"}, name="course_starts")
        {'course-v1:Org+CS+R1': datetime.date(2024, 2, 1)}
    """
    if not isinstance(of, Mapping) or not all(isinstance(key, str) for key in of):
        raise ArgumentError(f"{name} must be a mapping of names to dates, not {of!r}")
    return {key: moment(when, name=f"{name} of {key}").date() for key, when in of.items()}
