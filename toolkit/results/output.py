"""What a result is shown as: a chart and a sentence, marked as released figures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

from toolkit.errors import ArgumentError, SchemaError
from toolkit.release.rounding import MIN_N
from toolkit.results.registry import chart_of, look_up
from toolkit.schemas.arguments import a_text, as_given

OUTPUT = "so2"  # marks a notebook output as released, with its threshold and narrative
_TEXTS = {"str": (str,), "str | None": (str, type(None))}  # annotations of options of charts


def marked(min_n: int | None, **about: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a `_repr_mimebundle_` without further formats that marks an output as released."""
    return {}, {OUTPUT: {"min_n": min_n, **about}}


class Chart:
    """Draws a result; call it with the options of the table's chart."""

    def __init__(self, name: str, release: Callable[[], Any]) -> None:
        self._name, self._release = name, release
        self._draw = chart_of(name)
        self.__doc__ = self._draw.__doc__

    @property
    def options(self) -> list[str]:
        """The options this chart takes."""
        return [*inspect.signature(self._draw).parameters, "title", "source"][1:]

    def __call__(
        self, *, title: str | None = None, source: str | None = None, **options: Any
    ) -> Any:
        """Draw the released result.

        Args:
            title: A title to replace the finding.
            source: Where the data come from; by default the result's caption.
            options: Those of the table's chart.

        Raises:
            SchemaError: The chart has no such option; names the options it has.
            ArgumentError: An option has a value of another kind.
        """
        if unknown := set(options) - set(self.options):
            raise SchemaError(
                f"the chart of {self._name} has no option "
                f"{', '.join(sorted(unknown))}; it takes {', '.join(self.options)}"
            )
        for name, value in options.items():
            kind = str(inspect.signature(self._draw).parameters[name].annotation)
            if kind in _TEXTS and not isinstance(value, _TEXTS[kind]):
                raise ArgumentError(f"{name} must be a string, not {as_given(value)}")
        safe = self._release()
        caption = a_text(source, name="source") or safe.caption
        drawn = self._draw(replace(safe, caption=caption), **options)
        if a_text(title, name="title"):
            look_up("charts.theme:retitle")(drawn, title)
        drawn.usermeta = {**drawn.usermeta, OUTPUT: {"min_n": safe.min_n}}
        return drawn

    def __repr__(self) -> str:
        return f"chart of {self._name}; options: {', '.join(self.options)}"


class Narrative(str):
    """A sentence or two; notebooks show it as a paragraph of plain text.

    Attributes:
        min_n: The smallest count that is shown; None if the author asked for no protection.
    """

    min_n: int | None

    def __new__(cls, text: str, min_n: int | None = MIN_N) -> Narrative:
        """Keep the text together with its threshold."""
        narrative = super().__new__(cls, text)
        narrative.min_n = min_n
        return narrative

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return marked(self.min_n, says=str(self))

    def _repr_html_(self) -> str:
        return f"<p>{escape(self)}</p>"
