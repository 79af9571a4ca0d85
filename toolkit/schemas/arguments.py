"""Check the arguments of public functions and refuse invalid ones."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from numbers import Real
from pathlib import Path, PurePath
from typing import TypeGuard, TypeVar

import polars as pl

from toolkit.errors import ArgumentError

T = TypeVar("T")
_PLAIN = (str, bytes, bool, int, float, date, PurePath, type(None))
_LONGEST = 200  # characters of a value in a message


def as_given(value: object) -> str:
    """Write an argument for a message: itself if it is plain, else its kind.

    A frame that was passed by mistake would put learners into the message.

    Examples:
        >>> as_given("yesterday"), as_given([1, 2])
        ("'yesterday'", '[1, 2]')
        >>> import polars as pl
        >>> as_given(pl.DataFrame({"username": ["ada"]}))
        'a DataFrame'
    """
    text = repr(value) if _is_plain(value) else ""
    kind = type(value).__name__
    if type(value).__module__.startswith("pandas."):
        kind = f"pandas {kind}"
    return text if 0 < len(text) <= _LONGEST else f"a{'n' * (kind[0] in 'AEIOUaeio')} {kind}"


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(one) for pair in value.items() for one in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def a_number(value: object, *, name: str, above: float | None = None) -> float:
    """Return the argument as a finite number of at least 0, or above a bound.

    Examples:
        >>> a_number(-5, name="horizon")
        Traceback (most recent call last):
        toolkit.errors.ArgumentError: horizon must be a number of 0 or more, not -5
    """
    if _is_number(value) and (value >= 0 if above is None else value > above):
        return float(value)
    least = "of 0 or more" if above is None else f"above {above:g}"
    raise ArgumentError(f"{name} must be a number {least}, not {as_given(value)}")


def a_share(value: object, *, name: str) -> float:
    """Return the argument as a fraction above 0 and at most 1."""
    if _is_number(value) and 0 < value <= 1:
        return float(value)
    raise ArgumentError(f"{name} must be a fraction above 0 and at most 1, not {as_given(value)}")


def a_level(value: object) -> float:
    """Return the coverage of an interval as a fraction between 0 and 1.

    No interval covers with certainty.
    """
    if _is_number(value) and 0 < value < 1:
        return float(value)
    raise ArgumentError(
        f"level must be a fraction between 0 and 1, such as 0.95, not {as_given(value)}"
    )


def alpha_of(level: float) -> float:
    """Return the level of the test that agrees with intervals of this coverage: 0.05 for 0.95."""
    return round(1 - level, 12)


def a_whole_number(value: object, *, name: str, least: int = 0, most: int | None = None) -> int:
    """Return the argument as a whole number within its bounds."""
    largest = math.inf if most is None else most
    if isinstance(value, int) and _is_number(value) and least <= value <= largest:
        return int(value)
    bounds = f"of {least} or more" if most is None else f"from {least} to {most:,}"
    raise ArgumentError(f"{name} must be a whole number {bounds}, not {as_given(value)}")


def one_of(value: T, choices: Iterable[T], *, name: str) -> T:
    """Return the argument if it is one of the choices."""
    known = list(choices)
    if _is_plain(value) and value in known:
        return value
    listed = ", ".join(map(repr, known))
    raise ArgumentError(f"{name} must be one of {listed}, not {as_given(value)}")


def a_text(value: object, *, name: str) -> str | None:
    """Return the argument if it is a string or None."""
    if value is None or isinstance(value, str):
        return value
    raise ArgumentError(f"{name} must be a string, not {as_given(value)}")


def are_names(value: object) -> TypeGuard[Sequence[str]]:
    """Whether an argument is a list of texts, rather than a text."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return all(isinstance(name, str) for name in value)


def a_frame(value: object, *, name: str) -> pl.DataFrame:
    """Return the argument if it is a DataFrame of Polars."""
    if isinstance(value, pl.DataFrame):
        return value
    given, make = as_given(value), ""
    if isinstance(value, pl.LazyFrame):
        make = "; collect() makes one"
    elif given == "a pandas DataFrame":
        make = '; pl.DataFrame(frame.to_dict("list")) makes one'
    raise ArgumentError(f"{name} must be a Polars DataFrame, not {given}{make}")


def a_path(value: object, *, name: str) -> Path:
    """Return the argument as a path; "~" is the home folder, as in a shell and in Polars."""
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        with suppress(RuntimeError):  # there is no such user, or no home
            path = path.expanduser()
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise ArgumentError(
                f"{name} has bytes that are not UTF-8, which not all files can be written under: "
                f"{path}. Rename it"
            ) from None
        if "\0" in str(path):
            raise ArgumentError(f"{name} must not contain the character NUL")
        return path
    raise ArgumentError(f'{name} must be a path, such as "data/grades.json", not {as_given(value)}')


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)
