"""Keyed random rounding: withhold small counts, round all others to multiples of 5.

Each record has a key. The keys of the records behind a count are summed, and the sum decides
which neighbouring multiple of 5 is taken. So the same learners give the same figure in every
table, on every page and every night, and comparing two figures reveals nothing about the draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from toolkit.release.keys import release_secret

BASE = 5
MIN_N = 10
# The variance that rounding adds to a count: r (BASE - r) for a remainder r, on average over r.
ROUNDING = sum(r * (BASE - r) for r in range(BASE)) / BASE
DIGITS = 2  # significant digits of measures computed from the records themselves

Floats = NDArray[np.float64]


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each number, so that each bit depends on all: SplitMix64's finalizer.

    Source: Steele, Lea and Flood (2014), OOPSLA, 453–472.
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def uniform(keys: NDArray[Any]) -> Floats:
    """Return a number in [0, 1) for each key sum."""
    numbers = mixed(keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    return (numbers >> np.uint64(11)).astype(np.float64) / 2.0**53


def rounded(values: Floats, keys: NDArray[Any]) -> Floats:
    """Round each value to a neighbouring multiple of 5, the nearer more often, without bias."""
    below = np.floor(values / BASE) * BASE
    return np.asarray(below + BASE * (uniform(keys) < (values - below) / BASE), np.float64)


def release_counts(counts: pl.Series, keys: pl.Series, *, min_n: int = MIN_N) -> pl.Series:
    """Withhold the counts below `min_n`, including 0, and round all others.

    `keys` are the sums of the keys of the records counted.

    Source:
        The cell-key method: Fraser & Wooton (2005), A proposed method for confidentialising
        tabular output to protect against differencing; Thompson, Broadfoot & Elazar (2013),
        Methodology for the automatic confidentialisation of statistical outputs from remote
        servers at the Australian Bureau of Statistics.

    Examples:
        >>> release_counts(pl.Series([3, 40, None]), pl.Series([5, 6, 0])).to_list()
        [None, 40, None]
    """
    values = counts.cast(pl.Float64).fill_null(0).to_numpy()
    drawn = pl.Series(counts.name, rounded(values, keys.cast(pl.Int64).fill_null(0).to_numpy()))
    large = counts >= min_n
    shown = drawn.clip(lower_bound=min_n).cast(pl.Int64)
    return pl.select(pl.when(large).then(shown).alias(counts.name)).to_series()


def keys_of_groups(groups: pl.DataFrame, name: str) -> pl.Series:
    """Return keys for a table whose records have none, from each group's values and a secret.

    The draw is the same whenever the group is shown, but differs for the same learners in another
    table.
    """
    empty = release_secret().keyed(b"so2 group", 7)
    keys = []
    for row in groups.cast(pl.String).iter_rows():
        hashed = empty.copy()
        hashed.update(repr((name, row)).encode())
        keys.append(int.from_bytes(hashed.digest()))
    return pl.Series(name, keys, pl.Int64)


def keys_of_counts(groups: pl.DataFrame, n: pl.Series) -> pl.Series:
    """Return keys for the counts of a table whose records have none.

    The same number of the same group has the same draw, in whatever row and column: a page does
    not contradict itself, and its many rows are not many draws to average.
    """
    return keys_of_groups(groups, "records") // 2**24 * n.cast(pl.Int64)


def release_number(n: int) -> int | None:
    """Withhold or round a count whose records are unknown, by a draw keyed with the number.

    The result is the same wherever the number is shown.
    """
    counts = pl.Series([n])
    keys = keys_of_groups(pl.DataFrame({"n": counts}), "records")
    shown: int | None = release_counts(counts, keys).item()
    return shown
