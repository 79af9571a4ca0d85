"""Pages made from the code: the reference, the data dictionary, the gallery, included files.

They are written beside the hand-written ones before the site is built, and git ignores them. A
public name without an example, or a result table without a page in the gallery, stops the build.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ConfigError

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
ROOMS = {  # where a name is made, and its heading in the reference
    "connect": "Sources",
    "loading": "Sources",
    "sandbox": "Sources",
    "study": "Sources",
    "snapshots": "Snapshots",
    "quality": "Data quality",
    "analyses": "Analyses",
    "survival": "Time to an event",
    "engines": "Engines",
    "results": "Results and their release",
    "release": "Results and their release",
    "charts": "Results and their release",
    "text": "Results and their release",
    "schemas": "Results and their release",
    "reports": "Notebooks and reports",
    "citation": "Notebooks and reports",
    "errors": "Errors",
}


def public_names() -> dict[str, Any]:
    """Each public name below `tk`, namespaces opened, and what it stands for."""
    import toolkit as tk

    found: dict[str, Any] = {}
    for name in tk.__all__:
        value = getattr(tk, name)
        if isinstance(value, ModuleType):
            inner = getattr(value, "__all__", None) or _made_in(value)
            found |= {f"{name}.{one}": getattr(value, one) for one in inner}
        else:
            found[name] = value
    # A namespace may repeat what lies on top; its page is one.
    tops = {id(value) for name, value in found.items() if "." not in name}
    return {
        name: value for name, value in found.items() if "." not in name or id(value) not in tops
    }


def _made_in(module: ModuleType) -> list[str]:
    """The public names that a module without a list of them makes itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


def summary_of(value: Any) -> str:
    """The first paragraph of a docstring, in Markdown."""
    doc = inspect.getdoc(value) or ""
    return " ".join(doc.split("\n\n")[0].split())


def _directive(name: str, value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Exception):
        return f".. autoexception:: toolkit.{name}\n   :members:\n   :show-inheritance:"
    if inspect.isclass(value):
        options = "   :members:\n   :inherited-members: Exception,tuple,str"
        return f".. autoclass:: toolkit.{name}\n{options}"
    if callable(value):
        return f".. autofunction:: toolkit.{name}"
    return f".. py:data:: toolkit.{name}\n\n   See the :doc:`data dictionary <dictionary>`."


