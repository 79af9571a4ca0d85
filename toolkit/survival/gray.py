"""The score of Gray's test and its covariance, from an event table."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from toolkit.errors import writing
from toolkit.release.rounding import Floats
from toolkit.survival.ranges import EventRanges
from toolkit.survival.risk_sets import GROUP

TIMES_AT_ONCE = 128
"""The times computed at once, as arrays of groups × times; twice as many for few groups."""
FEW = 50
_TOLERANCE = 1e-9
"""Below it, a difference is a rounding error."""
IN_ONE_THREAD = 4 * 65_536
"""The most multiplications that OpenBLAS does in a single thread."""


class Compared(NamedTuple):
    """Which groups of an event table are compared, in the order of their numbers there."""

    place: NDArray[np.intp]  # the place of each among those compared; -1 if it is left out
    stratum: NDArray[np.intp]  # the number of its stratum
    k: int


def grays_score(ranges: EventRanges, compared: Compared) -> tuple[Floats, Floats, pl.DataFrame]:
    """Return each group's score, the covariance of the scores, and how many reach the end.

    With S the share under way, F the incidence and Y the risk set, all of a group just before t,
    R = Y (1 - F) / S is the risk set of the subdistribution, which keeps those who reached another
    end. The score of group i is Σ (d_i - d R_i / ΣR), its form for ρ = 0 in Gray (1988). Its
    martingale representation weights the steps of group j: with h = Y / S,
    a_ij = h_i (δ_ij - h_j / Σh), dΛ = d / (Σh (1 - F₀)), D_ij = ∫ₜ a_ij dΛ over the times after t,
    and g_j = (1 - F₀) / S_j after t, a step to the end has weight a_ij + (1 - g_j) D_ij, one to
    another end -g_j D_ij. F₀ is the pooled incidence of all groups. The covariance of two groups
    is the sum over all steps of the product of their weights, times the variance of the step.

    States are carried forward in time, but D depends on later times: so the ranges are counted in
    order, written to temporary files, except the last, and read again from the last to the first.
    """
    k, tables = compared.k, iter(ranges)
    before, files = [_at_start(ranges, compared)], list[Path]()
    score, ended = np.zeros(k), []
    covariances = [_Covariance.empty(k) for _ in before[0]]
    with TemporaryDirectory(prefix="so2-") as folder:
        for table in islice(tables, len(ranges.ends) - 1):
            of_strata = zip(_by_stratum(table, compared), before[-1], strict=True)
            before.append([deque(_states(*own), maxlen=1).pop() for own in of_strata])
            files.append(_written(table, Path(folder, f"{len(files)}.parquet")))
            del table  # so that two ranges are never in memory at once
        backwards = chain(islice(tables, 1), map(pl.read_parquet, reversed(files)))
        for table, states in zip(backwards, reversed(before), strict=True):
            ended.append(table.group_by(GROUP).agg(pl.col("^(n|key)_end_0$").sum()))
            for stratum, counts in enumerate(_by_stratum(table, compared)):
                own, covariances[stratum] = _preceded(covariances[stratum], counts, states[stratum])
                score += own
    covariance = np.zeros((k, k))
    for of_stratum, at_start in zip(covariances, before[0], strict=True):
        covariance += of_stratum.of_scores(at_start.at_risk)
    return score, covariance, pl.concat(ended).group_by(GROUP).sum().sort(GROUP)


def _written(table: pl.DataFrame, file: Path) -> Path:
    with writing(file.parent, left="TMPDIR names another."):
        table.select("^(_group|duration|n_(events|censored)|(n|key)_end_0)$").write_parquet(
            file, compression="lz4"
        )
    return file


def _preceded(after: _Covariance, counts: _Counts, before: _State) -> tuple[Floats, _Covariance]:
    """Return the score of a range, and the covariance from its first time on, of one stratum."""
    states = list(_states(counts, before))
    score = counts.ended
    for part in reversed(range(counts.n_parts)):
        steps, _ = _steps(*counts.part(part), states[part])
        score = score - steps.expected
        after = after.preceded_by(steps)
    return score, after


def _at_start(ranges: EventRanges, compared: Compared) -> list[_State]:
    """Return the state of each stratum's groups before the first time."""
    of_stratum = np.zeros((compared.stratum.max(initial=-1) + 1, compared.k))
    chosen = compared.place >= 0
    own = compared.stratum[chosen], compared.place[chosen]
    of_stratum[own] = ranges.about["n_learners"].to_numpy()[chosen]
    return [_State.at_start(at_risk) for at_risk in of_stratum]


