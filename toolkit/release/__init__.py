"""Disclosure control of result tables: which numbers may be shown."""

from toolkit.release.protect import protect

__all__ = ["protect"]
