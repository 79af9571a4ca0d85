"""The pages of `check --html`, as a browser shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from looks import faults_of
from odd_names import platform_of, records
from playwright.sync_api import Browser

import toolkit as tk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = records()
    found["grades"] = [row | {"percent_grade": "7"} for row in found["grades"]]
    with platform_of(found) as platform:
        report = tk.check(tk.load_study(platform))
    assert not report.ok
    return report.to_html(tmp_path_factory.mktemp("docs")).parent


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_data_docs_fit_and_can_be_read(
    folder: Path, browser: Browser, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    faults = []
    for path in sorted(folder.glob("*.html")):
        page.goto(path.as_uri())
        faults += [f"{path.stem}: {fault}" for fault in faults_of(page)]
        text = page.locator("body").inner_text()
        faults += [f"{path.stem}: {word}" for word in ("None", "[]", "nan") if word in text]
    page.close()
    assert faults == []
