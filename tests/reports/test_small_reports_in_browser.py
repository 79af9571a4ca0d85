"""Reports with little in them: every page says what cannot be shown, and nothing looks broken."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import in_process
import pytest
from looks import faults_of
from odd_names import platform_of
from playwright.sync_api import Browser

import toolkit as tk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", params=["38 learners", "nobody"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("small")
    if request.param == "38 learners":
        return in_process.write_report(top / "report", SO2_SANDBOX_LEARNERS="38").index.parent
    with platform_of({"grades": [], "enrollments": [], "completion": []}) as platform:
        tk.take_snapshot(platform, top / "none", key=secrets.token_hex(32))
    return in_process.write_report(top / "report", SO2_SNAPSHOT=str(top / "none")).index.parent


def test_small_reports_are_whole(folder: Path, browser: Browser) -> None:
    faults: list[str] = []
    for width in (1280, 390):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message, into=faults: into.append(message.text))
        page.on("pageerror", lambda error, into=faults: into.append(str(error)))
        for path in sorted(folder.glob("*.html")):
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-drawn=true]", state="attached")
            faults += [f"{path.stem} {width}: {fault}" for fault in faults_of(page)]
            text = page.locator("body").inner_text()
            faults += re.findall(r"\b(?:NaN|null|undefined|None|inf)\b.{0,30}", text)
            for chart in page.locator(".chart").all():
                marks = chart.locator(
                    "svg .mark-rect path, svg .mark-symbol path, svg .mark-line path, "
                    "svg .mark-rule line"
                )
                why = chart.locator("svg text", has_text=re.compile("too few|no learners"))
                if not marks.count() and not why.count():
                    faults.append(
                        f"{path.stem}: an empty chart, {chart.get_attribute('aria-label')}"
                    )
        page.close()
    assert faults == []
