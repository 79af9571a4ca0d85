"""Compare groups within strata: standardized rates, their difference, and a test."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from scipy.special import chdtrc

from toolkit.analyses.clusters import CLUSTER, hotellings_p
from toolkit.analyses.simultaneous import Rates, equivalence, own_p_value, quantile
from toolkit.errors import ArgumentError
from toolkit.release.rounding import Floats
from toolkit.schemas.arguments import alpha_of

STRATUM = " stratum"
MOST_PAIRS = 1_000
_TOLERANCE = 1e-9  # sums of squares miss 0 by some 1e-16
_COUNTS = [
    f"{what}_{of}_{x}"
    for what in ("n", "key")
    for of in ("learners", "reached", "excluded")
    for x in "ab"
]
_DESIGN = [f"{what}_{x}" for x in "ab" for what in ("rate", "effect", "clusters")]
_SCHEMA = {
    "group_a": pl.String,
    "group_b": pl.String,
    "n_strata": pl.Int64,
    **dict.fromkeys(_COUNTS, pl.Int64),
    **dict.fromkeys(
        [*_DESIGN, "correlation", "mantel_haenszel_p_value", "pooled_p_value"], pl.Float64
    ),
}


def compared_within(
    cells: pl.DataFrame,
    per_cluster: pl.DataFrame | None,
    reference: str | None,
    margin: float | None,
    *,
    level: float,
    released: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Compare every two groups, or each with the reference, within shared strata.

    The cells have `group`, `STRATUM`, `n_learners`, `n_reached` and the sums of the keys of these
    records, `key_learners` and `key_reached`; `per_cluster` has the same by `CLUSTER`, for rows in
    clusters. Given the `released` counts of the pairs, their statistics are computed from these: in
    every stratum, those with the outcome and those without are scaled to the totals.

    Source:
        Direct standardization with the strata's shares of the learners of both groups as weights:
        Breslow and Day (1987), Statistical Methods in Cancer Research II, 2.2. A rate's interval
        is Wilson's for its effective sample size; that of the difference follows from both: Zou
        and Donner (2008), Statistics in Medicine 27, 1693–1702; p is 1 − the level at which it
        reaches 0. For the odds ratio: Mantel and Haenszel (1959), J. Natl.
        Cancer Inst. 22, 719–748, without continuity correction.
    """
    cells = cells.filter(pl.col("n_learners") > 0)
    groups = cells["group"].unique(maintain_order=True).to_list()
    pairs = list(combinations(groups, 2))
    if reference is not None:
        pairs = [(group, reference) for group in groups if group != reference]
    if len(pairs) > MOST_PAIRS:
        raise ArgumentError(
            f"{len(pairs):,} pairs of groups would be compared within strata; name a `reference`, "
            "or leave out the small groups"
        )
    totals = [None] * len(pairs) if released is None else released.rows(named=True)
    rows = [
        {"group_a": a, "group_b": b, **_pair(cells, per_cluster, a, b, total)}
        for (a, b), total in zip(pairs, totals, strict=True)
    ]
    found = pl.DataFrame(rows, schema=_SCHEMA)
    estimates = _estimates(found, margin, alpha_of(level), of_clusters=per_cluster is not None)
    return found.with_columns(estimates).drop(_DESIGN, "correlation")


