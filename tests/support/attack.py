"""An attack on withheld counts: the bounds that everything published puts on them.

Every count is an unknown; every released number, and every sum that holds between counts, is a
constraint. Linear programs find the least and the most that each withheld count can be. A count is
known if the two are equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from toolkit.release.rounding import BASE, MIN_N

_TOLERANCE = 1e-6  # of the solver

Cell = tuple[Any, ...]


@dataclass
class Board:
    """The unknown counts, what is published of each, and the sums that hold between them."""

    places: dict[Cell, int] = field(default_factory=dict)
    exact: list[int] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    sums: list[tuple[list[int], list[float]]] = field(default_factory=list)  # each is 0
    parts: list[tuple[int, int]] = field(default_factory=list)  # the first is at most the second
    _compiled: tuple[tuple[int, int, int], list[LinearConstraint]] | None = None
    slack: int = BASE - 1  # how far a published count may lie from the exact one

    def place(self, cell: Cell, exact: int, released: int | None) -> int:
        """Return the unknown of a count, within all bounds published of it so far."""
        low, high = (
            (0, MIN_N - 1) if released is None else (released - self.slack, released + self.slack)
        )
        if released is not None:
            low = max(low, MIN_N)
        if cell not in self.places:
            self.places[cell] = len(self.exact)
            self.exact.append(exact)
            self.low.append(low)
            self.high.append(high)
        place = self.places[cell]
        assert self.exact[place] == exact, cell
        self.low[place] = max(self.low[place], low)
        self.high[place] = min(self.high[place], high)
        return place

    def total(self, whole: int, parts: list[int]) -> None:
        self.sums.append(([whole, *parts], [1.0, *[-1.0] * len(parts)]))

    def _constraints(self) -> list[LinearConstraint]:
        n = len(self.exact)
        rows, columns, values = [], [], []
        for number, (places, weights) in enumerate(self.sums):
            rows += [number] * len(places)
            columns += places
            values += weights
        equal = csr_array((values, (rows, columns)), shape=(len(self.sums), n))
        within = np.array(self.parts)
        one = np.ones(len(within))
        index = np.arange(len(within))
        less = csr_array(
            (
                np.concatenate([one, -one]),
                (np.concatenate([index, index]), np.concatenate([within[:, 0], within[:, 1]])),
            ),
            shape=(len(within), n),
        )
        return [LinearConstraint(equal, 0, 0), LinearConstraint(less, -np.inf, 0)]

    def bounds(self, place: int) -> tuple[int, int]:
        """Return the least and the most that a count can be."""
        objective = np.zeros(len(self.exact))
        ends = []
        for sign in (1, -1):
            objective[place] = sign
            ends.append(float(self._solved(objective)[place]))
        return math.ceil(ends[0] - _TOLERANCE), math.floor(ends[1] + _TOLERANCE)

    def _solved(
        self, objective: NDArray[np.float64], *, whole: bool = False
    ) -> NDArray[np.float64]:
        """Return counts that everything published allows and that minimize an objective.

        Some may be fractions, since to ask for whole numbers takes longer.
        """
        size = (len(self.exact), len(self.sums), len(self.parts))
        if self._compiled is None or self._compiled[0] != size:
            self._compiled = (size, self._constraints())
        bounds = Bounds(np.array(self.low), np.array(self.high))
        found = milp(
            objective, integrality=int(whole), constraints=self._compiled[1], bounds=bounds
        )
        assert found.status == 0, found.message
        return np.asarray(found.x)

    def another(self, objective: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return whole numbers that everything published allows, as it does the exact counts."""
        found = self._solved(objective)
        if np.abs(found - np.round(found)).max() > _TOLERANCE:
            found = self._solved(objective, whole=True)
        counts = np.round(found).astype(np.int64)
        equal, less = self._constraints()
        assert (equal.A @ counts == 0).all()
        assert (less.A @ counts <= 0).all()
        assert ((counts >= self.low) & (counts <= self.high)).all()
        return counts


def without_alternative(board: Board, targets: list[int]) -> list[int]:
    """Return those of some counts that are known, because no other value is possible."""
    left = np.array(targets)
    draws = np.random.default_rng(4)
    for _ in range(20):
        objective = np.zeros(len(board.exact))
        objective[left] = draws.choice([-1.0, 1.0], len(left))
        left = left[board.another(objective)[left] == np.array(board.exact)[left]]
        if not len(left):
            break
    return [place for place in left.tolist() if _is_known(board, place)]


def _is_known(board: Board, place: int) -> bool:
    least, most = board.bounds(place)
    return least == most


def attacked(
    board: Board, most: int, targets: list[int] | None = None
) -> tuple[int, float, float, float]:
    """Return the number of small counts tried, and the shares known, narrowed and guessed."""
    small = targets or [place for place, n in enumerate(board.exact) if 1 <= n < MIN_N]
    tried = np.random.default_rng(3).permutation(small)[:most].tolist()
    ends = [board.bounds(place) for place in tried]
    known = [low == high for low, high in ends]
    narrow = [high - low + 1 < 5 for low, high in ends]
    guessed = [
        round((low + high) / 2) == board.exact[place]
        for place, (low, high) in zip(tried, ends, strict=True)
    ]
    return len(tried), *(sum(hits) / len(tried) for hits in (known, narrow, guessed))
