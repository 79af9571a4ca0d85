"""The last look before a report is written: nobody is named, no token is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from toolkit.errors import DisclosureError
from toolkit.extras import extra
from toolkit.reports.execution import Executed

with extra("notebooks"):
    import nbformat

# What a username or an address is made of.
_WORD = re.compile(r"[\w.@+-]+")


def refuse_identities(
    executed: Iterable[Executed], *, identities: Iterable[str], token: str | None = None
) -> None:
    """Raise if an output names a learner or holds the token.

    A word that the notebook's own text uses, such as "audit", is no identity there, even if a
    learner bears that name.

    Raises:
        DisclosureError: Names the notebook and the cell, not the learner.
    """
    named = {identity for identity in identities if identity}
    for one in executed:
        ordinary = set(_WORD.findall("\n".join(cell.source for cell in one.notebook.cells)))
        for number, cell in enumerate(one.notebook.cells, start=1):
            said = json.dumps(cell.get("outputs", []), ensure_ascii=False)
            if token and token in said:
                raise DisclosureError(f"{one.name}, cell {number}: its output holds the token")
            if (named - ordinary) & _words(said):
                raise DisclosureError(
                    f"{one.name}, cell {number}: its output names a learner; show counts "
                    "instead, or the key of tk.release.pseudonymize"
                )


def _words(text: str) -> set[str]:
    words = set(_WORD.findall(text))
    # A full stop or a dash that ends a sentence is no part of a name.
    return words | {word.strip(".-") for word in words}


def outputs_text(notebook: nbformat.NotebookNode) -> str:
    """All outputs of a notebook as one text, for scans."""
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)
