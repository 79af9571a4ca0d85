"""Build the wheel, install it in fresh environments outside the checkout, use it there.

What only works because the checkout is at hand fails here: a file that the wheel forgot, a
dependency that no extra names, a notebook that is looked for in the wrong place. The wheel with
everything runs the demo; the wheel alone loads, checks and analyses, and names what it lacks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
MOST_IN_THE_CORE = 60
ON_THE_CORE = """
import toolkit as tk
body = b'[{"username": "a", "email": null, "course_id": "c", "completion": "0.5"}]'
completion = tk.read(body, "completion")
assert completion["completion"].to_list() == [0.5]
assert len(tk.check(completion=completion).outcomes) > 3
try:
    tk.sandbox()
except tk.errors.MissingExtraError as error:
    assert "so2-toolkit[sandbox]" in str(error)
else:
    raise SystemExit("the core brings the sandbox")
"""


def run(*command: object, cwd: Path) -> None:
    """Run a command away from the checkout's influence; stop where it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def demo(folder: Path, wheel: Path) -> int:
    """Install the wheel with all that the lock names and run the demo; return its pages."""
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    run(UV, "pip", "install", "--quiet", "--python", python, "--require-hashes",
        "-r", ROOT / "requirements.lock", cwd=folder)  # fmt: skip
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
    run(UV, "pip", "check", "--quiet", "--python", python, cwd=folder)
    empty = folder / "empty"
    empty.mkdir()
    run(python.with_name("so2"), "demo", "--learners", 500, cwd=empty)  # slow tests take all
    pages = sorted(path.name for path in (empty / "report").glob("*.html"))
    if "index.html" not in pages or len(pages) < 6:
        sys.exit(f"the demo of the installed wheel wrote only {pages}")
    return len(pages)


def core(folder: Path, wheel: Path) -> int:
    """Install the wheel without extras, use it, and return how many distributions it brought."""
    python = folder / "core" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "core", cwd=folder)
    run(UV, "pip", "install", "--quiet", "--python", python,
        "--constraint", ROOT / "requirements.lock", wheel, cwd=folder)  # fmt: skip
    run(python, "-W", "error", "-c", ON_THE_CORE, cwd=folder)
    brought = len(list((folder / "core").glob("lib/python*/site-packages/*.dist-info")))
    if brought > MOST_IN_THE_CORE:
        sys.exit(f"the core brings {brought} distributions, more than {MOST_IN_THE_CORE}")
    return brought


def main() -> None:
    """Build, install, use."""
    with tempfile.TemporaryDirectory(prefix="so2-wheel-") as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
            "--wheel-dir", folder, ROOT, cwd=folder)  # fmt: skip
        (wheel,) = folder.glob("*.whl")
        print(f"{wheel.name}: {core(folder, wheel)} distributions without extras")
        print(f"{wheel.name}: its demo wrote {demo(folder, wheel)} pages")


if __name__ == "__main__":
    main()
