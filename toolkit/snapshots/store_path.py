"""Paths in an object store, with the part of `pathlib.Path` that snapshots use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from toolkit.errors import ConfigurationError, SnapshotError
from toolkit.extras import extra
from toolkit.schemas.arguments import a_path
from toolkit.snapshots import aws

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # of two letters: one is a Windows drive
_ADDRESS = re.compile(r"(s3|gs|az)://([\w.-]+)((?:/[\w .,=@+:()-]+)*)/*")
_PART = 16 * 2**20  # bytes of a file that are sent or received at once
_PARTS_AT_ONCE = 4


class _RefusedError(OSError):
    """A request failed; says why."""


@dataclass(frozen=True)
class StorePath:
    """An object, or all objects below a prefix, as a path is a file or a folder.

    A failed request raises an `OSError` that says why in the store's own code, such as
    AccessDenied, and repeats nothing else of its response, which may hold keys.
    """

    root: str  # the bucket, such as "s3://bucket"
    key: str  # the path in it
    _store: ObjectStore = field(repr=False, compare=False)
    for_polars: dict[str, Any] = field(repr=False, compare=False)  # its options; no key

    @classmethod
    def of(cls, address: str) -> StorePath:
        """Return the path at an address, s3://bucket/path, gs://… or az://…."""
        found = _ADDRESS.fullmatch(address)
        key = found[3].strip("/") if found else ""
        if found is None or {".", ".."} & set(key.split("/")):
            raise SnapshotError(  # without the address: it may hold a key
                "the address of a snapshot must look like s3://bucket/path (or gs://, az://), with "
                "no user name and no query; credentials come from the environment"
            )
        root = f"{found[1]}://{found[2]}"
        store, for_polars = aws.s3(root) if found[1] == "s3" else _other(root)
        return cls(root, key, store, for_polars)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> StorePath:
        """The prefix directly above; the parent of a bucket is the bucket."""
        return self._at(self.key.rpartition("/")[0])

    def __truediv__(self, below: str) -> StorePath:
        return self._at(f"{self.key}/{below}".strip("/"))

    def __str__(self) -> str:
        return f"{self.root}/{self.key}".rstrip("/")

    def __reduce__(self) -> tuple[Callable[[str], StorePath], tuple[str]]:
        """Pickle the address only: whoever unpickles it needs keys of their own."""
        return StorePath.of, (str(self),)

    def _at(self, key: str) -> StorePath:
        return StorePath(self.root, key, self._store, self.for_polars)

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        try:
            self.size()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        return any(True for _ in self._below())

    def iterdir(self) -> Iterator[StorePath]:
        """Yield what is directly below it."""
        import obstore

        with self.safe_errors():
            found = obstore.list_with_delimiter(self._store, self.key or None)
        keys = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        # A console makes a folder by an empty object of its own name.
        yield from (self._at(key) for key in keys if key != self.key)

    def _below(self) -> Iterator[str]:
        import obstore

        with self.safe_errors():
            for chunk in obstore.list(self._store, self.key or None):
                yield from (item["path"] for item in chunk)

    def size(self) -> int:
        """Return how many bytes an object has."""
        import obstore

        with self.safe_errors():
            return obstore.head(self._store, self.key)["size"]

    def read_bytes(self) -> bytes:
        """Return a small object."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield an object in pieces."""
        import obstore

        with self.safe_errors():
            for chunk in obstore.get(self._store, self.key).stream(min_chunk_size=_PART):
                yield bytes(chunk)

    def sha256(self) -> str:
        """Return the SHA-256 of an object's bytes."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def upload(self, file: Path) -> None:
        """Upload a file, piece by piece; the object is visible once it is complete."""
        import obstore

        with self.safe_errors():
            obstore.put(
                self._store, self.key, file, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )

    def download(self, file: Path) -> None:
        """Write an object to a file, piece by piece."""
        with file.open("wb") as copy:
            copy.writelines(self.chunks())

    def create(self, body: bytes) -> None:
        """Create an object in one request.

        Raises:
            FileExistsError: It exists. A store without conditional writes may miss that.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError

        with self.safe_errors():
            try:
                obstore.put(self._store, self.key, body, mode="create", use_multipart=False)
            except AlreadyExistsError:
                raise FileExistsError(str(self)) from None
            except BaseError as error:
                if not isinstance(error, NotSupportedError) and "NotImplemented" not in str(error):
                    raise
                if self.is_file():
                    raise FileExistsError(str(self)) from None
                obstore.put(self._store, self.key, body, use_multipart=False)

    def remove(self) -> None:
        """Delete all objects below it; if there are none, the object itself."""
        import obstore

        with self.safe_errors():
            obstore.delete(self._store, list(self._below()) or self.key)

    @contextmanager
    def safe_errors(self) -> Iterator[None]:
        """Turn the error of a request, also one of Polars, into an `OSError` without secrets."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (_RefusedError, FileExistsError):
            raise
        except (BaseError, OSError, pl.exceptions.ComputeError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise FileNotFoundError(str(self)) from None
            raise _RefusedError(_reason(str(error))) from None


def _other(root: str) -> tuple[ObjectStore, dict[str, Any]]:
    """Leave it to obstore and Polars to find keys."""
    with extra("cloud"):
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    try:
        return from_url(root), {}
    except BaseError:
        raise ConfigurationError(
            f"{root} cannot be reached with these settings; gs:// takes GOOGLE_…, az:// AZURE_…"
        ) from None


def place(given: str | Path | StorePath) -> Path | StorePath:
    """Return the folder or the prefix that is named; `Path("s3://b")` counts as its address.

    Examples:
        >>> place("snapshots/2026-01-01").name
        '2026-01-01'
    """
    if isinstance(given, StorePath):
        return given
    path, text = a_path(given, name="folder"), str(given)
    if isinstance(given, Path):
        text = given.as_posix().replace(":/", "://", 1)
    return StorePath.of(text) if _SCHEME.match(text) else path


def scan(path: Path | StorePath) -> pl.LazyFrame:
    """Return the rows of a Parquet file, lazily."""
    options = path.for_polars if isinstance(path, StorePath) else {}
    return pl.scan_parquet(str(path), glob=False, **options)


def _reason(response: str) -> str:
    """Say why a request failed; the response itself may hold keys."""
    known = {
        "NoSuchBucket": "there is no such bucket",
        "computeMetadata": "there are no credentials",  # asked of a Google machine's metadata
        "credential provider": "the credentials cannot be renewed; sign in again",
        "Received redirect": "the bucket is in another region; set AWS_REGION",
    }
    for sign, meaning in known.items():
        if sign in response:
            return meaning
    said = re.search(r"<Code>(\w+)</Code>", response)
    said = said or re.search(r"status code: (\d+)", response)
    if said is None:
        return "the store does not respond"
    return f"the store {'denies access' if 'code: 403' in response else 'fails'} ({said[1]})"
