import re
import tomllib
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.citation import AUTHORS, YEAR

ROOT = Path(__file__).parents[1]


def test_the_citation_file_says_what_cite_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = dict(
        re.findall(r'^\s*-? ?([\w-]+): "?([^"\n]+)"?$', (ROOT / "CITATION.cff").read_text(), re.M)
    )

    assert told["version"] == project["version"]
    assert told["title"] in tk.cite()
    assert told["name"] == AUTHORS == project["authors"][0]["name"]
    assert told["date-released"].startswith(str(YEAR))


def test_the_bibtex_entry_holds_what_the_text_says() -> None:
    entry = tk.cite("bibtex")

    assert entry.startswith("@software{")
    assert entry.count("{") == entry.count("}")
    for part in (AUTHORS, str(YEAR), "SO2 toolkit"):
        assert part in entry


def test_another_form_is_refused_by_name() -> None:
    with pytest.raises(tk.ToolkitError, match="'apa'"):
        tk.cite("apa")  # type: ignore[arg-type]
