"""One of a kind is told in the singular, in every sentence, note and title."""

import json
import re

import pytest
from test_views import EVERY
from told_results import learners

from toolkit.results.registry import REGISTRY

PLURAL_OF_ONE = re.compile(r"(?<![\d.,–−-])\b1 (?!is|was|has|%)[a-z]+s\b(?! than)")


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", EVERY)
def test_one_is_not_told_as_several(name: str, n: int) -> None:
    result = EVERY[name](learners(n))
    for view in (result, result.head(1)):
        released = view.release(min_n=None)
        shown = [str(released.narrate()), released.table().note]
        if REGISTRY[name].chart is not None:
            shown.append(json.dumps(released.chart().to_dict()["title"], ensure_ascii=False))
        for text in shown:
            assert not PLURAL_OF_ONE.findall(text), text
