"""Faults that change or encode the platform's bodies."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastapi import Request, Response
from starlette.datastructures import URL

from toolkit.extras import extra
from toolkit.sandbox.http.middleware import (
    Alter,
    Body,
    CallNext,
    Fault,
    altered,
    body_of,
    changed,
    with_body,
)
from toolkit.sandbox.http.server import DroppedError

if TYPE_CHECKING:
    import brotli

_PIECE = 65_536


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


@dataclass(slots=True)
class _Brotli:
    """Brotli with the method names of the other packers."""

    packer: brotli.Compressor

    def compress(self, data: bytes, /) -> bytes:
        packed: bytes = self.packer.process(data)
        return packed

    def flush(self) -> bytes:
        packed: bytes = self.packer.finish()
        return packed


def gzip() -> Fault:
    """Compress the body with gzip."""
    return altered(_packed(_gzip_packer), 0, content_encoding="gzip")


def deflate() -> Fault:
    """Compress the body with zlib, which HTTP calls deflate."""
    return altered(_packed(zlib.compressobj), 0, content_encoding="deflate")


def br() -> Fault:
    """Compress the body with Brotli."""
    with extra("compression"):
        import brotli
    packer = lambda: _Brotli(brotli.Compressor(quality=4))  # noqa: E731
    return altered(_packed(packer), 0, content_encoding="br")


def zstd() -> Fault:
    """Compress the body with Zstandard."""
    with extra("compression"):
        import zstandard
    packer = zstandard.ZstdCompressor().compressobj
    return altered(_packed(packer), 0, content_encoding="zstd")


def corrupt_gzip(times: int = 0) -> Fault:
    """Compress the body with gzip, then overwrite some bytes."""

    async def alter(body: Body) -> Body:
        packed = await _whole(_packed(_gzip_packer)(body))
        middle = len(packed) // 2
        yield packed[:middle] + b"\xff\x00\xff\x00" * 4 + packed[middle + 16 :]

    return altered(alter, times, content_encoding="gzip")


def truncated_gzip(times: int = 0) -> Fault:
    """Compress the body with gzip, then drop the second half."""

    async def alter(body: Body) -> Body:
        packed = await _whole(_packed(_gzip_packer)(body))
        yield packed[: len(packed) // 2]

    return altered(alter, times, content_encoding="gzip")


def pieces(bytes: int = 1_000) -> Fault:  # noqa: A002  # the parameter's name in `faults`
    """Send the body in small pieces."""
    return altered(lambda body: _cut(body, bytes), 0)


def slow(seconds: float = 0.1) -> Fault:
    """Pause before each piece of the body."""

    async def alter(body: Body) -> Body:
        async for piece in _cut(body, _PIECE):
            await asyncio.sleep(seconds)
            yield piece

    return altered(alter, 0)


def drop_mid_body(times: int = 1, after: int = 1_000) -> Fault:
    """Drop the connection after `after` bytes."""

    async def alter(body: Body) -> Body:
        left = after
        async for piece in body:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise DroppedError

    return altered(alter, times)


def truncated(missing: int = 10, times: int = 0) -> Fault:
    """Leave out the end of the body."""

    async def alter(body: Body) -> Body:
        held = b""
        async for piece in body:
            held += piece
            yield held[:-missing]
            held = held[-missing:]

    return altered(alter, times)


def wrong_content_length(times: int = 0, more: int = 10) -> Fault:
    """Send fewer bytes than `Content-Length` says."""

    async def promise_more(response: Response) -> Response:
        whole = await _whole(body_of(response))

        async def send_less() -> Body:
            yield whole
            raise DroppedError

        return with_body(response, send_less(), content_length=str(len(whole) + more))

    return changed(promise_more, times)


def invalid_utf8(times: int = 0) -> Fault:
    """Replace the first @ of each piece by a byte that is not UTF-8."""

    async def alter(body: Body) -> Body:
        async for piece in body:
            yield piece.replace(b"@", b"\xff", 1)

    return altered(alter, times)


def paged(size: int = 100) -> Fault:
    """Send the body in pages."""
    return _in_pages(size, lambda _url, following: following)


def paged_loop(size: int = 100) -> Fault:
    """Send pages, the last of which names the first as the next."""
    return _in_pages(size, lambda first, following: following or first)


def paged_away(size: int = 100) -> Fault:
    """Send pages, each on another origin than the page before."""
    return _in_pages(
        size, lambda _first, following: following and following.replace(hostname="localhost")
    )


def _in_pages(size: int, choose: Callable[[URL, URL | None], URL | None]) -> Fault:
    """Cut an array into pages; `choose` picks the next page from the first and the following."""

    async def fault(request: Request, call_next: CallNext) -> Response:
        asked = request.url
        page = int(request.query_params.get("page", "1"))
        # The API itself knows no pages.
        request.scope["query_string"] = asked.remove_query_params("page").query.encode()
        response = await call_next(request)
        if response.status_code != 200:
            return response
        whole = await _whole(body_of(response))
        records = whole[1:-1].split(b",\n") if len(whole) > 2 else []
        of_page = records[(page - 1) * size : page * size]
        more = page * size < len(records)
        following = asked.include_query_params(page=page + 1) if more else None
        link = choose(asked.remove_query_params("page"), following)
        results = b",\n".join(of_page)
        answer = b'{"count": %d, "results": [%s], "next": %s}'
        answer %= (len(records), results, json.dumps(link and str(link)).encode())
        return Response(answer, media_type="application/json")

    return fault


def _gzip_packer() -> _Packer:
    return zlib.compressobj(wbits=31)


def _packed(make: Callable[[], _Packer]) -> Alter:
    async def alter(body: Body) -> Body:
        packer = make()
        async for piece in body:
            yield packer.compress(piece)
        yield packer.flush()

    return alter


async def _cut(body: Body, size: int) -> Body:
    async for piece in body:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


async def _whole(body: Body) -> bytes:
    return b"".join([piece async for piece in body])
