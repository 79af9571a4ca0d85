"""The report's own texts in the reader's language; one file per language in `languages/`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from toolkit.errors import ArgumentError
from toolkit.schemas.arguments import as_given

_FOLDER = Path(__file__).parent / "languages"
DEFAULT = "en"
_NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![.,]?\w)")
_PERCENT = re.compile(r"(?<=\d)%")
_BESIDE_A_NUMBER = re.compile(
    r"\b(?:under|over)(?= \d)|(?<=\d )(?:points?|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
)


@dataclass(frozen=True)
class Language:
    """The texts of one language."""

    code: str  # "es"
    texts: Mapping[str, Mapping[str, str]]  # by section and name, `{…}` where filled in

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of a key such as "index.title", filled in.

        Examples:
            >>> read_language("es")("index.title"), read_language("en")("figures.days", days=90)
            ('Resumen', '90 days')
        """
        section, _, name = key.partition(".")
        return self.texts[section][name].format(**values)

    def written(self, text: str) -> str:
        """Return a text with its figures, written as in English, as this language writes them.

        Examples:
            >>> [read_language("es").written(text) for text in ("+2.5 points", "4 Jan 2026")]
            ['+2,5 puntos', '4 ene 2026']
        """
        own = self.texts["written"]
        signs = str.maketrans({",": own["thousands"], ".": own["decimal"]})
        text = _NUMBER.sub(lambda found: found[0].translate(signs), text)
        text = _PERCENT.sub(own["percent"], text)
        return _BESIDE_A_NUMBER.sub(lambda found: own[found[0]], text)

    def named(self, section: str, name: str, otherwise: str | None = None) -> str:
        """Return the name of a stage, a page or a question; itself if no text names it.

        Examples:
            >>> read_language("es").named("stages", "active")
            'activos'
        """
        return self.texts[section].get(name, name if otherwise is None else otherwise)

    @property
    def is_whole(self) -> bool:
        """Whether the whole report is in this language, as it is in English, the notebooks' own."""
        return self.code == DEFAULT

    @property
    def definitions(self) -> list[tuple[str, str]]:
        """The words that the methods page explains, with their meanings."""
        texts = self.texts["definitions"]
        return [
            (word, texts[f"{name}_means"])
            for name, word in texts.items()
            if f"{name}_means" in texts
        ]


def languages() -> list[str]:
    """Return the codes of the available languages.

    Examples:
        >>> languages()
        ['en', 'es']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def read_language(code: str = DEFAULT) -> Language:
    """Return the texts of a language."""
    if code not in languages():
        raise ArgumentError(
            f"there is no report in the language {as_given(code)}; there are "
            f"{', '.join(languages())}"
        )
    return Language(code, tomllib.loads((_FOLDER / f"{code}.toml").read_text("utf-8")))
