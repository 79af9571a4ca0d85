"""The platform over HTTP: who we are, what is sent, which answer counts, when to try again."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import quote, urlencode, urljoin, urlsplit

import httpx

from toolkit.config import Settings
from toolkit.errors import AuthenticationError, ConfigurationError, TransportError
from toolkit.loading.decoding import ACCEPTED, decoded
from toolkit.loading.retries import LONGEST_WAIT, RETRIED_STATUS, http_date, retry_delay

API_PATH = "/api/so2/v1/"
_MOST_REDIRECTS = 5
_PORTION = 256 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ADVICE = "Check SO2_TOKEN, or ask the platform's support for a new token."

logger = logging.getLogger("toolkit")


class BodyChangedError(TransportError):
    """The body broke off, and the second try brought another one: start over."""


class _FailedError(Exception):
    """A try that failed in a way another try may not."""

    def __init__(self, reason: str, response: httpx.Response | None = None) -> None:
        super().__init__(reason)
        self.response = response


class Platform:
    """A platform that can be asked for its records. Also a context manager.

    Args:
        settings: Address, token and limits; see `platform_settings`.
        source: How captions call the platform; its host where not given.
        transport: What carries the requests, for tests.
        sleep: What waits before another try, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if settings.base_url is None or settings.token is None:
            raise ConfigurationError("a platform needs an address and a token; see tk.connect")
        token = settings.token.get_secret_value()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError("the token has characters that no token has; copy it again")
        self._settings = settings
        self._sleep = sleep
        self.base_url = settings.base_url
        self.source = source or urlsplit(settings.base_url).hostname or settings.base_url
        self._client = httpx.Client(transport=transport, timeout=settings.timeout)
        logging.getLogger("httpx").addFilter(_without_query)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a platform holds a token and is not pickled; connect again instead")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def url(self, resource: str, parameters: Mapping[str, str]) -> str:
        """The address of a resource; a `+` in a value goes out as `%2B`."""
        query = urlencode(parameters, quote_via=quote, safe="")
        return f"{self.base_url}{API_PATH}{resource}" + (f"?{query}" if query else "")

    def body(self, url: str) -> Body:
        """The body behind an address of this platform, not yet asked for.

        Raises:
            TransportError: The address lies elsewhere, where the token must not go.
        """
        if _origin(url) != _origin(self.base_url):
            raise TransportError(
                f"the platform points to {_place(url)}, another server; the token was not sent "
                "there. If the platform has moved, set SO2_BASE_URL to its new address."
            )
        return Body(self, url)

    def _headers(self) -> dict[str, str]:
        token = self._settings.token
        return {
            "Authorization": f"Bearer {token.get_secret_value() if token else ''}",
            "Content-Type": "application/json",
            "Access-Control-Request-Headers": "authorization",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
        }


