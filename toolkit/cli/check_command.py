"""`so2 check`: check a platform, a snapshot or a saved body, for people and for CI."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import toolkit as tk
from toolkit.cli.messages import print_error, print_table
from toolkit.config import settings
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.loading.load import ResourceName
from toolkit.schemas import RESOURCES
from toolkit.snapshots.store_path import place
from toolkit.text.naming import clean

COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


Format = Literal["table", "json", "junit"]
Severity = Literal["critical", "warning", "info"]


def check_command(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A snapshot (its folder or s3://bucket/path) or a saved body; else the platform."
        ),
    ] = None,
    resource: Annotated[
        str | None, typer.Option(help="What the saved body contains, if not clear from its name.")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="When the saved body was retrieved (UTC).")
    ] = None,
    course_id: Annotated[
        list[str] | None, typer.Option(help="Check only this course of the platform; repeatable.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="An earlier snapshot; check for sudden shifts since then.")
    ] = None,
    suite: Annotated[
        list[Path] | None, typer.Option(help="Your own GX suite (JSON); repeatable.")
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option(help="Exit with 1 if a check of this severity or worse fails.")
    ] = "critical",
    written: Annotated[Format, typer.Option("--format", help="Output format.")] = "table",
    html: Annotated[
        Path | None, typer.Option(help="Write Data Docs, which open offline, to this folder.")
    ] = None,
) -> None:
    """Check the data: what failed, in how many records, what it means and what to do.

    Exits with 0 if no check at or above --fail-on failed, with 1 if one did, and with 2 if the
    data could not be checked or the outcome not written. Learners appear under pseudonyms made for
    this run; to look them up, use tk.check(…).failures.
    """
    try:
        if since is not None:
            others = {"resource": resource, "as_of": as_of, "course_id": course_id, "suite": suite}
            _refuse("--since", **others)
            report = tk.quality.check_snapshots(tk.open_snapshot(since), _snapshot(data))
        else:
            report = _checked(data, resource, as_of, course_id, suite or [])
        if html is not None:
            report.to_html(html)
        if written == "table":
            _print_table(report)
        else:
            typer.echo(report.to_json() if written == "json" else report.to_junit())
    except BrokenPipeError:  # its reader has seen enough
        raise
    except (ToolkitError, OSError) as error:
        print_error(error)
        raise typer.Exit(2) from None
    raise typer.Exit(1 if report.failed(fail_on) else 0)


def _checked(
    data: Path | None,
    resource: str | None,
    as_of: datetime | None,
    course_id: list[str] | None,
    suites: list[Path],
) -> tk.quality.QualityReport:
    if data is not None and isinstance(path := place(data), Path):
        if not path.exists():
            raise ConfigurationError(f"there is no file or folder {path}")
        if not path.is_dir():  # a pipe, too
            _refuse("a saved body", course_id=course_id)
            return _checked_body(path, resource, as_of, suites)
    _refuse("a snapshot or a platform", resource=resource, as_of=as_of)
    if data is not None or settings().snapshot is not None:
        _refuse("a snapshot", course_id=course_id)
        return tk.check(tk.Study.scan(_snapshot(data)), suites=suites)
    with tk.connect() as platform:
        study = tk.load_study(platform, course_id=course_id or None)
    return tk.check(study, suites=suites)


def _refuse(checked: str, **options: object) -> None:
    """Raise if an option was given that says nothing of what is checked."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise ConfigurationError(f"{' and '.join(given)} cannot be used with {checked}")


def _checked_body(
    path: Path, resource: str | None, as_of: datetime | None, suites: list[Path]
) -> tk.quality.QualityReport:
    name = cast(
        "ResourceName", resource or next((name for name in RESOURCES if name in path.stem), "")
    )
    if name not in RESOURCES:
        raise ConfigurationError(f"say what {path} contains: --resource {'|'.join(RESOURCES)}")
    frame: dict[str, Any] = {name: tk.read(path, name)}
    return tk.check(**frame, as_of=as_of, suites=suites)


def _snapshot(folder: Path | None) -> tk.Snapshot:
    chosen = folder or settings().snapshot
    if chosen is None:
        raise ConfigurationError("name the later snapshot, too: so2 check FOLDER --since EARLIER")
    return tk.open_snapshot(chosen)


def _print_table(report: tk.quality.QualityReport) -> None:
    console = Console()
    console.print(report.summary, style="bold", markup=False, highlight=False)
    if report.ok:
        return
    from toolkit.quality.outcome import worst_first  # takes seconds to import
    from toolkit.quality.rendering import cells

    table = Table()
    for name in ("severity", "data", "failed expectation", "records", "examples"):
        table.add_column(name, overflow="fold")
    for failed in worst_first(report.released):
        severity, frame, expects, amount, _, detail = cells(failed)
        table.add_row(
            Text(severity, COLOURS[failed.severity]),
            frame,
            Text.assemble(expects, "\n", (f"{failed.why} {failed.do}", "dim")),
            Text(clean(amount)),
            Text("\n".join(map(clean, detail.split(", ")))),
        )
    print_table(table)
