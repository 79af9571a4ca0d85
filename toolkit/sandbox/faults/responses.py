"""Faults that respond in place of the platform."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse

from toolkit.sandbox.http.middleware import Fault, instead

_MEGABYTE = 1_000_000
_LOGIN_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><title>Sign in or Register | Sandbox</title></head>
<body><form method="post" action="/login"><input name="email"><input name="password"></form></body>
</html>
"""


def rate_limit(seconds: int = 1, times: int = 1) -> Fault:
    """Respond with 429 and the seconds to wait."""
    return instead(lambda _: _too_many(str(seconds)), times)


def rate_limit_date(seconds: int = 1, times: int = 1) -> Fault:
    """Respond with 429 and the date to retry, by the platform's own clock."""

    def answer(request: Request) -> Response:
        clock: datetime = request.app.state.clock
        retry_at = clock.replace(tzinfo=UTC) + timedelta(seconds=seconds)
        return _too_many(format_datetime(retry_at, usegmt=True))

    return instead(answer, times)


def rate_limit_zero(times: int = 1) -> Fault:
    """Respond with 429 and 0 seconds to wait."""
    return rate_limit(0, times)


def rate_limit_past(times: int = 1) -> Fault:
    """Respond with 429 and a date in the past."""
    return rate_limit_date(-60, times)


def rate_limit_absurd(times: int = 1) -> Fault:
    """Respond with 429 and a year to wait."""
    return rate_limit(365 * 86_400, times)


def rate_limit_silent(times: int = 1) -> Fault:
    """Respond with 429 without saying how long to wait."""
    return instead(lambda _: _too_many(None), times)


def server_error(status: int = 503, times: int = 1) -> Fault:
    """Respond with this status."""
    return instead(lambda _: JSONResponse({"detail": "a fault of the sandbox"}, status), times)


def login_page(times: int = 0) -> Fault:
    """Respond with the login page that platforms show if a token has expired."""
    return instead(lambda _: HTMLResponse(_LOGIN_PAGE), times)


def redirect_away(times: int = 0) -> Fault:
    """Redirect to this server's other name, which is another origin and does respond."""
    return instead(
        lambda asked: RedirectResponse(asked.url.replace(hostname="localhost")),
        times,
        when=lambda asked: asked.url.hostname != "localhost",
    )


def redirect_within(times: int = 1) -> Fault:
    """Redirect to the same address."""
    return instead(lambda asked: RedirectResponse(asked.url), times)


def gzip_bomb(megabytes: int = 1_000) -> Fault:
    """Respond with a small body that unpacks to a huge one."""

    def bomb() -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        yield packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH)
        block = packer.compress(b" " * _MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
        for _ in range(megabytes):
            yield block

    return instead(
        lambda _: StreamingResponse(
            bomb(), media_type="application/json", headers={"Content-Encoding": "gzip"}
        ),
        0,
    )


def _too_many(retry_after: str | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return JSONResponse({"detail": "too many requests"}, 429, headers)
