"""How the tests of analyses are shared out among processes."""

from __future__ import annotations

import re
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run all tests of an engine in one process, with `--dist loadgroup`, so that it starts once.

    The groups of pytest-xdist 3.8 are without effect in pytest 9.2.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByEngine(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            engine = re.search(r"\[([^\]-]+)[-\]]", nodeid)
            return engine[1] if engine else nodeid

    return ByEngine(config, log)