def _estimates(
    pairs: pl.DataFrame, margin: float | None, alpha: float, *, of_clusters: bool
) -> list[pl.Series]:
    """Return the difference of each pair with its intervals, and the p that they imply."""
    rate_a, rate_b, n_a, n_b, effect_a, effect_b, clusters_a, clusters_b = (
        pairs[f"{name}_{x}"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for name in ("rate", "n_learners", "effect", "clusters")
        for x in "ab"
    )
    clusters = (clusters_a, clusters_b) if of_clusters else None
    correlation = pairs["correlation"].fill_null(np.nan).to_numpy()
    rates = Rates(rate_a, rate_b, n_a / effect_a, n_b / effect_b, clusters, correlation)
    found = {"difference": rate_a - rate_b}
    for name, tests in (("difference_ci", 1), ("simultaneous", max(pairs.height, 1))):
        ends = rates.ends(np.full(pairs.height, quantile(alpha / tests)))
        found |= {
            f"{name}_{end}": values for end, values in zip(("low", "high"), ends, strict=True)
        }
    found["p_value"] = own_p_value(rates.ends, np.zeros(pairs.height))
    if margin is not None:
        found["equivalence_p_value"] = equivalence(rates.ends, margin, pairs.height)
    return [pl.Series(name, values).fill_nan(None) for name, values in found.items()]


def _pair(
    cells: pl.DataFrame,
    per_cluster: pl.DataFrame | None,
    a: str,
    b: str,
    total: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return one pair's counts in the strata they share, standardized rates, and tests."""
    one, other = cells.filter(group=a), cells.filter(group=b)
    both = one.join(other, on=STRATUM, suffix="_b", nulls_equal=True).sort(STRATUM)
    k = both.select("n_reached", "n_reached_b").to_numpy().T.astype(np.float64)
    n = both.select("n_learners", "n_learners_b").to_numpy().T.astype(np.float64)
    found = _totals(one, other, both)
    scales = None if total is None else _scales(found, total)
    if both.is_empty() or (scales is None and total is not None):
        return found
    if total is not None and scales is not None:
        k, n = _scaled(k, n, scales[:, :, None])
        found |= {name: total[name] for name in found if name.startswith("n_")}
    parts = None
    if per_cluster is not None:
        strata = both.select(STRATUM).with_row_index("place")
        sides = pl.DataFrame({"group": [a, b], "side": [0, 1]})
        rows = per_cluster.join(strata, on=STRATUM, nulls_equal=True).join(sides, on="group")
        parts = _Parts(rows, scales)
    weight = n.sum(axis=0) / n.sum()
    rates = k / n
    standard = rates @ weight
    influences = None if parts is None else parts.summed(weight / n, rates)
    both_vary = True
    for side, x in enumerate("ab"):
        if influences is None:
            variance = float(np.sum(weight**2 * rates[side] * (1 - rates[side]) / n[side]))
            alike = float(n[side].sum() * np.sum(weight**2 / n[side]))
        else:
            variance = float(np.sum(influences[side] ** 2))
            alike = float(n[side].sum() / parts.clusters(side)) if parts else 1.0
        plain = float(standard[side] * (1 - standard[side]) / n[side].sum())
        varies = plain > 0 and variance / plain > _TOLERANCE
        both_vary = both_vary and varies
        found |= {
            f"rate_{x}": float(standard[side]),
            f"effect_{x}": variance / plain if varies else alike,
            f"clusters_{x}": None if parts is None else float(parts.clusters(side)),
        }
    correlation = 0.0
    if influences is not None and both_vary:
        size = float(np.sqrt(np.prod(np.sum(influences**2, axis=1))))
        correlation = float(influences[0] @ influences[1]) / size
    pooled = [values.sum(axis=1, keepdims=True) for values in (k, n)]
    return found | {
        "correlation": correlation,
        "mantel_haenszel_p_value": _test(k, n, parts),
        "pooled_p_value": _test(pooled[0], pooled[1], None if parts is None else parts.pooled()),
    }


def _totals(one: pl.DataFrame, other: pl.DataFrame, both: pl.DataFrame) -> dict[str, Any]:
    """Return one pair's counts in the strata they share, and in the others."""
    found: dict[str, Any] = {"n_strata": both.height}
    for x, end, whole in (("a", "", one), ("b", "_b", other)):
        for what in ("n", "key"):
            every = int(whole[f"{what}_learners"].sum())
            shared = int(both[f"{what}_learners{end}"].sum())
            found |= {
                f"{what}_learners_{x}": shared,
                f"{what}_reached_{x}": both[f"{what}_reached{end}"].sum(),
                f"{what}_excluded_{x}": every - shared,
            }
    return found


def _scales(exact: dict[str, Any], released: dict[str, Any]) -> Floats | None:
    """Return by what to multiply those with the outcome, and those without, in each group.

    None if a count is withheld.
    """
    found = []
    for x in "ab":
        names = (f"n_reached_{x}", f"n_learners_{x}")
        if released[names[0]] is None or released[names[1]] is None:
            return None
        k, n, released_k, released_n = (of[name] for of in (exact, released) for name in names)
        found.append((released_k / max(k, 1), (released_n - released_k) / max(n - k, 1)))
    return np.array(found).T


def _scaled(k: Floats, n: Floats, scales: Floats) -> tuple[Floats, Floats]:
    reached, missed = k * scales[0], (n - k) * scales[1]
    return reached, reached + missed


class _Parts:
    """The rows of two groups by cluster: counts per stratum and side."""

    def __init__(self, rows: pl.DataFrame, scales: Floats | None = None) -> None:
        self.rows, self.scales = rows, scales
        numbers = rows[CLUSTER].rank("dense").to_numpy().astype(np.int64) - 1
        self.cluster, self.total = numbers, int(numbers.max()) + 1
        self.side, self.stratum = rows["side"].to_numpy(), rows["place"].to_numpy()
        self.k, self.n = (rows[f"n_{of}"].to_numpy() for of in ("reached", "learners"))
        if scales is not None:
            self.k, self.n = _scaled(self.k, self.n, scales[:, self.side])

    def pooled(self) -> _Parts:
        """Return the same with a single stratum."""
        return _Parts(self.rows.with_columns(place=pl.lit(0)), self.scales)

    def clusters(self, side: int) -> int:
        """Count the clusters of a group."""
        return len(np.unique(self.cluster[(self.side == side) & (self.n > 0)]))

    def summed(self, weight: Floats, rates: Floats) -> Floats:
        """Sum weight · (k − rate · n) in each cluster, for each of the two groups."""
        where = (self.side, self.stratum)
        values = weight[where] * (self.k - rates[where] * self.n)
        return np.stack(
            [
                np.bincount(self.cluster, np.where(self.side == side, values, 0.0), self.total)
                for side in (0, 1)
            ]
        )


def _test(k: Floats, n: Floats, parts: _Parts | None) -> float | None:
    """Return p of the Mantel–Haenszel test, with the variance between clusters if there are any."""
    all_k, all_n = k.sum(axis=0), n.sum(axis=0)
    share = all_k / all_n
    score = float(np.sum(k[0] - n[0] * share))
    missed = all_n - all_k
    variance = float(np.sum(n[0] * n[1] * all_k * missed / (all_n**2 * np.maximum(all_n - 1, 1))))
    if variance <= 0:
        return None
    if parts is not None:
        # A row of a contributes 1 − n_a / n of its residual, a row of b the rest.
        weight = np.stack([n[1] / all_n, -n[0] / all_n])
        in_clusters = parts.summed(weight, np.stack([share, share])).sum(axis=0)
        total = parts.total
        if total <= 2:
            return None
        spread = float(np.sum((in_clusters - in_clusters.mean()) ** 2))
        if spread <= _TOLERANCE * variance:
            return None
        # The sum of squares about 0, with the tested score in place of the clusters' own sum:
        # in released counts the two differ.
        variance = spread + score**2 / total
    statistic = score**2 / variance
    if parts is not None:
        return hotellings_p(statistic, 1, parts.total)
    return float(chdtrc(1, statistic))
