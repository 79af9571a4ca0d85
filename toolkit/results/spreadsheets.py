"""Make text harmless for spreadsheets and terminals."""

from __future__ import annotations

import polars as pl

# What a spreadsheet reads as the beginning of a formula, see OWASP, "CSV Injection".
_FORMULA = r"^[\s\ufffd]*[=+\-@\t\r\n＝＋－＠]"
# Where semicolons separate cells, as in much of Europe, a cell begins there even within quotes.
_LATER_CELL = r"([;\n]\s*)([=+\-@＝＋－＠])"
# What a terminal may take for a command, and what reverses the direction of text.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"

_TEXTS = {pl.String, pl.Categorical, pl.Enum}


def harmless(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Put an apostrophe before text and headers that a spreadsheet would run as a formula.

    Control characters, which a terminal would obey, become "�".

    Examples:
        >>> harmless(pl.LazyFrame({"name": ["=1+1", "a;=1+1"]})).collect()["name"].to_list()
        ["'=1+1", "a;'=1+1"]
    """
    schema = frame.collect_schema()
    texts = [name for name, dtype in schema.items() if dtype.base_type() in _TEXTS]
    headers = pl.select(_harmless(pl.lit(pl.Series(schema.names(), dtype=pl.String)))).to_series()
    return frame.with_columns(
        _harmless(pl.col(name).cast(pl.String)).alias(name) for name in texts
    ).rename(dict(zip(schema.names(), headers, strict=True)))


def _harmless(text: pl.Expr) -> pl.Expr:
    text = text.str.replace_all(_CONTROL, "\ufffd").str.replace_all(_LATER_CELL, "${1}'${2}")
    return pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text)
