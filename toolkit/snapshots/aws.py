"""Where S3 is and who asks, as the AWS command line finds them: variables, then a profile.

Neither Polars nor obstore reads profiles as AWS does, so both are given what is found here. Keys
are found anew whenever they are needed and kept nowhere else.
"""

from __future__ import annotations

import configparser
import hashlib
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from toolkit.config import clean_url, is_loopback, settings
from toolkit.errors import ConfigurationError
from toolkit.extras import extra

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config, S3Credential

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_SIGN_IN = ("sso_session", "sso_start_url", "credential_process", "role_arn", "login_session")
_RETRIES = 5
_FRESH = timedelta(minutes=15)


def s3(root: str) -> tuple[ObjectStore, dict[str, Any]]:
    """Return a bucket for obstore, and how Polars reads it, which holds no key.

    Raises:
        ConfigurationError: Records would travel unencrypted, or a profile has no keys or cannot be
            read.
    """
    with extra("cloud"):
        from obstore.store import from_url
    profile = _profile()
    region = _variable("AWS_REGION", "AWS_DEFAULT_REGION") or profile.get("region", "us-east-1")
    endpoint, allow_http = _endpoint(profile), False
    config: S3Config = {"region": region}
    if endpoint is not None:
        config["endpoint"], allow_http = endpoint, _is_http(endpoint)
    keys = s3_keys()
    store = from_url(
        root,
        config=config,
        client_options={"allow_http": allow_http},
        retry_config={"max_retries": _RETRIES},
        credential_provider=keys_for_obstore if keys else None,
    )
    options = {f"aws_{name}": str(text) for name, text in config.items()}
    options["aws_allow_http"] = str(allow_http).lower()
    provider = partial(keys_for_polars, fingerprint(keys)) if keys else None
    return store, {"storage_options": options, "credential_provider": provider}


def _endpoint(profile: dict[str, str]) -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    found = next((os.environ[name] for name in names if name in os.environ), None)
    found = profile.get("endpoint_url") if found is None else found
    try:
        return None if found is None else clean_url(found)
    except ValueError as error:
        raise ConfigurationError(f"AWS_ENDPOINT_URL, or endpoint_url, {error}") from None


def _is_http(endpoint: str) -> bool:
    """Whether an endpoint is of plain http, which then must be allowed."""
    parts = urlsplit(endpoint)
    if parts.scheme != "http":
        return False
    if not is_loopback(parts.hostname) and not settings().allow_http:
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send records unencrypted. Use https, or set "
            "SO2_ALLOW_HTTP=true if you trust the connection."
        )
    return True


def s3_keys() -> dict[str, str]:
    """Return the keys, under the names of the files of AWS; none where the machine has a role.

    Raises:
        ConfigurationError: The profile has none, or gets them from another program.
    """
    found = {name: text for name in _KEYS if (text := _variable(name.upper()))}
    if not set(_KEYS[:2]) <= set(found):
        profile = _profile()
        found = {name: profile[name] for name in _KEYS if name in profile}
        if not found and any(name in profile for name in _SIGN_IN):
            raise ConfigurationError(
                f"the AWS profile {_chosen()} signs in through another program. Put its keys into "
                f'the environment: eval "$(aws configure export-credentials --profile {_chosen()} '
                '--format env)"'
            )
    return found


def fingerprint(keys: dict[str, str]) -> str:
    """Return what tells keys apart without telling them."""
    return hashlib.sha256("\n".join(keys.values()).encode()).hexdigest()


def keys_for_polars(_fingerprint: str) -> tuple[dict[str, str], int]:
    """Return the keys and until when they need not be asked for again.

    Polars takes the keys that it once got for those of any provider pickled to the same bytes, so
    the fingerprint is part of it.
    """
    return s3_keys(), int((datetime.now(UTC) + _FRESH).timestamp())


def keys_for_obstore() -> S3Credential:
    """Return the keys and until when they need not be asked for again."""
    keys = s3_keys()
    return {
        "access_key_id": keys["aws_access_key_id"],
        "secret_access_key": keys["aws_secret_access_key"],
        "token": keys.get("aws_session_token"),
        "expires_at": datetime.now(UTC) + _FRESH,
    }


def _variable(*names: str) -> str | None:
    return next((text for name in names if (text := os.environ.get(name))), None)


def _chosen() -> str:
    return _variable("AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"


def _profile() -> dict[str, str]:
    """What the files of AWS say under the chosen profile."""
    name = _chosen()
    config = Path(_variable("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    shared = Path(_variable("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    sections = [
        (config, name if name == "default" else f"profile {name}"),
        (shared, name),
    ]
    found: dict[str, str] = {}
    known = name == "default"
    for path, section in sections:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):  # its text may tell a key
            raise ConfigurationError(f"{path} cannot be read as a file of AWS profiles") from None
        if parser.has_section(section):
            known = True
            found |= {key: text for key, text in parser.items(section) if text}
    if not known:
        raise ConfigurationError(
            f"AWS_PROFILE is {name}, and neither {config} nor {shared} has such a profile"
        )
    return found
