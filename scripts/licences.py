"""Write docs/licences.md: the licence of each package that `so2-toolkit[all]` installs on Linux.

python scripts/licences.py           # write it
python scripts/licences.py --check   # fail where a package is missing or its licence differs
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "licences.md"
HEAD = """# Licences of dependencies

Made by `make environment` from the metadata of the packages that requirements.lock names, as
installed on Linux. The toolkit itself is under the MIT licence.

| package | licence |
|---|---|
"""


def licence(name: str) -> str:
    """What a package says of its licence: an SPDX expression, else classifiers, else a line."""
    told = metadata(name)
    classifiers = [
        text.split(" :: ")[-1]
        for text in told.get_all("Classifier") or []
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    line = (told.get("License") or "").strip().splitlines()
    return told.get("License-Expression") or ", ".join(classifiers) or (line[0] if line else "–")


def rows() -> list[str]:
    """A row of the table for each package that is installed here."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = []
    for name in sorted(set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", lock, re.MULTILINE))):
        try:
            found.append(f"| {name} | {licence(name)} |")
        except PackageNotFoundError:  # for another system or version of Python
            continue
    return found


def main() -> None:
    """Write the file, or compare it."""
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(HEAD + "\n".join(rows()) + "\n", encoding="utf-8")
    elif not set(rows()) <= set(TARGET.read_text(encoding="utf-8").splitlines()):
        sys.exit("docs/licences.md is not what the lock says; run: make environment")


if __name__ == "__main__":
    main()
