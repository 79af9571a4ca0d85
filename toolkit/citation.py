"""Cite the toolkit, with the version that computed the figures."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from toolkit.errors import ArgumentError

AUTHORS = "The SO2 toolkit authors"
YEAR = 2026  # of the release; CITATION.cff says the same


def cite(form: Literal["text", "bibtex"] = "text") -> str:
    """Return a citation of the installed version.

    Args:
        form: "text" for a reference list, "bibtex" for LaTeX.

    Raises:
        ArgumentError: There is no such form.

    Examples:
        >>> import toolkit as tk
        >>> print(tk.cite())
        The SO2 toolkit authors (2026). SO2 toolkit (version ...) [Computer software].
    """
    installed = version("so2-toolkit")
    if form == "text":
        return f"{AUTHORS} ({YEAR}). SO2 toolkit (version {installed}) [Computer software]."
    if form == "bibtex":
        return (
            "@software{so2_toolkit,\n"
            f"  author  = {{{{{AUTHORS}}}}},\n"
            "  title   = {{SO2 toolkit}},\n"
            f"  year    = {{{YEAR}}},\n"
            f"  version = {{{installed}}},\n"
            "}"
        )
    raise ArgumentError(f"`form` must be 'text' or 'bibtex', not {form!r}.")
