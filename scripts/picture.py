"""Draw the README's picture from the sandbox: docs/time-to-pass.png."""

from __future__ import annotations

from pathlib import Path

import toolkit as tk


def main() -> None:
    """Load, estimate, draw, save."""
    with tk.sandbox(learners=5_000, seed=7) as platform:
        study = tk.load_study(platform)
    curve = tk.kaplan_meier(tk.time_to_pass(study.person_course), by="mode")
    chart = tk.chart_kaplan_meier(curve, source=study.caption)
    chart.save(Path(__file__).parents[1] / "docs" / "time-to-pass.png", scale_factor=1.5)


if __name__ == "__main__":
    main()
