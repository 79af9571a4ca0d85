"""Write environment.yml and conda/recipe.yaml, for users of conda, from pyproject.toml.

python scripts/environment.py           # write them
python scripts/environment.py --check   # fail where one differs, or the recipe is none
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
# Where conda-forge calls a package otherwise. Extras have no counterpart there.
CONDA_NAMES = {"brotli": "brotli-python", "lazy-loader": "lazy_loader"}


def conda_requirement(requirement: str) -> str:
    """`polars>=2.0,<3` as conda writes it: name, space, versions."""
    name, versions = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?(.*)", requirement).groups()
    return f"{CONDA_NAMES.get(name, name)} {versions}".strip()


def needed() -> list[str]:
    """All that users need at run time, as conda writes it."""
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    names = re.search(r"\[(.*)]", everything)[1].split(",")
    named = PROJECT["dependencies"] + [need for name in names for need in extras[name]]
    return [conda_requirement(requirement) for requirement in sorted(named)]


def environment() -> str:
    """The text of environment.yml."""
    lines = [
        "# Made from pyproject.toml by scripts/environment.py; change it there.",
        "name: so2-toolkit",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f'  - "python {PROJECT["requires-python"]}"',
        "  - pip",
        *(f'  - "{requirement}"' for requirement in needed()),
        "  - pip:",
        "      - -e .",
    ]
    return "\n".join(lines) + "\n"


def recipe() -> str:
    """The text of conda/recipe.yaml: `rattler-build build --recipe conda -c conda-forge`."""
    ((command, function),) = PROJECT["scripts"].items()
    lines = [
        "# Made from pyproject.toml by scripts/environment.py; change it there.",
        "schema_version: 1",
        "package:",
        f"  name: {PROJECT['name']}",
        f'  version: "{PROJECT["version"]}"',
        "source:",
        "  path: ..",
        "build:",
        "  noarch: python",
        "  script: python -m pip install . --no-deps --no-build-isolation",
        "  python:",
        "    entry_points:",
        f'      - "{command} = {function}"',
        "requirements:",
        "  host:",
        f'    - "python {PROJECT["requires-python"]}"',
        "    - pip",
        *(f'    - "{conda_requirement(one)}"' for one in PYPROJECT["build-system"]["requires"]),
        "  run:",
        f'    - "python {PROJECT["requires-python"]}"',
        *(f'    - "{requirement}"' for requirement in needed()),
        "tests:",
        "  - python:",
        "      imports: [toolkit, toolkit.cli]",
        "  - script: so2 --version",
        "about:",
        f'  summary: "{PROJECT["description"]}"',
        f"  license: {PROJECT['license']}",
        "  license_file: LICENSE",
    ]
    return "\n".join(lines) + "\n"


def check_recipe(text: str) -> None:
    """Let rattler-build render the recipe; it raises where it cannot."""
    from rattler_build import RenderConfig, Stage0Recipe, VariantConfig

    (rendered,) = Stage0Recipe.from_yaml(text).render(VariantConfig(), RenderConfig())
    if rendered.recipe.package.version != PROJECT["version"]:
        sys.exit("rattler-build reads another version in conda/recipe.yaml")


def main() -> None:
    """Write the files, or compare them."""
    texts = {"environment.yml": environment(), "conda/recipe.yaml": recipe()}
    for name, text in texts.items():
        target = ROOT / name
        if sys.argv[1:] != ["--check"]:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is not what pyproject.toml says; run: make environment")
    check_recipe(texts["conda/recipe.yaml"])


if __name__ == "__main__":
    main()
