"""What several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "of this project",
    deadline=None,  # no law is held to the clock of a busy machine
    max_examples=int(os.environ.get("SO2_EXAMPLES", "100")),
)
hypothesis.settings.load_profile("of this project")


@pytest.fixture(scope="session")
def oulad_dir() -> Path:
    """The folder of the OULAD tables; skips where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "oulad"
    folder = Path(os.environ.get("OULAD_DIR") or beside)
    if not (folder / "studentInfo.parquet").exists() and not (folder / "studentInfo.csv").exists():
        pytest.skip("OULAD is not here; download it and name its folder in OULAD_DIR")
    return folder
