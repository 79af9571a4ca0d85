"""Every error the toolkit raises on purpose.

ToolkitError
├── ConfigurationError     no platform, no token, a setting that cannot be
│   └── MissingExtraError  an optional package is not installed; names the extra that brings it
├── AuthenticationError    the platform refused the token, or showed a login page
├── TransportError         no answer, a broken answer, an answer that is no success
├── WireFormatError        the body is not the JSON it should be; says where
├── SchemaError            a frame or a record lacks what it needs; says what exists
├── ArgumentError          an argument that cannot be; a ValueError too
├── QualityError           a check failed and the caller asked to be stopped
├── DisclosureError        a table cannot be protected, or would give a person away
├── SnapshotError          a snapshot is missing, changed, in use or of another key
└── ReportError            no page of a report could be made, or it cannot be written

A message says what happened, where, and what to do next. None holds the token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl


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
    """The platform, the token or another setting is missing or impossible."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional package is not installed; names the extra that brings it."""


class AuthenticationError(ToolkitError):
    """The platform refused the token, or answered with its login page."""


class TransportError(ToolkitError):
    """The platform gave no answer, a broken one, or one that is no success.

    Attributes:
        status: The HTTP status where there was one, else None.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WireFormatError(ToolkitError):
    """A body is not well-formed.

    Attributes:
        offset: 0-based position of the first wrong byte in the decoded body.
        line: 1-based line of that byte.
        column: 1-based column of that byte, counted in bytes.
        record: 0-based number of the record it lies in, None outside of records.
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
    """An argument of a function has a value that cannot be; says which values can."""


class QualityError(ToolkitError):
    """A check at or above the named severity failed."""


class DisclosureError(ToolkitError):
    """A table cannot be protected, or a pseudonym key is missing or weak."""


class SnapshotError(ToolkitError):
    """A snapshot is missing, damaged, in use, or under another pseudonym key."""


class ReportError(ToolkitError):
    """No page of a report could be made, or there is no such notebook or course."""


@contextmanager
def writing(
    path: Path, kind: type[ToolkitError] = ArgumentError, *, left: str = ""
) -> Iterator[None]:
    """Raise one error with advice where the disk is full, or does not let itself be written.

    Args:
        path: What is being written, a file or a folder.
        kind: Which error to raise.
        left: A sentence on what is there then.

    Examples:
        >>> with writing(Path("report")):
        ...     raise PermissionError(13, "Permission denied")
        Traceback (most recent call last):
        toolkit.errors.ArgumentError: report cannot be written: Permission denied. Free space, or
        name a folder that you may write to.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind(
            f"{path} cannot be written: {reason}. Free space, or name a folder that you may write "
            f"to. {left}".rstrip()
        ) from None
