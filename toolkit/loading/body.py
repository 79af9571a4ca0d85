"""Download one body, with redirects and retries."""

from __future__ import annotations

import hashlib
import logging
import random
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from toolkit.errors import TransportError
from toolkit.loading.decoding import decoded
from toolkit.loading.network import Patience
from toolkit.loading.redaction import Redaction
from toolkit.loading.responses import FailedError, link, refuse_html, require_success
from toolkit.loading.retries import LONGEST_WAIT, http_date, retry_delay

_MOST_REDIRECTS = 5
_PORTION = 256 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

logger = logging.getLogger("toolkit")


class BodyChangedError(TransportError):
    """The download broke off, and the retry brought a different body: start over."""


class Body:
    """One body: iterate to download and decode it.

    A retry starts from the beginning; what was already yielded is compared and skipped.

    Args:
        url: Its address.
        send: Requests an address and returns the response, its body not yet read.
        patience: How long to wait.
        retries: How often a failed request is tried again.
        redact: Removes the token from a text.

    Attributes:
        url: Its address.
        place: The address for messages, without the query, which may name learners.
        size: Bytes yielded so far, after decoding.
        started: When the first attempt began.
        ended: When the last byte so far arrived.
        date: The platform's clock at the response; this computer's if it sends none.
        shows_its_end: Whether a response that is cut off would be noticed.
    """

    def __init__(
        self,
        url: str,
        send: Callable[[str, Patience], httpx.Response],
        *,
        patience: Patience,
        retries: int,
        redact: Redaction,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.place = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self.size = 0
        self.started = datetime.now(UTC)
        self.ended = self.started
        self.date = self.started
        self.shows_its_end = False
        self._base = url
        self._linked: str | None = None
        self._send = send
        self._patience = patience
        self._retries = retries
        self._redact = redact
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes yielded so far."""
        return self._digest.hexdigest()

    def next_page(self, named: str | None) -> str | None:
        """Return the address of the next page, if the body or a `Link` header names one.

        Args:
            named: How the body names it.

        Raises:
            TransportError: It is not an address, or on another server, where the token must not go.
        """
        target = named or self._linked
        return link(self._base, target, self.place, kind="the next page") if target else None

    def __iter__(self) -> Iterator[bytes]:
        attempt = 0
        while True:
            attempt += 1
            try:
                yield from self._new_bytes()
                return
            except FailedError as error:
                failure, response = self._redact(str(error)), error.response
            self._wait(attempt, failure, response)

    def _wait(self, attempt: int, failure: str, response: httpx.Response | None) -> None:
        """Wait before the next attempt, or raise if there will be none."""
        status = response.status_code if response is not None else None
        if attempt > self._retries:
            tries = "1 try" if attempt == 1 else f"{attempt} tries"
            raise TransportError(f"{self.place}: {failure}. Gave up after {tries}.", status=status)
        jitter = random.random()  # noqa: S311  # no secret
        delay = retry_delay(attempt, response, datetime.now(UTC), jitter=jitter)
        if delay > LONGEST_WAIT or delay > self._patience.left:
            raise TransportError(
                f"{self.place}: {failure}. The next try would have to wait {delay:,.0f} s; "
                "that is too long. Try again later.",
                status=status,
            )
        logger.info("GET %s: %s; next try in %.1f s", self.place, failure, delay)
        self._patience.rest(delay)

    def _new_bytes(self) -> Iterator[bytes]:
        """Yield the bytes of one attempt, without those that an earlier one yielded."""
        known, again = self.size, hashlib.sha256()
        seen = 0
        for chunk in self._try():
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

    def _try(self) -> Iterator[bytes]:
        url = self.url
        for _ in range(_MOST_REDIRECTS + 1):
            target = yield from self._request(url)
            if target is None:
                return
            url = target
        raise TransportError(f"{self.place}: redirected more than {_MOST_REDIRECTS} times")

    def _request(self, url: str) -> Generator[bytes, None, str | None]:
        """Yield the decoded bytes of one response; return where it redirects to, if it does."""
        began, size, status = time.monotonic(), 0, "no answer"
        try:
            with closing(self._send(url, self._patience)) as response:
                status = str(response.status_code)
                headers = response.headers
                if response.status_code in _REDIRECTS and "location" in headers:
                    return link(url, headers["location"], self.place, kind="the redirect target")
                require_success(response, self.place)
                self.date = http_date(headers.get("date", "")) or self.date
                encodings = headers.get("content-encoding", "")
                self._base, self._linked = url, response.links.get("next", {}).get("url")
                self.shows_its_end = bool(
                    encodings or {"content-length", "transfer-encoding"} & set(headers)
                )
                for chunk in decoded(_arriving(response), encodings):
                    if not size:
                        refuse_html(response, chunk, self.place)
                    size += len(chunk)
                    yield chunk
        except httpx.TransportError as error:
            raise self._failure(error) from None
        finally:
            self.ended = datetime.now(UTC)
            seconds = time.monotonic() - began
            logger.info("GET %s %s %d bytes %.2f s", urlsplit(url).path, status, size, seconds)
        return None

    def _failure(self, error: httpx.TransportError) -> Exception:
        """Return the error to raise if the response is missing or incomplete."""
        if not self._patience.left:
            return TransportError(
                f"{self.place}: not done after {self._patience.total:,.4g} s (SO2_TOTAL_TIMEOUT). "
                "Try again, ask for fewer courses, or allow more time."
            )
        distrust = _distrust(error)
        if distrust is not None:
            return TransportError(f"{self.place}: {distrust}. The token was not sent.")
        if isinstance(error, httpx.ProxyError):
            return TransportError(
                f"{self.place}: the proxy that HTTPS_PROXY or ALL_PROXY names did not connect "
                f"({error}). Correct it, or name the platform in NO_PROXY."
            )
        if isinstance(error, httpx.ConnectTimeout):
            return FailedError("could not connect in time")
        if isinstance(error, httpx.TimeoutException):
            return FailedError(f"nothing came for {self._patience:g} s")
        return FailedError(str(error).rstrip(".") or type(error).__name__)


def _arriving(response: httpx.Response) -> Iterator[bytes]:
    """Yield the bytes as sent, in larger chunks, since each costs time."""
    portion: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        portion.append(chunk)
        size += len(chunk)
        if size >= _PORTION:
            yield b"".join(portion)
            portion, size = [], 0
    yield b"".join(portion)


def _distrust(error: BaseException | None) -> str | None:
    """Say why TLS failed, if a retry would fail the same way."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if error is None or isinstance(error, _BROKEN_OFF):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message}). If your "
            "organisation or the server itself signed it, name the signer's certificate: "
            "SO2_CA_FILE=/path/to/ca.pem"
        )
    return f"no secure connection ({error.reason or error}); is it an https address?"
