"""Which platform: the one that the settings name, or the embedded sandbox."""

from __future__ import annotations

from toolkit.config import platform_settings, settings
from toolkit.loader import Source
from toolkit.transport import Platform


def connect(base_url: str | None = None, token: str | None = None) -> Platform:
    """Connect to a platform; nothing is sent yet.

    Args:
        base_url: Its address; else `SO2_BASE_URL`, else from `.env`.
        token: The bearer token; else `SO2_TOKEN`, else from `.env`.

    Raises:
        ConfigurationError: Address or token is missing, or the token would travel unencrypted.
    """
    return Platform(platform_settings(base_url, token))


def connect_or_sandbox() -> Source:
    """The source that the settings name: a platform, else the sandbox; says which."""
    found = settings()
    if found.base_url is not None:
        platform = connect()
        print(f"Reading {platform.source}.")  # noqa: T201  # what the function promises
        return platform
    from toolkit.sandbox.start import sandbox  # FastAPI only where it is served

    embedded = sandbox(found.sandbox_learners, found.sandbox_seed, oulad=found.oulad)
    print(f"No platform is set (SO2_BASE_URL). Reading the {embedded.label}.")  # noqa: T201
    return embedded
