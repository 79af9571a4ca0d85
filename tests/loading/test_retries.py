"""When the next try comes: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from toolkit.loading.retries import retry_delay

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def answer(retry_after: str, **headers: str) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": retry_after, **headers})


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("20", 20.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("999999", 999_999.0),
        ("1.25", 1.25),
        ("0", 0.5),
        ("-5", 0.5),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.5),
        ("soon", 0.5),
        ("", 0.5),
    ],
)
def test_the_server_says_when_and_else_backoff_does(retry_after: str, seconds: float) -> None:
    assert retry_delay(1, answer(retry_after), NOW, jitter=1.0) == seconds


def test_a_date_counts_from_the_clock_of_the_server() -> None:
    ahead = answer("Thu, 01 Jan 2026 14:00:30 GMT", Date="Thu, 01 Jan 2026 14:00:00 GMT")

    assert retry_delay(1, ahead, NOW, jitter=1.0) == 30.0


def test_backoff_doubles_up_to_a_limit_and_jitter_takes_up_to_half() -> None:
    assert [retry_delay(n, None, NOW, jitter=1.0) for n in (1, 2, 3, 10, 5000)] == [
        0.5,
        1.0,
        2.0,
        30.0,
        30.0,
    ]
    assert retry_delay(3, None, NOW, jitter=0.0) == 1.0
