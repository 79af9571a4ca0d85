"""Verify an engine: known rows are counted there and in Polars."""

from toolkit.engines.verification import verify

__all__ = ["verify"]