class Body:
    """One body: iterate to download and decode it, with as many tries as it takes.

    A try after a break begins anew; what was handed out already is compared and skipped.

    Attributes:
        url: Its address.
        place: The address without what identifies learners, for messages.
        size: Bytes handed out, after decoding.
        started: When the first try began.
        ended: When the last byte had come, so far.
        date: The platform's clock at the answer, ours where it does not tell.
    """

    def __init__(self, platform: Platform, url: str) -> None:
        self.url = url
        self.place = _place(url)
        self.size = 0
        self.started = datetime.now(UTC)
        self.ended = self.started
        self.date = self.started
        self._platform = platform
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the bytes handed out."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        settings = self._platform._settings
        deadline = time.monotonic() + settings.total_timeout
        attempt = 0
        while True:
            attempt += 1
            try:
                yield from self._new_bytes(deadline)
                return
            except _FailedError as error:
                failure, response = str(error), error.response
            delay = retry_delay(
                attempt,
                response,
                datetime.now(UTC),
                jitter=random.random(),  # noqa: S311  # no secret
            )
            status = response.status_code if response is not None else None
            if attempt > settings.retries:
                raise TransportError(
                    f"{self.place}: {failure}. Given up after {attempt} tries.", status=status
                )
            if delay > LONGEST_WAIT or time.monotonic() + delay > deadline:
                raise TransportError(
                    f"{self.place}: {failure}. The next try would have to wait {delay:,.0f} s; "
                    "that is too long. Try again later.",
                    status=status,
                )
            logger.info("GET %s: %s; next try in %.1f s", self.place, failure, delay)
            self._platform._sleep(delay)

    def _new_bytes(self, deadline: float) -> Iterator[bytes]:
        """The bytes of one try, without those that an earlier one handed out."""
        known, again = self.size, hashlib.sha256()
        seen = 0
        for chunk in self._try(deadline):
            if seen < known:
                again.update(chunk[: known - seen])
                seen, fresh = seen + len(chunk), chunk[known - seen :]
                if seen >= known and again.digest() != self._digest.digest():
                    break
            else:
                fresh = chunk
            if fresh:
                self._digest.update(fresh)
                self.size += len(fresh)
                yield fresh
        else:
            if seen >= known:
                return
        raise BodyChangedError(
            f"{self.place}: the download broke off, and the next try brought other records. "
            "Load it again."
        )

    def _try(self, deadline: float) -> Iterator[bytes]:
        url = self.url
        for _ in range(_MOST_REDIRECTS + 1):
            target = yield from self._request(url, deadline)
            if target is None:
                return
            url = target
        raise TransportError(f"{self.place}: redirected more than {_MOST_REDIRECTS} times")

    def _request(self, url: str, deadline: float) -> Generator[bytes, None, str | None]:
        """The decoded bytes of one answer; returns where it redirects to, if it does."""
        began, size, status = time.monotonic(), 0, "no answer"
        client, headers = self._platform._client, self._platform._headers()
        try:
            with client.stream("GET", url, headers=headers) as response:
                status = str(response.status_code)
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return self._redirected(urljoin(url, response.headers["location"]))
                _require_success(response, self.place)
                self.date = http_date(response.headers.get("date", "")) or self.date
                for chunk in decoded(
                    self._arriving(response, deadline), response.headers.get("content-encoding", "")
                ):
                    if not size:
                        _refuse_html(response, chunk, self.place)
                    size += len(chunk)
                    yield chunk
        except httpx.TimeoutException:
            raise _FailedError(f"nothing came for {self._platform._settings.timeout:g} s") from None
        except httpx.TransportError as error:
            raise _FailedError(str(error) or type(error).__name__) from None
        finally:
            self.ended = datetime.now(UTC)
            seconds = time.monotonic() - began
            logger.info("GET %s %s %d bytes %.2f s", urlsplit(url).path, status, size, seconds)
        return None

    def _arriving(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        """The bytes as they were sent, several chunks at once: every hand-over has its cost."""
        portion: list[bytes] = []
        size = 0
        for chunk in response.iter_raw():
            if time.monotonic() > deadline:
                raise TransportError(
                    f"{self.place}: not done after {self._platform._settings.total_timeout:,.0f} s "
                    "(SO2_TOTAL_TIMEOUT)"
                )
            portion.append(chunk)
            size += len(chunk)
            if size >= _PORTION:
                yield b"".join(portion)
                portion, size = [], 0
        yield b"".join(portion)

    def _redirected(self, target: str) -> str:
        if _origin(target) == _origin(self.url):
            return target
        login = "An expired token can be the reason. " + _ADVICE
        raise TransportError(
            f"{self.place} redirects to another server, {_place(target)}; the token was not sent "
            f"there. If the platform has moved, set SO2_BASE_URL to its new address. {login}"
        )


def _require_success(response: httpx.Response, place: str) -> None:
    """Raise unless the answer is the resource.

    Raises:
        AuthenticationError: 401 or 403.
        _FailedError: A status that another try may change.
        TransportError: Any other status but 200.
    """
    status = response.status_code
    if status == httpx.codes.OK:
        return
    answer = f"answered {status} {response.reason_phrase}".rstrip()
    if status in {401, 403}:
        raise AuthenticationError(f"{place}: {answer}. {_ADVICE}")
    if status in RETRIED_STATUS:
        raise _FailedError(answer, response)
    if status == httpx.codes.NOT_FOUND:
        advice = "Is SO2_BASE_URL the platform's address, and has it the SO2 API?"
    else:
        advice = _told(response)
    raise TransportError(f"{place}: {answer}. {advice}".rstrip(), status=status)


def _told(response: httpx.Response) -> str:
    """What an error answer says, if that is short text and no page."""
    if "html" in response.headers.get("content-type", ""):
        return ""
    chunks = decoded(response.iter_raw(), response.headers.get("content-encoding", ""))
    text = next(iter(chunks), b"")[:500].decode(errors="replace")
    return f"It says: {' '.join(text.split())}" if text.strip() else ""


def _refuse_html(response: httpx.Response, start: bytes, place: str) -> None:
    if "html" in response.headers.get("content-type", "") or start.lstrip()[:1] == b"<":
        raise AuthenticationError(
            f"{place} answered with a web page instead of records, as platforms do when a token "
            f"has expired. {_ADVICE}"
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _without_query(record: logging.LogRecord) -> bool:
    """Take the query, which may name a learner, out of the lines that httpx logs."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            value.copy_with(query=None)
            if isinstance(value, httpx.URL) and API_PATH in value.path
            else value
            for value in record.args
        )
    return True
