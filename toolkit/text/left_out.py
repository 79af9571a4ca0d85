"""Say who is left out, in the same words for every result."""

from __future__ import annotations

import polars as pl

from toolkit.results.result import Released
from toolkit.text import naming, words

NO_TIME = "without a known time"


def sentence(
    counts: pl.Series, what: str, released: Released, more: str = "", *, group: str = "group"
) -> str:
    """Say who is left out: " Left out: about 60 without a known time."; empty if nobody is.

    If all counts are withheld, only their bound is given. `counts` has one released count per
    group. `what` says who they are, `group` what a count is about.
    """
    n, is_exact = counts.sum(), released.min_n is None
    few = 0 if is_exact else counts.null_count()
    if few and few == len(counts):
        where = f" in each {group}" if few > 1 else ""
        return f" Left out{where}: fewer than {released.min_n} {what}."
    if not n:
        return ""
    each = f"{'each of ' if few > 1 else ''}{words.plural(few, f'other {group}')}"
    others = f"; fewer than {released.min_n} in {each}" if few else ""
    about = "" if is_exact or len(counts) == 1 else "about "
    return f" Left out: {about}{n:,} {what}{more}{others}."


def why(frame: pl.DataFrame) -> str:
    """Say why learners are not in a curve; in a standardized one, a stratum may be too small."""
    if "within" not in frame.columns or frame.is_empty():
        return NO_TIME
    return f"{NO_TIME}, or in a {naming.strata(frame['within'][0])} with few learners of a group"


def in_groups(released: Released) -> str:
    """Say how many have no time; each row of a group repeats the group's count."""
    frame = released.frame
    if "n_excluded" not in frame.columns:
        return ""
    once = frame.unique(list(released.by), maintain_order=True) if released.by else frame.head(1)
    return sentence(once["n_excluded"], why(frame), released, words.undated_passers(once))


def in_pairs(released: Released, group: list[str], other: str) -> str:
    """Say how many have no time; each row compares two groups, and a group may be in many rows."""
    frame = released.frame
    named = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("\0") for name in group], separator="\0"
    )
    sides = [
        frame.select(named.alias("of"), n="n_excluded"),
        frame.select(pl.col(other).alias("of"), n="n_reference_excluded"),
    ]
    return sentence(pl.concat(sides).unique("of", maintain_order=True)["n"], why(frame), released)
