"""Whether an engine gives the right figures: known rows counted there and in Polars."""

from toolkit.engines.verification import verify

__all__ = ["verify"]
