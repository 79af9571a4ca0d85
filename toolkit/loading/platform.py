"""The platform over HTTP: its address, the token, and the requests sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from importlib.metadata import version
from typing import NoReturn, Self
from urllib.parse import quote, urlencode

import httpx

from toolkit.config import Settings
from toolkit.errors import ConfigurationError
from toolkit.loading.body import Body
from toolkit.loading.decoding import ACCEPTED
from toolkit.loading.network import Patience
from toolkit.loading.redaction import Redaction
from toolkit.loading.responses import link
from toolkit.loading.transport import Transport

API_PATH = "/api/so2/v1/"


class Platform:
    """A platform that can be asked for its records. Also a context manager.

    Args:
        settings: Address, token and limits; see `platform_settings`.
        source: What captions call the platform; by default its host.
        transport: Carries the requests, for tests.
        rest: Waits before a retry, for tests.

    Attributes:
        base_url: Its address.
        source: What captions call it.
        redact: Removes the token from a text.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=50) as platform:
        ...     grades = tk.load_grades(platform)
        >>> platform.source
        'sandbox: 50 simulated learners (seed 7)'
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: str | None = None,
        transport: httpx.BaseTransport | None = None,
        rest: Callable[[float], None] | None = None,
    ) -> None:
        if settings.base_url is None or settings.token is None:
            raise ConfigurationError("a platform needs an address and a token; see tk.connect")
        self.base_url = settings.base_url
        token = settings.token.get_secret_value()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError(
                "the token is empty or has characters that no token has; copy it again"
            )
        self._settings = settings
        self._rest = rest
        self.redact = Redaction(token)
        self._transport = transport or Transport(settings.ca_file)
        self._closed = False
        try:
            self.source = source or httpx.URL(self.base_url).host
        except (httpx.InvalidURL, ValueError):
            raise ConfigurationError(
                "SO2_BASE_URL is not an address; it must look like https://platform.example.com"
            ) from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def _repr_html_(self) -> str:
        return f"<p><code>{escape(repr(self))}</code></p>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a platform holds a token and is not pickled; connect again instead")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._closed = True
        self._transport.close()

    def url(self, resource: str, parameters: Mapping[str, str]) -> str:
        """Return the address of a resource; a `+` in a value is sent as `%2B`."""
        query = urlencode(parameters, quote_via=quote, safe="")
        return f"{self.base_url}{API_PATH}{resource}" + (f"?{query}" if query else "")

    def patience(self, check_cancelled: Callable[[], None] = lambda: None) -> Patience:
        """Return how long to wait for one download, starting now.

        Args:
            check_cancelled: Called a few times a second; raises to cancel the download.
        """
        return Patience(
            self._settings.timeout, self._settings.total_timeout, check_cancelled, self._rest
        )

    def body(self, url: str, patience: Patience | None = None) -> Body:
        """Return the body at an address of this platform, not yet requested.

        Args:
            url: The address.
            patience: How long to wait, if the body is one of several of a download.

        Raises:
            TransportError: The address is on another server, where the token must not go.
        """
        return Body(
            link(self.base_url, url, self.base_url, kind="the next page"),
            self._send,
            patience=patience or self.patience(),
            retries=self._settings.retries,
            redact=self.redact,
        )

    def _send(self, url: str, patience: Patience) -> httpx.Response:
        if self._closed:
            raise ConfigurationError(
                "the connection to the platform is closed. Load within the `with` block, or "
                "connect again with tk.connect()."
            )
        waits = dict.fromkeys(("connect", "read", "write"), patience)
        request = httpx.Request("GET", url, headers=self._headers(), extensions={"timeout": waits})
        return self._transport.handle_request(request)

    def _headers(self) -> dict[str, str]:
        token = self._settings.token
        return {
            "Authorization": f"Bearer {token.get_secret_value() if token else ''}",
            "Content-Type": "application/json",
            "Access-Control-Request-Headers": "authorization",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "User-Agent": f"so2-toolkit/{version('so2-toolkit')}",
        }
