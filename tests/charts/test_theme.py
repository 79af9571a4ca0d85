from __future__ import annotations

import altair as alt
import polars as pl
import pytest

from toolkit.charts import theme


def chart() -> alt.Chart:
    bars = alt.Chart(pl.DataFrame({"course": ["A", "B"], "n": [10, 20]})).mark_bar()
    return bars.encode(x="n:Q", y="course:N", color=alt.value(theme.PALETTE[0]))


def finished(title: str = "B has twice the learners") -> alt.Chart:
    return theme.finish(chart(), title=title, subtitle="n = 30 learners", description="A 10, B 20")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_finished_chart_has_title_subtitle_and_description() -> None:
    spec = finished().to_dict()
    assert spec["title"]["text"] == ["B has twice the learners"]
    assert spec["title"]["subtitle"] == ["n = 30 learners"]
    assert spec["description"] == "A 10, B 20"


def test_a_long_title_is_broken_into_lines_and_loses_no_word() -> None:
    title = " ".join(["cohort"] * 30)
    lines = finished(title).to_dict()["title"]["text"]
    assert len(lines) > 1
    assert " ".join(lines) == title


def test_no_chart_offers_to_send_its_data_to_the_vega_editor() -> None:
    actions = finished().to_dict()["usermeta"]["embedOptions"]["actions"]
    assert actions == {"export": True, "source": False, "compiled": False, "editor": False}


@pytest.mark.parametrize("join", [alt.layer, alt.hconcat, alt.vconcat])
def test_charts_made_of_charts_can_be_finished(join: object) -> None:
    whole = join(chart(), chart())  # type: ignore[operator]
    assert theme.finish(whole, title="t", subtitle="s", description="d").to_dict()["config"]


def test_text_is_readable_on_its_paper_in_light_and_dark() -> None:
    for ink in (theme.INK, theme.MUTED):
        assert contrast(ink, theme.PAPER) >= 7
        assert contrast(theme.DARK[ink], theme.DARK[theme.PAPER]) >= 7


def test_the_ramp_grows_darker_step_by_step_so_that_grey_print_keeps_its_order() -> None:
    steps = [luminance(colour) for colour in theme.RAMP]
    assert steps == sorted(steps, reverse=True)
    on_dark = [luminance(theme.DARK[colour]) for colour in theme.RAMP]
    assert on_dark == sorted(on_dark)


def test_a_dark_chart_names_no_light_paper_and_keeps_its_data() -> None:
    spec = finished().to_dict()
    dark = theme.dark(spec)
    assert dark["config"]["background"] == theme.DARK[theme.PAPER]
    assert theme.PALETTE[0] not in str(dark)
    assert dark["datasets"] == spec["datasets"]


def test_offline_charts_are_a_type_that_jupyterlab_draws_itself() -> None:
    with alt.renderers.enable():
        theme.use_offline_charts(theme="dark")
        bundle = finished()._repr_mimebundle_()
        assert set(bundle) == {theme.MIME, "text/plain"}
        assert bundle["text/plain"] == "A 10, B 20"
        assert bundle[theme.MIME]["config"]["background"] == theme.DARK[theme.PAPER]
        assert "cdn" not in str(bundle)
    alt.renderers.enable("default")
