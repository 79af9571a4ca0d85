"""Every fault that is tested: how it is produced, what the user sees, what is kept.

`tests/test_faults.py` produces each; `scripts/faults.py` writes docs/faults.md from them.
"""

from __future__ import annotations

import errno
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import pytest
from hostile import OK, RECORD, Breaking, Connection, Talk, self_signed, serving

import toolkit as tk
from toolkit.config import settings
from toolkit.loading.platform import Platform
from toolkit.reports.folder import GENERATOR, replaced, writable

TOKEN = "Throw-away/token+1"
KEY = secrets.token_hex(32)
LEARNERS = 60
BODY = b"[" + RECORD + b"]"
ALL = "all records"
NOTHING = "nothing"
AS_IT_WAS = "the earlier snapshot, complete"

Meet = Callable[[Path, pytest.MonkeyPatch], object]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        part: The section of the page that lists it.
        what: What happens, in a few words.
        seen: A phrase of the message; None if there is none.
        error: The class of the error; None if the result is exact.
        kept: What is kept afterwards.
        meet: Produces it; may use its own folder and set variables.
        seconds: Its time budget.
    """

    part: str
    what: str
    seen: str | None
    error: str | None
    kept: str
    meet: Meet
    seconds: float = 5.0


# --- producing faults ---------------------------------------------------------------------------


def platform(base_url: str, **limits: object) -> Platform:
    given = {"timeout": 3.0, "total_timeout": 5.0, "retries": 0} | limits
    return Platform(settings(base_url=base_url, token=TOKEN, **given), rest=lambda _: None)


def load(base_url: str, **limits: object) -> pl.DataFrame:
    with platform(base_url, **limits) as source:
        return tk.fetch(source, "completion").frame


def says(talk: Talk, *, ask_first: bool = True, tls: bool = False, **limits: object) -> Meet:
    """Ask a server that talks like this for one record."""

    def meet(*_: object) -> None:
        with serving(talk, ask_first=ask_first) as server:
            address = server.base_url.replace("http:", "https:") if tls else server.base_url
            assert load(address, **limits).height == 1

    return meet


def answers(body: bytes = BODY, head: bytes = OK, **limits: object) -> Meet:
    return says(lambda connection: connection.answer(body, head), **limits)


def status(line: str, body: bytes = BODY, *more: str) -> Meet:
    return answers(body, "\r\n".join([f"HTTP/1.1 {line}", *more, ""]).encode())


def meets(faults: str, retries: int = 5) -> Meet:
    """Load from a sandbox with these faults, and compare with what it sends without them."""

    def meet(*_: object) -> None:
        with tk.sandbox(learners=LEARNERS) as good:
            expected = tk.load_completion(good)
        with tk.sandbox(learners=LEARNERS, faults=faults) as bad:
            found = settings(base_url=bad.base_url, token=bad.token, retries=retries)
            with Platform(found, rest=lambda _: None) as source:
                assert tk.load_completion(source).equals(expected)

    return meet


def drips(head: bytes, again: bytes) -> Meet:
    def talk(connection: Connection) -> None:
        connection.send(head)
        connection.drip(again)

    return says(talk, total_timeout=0.5)


def pages(following: Callable[[int], str], record: Callable[[int], bytes]) -> Meet:
    def talk(connection: Connection) -> None:
        number = 0
        while number == 0 or connection.request():
            number += 1
            body = b'{"results":[%s],"next":%s}'
            connection.answer(body % (record(number), json.dumps(following(number)).encode()))

    return says(talk)


def record(number: int) -> bytes:
    return RECORD.replace(b"ada", b"ada%d" % number)


def changing(times: int) -> Meet:
    """Break off `times` downloads, each retry sending records of another moment."""

    def meet(*_: object) -> None:
        asked: list[str] = []

        def answer(_request: httpx.Request) -> httpx.Response:
            asked.append("")
            # Enough white space that the record before it has been yielded.
            body = b"[" + record(len(asked)) + b" " * 500_000 + b"]"
            if len(asked) > times:
                return httpx.Response(200, stream=httpx.ByteStream(body))
            return httpx.Response(200, stream=Breaking(body[:-1]))

        found = settings(base_url="https://platform.example.com", token=TOKEN, retries=1)
        with Platform(found, transport=httpx.MockTransport(answer), rest=lambda _: None) as source:
            assert tk.load_completion(source).height == 1

    return meet


def distrusted(folder: Path, _: pytest.MonkeyPatch) -> None:
    with serving(Connection.silence, certificate=self_signed(folder)) as server:
        load(server.base_url)


def trusted(folder: Path, _: pytest.MonkeyPatch) -> None:
    certificate = self_signed(folder)
    talk = lambda connection: connection.answer(BODY)  # noqa: E731
    with serving(talk, certificate=certificate) as server:
        assert load(server.base_url, ca_file=certificate[0]).height == 1


def refused_by_proxy(_: Path, patch: pytest.MonkeyPatch) -> None:
    refuse = lambda c: c.answer(b"", b"HTTP/1.1 407 No\r\n")  # noqa: E731
    with serving(refuse) as proxy:
        patch.setenv("HTTPS_PROXY", proxy.base_url)
        load("https://platform.example.com")


def loopback_beside_a_proxy(_: Path, patch: pytest.MonkeyPatch) -> None:
    with serving(Connection.silence) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, proxy.base_url)
        answers()(Path(), patch)
        assert proxy.connections == []


def socks(_: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    load("https://platform.example.com")


def endless(_: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SO2_TIMEOUT", "inf")
    tk.connect("https://platform.example.com", token=TOKEN)


def unreadable_settings(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_bytes(b"SO2_TOKEN=\xff")
    patch.chdir(folder)
    tk.connect("https://platform.example.com")


def closed(*_: object) -> None:
    with serving(lambda connection: connection.answer(BODY)) as server:
        source = platform(server.base_url)
        source.close()
        tk.load_completion(source)


def cut_unseen(*_: object) -> None:
    """Load a line from a response that ends with its connection."""
    talk = lambda connection: connection.end(OK + b"\r\n" + RECORD + b"\n")  # noqa: E731
    with serving(talk) as server, platform(server.base_url) as source:
        found = tk.fetch(source, "completion")
    assert found.frame.height == 1
    assert "neither length nor end" in found.problems["reason"].item()


def unfiltered(*_: object) -> None:
    talk = lambda connection: connection.answer(BODY)  # noqa: E731
    with serving(talk) as server, platform(server.base_url) as source:
        found = tk.fetch(source, "completion", course_id="another")
    assert found.frame.is_empty()
    assert "does not match 1 of the records" in found.problems["reason"][0]


def nulled(value: str, reason: str) -> Meet:
    """Load an impossible value, which becomes null and is reported with its text."""

    def meet(*_: object) -> None:
        enrollment = {"username": "ada", "email": None, "course_id": "c", "created": value}
        body = json.dumps([{**enrollment, "is_active": True, "mode": "audit"}]).encode()
        talk = lambda connection: connection.answer(body)  # noqa: E731
        with serving(talk) as server, platform(server.base_url) as source:
            found = tk.fetch(source, "enrollments")
        assert found.frame["created"].to_list() == [None]
        assert found.problems.select("raw", "reason").rows() == [(value, reason)]

    return meet


# --- snapshots and reports ----------------------------------------------------------------------


@contextmanager
def snapshot(folder: Path) -> Iterator[tk.Snapshot]:
    """Yield a snapshot that must be complete and unchanged afterwards."""
    with tk.sandbox(learners=20) as source:
        taken = tk.take_snapshot(source, folder / "s", key=KEY)
        yield taken
    assert tk.open_snapshot(folder / "s").manifest == taken.manifest


def flipped(name: str) -> Meet:
    def meet(folder: Path, _: pytest.MonkeyPatch) -> None:
        with tk.sandbox(learners=20) as source:
            tk.take_snapshot(source, folder, key=KEY)
        (path,) = folder.rglob(name)
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 4
        path.write_bytes(whole)
        tk.open_snapshot(folder)

    return meet


def refused_while_taken(folder: Path, _: pytest.MonkeyPatch) -> None:
    refuse = lambda c: c.answer(b"", b"HTTP/1.1 401 No\r\n")  # noqa: E731
    with snapshot(folder) as taken, serving(refuse) as server:
        tk.take_snapshot(platform(server.base_url), taken.folder, key=KEY)


def cut_off_while_taken(folder: Path, _: pytest.MonkeyPatch) -> None:
    with snapshot(folder) as taken, tk.sandbox(learners=20, faults="truncated") as bad:
        tk.take_snapshot(bad, taken.folder, key=KEY)


def taken_by_two(folder: Path, _: pytest.MonkeyPatch) -> None:
    second: list[BaseException] = []

    def talk(connection: Connection) -> None:
        """Start another writer while the first is being answered."""
        try:
            tk.take_snapshot(platform("https://platform.example.com"), folder / "s", key=KEY)
        except tk.ToolkitError as error:
            second.append(error)
        connection.answer(b"", b"HTTP/1.1 401 No\r\n")

    with (
        snapshot(folder) as taken,
        serving(talk) as server,
        pytest.raises(tk.errors.AuthenticationError),
    ):
        tk.take_snapshot(platform(server.base_url), taken.folder, key=KEY)
    raise second[0]


def unwritable_snapshot(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "file").touch()
    with tk.sandbox(learners=20) as source:
        tk.take_snapshot(source, folder / "file" / "s", key=KEY)


def foreign_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "thesis.docx").touch()
    with tk.sandbox(learners=20) as source:
        tk.take_snapshot(source, folder, key=KEY)


def refused_by_a_store(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = b"<Error><Code>AccessDenied</Code></Error>"
    refuse = lambda c: c.answer(denied, b"HTTP/1.1 403 Forbidden\r\n")  # noqa: E731
    with tk.sandbox(learners=20) as source, serving(refuse) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "throw-away")
        tk.take_snapshot(source, "s3://bucket/s", key=KEY)


def replaced_twice(folder: Path, _: pytest.MonkeyPatch) -> None:
    with tk.sandbox(learners=20) as source:
        held = tk.take_snapshot(source, folder, key=KEY)
        for _time in range(2):
            held.grades().collect()
            tk.take_snapshot(source, folder, key=KEY)
    held.grades()


def failing_report(folder: Path, _: pytest.MonkeyPatch) -> None:
    page = f'<meta name="generator" content="{GENERATOR}">'
    with replaced(folder) as part:
        (part / "index.html").write_text(page)
    try:
        with replaced(folder) as part, writable(part):
            (part / "index.html").write_text("new")
            raise OSError(errno.ENOSPC, "No space left on device")
    finally:
        assert [path.read_text() for path in folder.iterdir()] == [page]


def foreign_report(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "figures").mkdir()
    tk.write_report(folder)


def report(**arguments: object) -> Meet:
    def meet(folder: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("SO2_SANDBOX_LEARNERS", "20")
        patch.setenv("SO2_BASE_URL", "")
        patch.setenv("SO2_SNAPSHOT", "")
        try:
            tk.write_report(folder / "report", **arguments)
        finally:
            assert not (folder / "report").exists()

    return meet


def unwritable_report(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "file").touch()
    tk.write_report(folder / "file" / "report")


def written(text: str, expected: str) -> Meet:
    """Write a text from the platform to a CSV file."""

    def meet(folder: Path, _: pytest.MonkeyPatch) -> None:
        path = tk.snapshots.write_csv(pl.DataFrame({"name": [text]}), folder / "t.csv")
        assert pl.read_csv(path)["name"].to_list() == [expected]

    return meet


# --- the faults ---------------------------------------------------------------------------------

ECHO = json.dumps({"detail": f"no course for {TOKEN} of ada@example.com"}).encode()
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PASSING = 'a log line "next try in … s"'

LATE = "No response, or a late one"
OTHER = "An unexpected response"
TRUST = "Certificates and proxies"
WIRE = "Malformed bodies"
PAGED = "Pages"
SET = "Settings"
REST = "Snapshots"
PAGE = "Reports and files"

FAULTS = [
    Fault(LATE, "nothing listens at the address", "Gave up after 1 try", "TransportError",
          NOTHING, lambda *_: load("http://127.0.0.1:9")),
    Fault(LATE, "the platform is silent", "nothing came for 0.3 s", "TransportError",
          NOTHING, says(Connection.silence, timeout=0.3)),
    Fault(LATE, "the headers arrive byte by byte",
          "not done after 0.5 s (SO2_TOTAL_TIMEOUT)", "TransportError", NOTHING,
          drips(OK, b"X-Filler: 0\r\n"), seconds=0.5),
    Fault(LATE, "the body arrives byte by byte", "not done after 0.5 s (SO2_TOTAL_TIMEOUT)",
          "TransportError", NOTHING, drips(OK + b"Content-Length: 1000000\r\n\r\n[", b" "),
          seconds=0.5),
    Fault(LATE, "interim responses (103) without end", "not done after 0.5 s (SO2_TOTAL_TIMEOUT)",
          "TransportError", NOTHING,
          says(lambda c: c.flood(INTERIM), total_timeout=0.5), seconds=0.5),
    Fault(LATE, "a TLS handshake that never ends", "not done after 0.5 s (SO2_TOTAL_TIMEOUT)",
          "TransportError", NOTHING,
          says(Connection.silence, ask_first=False, tls=True, total_timeout=0.5), seconds=0.5),
    Fault(LATE, "the connection drops twice", None, None, ALL,
          meets("drop-mid-body:times=2:after=900")),
    Fault(LATE, "the connection drops each time", "Gave up after 3 tries", "TransportError",
          NOTHING, meets("drop-mid-body:times=0", retries=2)),
    Fault(LATE, "503, 502, then a good response", None, None, ALL,
          meets("server-error:503,server-error:502")),
    Fault(LATE, "429 with a wait (`Retry-After`)", None, None, ALL,
          meets("rate-limit:seconds=7:times=2")),
    Fault(LATE, "429 with a wait of a year", "that is too long", "TransportError", NOTHING,
          meets("rate-limit-absurd")),
    Fault(LATE, "the download drops, and the next try brings other records", None, None,
          "all records, of one moment", changing(1)),
    Fault(LATE, "the records differ at each try",
          "the next try brought other records. Load it again", "TransportError", NOTHING,
          changing(100)),
    Fault(OTHER, "401 or 403", "Check SO2_TOKEN", "AuthenticationError", NOTHING,
          status("401 Unauthorized")),
    Fault(OTHER, "200 with a login page", "a web page instead of records", "AuthenticationError",
          NOTHING, meets("login-page")),
    Fault(OTHER, "404", "Check that SO2_BASE_URL is the platform's address", "TransportError",
          NOTHING, status("404 Not Found")),
    Fault(OTHER, "206, 203 or 409 with records", "Only status 200 brings records", "TransportError",
          NOTHING, status("206 Partial Content")),
    Fault(OTHER, "a refusal that echoes the token and an email address",
          "It says: no course for [token] of [address]", "TransportError", NOTHING,
          status("400 Bad Request", ECHO)),
    Fault(OTHER, "a redirect to another server", "the token was not sent there", "TransportError",
          NOTHING, status("302 Found", b"", "Location: https://elsewhere.example.com/")),
    Fault(OTHER, "a redirect in a circle", "redirected more than 5 times", "TransportError",
          NOTHING, status("302 Found", b"", "Location: /round")),
    Fault(OTHER, "a redirect to an invalid address", "is not an address", "TransportError",
          NOTHING, status("302 Found", b"", "Location: http://[::1")),
    Fault(OTHER, "a `Date` in the year 9999", None, None,
          "all records, dated by this machine",
          answers(head=OK + b"Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n")),
    Fault(OTHER, "3,000 encodings of one body", "encoded 3,000 times over", "TransportError",
          NOTHING, answers(head=OK + b"Content-Encoding: gzip" + b", gzip" * 2_999 + b"\r\n")),
    Fault(OTHER, "a response that is not HTTP", "Gave up after 1 try", "TransportError", NOTHING,
          says(lambda c: c.send(b"SSH-2.0-server\r\n\r\n"), timeout=0.5)),
    Fault(TRUST, "a certificate signed by an unknown authority", "SO2_CA_FILE=/path/to/ca.pem",
          "TransportError", NOTHING, distrusted),
    Fault(TRUST, "the same, with `SO2_CA_FILE`", None, None, ALL, trusted),
    Fault(TRUST, "https to a server that speaks plain http", "is it an https address?",
          "TransportError", NOTHING,
          says(lambda c: c.send(b"HTTP/1.1 400 Bad\r\n\r\n"), ask_first=False, tls=True)),
    Fault(TRUST, "a proxy that refuses", "name the platform in NO_PROXY", "TransportError",
          NOTHING, refused_by_proxy),
    Fault(TRUST, "a proxy is set, but the platform is on loopback", None, None,
          "all records; the proxy is not used", loopback_beside_a_proxy),
    Fault(TRUST, "a SOCKS proxy without its package", "pip install socksio",
          "ConfigurationError", NOTHING, socks),
    Fault(WIRE, "a truncated body in an intact response", "cut off", "WireFormatError", NOTHING,
          meets("truncated:missing=1")),
    Fault(WIRE, "a compressed body that is corrupt", "corrupt", "TransportError", NOTHING,
          meets("corrupt-gzip")),
    Fault(WIRE, "a small body that unpacks to a gigabyte", "explodes", "TransportError", NOTHING,
          meets("gzip-bomb"), seconds=10),
    Fault(WIRE, "a byte that is not UTF-8", "UTF-8", "WireFormatError", NOTHING,
          meets("invalid-utf8")),
    Fault(WIRE, "100,000 nested brackets", "nested more than 500 deep",
          "WireFormatError", NOTHING,
          answers(BODY[:-2] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]")),
    Fault(WIRE, "a record without a course", "no `course_id`", "SchemaError", NOTHING,
          answers(b'[{"username":"ada"}]')),
    Fault(WIRE, "a time in the year 10000", "not a point in time; taken as null", None,
          "all records; the value is null, its text is in the problems",
          nulled("10000-01-01 00:00", "not a point in time; taken as null")),
    Fault(WIRE, "lines in a response without a length", "neither length nor end", None,
          "all records that came", cut_unseen),
    Fault(WIRE, "a filter that the platform ignores", "this filter does not match", None,
          "the records asked for", unfiltered),
    Fault(PAGED, "the next page is on another server", "the token was not sent there",
          "TransportError", NOTHING, pages(lambda _: "https://elsewhere.example.com/", record)),
    Fault(PAGED, "the next page is not a string", "`next` is not an address", "WireFormatError",
          NOTHING, answers(b'{"results":[' + RECORD + b'],"next":5}')),
    Fault(PAGED, "pages in a circle", "go round in a circle", "TransportError", NOTHING,
          pages(lambda n: f"?page={n % 3}", record)),
    Fault(PAGED, "endless pages that repeat their records", "brought nothing new",
          "TransportError", NOTHING, pages(lambda n: f"?page={n}", lambda n: record(n % 3))),
    Fault(SET, "an empty token", "the token is empty", "ConfigurationError", NOTHING,
          lambda *_: tk.connect("https://platform.example.com", token="")),
    Fault(SET, "an endless timeout", "SO2_TIMEOUT", "ConfigurationError", NOTHING,
          endless),
    Fault(SET, "an address with an invalid port", "SO2_BASE_URL must look like",
          "ConfigurationError", NOTHING,
          lambda *_: tk.connect("https://platform.example.com:port", token=TOKEN)),
    Fault(SET, "plain http to another machine", "would send the token unencrypted",
          "ConfigurationError", NOTHING,
          lambda *_: tk.connect("http://platform.example.com", token=TOKEN)),
    Fault(SET, "a file `.env` that is not text", "cannot be read as UTF-8", "ConfigurationError",
          NOTHING, unreadable_settings),
    Fault(SET, "loading after the connection was closed", "connect again with tk.connect()",
          "ConfigurationError", NOTHING, closed),
    Fault(REST, "the platform refuses while a snapshot is taken", "grades: http",
          "AuthenticationError", AS_IT_WAS, refused_while_taken),
    Fault(REST, "a body is truncated while a snapshot is taken", "cut off", "WireFormatError",
          AS_IT_WAS, cut_off_while_taken),
    Fault(REST, "two runs write into one folder", "another run is writing", "SnapshotError",
          AS_IT_WAS, taken_by_two),
    Fault(REST, "a file where a folder is needed", "where a folder is needed",
          "SnapshotError", "what was there", unwritable_snapshot),
    Fault(REST, "a folder that holds other files", "holds other files (thesis.docx)",
          "SnapshotError", "what was there", foreign_folder),
    Fault(REST, "one bit of a file has flipped", "its checksum differs", "SnapshotError",
          "the files, unread", flipped("grades.parquet")),
    Fault(REST, "one bit of the manifest has flipped", "manifest.json", "SnapshotError",
          "the files, unread", flipped("manifest.json")),
    Fault(REST, "an object store denies access", "denies access (AccessDenied)",
          "SnapshotError", NOTHING, refused_by_a_store),
    Fault(REST, "an open snapshot is replaced twice", "open it again",
          "SnapshotError", "the open snapshot, until the second time", replaced_twice),
    Fault(PAGE, "the disk is full while a report is written", "Free space, or name",
          "ReportError", "the earlier report, complete", failing_report),
    Fault(PAGE, "a report's folder that holds other files", "holds other files (figures)",
          "ReportError", "what was there", foreign_report),
    Fault(PAGE, "a report's folder without write access", "cannot be written", "ReportError",
          "what was there", unwritable_report),
    Fault(PAGE, "a notebook that does not exist", "there is no notebook nope.ipynb", "ReportError",
          NOTHING, report(notebooks=["nope.ipynb"])),
    Fault(PAGE, "a course without records", "no record of the course 'nope'", "ReportError",
          NOTHING, report(parameters={"course_id": "nope"}), seconds=15),
    Fault(PAGE, "a name that a spreadsheet would run", None, None, "the text after an apostrophe",
          written("=1+1", "'=1+1")),
    Fault(PAGE, "a name that would control a terminal", None, None,
          "the text, with � for the control character", written("a\x1b[31m", "a�[31m")),
]  # fmt: skip


def page() -> str:
    """Return the catalogue as Markdown."""
    lines = [
        "# Faults",
        "",
        "What can go wrong, what you see, and what is kept. Each row is a test that produces the",
        "fault on a real socket, process or disk; this page is generated from the tests.",
        "",
        "Nothing is kept in part: you get an exact frame or none, and a complete new snapshot or",
        "report or the earlier one. Ctrl+C ends a load, a scan, a snapshot or a report within a",
        "second or two; a command then exits with status 130. The tests kill the writers of",
        "snapshots and of reports at 200 random moments each.",
        "",
        "If the second column is empty, the toolkit recovers without a message.",
    ]
    for part in dict.fromkeys(fault.part for fault in FAULTS):
        lines += ["", f"## {part}", "", "| fault | what you see | what is kept |", "|---|---|---|"]
        for fault in FAULTS:
            if fault.part == part:
                seen = "" if fault.seen is None else f"“…{fault.seen}…”"
                kind = f"`{fault.error}` " if fault.error else ""
                lines.append(f"| {fault.what} | {kind}{seen} | {fault.kept} |")
    return "\n".join(lines) + "\n"
