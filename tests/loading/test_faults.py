"""The loader against a platform that misbehaves, over real sockets: all records or an error."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import toolkit as tk
from toolkit.config import platform_settings
from toolkit.loading.platform import Platform

LEARNERS = 150


@pytest.fixture(scope="module")
def good() -> Iterator[tk.Load]:
    with tk.sandbox(learners=LEARNERS) as platform:
        yield tk.fetch(platform, "grades")


def fetch(faults: str) -> tuple[tk.Load, list[float]]:
    """Grades from a sandbox with these faults, and the seconds waited before other tries."""
    waits: list[float] = []
    with tk.sandbox(learners=LEARNERS, faults=faults) as sandbox:
        found = platform_settings(sandbox.base_url, sandbox.token)
        with Platform(found, rest=waits.append) as platform:
            return tk.fetch(platform, "grades"), waits


@pytest.mark.parametrize(
    "faults",
    [
        *("array", "ndjson", "commas", "envelope", "gzip", "deflate", "br", "zstd"),
        *("paged:7", "paged:100,gzip", "pieces:100", "slow:0.01,pieces:9000", "redirect-within"),
        "ndjson,br,pieces:50",
    ],
)
def test_what_is_no_fault_changes_nothing(faults: str, good: tk.Load) -> None:
    load, waits = fetch(faults)
    assert_frame_equal(load.frame, good.frame)
    assert load.problems.is_empty()
    assert load.provenance.as_of == good.provenance.as_of
    assert waits == []


@pytest.mark.parametrize(
    ("faults", "tries"),
    [
        ("drop-mid-body:times=1:after=100", 1),
        ("drop-mid-body:times=3:after=30000", 3),
        ("gzip,drop-mid-body:times=2:after=500", 2),
        ("wrong-content-length:times=1", 1),
        ("server-error:500,server-error:502,server-error:503,server-error:504", 4),
        ("rate-limit-zero,rate-limit-past,rate-limit-silent", 3),
    ],
)
def test_what_passes_is_tried_again_and_nothing_kept_twice(
    faults: str, tries: int, good: tk.Load
) -> None:
    load, waits = fetch(faults)
    assert_frame_equal(load.frame, good.frame)
    assert load.provenance.sha256 == good.provenance.sha256
    assert len(waits) == tries
    assert all(0 < wait <= 30 for wait in waits)


@pytest.mark.parametrize("limit", ["rate-limit", "rate-limit-date"])
def test_the_platform_says_how_long_to_wait(limit: str, good: tk.Load) -> None:
    load, waits = fetch(f"{limit}:seconds=7:times=2")
    assert_frame_equal(load.frame, good.frame)
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize(
    ("faults", "error", "said"),
    [
        ("drop-clean:after=5000", tk.errors.WireFormatError, "cut off"),
        ("ndjson,drop-clean:after=5000", tk.errors.WireFormatError, "cut off"),
        ("commas,drop-clean:after=5000", tk.errors.WireFormatError, "cut off"),
        ("envelope,drop-clean:after=5000", tk.errors.WireFormatError, "cut off"),
        ("truncated:missing=1", tk.errors.WireFormatError, "cut off"),
        ("envelope,truncated:missing=1", tk.errors.WireFormatError, "the end of the body"),
        ("invalid-utf8", tk.errors.WireFormatError, "UTF-8"),
        ("drop-mid-body:times=0", tk.errors.TransportError, "Gave up after 6 tries"),
        ("wrong-content-length", tk.errors.TransportError, "Gave up after 6 tries"),
        ("server-error:503:times=0", tk.errors.TransportError, "503"),
        ("server-error:404", tk.errors.TransportError, "/api/so2/v1/grades"),
        ("server-error:401", tk.errors.AuthenticationError, "SO2_TOKEN"),
        ("server-error:403", tk.errors.AuthenticationError, "SO2_TOKEN"),
        ("login-page", tk.errors.AuthenticationError, "SO2_TOKEN"),
        ("gzip,login-page", tk.errors.AuthenticationError, "SO2_TOKEN"),
        ("rate-limit-absurd", tk.errors.TransportError, "too long"),
        ("redirect-away", tk.errors.TransportError, "the token was not sent"),
        ("paged-away", tk.errors.TransportError, "the token was not sent"),
        ("redirect-within:times=0", tk.errors.TransportError, "redirected more than"),
        ("paged-loop", tk.errors.TransportError, "circle"),
        ("corrupt-gzip", tk.errors.TransportError, "corrupt"),
        ("truncated-gzip", tk.errors.TransportError, "too early"),
        ("gzip-bomb", tk.errors.TransportError, "explodes"),
    ],
)
def test_what_stays_wrong_is_an_error_that_says_so(
    faults: str, error: type[tk.ToolkitError], said: str
) -> None:
    with pytest.raises(error, match=said):
        fetch(faults)


# Bodies without a bracket at their end cannot be told from shorter ones at a record's border.
@settings(max_examples=8)
@given(
    framing=st.sampled_from(["array", "envelope"]),
    after=st.integers(1, 60_000),
)
def test_wherever_a_bracketed_body_ends_early_no_record_is_missing(
    framing: str, after: int, good: tk.Load
) -> None:
    try:
        load, _ = fetch(f"{framing},drop-clean:times=1:after={after}")
    except tk.errors.WireFormatError:
        return
    assert_frame_equal(load.frame, good.frame)
