"""Run the named benchmarks, or all; each prints what it measured, and its bars."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import Bar

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
)


class Tee(io.StringIO):
    """Prints text and keeps it."""

    def write(self, text: str) -> int:
        """Print a text and keep it."""
        sys.__stdout__.write(text)
        sys.__stdout__.flush()
        return super().write(text)


def conditions() -> str:
    """Return the date, the versions and the kind of machine."""
    packages = [f"{name} {version(name)}" for name in ("so2-toolkit", "polars")]
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    return ", ".join(
        [f"{datetime.now(UTC):%Y-%m-%d}", *packages, f"Python {platform.python_version()}", machine]
    )


def run(name: str, folder: Path | None) -> None:
    """Run one benchmark and print its bars; save what it printed if a folder is given."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    with contextlib.redirect_stdout(Tee()) as printed:
        bars: list[Bar] = benchmark.main() or []
        for bar in bars:
            print(bar)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        saved = {
            "conditions": conditions(),
            "bars": [asdict(bar) | {"margin": bar.margin} for bar in bars],
            "printed": printed.getvalue().splitlines(),
        }
        text = json.dumps(saved, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    """Read the names and run each benchmark's `main`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="write the figures to this folder as JSON"
    )
    options = parser.parse_args()
    chosen = options.names or NAMES
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in chosen:
        run(name, options.save)


if __name__ == "__main__":
    main()
