"""Release step curves, with a step only after enough further learners reached an end.

A curve with a step per learner reveals the day on which each passed. So a released curve has a
step only where at least `min_n` further learners reached the end, at a whole unit of time. The
height of a step is the exact estimate times the learners, rounded to a neighbouring multiple of
5, over the released number of learners. At the ticks of an axis, and at requested times, the
height is rounded anew, as a count by that time would be. Censoring never bends the curve. Between
two steps it lags behind the exact one by fewer than `min_n` learners.
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
_TOLERANCE = 1e-9  # about the error of a product of fractions that should be a whole number


@dataclass(frozen=True)
class End:
    """How learners of a group reach one end.

    Attributes:
        name: The end; None if there is only one.
        events: Learners who reached it at each time.
        keys: The sums of their keys.
        incidence: The estimated share that has reached it by each time.
    """

    name: str | None
    events: Floats
    keys: Keys
    incidence: Floats


@dataclass(frozen=True)
class Group:
    """One group's distinct times, sorted, and what happened at each.

    Attributes:
        times: In units of time, whole or fractional.
        at_risk: Learners observed until just before each time.
        keys: The sums of their keys.
        learners: The number of learners.
        learners_key: The sum of their keys.
        ends: The ends they reached.
        number: Which group it is.
    """

    times: Floats
    at_risk: Floats
    keys: Keys
    learners: int
    learners_key: int
    ends: Sequence[End]
    number: int = 0


def ticks(longest: float, *, about: int = 8) -> list[float]:
    """Return round times from 0 to the longest, at most about `about` of them.

    Examples:
        >>> ticks(400)
        [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0]
    """
    fitting = (step for step in STEPS if longest // step <= about)
    step = next(fitting, longest / about)
    return [float(i * step) for i in range(int(longest // step) + 1)] if step else [0.0]


def release_group(group: Group, *, min_n: int, wanted: Sequence[float]) -> list[Row]:
    """Return the rows of a group's released curve, sorted by time, one per end.

    There is a row at time 0, at each step, and at each wanted time as long as enough learners
    are at risk.

    Args:
        group: The exact counts and estimates.
        min_n: The fewest learners of a step, and at risk.
        wanted: Times that get a row, such as the ticks of a chart.

    Returns:
        `duration` and `end`; `n_at_risk` and `n_events` as released, null if withheld (events are
        given only at steps); `incidence`; `weight` and `share`, the learners at risk and events
        from which an estimator arrives at this incidence; and `is_told`, false as long as fewer
        than `min_n` have reached the end. No rows if the group has fewer than `min_n` learners.
    """
    [n] = _shown(np.array([group.learners]), np.array([group.learners_key]), min_n)
    if n is None:
        return []
    whole = np.ceil(group.times - _TOLERANCE) + 0.0  # no −0
    times = np.unique(np.concatenate([whole, [0.0], wanted]))
    # The last of the group's times that each of these has reached.
    reached = np.searchsorted(group.times, times + _TOLERANCE, side="right") - 1
    is_wanted = np.zeros(len(times), np.bool_)
    is_wanted[np.searchsorted(times, wanted)] = True
    ends = [_Heights.of(end, reached, is_wanted, group.learners, min_n) for end in group.ends]
    steps = {place for end in ends for place in end.events}
    at_risk = _at_risk(group, times, "left", min_n)
    weights = _at_risk(group, times - 1, "right", min_n)
    rows: list[Row] = []
    before = [0.0] * len(ends)
    for place, time in enumerate(times.tolist()):
        is_told = is_wanted[place] and at_risk[place] is not None
        if not (place in steps or time == 0 or is_told):
            continue
        weight = weights[place] or n if time > 0 else n
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
                    "n_at_risk": at_risk[place],
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
    """The learners of a released curve at one end by each time, and the events it shows."""

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
        drawn = rounded(exact, keys).tolist()
        heights = np.zeros(len(reached))
        steps, counts, key_sums = [], [], []
        told, told_key, height = 0.0, 0, 0.0
        for place, (count, key) in enumerate(zip(so_far.tolist(), keys.tolist(), strict=True)):
            is_step = count - told >= min_n
            if is_step:
                steps.append(place)
                counts.append(count - told)
                key_sums.append(key - told_key)
                told, told_key = count, key
            if is_step or (is_wanted[place] and count >= min_n):
                height = max(height, drawn[place])
            heights[place] = height
        shown = _shown(np.array(counts), np.array(key_sums, np.int64), min_n)
        return cls(end.name, dict(zip(steps, shown, strict=True)), heights)


def _at_risk(
    group: Group, times: Floats, side: Literal["left", "right"], min_n: int
) -> list[int | None]:
    """The released number of learners under way just before each time ("right": after it)."""
    places = np.searchsorted(group.times, times, side=side)
    return _shown(np.append(group.at_risk, 0)[places], np.append(group.keys, 0)[places], min_n)


def _shown(values: NDArray[Any], keys: Keys, min_n: int) -> list[int | None]:
    """The released counts, null if withheld."""
    drawn = np.maximum(rounded(values.astype(np.float64), keys), min_n).tolist()
    large = (values >= min_n).tolist()
    return [int(count) if shown else None for count, shown in zip(drawn, large, strict=True)]
