"""Disclosure control of result tables: which numbers may be shown."""

from toolkit.disclosure.control import protect

__all__ = ["protect"]
