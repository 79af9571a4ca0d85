"""Print errors, warnings and tables as plain text that cannot control the terminal."""

from __future__ import annotations

import sys
import warnings

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit.errors import reason
from toolkit.text.naming import clean

_NARROWEST = 12  # characters for each column of a table


def print_error(message: object) -> None:
    """Print an error to standard error as plain text, whatever it quotes."""
    if isinstance(message, OSError) and message.filename is None:  # such as standard output
        message = f"the output cannot be written: {reason(message)}"
    text = "\n".join(map(clean, str(message).splitlines()))
    Console(stderr=True).print(f"so2: {text}", style="bold red", markup=False, highlight=False)


def print_table(table: Table) -> None:
    """Print a table; where the terminal is too narrow for it, a line for each value."""
    console = Console()
    if console.width >= _NARROWEST * len(table.columns):
        console.print(table)
        return
    if table.title:
        console.print(table.title)
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        console.print()
        for column, cell in zip(table.columns, cells, strict=True):
            console.print(Text.assemble(f"{column.header}: ", cell))


def shorten_warnings() -> None:
    """From now on, print each warning as one line, without its location in the code."""
    warnings.showwarning = _print_warning


def _print_warning(message: Warning | str, *_place: object, **_more: object) -> None:
    sys.stderr.write(f"so2: {clean(str(message))}\n")
