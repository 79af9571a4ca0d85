"""Released results as Word documents: one table, its caption above and its note below.

A docx file is a zip of XML parts; the three below are all that Word, LibreOffice and Pages need.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from toolkit.results.files import atomically, fit_for_xml
from toolkit.results.result import Released
from toolkit.text.tables import ReadingTable, reading_table

_TYPES = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument\
.wordprocessingml.document.main+xml"/>
</Types>"""
_RELATIONS = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/\
officeDocument" Target="word/document.xml"/>
</Relationships>"""
_DOCUMENT = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
{body}
<w:sectPr><w:pgSz w:w="{width}" w:h="{height}"{orientation}/>\
<w:pgMar w:top="1134" w:right="1134" w:bottom="1134" w:left="1134" w:header="709" w:footer="709" \
w:gutter="0"/></w:sectPr>
</w:body></w:document>"""
_RULE = '<w:{side} w:val="single" w:sz="{size}" w:space="0" w:color="000000"/>'
_A4 = (11906, 16838)  # in twentieths of a point
_MOST_IN_PORTRAIT = 6  # columns; with more, the page is landscape


def word(
    released: Released, path: Path, *, columns: list[str] | None = None, rows: int = 1_000
) -> Path:
    """Write the table for reading as a Word document with rules above, below and under the head."""
    document = _document(reading_table(released, columns, rows=rows))
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS,
        "word/document.xml": document,
    }

    def fill(part: Path) -> None:
        with ZipFile(part, "w", ZIP_DEFLATED) as file:
            for name, text in parts.items():
                # Without a date, so that the same table gives the same bytes.
                file.writestr(ZipInfo(name), text, ZIP_DEFLATED)

    return atomically(path, fill, suffix=".docx")


def _document(table: ReadingTable) -> str:
    body = [
        *([_paragraph(table.caption, keep=True)] if table.caption else []),
        _table(table),
        _paragraph(table.note, size=16),  # Word wants a paragraph after a table
    ]
    is_wide = len(table.headings) > _MOST_IN_PORTRAIT
    width, height = reversed(_A4) if is_wide else _A4
    orientation = ' w:orient="landscape"' if is_wide else ""
    return _DOCUMENT.format(
        body="\n".join(body), width=width, height=height, orientation=orientation
    )


def _table(table: ReadingTable) -> str:
    thick = "".join(_RULE.format(side=side, size=12) for side in ("top", "bottom"))
    head = _row(list(table.headings), table.is_number, is_head=True)
    body = "\n".join(_row(row, table.is_number) for row in table.rows)
    grid = "<w:gridCol/>" * len(table.headings)
    return (
        f'<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblBorders>{thick}</w:tblBorders>'
        f"</w:tblPr><w:tblGrid>{grid}</w:tblGrid>\n{head}\n{body}</w:tbl>"
    )


def _row(cells: list[str], is_number: list[bool], *, is_head: bool = False) -> str:
    properties = "<w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>" if is_head else ""
    under = f"<w:tcBorders>{_RULE.format(side='bottom', size=6)}</w:tcBorders>" if is_head else ""
    tags = "".join(
        f"<w:tc><w:tcPr>{under}</w:tcPr>{_paragraph(cell, to_right=number, bold=is_head)}</w:tc>"
        for cell, number in zip(cells, is_number, strict=True)
    )
    return f"<w:tr>{properties}{tags}</w:tr>"


def _paragraph(
    text: str, *, size: int = 20, to_right: bool = False, bold: bool = False, keep: bool = False
) -> str:
    """Write one paragraph; the size is in half points."""
    properties = "<w:keepNext/>" * keep + '<w:spacing w:after="40"/>'
    properties += '<w:jc w:val="right"/>' * to_right
    run = "<w:b/>" * bold + f'<w:sz w:val="{size}"/>'
    return (
        f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:rPr>{run}</w:rPr>"
        f'<w:t xml:space="preserve">{escape(fit_for_xml(text))}</w:t>'
        "</w:r></w:p>"
    )
