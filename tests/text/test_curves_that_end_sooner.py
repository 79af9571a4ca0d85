"""A curve that ends sooner than the others is not one that cannot be shown."""

import polars as pl

import toolkit as tk


def durations() -> pl.DataFrame:
    """Three groups observed for 100 days, one for 50, and one of a single learner."""
    parts = [
        pl.DataFrame(
            {"g": name, "duration": [float(day) for day in range(1, end + 1) for _ in range(3)]}
        ).with_columns(event=pl.col("duration") % 2 == 0)
        for name, end in (("a", 100), ("b", 100), ("e", 100), ("c", 50))
    ]
    lone = pl.DataFrame({"g": "d", "duration": 3.0, "event": False})
    return pl.concat([*parts, lone]).with_columns(
        end=pl.when("event").then(pl.lit("passed")),
    )


def test_a_group_with_few_at_risk_by_then_is_not_called_hidden() -> None:
    for result in (
        tk.kaplan_meier(durations(), by="g"),
        tk.survival.cumulative_incidence(durations(), by="g"),
    ):
        exact, shown = (str(result.release(min_n=min_n).narrate()) for min_n in (None, 10))
        assert "Too few are at risk for so long in 2 other groups." in exact
        assert "cannot be shown" not in exact
        assert "Too few are at risk for so long in 1 other group. 1 of 5 groups cannot" in shown
