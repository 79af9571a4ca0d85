"""The published coverage of intervals and level of tests keep to the bounds that are promised."""

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
ROWS = [
    [cell.strip(" *") for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith(("| interval", "| test"))
]
SMALL_TOO = ("Kaplan–Meier", "cumulative incidence", "milestone difference")


@pytest.mark.parametrize(("kind", "what", "small", "middle", "large"), ROWS)
def test_intervals_cover_and_tests_keep_their_level(
    kind: str, what: str, small: str, middle: str, large: str
) -> None:
    n_15, n_50, n_200 = (float(cell.strip().rstrip("*% ")) for cell in (small, middle, large))
    if kind == "test":
        assert all(4 <= level <= 6.5 for level in (n_50, n_200))
        assert 4 <= n_15 <= 6.5
    else:
        assert all(93 <= coverage <= 97.5 for coverage in (n_50, n_200))
        assert n_15 >= (93 if what.startswith(SMALL_TOO) else 91)
