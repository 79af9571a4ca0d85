"""Write environment.yml, for users of conda-forge, from pyproject.toml.

python scripts/environment.py           # write it
python scripts/environment.py --check   # fail where it differs
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Where conda-forge calls a package otherwise. Extras have no counterpart there.
CONDA_NAMES = {"brotli": "brotli-python", "lazy-loader": "lazy_loader"}


def conda_requirement(requirement: str) -> str:
    """`polars>=2.0,<3` as conda writes it: name, space, versions."""
    name, versions = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?(.*)", requirement).groups()
    return f"{CONDA_NAMES.get(name, name)} {versions}".strip()


def environment() -> str:
    """The text of environment.yml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    names = re.search(r"\[(.*)]", everything)[1].split(",")
    needed = project["dependencies"] + [need for name in names for need in extras[name]]
    lines = [
        "# Made from pyproject.toml by scripts/environment.py; change it there.",
        "name: so2-toolkit",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f'  - "python {project["requires-python"]}"',
        "  - pip",
        *(f'  - "{conda_requirement(requirement)}"' for requirement in sorted(needed)),
        "  - pip:",
        "      - -e .",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the file, or compare it."""
    target = ROOT / "environment.yml"
    if sys.argv[1:] != ["--check"]:
        target.write_text(environment(), encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != environment():
        sys.exit("environment.yml is not what pyproject.toml says; run: make environment")


if __name__ == "__main__":
    main()
