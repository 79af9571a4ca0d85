"""What a reader with nothing but the released tables can work out about small counts.

`attack` says how. Every sum that holds between tables is a constraint.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from attack import Board, Cell, attacked
from published import SOURCES, learners

import toolkit as tk
from toolkit.release.rounding import BASE, MIN_N
from toolkit.results.result import Result
from toolkit.schemas import Role

DIMENSIONS = ("course_id", "mode", "enrolled_year")


def board_of(pc: pl.DataFrame, *, rounded: bool = True) -> Board:
    """All that outcomes, funnels and distributions of every margin publish."""
    board = Board() if rounded else Board(slack=0)
    for size in range(len(DIMENSIONS) + 1):
        for by in combinations(DIMENSIONS, size):
            _add(board, tk.outcomes(pc, by=by), by, "outcomes")
            _add(board, tk.completion_funnel(pc, by=by), by, "funnel")
            _add(board, tk.grade_distribution(pc, by=by, bins=5), by, "grades")
    _margins(board)
    return board


def _add(board: Board, result: Result, by: tuple[str, ...], name: str) -> None:
    counts = result.schema.of_role(Role.COUNT)
    released = result.protect(MIN_N)
    about = [n for n in result.schema.of_role(Role.GROUP) if n not in ("definition", "measure")]
    for exact, told in zip(result.exact.to_dicts(), released.to_dicts(), strict=True):
        where = tuple((d, exact[d]) if d in by else None for d in DIMENSIONS)
        what = tuple(exact[column] for column in about)
        placed = {
            column: board.place(
                _same(name, column, what, where),
                int(exact[column]),
                exact[column] if told[column] is not None and not board.slack else told[column],
            )
            for column in counts
            if exact[column] is not None
        }
        for column, place in placed.items():
            whole = result.schema[column].within
            if whole in placed:
                board.parts.append((place, placed[whole]))
        if "n_dropped" in placed:
            board.total(placed["n_previous"], [placed["n_reached"], placed["n_dropped"]])


def _same(name: str, column: str, what: Cell, where: Cell) -> Cell:
    """One unknown for what several tables count: the enrolled, above all."""
    if column == "n_enrolled":
        return ("n_enrolled", where)
    if name == "funnel" and column == "n_reached" and what[0] in ("enrolled", "active"):
        return (f"n_{what[0]}", where)
    return (name, column, what, where)


def _margins(board: Board) -> None:
    """A count over all values of a dimension is the sum over each of them."""
    children: dict[Cell, list[int]] = {}
    for cell, place in board.places.items():
        *rest, where = cell
        for number, value in enumerate(where):
            if value is not None:
                parent = (*rest, (*where[:number], None, *where[number + 1 :]))
                children.setdefault((parent, number), []).append(place)
    for (parent, _), places in children.items():
        if parent in board.places:
            board.total(board.places[parent], places)


@pytest.fixture(scope="module", params=SOURCES)
def board(request: pytest.FixtureRequest) -> Board:
    folder: Path | None = None
    if request.param == "oulad":
        folder = request.getfixturevalue("oulad_dir")
    return board_of(learners(request.param, folder))


@pytest.mark.slow
def test_no_small_count_can_be_worked_out(board: Board) -> None:
    n_tried, known, narrow, guessed = attacked(board, most=30)
    assert n_tried >= 20
    assert known == 0
    assert narrow <= 0.05
    assert guessed <= 0.2


@pytest.mark.slow
def test_the_attack_finds_what_exact_counts_would_give_away() -> None:
    _, known, _, _ = attacked(board_of(learners("300"), rounded=False), most=30)
    assert known > 0.1


def test_thirty_nightly_reports_tell_no_single_pass() -> None:
    pc = learners("5000")
    last = pc["as_of"].max()
    assert isinstance(last, datetime)
    nights = [last - timedelta(days=back) for back in range(30, 0, -1)]
    told, exact = [], []
    for night in nights:
        seen = pc.filter(pl.col("created") <= night).with_columns(
            passed=pl.col("passed") & (pl.col("passed_timestamp") <= night).fill_null(value=False)
        )
        result = tk.outcomes(seen, by="course_id")
        exact.append(result.exact["n_passed"].to_numpy())
        told.append(result.protect(MIN_N)["n_passed"].fill_null(MIN_N - BASE).to_numpy())
    counts, shown = np.array(exact), np.array(told)
    # Passes only accumulate: what any earlier night shows is a floor, any later one a ceiling.
    floor = np.maximum.accumulate(shown - (BASE - 1), axis=0)
    ceiling = np.minimum.accumulate((shown + BASE - 1)[::-1], axis=0)[::-1]
    least = np.maximum(floor[1:] - ceiling[:-1], 0)
    most = ceiling[1:] - floor[:-1]
    single = np.diff(counts, axis=0) == 1
    assert single.sum() > 30
    assert not (single & (least == 1) & (most == 1)).any()
    assert (most > least)[single].all()
