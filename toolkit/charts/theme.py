"""The style of all charts: one palette, light or dark, drawn without a network."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import altair as alt

# Okabe & Ito (2008), distinguishable under every common form of colour blindness; ordered so
# that neighbours also differ in lightness, as far as eight hues can in grey print.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442"]
# One hue, lightness falling all the way: reads the same in colour and in grey.
RAMP = ["#EAF3FA", "#BFDCEF", "#86BDE0", "#4A97C9", "#1B6CA8", "#08406F"]
# A second channel for lines, so that nothing depends on colour alone.
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 2, 1, 2], [1, 3], [10, 2, 2, 2]]

INK, MUTED, RULE, GRID, PAPER = "#1A1A1A", "#555555", "#8A8A8A", "#E3E3E3", "#FFFFFF"
WITHHELD = "#C4C4C4"
FAINT = "#F2F2F2"  # behind upper bounds
# Text in the cells of the ramp: the strongest contrast, on either background.
ON_LIGHT, ON_DARK = "#000000", "#FEFEFE"

# Fonts of equal widths, so that text that fits where a chart is drawn fits where it is seen.
FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"

# What each colour becomes on dark paper; the ramp crosses from one colour of letters to the other
# at the same share as on light paper. Charts name only colours of this module, so that
# exchanging them is all that a dark chart needs.
DARK = {
    INK: "#F2F2F2",
    MUTED: "#B8B8B8",
    RULE: "#8F8F8F",
    GRID: "#3A3D42",
    PAPER: "#16181C",
    WITHHELD: "#5A5D63",
    FAINT: "#25282D",
    "#000000": "#FFFFFF",
    ON_DARK: "#000000",
    "#0072B2": "#4FB0F0",
    "#56B4E9": "#A6DCFF",
    "#009E73": "#2BC79B",
    "#D55E00": "#FF7F2A",
} | dict(zip(RAMP, ["#1D2A36", "#1C3B54", "#1E4D72", "#205E8C", "#2E8CB8", "#C3E3F7"], strict=True))

Theme = Literal["light", "dark", "auto"]
C = TypeVar("C", alt.Chart, alt.LayerChart, alt.HConcatChart, alt.VConcatChart, alt.FacetChart)

# JupyterLab, VS Code and our report draw this type with scripts they bring themselves. They
# know Vega-Lite 5; our charts keep to what 5 and 6 share.
MIME = "application/vnd.vegalite.v5+json"

_THEME = re.compile(r'(?:^|[{,])\s*"theme"\s*:\s*"([^"]*)"', re.MULTILINE)  # not a comment
_MOST_ROWS = 100_000
_TITLE_WIDTH, _SUBTITLE_WIDTH = 68, 92

_CONFIG: dict[str, Any] = {
    "background": PAPER,
    "font": FONT,
    "padding": 8,
    "view": {"continuousWidth": 560, "continuousHeight": 300, "stroke": None},
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "color": INK,
        "fontSize": 17,
        "fontWeight": 600,
        "lineHeight": 22,
        "subtitleColor": MUTED,
        "subtitleFontSize": 13,
        "subtitleLineHeight": 18,
        "subtitlePadding": 6,
        "offset": 14,
    },
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "labelLimit": 400,
        "domainColor": RULE,
        "tickColor": RULE,
        "gridColor": GRID,
    },
    "axisX": {"grid": False, "labelFlush": False, "labelSeparation": 4},
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
    "header": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "labelFontWeight": 600,
        "labelLimit": 400,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 400,
        "symbolLimit": 0,
    },
    "text": {"color": INK, "fontSize": 12},
    "rule": {"color": RULE},
    "line": {"strokeWidth": 2.25},
    "point": {"size": 60, "filled": True},
    "mark": {"color": PALETTE[0]},
    "range": {"category": PALETTE, "ramp": RAMP, "heatmap": RAMP, "ordinal": RAMP},
}


def finish(chart: C, *, title: str, subtitle: str, description: str) -> C:
    """Give a chart its finding as title, its basis as subtitle, and a text for screen readers.

    Long titles and subtitles are broken into lines, so that none is cut. A subtitle part that
    begins a new line is set apart by a line break in the text.

    Examples:
        >>> chart = alt.Chart().mark_point()
        >>> titled = finish(chart, title="A leads", subtitle="n = 30", description="A 10, B 20")
        >>> titled.to_dict()["description"]
        'A 10, B 20'
    """
    titled = chart.properties(
        title=alt.TitleParams(
            text=_lines(title, _TITLE_WIDTH), subtitle=_lines(subtitle, _SUBTITLE_WIDTH)
        ),
        description=description,
        # "Open in the Vega editor" would send the chart's data to another site.
        usermeta={
            "embedOptions": {
                "renderer": "svg",
                "actions": {"export": True, "source": False, "compiled": False, "editor": False},
            }
        },
    )
    return cast("C", titled.configure(**_CONFIG))


def retitle(chart: C, title: str) -> None:
    """Put a title in place of a chart's finding."""
    chart.title.text = _lines(title, _TITLE_WIDTH)


def dark(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the same chart specification on a dark background."""
    return cast("dict[str, Any]", _exchange(spec))


def use_offline_charts(theme: Theme = "auto") -> None:
    """Let this notebook draw Altair charts without a network, in light or dark.

    By default, Altair loads its scripts from the network each time. JupyterLab and VS Code
    contain these scripts, so they draw the charts. Each chart carries its description as text,
    for screen readers and for front ends that show no charts.

    Args:
        theme: "light", "dark", or "auto": the theme JupyterLab has when a chart is drawn, as its
            settings say; light elsewhere.

    Examples:
        >>> use_offline_charts("dark")
        >>> alt.renderers.active
        'so2'
    """

    def render(spec: dict[str, Any], **_: object) -> dict[str, Any]:
        is_dark = theme == "dark" or (theme == "auto" and jupyterlab_is_dark())
        shown = dark(spec) if is_dark else spec
        schema = "https://vega.github.io/schema/vega-lite/v5.json"
        text = str(spec.get("description") or "A chart without a description.")
        return {MIME: {**shown, "$schema": schema}, "text/plain": text}

    alt.renderers.register("so2", render)
    alt.renderers.enable("so2")
    # The course explorer of a large catalogue holds more aggregated rows than Altair's 5,000.
    alt.data_transformers.enable("default", max_rows=_MOST_ROWS)


def jupyterlab_is_dark() -> bool:
    """Whether this is a notebook in JupyterLab with a dark theme, by the settings of its user."""
    if "JPY_SESSION_NAME" not in os.environ:  # no notebook of a server
        return False
    configured = os.environ.get("JUPYTER_CONFIG_DIR") or Path.home() / ".jupyter"
    folder = os.environ.get("JUPYTERLAB_SETTINGS_DIR") or Path(configured, "lab", "user-settings")
    file = Path(folder, "@jupyterlab", "apputils-extension", "themes.jupyterlab-settings")
    try:
        found = _THEME.search(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):  # JupyterLab's own choice, which is light
        return False
    return found is not None and "dark" in found[1].casefold()


def _lines(text: str, width: int) -> list[str]:
    return [line for part in text.splitlines() for line in textwrap.wrap(part, width)] or [""]


def _exchange(value: object) -> object:
    if isinstance(value, dict):  # what is drawn stays, even a course that is named as a colour
        return {
            key: inner if key == "datasets" else _exchange(inner) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_exchange(inner) for inner in value]
    return DARK.get(value, value) if isinstance(value, str) else value
