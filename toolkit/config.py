"""Read settings from arguments, the environment and `.env`; keep the token secret."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from toolkit.errors import ConfigurationError

_DAY = 86_400.0


class Settings(BaseSettings):
    """Where the platform is and how to talk to it.

    Each field is read from an argument, else from the environment variable `SO2_<FIELD>`,
    else from the file `.env` in the working folder.
    """

    model_config = SettingsConfigDict(
        env_prefix="SO2_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    base_url: str | None = Field(None, description="The platform's address, https://…")
    token: SecretStr | None = Field(None, description="The bearer token from platform support.")
    snapshot: Path | None = Field(
        None,
        description="A snapshot to read instead of a platform: its folder, or s3://bucket/path.",
    )
    oulad: Path | None = Field(None, description="OULAD tables for the sandbox to serve.")
    sandbox_learners: int = Field(
        5_000, gt=0, description="How many learners the sandbox simulates."
    )
    sandbox_seed: int = Field(7, ge=0, description="The seed it simulates them from.")
    pseudonym_key: SecretStr | None = Field(None, description="Key of the pseudonyms on disk.")
    release_secret: SecretStr | None = Field(
        None, description="Secret that keys the rounding of counts."
    )
    joins: Path | None = Field(
        None,
        description="A folder to keep joined snapshots in, for the next run; holds personal data.",
    )
    language: str = Field("en", description="The language of a report's frame: en or es.")
    ca_file: Path | None = Field(
        None, description="A PEM file of certificates to trust besides the public authorities."
    )
    timeout: float = Field(
        30.0, gt=0, le=_DAY, description="Seconds without a byte before giving up."
    )
    total_timeout: float = Field(
        3600.0,
        gt=0,
        le=30 * _DAY,
        description="Seconds for one download with all its pages and retries.",
    )
    retries: int = Field(5, ge=0, le=1000, description="How often a failed request is tried again.")
    allow_http: bool = Field(
        default=False,
        description="Allow the token, and snapshots in S3, over plain http beyond this machine.",
    )

    @field_validator("base_url")
    @classmethod
    def _clean_base_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        return clean_url(url)


def clean_url(url: str) -> str:
    """Return an address without its last slash.

    Refuses what has more than scheme, host, port and path, and never quotes it.
    """
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets without an address, or an invalid port
        is_valid = False
    if not is_valid or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must look like https://platform.example.com")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password; set the token separately")
    if parts.query or parts.fragment:
        raise ValueError("must end before any ? or #")
    return url.rstrip("/")


def settings(**arguments: object) -> Settings:
    """Read the settings; an argument of None counts as not given.

    A message on an invalid one names it but never its value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic validates them
    except ValidationError as error:
        reasons = "; ".join(
            f"SO2_{str(e['loc'][0]).upper()} {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"invalid setting: {reasons}") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            "the file .env in this folder cannot be read as UTF-8 text; save it as UTF-8"
        ) from None


def platform_settings(base_url: str | None = None, token: str | None = None) -> Settings:
    """Read the settings; require an address, a token, and https unless plain http is allowed."""
    found = settings(base_url=base_url, token=token)
    missing = [
        name
        for name, value in (("SO2_BASE_URL", found.base_url), ("SO2_TOKEN", found.token))
        if value is None
    ]
    if missing or found.base_url is None:
        raise ConfigurationError(
            f"{' and '.join(missing)} not set. Call tk.connect(base_url=…, token=…), or set "
            f"{'them' if len(missing) > 1 else 'it'} in the environment or in a file .env in this "
            "folder. Platform support issues the token. To try the toolkit without a platform, "
            "use tk.sandbox()."
        )
    parts = urlsplit(found.base_url)
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not found.allow_http:
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send the token unencrypted. Use https, or set "
            "SO2_ALLOW_HTTP=true if you trust the connection."
        )
    return found


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, so that traffic to it reaches no network.

    Examples:
        >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "10.0.0.1", None)]
        [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
