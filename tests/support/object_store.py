"""S3 on loopback: moto's server, with responses that a test can replace."""

from __future__ import annotations

import io
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote
from urllib.request import Request as Sent
from urllib.request import urlopen

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug import Request
from werkzeug.serving import WSGIRequestHandler, make_server

KEY_ID, SECRET, TOKEN = "AKIAOFATEST", "a-secret-of-a-test", "a-token-of-a-test"
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

Answer = tuple[str, bytes]
Meddler = Callable[[Request, Callable[[], object]], Answer | None]
_OWN = "the test's own"
_NUMBERS = itertools.count(1)


@dataclass
class Bucket:
    """A bucket, and every request that reached its server.

    Attributes:
        url: The server's address.
        meddle: What to answer in place of the server, given the request and a function that
            lets the server act on it; None to pass on.
        signed: The Authorization headers of all requests but the test's own.
    """

    name: str = ""
    url: str = ""
    meddle: Meddler | None = None
    signed: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"s3://{self.name}"

    def renew(self) -> None:
        """Become a new bucket on the same server, without recorded requests."""
        self.name = f"bucket-{next(_NUMBERS)}"  # moto's buckets outlive its servers
        self.meddle = None
        self.signed.clear()
        self.request("PUT")

    def objects(self) -> list[str]:
        """The keys of all objects, as the server lists them."""
        listed = self.request("GET", "?list-type=2").decode()
        return [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", listed)]

    def request(self, method: str, key: str = "", body: bytes | None = None) -> bytes:
        """Send a request of the test's own and return the answer; moto verifies no signature."""
        request = Sent(  # noqa: S310
            f"{self.url}/{self.name}/{quote(key, safe='/?=&')}",
            method=method,
            data=body,
            headers={"Authorization": _OWN, "Content-Type": "application/octet-stream"},
        )
        with urlopen(request) as response:  # noqa: S310
            return bytes(response.read())


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def served() -> Iterator[Bucket]:
    """Yield a new bucket on its own server, which stops with the context."""
    bucket = Bucket()
    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        if (signature := request.headers.get("Authorization", "")) == _OWN:
            return moto(environ, start)  # type: ignore[no-any-return]
        bucket.signed.append(signature)
        if bucket.meddle:
            body = io.BytesIO(request.get_data())
            environ["wsgi.input"] = body
            answer = bucket.meddle(request, lambda: list(moto(environ, lambda *_: body.write)))
            if answer:
                start(answer[0], [("Content-Length", str(len(answer[1])))])
                return [answer[1]]
            body.seek(0)
        return moto(environ, start)  # type: ignore[no-any-return]

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        bucket.url = f"http://127.0.0.1:{server.server_port}"
        bucket.renew()
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def log_in(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables with which a user would reach the bucket, and no others."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    for name, text in zip(VARIABLES, (KEY_ID, SECRET, TOKEN), strict=True):
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
