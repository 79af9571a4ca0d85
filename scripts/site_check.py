"""Check the built site: links lead somewhere, pages fetch nothing, axe finds nothing serious.

python scripts/site_check.py build/site
"""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}
SERIOUS = {"serious", "critical"}


class Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what a tag points at."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif (tag, name) in FETCHED and value:
                self.fetched.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


def broken(pages: dict[Path, Page]) -> list[str]:
    """Each link to a file or an anchor that is not there, and each file fetched from elsewhere."""
    faults = []
    for path, page in pages.items():
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme in {"http", "https", "mailto"} or link.startswith("//"):
                if link in page.fetched:
                    faults.append(f"{path}: fetches {link}")
                continue
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                faults.append(f"{path}: no file {link}")
            elif parts.fragment and target in pages and parts.fragment not in {
                "", "top", *pages[target].anchors
            }:  # fmt: skip
                faults.append(f"{path}: no anchor {link}")
    return faults


def inaccessible(paths: list[Path]) -> list[str]:
    """Each serious fault that axe finds, and whatever a page asks the network for."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("no Chromium here: axe was not run")
        return []
    faults = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:"))
                else faults.append(f"{page.url}: asks for {request.url}")
            ),
        )
        for path in paths:
            page.goto(path.as_uri())
            found = Axe().run(page)
            for fault in found.response["violations"]:
                if fault["impact"] in SERIOUS:
                    where = fault["nodes"][0]["html"][:120]
                    faults.append(f"{path}: {fault['id']}: {fault['help']}: {where}")
        browser.close()
    return faults


def main() -> None:
    """Check every page for links, and one of each kind with axe."""
    folder = Path(sys.argv[1]).resolve()
    paths = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    pages = {path: Page(path) for path in paths}
    # Pages of a folder are made alike: the index and two others stand for it.
    kinds: dict[Path, list[Path]] = {}
    for path in paths:
        kinds.setdefault(path.parent, []).append(path)
    chosen = [p for group in kinds.values() for p in {group[0], group[len(group) // 2], group[-1]}]
    chosen += [path for path in paths if path.parent.name in {"guides", "gallery"}]
    faults = broken(pages) + inaccessible(sorted(set(chosen)))
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(pages)} pages: links lead somewhere, nothing is fetched, axe is content")


if __name__ == "__main__":
    main()
