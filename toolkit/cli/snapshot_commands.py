"""`so2 fetch`, `snapshots`, `compare`, `export`, `reidentify`: commands for snapshots."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table
from rich.text import Text

import toolkit as tk
from toolkit.cli.messages import print_table
from toolkit.errors import ArgumentError, SnapshotError
from toolkit.loading.load import about
from toolkit.sandbox.start import sandbox_as_set
from toolkit.schemas import RESOURCES
from toolkit.text.naming import clean

_SHARES = ("unique", "below_5")
Folder = Annotated[str, typer.Argument(help="The snapshot's folder, or s3://bucket/path.")]


def fetch_command(
    folder: Annotated[
        str,
        typer.Argument(help="Where to put it, such as snapshots/2026-01-01 or s3://bucket/path."),
    ],
    course: Annotated[
        list[str] | None, typer.Option(help="Save only this course; repeatable.")
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Save the embedded sandbox's learners instead.")
    ] = False,
    keep_identities: Annotated[
        bool, typer.Option("--keep-identities", help="Keep usernames and email addresses on disk.")
    ] = False,
) -> None:
    """Save the platform's current data as a snapshot.

    By default, usernames become pseudonyms and email addresses are left out.
    """
    with sandbox_as_set() if sandbox else tk.connect() as platform:
        tk.take_snapshot(
            platform,
            folder,
            course_id=course,
            identities="keep" if keep_identities else "pseudonymous",
        )
    snapshots_command(folder)


def snapshots_command(
    folder: Annotated[
        str, typer.Argument(help="A folder of snapshots, or s3://bucket/path, or one snapshot.")
    ] = "snapshots",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file against its checksum.")
    ] = False,
) -> None:
    """List the snapshots in a folder."""
    listed = tk.snapshots.list_snapshots(folder)
    if listed.is_empty():
        raise SnapshotError(f"{folder} holds no snapshot; take one with `so2 fetch FOLDER`")
    for place in listed["folder"] if verify else ():
        tk.open_snapshot(place)
    title = "Snapshots, all files verified" if verify else "Snapshots"
    _print(pl.DataFrame([_in_brief(row) for row in listed.iter_rows(named=True)]), title=title)


def _in_brief(row: dict[str, Any]) -> dict[str, str]:
    """Describe a snapshot in few columns, to fit a line of 80 characters."""
    key = "" if row["key_fingerprint"] is None else f", key {row['key_fingerprint']}"
    return {
        "folder": row["folder"],
        "as of": f"{row['as_of']:%Y-%m-%d %H:%M}",
        "source": row["source"],
        "identities": f"{row['identities']}{key}",
        "records": ", ".join(f"{about(row[name])} {name}" for name in (*RESOURCES, "problems")),
        "MB": f"{row['bytes'] / 1e6:.1f}",
    }


def compare_command(
    earlier: Annotated[str, typer.Argument(help="The earlier snapshot's folder.")],
    later: Annotated[str, typer.Argument(help="The later snapshot's folder.")],
    output: Annotated[
        Path | None, typer.Option(help="Write every changed value to this CSV file.")
    ] = None,
) -> None:
    """Show what changed between two snapshots, counted by course.

    Counts under 10 are withheld. The CSV file has a row per changed value, with the pseudonyms of
    the snapshots, or their usernames if they keep identities.
    """
    changes = tk.compare_snapshots(tk.open_snapshot(earlier), tk.open_snapshot(later))
    counts = changes.counts.release()
    if counts.frame.is_empty():
        typer.echo(f"Nothing changed from {clean(earlier)} to {clean(later)}.")
    else:
        _print(counts.frame, title=f"Changes from {earlier} to {later}")
    if counts.caption:
        typer.echo(counts.caption)
    if output is not None:
        tk.snapshots.write_csv(changes.values, output)
        typer.echo(f"{changes.values.height:,} changed values in {output}")


def export_command(
    folder: Folder,
    output: Annotated[Path, typer.Argument(help="A folder for the CSV files.")],
    for_sharing: Annotated[
        bool,
        typer.Option(
            "--for-sharing",
            help="Write coarser values and numbers for learners, and print the risk.",
        ),
    ] = False,
) -> None:
    """Write a snapshot as CSV files that are safe to open in a spreadsheet."""
    if for_sharing:
        shared = tk.snapshots.export_for_sharing(tk.open_snapshot(folder), output)
        for path in shared.files:
            typer.echo(path)
        percents = [pl.format("{}%", (pl.col(n) * 100).round(1)).alias(n) for n in _SHARES]
        _print(shared.risk.with_columns(percents), title="Records alike in course, dates and grade")
        return
    for path in tk.snapshots.export_csv(tk.open_snapshot(folder), output):
        typer.echo(path)


def reidentify_command(
    usernames: Annotated[
        list[str] | None, typer.Argument(help="Usernames; by default, read from standard input.")
    ] = None,
) -> None:
    """Print the pseudonyms of usernames, for the holder of the key.

    Prints two columns, separated by a tab. Nothing is written to disk.
    """
    names = usernames or _lines_of_input()
    for username, pseudonym in tk.release.reidentify(names).iter_rows():
        typer.echo(f"{username}\t{pseudonym}")


def _lines_of_input() -> list[str]:
    """Return the lines of standard input that are not empty."""
    if sys.stdin is None:  # closed
        return []
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig")  # some editors mark UTF-8 so
    try:
        return [line.strip() for line in sys.stdin if line.strip()]
    except UnicodeDecodeError:
        raise ArgumentError("standard input is not text in UTF-8") from None


def _print(frame: pl.DataFrame, *, title: str) -> None:
    table = Table(title=Text(clean(title)), title_justify="left")
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(f"{v:,}" if isinstance(v, int) else Text(_shown(v)) for v in row))
    print_table(table)


def _shown(value: object) -> str:
    """Show a value as one line of text, whatever the platform sent."""
    return "–" if value is None else clean(str(value))
