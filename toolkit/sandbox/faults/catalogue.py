"""Faults of a platform, by name: `tk.sandbox(faults="slow:0.1,rate-limit:2:times=3")`.

Faults are separated by commas, a fault's parameters by colons, in the order shown or as
`name=value`. They apply to the API in the order given, the first nearest to the data. `times`
counts the requests that meet the fault; later requests succeed; 0 means all requests.

| fault | what the platform does |
|---|---|
| array, ndjson, commas, envelope | sends the records in this format, without a fault |
| gzip, deflate, br, zstd | compresses the body |
| paged:size=100 | sends pages `{"count": n, "results": […], "next": url}` |
| paged-loop:size=100 | its last page names the first as the next |
| paged-away:size=100 | the next page is on another origin |
| pieces:bytes=1000 | sends the body in small pieces |
| slow:seconds=0.1 | waits before each piece of the body |
| drop-mid-body:times=1:after=1000 | drops the connection after so many bytes |
| drop-clean:times=1:after=1000 | the same, but looks to a client like the end of the body |
| truncated:missing=10:times=0 | leaves out the end of the body in an intact response |
| wrong-content-length:times=0:more=10 | promises more bytes than it sends |
| corrupt-gzip:times=0, truncated-gzip:times=0 | sends a compressed body that cannot be unpacked |
| gzip-bomb:megabytes=1000 | sends a small body that unpacks to white space of this size |
| invalid-utf8:times=0 | sends a byte that is not UTF-8 within a string |
| rate-limit:seconds=1:times=1 | 429 with `Retry-After` in seconds |
| rate-limit-date:seconds=1:times=1 | 429 with `Retry-After` as a date, by its own `Date` |
| rate-limit-zero:times=1 | 429 with `Retry-After: 0` |
| rate-limit-past:times=1 | 429 with a date in the past |
| rate-limit-absurd:times=1 | 429 with `Retry-After` of a year |
| rate-limit-silent:times=1 | 429 without `Retry-After` |
| server-error:status=503:times=1 | responds with this status |
| login-page:times=0 | 200 with an HTML login page |
| redirect-away:times=0 | redirects to another origin (the same server as `localhost`) |
| redirect-within:times=1 | redirects to the same address |
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from toolkit.errors import ConfigurationError
from toolkit.sandbox.faults import bodies, responses
from toolkit.sandbox.http.framing import FRAMINGS, Framing
from toolkit.sandbox.http.middleware import Fault
from toolkit.schemas.arguments import as_given

_CLOSE_DELIMITED = "drop-clean"
_MAY_BE_ZERO = {"times", "seconds"}
_LEAST_STATUS, _LAST_STATUS = 200, 599  # of a response that ends a request

FAULTS: dict[str, Callable[..., Fault]] = {
    name.replace("_", "-"): fault
    for module in (bodies, responses)
    for name, fault in vars(module).items()
    if inspect.isfunction(fault) and fault.__module__ == module.__name__ and name[0] != "_"
} | {_CLOSE_DELIMITED: bodies.drop_mid_body}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the platform responds."""

    framing: Framing = FRAMINGS["array"]  # the format of its bodies
    faults: list[Fault] = field(default_factory=list)  # the first nearest to the data
    close_delimited: bool = False  # whether the end of the connection is the end of a body


def read_faults(named: str | Iterable[str] | None) -> Behaviour:
    """Return the behaviour with these faults; without any, the platform behaves well.

    Examples:
        >>> read_faults("slow:fast")
        Traceback (most recent call last):
        toolkit.errors.ConfigurationError: slow: seconds must be a number like 0.1, not fast
    """
    texts = _texts(named)
    framing = FRAMINGS["array"]
    faults = []
    for text in texts:
        name, *parameters = text.strip().split(":")
        if name in FRAMINGS:
            _arguments(name, parameters)
            framing = FRAMINGS[name]
        elif name in FAULTS:
            faults.append(FAULTS[name](**_arguments(name, parameters)))
        else:
            known = ", ".join([*FRAMINGS, *FAULTS])
            raise ConfigurationError(f"there is no fault {name!r}; choose from {known}")
    clean = any(text.strip().startswith(_CLOSE_DELIMITED) for text in texts)
    return Behaviour(framing, faults, close_delimited=clean)


def _texts(named: object) -> list[str]:
    if isinstance(named, str):
        return named.split(",")
    texts = list(named) if isinstance(named, Iterable) else [] if named is None else [named]
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(texts):
        raise ConfigurationError(
            f'faults must be a string or a list of strings, such as "slow:0.1", not '
            f"{as_given(named)}"
        )
    return strings


def _arguments(name: str, parameters: list[str]) -> dict[str, int | float]:
    """Return the named arguments of a fault, each of the type of its default."""
    known = inspect.signature(FAULTS[name]).parameters if name in FAULTS else {}
    defaults = {key: p.default for key, p in known.items()}
    arguments: dict[str, int | float] = {}
    for position, parameter in enumerate(parameters):
        key, equals, value = parameter.rpartition("=")
        if not equals and position < len(defaults):
            key = list(defaults)[position]
        if key not in defaults:
            raise ConfigurationError(
                f"{name}: no parameter {parameter!r}; it has {', '.join(defaults) or 'none'}"
            )
        arguments[key] = _number(name, key, value, like=defaults[key])
    return arguments


def _number(name: str, key: str, value: str, *, like: int | float) -> int | float:
    try:
        number = type(like)(value)
    except ValueError:
        number = -1
    is_possible = math.isfinite(number) and (number > 0 or (number == 0 and key in _MAY_BE_ZERO))
    if key == "status":
        is_possible = _LEAST_STATUS <= number <= _LAST_STATUS
    if not is_possible:
        raise ConfigurationError(f"{name}: {key} must be a number like {like}, not {value}")
    return number
