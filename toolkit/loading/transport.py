"""Send requests over HTTP/1.1: through which proxy, and with which certificates trusted."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from toolkit.config import is_loopback
from toolkit.errors import ConfigurationError
from toolkit.loading.network import Backend
from toolkit.schemas.arguments import a_path

_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.TimeoutException: httpx.ReadTimeout,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.NetworkError: httpx.NetworkError,
    httpcore.ProtocolError: httpx.ProtocolError,
}


class Transport(httpx.BaseTransport):
    """Sends requests, each on a new connection or one that is free again.

    Loopback is always reached directly. https to elsewhere goes through the proxy that HTTPS_PROXY
    or ALL_PROXY names unless NO_PROXY excludes it, in a tunnel that the proxy cannot inspect.
    Plain http is never sent to a proxy, which could read the token.

    Args:
        ca_file: Certificates to trust besides those of public authorities.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._pools: dict[str | None, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the headers of its response."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            extensions=request.extensions,
        )
        pool = self._pool(proxy_for(url), tls=url.scheme == "https")
        with _as_httpx():
            answer = pool.handle_request(asked)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Arriving(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, proxy: str | None, *, tls: bool) -> httpcore.ConnectionPool:
        key = f"{proxy} {tls}"
        with self._lock:
            if key not in self._pools:
                context = _trusted(self._ca_file) if tls else None
                self._pools[key] = httpcore.ConnectionPool(
                    ssl_context=context,
                    proxy=None if proxy is None else _proxy(proxy, context),
                    max_connections=None,
                    network_backend=Backend(),
                )
            return self._pools[key]


class _Arriving(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpcore's errors as those of httpx, which have a common base."""
    try:
        yield
    except tuple(_ERRORS) as error:
        kind = next(ours for theirs, ours in _ERRORS.items() if isinstance(error, theirs))
        raise kind(str(error)) from error


def proxy_for(url: httpx.URL) -> str | None:
    """Return the proxy for requests to this address, from the environment or the system."""
    if url.scheme != "https" or is_loopback(url.host) or proxy_bypass(url.netloc.decode()):
        return None
    named = getproxies()
    return named.get("https") or named.get("all")


def _proxy(address: str, context: ssl.SSLContext | None) -> httpcore.Proxy:
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
        port = proxy.url.port
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError(
            "HTTPS_PROXY (or ALL_PROXY) must look like http://proxy.example.com:3128, with http, "
            "https or socks5 in front. Correct it, or name the platform in NO_PROXY."
        ) from None
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            "the proxy that HTTPS_PROXY (or ALL_PROXY) names speaks SOCKS, which needs another "
            "package: pip install socksio. Or name the platform in NO_PROXY."
        )
    return httpcore.Proxy(
        httpcore.URL(scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=port, target=b"/"),
        auth=proxy.raw_auth,
        ssl_context=context if proxy.url.scheme == "https" else None,
    )


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return the context that decides which servers are trusted.

    Raises:
        ConfigurationError: A file of certificates cannot be read.
    """
    named = "SSL_CERT_FILE or SSL_CERT_DIR"
    try:
        context = httpx.create_ssl_context()
        if ca_file is not None:
            file = a_path(ca_file, name="SO2_CA_FILE")
            named = f"SO2_CA_FILE ({file})"
            context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror if error.filename is None and error.strerror else "not found"
        if isinstance(error, ssl.SSLError):
            reason = "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        raise ConfigurationError(
            f"the certificates that {named} names cannot be read: {reason}"
        ) from None
    return context