def _by_stratum(table: pl.DataFrame, compared: Compared) -> list[_Counts]:
    """Return the counts of the groups compared, stratum by stratum."""
    number = table[GROUP].to_numpy()
    stratum = np.where(compared.place >= 0, compared.stratum, -1)[number]
    order = np.argsort(stratum, kind="stable")
    edges = np.searchsorted(stratum, np.arange(compared.stratum.max(initial=-1) + 2), sorter=order)
    leaving, ends, others = (
        table.select(value.cast(pl.Float64)).to_series().to_numpy()
        for value in (
            pl.col("n_events") + pl.col("n_censored"),
            pl.col("n_end_0"),
            pl.col("n_events") - pl.col("n_end_0"),
        )
    )
    counted, times = np.stack([leaving, ends, others]), table["duration"].to_numpy()
    return [
        _Counts.of(compared.place[number[own]], times[own], counted[:, own], compared.k)
        for own in (order[slice(*both)] for both in pairwise(edges))
    ]


@dataclass(frozen=True)
class _Counts:
    """The counts of all groups, in the order of the times at which any end is reached."""

    number: NDArray[np.intp]  # the group of each count
    place: NDArray[np.intp]  # the index of the last of these times up to the time of the count
    counted: Floats  # three rows: learners last seen, reaching the compared end, another
    edges: NDArray[np.intp]  # where the counts of each part of the times begin
    left: Floats  # the learners of each group last seen before the first of these times
    ended: Floats  # the learners of each group who reach the compared end
    width: int  # the number of times in a part
    n_times: int

    @classmethod
    def of(cls, number: NDArray[np.intp], at: Floats, counted: Floats, k: int) -> _Counts:
        leaving, ends, others = counted
        times = np.unique(at[ends + others > 0])
        place = np.searchsorted(times, at, side="right") - 1
        order = np.argsort(place, kind="stable")
        first = np.count_nonzero(place < 0)
        early, order = order[:first], order[first:]
        left = np.bincount(number[early], leaving[early], k).astype(float)
        ended = np.bincount(number, ends, k).astype(float)
        number, place, counted = number[order], place[order], counted[:, order]
        width = 2 * TIMES_AT_ONCE if k < FEW else TIMES_AT_ONCE
        edges = np.searchsorted(place, np.arange(0, len(times) + width, width))
        return cls(number, place, counted, edges, left, ended, width, len(times))

    @property
    def n_parts(self) -> int:
        return len(self.edges) - 1

    def part(self, part: int) -> tuple[Floats, Floats, Floats]:
        """Return who is last seen, reaches the compared end and another, by group and time."""
        rows = slice(self.edges[part], self.edges[part + 1])
        first, k = part * self.width, len(self.left)
        width = min(self.width, self.n_times - first)
        cell = self.number[rows] * width + self.place[rows] - first
        leaving, ends, others = (
            np.bincount(cell, counted, k * width).reshape(k, width).astype(float)
            for counted in self.counted[:, rows]
        )
        return leaving, ends, others


def _states(counts: _Counts, before: _State) -> Iterator[_State]:
    """Yield the groups' state before each part of the times, and after the last."""
    state = before._replace(at_risk=before.at_risk - counts.left)
    yield state
    for part in range(counts.n_parts):
        _, state = _steps(*counts.part(part), state)
        yield state


