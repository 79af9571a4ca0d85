"""Optional parts of the installation, and the error where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import MissingExtraError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn an import that fails into an error that names the extra that brings the package.

    Args:
        name: One of the extras in pyproject.toml.

    Raises:
        MissingExtraError: A package that was imported inside is not installed.

    Examples:
        >>> with extra("sandbox"):
        ...     import fastapi
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        raise MissingExtraError(
            f"{package} is not installed. It comes with the extra {name!r}: "
            f'pip install "so2-toolkit[{name}]"'
        ) from error
