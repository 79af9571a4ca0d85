"""Print a page as PDF, if a browser of the Chromium family is installed."""

from __future__ import annotations

import os
import re
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
_LINK = re.compile(r'(<a\b[^>]*?)\s+href="[^"]*"')


def find_chromium() -> str | None:
    """Return the path of a browser that can print, or None."""
    on_path = (shutil.which(name) for name in _NAMES)
    installed = (place for place in _PLACES if Path(place).exists())
    return next((found for found in (*on_path, *installed) if found), None)


def write_pdf(page: Path, target: Path) -> bool:
    """Print a page from disk, without a network; return False if there is no browser or it fails.

    Links are left out: printed, they would name this machine's folders.
    """
    browser = find_chromium()
    if browser is None:
        return False
    unlinked = page.with_name(f"print-{page.name}")  # its styles lie beside it
    # The browser's helpers may still write there after it has ended.
    with tempfile.TemporaryDirectory(prefix="so2-", ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-first-run",
            "--disable-background-networking",  # no probe, no update, no component
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",  # bookmarks, of the headings
            f"--print-to-pdf={target.resolve()}",
            unlinked.resolve().as_uri(),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers; Chromium refuses otherwise
            command.insert(1, "--no-sandbox")
        try:
            unlinked.write_text(_LINK.sub(r"\1", page.read_text("utf-8")), encoding="utf-8")
            done = subprocess.run(  # noqa: S603  # a browser found above, on our own page
                command, capture_output=True, timeout=_PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        finally:
            unlinked.unlink(missing_ok=True)
    return done.returncode == 0 and target.exists()
