"""Time budgets, proxies and certificates, on real sockets."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import OK, RECORD, Connection, Hostile, self_signed, serving

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform

TOKEN = "Throw-away/token+1"


def platform(server: Hostile | str, **limits: object) -> Platform:
    base_url = server if isinstance(server, str) else server.base_url
    given = {"timeout": 5.0, "total_timeout": 20.0, "retries": 0} | limits
    return Platform(settings(base_url=base_url, token=TOKEN, **given))


def load(server: Hostile | str, **limits: object) -> int:
    with platform(server, **limits) as source:
        return tk.load_completion(source).height


def is_refused(match: str, body: bytes = b"", head: bytes = OK, **limits: object) -> None:
    """Load from a server that answers so, which ends in one error that says why."""
    with (
        serving(lambda connection: connection.answer(body, head)) as server,
        pytest.raises(tk.errors.TransportError, match=match),
    ):
        load(server, **limits)


def drip_head(connection: Connection) -> None:
    connection.send(OK)
    connection.drip(b"X-Filler: 0\r\n")


def drip_chunk_size(connection: Connection) -> None:
    connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1;")
    connection.drip(b"x")


def drip_trailers(connection: Connection) -> None:
    connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n")
    connection.drip(b"X-Filler: 0\r\n")


def drip_body(connection: Connection) -> None:
    connection.send(OK + b"Content-Length: 1000000\r\n\r\n[")
    connection.drip(b" ")


@pytest.mark.parametrize("talk", [drip_head, drip_chunk_size, drip_trailers, drip_body])
def test_the_budget_holds_whatever_drips(talk: Callable[[Connection], None]) -> None:
    with serving(talk) as server:
        with pytest.raises(
            tk.errors.TransportError, match=r"not done after 0\.5 s \(SO2_TOTAL_TIMEOUT\)"
        ):
            load(server, total_timeout=0.5)
        assert server.left.wait(5)
    assert server.sent < 300  # a byte every 20 ms: the client left in time


def test_a_self_signed_server_is_refused_with_the_setting_that_trusts_it(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    talk = lambda connection: connection.answer(b"[" + RECORD + b"]")  # noqa: E731
    with serving(talk, certificate=certificate) as server:
        with pytest.raises(tk.errors.TransportError, match=r"not trusted.*SO2_CA_FILE"):
            load(server, retries=5)
        assert not server.asked.is_set()
        assert load(server, ca_file=certificate[0]) == 1


def test_tls_towards_a_server_without_it_is_not_tried_again() -> None:
    talk = lambda connection: connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # noqa: E731
    with serving(talk, ask_first=False) as server:
        address = server.base_url.replace("http://", "https://")
        with pytest.raises(tk.errors.TransportError, match="is it an https address"):
            load(address, retries=5)
        assert len(server.connections) == 1


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_that_holds_no_certificates_is_named(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(tk.errors.ConfigurationError, match="SO2_CA_FILE"):
        load("https://127.0.0.1:9", ca_file=path)


def test_a_bad_ssl_cert_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(tk.errors.ConfigurationError, match="SSL_CERT_FILE"):
        load("https://127.0.0.1:9")


def test_loopback_never_takes_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Connection.silence) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name.lower(), proxy.base_url)
            monkeypatch.setenv(name, proxy.base_url)
        with tk.sandbox(learners=20) as sandbox:
            assert tk.load_grades(sandbox).height >= 20
        assert proxy.connections == []


def tunnel_to_nowhere(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")


def test_https_goes_through_a_tunnel_in_which_the_proxy_sees_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(tunnel_to_nowhere) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        with pytest.raises(tk.errors.TransportError):
            load("https://platform.example.com", timeout=0.5)
    (connection,) = proxy.connections
    assert connection.head.startswith(b"CONNECT platform.example.com:443 HTTP/1.1\r\n")
    assert TOKEN.encode() not in connection.head
    assert b"/api/so2" not in connection.head


def test_plain_http_never_takes_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Connection.silence) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        with pytest.raises(tk.errors.TransportError):
            load("http://platform.invalid", allow_http=True)
        assert proxy.connections == []


def test_a_proxy_that_refuses_is_named() -> None:
    refuse = lambda connection: connection.answer(  # noqa: E731
        b"", f"HTTP/1.1 407 {TOKEN}\r\nProxy-Authenticate: Basic\r\n".encode()
    )
    with serving(refuse) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", proxy.base_url)
        with pytest.raises(tk.errors.TransportError, match=r"proxy.*NO_PROXY") as caught:
            load("https://platform.example.com", retries=5)
        assert len(proxy.connections) == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:9", "pip install socksio"),
        ("gopher://127.0.0.1:9", "must look like"),
        ("http://127.0.0.1:port", "must look like"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_explained(
    proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(tk.errors.ConfigurationError, match=said):
        load("https://platform.example.com")


def echo(status: bytes) -> Callable[[Connection], None]:
    """Answer with the token in every place and spelling."""
    spelt = (TOKEN, TOKEN.upper(), "Throw-away%2Ftoken%2B1", r"Throw-away\/token+1")
    body = json.dumps({"detail": " and ".join(spelt)})
    head = f"HTTP/1.1 {status.decode()} {TOKEN}\r\nX-Echo: {TOKEN}\r\nRetry-After: 0\r\n"
    return lambda connection: connection.answer(body.encode(), head.encode())


@pytest.mark.parametrize("status", [b"400", b"401", b"403", b"404", b"409", b"418", b"429", b"500"])
def test_a_token_that_comes_back_is_in_no_message_and_no_log(
    status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(echo(status)) as server, pytest.raises(tk.ToolkitError) as caught:
        load(server)
    told = f"{caught.value} {caught.value!r} {caplog.text}".lower()
    assert "throw-away" not in told
    assert status.decode() in told


@pytest.mark.parametrize("status", [b"203", b"206", b"304", b"400", b"409", b"500"])
def test_records_in_an_answer_that_is_no_success_are_not_shown(status: bytes) -> None:
    talk = lambda connection: connection.answer(  # noqa: E731
        b"[" + RECORD + b"]", b"HTTP/1.1 %s Whatever\r\n" % status
    )
    with serving(talk) as server, pytest.raises(tk.errors.TransportError) as caught:
        load(server, timeout=0.5)
    assert status.decode() in str(caught.value)
    assert "ada" not in str(caught.value)


def test_an_explanation_is_shown_without_addresses() -> None:
    talk = lambda connection: connection.answer(  # noqa: E731
        b'{"detail": "days of \\u001b[31m ada@example.com is no number", "records": ["bob"]}',
        b"HTTP/1.1 400 Bad Request\r\n",
    )
    with serving(talk) as server, pytest.raises(tk.errors.TransportError) as caught:
        load(server)
    assert str(caught.value).endswith("It says: days of [31m [address] is no number")


@pytest.mark.parametrize("encoding", [b"gzip", b"rot13"])
def test_a_refusal_that_cannot_be_decoded_still_tells_its_status(encoding: bytes) -> None:
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Encoding: " + encoding + b"\r\n"
    is_refused("answered 400 Bad Request", b"no gzip", head)


@pytest.mark.parametrize(
    "location",
    [
        *("http://[::1", "http://127.0.0.1:port/", "https://127.0.0.1:99999/", "//", "http://"),
        *("\x00", "mailto:ada@example.com", "x" * 70_000, "http://exa mple.com/", "javascript:1"),
    ],
)
def test_a_redirect_to_what_is_no_address_is_one_error(location: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: " + location.encode() + b"\r\n"
    is_refused(r"redirect target|Gave up|redirected more", b"", head)


@pytest.mark.parametrize(
    "named", ["http://[::1", "http://127.0.0.1:port/", "//", "mailto:ada@example.com", "a\\u0000"]
)
def test_a_next_page_that_is_no_address_is_one_error(named: str) -> None:
    body = b'{"results":[' + RECORD + b'],"next":"' + named.encode() + b'"}'
    is_refused(r"the next page|circle", body)


@pytest.mark.parametrize(
    "head",
    [
        "Date: Fri, 31 Dec 9999 23:59:59 -2359",
        "Date: Mon, 01 Jan 1601 00:00:00 +2359",
        "Date: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Date: " + "9" * 5000,
    ],
)
def test_an_absurd_date_is_no_clock(head: str) -> None:
    body = b"[" + RECORD + b"]"
    talk = lambda connection: connection.answer(body, OK + head.encode() + b"\r\n")  # noqa: E731
    with serving(talk) as server, platform(server) as source:
        provenance = tk.fetch(source, "completion").provenance
    assert provenance.as_of == provenance.retrieved_from


@pytest.mark.parametrize(
    "again", ["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "9" * 5000]
)
def test_an_absurd_time_to_come_back_is_one_error(again: str) -> None:
    head = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {again}\r\n".encode()
    is_refused("429", b"", head)


@pytest.mark.parametrize("join", [", gzip", "\r\nContent-Encoding: gzip"])
def test_thousands_of_encodings_are_refused(join: str) -> None:
    head = OK + b"Content-Encoding: gzip" + (join * 2_999).encode() + b"\r\n"
    is_refused(r"3,000 times|100 KB|Gave up", b"", head)


@pytest.mark.parametrize(
    "base_url",
    [
        *("https://platform.example.com:port", "https://platform.example.com:99999", "https://["),
        *("https://:443", "https://platform.example.com:0", "https://pla tform.example.com"),
        *("ftp://platform.example.com", "platform.example.com", "https://\x00", "https://\u2028"),
        *("https://xn--a", "https://" + "a" * 64 + ".example.com/" + "b" * 70_000),
    ],
)
def test_an_impossible_address_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="SO2_BASE_URL"):
        tk.connect(base_url, token=TOKEN)


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "1e300", "soon"])
@pytest.mark.parametrize("name", ["SO2_TIMEOUT", "SO2_TOTAL_TIMEOUT"])
def test_an_impossible_timeout_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(tk.errors.ConfigurationError, match=name):
        tk.connect("https://platform.example.com", token=TOKEN)


@pytest.mark.parametrize("token", ["", " ", "two words", "caf\u00e9", "a\r\nX: y"])
def test_a_token_that_is_none_is_never_tried(token: str) -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="token"):
        tk.connect("https://platform.example.com", token=token)


def test_connecting_leaves_no_thread_behind() -> None:
    with tk.sandbox(learners=10) as sandbox:
        tk.load_grades(sandbox)
        names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("toolkit-") for name in names)


def paging(page: Callable[[int], bytes]) -> Callable[[Connection], None]:
    """Answer page after page on one connection, each naming a next one."""

    def talk(connection: Connection) -> None:
        number = 1
        while True:
            following = b',"next":"?page=%d"}' % (number + 1)
            connection.answer(b'{"results":[' + page(number) + b"]" + following)
            number += 1
            if not connection.request():
                return

    return talk


@pytest.mark.parametrize(
    "page", [lambda _: b"", lambda _: RECORD, lambda n: RECORD.replace(b"ada", b"ada%d" % (n % 3))]
)
def test_pages_that_bring_nothing_new_end(page: Callable[[int], bytes]) -> None:
    with (
        serving(paging(page)) as server,
        pytest.raises(tk.errors.TransportError, match="the last 10 pages brought nothing new"),
    ):
        load(server)


def test_pages_that_differ_by_fragment_alone_go_round_in_a_circle() -> None:
    def talk(connection: Connection) -> None:
        for number in range(3):
            connection.answer(b'{"results":[' + RECORD + b'],"next":"#%d"}' % number)
            connection.request()

    with serving(talk) as server, pytest.raises(tk.errors.TransportError, match="circle"):
        load(server)


def test_pages_without_end_keep_to_the_budget_of_the_whole_download() -> None:
    fresh = lambda number: RECORD.replace(b"ada", b"ada%d" % number)  # noqa: E731
    with (
        serving(paging(fresh)) as server,
        pytest.raises(tk.errors.TransportError, match="SO2_TOTAL_TIMEOUT"),
    ):
        load(server, total_timeout=0.5)


def test_a_token_that_comes_back_in_a_record_is_in_no_problem() -> None:
    token = "S3cr/et+token"
    record = RECORD.replace(b'"0.5"', f'"{token}", "{token.lower()}": 1'.encode())
    with (
        serving(lambda connection: connection.answer(b"[" + record + b"]")) as server,
        tk.connect(server.base_url, token=token) as platform,
    ):
        load = tk.fetch(platform, "completion")
    told = load.problems.select("column", "raw").rows()
    assert ("completion", "[token]") in told
    assert not any(token.lower() in str(row).lower() for row in told)
