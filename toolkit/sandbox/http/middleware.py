"""Faults as middleware of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from toolkit.sandbox.http.app import API

CallNext = Callable[[Request], Awaitable[Response]]
Fault = Callable[[Request, CallNext], Awaitable[Response]]
Answer = Callable[[Request], Response]
Body = AsyncIterator[bytes]
Alter = Callable[[Body], Body]


def add_fault(app: FastAPI, fault: Fault) -> None:
    """Apply a fault to the API, but not to the documentation pages."""

    async def on_the_api(request: Request, call_next: CallNext) -> Response:
        if not request.url.path.startswith(API):
            return await call_next(request)
        return await fault(request, call_next)

    app.add_middleware(BaseHTTPMiddleware, dispatch=on_the_api)


def instead(
    answer: Answer, times: int, *, when: Callable[[Request], bool] = lambda _: True
) -> Fault:
    """Return this response instead of the platform's."""
    strikes = _strikes(times)

    async def fault(request: Request, call_next: CallNext) -> Response:
        strikes_now = when(request) and strikes()
        return answer(request) if strikes_now else await call_next(request)

    return fault


def changed(change: Callable[[Response], Awaitable[Response]], times: int) -> Fault:
    """Change the platform's successful responses."""
    strikes = _strikes(times)

    async def fault(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        return await change(response) if response.status_code == 200 and strikes() else response

    return fault


def altered(alter: Alter, times: int, **headers: str) -> Fault:
    """Alter the bodies of successful responses, and set these headers."""

    async def change(response: Response) -> Response:
        return with_body(response, alter(body_of(response)), **headers)

    return changed(change, times)


def with_body(response: Response, body: Body, **headers: str) -> Response:
    """Return the same response with another body and these headers (`_` stands for `-`)."""
    others = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return StreamingResponse(body, headers=kept | others)


def body_of(response: Response) -> Body:
    """Return the bytes of a response that came through a middleware."""
    body: Body = response.body_iterator  # type: ignore[attr-defined]
    return body


def _strikes(times: int) -> Callable[[], bool]:
    """Return a test of whether the fault still applies; 0 times means always."""
    left = times

    def strikes() -> bool:
        nonlocal left
        left -= 1
        return times == 0 or left >= 0

    return strikes
