"""What the notebooks need beyond the toolkit itself."""

from __future__ import annotations

from importlib.util import find_spec

from toolkit.errors import ConfigurationError

_NEEDED = ("ipykernel", "nbclient", "nbconvert", "vl_convert")


def require_notebook_extra(*more: str) -> None:
    """Raise if the extra `notebooks` is not installed.

    Args:
        more: Further modules that the caller needs.

    Raises:
        ConfigurationError: Names what is missing and how to install it.
    """
    missing = [name for name in (*_NEEDED, *more) if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} not installed; do pip install 'so2-toolkit[notebooks]'"
        )
