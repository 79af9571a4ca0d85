"""Build the wheel, install it in a fresh environment outside the checkout, run the demo there.

What only works because the checkout is at hand fails here: a file that the wheel forgot, a
dependency that no extra names, a notebook that is looked for in the wrong place.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


def run(*command: object, cwd: Path) -> None:
    """Run a command away from the checkout's influence; stop where it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def main() -> None:
    """Build, install, run, look."""
    with tempfile.TemporaryDirectory(prefix="so2-wheel-") as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
            "--wheel-dir", folder, ROOT, cwd=folder)  # fmt: skip
        (wheel,) = folder.glob("*.whl")
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        python = folder / "venv" / "bin" / "python"
        run(UV, "pip", "install", "--quiet", "--python", python, "--require-hashes",
            "-r", ROOT / "requirements.lock", cwd=folder)  # fmt: skip
        run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
        run(UV, "pip", "check", "--quiet", "--python", python, cwd=folder)

        empty = folder / "empty"
        empty.mkdir()
        run(python.with_name("so2"), "demo", cwd=empty)
        pages = sorted(path.name for path in (empty / "report").glob("*.html"))
        if "index.html" not in pages or len(pages) < 6:
            sys.exit(f"the demo of the installed wheel wrote only {pages}")
        print(f"{wheel.name}: installs alone, and its demo wrote {len(pages)} pages")


if __name__ == "__main__":
    main()
