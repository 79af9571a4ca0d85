"""`so2 report`: run the notebooks and write the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import toolkit as tk
from toolkit.cli.messages import print_error
from toolkit.reports.key_figures import as_tiles
from toolkit.text.naming import clean


def report_command(
    notebook: Annotated[
        list[str] | None,
        typer.Argument(help="Names such as 02, or notebook files; by default, the toolkit's own."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where to write it.")] = Path("report"),
    course_id: Annotated[str | None, typer.Option(help="One course instead of all.")] = None,
    title: Annotated[
        str | None, typer.Option(help='The report\'s title; by default "Learner report".')
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="The language of its frame: en or es.")
    ] = None,
) -> None:
    """Run the notebooks and write them as pages that need no network.

    Reads the source in the settings: a platform (SO2_BASE_URL, SO2_TOKEN) or a snapshot
    (SO2_SNAPSHOT), else the sandbox. If a notebook fails, its page says so, and the command names
    the cell and exits with 1.
    """
    write_and_show(
        folder,
        notebooks=notebook or None,
        parameters={"course_id": course_id} if course_id else {},
        title=title,
        language=language,
    )


def write_and_show(folder: Path, **options: Any) -> None:
    """Write the report under a progress bar of executed cells; print where it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("Loading", total=None)

        def begun(n_cells: int) -> None:
            progress.update(task, description="Executing notebooks", total=n_cells)

        def executed(name: str) -> None:
            progress.update(task, description=name, advance=1)

        report = tk.write_report(folder, on_start=begun, on_cell=executed, **options)
    console = Console()
    table = Table(title=escape(clean(report.caption)), title_justify="left")
    table.add_column("Figure")
    table.add_column("Value", justify="right")
    table.add_column("Meaning")
    for tile in as_tiles(report.key_figures):
        table.add_row(*(escape(clean(text)) for text in tile.values()))
    console.print(table)
    console.print(f"Open {report.index} in a browser ({report.seconds:.0f} s).")
    if report.pdf is not None:
        console.print(f"The overview as PDF: {report.pdf}")
    if report.failures:
        print_error("\n".join(report.failures))
        raise typer.Exit(1)
