"""The source to read: a platform, a snapshot, or else the sandbox."""

from __future__ import annotations

from toolkit.config import platform_settings, settings
from toolkit.loading.load import Source
from toolkit.loading.platform import Platform
from toolkit.snapshots.snapshot import open_snapshot

SOURCE_PREFIX = "This reads"
"""The beginning of the line that names the source."""


def connect(base_url: str | None = None, token: str | None = None) -> Platform:
    """Return a platform from the arguments, else SO2_BASE_URL and SO2_TOKEN, else `.env`.

    Nothing is sent until you load something.

    Raises:
        ConfigurationError: Address or token is missing or invalid.

    Examples:
        >>> connect("https://platform.example.com", token="from the platform's support")
        Traceback (most recent call last):
        toolkit.errors.ConfigurationError: the token is empty or has characters that no token has...
        >>> connect("https://platform.example.com", token="secret")
        Platform('https://platform.example.com')
    """
    return Platform(platform_settings(base_url, token))


def connect_or_sandbox() -> Source:
    """Return the source named in the settings, else the embedded sandbox; print which it is.

    SO2_SNAPSHOT names a snapshot, SO2_BASE_URL and SO2_TOKEN a platform; SO2_OULAD,
    SO2_SANDBOX_LEARNERS and SO2_SANDBOX_SEED say which learners the sandbox serves.

    Raises:
        ConfigurationError: Only one of SO2_BASE_URL and SO2_TOKEN is set, or a setting is invalid.
        SnapshotError: SO2_SNAPSHOT names a folder without a complete snapshot.

    Examples:
        >>> source = connect_or_sandbox()
        This reads THE SANDBOX, no platform is set: sandbox: 5,000 simulated learners (seed 7)
    """
    chosen = settings()
    source: Source
    remark = None
    if chosen.snapshot is not None:
        source = open_snapshot(chosen.snapshot)
        what = "A SNAPSHOT"
    elif chosen.base_url is not None or chosen.token is not None:
        source = connect()
        what = "A LIVE PLATFORM"
    else:
        from toolkit.sandbox.start import sandbox_as_set

        platform = sandbox_as_set()
        source, remark = platform, platform.remark
        what = "THE SANDBOX, no platform is set"
    line = ". ".join(filter(None, [f"{SOURCE_PREFIX} {what}: {source.source}", remark]))
    print(line)  # noqa: T201  # must not be missed in a notebook
    return source
