"""The embedded platform over real sockets: what it answers, and what it refuses."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import polars as pl
import pytest

import toolkit as tk
from toolkit.sandbox.start import SandboxPlatform

DOCUMENTED = {
    "grades": {
        "username", "email", "course_id", "display_name", "percent_grade", "letter_grade",
        "passed_timestamp", "last_date",
    },
    "enrollments": {"username", "email", "course_id", "is_active", "mode", "created"},
    "completion": {"username", "email", "course_id", "completion"},
}  # fmt: skip


@pytest.fixture(scope="module")
def platform() -> Iterator[SandboxPlatform]:
    with tk.sandbox(learners=500, seed=7, token="throw-away") as platform:
        yield platform


def get(platform: SandboxPlatform, path: str, **changed: str | None) -> httpx.Response:
    headers: dict[str, str | None] = {
        "Authorization": "Bearer throw-away",
        "Content-Type": "application/json",
        "Access-Control-Request-Headers": "authorization",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    sent = {name: value for name, value in headers.items() if value is not None}
    return httpx.get(f"{platform.base_url}/api/so2/v1/{path}", headers=sent)


@pytest.mark.parametrize(("resource", "fields"), DOCUMENTED.items())
def test_each_resource_has_the_documented_fields(
    platform: SandboxPlatform, resource: str, fields: set[str]
) -> None:
    answer = get(platform, resource)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert {frozenset(record) for record in answer.json()} == {frozenset(fields)}


def test_the_resources_hold_the_same_learners_and_courses(platform: SandboxPlatform) -> None:
    keys = [
        [(record["username"], record["course_id"]) for record in get(platform, resource).json()]
        for resource in DOCUMENTED
    ]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys[0])) == len(keys[0]) > 500


@pytest.mark.parametrize("resource", DOCUMENTED)
@pytest.mark.parametrize("name", ["course_id", "username"])
def test_a_filter_answers_just_its_records(
    platform: SandboxPlatform, resource: str, name: str
) -> None:
    everything = get(platform, resource).json()
    wanted = everything[len(everything) // 2][name]
    query = httpx.QueryParams({name: wanted})
    assert get(platform, f"{resource}?{query}").json() == [
        record for record in everything if record[name] == wanted
    ]


def test_a_course_or_learner_that_is_not_there_has_no_records(
    platform: SandboxPlatform,
) -> None:
    assert get(platform, "grades?course_id=course-v1:DemoX%2BNONE%2B2024_T1").json() == []
    assert get(platform, "grades?username=amber_badger_999999").json() == []
    assert get(platform, "grades?username=somebody").json() == []


def test_a_learner_is_known_by_the_whole_name(platform: SandboxPlatform) -> None:
    assert get(platform, "grades?username=amber_badger_000000").json() != []
    assert get(platform, "grades?username=amber_crane_000000").json() == []


def test_days_counts_back_from_the_platform_s_own_clock(platform: SandboxPlatform) -> None:
    everything = get(platform, "enrollments").json()
    recent = [record for record in everything if record["created"] >= "2025-12-02 00:00"]
    assert 0 < len(recent) < len(everything)
    assert get(platform, "enrollments?days=30").json() == recent
    assert get(platform, "enrollments?days=0").json() == []
    assert get(platform, f"enrollments?days={10**30}").json() == everything


def test_the_date_header_is_the_simulated_clock(platform: SandboxPlatform) -> None:
    assert get(platform, "grades").headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert platform.clock.isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic dGhy"])
def test_without_the_token_nothing_is_answered(
    platform: SandboxPlatform, authorization: str | None
) -> None:
    answer = get(platform, "grades?username=", Authorization=authorization)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"detail": "the bearer token is missing or wrong"}


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("enrollments?days=x", "days"),
        ("enrollments?days=-1", "days"),
        ("enrollments?days=", "days"),
        ("grades?days=1", "days"),
        ("grades?course=a", "course"),
        ("grades?course_id=", "course_id"),
        ("grades?username=a&username=b", "username"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    platform: SandboxPlatform, path: str, word: str
) -> None:
    answer = get(platform, path)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{word}: ")


@pytest.mark.parametrize("header", ["Content_Type", "Access_Control_Request_Headers"])
def test_the_documented_headers_are_required(platform: SandboxPlatform, header: str) -> None:
    assert get(platform, "grades", **{header: None}).status_code == 400
    assert get(platform, "grades", **{header: "text/plain"}).status_code == 400


def test_the_token_shows_nowhere(platform: SandboxPlatform) -> None:
    assert "throw-away" not in repr(platform)
    assert "throw-away" not in httpx.get(f"{platform.base_url}/openapi.json").text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    bodies = []
    for seed in (1, 1, 2):
        with tk.sandbox(learners=50, seed=seed, token="throw-away") as platform:
            bodies.append([get(platform, resource).content for resource in DOCUMENTED])
    assert bodies[0] == bodies[1]
    assert bodies[0] != bodies[2]


def test_an_earlier_sandbox_shows_the_same_learners_with_less_behind_them(
    platform: SandboxPlatform,
) -> None:
    moment = datetime(2025, 7, 1, tzinfo=UTC)
    key = ["username", "course_id"]
    with platform.earlier(moment) as past:
        assert past.clock == moment
        then = pl.DataFrame(
            get(past, "grades", Authorization=f"Bearer {past.token}").json(),
            infer_schema_length=None,
        )
    now = pl.DataFrame(get(platform, "grades").json(), infer_schema_length=None)
    both = now.join(then, on=key, suffix="_then")
    assert both.height == then.height < now.height
    assert then["passed_timestamp"].max() < "2025-07-01"  # type: ignore[operator]
    passed_then = both.filter(pl.col("passed_timestamp_then").is_not_null())
    assert (passed_then["passed_timestamp"] == passed_then["passed_timestamp_then"]).all()
    assert (both["percent_grade"].cast(float) >= both["percent_grade_then"].cast(float)).all()


def test_no_simulated_moment_lies_before_the_opening_or_after_the_clock(
    platform: SandboxPlatform,
) -> None:
    for year, said in ((2023, "opened on 2024-01-01"), (2027, "at most 2026-01-01")):
        with pytest.raises(tk.errors.ConfigurationError, match=said):
            platform.earlier(datetime(year, 1, 1, tzinfo=UTC))


def test_a_closed_sandbox_answers_no_more_and_may_be_closed_again() -> None:
    platform = tk.sandbox(learners=1, token="throw-away")
    platform.close()
    platform.close()
    with pytest.raises(httpx.ConnectError):
        get(platform, "grades")


def test_a_sandbox_that_nobody_holds_stops() -> None:
    base_url = tk.sandbox(learners=1).base_url
    with pytest.raises(httpx.ConnectError):
        httpx.get(base_url)


@pytest.mark.parametrize(("learners", "seed"), [(0, 7), (-1, 7), (10**8, 7), (1, -1), (1, 2**64)])
def test_impossible_arguments_are_refused(learners: int, seed: int) -> None:
    with pytest.raises(tk.errors.ConfigurationError, match="must be"):
        tk.sandbox(learners=learners, seed=seed)


def test_a_port_that_is_taken_is_named(platform: SandboxPlatform) -> None:
    port = int(platform.base_url.rpartition(":")[2])
    with pytest.raises(tk.errors.ConfigurationError, match=f"port {port}"):
        tk.sandbox(learners=1, port=port)


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: value} for name in ("learners", "seed") for value in ("5", None, 1.5, True, [1])),
        *({"port": value} for value in ("80", None, 1.5, -1, 65_536)),
        *({"token": value} for value in ("", "a b", 5)),
        *({"oulad": value} for value in (5, [], "")),
        *({"faults": value} for value in (5, ["slow", 5])),
    ],
    ids=str,
)
def test_an_argument_of_another_kind_is_a_configuration_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(tk.errors.ConfigurationError):
        tk.sandbox(**{"learners": 1, **wrong})


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows reads no TZ")
def test_an_earlier_moment_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Bogota")
    time.tzset()
    try:
        with tk.sandbox(learners=1) as now, now.earlier(datetime(2025, 1, 1)) as past:
            assert past.clock == datetime(2025, 1, 1, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_no_earlier_sandbox_is_later_than_the_one_it_came_from() -> None:
    with tk.sandbox(learners=1) as now, now.earlier(datetime(2025, 1, 1)) as past:
        with pytest.raises(tk.errors.ConfigurationError, match="at most 2025-01-01"):
            past.earlier(datetime(2025, 1, 2))
        with pytest.raises(tk.errors.ConfigurationError, match="opened on 2024-01-01"):
            past.earlier(datetime(2024, 1, 1))
        for wrong in ("yesterday", None, 7):
            with pytest.raises(tk.errors.ArgumentError, match="clock must be"):
                past.earlier(wrong)  # type: ignore[arg-type]
