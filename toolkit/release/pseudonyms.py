"""Pseudonyms: identities leave a frame, and the same learner stays the same learner.

A pseudonym is `p_` and 32 hexadecimal digits: BLAKE2b of the username, keyed, 128 bits (RFC 7693).
Who lacks the key can neither compute a username's pseudonym nor test a guess. Who has the key can
do both, so pseudonymous data stay personal data (GDPR, recital 26), and the key is kept apart from
them. What else is in a record, such as the second of a pass, can still single a learner out.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
import polars as pl

from toolkit.config import settings
from toolkit.errors import ConfigurationError, DisclosureError
from toolkit.schemas import require_columns

_VARIABLE = "SO2_PSEUDONYM_KEY"
_MAKE_ONE = (
    "Make one with `python -c 'import secrets; print(secrets.token_hex(32))'`, set it as "
    f"{_VARIABLE} and keep it apart from the data; or unset {_VARIABLE}, and the toolkit keeps "
    "one in your configuration folder."
)
_PSEUDONYM = r"^p_[0-9a-f]{32}$"
_COURSE = r"^course-v1:[^@\s]+$"
_HARMLESS = r"^(?i:[0-9\s.,:;+\-/%tz]{1,40}|true|false|null|none|nan|[+-]?inf(inity)?|)$"


@dataclass(frozen=True)
class PseudonymKey:
    """A key that was judged strong enough.

    Attributes:
        fingerprint: Tells two keys apart and gives neither away.
    """

    _secret: bytes = field(repr=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        mark = hashlib.blake2b(key=self._secret, digest_size=8, person=b"so2 fingerprint")
        object.__setattr__(self, "fingerprint", mark.hexdigest())

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a pseudonym key cannot be pickled: keep it apart from the data")

    def pseudonyms(self, usernames: pl.Series) -> pl.Series:
        """The pseudonym of each username, null for null."""
        copy = hashlib.blake2b(key=self._secret, digest_size=16, person=b"so2 username").copy
        digests: list[bytes | None] = []
        for name in usernames.cast(pl.String).cast(pl.Binary).to_list():
            if name is None:
                digests.append(None)
            else:
                keyed = copy()
                keyed.update(name)
                digests.append(keyed.digest())
        hexadecimal = pl.Series(usernames.name, digests, dtype=pl.Binary).bin.encode("hex")
        return ("p_" + hexadecimal).alias(usernames.name)


def pseudonym_key(text: PseudonymKey | str | None = None) -> PseudonymKey:
    """The key: the argument, else `SO2_PSEUDONYM_KEY`, else a file made once for this user.

    Raises:
        ConfigurationError: The key is empty or weak, or others can read its file. Never shows it.
    """
    if isinstance(text, PseudonymKey):
        return text
    if text is not None:
        return _strong(text, "the key given")
    if os.environ.get(_VARIABLE) == "":
        raise ConfigurationError(f"{_VARIABLE} is set but empty. {_MAKE_ONE}")
    found = settings().pseudonym_key
    if found is not None:
        return _strong(found.get_secret_value(), _VARIABLE)
    path = key_file()
    if not path.exists():
        _make(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigurationError(f"others can read the pseudonym key: chmod 600 {path}")
    return _strong(path.read_text(encoding="utf-8"), str(path))


def key_file() -> Path:
    """Where this user's key lies when none is set."""
    return platformdirs.user_config_path("so2-toolkit") / "pseudonym.key"


def pseudonymize(frame: pl.DataFrame, key: PseudonymKey | str | None = None) -> pl.DataFrame:
    """Replace usernames by pseudonyms, drop addresses, and scrub raw values of problems.

    The grain stays. The same username under the same key gives the same pseudonym everywhere.
    Of raw values only numbers, dates, ids of courses and words such as "true" are kept.

    Args:
        frame: A frame with `username`, or the `problems` of a load.
        key: See `pseudonym_key`; a text of at least 32 characters.

    Raises:
        SchemaError: The frame has neither `username` nor `raw`.
        DisclosureError: Its usernames are pseudonyms already.
        ConfigurationError: The key is empty or weak.

    Examples:
        >>> names = pl.DataFrame({"username": ["ada"], "email": ["ada@example.com"]})
        >>> pseudonymize(names, "0123456789abcdef0123456789abcdef").item()
        'p_...'
    """
    if "raw" not in frame.columns:
        require_columns(frame.columns, ["username"], what="the frame")
    known = pseudonym_key(key)
    hidden = frame.drop("email", strict=False)
    if "username" in hidden.columns:
        names = hidden["username"]
        if names.len() > names.null_count() and bool(names.str.contains(_PSEUDONYM).all()):
            raise DisclosureError("the usernames are pseudonyms already")
        hidden = hidden.with_columns(known.pseudonyms(names))
    return _scrubbed(hidden) if "raw" in hidden.columns else hidden


def reidentify(usernames: Iterable[str], key: PseudonymKey | str | None = None) -> pl.DataFrame:
    """The pseudonyms of given usernames, for the key's holder: one row a username."""
    names = pl.Series("username", list(usernames), dtype=pl.String)
    return pl.DataFrame([names, pseudonym_key(key).pseudonyms(names).alias("pseudonym")])


def _scrubbed(problems: pl.DataFrame) -> pl.DataFrame:
    """Keep of `raw` what cannot name anyone: numbers, dates, a few words, a course's id."""
    harmless = pl.col("raw").str.contains(_HARMLESS)
    if "column" in problems.columns:
        harmless &= ~pl.col("column").is_in(["username", "email"]).fill_null(value=False)
        is_course = (pl.col("column") == "course_id") & pl.col("raw").str.contains(_COURSE)
        harmless |= is_course.fill_null(value=False)
    withheld = pl.format("(text of {} characters, withheld)", pl.col("raw").str.len_chars())
    return problems.with_columns(
        pl.when(pl.col("raw").is_null() | harmless).then("raw").otherwise(withheld).alias("raw")
    )


def _strong(text: str, where: str) -> PseudonymKey:
    stripped = text.strip()
    if len(stripped) < 32 or len(set(stripped)) < 8:
        state = "is empty" if not stripped else "is too weak: 32 random characters are the least"
        raise ConfigurationError(f"{where} {state}. {_MAKE_ONE}")
    return PseudonymKey(hashlib.blake2b(stripped.encode(), digest_size=32).digest())


def _make(path: Path) -> None:
    """Make the key file whole, and only if there is none; of two at once, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".pseudonym-")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(aside)  # noqa: PTH108
