"""Detect pages that go round in a circle or never bring anything new."""

from __future__ import annotations

import polars as pl

from toolkit.errors import TransportError

_MOST_PAGES = 100_000
_MOST_IDLE = 10


class Pages:
    """The pages of one download so far; detects pages that never end."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._contents: set[int] = set()
        self._idle = 0

    def turn(
        self, url: str, following: str, records: int, first: pl.DataFrame | None, place: str
    ) -> None:
        """Record a page that names a next one.

        Args:
            url: Its address.
            following: The address of the next one.
            records: How many records it brought.
            first: Its first batch of records.
            place: Its address for messages.

        Raises:
            TransportError: The next page was already read, page after page brings nothing new, or
                there are too many.
        """
        self._seen.add(url)
        number = len(self._seen)
        if following in self._seen:
            raise TransportError(
                f"{place}: its pages go round in a circle; page {number:,} names an earlier one as "
                "the next. Ask the platform's support."
            )
        content = None if first is None else hash((records, *first.hash_rows()))
        self._idle = self._idle + 1 if content is None or content in self._contents else 0
        if content is not None:
            self._contents.add(content)
        if self._idle >= _MOST_IDLE or number >= _MOST_PAGES:
            reason = (
                f"the last {self._idle} pages brought nothing new"
                if self._idle >= _MOST_IDLE
                else f"it has more than {_MOST_PAGES:,} pages"
            )
            raise TransportError(
                f"{place}: {reason}, and there is still a next one. Ask for one course at a time, "
                "or ask the platform's support."
            )
