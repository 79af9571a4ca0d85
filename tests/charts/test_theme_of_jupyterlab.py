"""Charts follow the theme that JupyterLab's settings name."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import pytest

from toolkit.charts.theme import DARK, MIME, PAPER, finish, jupyterlab_is_dark, use_offline_charts

DARK_THEME = '{\n    // chosen in the menu\n    "theme": "JupyterLab Dark"\n}'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which JupyterLab keeps its theme; this process is a notebook of it."""
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    folder = tmp_path / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True)
    return folder / "themes.jupyterlab-settings"


@pytest.mark.parametrize(
    ("text", "is_dark"),
    [
        (DARK_THEME, True),
        ('{"theme": "JupyterLab Dark High Contrast"}'.replace("{", "{\n"), True),
        ('{"theme": "JupyterLab Dark"}', True),
        ('{"adaptive-theme": true, "theme": "JupyterLab Dark"}', True),
        ('{\n"theme": "JupyterLab Light"\n}', False),
        ('{\n// "theme": "JupyterLab Dark"\n}', False),
        ("", False),
        (None, False),
    ],
)
def test_the_theme_is_the_one_in_the_settings(
    settings: Path, text: str | None, is_dark: bool
) -> None:
    if text is not None:
        settings.write_text(text, encoding="utf-8")
    assert jupyterlab_is_dark() is is_dark


def test_outside_of_a_notebook_charts_are_light(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text(DARK_THEME, encoding="utf-8")
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert not jupyterlab_is_dark()


def test_a_chart_is_drawn_in_the_theme_of_the_moment(settings: Path) -> None:
    before = alt.renderers.active
    chart = finish(alt.Chart().mark_point(), title="t", subtitle="s", description="d")

    def paper() -> str:
        return str(chart._repr_mimebundle_()[MIME]["config"]["background"])

    try:
        use_offline_charts()
        assert paper() == PAPER
        settings.write_text(DARK_THEME, encoding="utf-8")
        assert paper() == DARK[PAPER]
        use_offline_charts("light")
        assert paper() == PAPER
    finally:
        alt.renderers.enable(before)
