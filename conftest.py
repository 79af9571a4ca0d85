"""Every test and doctest rounds with one secret, and makes no key in the home folder."""

import os
import tempfile
from itertools import count
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.environ["SO2_RELEASE_SECRET"] = (
        "6d1f0b8e93c47a25d0e86b3f19a7c5428e54f7013b9d62ac70f5e84d16b2c93a"
    )
    if config.getoption("nbmake", default=False) and os.name != "nt":
        _reach_kernels_by_files(config)


def _reach_kernels_by_files(config: pytest.Config) -> None:
    """Two kernels that begin at once may choose one free port; no two have one file."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    folder, number = tempfile.TemporaryDirectory(prefix="so2-"), count()
    config.add_cleanup(folder.cleanup)

    def create(self: Any) -> AsyncKernelManager:
        self.km = AsyncKernelManager(kernel_name="python3")
        self.km.transport, self.km.ip = "ipc", f"{folder.name}/{next(number)}"
        return self.km  # type: ignore[no-any-return]

    NotebookClient.create_kernel_manager = create
