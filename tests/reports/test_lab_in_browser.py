"""`so2 lab` as a newcomer has it: open the first notebook, run all, see the charts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parents[2] / "artifacts"
TOKEN = "for-this-test"
MINUTES = 60_000  # milliseconds


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a running `so2 lab`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    unset = dict.fromkeys(("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT", "SO2_OULAD"), "")
    command = "from toolkit.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "lab", "--no-browser", f"--port={port}"],
        cwd=tmp_path,
        env=os.environ | unset | {"JUPYTER_TOKEN": TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api?token={TOKEN}", process)
        yield address
    finally:
        # The session is this test's own: the command, Jupyter and its kernels.
        os.killpg(process.pid, 15)
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "so2 lab ended"
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)  # a server in another process tells nobody that it is ready
    pytest.fail("JupyterLab did not start")


@pytest.mark.skipif(os.name == "nt", reason="ends a session by its process group")
def test_the_first_notebook_runs_in_jupyterlab_and_its_charts_are_seen(
    lab: str, browser: Browser
) -> None:
    outside: list[str] = []
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.on("request", lambda r: None if lab[7:] in r.url else outside.append(r.url))
    page.goto(f"{lab}/lab/tree/00-start-here.ipynb?token={TOKEN}")
    page.locator(".jp-Notebook").wait_for(timeout=2 * MINUTES)
    page.wait_for_timeout(3_000)  # the kernel starts after the notebook is shown
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    charts = page.locator(".jp-OutputArea-output .vega-embed")
    for _ in range(100):  # JupyterLab draws what is in sight, so scroll until it is
        page.wait_for_timeout(1_000)
        if charts.count():
            break
        page.mouse.move(800, 500)
        page.mouse.wheel(0, 300)
    page.wait_for_timeout(2_000)
    n_drawn = page.locator(".jp-OutputArea-output .vega-embed svg.marks").count()
    errors = page.locator(".jp-RenderedText[data-mime-type*=error]").count()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "lab-start-here.png")
    assert n_drawn >= 1
    assert errors == 0
    assert [url for url in outside if not url.startswith(("data:", "blob:"))] == []
