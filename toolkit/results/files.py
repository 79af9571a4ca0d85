"""Write tables as files: completely or not at all, and harmless to spreadsheets and terminals."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import polars as pl

from toolkit.errors import ArgumentError, ToolkitError, writing

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)
# What a spreadsheet reads as the beginning of a formula, see OWASP, "CSV Injection".
# XlsxWriter 3.2.0 writes a text in "{=" and "}" as a formula of arrays.
_FORMULA = r"^[\s\ufffd]*([=+\-@\t\r\n＝＋－＠]|\{=)"
# Where semicolons separate cells, as in much of Europe, a cell begins there even within quotes.
_LATER_CELL = r"([;\n]\s*)([=+\-@＝＋－＠])"
# What a terminal may take for a command, and what reverses the direction of text.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_NOT_IN_XML = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_ENDINGS = {".csv", ".docx", ".html", ".json", ".parquet", ".pdf", ".tex", ".xls", ".xlsx"}
_TEXTS = {pl.String, pl.Categorical, pl.Enum}


def harmless(frame: F) -> F:
    """Put an apostrophe before text and headers that a spreadsheet would run as a formula.

    Control characters, which a terminal would obey, become "�".

    Examples:
        >>> harmless(pl.DataFrame({"name": ["=1+1", "a;=1+1"]}))["name"].to_list()
        ["'=1+1", "a;'=1+1"]
    """
    schema = frame.collect_schema()
    texts = [name for name, dtype in schema.items() if dtype.base_type() in _TEXTS]
    headers = pl.select(_harmless(pl.lit(pl.Series(schema.names(), dtype=pl.String)))).to_series()
    safe = frame.with_columns(_harmless(pl.col(name).cast(pl.String)).alias(name) for name in texts)
    return safe.rename(dict(zip(schema.names(), headers, strict=True)))


def _harmless(text: pl.Expr) -> pl.Expr:
    text = text.str.replace_all(_CONTROL, "\ufffd").str.replace_all(_LATER_CELL, "${1}'${2}")
    return pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text)


def fit_for_xml(text: str) -> str:
    """Replace what XML forbids, and what reverses the direction of text, by "�"."""
    return _NOT_IN_XML.sub("\ufffd", text)


def atomically(
    path: Path,
    fill: Callable[[Path], object],
    *,
    kind: type[ToolkitError] = ArgumentError,
    suffix: str = "",
) -> Path:
    """Fill a new file beside the target, then put it in the target's place.

    The new file is in a folder of its own, so that no thread creates it again after a failure. A
    pipe or a device, such as /dev/stdout, is written to; the file behind a link is replaced.

    With a suffix, a path that is named as another format is refused.
    """
    if suffix and path.suffix.lower() in _ENDINGS - {suffix}:
        raise kind(f"{path} is named as another format; name a file that ends in {suffix}")
    with writing(path, kind, left="What was there is unchanged."):
        target = path.resolve()
        is_stream = path.exists() and not (path.is_file() or path.is_dir())
        with TemporaryDirectory(
            dir=None if is_stream else target.parent, prefix=".so2-", ignore_cleanup_errors=True
        ) as aside:
            part = Path(aside, f"new{suffix}")
            part.touch(mode=0o600)  # readable by its owner alone
            fill(part)
            if is_stream:
                with part.open("rb") as written, path.open("wb") as stream:
                    shutil.copyfileobj(written, stream)
            else:
                part.replace(target)
    return path
