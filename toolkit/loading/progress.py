"""A progress bar for downloads that take longer than a second, if anybody can see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Self

from tqdm.auto import tqdm

_SECONDS_BEFORE = 1.0


class Progress:
    """Bytes, records and rate of one download; a context manager."""

    def __init__(self, what: str) -> None:
        self._bar = None
        if _is_visible():
            self._bar = tqdm(
                desc=what, unit="B", unit_scale=True, delay=_SECONDS_BEFORE, leave=False
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the same chunks, and count them."""
        for chunk in chunks:
            yield chunk
            if self._bar is not None:
                self._bar.update(len(chunk))

    def show_records(self, records: int) -> None:
        """Show the number of records so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{records:,} records", refresh=False)


def _is_visible() -> bool:
    """Whether standard error is a terminal, or this is a notebook's kernel.

    Not if TQDM_DISABLE is set, which tqdm itself respects only on terminals.
    """
    is_shown = sys.stderr.isatty() or "ipykernel" in sys.modules
    return is_shown and not os.environ.get("TQDM_DISABLE")
