"""Sockets with a time limit for each connection, handshake and read.

httpcore passes a timeout down to the socket that needs it. Ours, `Patience`, is such a number that
also knows when the whole download must be done and whether it was cancelled. So the limit holds
whatever the other side sends, such as headers byte by byte or endless interim responses.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from ssl import SSLContext
from typing import Any, Self

import httpcore

_CHECK_INTERVAL = 0.1  # seconds between checks whether the download was cancelled
_CONNECT = 10.0  # seconds for one address of a server with several
_PORTION = 256 << 10  # bytes; httpcore asks for 64 KB, and each call has a cost


class Patience(float):
    """Seconds to wait for the next byte, and the moment by which the last must have arrived.

    Attributes:
        total: Seconds for the whole download, from the creation of this object.
        rest: Sleeps for some seconds, unless the download is cancelled.
    """

    def __new__(
        cls,
        silence: float,
        total: float,
        check_cancelled: Callable[[], None] = lambda: None,
        rest: Callable[[float], None] | None = None,
    ) -> Self:
        """Start the clock.

        Args:
            silence: Seconds to wait for the next byte.
            total: Seconds for the whole download.
            check_cancelled: Called a few times a second; raises to cancel the download.
            rest: Sleeps, for tests.
        """
        patience = super().__new__(cls, silence)
        patience.total = total
        patience.rest = rest or patience._sleep
        patience._ends = time.monotonic() + total
        patience._check_cancelled = check_cancelled
        patience._checked = time.monotonic()
        return patience

    total: float
    rest: Callable[[float], None]
    _ends: float
    _check_cancelled: Callable[[], None]
    _checked: float

    @property
    def left(self) -> float:
        """Seconds left for the whole download."""
        return max(0.0, self._ends - time.monotonic())

    def waits(self, most: float) -> Iterator[float]:
        """Divide a wait into short ones, and check for cancellation between them."""
        until = min(time.monotonic() + most, self._ends)
        while (now := time.monotonic()) < until:
            if now - self._checked > _CHECK_INTERVAL:
                self._checked = now
                self._check_cancelled()
            yield min(until - now, _CHECK_INTERVAL)

    def _sleep(self, seconds: float) -> None:
        for short in self.waits(seconds):
            time.sleep(short)


class Backend(httpcore.NetworkBackend):
    """Makes connections for httpcore; the timeouts it passes must be a `Patience`."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve the name and connect to the first of its addresses that responds."""
        if not isinstance(timeout, Patience):
            raise TypeError(f"a request needs a Patience as its timeout, not {timeout!r}")
        patience = timeout

        def connect() -> httpcore.NetworkStream:
            one = min(patience, _CONNECT, patience.left)
            return httpcore.SyncBackend().connect_tcp(
                host, port, one, local_address, socket_options
            )

        return _Stream(_on_a_thread(connect, patience.waits(patience.left)), patience)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def _current(self, timeout: float | None) -> Patience:
        """Return the patience of the current request; for a SOCKS proxy, no timeout is passed."""
        self._patience = timeout if isinstance(timeout, Patience) else self._patience
        return self._patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = self._current(timeout)
        for seconds in patience.waits(patience):
            with suppress(httpcore.ReadTimeout):
                return self._stream.read(max(max_bytes, _PORTION), seconds)
        raise httpcore.ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        patience = self._current(timeout)
        self._stream.write(buffer, max(min(patience, patience.left), 0.001))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        patience = self._current(timeout)
        handle = self._stream.get_extra_info("socket").dup()  # the socket itself is passed on

        def shake_hands() -> httpcore.NetworkStream:
            return self._stream.start_tls(ssl_context, server_hostname, float(patience))

        try:
            return _Stream(_on_a_thread(shake_hands, patience.waits(patience)), patience)
        except BaseException:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)  # wakes the thread in the handshake
            raise
        finally:
            handle.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _on_a_thread(
    work: Callable[[], httpcore.NetworkStream], waits: Iterator[float]
) -> httpcore.NetworkStream:
    """Return the stream that `work` makes, on a thread of its own that can be abandoned.

    Neither name resolution nor a handshake can be interrupted.
    """
    made: Future[httpcore.NetworkStream] = Future()

    def run() -> None:
        try:
            made.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            made.set_exception(error)

    threading.Thread(target=run, name="toolkit-connect", daemon=True).start()
    try:
        for seconds in waits:
            if wait([made], seconds).done:
                return made.result()
        raise httpcore.ConnectTimeout
    except BaseException:
        made.add_done_callback(_close)
        raise


def _close(late: Future[httpcore.NetworkStream]) -> None:
    if late.exception() is None:
        late.result().close()
