"""Data quality: Great Expectations' suites, results and Data Docs, computed by Polars.

The only importer of Great Expectations, which takes seconds to import and is therefore loaded
when something is checked. Its first import happens here, with three precautions: its usage
analytics are off before it starts, the deprecations in its own code stay its own, and its
redirection of everybody's warnings into logging is taken back.
"""

import logging
import os
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
_show = warnings.showwarning
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as _gx  # noqa: F401
if warnings.showwarning is not _show:
    logging.captureWarnings(capture=False)

from toolkit.quality.changes import check_snapshots  # noqa: E402
from toolkit.quality.checking import check  # noqa: E402
from toolkit.quality.report import QualityReport  # noqa: E402

__all__ = ["QualityReport", "check", "check_snapshots"]
