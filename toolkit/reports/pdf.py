"""A page as PDF, where a browser of the Chromium family is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_PATIENCE = 60  # seconds


def find_chromium() -> str | None:
    """The path of a browser that can print, or None."""
    on_path = (shutil.which(name) for name in _NAMES)
    installed = (place for place in _PLACES if Path(place).exists())
    return next((found for found in (*on_path, *installed) if found), None)


def write_pdf(page: Path, target: Path) -> bool:
    """Print a page from disk, without network; False where no browser is or it fails."""
    browser = find_chromium()
    if browser is None:
        return False
    with tempfile.TemporaryDirectory(prefix="so2-") as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target.resolve()}",
            page.resolve().as_uri(),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers; Chromium refuses otherwise
            command.insert(1, "--no-sandbox")
        try:
            done = subprocess.run(  # noqa: S603  # a browser found above, on our own page
                command, capture_output=True, timeout=_PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0 and target.exists()
