"""Durations of learners who enter late, for tests of curves."""

from __future__ import annotations

import numpy as np
import polars as pl


def late_entries(earliest: int, n: int = 400) -> pl.DataFrame:
    """Return durations in two groups; no learner enters before the earliest time."""
    draws = np.random.default_rng(1)
    entry = draws.integers(earliest, earliest + 30, n).astype(float)
    return pl.DataFrame(
        {
            "duration": entry + draws.integers(1, 60, n),
            "entry": entry,
            "event": draws.random(n) < 0.5,
            "g": draws.choice(["a", "b"], n),
        }
    )
