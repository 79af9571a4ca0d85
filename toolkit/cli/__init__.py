"""The `so2` command, whose subcommands call the Python API."""

import sys


def main() -> None:
    """Run `so2`, or say what to install for it."""
    try:
        _run()
    except KeyboardInterrupt:  # while still loading
        sys.exit(130)


def _run() -> None:
    from toolkit.errors import MissingExtraError
    from toolkit.extras import extra

    try:
        with extra("cli"):
            import rich as _rich  # noqa: F401
            import typer as _typer  # noqa: F401
    except MissingExtraError as error:
        sys.exit(f"so2: {error}")
    from toolkit.cli.app import main as run

    run()
