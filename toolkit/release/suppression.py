"""Complementary suppression: what else must be withheld so that nothing small can be computed.

A table's counts are cells, and what a reader knows of them are equations, each a sum that is zero:
a total less its members; a whole less a part less the rest, a count too although not printed.
Where the equations and the cells shown leave a cell one value, it is as good as printed. So
further cells are withheld until no cell under the threshold is computable, and until what a
total minus its shown members leaves over is itself no number under the threshold.

Source: Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapter 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd

Equation = Mapping[int, int]
_NOT_OURS = 1_000_000  # the cost of a count that another table shows


@dataclass(slots=True)
class Cell:
    """One count.

    Attributes:
        value: The number; None where the table does not give it (any more).
        cost: Of two cells that could be withheld, the one of lower cost goes.
        printed: Whether the table has a place for it; else a reader can only compute it.
        zero_ok: Whether 0 may be known. It names no one, but "none passed" says it of everyone.
    """

    value: int | None
    cost: int = 0
    printed: bool = True
    zero_ok: bool = True

    def may_be(self, value: int, min_n: int) -> bool:
        """Whether the cell may be known to have this value."""
        return value >= min_n or (value == 0 and self.zero_ok)


class Cells:
    """The cells of one table and the equations between them."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.equations: list[Equation] = []

    def add(self, value: int | None, *, cost: int = 0, zero_ok: bool = True) -> int:
        """Add a printed cell; None is one withheld before."""
        self.cells.append(Cell(value, cost, zero_ok=zero_ok))
        return len(self.cells) - 1

    def told(self, value: int) -> int:
        """Add a count that stands in another table: known here, and not ours to withhold."""
        self.cells.append(Cell(value, cost=_NOT_OURS, printed=False))
        return len(self.cells) - 1

    def sums_to(self, total: int, members: Iterable[int]) -> None:
        """Say that the members add up to the total."""
        self.equations.append({total: 1} | dict.fromkeys(members, -1))

    def rest(self, terms: Equation, *, zero_ok: bool = True) -> int:
        """Add what the terms leave over, a count that is not printed."""
        self.cells.append(Cell(None, printed=False, zero_ok=zero_ok))
        rest = len(self.cells) - 1
        self.equations.append({**terms, rest: -1})
        return rest

    def withheld(self, min_n: int) -> set[int]:
        """The printed cells that may not be shown."""
        shown = {
            c: cell.value
            for c, cell in enumerate(self.cells)
            if cell.value is not None and cell.may_be(cell.value, min_n)
        }
        for block in _blocks(self.equations):
            self._suppress(block, shown, min_n)
        return {c for c, cell in enumerate(self.cells) if cell.printed and c not in shown}

    def _suppress(self, equations: list[Equation], shown: dict[int, int], min_n: int) -> None:
        """Take cells of one block out of `shown` until the others tell nothing small."""
        solved = equations
        while True:
            known, because, solved = self._computable(equations, solved, shown)
            gone: set[int] = set()
            for cell in known.keys() - shown.keys():
                if not self.cells[cell].may_be(known[cell], min_n) and not because[cell] & gone:
                    gone |= self._cheapest(because[cell], shown)
            for row in () if gone else [*equations, *solved]:
                left, unknown = _left_for(row, known)
                if left is not None and unknown and left < min_n:
                    told = {s for c in row if c in known for s in because[c]}
                    gone |= self._cheapest(told, shown) if not told & gone else set()
            if not gone:
                break
            for cell in gone:
                del shown[cell]
        # What a reader can compute, and may know, is shown as well.
        shown |= {c: n for c, n in known.items() if self.cells[c].value is not None}

    def _computable(
        self, equations: list[Equation], solved: list[Equation], shown: dict[int, int]
    ) -> tuple[dict[int, int], dict[int, set[int]], list[Equation]]:
        """What can be known: the cells, the shown ones each follows from, the equations solved."""
        known = dict(shown)
        because = {c: {c} for c in shown}
        while True:
            solved = _eliminated(solved, known)
            before = len(known)
            for row in [*equations, *solved]:
                left, unknown = _left_for(row, known)
                none = left == 0 and all(self.cells[c].zero_ok for c in unknown)
                if left is not None and (none or len(unknown) == 1):
                    told = {s for c in row if c in known for s in because[c]}
                    known |= dict.fromkeys(unknown, left)
                    because |= dict.fromkeys(unknown, told)
            if len(known) == before:
                return known, because, solved

    def _cheapest(self, told: set[int], shown: Mapping[int, int]) -> set[int]:
        """The cell to withhold of those that tell; a 0 only where there is no other."""
        worth = [c for c in told if shown[c]] or told
        return {min(worth, key=lambda c: (self.cells[c].cost, shown[c], c))} if worth else set()


def _left_for(row: Equation, known: Mapping[int, int]) -> tuple[int | None, list[int]]:
    """What the unknown cells of an equation add up to, if it says so, and which they are."""
    unknown = [c for c in row if c not in known]
    weights = {row[c] for c in unknown}
    if not weights or min(weights) < 0 < max(weights):
        return None, unknown
    told = sum(weight * known[c] for c, weight in row.items() if c in known)
    return abs(told) // max(abs(weight) for weight in weights), unknown


def _eliminated(equations: Iterable[Equation], known: Mapping[int, int]) -> list[Equation]:
    """The same equations solved for the unknown cells (Gauss and Jordan, in whole numbers)."""
    solved: dict[int, Equation] = {}
    users: dict[int, set[int]] = defaultdict(set)  # the solved equations that a cell stands in
    spent = []
    for equation in equations:
        row = equation
        for cell in [c for c in row if c in solved]:
            row = _without(cell, row, solved[cell])
        pivot = next((c for c in row if c not in known), None)
        if pivot is None:
            spent.append(row)
            continue
        for other in list(users[pivot]):
            for cell in solved[other]:
                users[cell].discard(other)
            solved[other] = _without(pivot, solved[other], row)
            for cell in solved[other]:
                users[cell].add(other)
        solved[pivot] = row
        for cell in row:
            users[cell].add(pivot)
    return [*solved.values(), *(row for row in spent if row)]


def _without(cell: int, row: Equation, other: Equation) -> Equation:
    """The row less as much of the other as makes the cell vanish."""
    mine, theirs = row.get(cell, 0), other[cell]
    if mine == 0:
        return row
    unit = theirs in (1, -1)
    mixed = dict(row) if unit else {c: theirs * weight for c, weight in row.items()}
    factor = mine * theirs if unit else mine
    for c, weight in other.items():
        left = mixed.get(c, 0) - factor * weight
        if left:
            mixed[c] = left
        else:
            mixed.pop(c, None)
    common = 1 if unit else gcd(*mixed.values()) or 1
    return mixed if common == 1 else {c: weight // common for c, weight in mixed.items()}


def _blocks(equations: Iterable[Equation]) -> list[list[Equation]]:
    """The equations, those together that have cells in common (union and find)."""
    parent: dict[int, int] = {}

    def root(cell: int) -> int:
        above = parent.setdefault(cell, cell)
        while above != cell:
            parent[cell] = parent[above]
            cell, above = above, parent[above]
        return cell

    tied = [(equation, [root(cell) for cell in equation]) for equation in equations]
    for _, roots in tied:
        for other in roots[1:]:
            parent[root(other)] = root(roots[0])
    blocks: dict[int, list[Equation]] = defaultdict(list)
    for equation, roots in tied:
        blocks[root(roots[0])].append(equation)
    return list(blocks.values())
