"""An executed notebook → the parts of a page, in HTML."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any, Literal

from toolkit.charts.theme import MIME
from toolkit.extras import extra
from toolkit.reports.execution import INJECTED, Executed
from toolkit.reports.figures import Figure, read_figure
from toolkit.results.output import OUTPUT
from toolkit.text import words

with extra("notebooks"):
    import bleach  # type: ignore[import-untyped]
    import nbformat
    from nbconvert.filters.ansi import strip_ansi
    from nbconvert.filters.highlight import Highlight2HTML
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

Kind = Literal["prose", "code", "finding", "note", "figure", "table", "text"]

_TABLE_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_QUOTED_CELL = re.compile(r"<td>&quot;(.*?)&quot;</td>", re.DOTALL)
_TAGS = frozenset(
    {"b", "blockquote", "br", "caption", "code", "dd", "details", "div", "dl", "dt", "em", "h2"}
    | {"h3", "h4", "li", "ol", "p", "pre", "small", "span", "strong", "sub", "summary", "sup"}
    | {"table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"}
)
_ATTRIBUTES = ["class", "scope", "colspan", "rowspan", "title"]
_HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)
_ANCHORED = re.compile(r'<h2 id="([^"]*)">(.*?)</h2>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True)
class Part:
    """A piece of a page: prose, code, a finding, a note, a figure, a table or printed text.

    Parts for authors appear only with the code. The label is the heading above the part.
    """

    kind: Kind
    html: str = ""
    figure: Figure | None = None
    for_authors: bool = False
    label: str = ""


@dataclass(frozen=True)
class Page:
    """A notebook as a page."""

    name: str  # the notebook's stem; the page is `name.html`
    title: str  # the notebook's question
    summary: str  # its first paragraph, plain text
    answer: str  # the first narrative of a result, or nothing
    seconds: float  # how long its execution took
    parts: list[Part] = field(default_factory=list)  # what the page shows, in order
    failed: bool = False  # whether a cell failed: then the page shows only the question
    notebook: str = ""  # the notebook without outputs, as a file to run; empty if a cell failed

    @property
    def label(self) -> str:
        """Its name in the list of pages: "Time to pass"."""
        return self.name.partition("-")[2].replace("-", " ").capitalize()

    @property
    def contents(self) -> list[tuple[str, str]]:
        """The anchors and texts of the headings that readers see."""
        seen = (part for part in self.parts if part.kind == "prose" and not part.for_authors)
        found = (match for part in seen for match in _ANCHORED.finditer(part.html))
        return [(match[1], _TAG.sub("", match[2])) for match in found]

    @property
    def figures(self) -> list[Figure]:
        """The page's charts in order."""
        return [part.figure for part in self.parts if part.figure is not None]


def read_page(executed: Executed) -> Page:
    """Turn an executed notebook into a page."""
    title, summary = _opening(executed.notebook)
    title = title or executed.name
    if executed.failure is not None:
        return Page(executed.name, title, summary, "", executed.seconds, failed=True)
    parts: list[Part] = []
    for cell in executed.notebook.cells:
        if cell.cell_type == "markdown":
            is_author = "author" in cell.metadata.get("tags", [])
            parts.append(Part("prose", _markdown(cell.source), for_authors=is_author))
        elif cell.cell_type == "code" and cell.source.strip():
            code = str(Highlight2HTML()(cell.source))  # type: ignore[no-untyped-call]
            if parts and parts[-1].kind == "code":  # nothing between them: one piece to unfold
                code = parts.pop().html + code
            parts.append(Part("code", code))
            outputs = [] if "author" in cell.metadata.get("tags", []) else cell.outputs
            for output in outputs:  # the page head shows what readers need of an author's cell
                parts += _output(output, executed.name, sum(p.kind == "figure" for p in parts) + 1)
    parts = _with_anchors(parts)
    answer = next((part.html for part in parts if part.kind == "finding"), "")
    notebook = _without_outputs(executed.notebook)
    return Page(executed.name, title, summary, answer, executed.seconds, parts, notebook=notebook)


def _without_outputs(notebook: nbformat.NotebookNode) -> str:
    bare = deepcopy(notebook)
    bare.cells = [cell for cell in bare.cells if cell.id != INJECTED]
    for cell in bare.cells:
        cell.metadata.pop("execution", None)  # when each ran
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return str(nbformat.writes(bare))  # type: ignore[no-untyped-call]


def _with_anchors(parts: list[Part]) -> list[Part]:
    """Give each heading an anchor of its own, and each part the heading above it as label."""
    taken: dict[str, int] = {}
    heading = ""
    done = []

    def anchored(match: re.Match[str]) -> str:
        nonlocal heading
        heading = _TAG.sub("", match[1])
        plain = re.sub(r"[^\w]+", "-", unescape(heading).casefold()).strip("-") or "part"
        taken[plain] = taken.get(plain, 0) + 1
        name = plain if taken[plain] == 1 else f"{plain}-{taken[plain]}"
        return f'<h2 id="{name}">{match[1]}</h2>'

    for part in parts:
        html = _HEADING.sub(anchored, part.html) if part.kind == "prose" else part.html
        if part.kind == "table" and heading and "<caption" not in html:
            html = html.replace("<table>", f'<table><caption class="heard">{heading}</caption>', 1)
        done.append(replace(part, html=html, label=unescape(heading)))
    return done


def _opening(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    title = blocks[0].removeprefix("# ").strip() if blocks and blocks[0].startswith("# ") else ""
    rest = blocks[1:] if title else blocks
    summary = _LINK.sub(r"\1", rest[0].replace("\n", " ")) if rest else ""
    return title, re.sub(r"[*`_]{1,2}(\S.*?)[*`_]{1,2}", r"\1", summary)


def _output(output: dict[str, Any], page: str, number: int) -> list[Part]:
    if output["output_type"] == "stream":
        return [Part("text", strip_ansi(output["text"]).strip())]  # type: ignore[no-untyped-call]
    data = output.get("data", {})
    says = output.get("metadata", {}).get(OUTPUT, {}).get("says")
    if says is not None:
        return [Part("finding", says)]
    if MIME in data:
        figure = read_figure(f"{page}-{number}", data[MIME])
        # A chart without anything in it says less than its title.
        if figure.is_empty or figure.title.endswith(words.NOTHING):
            return [Part("note", f"{figure.title.removesuffix('.')}.")]
        return [Part("figure", figure=figure)]
    if "text/markdown" in data:
        return [Part("prose", _clean(_markdown(data["text/markdown"])))]
    if "text/html" in data:
        return [Part("table", _clean(_table(data["text/html"])))]
    return [Part("text", data.get("text/plain", ""))]


def _markdown(source: str) -> str:
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def _clean(html: str) -> str:
    """Remove scripts, styles, links and forms from HTML that data may be part of."""
    return str(bleach.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, strip=True))


def _table(html: str) -> str:
    """Return Polars' table without its own style, and strings without quotes."""
    plain = _TABLE_STYLE.sub("", html).replace(' border="1"', "")
    plain = plain.replace("<th>", '<th scope="col">')
    return _QUOTED_CELL.sub(r"<td>\1</td>", plain).replace("<td>null</td>", "<td>–</td>")
