"""What is sent, which answers count, and that the token stays where it belongs."""

from __future__ import annotations

import gzip
import hashlib
import logging
import pickle
from collections.abc import Callable
from traceback import TracebackException

import httpx
import pytest
from hostile import Breaking

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform

TOKEN = "very-secret-token"
BASE = "https://platform.example.com"
RECORDS = b'[{"username":"ada","email":"a","course_id":"c","completion":"0.5"}]'
Handler = Callable[[httpx.Request], httpx.Response]


def platform(handler: Handler, waits: list[float] | None = None, **more: object) -> Platform:
    found = settings(base_url=BASE, token=TOKEN, **more)
    sleep = (waits if waits is not None else []).append
    return Platform(found, transport=httpx.MockTransport(handler), rest=sleep)


def answering(*answers: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A handler that gives these answers in turn, and the requests it saw."""
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = answers[min(len(requests), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)

    return handler, requests


def ok(content: bytes = RECORDS, **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers=headers)


def test_each_request_carries_the_documented_headers() -> None:
    handler, requests = answering(ok())

    tk.load_completion(platform(handler))

    (request,) = requests
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Access-Control-Request-Headers"] == "authorization"


def test_a_course_id_reaches_the_server_as_it_is() -> None:
    handler, requests = answering(ok())

    tk.fetch(platform(handler), "completion", course_id="course-v1:Org+CS101+2020_T1")

    assert requests[0].url.raw_path.endswith(b"?course_id=course-v1%3AOrg%2BCS101%2B2020_T1")
    assert requests[0].url.params["course_id"] == "course-v1:Org+CS101+2020_T1"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_an_authentication_error(status: int) -> None:
    handler, requests = answering(httpx.Response(status))

    with pytest.raises(tk.errors.AuthenticationError, match="SO2_TOKEN"):
        tk.load_completion(platform(handler))
    assert len(requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(ok(b"<!doctype html>Log in"), ok(b"\n <html>"), ok(b"\xef\xbb\xbf<html>")),
        ok(b"x", **{"content-type": "text/html"}),
    ],
)
def test_a_login_page_is_an_authentication_error(answer: httpx.Response) -> None:
    handler, _ = answering(answer)

    with pytest.raises(tk.errors.AuthenticationError, match="web page"):
        tk.load_completion(platform(handler))


def test_records_that_a_server_calls_a_web_page_are_records() -> None:
    handler, _ = answering(ok(RECORDS, **{"content-type": "text/html; charset=utf-8"}))

    assert tk.load_completion(platform(handler)).height == 1


def test_an_address_without_the_api_is_named() -> None:
    handler, _ = answering(httpx.Response(404))

    with pytest.raises(tk.errors.TransportError, match=r"/api/so2/v1/completion.*404") as caught:
        tk.load_completion(platform(handler))
    assert caught.value.status == 404


def test_what_a_server_says_of_a_bad_request_is_passed_on() -> None:
    handler, _ = answering(httpx.Response(400, json={"detail": "days must be a number"}))

    with pytest.raises(tk.errors.TransportError, match="days must be a number"):
        tk.load_enrollments(platform(handler), days=1)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection"),
        *(httpx.Response(status) for status in (408, 429, 503, 522)),
    ],
)
def test_what_may_pass_is_tried_again(failure: httpx.Response | Exception) -> None:
    handler, requests = answering(failure, failure, ok())
    waits: list[float] = []

    frame = tk.load_completion(platform(handler, waits))

    assert frame.height == 1
    assert len(requests) == 3
    assert len(waits) == 2


def test_it_gives_up_after_the_set_number_of_tries() -> None:
    handler, requests = answering(httpx.Response(503))

    with pytest.raises(tk.errors.TransportError, match=r"503.*Gave up after 3 tries") as caught:
        tk.load_completion(platform(handler, retries=2))
    assert caught.value.status == 503
    assert len(requests) == 3


def test_an_absurd_wait_is_an_error_instead() -> None:
    handler, requests = answering(httpx.Response(429, headers={"Retry-After": "86400"}))

    with pytest.raises(tk.errors.TransportError, match="86,400 s"):
        tk.load_completion(platform(handler))
    assert len(requests) == 1


def test_a_redirect_elsewhere_never_gets_the_token() -> None:
    target = httpx.Response(302, headers={"Location": "https://evil.example.net/login"})
    handler, requests = answering(target, ok())

    with pytest.raises(tk.errors.TransportError, match="the token was not sent"):
        tk.load_completion(platform(handler))
    assert len(requests) == 1


def test_a_redirect_within_the_platform_is_followed() -> None:
    handler, requests = answering(httpx.Response(301, headers={"Location": "/moved/"}), ok())

    assert tk.load_completion(platform(handler)).height == 1
    assert requests[1].url.path == "/moved/"


def page(following: str | None) -> httpx.Response:
    record = '{"username":"u","email":"e","course_id":"c","completion":"1"}'
    text = f'"{following}"' if following else "null"
    return ok(f'{{"results":[{record}],"next":{text}}}'.encode())


def test_pages_are_followed_and_records_numbered_through() -> None:
    handler, requests = answering(
        page("?page=2"), page(f"{BASE}/api/so2/v1/completion?page=3"), page(None)
    )

    load = tk.fetch(platform(handler), "completion")

    assert load.provenance.records == 3
    assert [request.url.query for request in requests] == [b"", b"page=2", b"page=3"]
    assert load.problems["record"].to_list() == [1, 2]  # the same learner and course again


def test_a_next_page_is_relative_to_where_a_redirect_led() -> None:
    moved = httpx.Response(301, headers={"Location": "/v2/completion/"})
    handler, requests = answering(moved, page("page2"), page(None))

    assert tk.fetch(platform(handler), "completion").frame.height == 2
    assert requests[2].url.path == "/v2/completion/page2"


def test_a_next_page_that_only_a_header_names_is_followed() -> None:
    handler, requests = answering(ok(link='<?page=2>; rel="next", <?page=9>; rel="last"'), ok())

    assert tk.fetch(platform(handler), "completion").frame.height == 2
    assert [request.url.query for request in requests] == [b"", b"page=2"]


LINE = b'{"username":"ada","email":"a","course_id":"c","completion":"0.5"}\n'


@pytest.mark.parametrize(
    ("body", "headers", "columns"),
    [
        (LINE, {}, ["Content-Length"]),
        (b"[" + LINE + b"]", {}, []),
        (LINE, {"Content-Length": str(len(LINE))}, []),
        (LINE, {"Transfer-Encoding": "chunked"}, []),
        (gzip.compress(LINE, mtime=0), {"Content-Encoding": "gzip"}, []),
    ],
)
def test_a_body_of_which_a_cut_would_not_show_is_reported(
    body: bytes, headers: dict[str, str], columns: list[str]
) -> None:
    handler, _ = answering(httpx.Response(200, headers=headers, stream=httpx.ByteStream(body)))

    load = tk.fetch(platform(handler), "completion")

    assert load.frame.height == 1
    assert load.problems["column"].to_list() == columns


def test_pages_in_a_circle_or_elsewhere_are_refused() -> None:
    handler, _ = answering(page("?page=2"), page("?page=2"))
    with pytest.raises(tk.errors.TransportError, match="circle"):
        tk.load_completion(platform(handler))

    handler, requests = answering(page("https://evil.example.net/"))
    with pytest.raises(tk.errors.TransportError, match="the token was not sent"):
        tk.load_completion(platform(handler))
    assert len(requests) == 1


def test_several_courses_come_in_the_order_asked_each_once() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        course = request.url.params["course_id"]
        if course == "bad":
            return httpx.Response(404)
        record = f'{{"username":"u","email":"e","course_id":"{course}","completion":"1"}}'
        return httpx.Response(200, stream=httpx.ByteStream(f"[{record}]".encode()))

    frame = tk.load_completion(platform(handler), course_id=["b", "a", "b", "c"])
    assert frame["course_id"].to_list() == ["b", "a", "c"]

    with pytest.raises(tk.errors.TransportError, match="completion of bad"):
        tk.load_completion(platform(handler), course_id=["a", "bad"])
    with pytest.raises(tk.errors.ArgumentError, match="course_id"):
        tk.load_completion(platform(handler), course_id=[])


def test_what_came_before_a_break_is_not_kept_twice() -> None:
    record = b'{"username":"ada","email":null,"course_id":"c","completion":"0.5"}'
    body = b"[" + b",".join([record] * 10_000) + b"]"
    broken = httpx.Response(200, stream=Breaking(body[:500_000]))
    handler, requests = answering(broken, httpx.Response(200, content=body))

    load = tk.fetch(platform(handler), "completion")

    assert load.frame.height == 10_000
    assert load.provenance.sha256 == hashlib.sha256(body).hexdigest()
    assert len(requests) == 2


def test_a_body_that_changes_between_two_tries_is_loaded_anew() -> None:
    broken = httpx.Response(200, stream=Breaking(b"[" + b" " * 500_000 + b'{"username":"OLD",'))
    handler, requests = answering(broken, ok(), ok())

    frame = tk.load_completion(platform(handler))

    assert frame["username"].to_list() == ["ada"]
    assert len(requests) == 3


def test_a_request_is_logged_without_token_or_learner(caplog: pytest.LogCaptureFixture) -> None:
    handler, _ = answering(ok())
    caplog.set_level(logging.DEBUG)

    tk.fetch(platform(handler), "completion", username="ada-lovelace")

    assert "GET /api/so2/v1/completion 200 67 bytes" in caplog.text
    assert "ada-lovelace" not in caplog.text
    assert TOKEN not in caplog.text


def test_the_token_is_in_no_repr_error_or_pickle() -> None:
    handler, _ = answering(httpx.ConnectError("refused"))
    subject = platform(handler, retries=0)

    assert TOKEN not in repr(subject)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(subject)
    with pytest.raises(tk.errors.TransportError) as caught:
        tk.load_completion(subject)
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN not in repr(error) + repr(vars(error))
        assert not hasattr(error, "request")
        error = error.__cause__ or error.__context__


def test_a_token_with_a_line_break_is_refused_without_showing_it() -> None:
    with pytest.raises(tk.errors.ConfigurationError) as caught:
        Platform(settings(base_url=BASE, token="two\nlines"))
    assert "lines" not in str(caught.value)


def test_a_refused_platform_hides_no_error_in_tracebacks_that_show_variables() -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="the token is empty or has") as raised:
        Platform(settings(base_url=BASE, token="a line\nbreak"))
    told = TracebackException.from_exception(raised.value, capture_locals=True)
    assert f"Platform('{BASE}')" in "".join(told.format())
