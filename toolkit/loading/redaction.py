"""Remove a token from texts, in every spelling in which a platform may echo it."""

from __future__ import annotations

import json
import logging
import re
import weakref
from html import escape
from urllib.parse import quote

import polars as pl

# httpcore logs the headers of responses at level DEBUG, on several loggers.
_FOREIGN_LOGGERS = ("connection", "http11", "proxy", "socks")
_alive: weakref.WeakSet[Redaction] = weakref.WeakSet()


class Redaction:
    """Replaces a token in texts and, as long as it exists, in what httpcore logs."""

    def __init__(self, token: str) -> None:
        in_json = json.dumps(token)[1:-1]
        spellings = {
            *(token, quote(token), quote(token, safe="")),
            *(in_json, in_json.replace("/", r"\/"), escape(token)),
        }
        self._spellings = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._spellings)), re.IGNORECASE)
        _alive.add(self)
        for name in _FOREIGN_LOGGERS:
            logging.getLogger(f"httpcore.{name}").addFilter(_without_tokens)

    def __call__(self, text: str) -> str:
        """Return the text with the token replaced."""
        return self._pattern.sub("[token]", text)

    def column(self, texts: pl.Expr) -> pl.Expr:
        """Return texts of a frame with the token replaced."""
        return texts.str.replace_many(
            self._spellings, ["[token]"], ascii_case_insensitive=True, leftmost=True
        )


def _without_tokens(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    for redaction in list(_alive):
        message = redaction(message)
    record.msg, record.args = message, ()
    return True
