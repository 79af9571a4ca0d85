"""Settings and fixtures that several test files share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import hypothesis
import pytest

import toolkit as tk

EXAMPLES = os.environ.get("SO2_EXAMPLES")
"""How many examples each test runs, random and listed; by default fifty random and all listed."""

hypothesis.settings.register_profile(
    "of this project",
    deadline=None,  # a busy machine may be slow
    max_examples=int(EXAMPLES or 50),
)
hypothesis.settings.load_profile("of this project")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reports first; keep some of each test's examples, spread from the first to the last."""
    gc.freeze()  # spares the collector what is imported, which stays anyway
    # They take longest: begun last, one would keep a worker busy while the others have nothing.
    items.sort(key=lambda item: "reports" not in item.path.parts)
    if not EXAMPLES:
        return
    left = dict.fromkeys(items)
    for _, of_test in groupby(items, key=lambda item: item.nodeid.partition("[")[0]):
        examples = list(of_test)
        for kept in examples[:: -(-len(examples) // int(EXAMPLES))]:
            del left[kept]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=list(left))


@pytest.fixture(scope="session")
def platform() -> Iterator[tk.Platform]:
    """A sandbox of 100 learners, for tests that only read it."""
    with tk.sandbox(learners=100) as served:
        yield served


@pytest.fixture(scope="session")
def oulad_dir() -> Path:
    """Return the folder of the OULAD tables; skip the test if there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "oulad"
    folder = Path(os.environ.get("OULAD_DIR") or beside)
    if not (folder / "studentInfo.parquet").exists() and not (folder / "studentInfo.csv").exists():
        pytest.skip("OULAD is not here; download it and name its folder in OULAD_DIR")
    return folder
