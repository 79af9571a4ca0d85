"""Decide when a failed request is tried again, without waiting or reading a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

_OF_CLOUDFLARE = range(520, 531)  # when the server behind it does not respond
RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504, *_OF_CLOUDFLARE})
LONGEST_WAIT = 300.0
_FIRST_WAIT = 0.5
_LONGEST_BACKOFF = 30.0
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PLAUSIBLE_YEARS = range(1970, 2200)


def retry_delay(
    attempt: int, response: httpx.Response | None, now: datetime, *, jitter: float
) -> float:
    """Return the seconds to wait before the next attempt.

    What the server asks for in `Retry-After`, if that is in the future; else exponential backoff.
    Nothing is capped: a caller for whom the wait is too long gives up instead.

    Args:
        attempt: How many attempts have failed, from 1.
        response: The unsuccessful response; None if there was none.
        now: The moment of the decision, with a time zone.
        jitter: 0–1, random, so that many clients do not retry at once.

    Examples:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> [retry_delay(n, None, now, jitter=1.0) for n in (1, 2, 3)]
        [0.5, 1.0, 2.0]
        >>> retry_delay(1, httpx.Response(429, headers={"Retry-After": "20"}), now, jitter=0.5)
        20.0
    """
    asked = _retry_after(response, now) if response is not None else 0.0
    if asked > 0:
        return asked
    backoff = min(_FIRST_WAIT * 2.0 ** min(attempt - 1, 16), _LONGEST_BACKOFF)
    return backoff * (1 + jitter) / 2


def _retry_after(response: httpx.Response, now: datetime) -> float:
    value = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value[:12])
    moment = http_date(value)
    now = http_date(response.headers.get("date", "")) or now  # the server counts by its own clock
    return (moment - now).total_seconds() if moment else 0.0


def http_date(value: str) -> datetime | None:
    """Read an HTTP date as a moment in UTC; None if it is invalid or implausible.

    Examples:
        >>> http_date("Thu, 01 Jan 2026 12:00:30 GMT").isoformat()
        '2026-01-01T12:00:30+00:00'
        >>> http_date("Fri, 31 Dec 9999 23:59:59 -2359")
    """
    try:
        moment = parsedate_to_datetime(value)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _PLAUSIBLE_YEARS else None
