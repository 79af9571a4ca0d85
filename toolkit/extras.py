"""The error for a missing optional package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import MissingExtraError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import into an error that names the extra to install.

    Examples:
        >>> with extra("sandbox"):
        ...     import fastapi
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        raise MissingExtraError(
            f"{package} is not installed. The extra {name!r} installs it: "
            f'pip install "so2-toolkit[{name}]"'
        ) from error
