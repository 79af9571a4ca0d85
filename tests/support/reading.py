"""Readers of the files of a finished report."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag

Row = dict[str, Any]
# Attributes that are displayed or read aloud.
_HEARD = ("alt", "aria-label", "title", "data-value")


def pages(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.html"))


def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def specs(page: BeautifulSoup) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the charts of a page: the stem of their files, and the specification."""
    for script in page.find_all("script", id=re.compile("-spec$")):
        yield str(script["id"]).removesuffix("-spec"), json.loads(script.get_text())


def datasets(spec: dict[str, Any]) -> list[list[Row]]:
    return list(spec.get("datasets", {}).values())


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tables(page: BeautifulSoup) -> Iterator[tuple[Tag, list[str], list[list[str]]]]:
    """Yield the tables of a page: the tag, headings, and rows of text."""
    for table in page.find_all("table"):
        rows = [[words(cell) for cell in row.find_all(["th", "td"])] for row in table("tr")]
        yield table, rows[0], rows[1:]


def words(tag: Tag) -> str:
    """Return the text of a tag with single spaces."""
    return " ".join("".join(tag.find_all(string=True)).split())


def sentences(page: BeautifulSoup) -> list[str]:
    """Return all that is displayed or read aloud, except tables, scripts and the author's text."""
    page = BeautifulSoup(str(page), "html.parser")
    for tag in page(["script", "style", "table"]):
        tag.decompose()
    for tag in page.select("section.prose, div.code, article.prose"):
        tag.decompose()
    heard = [str(tag[name]) for tag in page.find_all(True) for name in _HEARD if tag.get(name)]
    blocks = page.find_all(["title", "p", "pre", "h1", "h2", "h3", "div", "figcaption", "footer"])
    inner = [block for block in blocks if not block.find(["p", "pre", "h3", "div", "figcaption"])]
    spans = [tag for tag in page.find_all(["span", "a", "button", "li", "dd"]) if tag not in inner]
    displayed = [words(tag) for tag in [*inner, *spans]]
    return list(dict.fromkeys(text for text in [*displayed, *heard] if text))


def authors_text(page: BeautifulSoup) -> str:
    """Return what the notebook's author wrote."""
    return " ".join(words(tag) for tag in page.select("section.prose"))


def svg_texts(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a drawing, shown or read aloud, and whether in an axis or a legend."""
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for tag in page.find_all("text"):
        guide = tag.find_parent("g", class_=re.compile("role-(axis|legend)"))
        yield words(tag), guide is not None
    for tag in page.find_all(attrs={"aria-label": True}):
        is_guide = re.compile("role-(axis|legend)").search(" ".join(tag.get("class", [])))
        yield str(tag["aria-label"]), is_guide is not None or "axis" in str(tag["aria-label"])[:6]
