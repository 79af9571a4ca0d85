"""The words of a PDF printed by Chromium: those drawn, and those for screen readers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)(?:stream\r?\n|endobj)", re.DOTALL)
_LENGTH = re.compile(rb"/Length (\d+)")
_DRAWN = re.compile(rb"/F(\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>")
_PAIRS = re.compile(rb"<([0-9A-F]+)> <([0-9A-F]+)>(?: <([0-9A-F]+)>)?")


def pdf_texts(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts on the pages of a PDF, run by run, and its other strings.

    The strings are titles, bookmarks, words for screen readers, and dates.
    """
    content = path.read_bytes()
    objects = {int(found[1]): found for found in _OBJECT.finditer(content)}
    fonts = {
        number: _letters(_stream(content, objects[int(its[1])]))
        for number, found in objects.items()
        if (its := re.search(rb"/ToUnicode (\d+) 0 R", found[2]))
    }
    pages = [int(page) for page in re.findall(rb"/Contents (\d+) 0 R", content)]
    drawn = [text for page in pages for text in _runs(_stream(content, objects[page]), fonts)]
    return drawn, [text for found in objects.values() for text in _strings(found[2])]


def pdf_images(path: Path) -> list[bytes]:
    """Return the pixels of each image of a PDF, red, green and blue."""
    content = path.read_bytes()
    return [
        _stream(content, found)
        for found in _OBJECT.finditer(content)
        if b"/Subtype /Image" in found[2] and b"/DeviceRGB" in found[2]
    ]


def _stream(content: bytes, found: re.Match[bytes]) -> bytes:
    length = _LENGTH.search(found[2])
    raw = content[found.end() : found.end() + int(length[1])] if length else b""
    return zlib.decompress(raw) if b"/FlateDecode" in found[2] else raw


def _letters(table: bytes) -> dict[int, str]:
    """Return the letters of a font by glyph number."""
    letters = {}
    for first, last, start in _PAIRS.findall(table.partition(b"endcodespacerange")[2]):
        if start:
            for glyph in range(int(first, 16), int(last, 16) + 1):
                letters[glyph] = chr(int(start, 16) + glyph - int(first, 16))
        else:
            letters[int(first, 16)] = bytes.fromhex(last.decode()).decode("utf-16-be")
    return letters


def _runs(page: bytes, fonts: dict[int, dict[int, str]]) -> Iterator[str]:
    """Yield the text between each `BT` and its `ET`, as one line."""
    for block in re.findall(rb"BT(.*?)ET", page, re.DOTALL):
        letters: dict[int, str] = {}
        text = ""
        for font, glyphs in _DRAWN.findall(block):
            if font:
                letters = fonts[int(font)]
            codes = (int(glyphs[at : at + 4], 16) for at in range(0, len(glyphs), 4))
            text += "".join(letters[code] for code in codes)
        yield text


def _strings(dictionary: bytes) -> Iterator[str]:
    for plain, wide in re.findall(rb"\(((?:\\.|[^()\\])*)\)|<FEFF([0-9A-F]*)>", dictionary):
        yield bytes.fromhex(wide.decode()).decode("utf-16-be") if wide else plain.decode("latin-1")
