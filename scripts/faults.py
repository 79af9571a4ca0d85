"""Write docs/faults.md from the catalogue of faults that the tests meet.

python scripts/faults.py           # write it
python scripts/faults.py --check   # fail where it differs
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fault_catalogue import page  # noqa: E402


def main() -> None:
    """Write the file, or compare it."""
    target = ROOT / "docs" / "faults.md"
    if sys.argv[1:] != ["--check"]:
        target.write_text(page(), encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != page():
        sys.exit("docs/faults.md is not what the tests say; run: python scripts/faults.py")


if __name__ == "__main__":
    main()
