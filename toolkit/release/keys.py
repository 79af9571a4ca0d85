"""The user's secrets: the pseudonym key, and the secret that keys the rounding of counts.

Each is an argument, else a setting, else a file created once in the user's configuration folder,
which only the user can read. A key that can be typed can be guessed, so it is stretched with
scrypt (RFC 7914; N = 2¹⁵, r = 8, p = 3, as OWASP's Password Storage Cheat Sheet recommends), and
keys that look guessable are refused.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import platformdirs

from toolkit.config import settings
from toolkit.errors import ConfigurationError, reason

_KEY_VARIABLE = "SO2_PSEUDONYM_KEY"
_SECRET_VARIABLE = "SO2_RELEASE_SECRET"  # noqa: S105  # the name of one
_LEAST_BITS = 80
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "01234567890",
    "0123456789abcdef",
)


@dataclass(frozen=True)
class _Secret:
    _secret: bytes = field(repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret cannot be pickled: keep it apart from the data it protects")

    def keyed(self, person: bytes, size: int) -> hashlib.blake2b:
        """Return an empty keyed hash of `size` bytes, for the purpose `person` (RFC 7693)."""
        return hashlib.blake2b(key=self._secret, digest_size=size, person=person)


@dataclass(frozen=True)
class PseudonymKey(_Secret):
    """A pseudonym key that is strong enough."""

    fingerprint: str = field(init=False)  # tells keys apart; as costly to guess at as a key

    def __post_init__(self) -> None:
        mark = self.keyed(b"so2 fingerprint", 8).hexdigest()
        object.__setattr__(self, "fingerprint", mark)


@dataclass(frozen=True)
class ReleaseSecret(_Secret):
    """The secret that keys the random rounding of released counts."""

    remark: str  # a sentence for the report on which other reports its figures can be compared with

    def reveal(self) -> str:
        """Return the secret for `SO2_RELEASE_SECRET`, so that other processes round alike."""
        return self._secret.hex()


def pseudonym_key(text: PseudonymKey | str | None = None) -> PseudonymKey:
    """Return the key: the argument, else `SO2_PSEUDONYM_KEY`, else from this user's key file.

    One that is empty or guessable, or in a file that others can read, is refused, and never quoted.
    """
    if isinstance(text, PseudonymKey):
        return text
    if text is not None:
        return _stretched(text, "the key given")
    if os.environ.get(_KEY_VARIABLE) == "":
        raise ConfigurationError(f"{_KEY_VARIABLE} is set but empty. {_advice(_KEY_VARIABLE)}")
    found = settings().pseudonym_key
    if found is not None:
        return _stretched(found.get_secret_value(), _KEY_VARIABLE)
    path = key_file()
    try:
        return _stretched(_kept(path), str(path))
    except OSError as error:
        raise ConfigurationError(
            f"the pseudonym key cannot be kept as {path}: {reason(error)}. Set {_KEY_VARIABLE}."
        ) from None


def release_secret(text: str | None = None) -> ReleaseSecret:
    """Return the secret of the rounding.

    It is the argument, else `SO2_RELEASE_SECRET`, else derived from `SO2_PSEUDONYM_KEY` if that is
    set, else read from a file created once for this user beside the pseudonym key. If no file can
    be written, it is made for this process only, and its remark says so.
    """
    known = settings()
    given = known.release_secret.get_secret_value() if known.release_secret else None
    if text is not None or given is not None:
        where = _SECRET_VARIABLE if text is None else "the release secret given"
        digits = _strong(text or given or "", where, _SECRET_VARIABLE)
        return ReleaseSecret(_bytes(digits), "Figures are rounded with the secret that is set.")
    if known.pseudonym_key is not None:
        made = pseudonym_key().keyed(b"so2 release", 32).digest()
        return ReleaseSecret(made, "Figures are rounded with a secret of the pseudonym key.")
    path = secret_file()
    try:
        digits = _strong(_kept(path), str(path), _SECRET_VARIABLE)
        since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return _temporary()
    return ReleaseSecret(
        _bytes(digits),
        f"Figures are rounded with a secret that this user has had since {since:%Y-%m-%d}; night "
        "by night they can be compared with reports since then, not with those made elsewhere.",
    )


def key_file() -> Path:
    """Return the path of this user's pseudonym key, used if none is set."""
    return platformdirs.user_config_path("so2-toolkit") / "pseudonym.key"


