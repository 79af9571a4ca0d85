"""The report's own words: no key is missing in any language, no word is outside of one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from string import Formatter

import pytest
from reading import soup

import toolkit as tk
from toolkit.errors import ArgumentError
from toolkit.reports.courses import Courses, read_courses
from toolkit.reports.execution import read_notebook
from toolkit.reports.key_figures import as_tiles
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
    "written",
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


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("8,895", "8\u202f895"),
        ("73.7% (72.8–74.6%)", "73,7\u00a0% (72,8–74,6\u00a0%)"),
        ("1,234,567.5 días", "1\u202f234\u202f567,5 días"),
        ("under 1%", "menos del 1\u00a0%"),
        ("over 99.9%", "más del 99,9\u00a0%"),
        ("−3 points", "−3 puntos"),
        ("4 Jan 2026", "4 ene 2026"),
        ("0.2.0", "0.2.0"),
        ("<10", "<10"),
    ],
)
def test_a_figure_is_written_as_each_language_does(english: str, spanish: str) -> None:
    assert read_language("es").written(english) == spanish
    assert read_language("en").written(english) == english


def test_no_part_in_spanish_writes_a_figure_as_in_english(tmp_path: Path) -> None:
    say = read_language("es")
    with tk.sandbox(learners=1_500) as platform:
        study = tk.load_study(platform)
        with platform.earlier(study.as_of - timedelta(days=120)) as past:
            before = tk.load_study(past)
    tiles = as_tiles(tk.reports.key_figures(study).release(), say)
    courses = read_courses(study, before=before, say=say)
    page = Page("02-cohorts", "What?", "Why.", "Of 8,895, 31.0%.", 1.25)
    site = Site("Informe", study.caption, "sandbox", [page], language=say)
    methods = {"provenance": [], "resources": [("grades", "8,895")]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.reports.site.write_pdf", lambda *_: False)
        write_site(tmp_path, site, key_figures=tiles, courses=courses, methods=methods)
    for name in ("index", "methods"):
        page_of = soup(tmp_path / f"{name}.html")
        for tag in page_of.select("script, [lang=en]"):
            tag.decompose()
        heard = [str(tag["aria-label"]) for tag in page_of.select("[aria-label]")]
        text = " ".join([page_of.get_text(), *heard])
        text = text.replace(f"so2-toolkit {site.version}", "").replace("(WCAG) 2.1", "")
        assert re.findall(r"\d+,\d{3}|\d\.\d|\d%|points?|under|over \d|Sep 20\d\d", text) == []
        assert re.search(r"\d\u202f\d{3}\b", text)


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


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Learner report"), ("es", "Informe de estudiantes")]
)
def test_a_report_without_a_title_has_one_in_its_language(
    language: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def written(part: Path, *arguments: object) -> dict[str, object]:
        (part / "index.html").touch()
        given.extend(arguments)
        return {"caption": "", "key_figures": None}

    monkeypatch.setattr("toolkit.reports.making.written", written)
    for own in (None, "Mine"):
        tk.write_report(tmp_path / f"{own}", notebooks=["01"], title=own, language=language)
    assert [one for one in given if one in (title, "Mine")] == [title, "Mine"]
