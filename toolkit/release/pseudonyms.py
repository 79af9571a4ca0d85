"""Pseudonyms: remove identities from a frame, but keep a learner's records linked.

A pseudonym is `p_` and 32 hexadecimal digits: keyed BLAKE2b of the username, 128 bits (RFC 7693).
Without the key, nobody can compute a username's pseudonym or test a guess. With the key, both are
possible, so pseudonymous data remain personal data (GDPR, recital 26), and the key must be kept
apart from them. The rest of a record, such as the second of a pass, can still single out a learner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from toolkit.errors import ArgumentError, DisclosureError
from toolkit.release.keys import PseudonymKey, ReleaseSecret, pseudonym_key
from toolkit.release.rounding import mixed
from toolkit.schemas import require_columns
from toolkit.schemas.arguments import a_frame

_PSEUDONYM = r"^p_[0-9a-f]{32}$"
_COURSE = r"^course-v1:[^@\s]+$"
_HARMLESS = r"^(?i:[0-9\s.,:;+\-/%tz]{1,40}|true|false|null|none|nan|[+-]?inf(inity)?|)$"

_Numbers = npt.NDArray[np.uint64]


def pseudonymize(frame: pl.DataFrame, key: PseudonymKey | str | None = None) -> pl.DataFrame:
    """Replace usernames with pseudonyms, drop email addresses, and scrub raw values of problems.

    Rows stay the same. The same username under the same key gives the same pseudonym everywhere.
    Of raw values, only numbers, dates, course ids and words such as "true" are kept.

    Args:
        frame: A frame with `username`, or the `problems` of a load.
        key: A string of at least 32 characters; see `pseudonym_key`.

    Raises:
        ArgumentError: It is not a Polars DataFrame.
        SchemaError: The frame has neither `username` nor `raw`.
        DisclosureError: Its usernames are already pseudonyms.
        ConfigurationError: The key is empty or weak.

    Examples:
        >>> import secrets
        >>> names = pl.DataFrame({"username": ["ada"], "email": ["ada@example.com"]})
        >>> pseudonymize(names, secrets.token_hex(32)).item()
        'p_...'
    """
    a_frame(frame, name="frame")
    if "raw" not in frame.columns:
        require_columns(frame.columns, ["username"], what="the frame")
    known = pseudonym_key(key)
    hidden = frame.drop("email", strict=False)
    if "username" in hidden.columns:
        names = hidden["username"]
        if names.len() > names.null_count() and bool(names.str.contains(_PSEUDONYM).all()):
            raise DisclosureError("the usernames are already pseudonyms")
        hidden = hidden.with_columns(pseudonyms(names, known))
    return _scrubbed(hidden) if "raw" in hidden.columns else hidden


def reidentify(usernames: Iterable[str], key: PseudonymKey | str | None = None) -> pl.DataFrame:
    """Return the pseudonyms of usernames, for the holder of the key; one row per username.

    Raises:
        ArgumentError: They are not a list of text in UTF-8.
        ConfigurationError: The key is empty or weak.

    Examples:
        >>> import secrets
        >>> key = secrets.token_hex(32)
        >>> hidden = pseudonymize(pl.DataFrame({"username": ["ada"]}), key)["username"].item()
        >>> reidentify(["ada"], key)["pseudonym"].item() == hidden
        True
    """
    try:
        given = [usernames] if isinstance(usernames, str | bytes) else usernames
        names = pl.Series("username", list(given), dtype=pl.String)
    except (TypeError, UnicodeError):
        raise ArgumentError("usernames must be a list of text, each in UTF-8") from None
    return pl.DataFrame([names, pseudonyms(names, pseudonym_key(key)).alias("pseudonym")])


def record_keys(secret: ReleaseSecret) -> pl.Expr:
    """Return an expression of each record's key: 32 random bits that never change.

    The rounding of a count is drawn from the sum of its records' keys, so the same records get the
    same draw in every table. The key depends only on the learner, the course and the secret, and
    is null if learner or course is. Without the secret no key can be computed; the keys look random
    and independent, even those of one learner's courses.

    Construction: a learner is a number of 64 bits, a keyed BLAKE2b of the username (RFC 7693);
    a pseudonym is already such a hash, so numpy only mixes its digits with the secret, for all at
    once. A course is a keyed number, too. The key is the upper half of the two combined and mixed.

    Examples:
        >>> from toolkit.release.keys import release_secret
        >>> frame = pl.DataFrame({"username": ["ada"], "course_id": ["course-v1:Org+CS+R1"]})
        >>> frame.select(record_keys(release_secret())).dtypes
        [Int64]
    """

    def keys(records: pl.Series) -> pl.Series:
        learners, courses = (records.struct.field(name) for name in ("learner", "course"))
        numbers = mixed(_learner_numbers(learners, secret) ^ _course_numbers(courses, secret))
        return pl.Series((numbers >> np.uint64(32)).astype(np.int64))

    learner, course = pl.col("username"), pl.col("course_id")
    known = learner.is_not_null() & course.is_not_null()
    record = pl.struct(learner=learner.fill_null(""), course=course.fill_null(""))
    key = record.map_batches(keys, return_dtype=pl.Int64, is_elementwise=True)
    return pl.when(known).then(key).alias("record_key")


def _learner_numbers(names: pl.Series, secret: ReleaseSecret) -> _Numbers:
    """Return a keyed number for each username, from its digits if it is a pseudonym."""
    start = np.frombuffer(secret.keyed(b"so2 pseudonym", 8).digest(), "<u8")[0]
    hidden = (names.str.len_bytes() == 34) & names.str.starts_with("p_")
    is_hidden = hidden.to_numpy()
    numbers = np.empty(names.len(), np.uint64)
    numbers[~is_hidden] = _hashes(names.filter(~hidden), secret.keyed(b"so2 learner", 8))
    if is_hidden.any():
        text = names.filter(hidden).str.join("").item().encode()
        digits = np.frombuffer(text, np.uint8).reshape(-1, 34)[:, 2:].copy().view("<u8")
        number = np.full(len(digits), start)
        for word in digits.T:
            number = mixed(number ^ word)
        numbers[is_hidden] = number
    return numbers


def _course_numbers(courses: pl.Series, secret: ReleaseSecret) -> _Numbers:
    every = courses.unique()
    places = courses.cast(pl.Enum(every)).to_physical().to_numpy()
    return _hashes(every, secret.keyed(b"so2 course", 8)).take(places)


def _hashes(texts: pl.Series, keyed: hashlib.blake2b) -> _Numbers:
    return np.frombuffer(b"".join(_digests(texts, keyed)), "<u8").astype(np.uint64)


def _digests(texts: pl.Series, keyed: hashlib.blake2b) -> Iterator[bytes]:
    for text in texts.cast(pl.Binary).to_list():
        one = keyed.copy()
        one.update(text)
        yield one.digest()


def pseudonyms(usernames: pl.Series, key: PseudonymKey) -> pl.Series:
    """Return the pseudonym of each username, null for null."""
    texts = usernames.cast(pl.String)
    digests = [*_digests(texts.fill_null(""), key.keyed(b"so2 username", 16))]
    hexadecimal = pl.Series(usernames.name, digests, dtype=pl.Binary).bin.encode("hex")
    return ("p_" + hexadecimal).alias(usernames.name).set(texts.is_null(), None)


def _scrubbed(problems: pl.DataFrame) -> pl.DataFrame:
    """Keep in `raw` only what cannot identify anyone: numbers, dates, a few words, course ids."""
    harmless = pl.col("raw").str.contains(_HARMLESS)
    if "column" in problems.columns:
        harmless &= ~pl.col("column").is_in(["username", "email"]).fill_null(value=False)
        is_course = (pl.col("column") == "course_id") & pl.col("raw").str.contains(_COURSE)
        harmless |= is_course.fill_null(value=False)
    withheld = pl.format("(text of {} characters, withheld)", pl.col("raw").str.len_chars())
    return problems.with_columns(
        pl.when(pl.col("raw").is_null() | harmless).then("raw").otherwise(withheld).alias("raw")
    )
