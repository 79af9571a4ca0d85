"""The first page as PDF: tagged, with its headings as bookmarks, without this machine's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.reports.pdf import find_chromium, write_pdf

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Overview</title></head>
<body><h1>Learner report</h1><p><a href="other.html">More</a></p><h2>Courses</h2><p>Six.</p></body>
</html>"""


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
def test_a_pdf_has_tags_and_bookmarks_and_no_link_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    assert write_pdf(tmp_path / "index.html", tmp_path / "overview.pdf")
    text = (tmp_path / "overview.pdf").read_bytes()
    assert b"/Outlines" in text
    assert b"/StructTreeRoot" in text
    assert b"(Courses)" in text  # the title of a bookmark
    assert str(tmp_path).encode() not in text
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["index.html", "overview.pdf"]
