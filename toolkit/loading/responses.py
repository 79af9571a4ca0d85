"""Tell responses that hold records from those that do not, and explain the latter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus

import httpx

from toolkit.errors import AuthenticationError, TransportError
from toolkit.loading.decoding import decoded
from toolkit.loading.framing import BOM
from toolkit.loading.retries import RETRIED_STATUS

TOKEN_ADVICE = "Check SO2_TOKEN, or ask the platform's support for a new token."  # noqa: S105
_SERVER_ADVICE = (
    "If the platform has moved, set SO2_BASE_URL to its new address. Or the token has expired. "
    f"{TOKEN_ADVICE}"
)
_EXPLAINING = ("detail", "message", "error", "developer_message", "course_id", "username", "days")
_MOST_READ = 4096
_MOST_SHOWN = 200
_ADDRESS = re.compile(r"[^\s@,;:<>\"']+@[^\s@,;<>\"']+")


class FailedError(Exception):
    """An attempt failed in a way that a retry may fix."""

    def __init__(self, reason: str, response: httpx.Response | None = None) -> None:
        super().__init__(reason)
        self.response = response


def require_success(response: httpx.Response, place: str) -> None:
    """Raise unless the response holds the resource.

    Raises:
        AuthenticationError: 401 or 403.
        FailedError: A status that a retry may change.
        TransportError: Any other status but 200.
    """
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    answer = f"answered {status} {_phrase(status)}".rstrip()
    if status in {401, 403}:
        raise AuthenticationError(f"{place}: {answer}. {TOKEN_ADVICE}")
    if status in RETRIED_STATUS:
        raise FailedError(answer, response)
    if status == HTTPStatus.NOT_FOUND:
        advice = "Check that SO2_BASE_URL is the platform's address and that it offers the SO2 API."
    else:
        advice = (
            explanation(response) or "Only status 200 brings records; ask the platform's support."
        )
    raise TransportError(f"{place}: {answer}. {advice}", status=status)


def refuse_html(response: httpx.Response, start: bytes, place: str) -> None:
    """Raise if the body is a web page.

    Raises:
        AuthenticationError: It is; platforms send one once a token has expired.
    """
    first = start.removeprefix(BOM).lstrip()[:1]
    is_named = "html" in response.headers.get("content-type", "")  # as some servers name any text
    if first == b"<" or (is_named and first not in {b"[", b"{"}):
        raise AuthenticationError(
            f"{place} answered with a web page instead of records, as platforms do when a token "
            f"has expired. {TOKEN_ADVICE}"
        )


def explanation(response: httpx.Response) -> str:
    """Quote the fields in which a refusal explains itself; empty if there are none.

    The rest of the body is not shown, because it may hold learners' records.
    """
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return ""
    try:
        chunks = decoded(response.iter_raw(), response.headers.get("content-encoding", ""))
        refusal = json.loads(_start(chunks))
    except (ValueError, RecursionError, TransportError):  # the last if it cannot be decoded
        return ""
    found = (
        {key: refusal[key] for key in _EXPLAINING if key in refusal}
        if isinstance(refusal, dict)
        else {}
    )
    texts = [
        text
        for value in found.values()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str)
    ]
    shown = _ADDRESS.sub("[address]", " ".join(" ".join(texts).split()))
    shown = "".join(character for character in shown if character.isprintable())
    return f"It says: {shown[:_MOST_SHOWN]}" if shown else ""


def link(base: str, target: str, place: str, *, kind: str) -> str:
    """Return the address that a response points to, if it is on the same server.

    Args:
        base: The address that was requested.
        target: The address in the response, absolute or relative.
        place: What messages call the requested address.
        kind: What messages call the target.

    Raises:
        TransportError: It is not an address, or on another server, where the token must not go.
    """
    try:
        url = httpx.URL(base).join(target).copy_with(fragment=None, userinfo=b"")
        destination = origin(str(url))
    except (httpx.InvalidURL, ValueError):
        raise TransportError(
            f"{place}: what the platform names as {kind} is not an address. Ask its support."
        ) from None
    if destination != origin(base):
        raise TransportError(
            f"{place}: the platform points to another server, {origin_text(url)}, as {kind}; the "
            f"token was not sent there. {_SERVER_ADVICE}"
        )
    return str(url)


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: together they decide where a token goes."""
    parts = httpx.URL(url)
    return parts.scheme, parts.host, parts.port


def origin_text(url: httpx.URL) -> str:
    """Write an origin for messages."""
    return f"{url.scheme}://{url.netloc.decode()}"[:_MOST_SHOWN]


def _phrase(status: int) -> str:
    """Return the registered phrase of a status; the platform's own could be anything."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _start(chunks: Iterator[bytes]) -> bytes:
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) > _MOST_READ:
            break
    return start[: 1 << 20]