def write_reference(folder: Path) -> None:
    """One page per public name, and the index of them by room."""
    groups: dict[str, list[str]] = {heading: [] for heading in ROOMS.values()}
    for name, value in sorted(public_names().items()):
        where = getattr(value, "__module__", "toolkit.results").removeprefix("toolkit.")
        heading = ROOMS.get(where.split(".")[0], "Results and their release")
        groups[heading].append(name)
        _write(
            folder / f"{name}.md",
            f"# `tk.{name}`\n\n```{{eval-rst}}\n{_directive(name, value)}\n```\n",
        )
    lines = [
        "# Reference",
        "",
        "Every public name of `import toolkit as tk`. What is not here may change without notice.",
        "The columns of each frame and result are in the [data dictionary](dictionary.md), the",
        "commands of `so2` in [](commands.md).",
        "",
    ]
    names = public_names()
    for heading, members in groups.items():
        if members:
            rows = [
                f"| [`tk.{one}`]({one}.md) | {_cell(summary_of(names[one]))} |" for one in members
            ]
            lines += [f"## {heading}", "", "| name | what it does |", "|---|---|", *rows, ""]
    order = ["dictionary", "commands", *(one for members in groups.values() for one in members)]
    lines += ["```{toctree}", ":hidden:", "", *order, "```", ""]
    _write(folder / "index.md", "\n".join(lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_dictionary(folder: Path) -> None:
    """The columns of every frame and result."""
    from toolkit import schemas
    from toolkit.schemas.results import RESULTS

    frames = [value for value in vars(schemas).values() if isinstance(value, schemas.Table)]
    lines = [
        "# Data dictionary",
        "",
        "Every frame and every result, column by column, from the schemas that the code itself",
        "reads. Results carry their group columns, such as `mode`, before the columns listed.",
        "",
    ]
    for title, tables in (("Frames", frames), ("Results", RESULTS.values())):
        lines += [f"## {title}", ""]
        for table in sorted(tables, key=lambda one: one.name):
            lines += [f"### {table.name}", "", *dictionary_of(table), ""]
    _write(folder / "dictionary.md", "\n".join(lines))


def dictionary_of(table: Any) -> list[str]:
    """A table's grain and columns in Markdown."""
    rows = [
        f"| `{c.name}` | {c.dtype} | {c.role.value} | {c.unit or ''} | {_cell(c.description)} |"
        for c in table
    ]
    head = ["| column | type | role | unit | meaning |", "|---|---|---|---|---|"]
    return [f"One row: {table.grain.removeprefix('one row ')}.", "", *head, *rows]


def write_commands(folder: Path) -> None:
    """The help of each command of `so2`."""
    import click
    from typer.main import get_command

    from toolkit.cli.app import app

    group = get_command(app)
    lines = ["# Commands", "", "`so2 COMMAND --help` says the same.", ""]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        lines += [f"## so2 {name}", "", inspect.cleandoc(command.help or ""), ""]
        rows = []
        for parameter in command.params:
            told = getattr(parameter, "help", None)
            words = ", ".join(f"`{one}`" for one in parameter.opts)
            if isinstance(parameter, click.Argument) or parameter.param_type_name == "argument":
                words = f"`{parameter.name.upper()}`"
            rows.append(f"| {words} | {_cell(told or '')} |")
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    _write(folder / "commands.md", "\n".join(lines))


def write_gallery(folder: Path) -> None:
    """One page per entry of gallery.toml: code, result, chart, words, dictionary."""
    from toolkit.results.registry import REGISTRY
    from toolkit.schemas.results import RESULTS

    entries = tomllib.loads((DOCS / "gallery.toml").read_text(encoding="utf-8"))
    missing = sorted(set(REGISTRY) - set(entries))
    if missing:
        raise ConfigError(f"gallery.toml has no page for {', '.join(missing)}")
    entries = {name: entry for name, entry in entries.items() if name in REGISTRY}
    cards = []
    for name, entry in entries.items():
        heading = entry["title"]
        lines = [f"# {heading}", "", entry["question"], ""]
        lines += ["```{run}", ":hide:", GALLERY_SETUP, "```", ""]
        lines += ["```{run}", entry["code"].strip(), "result", "```", ""]
        if REGISTRY[name].chart:
            options = entry.get("chart", "")
            lines += ["```{run}", f"result.chart({options})", "```", ""]
        lines += ["## In words", "", "```{run}", "print(result.narrate())", "```", ""]
        function = re.findall(r"tk\.([\w.]+)\(", entry["code"].split("result =")[1])[0]
        known = dictionary_of(RESULTS[name]) if name in RESULTS else DESCRIBED
        lines += ["## Columns", "", *known, ""]
        lines += [
            f"See [`tk.{function}`](../reference/{function}.md) for arguments and sources.",
            "",
        ]
        _write(folder / f"{name}.md", "\n".join(lines))
        cards.append(f"| [{heading}]({name}.md) | {entry['question']} |")
    lines = [
        "# Gallery",
        "",
        "Every result that the toolkit makes: its code, table, chart and words, executed on the",
        "sandbox while this site was built, with counts [protected](../privacy.md) as by default.",
        "",
        "| result | the question it answers |",
        "|---|---|",
        *cards,
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *entries,
        "```",
        "",
    ]
    _write(folder / "index.md", "\n".join(lines))


DESCRIBED = ["```{run}", "result.describe()", "```"]
GALLERY_SETUP = """\
with tk.sandbox(learners=3_000, seed=7) as platform:
    study = tk.load_study(platform)"""


def write_included(folder: Path) -> None:
    """CHANGELOG, CONTRIBUTING and SECURITY as pages of the site."""
    for source, target in (
        ("CHANGELOG.md", "changelog.md"),
        ("CONTRIBUTING.md", "contributing.md"),
        ("SECURITY.md", "security.md"),
    ):
        text = (ROOT / source).read_text(encoding="utf-8")
        for link, page in (
            ("CONTRIBUTING.md", "contributing.md"),
            ("docs/privacy.md", "../privacy.md"),
            ("docs/privacy", "../privacy.md"),
        ):
            text = text.replace(f"]({link})", f"]({page})")
        _write(folder / target, text)
    _write(folder / "index.md", PROJECT)


PROJECT = """\
# Project

How to cite it: `tk.cite()`, or `CITATION.cff` in the repository. What runs every night on your own
platform: [nightly](../nightly.md). On more rows than memory holds:
[where the rows are](../scale.md).

```{toctree}
:maxdepth: 1

changelog
contributing
security
../decisions/index
../faults
../benchmarks
../coming-from
../nightly
../scale
../licences
```
"""


_WRITTEN: set[Path] = set()


def _write(target: Path, text: str) -> None:
    """Write a page unless it says the same already; Sphinx reads anew what is newer."""
    _WRITTEN.add(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def generate(_app: Sphinx) -> None:
    """Write all generated pages, and remove those of names that are gone."""
    _WRITTEN.clear()
    write_reference(DOCS / "reference")
    write_dictionary(DOCS / "reference")
    write_commands(DOCS / "reference")
    write_gallery(DOCS / "gallery")
    write_included(DOCS / "project")
    for folder in ("reference", "gallery", "project"):
        for page in set((DOCS / folder).glob("*.md")) - _WRITTEN:
            page.unlink()


_LOOSE = re.compile(r"(?<![`\w\\])(\*+)(?=\w)|(\w)_(?!\w)|\|")


def as_restructured_text(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Docstrings are plain text with `code`; escape what reStructuredText would read into them."""
    example = False
    for i, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            parts = re.split(r"(`[^`]+`)", line)
            lines[i] = "".join(
                f"``{part[1:-1]}``" + ("\\ " if parts[k + 1][:1].isalnum() else "")
                if k % 2
                else _LOOSE.sub(
                    lambda m: m[0].replace("*", r"\*").replace("|", r"\|").replace("_", r"\_"), part
                )
                for k, part in enumerate(parts)
            )


def name_toggles(app: Sphinx, error: Exception | None) -> None:
    """Give the theme's toggles in the navigation a name that a screen reader can say."""
    if error is None:
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            named = text.replace("<summary><span", '<summary aria-label="Pages below"><span')
            if named != text:
                page.write_text(named, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the generator and the reading of docstrings."""
    app.connect("builder-inited", generate)
    app.connect("build-finished", name_toggles)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
