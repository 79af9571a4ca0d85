"""Data quality: Great Expectations suites for the frames, computed by Polars.

Great Expectations takes seconds to import, so it is loaded only for a check.
"""

from toolkit.quality.changes import check_snapshots
from toolkit.quality.checking import check
from toolkit.quality.report import QualityReport

__all__ = ["QualityReport", "check", "check_snapshots"]
