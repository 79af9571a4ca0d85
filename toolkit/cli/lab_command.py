"""`so2 lab`: open the notebooks in JupyterLab, in the user's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import toolkit as tk
from toolkit.extras import extra


def lab_command(
    folder: Annotated[Path, typer.Option(help="The working folder.")] = Path("so2-notebooks"),
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port on loopback.")] = 8888,
) -> None:
    """Copy the notebooks to a working folder and open the first in JupyterLab.

    A notebook you have changed is left as it is.
    """
    with extra("notebooks"):
        import jupyterlab as _jupyterlab  # noqa: F401
    fresh, kept = tk.reports.copy_notebooks(folder)
    first = min([*fresh, *kept])
    typer.echo(f"{len(fresh) + len(kept)} notebooks in {first.parent}")
    for path in kept:
        typer.echo(f"  {path.name}: yours, left as it is")
    command = [sys.executable, "-m", "jupyter", "lab", f"--port={port}", first.name]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers; Jupyter refuses otherwise
        command.append("--allow-root")
    try:
        # Our own interpreter and a notebook that we copied.
        done = subprocess.run(command, cwd=first.parent, check=False)  # noqa: S603
    except KeyboardInterrupt:
        raise typer.Exit from None
    raise typer.Exit(done.returncode)
