"""Find escapes, strings, brackets and records in the bytes of JSON, all at once with NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPACE = b" \t\n\r"
_STRETCH = 64 << 10  # bytes at the end of a text, searched first for a border

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def places(characters: Bytes, wanted: bytes) -> Ints:
    """Find any of these bytes."""
    here = characters == wanted[0]
    for byte in wanted[1:]:
        here |= characters == byte
    return np.flatnonzero(here)


def escapes(characters: Bytes) -> Ints:
    """Find where escapes begin: at backslashes that are not themselves escaped."""
    slashes = places(characters, b"\\")
    numbers = np.arange(len(slashes))
    begins = np.diff(slashes, prepend=-2) > 1
    in_run = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    found: Ints = slashes[in_run % 2 == 0]
    return found


def quotes(characters: Bytes, escaped: Ints | None = None) -> Ints:
    """Find where strings begin and end.

    Args:
        characters: A text that begins outside a string, or inside one but not in an escape.
        escaped: Where its escapes begin, if known.
    """
    escaped = escapes(characters) if escaped is None else escaped
    found = places(characters, b'"')
    if len(escaped):
        after = escaped[escaped < len(characters) - 1] + 1
        found = np.delete(found, np.searchsorted(found, after[characters[after] == ord('"')]))
    return found


def last_border(data: bytes) -> int:
    """Find where the last record begins if a whole one precedes it, else return 0.

    Args:
        data: Begins at a record.
    """
    characters = np.frombuffer(data, np.uint8)
    at, depth, is_border = brackets(characters, quotes(characters))
    ended = np.append(depth < 0, True).argmax()  # at the `]` after the records
    found = np.flatnonzero(is_border[:ended] & (depth[:ended] == 0))
    return int(at[found[-1] + 1]) if len(found) else 0


def too_deep(data: bytes, most: int) -> int | None:
    """Find the first bracket nested in more than this many others, if there is one."""
    characters = np.frombuffer(data, np.uint8)
    at, depth, _ = brackets(characters, quotes(characters))
    deep = np.flatnonzero(depth > most)
    return int(at[deep[0]]) if len(deep) else None


def likely_border(buffer: bytes) -> int:
    """Find the last shallowest place where a record may begin, else return 0."""
    characters = np.frombuffer(buffer, np.uint8)
    stretch = _STRETCH
    while True:
        start = max(0, len(buffer) - stretch)
        if start and buffer[start - 1] == ord("\\"):
            start = len(buffer[:start].rstrip(b"\\"))
        inside = _ends_inside(characters[:start])
        at, depth, is_border = brackets(
            characters[start:], quotes(characters[start:]), inside=inside
        )
        found = np.flatnonzero(is_border)
        if len(found):
            shallow = found[depth[found] == depth[found].min()]
            return start + int(at[shallow[-1] + 1])
        if start == 0:
            return 0
        stretch *= 8


def _ends_inside(characters: Bytes) -> bool:
    """Whether a text that begins outside strings ends inside one."""
    count = int(np.count_nonzero(characters == ord('"')))
    escaped = escapes(characters)
    if len(escaped):
        after = characters[escaped[escaped < len(characters) - 1] + 1]
        count -= int(np.count_nonzero(after == ord('"')))
    return count % 2 == 1


def brackets(
    characters: Bytes, strings: Ints, *, inside: bool = False
) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Find the brackets outside strings.

    Args:
        characters: A text.
        strings: Where its strings begin and end.
        inside: Whether the text begins inside one.

    Returns:
        Where they are, how many are open after each, and which are a `}` before a `{`.
    """
    at = places(characters, b"{}[]")
    if len(at):
        at = at[(np.searchsorted(strings, at) + inside) % 2 == 0]
    kind = characters[at]
    depth = np.cumsum(np.where(kind | 0x20 == ord("{"), 1, -1))
    is_border = np.zeros(len(at), np.bool_)
    is_border[:-1] = (kind[:-1] == ord("}")) & (kind[1:] == ord("{"))
    return at, depth, is_border
