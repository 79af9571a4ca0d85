"""Regular expressions that match the same text in every engine.

Rust (Polars), RE2 (DuckDB, ClickHouse), POSIX (PostgreSQL) and Java (Spark) agree on part of the
language. They differ in what counts as white space, letter and line, in flags, and in where `$`
matches: in Java also before a final line break.
"""

from __future__ import annotations

import re

from toolkit.schemas.passes import SPACES

_IN_CLASS = r"(?:\\s|\\[^\w\s]|[^\\\[\]^&~-]|-(?!-))"
_TOKEN = re.compile(
    rf"(?P<class>\[\^?{_IN_CLASS}+\])"
    r"|(?P<space>\\[sS])|(?P<dot>\.)|(?P<end>\$)"
    r"|(?:\\[^\w\s]|[^\\\[\](){}*+?.^$|]|\^|\((?:\?:)?(?![*+?])|\)|\|)"
    r"|(?:(?<=[^(|^])(?:[*+?]|\{\d{1,2}(?:,(?:\d{1,2})?)?\})(?![*+?{]))"
)


def portable(pattern: str, *, end: str = "$") -> str:
    r"""Write a regular expression so that it means in other engines what it means in Polars.

    `end` is how the engine writes the end of the text.

    Examples:
        >>> portable("^[^@]+@example.org$", end=r"\z")
        '^[^@]+@example[^\n]org\\z'
        >>> portable(r"\w+")
        Traceback (most recent call last):
        TypeError: the regular expression '\\w+' may mean something else in another engine, from
        '\\w+' on: write letters and digits as [A-Za-z0-9], and use no flags, no word boundaries
        and no greed
    """
    written, place = "", 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            raise TypeError(
                f"the regular expression {pattern!r} may mean something else in another engine, "
                f"from {pattern[place:]!r} on: write letters and digits as [A-Za-z0-9], and use no "
                "flags, no word boundaries and no greed"
            )
        written += _written(token, end)
        place = token.end()
    return written


def _written(token: re.Match[str], end: str) -> str:
    text = token.group()
    if token["class"]:
        return re.sub(r"\\.", lambda one: SPACES if one[0] == r"\s" else one[0], text)
    if token["space"]:
        return f"[{SPACES}]" if text == r"\s" else f"[^{SPACES}]"
    if token["dot"]:
        return "[^\n]"
    return end if token["end"] else text
