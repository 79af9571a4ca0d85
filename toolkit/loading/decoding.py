"""Decompress bodies, a little at a time.

A few compressed bytes can expand to gigabytes. So each decoder is asked for small portions, and a
body that expands beyond all reason is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from toolkit.errors import TransportError

try:
    import brotli
except ModuleNotFoundError:  # the extra `compression`
    brotli = None
try:
    import zstandard
except ModuleNotFoundError:
    zstandard = None  # type: ignore[assignment]

_PORTION = 1 << 20
_COUNTED_AT_ONCE = 16 << 10  # compressed bytes counted at a time, so that growth is noticed early
_ZSTD_INPUT = 512  # a block of 4 bytes can expand to 128 kB; this many to 16 MB
_ZSTD_WINDOW = 8 << 20  # what RFC 9659 allows in HTTP
_MOST_ENCODINGS = 4
_NEVER_REFUSED = 16 << 20  # decoded bytes
_LARGEST_RATIO = 500  # learners' records compress to a tenth, very similar ones to a fiftieth


def decoded(chunks: Iterable[bytes], encodings: str) -> Iterator[bytes]:
    """Undo the encodings of a Content-Encoding header.

    Raises:
        TransportError: An encoding is unknown, there are too many of them, or the body is
            corrupt, cut off or explodes.
    """
    stream = iter(chunks)
    names = [name.strip().lower() for name in encodings.split(",")]
    applied = [name for name in names if name not in {"", "identity"}]
    if len(applied) > _MOST_ENCODINGS:
        raise TransportError(
            f"the body is encoded {len(applied):,} times over, which no platform needs; ask its "
            "support, or whoever runs a proxy before it"
        )
    for encoding in reversed(applied):
        decoder = _DECODERS.get(encoding)
        if decoder is None:
            raise TransportError(
                f"the body is encoded as {encoding[:40]!r}, which was not asked for ({ACCEPTED})"
            )
        stream = _guarded(decoder, stream, encoding)
    return stream


def _guarded(
    decoder: Callable[[Iterator[bytes]], Iterator[bytes]], chunks: Iterator[bytes], encoding: str
) -> Iterator[bytes]:
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks:
            for start in range(0, len(chunk), _COUNTED_AT_ONCE):
                taken += min(_COUNTED_AT_ONCE, len(chunk) - start)
                yield chunk[start : start + _COUNTED_AT_ONCE]

    try:
        for portion in decoder(counted()):
            given += len(portion)
            if given > _NEVER_REFUSED and given > _LARGEST_RATIO * taken:
                raise TransportError(
                    f"the {encoding} body explodes: {taken:,} bytes became more than {given:,}"
                )
            yield portion
    except _CORRUPT as error:
        raise TransportError(f"the {encoding} body is corrupt or cut off: {error}") from None


def _inflated(chunks: Iterator[bytes], wbits: int) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits)
    for chunk in chunks:
        data = chunk
        while data:
            if decoder.eof:  # a gzip body may be several, one after the other
                decoder = zlib.decompressobj(wbits)
            yield decoder.decompress(data, _PORTION)
            data = decoder.unconsumed_tail or decoder.unused_data
    yield decoder.flush()
    if not decoder.eof:
        raise EOFError("it ends too early")


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _inflated(chunks, zlib.MAX_WBITS | 16)


def _undeflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`deflate` means zlib's format, but some servers leave out its first two bytes."""
    start = b""
    while len(start) < 2:
        chunk = next(chunks, None)
        if chunk is None:
            break
        start += chunk
    wrapped = start[:1] and start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
    wbits = zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS

    def whole() -> Iterator[bytes]:
        yield start
        yield from chunks

    return _inflated(whole(), wbits)


def _unbrotlied(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for chunk in chunks:
        yield decoder.process(chunk, output_buffer_limit=_PORTION)
        while not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_PORTION)
    if not decoder.is_finished():
        raise EOFError("it ends too early")


def _unzstandarded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for chunk in chunks:
        for start in range(0, len(chunk), _ZSTD_INPUT):
            data = chunk[start : start + _ZSTD_INPUT]
            while data:
                if decoder.eof:
                    decoder = zstandard.ZstdDecompressor(
                        max_window_size=_ZSTD_WINDOW
                    ).decompressobj()
                yield decoder.decompress(data)
                data = decoder.unused_data
    if not decoder.eof:
        raise EOFError("it ends too early")


_DECODERS: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
}
_CORRUPT: tuple[type[Exception], ...] = (zlib.error, EOFError)
if brotli is not None:
    _DECODERS["br"] = _unbrotlied
    _CORRUPT += (brotli.error,)
if zstandard is not None:
    _DECODERS["zstd"] = _unzstandarded
    _CORRUPT += (zstandard.ZstdError,)
ACCEPTED = ", ".join(name for name in _DECODERS if name != "x-gzip")
