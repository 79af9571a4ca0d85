"""A server on loopback that sends whatever a test wants, byte by byte, and stops by itself."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
RECORD = b'{"username":"ada","email":"ada@example.com","course_id":"c","completion":"0.5"}'


class Breaking(httpx.SyncByteStream):
    """Bytes enough to be handed on, and then no more."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        yield self._start
        raise httpx.ReadError("broken off")


class Connection:
    """One connection, seen from the server.

    Attributes:
        head: What the client sent before its first empty line.
        sent: Bytes that were sent to it.
    """

    def __init__(self, stream: socket.socket, stop: threading.Event) -> None:
        self._stream = stream
        self._stop = stop
        self.head = b""
        self.sent = 0

    def request(self) -> bytes:
        """Wait for a request's head; return nothing if the client has gone."""
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            more = self._stream.recv(65_536)
            if not more:
                return b""
            self.head += more
        return self.head

    def send(self, data: bytes) -> None:
        self._stream.sendall(data)
        self.sent += len(data)

    def drip(self, data: bytes, *, again: bool = True) -> None:
        """Send a byte every 20 ms, over and over, until the client goes."""
        while not self._stop.is_set():
            for byte in data:
                if self._stop.wait(0.02):
                    return
                self.send(bytes([byte]))
            if not again:
                return

    def flood(self, data: bytes) -> None:
        """Send this as fast as it is taken, until the client goes."""
        while not self._stop.is_set():
            self.send(data)

    def answer(self, body: bytes, head: bytes = OK) -> None:
        """Send a whole answer."""
        self.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def end(self, data: bytes) -> None:
        """Send this and nothing more, on a connection that ends with it."""
        self.send(data)
        self._stream.shutdown(socket.SHUT_WR)

    def silence(self) -> None:
        """Send nothing until the client goes."""
        with suppress(OSError):
            while self._stream.recv(65_536):
                pass


Talk = Callable[[Connection], None]


class Hostile:
    """A running server and its connections.

    Attributes:
        base_url: Its address.
        connections: Every connection, in the order they came.
        asked: Set when the first request came.
        left: Set once the first client that was answered has gone.
    """

    def __init__(self, port: int, *, tls: bool) -> None:
        self.base_url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        self.connections: list[Connection] = []
        self.asked = threading.Event()
        self.left = threading.Event()

    @property
    def sent(self) -> int:
        """Bytes sent to all clients."""
        return sum(connection.sent for connection in self.connections)


@contextmanager
def serving(
    talk: Talk, *, ask_first: bool = True, certificate: tuple[Path, Path] | None = None
) -> Iterator[Hostile]:
    """Run a server that reads each request and then does what `talk` says.

    Args:
        talk: What to do with a connection, after its first request if `ask_first`.
        ask_first: Whether to wait for a request first.
        certificate: Certificate and key, to speak TLS.
    """
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    server = Hostile(listener.getsockname()[1], tls=context is not None)

    def converse(stream: socket.socket) -> None:
        with suppress(OSError), stream:
            secured = stream if context is None else context.wrap_socket(stream, server_side=True)
            secured.settimeout(60)
            with secured:
                connection = Connection(secured, stop)
                server.connections.append(connection)
                if not ask_first or connection.request():
                    server.asked.set()
                    with suppress(OSError):
                        talk(connection)
                    connection.silence()
                    server.left.set()

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                stream, _ = listener.accept()
                stream.settimeout(60)
                threads.append(threading.Thread(target=converse, args=(stream,), daemon=True))
                threads[-1].start()

    threads = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    try:
        yield server
    finally:
        stop.set()
        threads[0].join()
        listener.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from ipaddress import ip_address

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "platform.example.com")])
    began = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began.replace(year=2120))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
