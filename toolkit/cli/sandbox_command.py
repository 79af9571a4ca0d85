"""`so2 sandbox` and `so2 demo`: the embedded platform, for other programs or for a report."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.report_command import write_and_show
from toolkit.sandbox.start import sandbox_as_set

if TYPE_CHECKING:  # importing it would import a web server
    from toolkit.sandbox.start import SandboxPlatform

Learners = Annotated[
    int | None,
    typer.Option(help="How many learners to simulate; else SO2_SANDBOX_LEARNERS, else 5000."),
]
Seed = Annotated[
    int | None,
    typer.Option(help="The same seed gives the same bytes; else SO2_SANDBOX_SEED, else 7."),
]
OuladFolder = Annotated[
    Path | None, typer.Option(help="A folder of OULAD tables, for real learners; else SO2_OULAD.")
]

# Short, because an endless wait on Windows would ignore Ctrl+C.
_LISTEN_SECONDS = 0.5


def sandbox_command(
    learners: Learners = None,
    seed: Seed = None,
    oulad: OuladFolder = None,
    faults: Annotated[
        str | None, typer.Option(help="Faults to produce, such as slow:0.1,rate-limit:2.")
    ] = None,
    port: Annotated[int, typer.Option(help="The port on loopback; 0 picks a free one.")] = 0,
) -> None:
    """Serve an embedded platform on loopback until Ctrl+C.

    Prints the settings with which the toolkit, in another terminal, reads from it. The token is
    made for this run and gives access to nothing else.
    """
    with sandbox_as_set(learners, seed, oulad=oulad, faults=faults, port=port) as platform:
        typer.echo(connection(platform))
        try:
            while True:
                threading.Event().wait(_LISTEN_SECONDS)
        except KeyboardInterrupt:
            typer.echo("stopped")


def demo_command(
    folder: Annotated[Path, typer.Option(help="Where to write the report.")] = Path("report"),
    oulad: OuladFolder = None,
    learners: Learners = None,
    seed: Seed = None,
) -> None:
    """Start the sandbox, load and check its data, run the notebooks, and write the report.

    Needs no platform and no network; a configured platform is not contacted.
    """
    with sandbox_as_set(learners, seed, oulad=oulad) as platform:
        typer.echo(". ".join(filter(None, [f"This reads {platform.label}", platform.remark])))
        write_and_show(folder, source=platform)


def connection(platform: SandboxPlatform, *, windows: bool = os.name == "nt") -> str:
    """Return the lines that tell another program the sandbox's address and temporary token."""
    prefix, quote = ("$env:", '"') if windows else ("export ", "")
    settings = {"SO2_BASE_URL": platform.base_url, "SO2_TOKEN": platform.token}
    return "\n".join(
        [
            platform.label,
            *([f"  {platform.remark}"] if platform.remark else []),
            f"  documentation: {platform.base_url}/docs",
            "To read from it, set in another terminal:",
            *(f"  {prefix}{name}={quote}{value}{quote}" for name, value in settings.items()),
            "Ctrl+C stops it.",
        ]
    )
