"""The nightly workflow of the docs keeps what a report promises."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "nightly.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"- name: Write the report\n\s+env:\n(?P<env>(?:\s+\w+:.*\n)+?)\s+run: so2 report"
)

MARK = """
from toolkit.release.keys import release_secret
print(release_secret().keyed(b"test", 8).hexdigest())
"""


def test_each_night_rounds_with_the_same_secret_on_a_new_machine(tmp_path: Path) -> None:
    found = STEP.search(PAGE)
    assert found
    of_step = re.findall(r"(\w+): \$\{\{ secrets\.\w+ \}\}", found["env"])
    kept = {name: secrets.token_hex(32) for name in of_step}
    marks = set()
    for night in ("first", "second"):
        home = str(tmp_path / night)
        without = {name: text for name, text in os.environ.items() if not name.startswith("SO2_")}
        told = subprocess.run(
            [sys.executable, "-c", MARK],
            env={**without, "HOME": home, "XDG_CONFIG_HOME": home, "APPDATA": home, **kept},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        marks.add(told.stdout)
    assert len(marks) == 1
