"""Statistics of one group's curve: quantiles, the share passed by a time, the restricted mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from toolkit.analyses.spread import Distribution, Spread
from toolkit.release.rounding import DIGITS, Floats
from toolkit.survival.long_curves import AREAS, STEPS
from toolkit.survival.released import IS_SHOWN
from toolkit.text.curves import FEWEST, FEWEST_SHARE

# A product of fractions that should be 0.5 may miss it by 1e-16; a step of one in ten million
# learners is 1e-7.
_TOLERANCE = 1e-9


class Estimate(NamedTuple):
    """A number with its standard error and interval; None where it does not exist."""

    estimate: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True)
class Curve:
    """One group's Kaplan–Meier table as arrays; unknown bounds are NaN."""

    times: Floats
    at_risk: Floats
    events: Floats
    survival: Floats
    std_error: Floats
    ci_low: Floats
    ci_high: Floats
    ci_low_after: Floats  # after each of its times, before the next
    areas: Sequence[Floats]  # since the previous row: below the curve, and below its lower limit
    steps: Sequence[Floats]  # parts of the variance of a mean, see `with_parts_of_mean`
    is_released: bool = False  # begins at 1 however many, of too few to show, pass at once
    measured: Curve | None = None  # the exact curve, for the variance of a released mean

    @classmethod
    def of(cls, table: pl.DataFrame, measured: Curve | None = None) -> Curve:
        """Read the curve of one group from a table with the parts of its mean."""

        def arrays(*names: str) -> list[Floats]:
            return [table[n].cast(pl.Float64).fill_null(math.nan).to_numpy() for n in names]

        times, at_risk, events = arrays("duration", "n_at_risk", "n_events")
        survival, error = arrays("survival", "std_error")
        low, high, after = arrays("ci_low", "ci_high", "ci_low_after")
        parts = arrays(*AREAS), arrays(*STEPS)
        is_released = IS_SHOWN in table.columns
        return cls(
            times, at_risk, events, survival, error, low, high, after, *parts, is_released, measured
        )

    @property
    def known_until(self) -> float:
        """The time up to which the curve is known: the last observed, or ∞ if all have passed."""
        if np.isnan(self.survival[-1]):
            return -np.inf
        return np.inf if self.survival[-1] == 0 else float(self.times[-1])

    def quantile(self, share: float) -> Estimate:
        """Return the first time by which this share has passed; None if it is not reached.

        The interval contains the times, from the first event to the last, at which the curve's
        interval contains the level. Source: Brookmeyer & Crowley (1982), Biometrics 38:29.
        """
        level = 1 - share
        between = (self.survival > 0) & (self.survival < 1)
        low, high = (np.where(between, end, np.nan) for end in (self.ci_low, self.ci_high))
        return Estimate(
            self._first_at(self.survival, level),
            None,
            self._first_at(low, level),
            self._first_at(high, level),
        )

    def is_well_observed(self, time: float | None) -> bool | None:
        """Whether enough learners are at risk at a time; None if the curve is unknown there.

        Enough are 10, and 5 % of those at the start. A curve that never has 10 always qualifies.
        """
        if time is None or time > self.known_until:
            return None
        if np.nanmax(self.at_risk) < FEWEST:
            return True
        # After the last of its times nobody is at risk: all have passed.
        ahead = np.append(self.at_risk, 0.0)[np.searchsorted(self.times, time - _TOLERANCE)]
        return bool(ahead >= max(FEWEST, FEWEST_SHARE * self.at_risk[0]))

    def passed_by(self, time: float) -> Estimate:
        """Return the share that has passed by the time, with the curve's interval."""
        i = self._place(time)
        is_between = self.is_released and self.times[i] != time  # too few are at risk at the time
        if time > self.known_until or is_between or self._is_unshown(time):
            return Estimate()
        lower = self.ci_low if time == self.times[i] else self.ci_low_after
        values = (self.survival[i], self.std_error[i], self.ci_high[i], lower[i])
        survival, error, high, low = (None if np.isnan(v) else float(v) for v in values)
        return Estimate(
            None if survival is None else 1 - survival,
            error,
            None if high is None else 1 - high,
            None if low is None else 1 - low,
        )

    def _place(self, time: float) -> int:
        return int(np.searchsorted(self.times, time, side="right")) - 1

    def _is_unshown(self, time: float) -> bool:
        """Whether a released curve does not say yet how many have passed, other than too few."""
        return self.is_released and not self.survival[self._place(time)] < 1

    def restricted_mean(
        self,
        horizon: float,
        learners: int | None,
        level: float,
        distribution: Distribution,
        *,
        effect: float = 1.0,
        std_error: float | None = None,
    ) -> Estimate:
        """Return the area below the curve up to the horizon; empty if that is 0 or beyond its end.

        Source: Klein & Moeschberger (2003), Survival Analysis, 4.5: the variance is
        Σ A(t)² d / (n (n − d)) over the event times, with A(t) the area from t to the horizon;
        times the design effect if rows form clusters. A standardized curve needs its own standard
        error as `std_error`. If nobody passes before the horizon the error is 0, and the interval
        goes from the area below the curve's lower limit to the horizon; otherwise it is that of
        `Spread`. If the learners are worth fewer than 10 observed up to the horizon, and less than
        half of all, there is none: the few still at risk have too few events to tell the error.
        """
        if not 0 < horizon <= self.known_until or self._is_unshown(horizon):
            return Estimate()
        low = np.where(np.isnan(self.ci_low_after), 1.0, self.ci_low_after)
        mean, low_mean = (
            float(self._areas_until(horizon, area, height).sum())
            for area, height in zip(self.areas, (self.survival, low), strict=True)
        )
        if not self.events[self._inside(horizon)].any():
            return Estimate(mean, 0.0, low_mean, horizon)
        if (self.measured or self)._is_too_little_observed(horizon):
            return Estimate(mean)
        error = std_error
        if error is None:
            error = math.sqrt(effect * self.variance_of_mean(horizon))
        half = Spread.of([error], [learners], distribution).half_width(level)
        if math.isnan(half):
            return Estimate(mean, error)
        return Estimate(mean, error, mean - half, mean + half)

    def _is_too_little_observed(self, horizon: float) -> bool:
        """Whether the learners are worth fewer than 10 observed throughout, and half of them.

        The mean of so many would be as precise, at a constant hazard: at a time, n at risk are
        worth n / S observed for that long, the effective sample size of Dorey & Korn (1987),
        Statistics in Medicine 6:679.
        """
        inside = self._inside(horizon)
        areas = self._areas_until(horizon, self.areas[0], self.survival)
        ahead = np.append(np.cumsum(areas[::-1])[::-1], 0.0)
        squares = ahead[1:] ** 2 + ahead[1:] * ahead[:-1] + ahead[:-1] ** 2
        survival, next_row = self.survival[inside], np.flatnonzero(inside) + 1
        at_risk = np.append(self.at_risk, 0.0)[next_row]
        weight = squares * np.diff(self.times[inside], append=horizon)
        some = (survival > 0) & (at_risk > 0)
        as_if, observed = (float((weight[some] / of[some]).sum()) for of in (survival, at_risk))
        return as_if < observed * min(FEWEST, np.nanmax(self.at_risk) / 2)

    def variance_of_mean(self, horizon: float) -> float:
        """Return the variance of the restricted mean of independent learners."""
        if self.measured is not None:
            return float(f"{self.measured.variance_of_mean(horizon):.{DIGITS}g}")
        areas = self._areas_until(horizon, self.areas[0], self.survival)
        ahead = np.cumsum(areas[::-1])[::-1]
        w, aw, aaw = (step[self._inside(horizon)] for step in self.steps)
        return float(np.sum(ahead**2 * w + 2 * ahead * aw + aaw))

    def _inside(self, horizon: float) -> NDArray[np.bool_]:
        return (self.times < horizon) & ~np.isnan(self.survival)

    def _areas_until(self, horizon: float, areas: Floats, heights: Floats) -> Floats:
        """Return the areas from each time to the next, or to the horizon."""
        inside = self._inside(horizon)
        rest = horizon - self.times[inside][-1:]
        return np.append(areas[inside][1:], heights[inside][-1:] * rest)

    def _first_at(self, values: Floats, level: float) -> float | None:
        reached = np.flatnonzero(values <= level + _TOLERANCE)
        return float(self.times[reached[0]]) if len(reached) else None
