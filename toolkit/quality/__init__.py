"""Data quality: checks of the frames, as Great Expectations' suites that Polars computes.

Great Expectations takes seconds to import, so it is loaded when something is checked.
"""

from toolkit.quality.changes import check_snapshots
from toolkit.quality.checking import check
from toolkit.quality.report import QualityReport

__all__ = ["QualityReport", "check", "check_snapshots"]
