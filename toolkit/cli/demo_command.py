"""`so2 demo`: the whole workflow on simulated or OULAD learners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.report_command import show_report, write_with_progress
from toolkit.cli.sandbox_command import Learners, OuladFolder, Seed
from toolkit.sandbox.start import sandbox_as_set


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
        show_report(write_with_progress(folder, source=platform))
