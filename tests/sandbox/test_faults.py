"""Each fault does on a real socket what its name says."""

import json
import re
import zlib

import brotli
import httpx
import pytest
import zstandard

import toolkit as tk
from toolkit.sandbox.faults import catalogue as faults
from toolkit.sandbox.start import SandboxPlatform

TOKEN = "throw-away"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Access-Control-Request-Headers": "authorization",
}


def faulty(names: str | list[str]) -> SandboxPlatform:
    return tk.sandbox(learners=60, token=TOKEN, faults=names)


def get(platform: SandboxPlatform, path: str = "grades") -> httpx.Response:
    return httpx.get(f"{platform.base_url}/api/so2/v1/{path}", headers=HEADERS)


def raw(platform: SandboxPlatform) -> tuple[httpx.Headers, bytes]:
    url = f"{platform.base_url}/api/so2/v1/grades"
    with httpx.stream("GET", url, headers=HEADERS) as response:
        return response.headers, b"".join(response.iter_raw())


@pytest.fixture(scope="module")
def good() -> bytes:
    with tk.sandbox(learners=60, token=TOKEN) as platform:
        return get(platform).content


def test_the_documentation_lists_each_fault_with_its_parameters() -> None:
    listed = re.findall(r"^\| (\S.*?) \|", faults.__doc__ or "", flags=re.MULTILINE)[1:]
    names = {name.strip().partition(":")[0] for row in listed for name in row.split(",")}
    assert names == {*faults.FAULTS, *faults.FRAMINGS}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("sloww", "there is no fault 'sloww'; choose from array"),
        ("slow:fast", "slow: seconds must be a number like 0.1"),
        ("paged:0", "paged: size must be a number like 100, not 0"),
        ("rate-limit:times=-1", "times must be a number like 1, not -1"),
        ("slow:speed=1", "slow: no parameter 'speed=1'; it has seconds"),
        ("gzip:9", "gzip: no parameter '9'; it has none"),
        (["rate-limit:1:2:3"], "no parameter '3'; it has seconds, times"),
        ("", "there is no fault ''"),
        ("array:5", "array: no parameter '5'; it has none"),
        ("slow:nan", "slow: seconds must be a number like 0.1, not nan"),
        ("slow:inf", "slow: seconds must be a number like 0.1, not inf"),
        ("server-error:42", "server-error: status must be a number like 503, not 42"),
        ("server-error:100", "server-error: status must be a number like 503, not 100"),
        ("server-error:1000", "server-error: status must be a number like 503, not 1000"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(names: str | list[str], said: str) -> None:
    with pytest.raises(tk.errors.ConfigurationError, match=said):
        faulty(names)


def test_every_framing_holds_the_same_records(good: bytes) -> None:
    records = json.loads(good)
    with faulty("ndjson") as platform:
        assert [json.loads(line) for line in get(platform).text.splitlines()] == records
        assert get(platform, "grades?username=x").text.strip() == ""
    with faulty("commas") as platform:
        assert json.loads(f"[{get(platform).text}]") == records
        assert get(platform, "grades?username=x").text == ""
    with faulty("envelope") as platform:
        assert get(platform).json() == {"next": None, "results": records}
        assert get(platform, "grades?username=x").json() == {"next": None, "results": []}


@pytest.mark.parametrize(
    ("encoding", "unpack"),
    [
        ("gzip", lambda body: zlib.decompress(body, wbits=31)),
        ("deflate", zlib.decompress),
        ("br", brotli.decompress),
        ("zstd", lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)),
    ],
)
def test_an_encoding_unpacks_to_the_body(encoding, unpack, good: bytes) -> None:
    with faulty(encoding) as platform:
        headers, body = raw(platform)
    assert headers["content-encoding"] == encoding
    assert len(body) < len(good) / 2
    assert unpack(body) == good


def test_pages_lead_from_one_to_the_next(good: bytes) -> None:
    records = json.loads(good)
    with faulty("paged:size=50") as platform:
        url: str | None = (
            f"{platform.base_url}/api/so2/v1/grades?course_id="
            + (httpx.URL("", params={"c": records[0]["course_id"]}).query.decode()[2:])
        )
        found = []
        while url:
            page = httpx.get(url, headers=HEADERS).json()
            found += page["results"]
            url = page["next"]
            assert len(page["results"]) <= 50
        assert get(platform, "grades?username=x").json() == {
            "count": 0,
            "results": [],
            "next": None,
        }
    assert found == [r for r in records if r["course_id"] == records[0]["course_id"]]