class _State(NamedTuple):
    """The state of each group just before a time."""

    at_risk: Floats
    under_way: Floats  # the share who have reached no end
    incidence: Floats  # the incidence of the compared end
    pooled: Floats  # the incidence of all groups pooled
    d_d: Floats  # `_Steps.d_d`, summed over the steps so far

    @classmethod
    def at_start(cls, at_risk: Floats) -> _State:
        nothing = np.zeros(len(at_risk))
        return cls(at_risk, nothing + 1, nothing, np.zeros(1), nothing)


class _Steps(NamedTuple):
    """What the covariance needs of consecutive times, by group and time."""

    h: Floats  # the number at risk over the share under way
    rate: Floats  # dΛ at each time
    a_a: Floats  # the variances of the steps that a² weights, times h²
    a_d: Floats  # the variances of the steps that a D weights, times h
    d_d: Floats  # the variances of the steps that D² weights
    d_d_before: Floats  # the sum of `d_d` over all earlier times
    expected: Floats  # the ends expected in each group, over all of these times


def _steps(leaving: Floats, d1: Floats, d2: Floats, before: _State) -> tuple[_Steps, _State]:
    """Return the steps at some times, and the groups' state after them."""
    left, gone = _added_up(leaving, np.zeros(len(leaving)))
    y = before.at_risk[:, None] - left
    present = y > 0
    safe_y = np.where(present, y, 1)
    kept = np.cumprod(1 - (d1 + d2) / safe_y, axis=1)
    s_after = before.under_way[:, None] * kept
    s_before = np.column_stack([before.under_way, s_after[:, :-1]])
    f_before, f_end = _added_up(s_before * d1 / safe_y, before.incidence)
    h = np.where(present, y / np.where(s_before > 0, s_before, 1), 0.0)
    all_h: Floats = h.sum(axis=0)
    total: Floats = d1.sum(axis=0)
    [f0_before], f0_end = _added_up(total[None] / all_h, before.pooled)
    f0_after = np.append(f0_before[1:], f0_end)
    r = h * (1 - f_before)
    # F₀ may reach 1 once a single group is at risk; its weights a are then 0, whatever dΛ.
    is_below_1 = (f0_before < 1 - _TOLERANCE) & (present.sum(axis=0) > 1)
    rate = np.where(total > 0, total / (all_h * np.where(is_below_1, 1 - f0_before, 1)), 0.0)
    g = np.where(s_after > 0, (1 - f0_after) / np.where(s_after > 0, s_after, 1), 0.0)
    to_end, to_other = _step_variances(d2, y, s_before, s_after, all_h, total)
    d_d = to_end * (1 - g) ** 2 + to_other * g**2
    d_d_before, d_d_end = _added_up(d_d, before.d_d)
    steps = _Steps(
        h=h,
        rate=rate,
        a_a=to_end * h**2,
        a_d=to_end * h * (1 - g),
        d_d=d_d,
        d_d_before=d_d_before,
        expected=r @ (total / r.sum(axis=0)),
    )
    return steps, _State(before.at_risk - gone, s_after[:, -1].copy(), f_end, f0_end, d_d_end)


