"""The report's own words: no key is missing in any language, no word is outside of one."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from toolkit.errors import ArgumentError
from toolkit.reports.courses import Courses
from toolkit.reports.execution import read_notebook
from toolkit.reports.language import DEFAULT, Language, languages, read_language
from toolkit.reports.library import find_pages
from toolkit.reports.pages import Page, Part
from toolkit.reports.site import Site, write_site

HERE = Path(read_language.__wrapped__.__code__.co_filename).parent
TEMPLATES = sorted((HERE / "templates").glob("*.jinja"))
SOURCES = [*TEMPLATES, *sorted((HERE / "assets").glob("*.js")), *sorted(HERE.glob("*.py"))]
FREE = {
    "those",
    "pages",
    "questions",
    "stages",
    "definitions",
}  # looked up by names of other things


def keys(language: Language) -> dict[str, set[str | None]]:
    """Each key with what is filled in."""
    return {
        f"{section}.{name}": {field for _, field, _, _ in Formatter().parse(text) if field}
        for section, texts in language.texts.items()
        for name, text in texts.items()
    }


@pytest.mark.parametrize("code", languages())
def test_no_key_is_missing_and_each_text_has_the_same_blanks(code: str) -> None:
    assert keys(read_language(code)) == keys(read_language(DEFAULT))
    empty = [
        key
        for key in keys(read_language(code))
        if not read_language(code).texts[key.split(".")[0]][key.partition(".")[2]]
    ]
    assert empty == (["report.note"] if code == DEFAULT else [])


def test_every_key_is_used_and_every_used_key_exists() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES)
    known = keys(read_language())
    used = set(re.findall(r"""["'](\w+\.\w+)["']""", text)) & known.keys()
    used |= {f"scripts.{name}" for name in re.findall(r"\b(?:words|inWords)\.(\w+)", text)}
    asked = set(re.findall(r"""\bsay\(\s*["'](\w+\.\w+)["']""", text))
    assert asked <= known.keys()
    looked_up = ("methods.", "figures.", "scripts.course", "scripts.cohort", "report.name")
    unused = {key for key in known.keys() - used if not key.startswith(looked_up)}
    assert {key for key in unused if key.split(".")[0] not in FREE} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name.split(".")[0])
def test_no_template_has_words_of_its_own(template: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", template.read_text("utf-8"), flags=re.S)
    labels = re.findall(r'(?:aria-label|title|alt|placeholder|data-label)="([^"]*)"', text)
    seen = [*labels, re.sub(r"<[^>]*>", " ", text)]
    words = {word for one in seen for word in re.findall(r"[^\W\d_]{2,}", one)}
    assert words <= {"CSV", "PNG", "SVG"}


def test_the_questions_are_those_of_the_notebooks() -> None:
    questions = read_language().texts["questions"]
    for path in find_pages():
        heading = read_notebook(path).cells[0].source.splitlines()[0].removeprefix("# ")
        assert questions[path.stem] == heading
        page = Page(path.stem, "", "", "", 1.0)
        assert read_language().texts["pages"][path.stem] == page.label


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"'xx'; there are en, es"):
        read_language("xx")


def test_pages_say_their_language_and_that_of_their_parts(tmp_path: Path) -> None:
    said = Page("05-course-explorer", "What?", "Why.", "So.", 1.0, [Part("finding", "So.")])
    site = Site("Informe", "as of", "learners", [said], language=read_language("es"))
    methods = {"provenance": [("source", "x")], "resources": [("grades", "12")]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)
        write_site(tmp_path, site, key_figures=[], courses=Courses([], "", "", 10), methods=methods)
    for path in tmp_path.glob("*.html"):
        html = path.read_text("utf-8")
        assert '<html lang="es">' in html, path.name
        assert "Ir al contenido" in html
    page = (tmp_path / "05-course-explorer.html").read_text("utf-8")
    assert '<article lang="en">' in page
    assert read_language("es")("report.note") in page
    index = (tmp_path / "index.html").read_text("utf-8")
    assert "¿Cómo va mi curso?" in index
    assert '<p lang="en">So.</p>' in index
    assert "Qué significan las palabras" in (tmp_path / "methods.html").read_text("utf-8")
