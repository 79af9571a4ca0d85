"""The score of Gray's test and its covariance, from counts by group and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Group:
    """One group's counts at its own times, in order.

    Attributes:
        number: Its place among the groups.
        times: The distinct times.
        leaving: Who is last seen at the time, whatever the reason.
        ends: Who comes to the end that is compared.
        others: Who comes to another end.
    """

    number: int
    times: Floats
    leaving: Floats
    ends: Floats
    others: Floats


def grays_score(groups: list[Group], k: int) -> tuple[Floats, Floats]:
    """Score of each of `k` groups and the covariance of the scores, for one stratum.

    With S the share under way, F the incidence and Y the risk set, all of a group just before t,
    R = Y (1 - F) / S is the risk set of the subdistribution, to which those who came to another
    end still belong. The score of group i is Σ (d_i - d R_i / ΣR), its form for ρ = 0 in Gray
    (1988). Its martingale representation weighs the steps of group j: with h = Y / S,
    a_ij = h_i (δ_ij - h_j / Σh), dΛ = d / (Σh (1 - F₀)), c_ij(t) = ∫₀ᵗ a_ij dΛ and
    g_j = (1 - F₀) / S_j after t, a step to the end weighs a_ij + (1 - g_j)(c_ij(∞) - c_ij), one
    to another end -g_j (c_ij(∞) - c_ij). F₀ is the incidence of all groups together.
    """
    times = np.unique(np.concatenate([group.times for group in groups]))
    ends, others, at_risk = (np.zeros((k, len(times))) for _ in range(3))
    for group in groups:
        place = np.searchsorted(times, group.times)
        ends[group.number, place] = group.ends
        others[group.number, place] = group.others
        leaving = np.zeros(len(times))
        leaving[place] = group.leaving
        at_risk[group.number] = np.cumsum(leaving[::-1])[::-1]
    ended = (ends + others).sum(axis=0) > 0
    return _score(ends[:, ended], others[:, ended], at_risk[:, ended])


def _score(d1: Floats, d2: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The same from groups × times arrays, at the times at which somebody comes to an end."""
    present = y > 0
    safe_y = np.where(present, y, 1)
    s_after: Floats = np.cumprod(1 - (d1 + d2) / safe_y, axis=1)
    s_before = _shifted(s_after, 1.0)
    f_after: Floats = np.cumsum(s_before * d1 / safe_y, axis=1)
    f_before = _shifted(f_after, 0.0)
    h = np.where(present, y / np.where(s_before > 0, s_before, 1), 0.0)
    all_h: Floats = h.sum(axis=0)
    total: Floats = d1.sum(axis=0)
    f0_after: Floats = np.cumsum(total / all_h)
    f0_before = np.concatenate([[0.0], f0_after[:-1]])
    r = h * (1 - f_before)
    score = (d1 - total * r / r.sum(axis=0)).sum(axis=1)
    rate = np.where(total > 0, total / (all_h * np.where(f0_before < 1, 1 - f0_before, 1)), 0.0)
    g = np.where(s_after > 0, (1 - f0_after) / np.where(s_after > 0, s_after, 1), 0.0)
    to_end, to_other = _step_variances(d2, y, s_before, s_after, all_h, total)
    k = len(y)
    variance = np.zeros((k, k))
    for j in range(k):
        a = h * ((np.arange(k) == j)[:, None] - h[j] / all_h)
        a = np.where(present[j], a, 0.0)
        c = np.cumsum(a * rate, axis=1)
        ahead = c[:, -1:] - c
        of_end = a + (1 - g[j]) * ahead
        of_other = g[j] * ahead
        variance += (of_end * to_end[j]) @ of_end.T + (of_other * to_other[j]) @ of_other.T
    return score, variance


def _step_variances(
    d2: Floats, y: Floats, s_before: Floats, s_after: Floats, all_h: Floats, total: Floats
) -> tuple[Floats, Floats]:
    """Variance of a group's steps divided by h, hypergeometric at ties.

    For the end compared it comes from the pooled rate, as the groups are alike under the
    hypothesis; for the others from the group's own.
    """
    safe_y = np.where(y > 0, y, 1)
    pooled = all_h * s_before
    spared = np.where(pooled - total > 1e-9 * pooled, pooled - total, 0.0)  # not by rounding
    tie = np.where(total > 1, spared / np.where(pooled > 1, pooled - 1, 1), 1.0)
    to_end = np.where(y > 0, tie * s_before * total / (all_h * safe_y), 0.0)
    tie = np.where(d2 > 1, (y - d2) / np.where(y > 1, y - 1, 1), 1.0)
    to_other = np.where(s_after > 0, tie * s_before**2 * d2 / safe_y**2, 0.0)
    return to_end, to_other


def _shifted(after: Floats, start: float) -> Floats:
    """Values just before each time from those just after the time before."""
    return np.concatenate([np.full((len(after), 1), start), after[:, :-1]], axis=1)
