"""The finished report, read as its readers have it: every number is true, and gives nobody away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from attack import Board, attacked
from printed import (
    ALL,
    counted,
    csv_rows,
    datasets,
    loose_counts,
    microdata,
    number,
    pages,
    printed,
)

import toolkit as tk
from toolkit.release.rounding import BASE, MIN_N

pytestmark = pytest.mark.slow

NOTEBOOKS = ["00", "02", "03", "05"]  # those that print counts by group
KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
STEPS = ["enrolled", "active", "half-way", "completed", "completed and passed"]
GROWING = [*STEPS, "passed"]  # from one night to the next


class Night:
    """A report, the learners it is about, and what it prints of them."""

    def __init__(self, folder: Path, learners: pl.DataFrame) -> None:
        self.folder = folder
        self.learners = learners
        self.cells, self.rates = printed(folder, learners)
        self.exact = {cell.name: counted(learners, cell.name) for cell in self.cells}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Night]:
    """Reports of 300 learners, one day apart."""
    top = tmp_path_factory.mktemp("nights")
    with tk.sandbox(learners=300) as now:
        later = tk.take_snapshot(now, top / "2" / "s", key=KEY, times="exact")
        with now.earlier(later.as_of - timedelta(days=1)) as past:
            earlier = tk.take_snapshot(past, top / "1" / "s", key=KEY, times="exact")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SO2_BASE_URL", "")
        for snapshot in (earlier, later):
            patch.setenv("SO2_SNAPSHOT", str(snapshot.folder))
            report = tk.write_report(snapshot.folder.parent / "report", notebooks=NOTEBOOKS)
            assert report.failures == ()
            learners = microdata(tk.load_study(snapshot))
            found.append(Night(report.index.parent, learners))
    return found


def test_every_printed_count_is_the_one_recounted_or_withheld(nights: list[Night]) -> None:
    for night in nights:
        assert len(night.cells) > 400
        for cell in night.cells:
            exact = night.exact[cell.name]
            if exact < MIN_N:
                assert cell.value is None, (cell, exact)
            else:
                assert cell.value is not None, (cell, exact)
                assert cell.value % BASE == 0, cell
                # A part that was drawn above its whole is printed as large as that.
                assert abs(cell.value - exact) < 2 * BASE, (cell, exact)
        close = [abs(c.value - night.exact[c.name]) < BASE for c in night.cells if c.value]
        assert sum(close) >= 0.99 * len(close)


def test_one_count_is_printed_alike_everywhere(nights: list[Night]) -> None:
    for night in nights:
        values: dict[tuple[str, ...], set[int | None]] = {}
        for cell in night.cells:
            values.setdefault(cell.name, set()).add(cell.value)
        assert {name: told for name, told in values.items() if len(told) > 1} == {}


def test_every_printed_rate_follows_from_printed_counts(nights: list[Night]) -> None:
    for night in nights:
        told = {cell.name: cell.value for cell in night.cells}
        assert len(night.rates) > 100
        for rate in night.rates:
            part, whole = told[rate.part.name], told[rate.whole.name]
            assert part is not None, rate
            assert whole, rate
            assert rate.value == pytest.approx(part / whole, abs=1e-3), rate
            exact = night.exact[rate.part.name] / night.exact[rate.whole.name]
            assert abs(rate.value - exact) <= 10 / night.exact[rate.whole.name], rate


def test_no_number_that_is_called_a_count_is_exact(nights: list[Night]) -> None:
    """In tables, charts, files, sentences and words for those who see no picture."""
    for night in nights:
        seen = set()
        for page, name, text in loose_counts(night.folder):
            value = number(text)
            assert value is None or (value >= MIN_N and value % BASE == 0), (page, name, text)
            seen.add(name)
        assert {"prose", "Enrolled", "n_reached", "n_enrolled"} <= seen


def test_a_file_beside_a_chart_has_the_numbers_of_the_chart(nights: list[Night]) -> None:
    (night, _) = nights
    in_charts = {
        tuple(str(row.get(n)) for n in ("display_name", "stage", "n_reached"))
        for page in pages(night.folder)
        for rows in datasets(page)
        for row in rows
        if "n_reached" in row
    }
    in_files = {
        tuple(row[n] or "None" for n in ("display_name", "stage", "n_reached"))
        for path in (night.folder / "figures").glob("*.csv")
        for row in csv_rows(path)
        if "n_reached" in row and "display_name" in row
    }
    assert len(in_files) > 30
    assert in_files <= in_charts


def board(nights: list[Night], *, rounded: bool = True) -> Board:
    """All that these reports print, and every sum that a reader knows to hold."""
    found = Board() if rounded else Board(slack=0)
    for number_, night in enumerate(nights):
        for cell in night.cells:
            exact = night.exact[cell.name]
            told = cell.value if rounded or cell.value is None else exact
            found.place((number_, *cell.name), exact, told)
    for night_number in range(len(nights)):
        _bins(found, night_number)
    for name, place in list(found.places.items()):
        _sums(found, name, place)
        night, what, *group = name
        later = found.places.get((night + 1, what, *group))
        if later is not None and what in GROWING:
            found.parts.append((place, later))
    return found


def _bins(board: Board, night: int) -> None:
    """A bin of a course is as wide as two bins of all courses together."""
    for tenth in range(10):
        ends = [f"{(2 * tenth + half) / 20:g}" for half in range(3)]
        fine = [
            board.places.get((night, f"grade: {low}–{high}", ALL, ALL, ALL))
            for low, high in pairwise(ends)
        ]
        wide = [
            place
            for (n, what, course, cohort, mode), place in board.places.items()
            if (n, what, cohort, mode) == (night, f"grade: {ends[0]}–{ends[2]}", ALL, ALL)
            and course != ALL
        ]
        known = [place for place in fine if place is not None]
        counts = [sum(board.exact[place] for place in some) for some in (wide, known)]
        if len(known) == 2 and counts[0] == counts[1]:
            board.sums.append(([*wide, *known], [*[1.0] * len(wide), -1.0, -1.0]))


def _total(board: Board, whole: int, parts: list[int]) -> None:
    """A sum that a reader knows: where a page leaves parts out, there is none."""
    if sum(board.exact[part] for part in parts) == board.exact[whole]:
        board.total(whole, parts)


def _sums(board: Board, name: tuple[object, ...], place: int) -> None:
    night, what, course, cohort, mode = name

    def alike(**given: object) -> list[int]:
        """The places of the counts that differ from this one in what is given alone."""
        own = {"what": what, "course": course, "cohort": cohort, "mode": mode}
        return [
            at
            for (n, *other), at in board.places.items()
            if n == night
            and all(
                value != ALL if given.get(key) == "each" else value == (own | given)[key]
                for key, value in zip(own, other, strict=True)
            )
        ]

    for margin, value in (("course", course), ("cohort", cohort), ("mode", mode)):
        if value == ALL and (parts := alike(**{margin: "each"})):
            _total(board, place, parts)
    _stages(board, place, str(what), alike)
    if what == "enrolled":
        group = (course, cohort, mode)
        for measure in ("grade", "completion"):
            named = {
                other[0]: at
                for (n, *other), at in board.places.items()
                if n == night and tuple(other[1:]) == group and str(other[0]).startswith(measure)
            }
            if named:
                _total(board, place, list(named.values()))


def _stages(board: Board, place: int, what: str, alike: Callable[..., list[int]]) -> None:
    if what in STEPS[1:]:
        before = alike(what=STEPS[STEPS.index(what) - 1])
        board.parts += [(place, whole) for whole in before]
    if what == "completed":
        board.parts += [(place, same) for same in alike(what="all completed")]
    if what == "passed":
        parts = alike(what="completed and passed") + alike(what="passed without completing")
        if len(parts) == 2:
            _total(board, place, parts)


def test_nothing_printed_on_two_nights_gives_a_small_count_away(nights: list[Night]) -> None:
    n_tried, known, narrow, guessed = attacked(board(nights), most=150)
    assert n_tried >= 100
    assert known == 0
    assert narrow <= 0.05
    assert guessed <= 0.2


def test_the_attack_finds_what_exact_counts_would_give_away(nights: list[Night]) -> None:
    _, known, _, _ = attacked(board(nights[1:], rounded=False), most=60)
    assert known > 0.05