def secret_file() -> Path:
    """Return the path of this user's release secret, used if none is set."""
    return key_file().with_name("release.key")


@cache
def _temporary() -> ReleaseSecret:
    """Make a secret for the lifetime of this process."""
    return ReleaseSecret(
        secrets.token_bytes(32),
        "Figures are rounded with a secret made for this report alone, because none could be kept: "
        "they cannot be compared night by night.",
    )


def _kept(path: Path) -> str:
    """Return the content of a secret's file, created if missing."""
    if not path.exists():
        _make(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigurationError(f"others can read {path}; run: chmod 600 {path}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{path} is no longer text. Restore it from a copy; without it, pseudonyms change."
        ) from None


def _stretched(text: str, where: str) -> PseudonymKey:
    return PseudonymKey(_scrypt(_strong(text, where, _KEY_VARIABLE)))


@cache  # takes a quarter of a second on purpose, to slow down guessing
def _scrypt(text: str) -> bytes:
    return hashlib.scrypt(
        text.encode(), salt=b"so2-toolkit", n=2**15, r=8, p=3, maxmem=2**26, dklen=32
    )


def _bytes(text: str) -> bytes:
    """Return the 32 bytes of a secret, so that the text from `reveal` gives the same secret."""
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    return secret if len(secret) == 32 else hashlib.blake2b(text.encode(), digest_size=32).digest()


def _strong(text: str, where: str, variable: str) -> str:
    stripped = text.strip() if isinstance(text, str) else ""
    if not stripped:
        raise ConfigurationError(f"{where} is empty. {_advice(variable)}")
    if len(stripped) < 32 or guess_bits(stripped) < _LEAST_BITS:
        raise ConfigurationError(
            f"{where} is too weak: it needs at least 32 random characters. {_advice(variable)}"
        )
    return stripped


def guess_bits(text: str) -> int:
    """Estimate the bits of entropy that a guesser faces; 80 or more are safe.

    A character counts 4 bits, but 2 if it continues a word (Shannon 1951, of English), 1 if it
    is a space or a sign, and none if it repeats what came before or follows the alphabet, the
    digits or a row of the keyboard.

    Examples:
        >>> import secrets
        >>> guess_bits("0123456789abcdef" * 2) < 20 < 80 < guess_bits(secrets.token_hex(32))
        True
    """
    lower = text.lower()
    is_hexadecimal = set(lower) <= set("0123456789abcdef")
    bits = 0
    for place, character in enumerate(lower):
        before = lower[max(0, place - 2) : place]
        if len(before) == 2 and (_walks(before + character) or before + character in lower[:place]):
            continue
        if not character.isalnum():
            bits += 1
        else:
            goes_on = text[place].islower() and before[-1:].isalpha() and not is_hexadecimal
            bits += 2 if goes_on else 4
    return bits


def _walks(three: str) -> bool:
    """Whether three characters are equal, or in sequence in the alphabet or on the keyboard."""
    return len(set(three)) == 1 or any(three in row or three in row[::-1] for row in _ROWS)


def _advice(variable: str) -> str:
    return (
        "Make one with `python -c 'import secrets; print(secrets.token_hex(32))'`, set it as "
        f"{variable} and keep it apart from the data. Or unset {variable}, and the toolkit keeps "
        "one in your configuration folder."
    )


def _make(path: Path) -> None:
    """Create a secret's file in one step, unless it exists; of two processes, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)  # noqa: PTH108
