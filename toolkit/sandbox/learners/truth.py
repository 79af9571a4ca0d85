"""The model the simulated records were drawn from, for comparison with estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from toolkit.sandbox.learners.courses import COURSES, MODES, RUNS, course_id


@dataclass(frozen=True, slots=True)
class Truth:
    """The model that the simulated learners follow.

    A learner who enrolls in a course in some mode eventually passes with `pass_probability`;
    if so, the days from enrollment (`created`) to the pass follow a Weibull distribution with
    `shape` and `scale_days`, whenever the learner enrolled. Only the platform's clock censors a
    pass, so censoring is administrative.

    Attributes:
        parameters: One row per course and mode: course_id, display_name, mode, mode_share,
            pass_probability, shape, scale_days, pass_mark (a fraction).
    """

    parameters: pl.DataFrame

    def pass_probability(self, course_id: str, mode: str | None = None) -> float:
        """Return the probability of ever passing, in one mode or over the course's modes."""
        weight, probability = self._of(course_id, mode).select("mode_share", "pass_probability")
        return float(np.average(probability, weights=weight))

    def survival(
        self, course_id: str, days: ArrayLike, mode: str | None = None
    ) -> NDArray[np.float64]:
        """Return the probability of not having passed `days` after enrollment, shaped like `days`.

        Raises:
            KeyError: There is no such course or mode.

        Examples:
            >>> course = "course-v1:DemoX+STAT101+2024_T1"
            >>> stated_truth().survival(course, [0, 75, 1e6], mode="verified").round(3)
            array([1.   , 0.507, 0.22 ])
        """
        model = self._of(course_id, mode)
        weight, probability, shape, scale = (
            model[name].to_numpy()
            for name in ("mode_share", "pass_probability", "shape", "scale_days")
        )
        elapsed = np.asarray(days, dtype=np.float64)[..., np.newaxis]
        passed = probability * -np.expm1(-((elapsed / scale) ** shape))
        return np.asarray(1.0 - np.average(passed, axis=-1, weights=weight))

    def _of(self, course_id: str, mode: str | None) -> pl.DataFrame:
        wanted = pl.col("course_id") == course_id
        if mode is not None:
            wanted &= pl.col("mode") == mode
        model = self.parameters.filter(wanted)
        if model.is_empty():
            raise KeyError(f"{course_id} in mode {mode}" if mode else course_id)
        return model


def stated_truth() -> Truth:
    """Return the model of the catalogue."""
    return Truth(
        pl.DataFrame(
            [
                {
                    "course_id": course_id(course, run),
                    "display_name": course.title,
                    "mode": mode,
                    "mode_share": share,
                    "pass_probability": probability,
                    "shape": course.shape,
                    "scale_days": course.scale_days,
                    "pass_mark": course.pass_mark / 100,
                }
                for course in COURSES
                for index, run in enumerate(RUNS)
                for mode, share, probability in zip(
                    MODES, course.mode_shares, course.pass_probabilities(index), strict=True
                )
            ]
        )
    )