def test_pages_may_loop_or_lead_away() -> None:
    with faulty("paged-loop:1000") as platform:
        assert get(platform).json()["next"] == f"{platform.base_url}/api/so2/v1/grades"
    with faulty("paged-away:10") as platform:
        assert get(platform).json()["next"].startswith("http://localhost:")


@pytest.mark.parametrize(
    ("names", "retry_after"),
    [
        ("rate-limit:3", "3"),
        ("rate-limit-zero", "0"),
        ("rate-limit-absurd", "31536000"),
        ("rate-limit-date:90", "Thu, 01 Jan 2026 00:01:30 GMT"),
        ("rate-limit-past", "Wed, 31 Dec 2025 23:59:00 GMT"),
        ("rate-limit-silent", None),
    ],
)
def test_a_rate_limit_names_when_to_return(
    names: str, retry_after: str | None, good: bytes
) -> None:
    with faulty(names) as platform:
        refused = get(platform)
        assert refused.status_code == 429
        assert refused.headers.get("retry-after") == retry_after
        assert get(platform).content == good


def test_a_server_error_comes_as_often_as_told() -> None:
    with faulty("server-error:502:times=2,server-error:500") as platform:
        assert [get(platform).status_code for _ in range(4)] == [500, 502, 502, 200]


def test_a_login_page_comes_with_status_200() -> None:
    with faulty("login-page") as platform:
        page = get(platform)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")


def test_a_redirect_keeps_the_query_and_leads_where_it_says() -> None:
    with faulty("redirect-away") as platform:
        location = get(platform, "grades?course_id=a%2Bb").headers["location"]
    assert location == platform.base_url.replace("127.0.0.1", "localhost") + (
        "/api/so2/v1/grades?course_id=a%2Bb"
    )
    with faulty("redirect-within") as platform:
        assert get(platform).headers["location"] == f"{platform.base_url}/api/so2/v1/grades"
        assert get(platform).status_code == 200


def test_a_dropped_connection_breaks_the_body_off(
    good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty("drop-mid-body:times=1:after=700") as platform:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            get(platform)
        assert get(platform).content == good
    assert "Exception" not in caplog.text


def test_a_clean_drop_looks_like_the_end(good: bytes) -> None:
    with faulty("drop-clean:after=700") as platform:
        broken = get(platform)
        assert "content-length" not in broken.headers
        assert "transfer-encoding" not in broken.headers
        assert broken.content == good[:700]
        assert get(platform).content == good


def test_a_wrong_content_length_promises_more() -> None:
    with (
        faulty("wrong-content-length") as platform,
        pytest.raises(httpx.RemoteProtocolError, match="without sending complete"),
    ):
        get(platform)


def test_a_truncated_body_lacks_its_end(good: bytes) -> None:
    with faulty("truncated:missing=25,pieces:10") as platform:
        assert get(platform).content == good[:-25]


@pytest.mark.parametrize("names", ["corrupt-gzip", "truncated-gzip"])
def test_a_broken_gzip_body_cannot_be_unpacked(names: str, good: bytes) -> None:
    with faulty(names) as platform:
        headers, body = raw(platform)
    assert headers["content-encoding"] == "gzip"
    unpacker = zlib.decompressobj(wbits=31)
    try:
        assert unpacker.decompress(body) != good
    except zlib.error:
        return
    assert not unpacker.eof


def test_a_gzip_bomb_is_small_on_the_wire() -> None:
    with faulty("gzip-bomb:megabytes=50") as platform:
        _, body = raw(platform)
    assert len(body) < 100_000
    assert len(zlib.decompressobj(wbits=31).decompress(body)) == 50_000_001


def test_invalid_utf8_stands_within_a_text(good: bytes) -> None:
    with faulty("invalid-utf8") as platform:
        assert get(platform).content == good.replace(b"@", b"\xff", 1)


def test_small_and_slow_pieces_change_no_byte(good: bytes) -> None:
    with faulty("pieces:300") as platform:
        assert get(platform).content == good
    with faulty("slow:0.01") as platform:
        assert get(platform).content == good


def test_a_fault_spares_refusals_and_the_documentation() -> None:
    with faulty("gzip,truncated,server-error:times=0") as platform:
        assert get(platform).status_code == 503
        assert httpx.get(f"{platform.base_url}/openapi.json").status_code == 200
    with faulty("corrupt-gzip,drop-mid-body,paged") as platform:
        assert httpx.get(f"{platform.base_url}/api/so2/v1/grades").status_code == 401
