"""Everything that reports of consecutive nights print, as constraints on the counts behind it.

Every printed or withheld count is an unknown, and so is what changed from one night to the next.
A reader knows which counts are parts of which, and which add up; `attack` solves for them.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from attack import Board
from oracle import Oracle, Point
from recount import ALL, BEFORE, Curve, Name

from toolkit.release.rounding import BASE, MIN_N

GROWING = re.compile(  # from night to night, unless a record is withdrawn
    "|".join([*BEFORE, *BEFORE.values(), "passed.*", "all completed", "timed", "in a cohort"])
    + "|(observed|reached): .*|at risk on day .*"
)
WITHIN = {  # a part, and what it is a part of
    **BEFORE,
    "passed": "enrolled",
    "all completed": "enrolled",
    "passed and active": "passed",
    "passed in time": "passed",
    "left out: passed": "left out",
    "passed without a time": "passed",
}
SUMS = [  # a whole, and parts that add up to it
    ("passed", ["completed and passed", "passed without completing"]),
    ("enrolled", ["timed", "left out"]),
    ("enrolled", ["in a cohort", "in no cohort"]),
]


class Constraints:
    """The unknown counts of some nights, and what is known of them.

    Attributes:
        targets: The small counts.
        single_events: The counts that grew by one from one night to the next.
    """

    def __init__(self, nights: list[Oracle], *, rounded: bool = True) -> None:
        self.board = Board() if rounded else Board(slack=0)
        self.rounded = rounded
        self.single_events: list[int] = []
        for number, night in enumerate(nights):
            self._counts(number, night)
            self._groups(number, night)
            self._curves(number, night)
        for number, night in enumerate(nights[1:], start=1):
            self._changes(number, night)
        small = [place for place, n in enumerate(self.board.exact) if 1 <= n < MIN_N]
        self.targets = list(dict.fromkeys(small))

    def _counts(self, number: int, night: Oracle) -> None:
        for name, value in night.printed.items():
            exact = night.truth.count(name)
            printed = value if self.rounded or value is None else exact
            place = self.board.place((number, name), exact, printed)
            if value is None and name[0] == "enrolled":
                self.board.low[place] = 1  # a group that is listed has somebody

    def _printed(self, number: int) -> list[Name]:
        """The names of a night's counts; other unknowns have longer names."""
        return [cell[1] for cell in self.board.places if len(cell) == 2 and cell[0] == number]

    def _at(self, number: int, *name: str) -> int | None:
        what, course, cohort, mode = name
        return self.board.places.get((number, (what, course, cohort, mode)))

    def _groups(self, number: int, night: Oracle) -> None:
        names = self._printed(number)
        self._margins(number, names)
        for what, *group in names:
            place = self._at(number, what, *group)
            assert place is not None
            whole = self._at(number, WITHIN.get(what, ""), *group)
            if whole is not None:
                self.board.parts.append((place, whole))
            if what.startswith("lost before: "):
                stage = what.removeprefix("lost before: ")
                self._add(self._at(number, BEFORE[stage], *group), [
                    place, self._at(number, stage, *group)
                ])  # fmt: skip
        for group in {name[1:] for name in names}:
            for whole_, parts in SUMS:
                self._add(
                    self._at(number, whole_, *group),
                    [self._at(number, part, *group) for part in parts],
                )
            reasons = [name for name in names if name[0].startswith("left out: ")]
            self._add(
                self._at(number, "left out", *group),
                [self._at(number, *name) for name in reasons if name[1:] == group],
            )
            for measure in ("grade", "completion"):
                self._bins(number, measure, group)
            self._heat(number, group, names)
        self._halves(number, night)

    def _add(self, whole: int | None, parts: Iterable[int | None]) -> None:
        """Add a sum that a reader knows, unless a page leaves parts out."""
        known = [part for part in parts if part is not None]
        exact = self.board.exact
        if whole is not None and known and sum(exact[one] for one in known) == exact[whole]:
            self.board.total(whole, known)

    def _margins(self, number: int, names: list[Name]) -> None:
        """Add that a count over all courses, cohorts or modes is the sum over each of them."""
        parts: dict[tuple[Name, str], list[int | None]] = defaultdict(list)
        for what, course, cohort, mode in names:
            place = self._at(number, what, course, cohort, mode)
            if course != ALL:
                parts[(what, ALL, cohort, mode), "course"].append(place)
            if mode != ALL:
                parts[(what, course, cohort, ALL), "mode"].append(place)
            if cohort != ALL:
                span = "year" if cohort[0] in "12n" else "quarter" if cohort[0] in "Qu" else "month"
                parts[(what, course, ALL, mode), span].append(place)
                if cohort[-4:].isdigit() and span != "year":
                    parts[(what, course, cohort[-4:], mode), span].append(place)
        for (whole, _), places in parts.items():
            self._add(self._at(number, *whole), places)

    def _bins(self, number: int, measure: str, group: Iterable[str]) -> None:
        group = tuple(group)
        of_group = {
            name[0].partition(": ")[2]: place
            for name in self._printed(number)
            if name[1:] == group and name[0].startswith(f"{measure}: ")
            for place in [self._at(number, *name)]
        }
        bins = sorted((float(part.partition("–")[0]), part) for part in of_group if "–" in part)
        known, missing = of_group.get("known"), of_group.get("missing")
        spread = [of_group.get("zero"), *(of_group[part] for _, part in bins)]
        enrolled = self._at(number, "enrolled", *group)
        self._add(enrolled, [missing, *spread])
        self._add(known, spread)
        self._add(enrolled, [missing, known])
        for place, (_, part) in enumerate(bins):
            below = of_group.get(f"up to {part.partition('–')[2]}")
            self._add(below, spread[: place + 2])

    def _halves(self, number: int, night: Oracle) -> None:
        """Add that a bin of single courses spans two bins of all courses together."""
        for tenth in range(10):
            ends = [f"{(2 * tenth + half) / 20:g}" for half in range(3)]
            fine = [
                self._at(number, f"grade: {low}–{high}", ALL, ALL, ALL)
                for low, high in pairwise(ends)
            ]
            wide = [
                self._at(number, f"grade: {ends[0]}–{ends[2]}", course, ALL, ALL)
                for course in night.truth.courses
            ]
            if None not in fine and None not in wide:
                places = [place for place in [*wide, *fine] if place is not None]
                exact = [self.board.exact[place] for place in places]
                if sum(exact[:-2]) == sum(exact[-2:]):
                    self.board.sums.append((places, [*[1.0] * len(wide), -1.0, -1.0]))

    def _heat(self, number: int, group: tuple[str, ...], names: list[Name]) -> None:
        """Add that who was observed for longer, or had passed, was observed for less long, too."""
        days = sorted({int(n[0].split()[1]) for n in names if n[0][:9] == "observed:"})
        seen = [self._at(number, f"observed: {day}", *group) for day in days]
        reached = [self._at(number, f"reached: {day}", *group) for day in days]
        chain = [self._at(number, "in a cohort", *group), *seen]
        for longer, shorter in [
            *zip(chain[1:], chain, strict=False),
            *zip(reached, seen, strict=True),
        ]:
            if longer is not None and shorter is not None:
                self.board.parts.append((longer, shorter))

    # --- curves -------------------------------------------------------------------------------

    def _curves(self, number: int, night: Oracle) -> None:
        groups: dict[tuple[str, str], dict[float, Point]] = defaultdict(dict)
        for point in night.points:
            if point.n_at_risk is not None or point.where.startswith("05"):
                groups[point.course, point.cohort].setdefault(point.time, point)
        for (course, cohort), points in groups.items():
            released = night.printed.get(("timed", course, cohort, ALL)) or night.printed.get(
                ("at risk on day 0", course, cohort, ALL)
            )
            if released is not None:
                group = _Group(number, course, cohort, released, night.truth.curve(course, cohort))
                self._curve(group, [points[time] for time in sorted(points)])

    def _curve(self, group: _Group, points: list[Point]) -> None:
        """Bound how many have passed by each printed day, and between two of them."""
        before: int | None = None
        for number, point in enumerate(points):
            later = next((p.n_at_risk for p in points[number + 1 :] if p.n_at_risk), None)
            low, high = _passes(point, group.released, later)
            place = self._unknown(group.cell("by", point.time), group.passed(point.time))
            self.board.low[place] = max(self.board.low[place], low)
            self.board.high[place] = min(self.board.high[place], high)
            timed = self._at(group.night, "timed", group.course, group.cohort, ALL)
            at_risk = self._at(
                group.night, f"at risk on day {point.time:g}", group.course, group.cohort, ALL
            )
            if timed is not None:
                self.board.parts.append((place, timed))
                if at_risk is not None:
                    self._gone(group, point.time, timed, at_risk)
            if before is not None:
                self._rise(group, points[number - 1], point, before, place)
            before = place

    def _gone(self, group: _Group, time: float, timed: int, at_risk: int) -> None:
        """Add that who is no longer at risk has passed or was not observed for longer."""
        exact = self.board.exact[timed] - self.board.exact[at_risk]
        gone = self._unknown(group.cell("gone", time), exact)
        self.board.sums.append(([timed, at_risk, gone], [1.0, -1.0, -1.0]))
        just_before = self._unknown(group.cell("by", time - 0.5), group.passed(time - 1e-6))
        self.board.parts.append((just_before, gone))

    def _rise(self, group: _Group, first: Point, second: Point, before: int, place: int) -> None:
        """Add that a step is on the day by which ten more have passed than at the last step."""
        exact = self.board.exact[place] - self.board.exact[before]
        rise = self._unknown(group.cell("rise", second.time), exact)
        self.board.sums.append(([place, before, rise], [1.0, -1.0, -1.0]))
        if second.time % 30 == 0 or first.time % 30 == 0:
            return  # a tick of the axis
        self.board.low[rise] = MIN_N
        until = self._unknown(
            group.cell("until", second.time),
            group.passed(second.time - 1) - self.board.exact[before],
        )
        self.board.high[until] = MIN_N - 1
        day = self._unknown(group.cell("day", second.time), exact - self.board.exact[until])
        self.board.low[day] = 1
        self.board.sums.append(([rise, until, day], [1.0, -1.0, -1.0]))

    def _unknown(self, cell: tuple[object, ...], exact: int) -> int:
        """Return an unknown that is printed nowhere."""
        if cell not in self.board.places:
            self.board.places[cell] = len(self.board.exact)
            self.board.exact.append(exact)
            self.board.low.append(0)
            self.board.high.append(1e6)
        return self.board.places[cell]

    # --- two nights ---------------------------------------------------------------------------

    def _changes(self, number: int, night: Oracle) -> None:
        """Add how counts grew since the night before, and what the history says of it."""
        passed_by = [cell[1:] for cell in self.board.places if cell[:2] == (number, "by")]
        for cell in passed_by:
            self._grown(number, cell)
        for name in filter(lambda name: GROWING.fullmatch(name[0]), self._printed(number)):
            rise = self._grown(number, (name,))
            for what, change in (("enrolled", "enrollments added"), ("passed", "newly passed")):
                if rise is not None and name == (what, name[1], ALL, ALL):
                    self._listed(number, night, name[1], change, rise)

    def _grown(self, number: int, cell: tuple[object, ...]) -> int | None:
        """Return the unknown growth of a count; None if it has not grown."""
        later, before = (self.board.places.get((n, *cell)) for n in (number, number - 1))
        if later is None or before is None:
            return None
        grown = self.board.exact[later] - self.board.exact[before]
        if grown < 0:
            return None
        rise = self._unknown((number, "since", *cell), grown)
        self.board.sums.append(([later, before, rise], [1.0, -1.0, -1.0]))
        self.single_events += [rise] if grown == 1 else []
        return rise

    def _listed(self, number: int, night: Oracle, course: str, change: str, rise: int) -> None:
        """Add that the changes of a course's runs add up to its growth."""
        runs = night.truth.part(course)["course_id"].unique().sort().to_list()
        exact = [night.changes.get((run, change), 0) for run in runs]
        if not night.changed or sum(exact) != self.board.exact[rise]:
            return
        parts = []
        for run, n in zip(runs, exact, strict=True):
            value = night.changed.get((run, change))
            printed = n if value is not None and not self.rounded else value
            place = self.board.place((number, change, run), n, printed)
            self.single_events += [place] if n == 1 else []
            is_listed = (run, change) in night.changed
            self.board.low[place] = max(self.board.low[place], int(is_listed))
            parts.append(place)
        self.board.total(rise, parts)


@dataclass(frozen=True)
class _Group:
    """The group of a curve, and the night."""

    night: int
    course: str
    cohort: str
    released: int
    curve: Curve

    def cell(self, what: str, time: float) -> tuple[object, ...]:
        return (self.night, what, self.course, self.cohort, time)

    def passed(self, time: float) -> int:
        return int((self.curve.durations[self.curve.events] <= time + 1e-9).sum())


def _passes(point: Point, released: int, later: int | None) -> tuple[float, float]:
    """Return the fewest and the most who can have passed, by the height of a curve.

    The estimate is at least the share of all who passed, and at most their share of those whose
    observation has not ended: those who passed and those at risk later.
    """
    slack = 1e-4 * released if point.where.startswith("05") else 1e-6
    height = point.value * released
    if height < 1:
        return 0, MIN_N - 1
    least = max(0.0, (height - BASE - slack) / (released + BASE - 1))
    low = 0.0 if later is None else least * (later - BASE + 1) / (1 - least)
    return math.ceil(max(low, MIN_N)), math.floor(height + BASE - 1e-9 + slack)
