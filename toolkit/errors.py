"""Every error the toolkit raises on purpose.

ToolkitError
├── ConfigurationError     no platform, no token, or an invalid setting
│   └── MissingExtraError  an optional package is not installed; names the extra to install
├── AuthenticationError    the platform refused the token, or showed a login page
├── TransportError         no response, a broken one, or an unsuccessful one
├── WireFormatError        the body is not valid JSON of records; says where
├── SchemaError            a frame or a record lacks a column or a value; says what exists
├── ArgumentError          an invalid argument; also a ValueError
├── QualityError           a check failed and the caller asked to stop
├── DisclosureError        a table cannot be protected, or would identify a person
├── SnapshotError          a snapshot is missing, changed, in use or under another key
└── ReportError            no page of a report could be made, or it cannot be written

A message says what happened, where, and what to do next. None holds the token.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters or more: one is a drive
_OF_POLARS = re.compile(r"([^:]+) \(os error (\d+)\)")
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR}
_REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: "Free space, or name another folder.",
    errno.EDQUOT: "Free space, or name another folder.",
    errno.ENOENT: "Create its folder, or name another.",
    errno.EISDIR: "Name a file in it.",
}


class ToolkitError(Exception):
    """The base of every error the toolkit raises on purpose.

    Examples:
        >>> import toolkit as tk
        >>> try:
        ...     tk.read(b"[", "grades")
        ... except tk.ToolkitError as error:
        ...     type(error).__name__
        'WireFormatError'
    """


class ConfigurationError(ToolkitError):
    """The platform, the token or another setting is missing or invalid."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional package is not installed; names the extra to install."""


class AuthenticationError(ToolkitError):
    """The platform refused the token, or responded with its login page."""


class TransportError(ToolkitError):
    """The platform gave no response, a broken one, or an unsuccessful one.

    Attributes:
        status: The HTTP status if there was one, else None.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WireFormatError(ToolkitError):
    """A body is malformed.

    Attributes:
        offset: 0-based position of the first wrong byte in the decoded body.
        line: 1-based line of that byte.
        column: 1-based column of that byte, counted in bytes.
        record: 0-based number of the record that contains it; None outside records.
    """

    def __init__(
        self, message: str, *, offset: int, line: int, column: int, record: int | None = None
    ) -> None:
        super().__init__(message)
        self.offset = offset
        self.line = line
        self.column = column
        self.record = record


class SchemaError(ToolkitError):
    """A frame or a record lacks a column, or a column has another type."""


class ArgumentError(ToolkitError, ValueError):
    """An argument has an invalid value; says which values are valid."""


class QualityError(ToolkitError):
    """A check at or above the named severity failed."""


class DisclosureError(ToolkitError):
    """A table cannot be protected, or an output would identify a person."""


class SnapshotError(ToolkitError):
    """A snapshot is missing, damaged, in use, or under another pseudonym key."""


class ReportError(ToolkitError):
    """No page of a report could be made, or there is no such notebook or course."""


@contextmanager
def writing(
    path: Path, kind: type[ToolkitError] = ArgumentError, *, left: str = ""
) -> Iterator[None]:
    """Turn a failed write into one error that says what to do.

    `left` is a sentence that says what remains on disk.

    Examples:
        >>> with writing(Path("report")):
        ...     raise PermissionError(13, "Permission denied")
        Traceback (most recent call last):
        toolkit.errors.ArgumentError: report cannot be written: Permission denied. Name a folder
        that you may write to.
    """
    if _ADDRESS.match(path.as_posix()):
        raise kind(
            f"{path.as_posix().replace(':/', '://', 1)} is an address, and only snapshots are "
            "written to one; name a folder on this machine"
        )
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        raise kind(f"{path} cannot be written: {_advice(error)} {left}".rstrip()) from None


def reason(error: Exception) -> str:
    """Say why a file cannot be read or written, without a number or a path.

    Examples:
        >>> reason(PermissionError(13, "Permission denied", "a.csv"))
        'Permission denied'
    """
    return _reason(error)[0]


def _reason(error: Exception) -> tuple[str, int | None]:
    """Return the reason of a failure and its number."""
    if found := _OF_POLARS.search(str(error)):
        return found[1].strip(), int(found[2])
    return getattr(error, "strerror", None) or str(error), getattr(error, "errno", None)


def _advice(error: Exception) -> str:
    """Say why a write failed, and what to do."""
    why, number = _reason(error)
    if number in _IN_THE_WAY:
        return "a file, or a link to nothing, is where a folder is needed. Name another folder."
    return f"{why}. {_REMEDIES.get(number, 'Name a folder that you may write to.')}"
