"""Release of step curves: a step where enough further learners came to an end, drawn as a step.

A curve of single learners tells the day on which each of them passed. So a released curve has a
step only where at least `min_n` further learners came to the end, at a whole unit of time. The
height of a step is the exact estimate times the learners, rounded to a neighbouring multiple of
5, over the learners as released. At the ticks of an axis, and at times asked for, the height is
rounded anew, as a count by that time would be. Censorings never bend the curve. Between two steps
it lags behind the exact one by fewer than `min_n` learners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.release.rounding import Floats, rounded

Keys = NDArray[np.int64]
Row = dict[str, Any]

STEPS = [1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1460, 3650]
_TOLERANCE = 1e-9  # a product of fractions misses a whole number by about as much


@dataclass(frozen=True)
class End:
    """How learners of a group come to one end.

    Attributes:
        name: The end; None where there is only one.
        events: Learners who came to it at each time.
        keys: The sums of their keys.
        incidence: The estimated share that has come to it by each time.
    """

    name: str | None
    events: Floats
    keys: Keys
    incidence: Floats


@dataclass(frozen=True)
class Group:
    """One group's distinct times, sorted, and what happened at each.

    Attributes:
        times: In whole or broken units of time.
        at_risk: Learners observed until just before each time.
        keys: The sums of their keys.
        learners: How many there are.
        learners_key: The sum of their keys.
        ends: Where they came to.
    """

    times: Floats
    at_risk: Floats
    keys: Keys
    learners: int
    learners_key: int
    ends: Sequence[End]


def ticks(longest: float, *, about: int = 8) -> list[float]:
    """Round times from 0 to the longest, at most about so many.

    Examples:
        >>> ticks(400)
        [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0]
    """
    fitting = (step for step in STEPS if longest / step <= about)
    step = next(fitting, longest / about)
    return [float(i * step) for i in range(int(longest // step) + 1)] if step else [0.0]


def release_group(group: Group, *, min_n: int, wanted: Sequence[float]) -> list[Row]:
    """Return the rows of a group's released curve, sorted by time, one per end.

    A row stands at time 0, at each step, and at each of the wanted times as long as enough
    learners are at risk.

    Args:
        group: The exact counts and estimates.
        min_n: The fewest learners of a step, and at risk.
        wanted: Times that get a row, such as the ticks of a chart.

    Returns:
        `duration` and `end`; `n_at_risk` and `n_events` as released, null where they are withheld
        (events are told at steps only); `incidence`; `weight` and `share`, what an estimator
        takes for learners at risk and for events to arrive at this incidence; and `is_told`, which
        is false as long as fewer than `min_n` have come to the end. No rows where the group has
        fewer than `min_n` learners.
    """
    n = _shown(group.learners, group.learners_key, min_n)
    if n is None:
        return []
    whole = np.unique(np.ceil(group.times - _TOLERANCE) + 0.0)  # no −0
    times = np.union1d(np.append(whole, 0.0), wanted)
    # The last of the group's times that each of these has reached.
    reached = np.searchsorted(group.times, times + _TOLERANCE, side="right") - 1
    is_wanted = np.isin(times, wanted)
    ends = [_Heights.of(end, reached, is_wanted, group.learners, min_n) for end in group.ends]
    rows: list[Row] = []
    before = [0.0] * len(ends)
    for place, time in enumerate(times.tolist()):
        is_step = any(place in end.events for end in ends)
        at_risk = _at_risk(group, time, min_n)
        if not (is_step or time == 0 or (is_wanted[place] and at_risk is not None)):
            continue
        weight = (_at_risk(group, time - 1, min_n, side="right") if time > 0 else n) or n
        under_way = 1 - sum(before)
        left = max(under_way, 0.0)
        for number, end in enumerate(ends):
            incidence = min(float(end.heights[place]) / n, before[number] + left)
            step = incidence - before[number]
            left -= step
            rows.append(
                {
                    "duration": time,
                    "end": end.name,
                    "n_at_risk": at_risk,
                    "n_events": end.events.get(place),
                    "incidence": incidence,
                    "weight": weight,
                    "share": weight * step / under_way if under_way > 0 else 0.0,
                    "is_told": time == 0 or end.heights[place] > 0,
                }
            )
        before = [row["incidence"] for row in rows[-len(ends) :]]
    return rows


@dataclass(frozen=True)
class _Heights:
    """The learners that a released curve has at one end by each time, and the events it tells."""

    name: str | None
    events: dict[int, int | None]
    heights: Floats

    @classmethod
    def of(
        cls,
        end: End,
        reached: NDArray[np.intp],
        is_wanted: NDArray[np.bool_],
        learners: int,
        min_n: int,
    ) -> _Heights:
        so_far, keys, exact = (
            np.append(0, values)[reached + 1]
            for values in (
                np.cumsum(end.events),
                np.cumsum(end.keys),
                np.round(end.incidence * learners, 6),
            )
        )
        drawn = rounded(exact, keys)
        heights = np.zeros(len(reached))
        events: dict[int, int | None] = {}
        told, told_key, height = 0.0, 0, 0.0
        for place, count in enumerate(so_far.tolist()):
            key = int(keys[place])
            if count - told >= min_n:
                events[place] = _shown(count - told, key - told_key, min_n)
                told, told_key = count, key
                height = max(height, float(drawn[place]))
            elif is_wanted[place] and count >= min_n:
                height = max(height, float(drawn[place]))
            heights[place] = height
        return cls(end.name, events, heights)


def _at_risk(
    group: Group, time: float, min_n: int, *, side: Literal["left", "right"] = "left"
) -> int | None:
    """The learners, as released, who are under way just before a time ("right": after it)."""
    place = int(np.searchsorted(group.times, time, side=side))
    if place == len(group.times):
        return None
    return _shown(float(group.at_risk[place]), int(group.keys[place]), min_n)


def _shown(value: float, key: int, min_n: int) -> int | None:
    if value < min_n:
        return None
    return max(int(rounded(np.array([value]), np.array([key]))[0]), min_n)