class _Covariance(NamedTuple):
    """The covariance from some time on, and D just before.

    D = diag(P) - Q, with P = ∫ h dΛ and Q = ∫ h hᵀ / Σh dΛ over later times. Multiplying two D at
    each time would take k³ operations. But Q is itself a sum over times, and in the sum of all
    products the h hᵀ of one time meets that of a later one with the weights that D has before the
    earlier. So multiplying Q by one vector per time is enough: k² operations.
    """

    p: Floats
    q: Floats
    half: Floats  # a matrix whose sum with its transpose is the covariance without `diagonal`
    diagonal: Floats  # what is added to the variance of each score

    @classmethod
    def empty(cls, k: int) -> _Covariance:
        return cls(np.zeros(k), np.zeros((k, k)), np.zeros((k, k)), np.zeros(k))

    def preceded_by(self, steps: _Steps) -> _Covariance:
        """Return the covariance from earlier times on."""
        h, all_h = steps.h, steps.h.sum(axis=0)
        grows = steps.rate / all_h
        p = np.cumsum((h * steps.rate)[:, ::-1], axis=1)[:, ::-1]
        p_after = np.column_stack([p[:, 1:], np.zeros(len(p))]) + self.p[:, None]
        # The vectors to multiply by Q, which here comes from the times after each time.
        vectors = steps.a_d / all_h + grows * steps.d_d_before * h
        of_later = _product(h, np.tril(_product(h.T, vectors), -1) * grows[:, None])
        of_later += _product(self.q, vectors)
        on_diagonal, all_on_diagonal = _added_up(steps.a_d + steps.d_d * p_after, 0 * self.p)
        beside_h = of_later - (steps.a_a + steps.a_d * p_after) / all_h - grows * on_diagonal * h
        twice = steps.a_a.sum(axis=0) / all_h**2 + grows**2 * (h**2 * steps.d_d_before).sum(axis=0)
        beside_h += h * twice / 2
        diagonal = steps.a_a + 2 * steps.a_d * p_after + steps.d_d * p_after**2
        return _Covariance(
            p=self.p + p[:, 0],
            q=self.q + _product(h * grows, h.T),
            half=self.half + _product(h, beside_h.T) - all_on_diagonal[:, None] * self.q,
            diagonal=self.diagonal + diagonal.sum(axis=1),
        )

    def of_scores(self, sizes: Floats) -> Floats:
        """Return the covariance of the scores, whose rows sum to 0, as the scores do.

        The row of a group far larger than the others is a difference of large numbers, so the row
        of the largest (of those at risk when somebody passes) is computed from the others.
        """
        largest = np.where(self.p > 0, sizes, 0.0).argmax()
        found = self.half + self.half.T + np.diag(self.diagonal)
        found[largest] = 0.0
        found[:, largest] = 0.0
        found[largest] = found[:, largest] = -found.sum(axis=0)
        found[largest, largest] = -found[largest].sum()
        return found


def _product(a: Floats, b: Floats) -> Floats:
    """Return `a @ b`, in pieces small enough for OpenBLAS to stay in the calling thread.

    Larger ones it splits over all processors and waits for each, which takes a hundred times as
    long if they are busy.
    """
    most = max(1, IN_ONE_THREAD // b.size)
    if len(a) <= most:
        return a @ b
    found = np.empty((len(a), b.shape[1]))
    for first in range(0, len(a), most):
        np.matmul(a[first : first + most], b, out=found[first : first + most])
    return found


def _added_up(values: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Return the sums before each time, beginning with `start`, and those after all times."""
    sums = start[:, None] + np.cumsum(values, axis=1)
    return np.column_stack([start, sums[:, :-1]]), sums[:, -1].copy()


def _step_variances(
    d2: Floats, y: Floats, s_before: Floats, s_after: Floats, all_h: Floats, total: Floats
) -> tuple[Floats, Floats]:
    """Return the variances of a group's steps divided by h, hypergeometric at ties.

    For the compared end they come from the pooled rate, since the groups are alike under the null
    hypothesis; for other ends, from the group's own rate.
    """
    safe_y = np.where(y > 0, y, 1)
    pooled = all_h * s_before
    spared = np.where(pooled - total > _TOLERANCE * pooled, pooled - total, 0.0)
    tie = np.where(total > 1, spared / np.where(pooled > 1, pooled - 1, 1), 1.0)
    to_end = np.where(y > 0, tie * s_before * total / (all_h * safe_y), 0.0)
    tie = np.where(d2 > 1, (y - d2) / np.where(y > 1, y - 1, 1), 1.0)
    to_other = np.where(s_after > 0, tie * s_before**2 * d2 / safe_y**2, 0.0)
    return to_end, to_other
