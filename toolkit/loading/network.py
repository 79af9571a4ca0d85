"""Sockets that never wait for ever: each connect, handshake and read has its bound.

httpcore hands a timeout down to the socket that needs it. Ours, `Patience`, is such a number that
also knows when the whole download must be done and whether it was called off. So the bound holds
whatever the other side sends, be it headers byte by byte or interim answers without end.
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

_GLANCE = 0.1  # seconds between two looks at whether the download was called off
_CONNECT = 10.0  # seconds for one address of a server that has several
_PORTION = 256 << 10  # bytes; httpcore asks for 64 KB, and every hand-over has its cost


class Patience(float):
    """Seconds to wait for the next byte, with the moment by which the last one must have come.

    Attributes:
        total: Seconds for the whole download, from the making of this object.
        rest: Sleeps for some seconds, unless the download is called off.
    """

    def __new__(
        cls,
        silence: float,
        total: float,
        heed: Callable[[], None] = lambda: None,
        rest: Callable[[float], None] | None = None,
    ) -> Self:
        """Begin to count.

        Args:
            silence: Seconds to wait for the next byte.
            total: Seconds for the whole download.
            heed: Called a few times a second; raises to call the download off.
            rest: What sleeps, for tests.
        """
        patience = super().__new__(cls, silence)
        patience.total = total
        patience.rest = rest or patience._sleep
        patience._ends = time.monotonic() + total
        patience._heed = heed
        patience._heeded = time.monotonic()
        return patience

    total: float
    rest: Callable[[float], None]
    _ends: float
    _heed: Callable[[], None]
    _heeded: float

    @property
    def left(self) -> float:
        """Seconds left for the whole download."""
        return max(0.0, self._ends - time.monotonic())

    def waits(self, most: float) -> Iterator[float]:
        """Lengths of short waits, for as long as the wait they are parts of may last."""
        until = min(time.monotonic() + most, self._ends)
        while (now := time.monotonic()) < until:
            if now - self._heeded > _GLANCE:
                self._heeded = now
                self._heed()
            yield min(until - now, _GLANCE)

    def _sleep(self, seconds: float) -> None:
        for short in self.waits(seconds):
            time.sleep(short)


class Backend(httpcore.NetworkBackend):
    """What httpcore asks for connections; the timeouts it passes on must be a `Patience`."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve the name and connect to the first of its addresses that answers."""
        if not isinstance(timeout, Patience):
            raise TypeError(f"a request needs a Patience as its timeout, not {timeout!r}")
        patience = timeout

        def connect() -> httpcore.NetworkStream:
            one = min(patience, _CONNECT, patience.left)
            return httpcore.SyncBackend().connect_tcp(
                host, port, one, local_address, socket_options
            )

        return _Stream(_aside(connect, patience.waits(patience.left)), patience)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def _now(self, timeout: float | None) -> Patience:
        """The patience of the request that now has the connection; a SOCKS proxy is given none."""
        self._patience = timeout if isinstance(timeout, Patience) else self._patience
        return self._patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = self._now(timeout)
        for seconds in patience.waits(patience):
            with suppress(httpcore.ReadTimeout):
                return self._stream.read(max(max_bytes, _PORTION), seconds)
        raise httpcore.ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        patience = self._now(timeout)
        self._stream.write(buffer, max(min(patience, patience.left), 0.001))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        patience = self._now(timeout)
        handle = self._stream.get_extra_info("socket").dup()  # the socket itself is handed over

        def shake_hands() -> httpcore.NetworkStream:
            return self._stream.start_tls(ssl_context, server_hostname, float(patience))

        try:
            return _Stream(_aside(shake_hands, patience.waits(patience)), patience)
        except BaseException:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)  # wakes the thread that shakes hands
            raise
        finally:
            handle.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _aside(
    work: Callable[[], httpcore.NetworkStream], waits: Iterator[float]
) -> httpcore.NetworkStream:
    """The stream that `work` makes, on a thread of its own that can be left behind.

    Neither a name server nor a handshake can be interrupted.
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
