"""An HTTP server on loopback, in its own thread, that stops by itself."""

from __future__ import annotations

import logging
import socket
import threading
import weakref
from datetime import UTC, datetime
from email.utils import format_datetime

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from toolkit.errors import ConfigurationError

_LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 1


class Server:
    """Serves an application from its creation until `stop`, or until nothing refers to it.

    Its `Date` header shows the clock, naive UTC; port 0 takes a free one. With `close_delimited`,
    it answers like an HTTP/1.0 server: the end of a body is the end of the connection, so a client
    cannot see from the framing that a body broke off.
    """

    def __init__(
        self, app: ASGIApp, clock: datetime, *, port: int = 0, close_delimited: bool = False
    ) -> None:
        listener = _listen(port)
        self.base_url = f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=_CloseDelimited if close_delimited else H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            headers=[("Date", format_datetime(clock.replace(tzinfo=UTC), usegmt=True))],
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        logging.getLogger("uvicorn.error").addFilter(_no_drop)
        config.load()  # here, so that an error is raised here and not in the thread
        server = uvicorn.Server(config)
        # The listener already queues connections: the first request may come before the loop.
        thread = threading.Thread(
            target=server.run, args=([listener],), name="so2-sandbox", daemon=True
        )
        thread.start()
        self.stop = weakref.finalize(self, _stop, server, thread, listener)


class DroppedError(Exception):
    """Raised by an application within a body to drop the connection."""


class _CloseDelimited(H11Protocol):
    def data_received(self, data: bytes) -> None:
        super().data_received(data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))


def _no_drop(record: logging.LogRecord) -> bool:
    """Whether a log record is about anything but a connection dropped on purpose."""
    return record.exc_info is None or not isinstance(record.exc_info[1], DroppedError)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.bind((_LOOPBACK, port))
    except (OSError, OverflowError, TypeError) as error:
        listener.close()
        raise ConfigurationError(f"the sandbox cannot listen on port {port}: {error}") from None
    listener.listen()
    return listener


def _stop(server: uvicorn.Server, thread: threading.Thread, listener: socket.socket) -> None:
    server.should_exit = True
    thread.join()
    listener.close()  # uvicorn leaves it open if stopped before it began
