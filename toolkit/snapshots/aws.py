"""The endpoint and credentials of S3 as boto3 finds them, for obstore and Polars."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from toolkit.config import clean_url, is_loopback, settings
from toolkit.errors import ConfigurationError
from toolkit.extras import extra

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import ObjectStore

_RETRIES = 5
_FRESH = timedelta(minutes=10)  # botocore renews keys that would end sooner


def s3(root: str) -> tuple[ObjectStore, dict[str, Any]]:
    """Return a bucket for obstore, and the options with which Polars reads it, without any key."""
    with extra("cloud"):
        import boto3  # noqa: F401  (obstore's provider of keys needs it)
        from obstore.store import from_url
    with _without_secrets():
        session = _session()
        keys = _keys(session)
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        region = region or "us-east-1"
        endpoint = _endpoint(session, region)
        allow_http = _is_http(endpoint)
        frozen = keys.credentials.get_frozen_credentials()  # asks for a role, at the endpoint
    store = from_url(
        root,
        config={"region": region, "endpoint": endpoint},
        client_options={"allow_http": allow_http},
        retry_config={"max_retries": _RETRIES},
        credential_provider=keys,
    )
    options = {"aws_region": region, "aws_endpoint": endpoint}
    options["aws_allow_http"] = str(allow_http).lower()
    fingerprint = hashlib.sha256(repr(frozen).encode()).hexdigest()
    provider = partial(keys_for_polars, fingerprint)
    return store, {"storage_options": options, "credential_provider": provider}


def keys_for_polars(_fingerprint: str) -> tuple[dict[str, str], int]:
    """Return the keys, and the time until which Polars may reuse them.

    Polars reuses them for any provider that pickles to the same bytes, so the fingerprint is part
    of it.
    """
    with _without_secrets():
        keys = _keys(_session())()
    named = {
        "aws_access_key_id": keys["access_key_id"],
        "aws_secret_access_key": keys["secret_access_key"],
    }
    if token := keys.get("token"):
        named["aws_session_token"] = token
    return named, int((datetime.now(UTC) + _FRESH).timestamp())


@cache
def _services() -> Any:
    """Return botocore's data about services, which take a tenth of a second to read."""
    from botocore.loaders import create_loader

    return create_loader()


def _session() -> Any:
    from botocore.session import get_session

    session = get_session()
    session.register_component("data_loader", _services())
    return session


def _keys(session: Any) -> Boto3CredentialProvider:
    from obstore.auth.boto3 import Boto3CredentialProvider

    if session.get_credentials() is None:
        raise ConfigurationError(
            "there are no credentials; for S3 set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    return Boto3CredentialProvider(session, ttl=_FRESH)


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Say why keys cannot be read, without quoting programs or services, which may leak keys."""
    from botocore import exceptions as of

    harmless = (of.ProfileNotFound, of.PartialCredentialsError, of.SSOError, of.TokenRetrievalError)
    try:
        yield
    except (of.BotoCoreError, of.ClientError, OSError, RuntimeError, KeyError, ValueError) as error:
        why = str(error) if isinstance(error, harmless) else type(error).__name__
        raise ConfigurationError(f"AWS credentials cannot be read: {why}") from None


def _endpoint(session: Any, region: str) -> str:
    try:
        if "" in map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")):
            raise ValueError  # boto3 would go to AWS
        return clean_url(session.create_client("s3", region_name=region).meta.endpoint_url)
    except ValueError:  # its message may hold a password
        raise ConfigurationError(
            "AWS_ENDPOINT_URL and AWS_REGION, or those of the profile, must look like "
            "https://store.example.com and eu-west-1"
        ) from None


def _is_http(endpoint: str) -> bool:
    """Whether an endpoint is plain http; raise if that is not allowed."""
    parts = urlsplit(endpoint)
    if parts.scheme != "http":
        return False
    if not is_loopback(parts.hostname) and not settings().allow_http:
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send records unencrypted. Use https, or set "
            "SO2_ALLOW_HTTP=true if you trust the connection."
        )
    return True
