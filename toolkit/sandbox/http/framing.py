"""Formats that a body can have, since the one in the platform's documentation is not valid JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes before, between and after the records, and the media type."""

    before: bytes
    between: bytes
    after: bytes
    media_type: str = "application/json"


FRAMINGS = {
    "array": Framing(b"[", b",\n", b"]"),
    "ndjson": Framing(b"", b"\n", b"\n", "application/x-ndjson"),
    "commas": Framing(b"", b",\n", b""),
    "envelope": Framing(b'{"results": [', b",\n", b'], "next": null}'),
}


def body(pieces: Iterator[bytes], framing: Framing) -> Iterator[bytes]:
    r"""Build a body from pieces of records, one record per line.

    Examples:
        >>> b"".join(body(iter([b'{"a":1}', b'{"a":2}']), FRAMINGS["array"]))
        b'[{"a":1},\n{"a":2}]'
    """
    begun = False
    for piece in pieces:
        # Within a record every newline is escaped, so each one ends a record.
        records = piece.replace(b"\n", framing.between) if framing.between != b"\n" else piece
        yield (framing.between if begun else framing.before) + records
        begun = True
    yield framing.after if begun else framing.before + framing.after
