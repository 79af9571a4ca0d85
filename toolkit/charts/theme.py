"""The look that all charts share."""

from __future__ import annotations

from typing import TypeVar, cast

import altair as alt

# Okabe & Ito's palette, distinguishable under every common form of colour blindness.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"]

C = TypeVar("C", alt.Chart, alt.LayerChart, alt.HConcatChart, alt.VConcatChart, alt.FacetChart)


def finish(chart: C, *, title: str, subtitle: str, description: str) -> C:
    """Give a chart its finding as title, its basis as subtitle, its text for screen readers."""
    titled = chart.properties(
        title=alt.TitleParams(text=title, subtitle=subtitle, anchor="start"),
        description=description,
    )
    return cast("C", titled.configure_range(category=PALETTE))
