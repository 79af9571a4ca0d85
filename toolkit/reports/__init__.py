"""Notebooks → executed → a site of HTML pages that needs no network."""

from toolkit.reports.execution import Executed, execute_notebooks
from toolkit.reports.library import copy_notebooks, find_notebooks

__all__ = [
    "Executed",
    "copy_notebooks",
    "execute_notebooks",
    "find_notebooks",
]
