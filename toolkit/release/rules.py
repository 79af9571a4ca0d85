"""What a reader knows of each result table's counts: which are parts, sums or steps of which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl

from toolkit.release.suppression import Cells
from toolkit.schemas import Role, Table
from toolkit.schemas.outcome_results import PASSED_ASIDE

Row = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """How the counts of one result table hang together.

    Attributes:
        verdicts: Counts that judge learners. That none or all of a group have it says it of
            everyone, so 0 % and 100 % are withheld too (NCES 2011-603: top and bottom coding).
        rests: Pairs of a whole and a part of it in the same row: the rest is a count as well.
            Where the first whole is 0, a verdict of 0 says nothing of anyone.
        crossed: A whole, two parts and those in both: those in neither are a count as well.
        shared: Counts that stand in several rows and are one number, with the columns, beside the
            groups, that tell such numbers apart.
        cost: Counts one would rather show than the others (cost 1).
        ties: Adds the equations between rows.
    """

    verdicts: frozenset[str] = frozenset()
    rests: tuple[tuple[str, str], ...] = ()
    crossed: tuple[tuple[str, str, str, str], ...] = ()
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)
    ties: Callable[[Board], None] | None = None


class Board:
    """The counts of a frame as cells, found by row and column.

    Attributes:
        cells: The cells and equations.
        rows: The frame's rows.
        by: The group columns.
    """

    def __init__(self, frame: pl.DataFrame, known: Table, rule: Rule) -> None:
        self.cells = Cells()
        self.rows: list[Row] = frame.rows(named=True)
        given = {*known.names, "status"}
        self.by = [name for name in frame.columns if name not in given]
        self.counts = known.of_role(Role.COUNT)
        self._rule = rule
        self._place: dict[tuple[object, ...], int] = {}
        self._rests: dict[tuple[int, ...], int] = {}
        for row in range(len(self.rows)):
            for column in self.counts:
                self.cell(row, column)
            for whole, part in rule.rests:
                judged = part in rule.verdicts and whole not in rule.verdicts
                self.rest(row, {whole: 1, part: -1}, zero_ok=not judged)
            for whole, one, other, both in rule.crossed:
                self.rest(row, {whole: 1, one: -1, other: -1, both: 1})
        if rule.ties:
            rule.ties(self)
        if "is_total" in self.by:
            self._tie_totals()

    @property
    def numbered(self) -> list[tuple[int, Row]]:
        """The rows with their numbers."""
        return list(enumerate(self.rows))

    def cell(self, row: int, column: str) -> int:
        """The cell of a count; rows that share the number share the cell."""
        values = self.rows[row]
        place: tuple[object, ...] = (column, row)
        if column in self._rule.shared:
            names = (*self.by, *self._rule.shared[column])
            place = (column, *(values[name] for name in names))
        if place not in self._place:
            cost = self._rule.cost.get(column, 1) + 10 * bool(values.get("is_total"))
            empty = self._rule.rests and values.get(self._rule.rests[0][0]) == 0
            zero_ok = column not in self._rule.verdicts or bool(empty)
            self._place[place] = self.cells.add(values[column], cost=cost, zero_ok=zero_ok)
        return self._place[place]

    def rest(self, row: int, terms: Mapping[str, int], *, zero_ok: bool = True) -> int:
        """A count of a row that can be computed though it is not printed."""
        whole = self.rows[row][next(iter(terms))]
        found = {self.cell(row, column): sign for column, sign in terms.items()}
        place = tuple(found)
        if place not in self._rests:
            self._rests[place] = self.cells.rest(found, zero_ok=zero_ok or whole == 0)
        return self._rests[place]

    def groups(self, *further: str) -> Iterator[list[int]]:
        """The rows of each group, in order."""
        found: dict[tuple[object, ...], list[int]] = {}
        for row, values in enumerate(self.rows):
            found.setdefault(tuple(values[name] for name in (*self.by, *further)), []).append(row)
        yield from found.values()

    def _tie_totals(self) -> None:
        """A total row is the sum of the rows that have its values where it has one."""
        by = [name for name in self.by if name != "is_total"]
        single = [row for row, values in enumerate(self.rows) if not values["is_total"]]
        for row, values in enumerate(self.rows):
            if not values["is_total"]:
                continue
            over = [name for name in by if values[name] is not None]
            members = [
                other for other in single if all(self.rows[other][n] == values[n] for n in over)
            ]
            for column in self.counts:
                self._sum(row, members, lambda r, c=column: self.cell(r, c))  # type: ignore[misc]
            for whole, part in self._rule.rests:
                terms = {whole: 1, part: -1}
                self._sum(row, members, lambda r, t=terms: self.rest(r, t))  # type: ignore[misc]

    def _sum(self, total: int, members: Iterable[int], of: Callable[[int], int]) -> None:
        self.cells.sums_to(of(total), [of(row) for row in members])


def _distribution(board: Board) -> None:
    """Parts add up to the enrolled; zeros and bins to the valued, one after the other."""
    add = board.cells.sums_to
    for rows in board.groups("measure"):
        first = rows[0]
        parts = {row: board.cell(row, "n_learners") for row in rows}
        valued = [row for row in rows if board.rows[row]["part"] in ("zero", "bin")]
        add(board.cell(first, "n_enrolled"), parts.values())
        add(board.cell(first, "n_valued"), [parts[row] for row in valued])
        bins = [row for row in valued if board.rows[row]["part"] == "bin"]
        below = [parts[row] for row in valued if row not in bins]
        for row in bins:
            up_to = board.cell(row, "n_up_to")
            add(up_to, [*below, parts[row]])
            below = [up_to]
        if below and bins:
            board.cells.equations.append({board.cell(first, "n_valued"): 1, below[0]: -1})


def _funnel(board: Board) -> None:
    """Each stage's learners reach the next or drop out; who passed aside did not complete.

    How many passed at all stands in every table of outcomes, so a reader knows it; and that
    nobody passed aside, which there is no secret, is none here.
    """
    add = board.cells.equations.append
    for rows in board.groups():
        enrolled = board.cell(rows[0], "n_enrolled")
        stages = [board.cell(row, "n_reached") for row in rows]
        aside = stages.pop() if board.rows[rows[-1]]["stage"] == PASSED_ASIDE else None
        add({enrolled: 1, stages[0]: -1})
        for (before, reached), row in zip(pairwise(stages), rows[1:], strict=False):
            add({before: 1, board.cell(row, "n_previous"): -1})
            add({before: 1, reached: -1, board.cell(row, "n_dropped"): -1})
        for reached in stages[2:]:
            board.cells.rest({enrolled: 1, reached: -1}, zero_ok=False)
        if aside is None or len(stages) < 2:
            continue
        board.cells.cells[aside].zero_ok = True
        board.cells.rest({enrolled: 1, stages[-2]: -1, aside: -1})
        passed = [board.rows[row]["n_reached"] for row in rows[-2:]]
        if None not in passed:
            board.cells.sums_to(board.cells.told(sum(passed)), [stages[-1], aside])


def _progress(board: Board) -> None:
    """From one period to the next the observed get fewer, and more of the same have reached it."""
    for rows in board.groups("outcome", "cohort"):
        for one, later in pairwise(rows):
            observed = [board.cell(row, "n_observed") for row in (one, later)]
            board.cells.rest({observed[0]: 1, observed[1]: -1})
            if board.rows[one]["n_observed"] == board.rows[later]["n_observed"] is not None:
                reached = [board.cell(row, "n_reached") for row in (one, later)]
                board.cells.rest({reached[1]: 1, reached[0]: -1})


def _pairs(board: Board) -> None:
    """A group is the same in each pair it is in, be it as a or as b."""
    seen: dict[tuple[object, ...], int] = {}
    for row, values in enumerate(board.rows):
        for side in ("a", "b"):
            group = tuple(values[name] for name in board.by)
            for count in ("n_learners", "n_reached"):
                cell = board.cell(row, f"{count}_{side}")
                same = seen.setdefault((*group, values[f"group_{side}"], count), cell)
                if same != cell:
                    board.cells.equations.append({same: 1, cell: -1})


def _repeats(board: Board) -> None:
    """A repeater is undated, or passed first, later or never."""
    kinds = ("n_undated", "n_passed_first", "n_passed_later", "n_never_passed")
    for row in range(len(board.rows)):
        members = [board.cell(row, kind) for kind in kinds]
        board.cells.sums_to(board.cell(row, "n_repeaters"), members)


def _transitions(board: Board) -> None:
    """Who went to one course is among those who went to any."""
    for rows in board.groups("from_course"):
        anywhere = [row for row in rows if board.rows[row]["to_course"].startswith("(")]
        for row in rows:
            if anywhere and row != anywhere[0]:
                one, both = board.cell(row, "n_moved"), board.cell(anywhere[0], "n_moved")
                board.cells.rest({both: 1, one: -1})


def _exclusions(board: Board) -> None:
    """Who is not excluded for any reason is in the analysis."""
    for rows in board.groups():
        reasons = {board.cell(row, "n_excluded"): -1 for row in rows}
        board.cells.rest({board.cell(rows[0], "n_records"): 1, **reasons})


def _gray_test(board: Board) -> None:
    """Who came to neither end was censored."""
    for row in range(len(board.rows)):
        board.rest(row, {"n_learners": 1, "n_events": -1, "n_other_ends": -1})


def _hazard(board: Board) -> None:
    """From one stretch to the next go those at risk who neither passed nor were censored."""
    for rows in board.groups():
        for one, later in pairwise(rows):
            before, after = board.cell(one, "n_at_risk"), board.cell(later, "n_at_risk")
            board.cells.rest({before: 1, board.cell(one, "n_events"): -1, after: -1})


_OF_ENROLLED = ("n_active", "n_completed", "n_passed", "n_graded")
_PASSED_TOO = ("n_passed_active", "n_passed_graded", "n_passed_completed")
_IN_ANALYSIS: Mapping[str, tuple[str, ...]] = {
    "n_learners": (),
    "n_events": (),
    "n_excluded": (),
}

RULES: Mapping[str, Rule] = {
    "outcomes": Rule(
        verdicts=frozenset({"n_passed", "n_completed", *_PASSED_TOO}),
        rests=(
            *(("n_enrolled", part) for part in _OF_ENROLLED),
            *(("n_passed", part) for part in _PASSED_TOO),
            ("n_active", "n_completed"),
            ("n_active", "n_graded_active"),
            ("n_active", "n_passed_active"),
            ("n_graded", "n_graded_active"),
            ("n_graded", "n_passed_graded"),
            ("n_completed", "n_passed_completed"),
        ),
        crossed=(
            ("n_enrolled", "n_graded", "n_active", "n_graded_active"),
            ("n_enrolled", "n_passed", "n_active", "n_passed_active"),
            ("n_enrolled", "n_passed", "n_graded", "n_passed_graded"),
            ("n_enrolled", "n_passed", "n_completed", "n_passed_completed"),
        ),
        cost={"n_enrolled": 6, "n_passed": 5, "n_active": 4, "n_graded": 3, "n_completed": 2},
    ),
    "completion_funnel": Rule(
        verdicts=frozenset({"n_reached"}),
        shared={"n_enrolled": ()},
        cost={"n_enrolled": 5, "n_reached": 2},
        ties=_funnel,
    ),
    "distribution": Rule(
        shared={"n_enrolled": ("measure",), "n_valued": ("measure",)},
        cost={"n_enrolled": 5, "n_valued": 4, "n_learners": 2},
        ties=_distribution,
    ),
    "cohort_progress": Rule(
        verdicts=frozenset({"n_reached"}),
        rests=(("n_observed", "n_reached"), ("n_members", "n_observed")),
        shared={"n_excluded": ("outcome", "cohort"), "n_members": ("outcome", "cohort")},
        cost={"n_members": 5, "n_observed": 3},
        ties=_progress,
    ),
    "compared_groups": Rule(
        verdicts=frozenset({"n_reached"}),
        rests=(("n_learners", "n_reached"),),
        cost={"n_learners": 5},
    ),
    "pairs": Rule(
        verdicts=frozenset({"n_reached_a", "n_reached_b"}),
        rests=(("n_learners_a", "n_reached_a"), ("n_learners_b", "n_reached_b")),
        cost={"n_learners_a": 5, "n_learners_b": 5},
        ties=_pairs,
    ),
    "repeats": Rule(
        verdicts=frozenset({"n_passed_first", "n_passed_later", "n_never_passed"}),
        rests=(("n_repeaters", "n_graded_first"), ("n_learners", "n_repeaters")),
        cost={"n_learners": 5, "n_repeaters": 3},
        ties=_repeats,
    ),
    "transitions": Rule(
        rests=(("n_passed", "n_moved"),),
        shared={"n_passed": ("from_course",)},
        cost={"n_passed": 5},
        ties=_transitions,
    ),
    "exclusions": Rule(shared={"n_records": ()}, cost={"n_records": 5}, ties=_exclusions),
    "logrank": Rule(
        verdicts=frozenset({"n_events"}),
        rests=(("n_learners", "n_events"),),
        cost={"n_learners": 5},
    ),
    "change_counts": Rule(),
    "logrank_pairs": Rule(),
    "rmst_difference": Rule(),
    "milestone_difference": Rule(),
    "gray_test": Rule(
        verdicts=frozenset({"n_events", "n_other_ends"}),
        rests=(("n_learners", "n_events"), ("n_learners", "n_other_ends")),
        cost={"n_learners": 5},
        ties=_gray_test,
    ),
    "smoothed_hazard": Rule(
        rests=(("n_at_risk", "n_events"),), cost={"n_at_risk": 5}, ties=_hazard
    ),
    "survival_summary": Rule(
        verdicts=frozenset({"n_events"}),
        rests=(("n_learners", "n_events"),),
        shared=_IN_ANALYSIS,
        cost={"n_learners": 5},
    ),
}
