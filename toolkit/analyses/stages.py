"""Definitions of the outcome stages, the same in every analysis.

Each is a condition on person_course columns as `records` returns them. Stages presuppose
enrollment: a record found only in grades or completion counts in no denominator.
"""

from __future__ import annotations

import narwhals.stable.v2 as nw

from toolkit.schemas.arguments import a_share

HALF_WAY = 0.5
COMPLETED = 0.8
"""The share of the content from which a learner counts as having completed."""

ENROLLED = nw.col("in_enrollments")
ACTIVE = ENROLLED & ((nw.col("completion") > 0) | (nw.col("percent_grade") > 0))
PASSED = ENROLLED & nw.col("passed")
GRADED = ENROLLED & ~nw.col("percent_grade").is_null()
DAYS_TO_PASS = nw.when(nw.col("passed")).then(nw.col("days_to_pass"))
"""Null unless the record is a pass."""

NEEDED = ["in_enrollments", "completion", "percent_grade", "passed"]


def completed(threshold: float) -> nw.Expr:
    """Completion at or above the threshold, a fraction."""
    return ENROLLED & (nw.col("completion") >= a_share(threshold, name="completed_from"))
