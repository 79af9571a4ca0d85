"""The `so2` command, whose subcommands call the Python API."""

import os
import signal
import sys
from collections.abc import Callable


def main() -> None:
    """Run `so2`, or say what to install for it."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if is_usual:  # an import may swallow the exception of the usual handler
            signal.signal(signal.SIGINT, lambda *_: os._exit(130))
        run = _loaded()
        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:  # outside a command
        sys.exit(130)


def _loaded() -> Callable[[], None]:
    from toolkit.errors import MissingExtraError
    from toolkit.extras import extra

    try:
        with extra("cli"):
            import rich as _rich  # noqa: F401
            import typer as _typer  # noqa: F401
    except MissingExtraError as error:
        sys.exit(f"so2: {error}")
    from toolkit.cli.app import main as run

    return run
