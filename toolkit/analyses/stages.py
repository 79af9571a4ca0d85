"""What enrolled, active, half-way, completed and passed mean: the same in every analysis.

Each is a condition over person_course columns, for Narwhals. All but `ENROLLED` presuppose
enrollment: a record that only grades or completion have belongs to no denominator.
"""

from __future__ import annotations

import narwhals as nw

from toolkit.errors import SchemaError

HALF_WAY = 0.5
COMPLETED = 0.8
"""The share of the content from which a learner counts as having completed."""

ENROLLED = nw.col("in_enrollments")
ACTIVE = ENROLLED & ((nw.col("completion") > 0) | (nw.col("percent_grade") > 0))
PASSED = ENROLLED & nw.col("passed")
GRADED = ENROLLED & ~nw.col("percent_grade").is_null()

NEEDED = ["in_enrollments", "completion", "percent_grade", "passed"]


def completed(threshold: float) -> nw.Expr:
    """Completion at or above the threshold, a fraction.

    Raises:
        SchemaError: The threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise SchemaError(f"completed_from is a share above 0 and at most 1, not {threshold}")
    return ENROLLED & (nw.col("completion") >= threshold)
