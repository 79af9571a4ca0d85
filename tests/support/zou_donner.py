"""Zou and Donner's interval of a difference, written out."""

from math import sqrt

Ends = tuple[float, float]


def difference_ends(a: float, of_a: Ends, b: float, of_b: Ends, correlation: float = 0.0) -> Ends:
    """Return the ends of the interval of a − b, from the intervals of a and of b."""

    def combined(one: float, other: float) -> float:
        return sqrt(max(one**2 + other**2 - 2 * correlation * one * other, 0.0))

    below, above = combined(a - of_a[0], of_b[1] - b), combined(of_a[1] - a, b - of_b[0])
    return a - b - below, a - b + above
