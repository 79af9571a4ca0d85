"""Compressed bodies: what they say, and that no body takes more memory than it should."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import TransportError
from toolkit.loading.decoding import decoded


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "two gzip members": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without its header": ("deflate", raw_deflate),
    "br": ("br", lambda data: brotli.compress(data, quality=1)),
    "zstd": ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
    "identity": ("identity", bytes),
    "none": ("", bytes),
    "one upon the other": ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
}


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=25)
@given(data=st.binary(min_size=1, max_size=3000), size=st.integers(1, 500))
def test_a_body_is_decoded_whatever_its_chunks(name: str, data: bytes, size: int) -> None:
    encoding, encode = ENCODERS[name]

    assert b"".join(decoded(chunked(encode(data), size), encoding)) == data


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_cut_off_or_corrupt_is_an_error(name: str) -> None:
    encoding, encode = ENCODERS[name]
    body = encode(bytes(range(256)) * 40)

    for wrong in (body[:-3], body[:20] + b"\xff\x00\xff" + body[23:], b"[{}]" * 9):
        with pytest.raises(TransportError, match="corrupt or cut off"):
            b"".join(decoded([wrong], encoding))


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_an_exploding_body_is_refused_in_bounded_memory(name: str) -> None:
    encoding, encode = ENCODERS[name]
    body = encode(b" " * (80 << 20))
    sizes: list[int] = []

    with pytest.raises(TransportError, match="explodes"):
        sizes.extend(map(len, decoded([body], encoding)))

    assert max(sizes) < 20 << 20


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(TransportError, match="'compress'"):
        decoded([b""], "compress")


def test_only_what_can_be_decoded_is_asked_for() -> None:
    code = """
import sys
sys.modules |= {"brotli": None, "zstandard": None}
from toolkit.loading.decoding import ACCEPTED, decoded
print(ACCEPTED)
list(decoded([b"body"], "br"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "gzip, deflate\n"
    assert "TransportError: the body is encoded as 'br', which was not asked for" in done.stderr
