"""Every `tk.…` that a text names exists."""

import ast
import builtins
import re
from pathlib import Path

import pytest

import toolkit as tk

ROOT = Path(__file__).parents[1]
TEXTS = [
    ROOT / "README.md",
    # The changelog, which the site copies, names what is gone.
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "changelog.md"),
    *sorted((ROOT / "paper").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "toolkit").rglob("*.py")),
]
NAME = re.compile(r"(?<![\w.])tk((?:\.[A-Za-z_]\w*)+)")


MODULES = sorted((ROOT / "toolkit").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_in_its_first_line_what_it_holds(module: Path) -> None:
    first = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert first.endswith(".")
    assert len(first.split()) > 2
    assert "?" not in first  # questions are the titles of notebooks


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_name_in_a_text_exists(text: Path) -> None:
    lacking = set()
    for dotted in NAME.findall(text.read_text(encoding="utf-8")):
        found: object = tk
        for name in dotted[1:].split("."):
            if not hasattr(found, name):
                lacking.add(f"tk{dotted}")
                break
            found = getattr(found, name)
            if not isinstance(found, type) and callable(found):
                break  # what comes behind a function is of its result
    assert lacking == set()


TYPED = [ROOT / "docs/start.md", ROOT / "docs/privacy.md", ROOT / "docs/scale.md"]
TYPED += sorted((ROOT / "docs/guides").glob("*.md"))
CELL = re.compile(r"^```\{run\}\n(?!:hide:)((?:(?!```).*\n)*)^```$", re.MULTILINE)


@pytest.mark.parametrize("page", TYPED, ids=lambda path: path.stem)
def test_who_types_the_cells_of_a_page_needs_no_others(page: Path) -> None:
    known, lacking = set(dir(builtins)), set()
    for cell in CELL.findall(page.read_text(encoding="utf-8")):
        code = ast.parse(re.sub(r"^:\w+:.*\n", "", cell))
        for node in ast.walk(code):
            if isinstance(node, ast.alias):
                known.add(node.asname or node.name)
        names = [node for node in ast.walk(code) if isinstance(node, ast.Name)]
        known |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
        lacking |= {name.id for name in names} - known
    assert lacking == set()
