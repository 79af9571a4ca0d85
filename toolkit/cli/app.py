"""The `so2` app: its commands, and the printing of errors.

Each command has its own module and uses the API through `import toolkit as tk`, whose names load
when used: `so2 --help` does not wait for JupyterLab or Great Expectations.
"""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from toolkit.cli.check_command import check_command
from toolkit.cli.lab_command import lab_command
from toolkit.cli.messages import print_error, shorten_warnings
from toolkit.cli.report_command import report_command
from toolkit.cli.sandbox_command import demo_command, sandbox_command
from toolkit.cli.snapshot_commands import (
    compare_command,
    export_command,
    fetch_command,
    reidentify_command,
    snapshots_command,
)
from toolkit.errors import ToolkitError

app = typer.Typer(
    help="Load, check, analyse and report learner grades from an Open edX platform.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    pretty_exceptions_show_locals=False,  # a traceback with locals would show learners
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"so2-toolkit {version('so2-toolkit')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Declare the options that precede the command."""


for name, command in (
    ("demo", demo_command),
    ("sandbox", sandbox_command),
    ("check", check_command),
    ("report", report_command),
    ("lab", lab_command),
    ("fetch", fetch_command),
    ("snapshots", snapshots_command),
    ("compare", compare_command),
    ("export", export_command),
    ("reidentify", reidentify_command),
):
    app.command(name)(command)


def _tidy_up_when_ended() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl+C does: what it wrote aside is deleted."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def main() -> None:
    """Run `so2`; a `ToolkitError`, or a full disk, ends it with status 1 and only a message."""
    shorten_warnings()
    _tidy_up_when_ended()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as for errors, where it is not UTF-8
    try:
        app()
    except OSError as error:
        if error.filename is not None:
            raise
        print_error(error)
        sys.exit(1)
    except ToolkitError as error:
        print_error(error)
        sys.exit(1)
