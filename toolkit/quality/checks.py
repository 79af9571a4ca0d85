"""Read the checks from `checks.toml` as Great Expectations suites."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from toolkit.errors import ArgumentError, QualityError, reason
from toolkit.quality.gx import expectations as _own  # noqa: F401  (registers it)
from toolkit.quality.gx.library import (
    Expectation,
    ExpectationConfiguration,
    ExpectationSuite,
    FailureSeverity,
    GreatExpectationsError,
    get_expectation_impl,
)
from toolkit.schemas import RESOURCES
from toolkit.schemas.arguments import a_path

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


def parameter_of(said: object) -> str | None:
    """Return the parameter of the run that stands for an argument; None if it is a value."""
    return said.get("$PARAMETER") if isinstance(said, Mapping) else None


@dataclass(frozen=True)
class Check:
    """One expectation of one frame; see the head of `checks.toml`."""

    frame: str  # the frame it checks
    name: str  # unique within the frame
    expects: str  # what is true of clean data
    type: str  # the GX expectation
    kwargs: Mapping[str, Any]
    severity: Severity
    why: str  # what a failure means for the figures
    do: str  # what to do about it

    @property
    def columns(self) -> set[str]:
        """The columns it needs."""
        return set(_columns(self.kwargs))

    @property
    def about_records(self) -> bool:
        """Whether it checks records, so that without records there is nothing to check."""
        return not self.type.startswith("expect_table_")

    @property
    def parameters(self) -> set[str]:
        """The parameters of the run that it needs."""
        named = map(parameter_of, self.kwargs.values())
        return {name for name in named if name is not None}

    def expectation(self) -> Expectation:
        """Return the check as a GX expectation."""
        return get_expectation_impl(self.type)(
            **self.kwargs,
            severity=FailureSeverity(self.severity),
            description=self.expects,
            notes=[self.why, self.do],
            meta={"check": self.name, "why": self.why, "do": self.do},
        )


@cache
def checks(frame: str) -> tuple[Check, ...]:
    """Return the checks of a frame, in the order of the file."""
    table = tomllib.loads((files("toolkit.quality") / "checks.toml").read_text(encoding="utf-8"))
    return tuple(_check(row, frame) for row in table["check"] if frame in row["frames"])


def read_suite(path: str | Path) -> ExpectationSuite:
    """Read a suite from GX's JSON."""
    try:
        said = json.loads(a_path(path, name="a suite").read_text(encoding="utf-8"))
        if isinstance(said, Mapping):
            for one in said.get("expectations") or []:  # GX leaves out those that are wrong
                ExpectationConfiguration(**one).to_domain_obj()
        return ExpectationSuite(**said)
    except ArgumentError:
        raise
    except (OSError, TypeError, ValueError, GreatExpectationsError) as error:
        raise QualityError(f"{path} is not a Great Expectations suite: {reason(error)}") from error


def _check(row: Mapping[str, Any], frame: str) -> Check:
    said = {name: value for name, value in row.items() if name != "frames"}
    kwargs = dict(row.get("kwargs", {}))
    if row["type"] == "expect_table_columns_to_have_types":
        kwargs["types"] = {c.name: str(c.dtype) for c in RESOURCES[frame] if c.name != "email"}
    return Check(frame=frame, **{**said, "kwargs": kwargs})


def _columns(value: object) -> Iterator[str]:
    """Yield the column names in an expectation's kwargs, including row conditions."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"column", "column_A", "column_B"} and isinstance(inner, str):
                yield inner
            elif key == "column":
                yield inner["name"]
            elif key == "column_list":
                yield from inner
            elif key == "row_condition":
                yield from _columns(inner)
            elif key == "conditions":
                for condition in inner:
                    yield from _columns(condition)
