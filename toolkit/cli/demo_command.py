"""`so2 demo`: the whole workflow on simulated or OULAD learners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import toolkit as tk
from toolkit.cli.report_command import show_report, write_with_progress


def demo_command(
    folder: Annotated[Path, typer.Option(help="Where to write the report.")] = Path("report"),
    oulad: Annotated[
        Path | None, typer.Option(help="A folder of OULAD tables, for real learners.")
    ] = None,
    learners: Annotated[
        int, typer.Option(envvar="SO2_SANDBOX_LEARNERS", help="How many learners to simulate.")
    ] = 5_000,
    seed: Annotated[
        int, typer.Option(envvar="SO2_SANDBOX_SEED", help="The same seed gives the same learners.")
    ] = 7,
) -> None:
    """Start the sandbox, load and check its data, run the notebooks, and write the report.

    Needs no platform and no network; a configured platform is not contacted.
    """
    with tk.sandbox(learners, seed, oulad=oulad) as platform:
        typer.echo(". ".join(filter(None, [f"This reads {platform.label}", platform.remark])))
        show_report(write_with_progress(folder, source=platform))
